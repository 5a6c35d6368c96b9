"""Buffers of true width anywhere on Earth."""

from typing import Literal

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from fastprocesses_vector.planes import Plane
from fastprocesses_vector.reading import (
    UnusableGeometryError,
    flat_parts,
    flattened,
    joined,
    polygonal,
    tiles,
    wrapped,
)

Cap = Literal["round", "flat", "square"]
Join = Literal["round", "mitre", "bevel"]

_TILE_DEGREES = 15.0
_WHOLE_DEGREES = 20.0
"""What spans no more is buffered in one plane; within a tile widths are true to better than 1 %."""
_EARTH_RADIUS = 6.371e6
_METRES_PER_DEGREE = 111_320.0


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
    for part in _by_kind(flattened(geometry)):
        kind = flat_parts(part)[0].geom_type
        style = _cap_of(kind, cap)
        pieces = tiles(part, _TILE_DEGREES, _WHOLE_DEGREES)
        if len(pieces) > 1 and kind != "Point" and (style, join) != ("round", "round"):
            raise UnusableGeometryError(
                f"it spans more than {_WHOLE_DEGREES:g} degrees, too much for a cap or join that is not round"
            )
        areas += [wrapped(_buffered_piece(piece, distance, style, join, segments)) for piece in pieces]
        if kind == "Polygon":
            areas.append(part)
    return polygonal(shapely.union_all(areas))


def _by_kind(geometry: BaseGeometry) -> list[BaseGeometry]:
    parts = flat_parts(geometry)
    kinds = dict.fromkeys(part.geom_type for part in parts)
    return [joined([part for part in parts if part.geom_type == kind]) for kind in kinds]


def _cap_of(kind: str, cap: Cap) -> Cap:
    if kind == "LineString":
        return cap
    return "square" if (kind, cap) == ("Point", "square") else "round"


def _buffered_piece(
    piece: BaseGeometry, distance: float, cap: Cap, join: Join, segments: int
) -> BaseGeometry:
    step = _step(distance)
    plane = Plane("aeqd", piece)
    flat = plane.onto(shapely.segmentize(piece, step / _METRES_PER_DEGREE))
    area = shapely.buffer(flat, distance, quad_segs=segments, cap_style=cap, join_style=join)
    return plane.areas_off(shapely.segmentize(area, step))


def _step(distance: float) -> float:
    """Return how many metres long an edge may be to bend by no more than 1 % of the width on its way."""
    return float(np.clip(np.sqrt(0.08 * _EARTH_RADIUS * distance), 500.0, 100_000.0))
