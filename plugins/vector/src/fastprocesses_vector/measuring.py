"""Areas and lengths on the WGS84 ellipsoid."""

from typing import NamedTuple

import numpy as np
import shapely
from pyproj import Geod
from shapely import LineString, Polygon
from shapely.geometry.base import BaseGeometry

from fastprocesses_vector.reading import Array, flat_parts, flattened, is_one_place, outlines, tiles

_GEOD = Geod(ellps="WGS84")
_EDGE_DEGREES = 0.25
"""Edges of GeoJSON are straight in degrees; in steps of this length they are geodesics, too."""
_TILE_DEGREES = 90.0
"""An area must be less than half the globe for its ring to say which side is inside."""


class Size(NamedTuple):
    """How large a geometry is."""

    area: float
    """In square metres."""
    length: float
    """Of lines, and of the outlines of areas, in metres."""


def size_of(geometry: BaseGeometry) -> Size:
    """Measure a geometry on the ellipsoid.

    Edges along the antimeridian and along a pole are no outlines: there the map is cut, not the area.

    Raises:
        UnusableGeometryError: It can be read in two ways.
    """
    areas = [part for part in flat_parts(flattened(geometry)) if isinstance(part, Polygon)]
    return Size(area=sum(map(_area, areas)), length=sum(map(_length, outlines(geometry))))


def _area(polygon: Polygon) -> float:
    return sum(
        _area_of_piece(part)
        for tile in tiles(polygon, _TILE_DEGREES, _TILE_DEGREES)
        for part in flat_parts(tile)
        if isinstance(part, Polygon)
    )


def _area_of_piece(polygon: Polygon) -> float:
    outer, *holes = (abs(_ring_area(ring)) for ring in (polygon.exterior, *polygon.interiors))
    return outer - sum(holes)


def _ring_area(ring: BaseGeometry) -> float:
    positions = shapely.get_coordinates(shapely.segmentize(ring, _EDGE_DEGREES))
    return float(_GEOD.polygon_area_perimeter(positions[:, 0], positions[:, 1])[0])


def _length(positions: Array) -> float:
    if is_one_place(positions):
        return 0.0
    steps = shapely.get_coordinates(shapely.segmentize(LineString(positions), _EDGE_DEGREES))
    cut = (np.abs(steps[:, 0]) % 360 == 180) | (np.abs(steps[:, 1]) == 90)
    starts, ends = steps[:-1][~(cut[:-1] & cut[1:])], steps[1:][~(cut[:-1] & cut[1:])]
    *_, lengths = _GEOD.inv(starts[:, 0], starts[:, 1], ends[:, 0], ends[:, 1])
    return float(np.sum(lengths))
