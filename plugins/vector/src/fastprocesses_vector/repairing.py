"""Geometries made valid."""

from typing import Any, Literal

import fastprocesses_sdk as fp
import shapely
from shapely.geometry.base import BaseGeometry

from fastprocesses_vector.antimeridian import flattened, goes_the_short_way
from fastprocesses_vector.examples import BOWTIE
from fastprocesses_vector.parts import (
    as_kind_of,
    flat_parts,
    of_dimension,
    simplest,
    with_whole_heights,
    without_traces,
    wound,
)
from fastprocesses_vector.reading import for_each_feature

Method = Literal["linework", "structure"]

_MOST_ROUNDS = 3
"""Rounding may make a sliver cross itself again."""


@fp.process(
    keywords=["vector", "geojson", "repair", "make valid"],
    deterministic=True,
    retryable=True,
    timeout_seconds=600,
    examples=[{"features": BOWTIE}],
)
def repair(
    features: fp.FeatureCollection,
    method: Method = "linework",
    keep_collapsed: bool = False,
    *,
    job: fp.Job = fp.NO_JOB,
) -> fp.FeatureCollection:
    """Make every geometry valid, as RFC 7946 wants it.

    Areas that cross themselves, overlap or have holes outside are mended; what crosses the antimeridian or has
    longitudes beyond 180 is cut there; outer rings are wound counterclockwise and holes clockwise. What needs
    none of it stays as it is, to the last digit. Properties, ids and other members are kept, and so are features
    without a geometry. Heights are kept, and interpolated where lines cross.

    Args:
        features: What to mend; longitude and latitude in WGS84.
        method: `linework` keeps all edges and fills what lies inside an odd number of them; `structure` takes
            the outer rings as areas and takes the holes away.
        keep_collapsed: Whether an area that turns out to be a line or a point stays as that. Otherwise it is
            left out, and a feature of which nothing stays is without a geometry.
        job: What is told of each feature done.

    Returns:
        The features, each with a valid geometry.
    """
    mended_count = 0

    def mend(feature: fp.Feature, geometry: BaseGeometry) -> fp.Feature:
        nonlocal mended_count
        mended = repaired(geometry, method, keep_collapsed=keep_collapsed)
        if not mended.is_empty and _as_written(feature.geometry) == _as_written(mended):
            return feature
        mended_count += 1
        return feature.with_geometry(None if mended.is_empty else mended)

    changed = for_each_feature(features, mend, job, "Repairing")
    job.message(f"{mended_count} of {len(features.features)} features were mended")
    return changed


def _as_written(geometry: Any) -> Any:
    """Return a geometry's content in nested lists, as JSON has it."""
    members = geometry.__geo_interface__
    if "geometries" in members:
        return [_as_written(fp.Geometry.of(inner)) for inner in members["geometries"]]
    return [members["type"], _listed(members["coordinates"])]


def _listed(coordinates: Any) -> Any:
    return [_listed(inner) for inner in coordinates] if isinstance(coordinates, list | tuple) else coordinates


def repaired(geometry: BaseGeometry, method: Method, *, keep_collapsed: bool) -> BaseGeometry:
    """Return a geometry valid, within the map and wound as RFC 7946 says.

    Raises:
        UnusableGeometryError: It can be read in two ways.
    """
    if geometry.geom_type == "GeometryCollection":
        parts = [repaired(part, method, keep_collapsed=keep_collapsed) for part in geometry.geoms]
        return with_whole_heights(shapely.GeometryCollection([part for part in parts if not part.is_empty]))
    mended = geometry
    for _ in range(_MOST_ROUNDS):
        mended = without_traces(flattened(_made_valid(mended, method, keep_collapsed), heights=True))
        if mended.is_valid:
            break
    dimension = shapely.get_dimensions(geometry)
    kept = mended if keep_collapsed else simplest(of_dimension(mended, dimension))
    return as_kind_of(geometry, wound(kept))


def _made_valid(geometry: BaseGeometry, method: Method, keep_collapsed: bool) -> BaseGeometry:
    """Mend areas, but for those that only cross the antimeridian: they are mended when they are cut."""
    areas = [part for part in flat_parts(geometry) if part.geom_type == "Polygon"]
    if not areas or geometry.is_valid or any(map(goes_the_short_way, areas)):
        return geometry
    return shapely.make_valid(geometry, method=method, keep_collapsed=keep_collapsed or method == "linework")
