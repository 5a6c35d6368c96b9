"""Buffers of true width anywhere on Earth."""

from typing import Annotated, Literal

import fastprocesses_sdk as fp
import numpy as np
import shapely
from shapely import LineString, Polygon
from shapely.geometry.base import BaseGeometry

from fastprocesses_vector.antimeridian import flattened, rings_of, wrapped
from fastprocesses_vector.errors import UnusableGeometryError
from fastprocesses_vector.examples import LAKE_AND_ROAD
from fastprocesses_vector.parts import (
    by_kind,
    flat_parts,
    is_one_place,
    joined,
    polygonal,
    polygons_of,
    wound,
)
from fastprocesses_vector.planes import Plane
from fastprocesses_vector.reading import for_each_feature
from fastprocesses_vector.tiling import tiles

Cap = Literal["round", "flat", "square"]
Join = Literal["round", "mitre", "bevel"]

_TILE_DEGREES = 15.0
_WHOLE_DEGREES = 20.0
"""What spans no more is buffered in one plane; within a tile widths are true to better than 1 %."""
_EARTH_RADIUS = 6.371e6
_METRES_PER_DEGREE = 111_320.0
_NEEDLE_METRES = 1e-3
"""What is thinner is buffered as lines."""
_NEEDLE_DEGREES = _NEEDLE_METRES / _METRES_PER_DEGREE


@fp.process(
    keywords=["vector", "geojson", "buffer"],
    deterministic=True,
    retryable=True,
    timeout_seconds=600,
    examples=[{"features": LAKE_AND_ROAD, "distance": 1000}],
)
def buffer(
    features: fp.FeatureCollection,
    distance: Annotated[float, fp.Input(gt=0, le=2_000_000, unit="m")],
    cap: Cap = "round",
    join: Join = "round",
    segments: Annotated[int, fp.Input(ge=1, le=64)] = 8,
    *,
    job: fp.Job = fp.NO_JOB,
) -> fp.FeatureCollection:
    """Surround every feature with the area that lies within a distance of it.

    The distance is measured on the ground, anywhere on Earth: geometries across the antimeridian and around
    the poles too. Properties, ids and other members are kept, and so are features without a geometry. Heights
    are dropped. Invalid areas are mended first.

    Args:
        features: What to surround; longitude and latitude in WGS84.
        distance: How far, on the ground.
        cap: Shape of the ends of lines; a point becomes a square where it is square, else a circle.
        join: Shape of corners. Other caps and joins than round are for features of at most 20 degrees.
        segments: How many edges stand for a quarter of a circle.
        job: What is told of each feature done.

    Returns:
        The features, each with its area; one across the antimeridian is cut there.
    """

    def surround(feature: fp.Feature, geometry: BaseGeometry) -> fp.Feature:
        return feature.with_geometry(wound(buffered(geometry, distance, cap, join, segments)))

    return for_each_feature(features, surround, job, "Buffering")


def buffered(geometry: BaseGeometry, distance: float, cap: Cap, join: Join, segments: int) -> BaseGeometry:
    """Return the area within a distance of a geometry.

    Pieces of a large geometry are buffered each in a plane of its own: the area around the whole is the union
    of the areas around its pieces, as long as all ends and corners are round.

    Args:
        geometry: In longitude and latitude.
        distance: In metres.
        cap: How ends of lines look.
        join: How corners look.
        segments: Of a quarter of a circle.

    Raises:
        UnusableGeometryError: It is too large for ends or corners that are not round.
    """
    areas: list[BaseGeometry] = []
    for part in by_kind(flattened(geometry)):
        kind = flat_parts(part)[0].geom_type
        style = _cap_of(kind, cap)
        pieces = tiles(part, _TILE_DEGREES, _WHOLE_DEGREES)
        if len(pieces) > 1 and kind != "Point" and (style, join) != ("round", "round"):
            raise UnusableGeometryError(
                f"it spans more than {_WHOLE_DEGREES:g} degrees, too much for a cap or join that is not round"
            )
        areas += [wrapped(_buffered_piece(piece, distance, style, join, segments)) for piece in pieces]
        if kind == "Polygon":
            areas += [area for area in flat_parts(part) if area.area > _NEEDLE_DEGREES * area.length]
    return polygonal(shapely.union_all(areas))


def _cap_of(kind: str, cap: Cap) -> Cap:
    if kind == "LineString":
        return cap
    return "square" if (kind, cap) == ("Point", "square") else "round"


def _buffered_piece(
    piece: BaseGeometry, distance: float, cap: Cap, join: Join, segments: int
) -> BaseGeometry:
    step = _step(distance)
    plane = Plane("aeqd", piece)
    open_ = _without_needles(piece, _NEEDLE_DEGREES)  # before GEOS segmentizes: it would lose parts of them
    dense = shapely.segmentize(open_, step / _METRES_PER_DEGREE)
    flat = _without_needles(plane.onto(dense), _NEEDLE_METRES)
    area = shapely.buffer(flat, distance, quad_segs=segments, cap_style=cap, join_style=join)
    return plane.areas_off(shapely.segmentize(area, step))


def _without_needles(geometry: BaseGeometry, thickness: float) -> BaseGeometry:
    """Open rings so thin, or crossing themselves in the plane, that GEOS takes their inside for their outside."""
    parts = flat_parts(geometry)
    opened = [_opened(part, thickness) for part in parts]
    if all(len(pieces) == 1 for pieces in opened):
        return geometry
    return joined([piece for pieces in opened for piece in pieces])


def _opened(part: BaseGeometry, thickness: float) -> list[BaseGeometry]:
    if _is_needle(part, thickness):
        return _halves(part)
    if isinstance(part, Polygon) and not part.is_valid:
        halves = [half for ring in rings_of(part) for half in _halves(ring)]
        return [*polygons_of(shapely.make_valid(part)), *halves]
    return [part]


def _is_needle(part: BaseGeometry, thickness: float) -> bool:
    if isinstance(part, LineString) and len(part.coords) > 3 and part.is_closed:
        part = Polygon(part.coords)
    return isinstance(part, Polygon) and bool(part.area < thickness * part.length)


def _halves(needle: BaseGeometry) -> list[BaseGeometry]:
    positions = shapely.get_coordinates(needle)
    middle = len(positions) // 2
    halves = [positions[: middle + 1], positions[middle:]]
    return [LineString(half) for half in halves if not is_one_place(half)]


def _step(distance: float) -> float:
    """Return how many metres long an edge may be to bend by no more than 1 % of the width on its way."""
    return float(np.clip(np.sqrt(0.08 * _EARTH_RADIUS * distance), 500.0, 100_000.0))
