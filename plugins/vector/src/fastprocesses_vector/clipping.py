"""Features cut to an area."""

from collections.abc import Iterator

import fastprocesses_sdk as fp
import shapely
from shapely import box
from shapely.geometry.base import BaseGeometry

from fastprocesses_vector.antimeridian import flattened, wrapped
from fastprocesses_vector.crs import check_longitude_latitude, short_name
from fastprocesses_vector.errors import named, telling_of
from fastprocesses_vector.examples import LAKE_AND_ROAD
from fastprocesses_vector.parts import (
    as_kind_of,
    by_kind,
    flat_parts,
    joined,
    of_dimension,
    polygons_of,
    simplest,
    with_whole_heights,
    wound,
)
from fastprocesses_vector.reading import geometry_of

Mask = fp.FeatureCollection | fp.Polygon | fp.MultiPolygon


@fp.process(
    keywords=["vector", "geojson", "clip"],
    deterministic=True,
    retryable=True,
    timeout_seconds=600,
    examples=[{"features": LAKE_AND_ROAD, "bbox": {"bbox": [7.05, 51.0, 7.25, 51.08]}}],
)
def clip(
    features: fp.FeatureCollection,
    mask: Mask | None = None,
    bbox: fp.BBox | None = None,
    *,
    job: fp.Job = fp.NO_JOB,
) -> fp.FeatureCollection:
    """Keep of every feature what lies inside an area: polygons, a bounding box, or what both have in common.

    Properties, ids and other members are kept. Features outside are left out, and so are those without a
    geometry. Areas stay areas and lines stay lines: what only touches the area from outside is left out; points
    on its edge are inside. Heights are kept, and interpolated where a feature is cut. Invalid areas are mended
    first.

    Args:
        features: What to cut; longitude and latitude in WGS84.
        mask: Polygons to cut to; all of them together are the area.
        bbox: A bounding box to cut to, in CRS84; one across the antimeridian has a west greater than its east.
            Heights in it do not count.
        job: What is told of each feature done.

    Returns:
        The features inside, in their order; one across the antimeridian is cut there.
    """
    check_longitude_latitude(features, "features")
    area = _area(mask, bbox)
    shapely.prepare(area)
    inside = []
    for index, feature in enumerate(job.track(features.features, "Clipping")):
        with telling_of(index, feature):
            geometry = geometry_of(feature)
            cut = clipped(geometry, area)
        if not cut.is_empty:
            inside.append(feature.with_geometry(wound(cut)))
    return features.with_features(inside)


def clipped(geometry: BaseGeometry, area: BaseGeometry) -> BaseGeometry:
    """Return what of a geometry lies inside a prepared area; its parts keep their dimension.

    Raises:
        UnusableGeometryError: It can be read in two ways.
    """
    flat = flattened(geometry, heights=True)
    if flat.is_empty or area.disjoint(flat):
        return shapely.Polygon()
    if not area.covers(flat):
        flat = simplest(
            [
                part
                for piece in _apart(flat)
                for part in of_dimension(shapely.intersection(piece, area), shapely.get_dimensions(piece))
            ]
        )
    if geometry.geom_type == "GeometryCollection" and flat.geom_type == "MultiPolygon":
        flat = shapely.GeometryCollection(flat_parts(flat))  # they may overlap
    return with_whole_heights(as_kind_of(geometry, flat))


def _apart(flat: BaseGeometry) -> Iterator[BaseGeometry]:
    """Part points, lines and areas; areas of a collection that overlap are parted, too."""
    for dimension in range(3):
        if parts := of_dimension(flat, dimension):
            whole = joined(parts)
            yield from [whole] if whole.is_valid else parts


def _area(mask: Mask | None, bbox: fp.BBox | None) -> BaseGeometry:
    if mask is None and bbox is None:
        raise fp.ProcessError(
            "There is nothing to clip with; give `mask`, `bbox` or both.", title="No area", input="mask"
        )
    areas = [
        *([] if mask is None else [_mask_area(mask)]),
        *([] if bbox is None else [_bbox_area(bbox)]),
    ]
    area: BaseGeometry = shapely.intersection_all(areas)
    return simplest(polygons_of(area))


def _mask_area(mask: Mask) -> BaseGeometry:
    if isinstance(mask, fp.FeatureCollection):
        check_longitude_latitude(mask, "mask")
    features = mask.features if isinstance(mask, fp.FeatureCollection) else [fp.Feature(mask)]
    areas: list[BaseGeometry] = []
    for index, feature in enumerate(features):
        with telling_of(index, feature, "mask"):
            flat = flattened(geometry_of(feature))
        if flat.is_empty:
            continue
        if shapely.get_dimensions(flat) != 2 or len(by_kind(flat)) > 1:
            raise fp.ProcessError(
                f"{named(index, feature)} of mask is no area; a mask is made of polygons.",
                title="Not an area",
                input="mask",
            )
        areas.append(flat)
    if not areas:
        raise fp.ProcessError("The mask has no polygon.", title="No area", input="mask")
    return shapely.union_all(areas)


def _bbox_area(bbox: fp.BBox) -> BaseGeometry:
    if short_name(bbox.crs) not in ("OGC:CRS84", "OGC:CRS84H"):
        raise _bad_box(f"its crs is {bbox.crs}; give it in CRS84")
    west, south, east, north = bbox.bounds
    if not (-90 <= south <= north <= 90):
        raise _bad_box("south and north must lie between -90 and 90, south first")
    if not (-180 <= west <= 180 and -180 <= east <= 180):
        raise _bad_box("west and east must lie between -180 and 180")
    if west == east or south == north:
        raise _bad_box("it has no area")
    return wrapped(box(west, south, east + 360 if east < west else east, north))


def _bad_box(sentence: str) -> fp.ProcessError:
    return fp.ProcessError(
        f"The bounding box cannot be used: {sentence}.", title="Unusable bounding box", input="bbox"
    )
