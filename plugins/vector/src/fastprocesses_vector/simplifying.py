"""Geometries with fewer positions, nowhere farther from the original than a tolerance."""

from collections.abc import Callable
from typing import Annotated, Any

import fastprocesses_sdk as fp
import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from fastprocesses_vector.antimeridian import flattened
from fastprocesses_vector.examples import LAKE_AND_ROAD
from fastprocesses_vector.parts import Array, as_kind_of, flat_parts, polygons_of, simplest, wound
from fastprocesses_vector.reading import for_each_feature

_LONGEST_DEGREE_METRES = 111_694.4
"""Of latitude, at a pole; no degree on the ellipsoid is longer, so no tolerance is overrun."""


@fp.process(
    keywords=["vector", "geojson", "simplify", "generalize"],
    deterministic=True,
    retryable=True,
    timeout_seconds=600,
    examples=[{"features": LAKE_AND_ROAD, "tolerance": 1000}],
)
def simplify(
    features: fp.FeatureCollection,
    tolerance: Annotated[float, fp.Input(gt=0, le=2_000_000, unit="m")],
    keep_topology: bool = True,
    *,
    job: fp.Job = fp.NO_JOB,
) -> fp.FeatureCollection:
    """Leave out positions of lines and outlines that do not matter at a tolerance (Douglas-Peucker).

    Every feature is simplified for itself: common borders of neighbours may part by up to the tolerance.
    Points stay. Properties, ids and other members are kept, and so are features without a geometry; positions
    that remain keep their heights. Invalid areas are mended first.

    Args:
        features: What to simplify; longitude and latitude in WGS84.
        tolerance: How far a left-out position may lie from the result, on the ground.
        keep_topology: Whether every area stays and stays valid. Otherwise areas smaller than the tolerance
            vanish, which leaves the feature without a geometry, and outlines that come to cross themselves are
            mended.
        job: What is told of each feature done.

    Returns:
        The features, each with fewer positions; one across the antimeridian is cut there.
    """

    def simpler(feature: fp.Feature, geometry: BaseGeometry) -> fp.Feature:
        found = simplified(geometry, tolerance, keep_topology=keep_topology)
        return feature.with_geometry(None if found.is_empty else wound(found))

    return for_each_feature(features, simpler, job, "Simplifying")


def simplified(geometry: BaseGeometry, tolerance: float, *, keep_topology: bool) -> BaseGeometry:
    """Simplify a geometry in longitude and latitude.

    Args:
        geometry: Of any kind.
        tolerance: In metres.
        keep_topology: Whether areas stay and stay valid.

    Raises:
        UnusableGeometryError: It can be read in two ways.
    """
    flat = flattened(geometry, heights=True)
    whole = simplest([_simpler(part, tolerance, keep_topology) for part in flat_parts(flat)])
    if not whole.is_valid and keep_topology:  # parts for themselves came to overlap: look at all at once
        whole = _simpler(flat, tolerance, keep_topology)
    if not whole.is_valid:
        areas = [shapely.make_valid(area) for area in polygons_of(whole)]
        others = [part for part in flat_parts(whole) if part.geom_type != "Polygon" and part.is_valid]
        whole = simplest([shapely.union_all(areas), *others])
    return as_kind_of(geometry, whole)


def _simpler(geometry: BaseGeometry, tolerance: float, keep_topology: bool) -> BaseGeometry:
    """Simplify where edges are as straight as those of GeoJSON, and no distance is shorter than on the ground."""
    _, south, _, north = geometry.bounds
    latitude = 0.0 if south <= 0 <= north else min(abs(south), abs(north))
    scale = np.array([np.cos(np.radians(latitude)), 1.0]) * _LONGEST_DEGREE_METRES
    plane = _moved(geometry, lambda places: places * scale)
    simpler = shapely.simplify(plane, tolerance, preserve_topology=keep_topology)
    back = _Lookup(shapely.get_coordinates(plane), shapely.get_coordinates(geometry))
    return _moved(simpler, back)


def _moved(geometry: BaseGeometry, move: Callable[[Array], Array]) -> BaseGeometry:
    def moved(positions: Array) -> Array:
        return np.column_stack([move(positions[:, :2]), positions[:, 2:]])

    return shapely.transform(geometry, moved, include_z=bool(shapely.has_z(geometry)))


class _Lookup:
    """Where places of the plane came from, to the last digit."""

    def __init__(self, places: Array, origins: Array) -> None:
        keys = _keys(places)
        order = np.argsort(keys)
        self._keys, self._origins = keys[order], origins[order]

    def __call__(self, places: Array) -> Array:
        found: Array = self._origins[np.searchsorted(self._keys, _keys(places))]
        return found


def _keys(places: Array) -> np.ndarray[Any, np.dtype[np.complex128]]:
    keys: np.ndarray[Any, np.dtype[np.complex128]] = places[:, 0] + 1j * places[:, 1]
    return keys
