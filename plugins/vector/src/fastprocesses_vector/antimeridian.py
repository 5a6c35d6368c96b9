"""Geometries in longitude and latitude → valid planar ones, cut at the antimeridian.

Data crosses the antimeridian in three ways: cut along it (RFC 7946, 3.1.9), with longitudes beyond 180, or
with an edge that jumps from one side of the map to the other. `flattened` reads all three.
"""

from functools import reduce
from typing import Any

import numpy as np
import shapely
from shapely import LineString, Polygon, box
from shapely.geometry.base import BaseGeometry

from fastprocesses_vector.errors import UnusableGeometryError
from fastprocesses_vector.parts import (
    Array,
    flat_parts,
    is_one_place,
    joined,
    polygonal,
    polygons_of,
    positions_of,
    simplest,
    with_whole_heights,
)

_HALF = 180.0
_WHOLE = 360.0


def flattened(
    geometry: BaseGeometry, *, heights: bool = False, edges_are_short: bool = False
) -> BaseGeometry:
    """Return the geometry valid, within the map, cut at the antimeridian.

    Invalid areas are mended; a polygon without an area becomes a line or a point; areas of a MultiPolygon
    that overlap are united.

    Args:
        geometry: In longitude and latitude.
        heights: Whether they are kept, where every position has one; what is cut has heights in between.
        edges_are_short: Whether no edge can be meant to go more than half around the globe.

    Raises:
        UnusableGeometryError: It can be read in two ways.
    """
    flat = _flat(geometry if heights else shapely.force_2d(geometry), edges_are_short)
    return with_whole_heights(simplest(flat))


def _flat(geometry: BaseGeometry, edges_are_short: bool) -> list[BaseGeometry]:
    if geometry.geom_type == "GeometryCollection":
        return [each for part in geometry.geoms for each in _flat(part, edges_are_short)]
    if geometry.geom_type == "MultiPoint":
        return [_flattened_points(geometry)]
    parts = [_flattened_part(part, edges_are_short) for part in flat_parts(geometry) if not part.is_empty]
    if geometry.geom_type == "MultiPolygon" and len(parts) > 1:
        areas = [area for part in parts for area in polygons_of(part)]
        if not shapely.is_valid(joined(areas)):
            return [shapely.union_all(areas), *(part for part in parts if not polygons_of(part))]
    return parts


def _flattened_part(part: BaseGeometry, edges_are_short: bool) -> BaseGeometry:
    if isinstance(part, Polygon):
        return _flattened_polygon(part, edges_are_short)
    if isinstance(part, LineString):
        return _flattened_line(part)
    return _flattened_points(part)


def _flattened_points(points: BaseGeometry) -> BaseGeometry:
    def in_range(positions: Array) -> Array:
        longitudes = positions[:, 0]
        turned = np.where(np.abs(longitudes) > _HALF, (longitudes + _HALF) % _WHOLE - _HALF, longitudes)
        return np.column_stack([turned, positions[:, 1:]])

    if (np.abs(positions_of(points)[:, 0]) <= _HALF).all():
        return points
    return shapely.transform(points, in_range, include_z=bool(shapely.has_z(points)))


def _flattened_line(line: LineString) -> BaseGeometry:
    positions = positions_of(line)
    if is_one_place(positions):
        return _flattened_points(shapely.Point(positions[:1]))
    return wrapped(LineString(unfolded(positions))) if jumps(positions).any() else wrapped(line)


def _flattened_polygon(polygon: Polygon, edges_are_short: bool) -> BaseGeometry:
    rings = [ring for ring in map(positions_of, rings_of(polygon)) if len(np.unique(ring[:, :2], axis=0)) > 2]
    if not rings:
        return _flattened_line(LineString(polygon.exterior.coords))
    if edges_are_short or goes_the_short_way(polygon):
        area = _even_odd(rings)
    elif polygon.is_valid:
        area = wrapped(polygon)
    else:
        area = wrapped(polygonal(shapely.make_valid(Polygon(rings[0], rings[1:]))))
    return _flattened_line(LineString(polygon.exterior.coords)) if area.is_empty else area


def goes_the_short_way(polygon: Polygon) -> bool:
    """Whether edges that span more than half the globe are meant to go over the edge of the map.

    Edges along a pole do not count: on the ground they lead nowhere.

    Raises:
        UnusableGeometryError: They may be meant either way.
    """
    rings = [positions_of(ring) for ring in rings_of(polygon)]
    spans = np.concatenate([np.where(_along_pole(ring), 0.0, jumps(ring)) for ring in rings])
    spans = spans[spans > 0]
    if len(spans) == 0:
        return False
    if not polygon.is_valid:
        return True
    if (spans == _WHOLE).all():  # around the globe, from one side of the map to the other
        return False
    raise UnusableGeometryError(
        "an edge spans more than 180 degrees of longitude, so that it may go either way around; "
        "cut the geometry at the antimeridian, or add positions between"
    )


def rings_of(polygon: Polygon) -> list[BaseGeometry]:
    """Return the rings of a polygon, the outer one first."""
    return [ring for ring in (polygon.exterior, *polygon.interiors) if not ring.is_empty]


def jumps(positions: Array) -> Array:
    """By edge: the degrees of longitude it spans where these are more than half the globe, else 0."""
    spans = np.abs(np.diff(positions[:, 0]))
    return np.where(spans > _HALF, spans, 0.0)


def _along_pole(positions: Array) -> np.ndarray[Any, np.dtype[np.bool_]]:
    latitudes = positions[:, 1]
    along: np.ndarray[Any, np.dtype[np.bool_]] = (np.abs(latitudes[1:]) == 90) & (
        latitudes[1:] == latitudes[:-1]
    )
    return along


def unfolded(positions: Array) -> Array:
    """Let every edge go the short way around, over the edge of the map where need be."""
    return np.column_stack([np.unwrap(positions[:, 0], period=_WHOLE), positions[:, 1:]])


def _even_odd(rings: list[Array]) -> BaseGeometry:
    """Fill what lies inside an odd number of rings: at a pole no ring is the outer one."""
    areas = [wrapped(polygonal(shapely.make_valid(Polygon(_closed(unfolded(ring)))))) for ring in rings]
    return polygonal(reduce(shapely.symmetric_difference, areas))


def _closed(ring: Array) -> Array:
    """Close an unfolded ring that winds around a pole, by way of the pole."""
    if abs(ring[-1, 0] - ring[0, 0]) < _HALF:
        return ring
    at_pole = ring[[-1, 0]]
    at_pole[:, 1] = np.copysign(90.0, ring[:, 1].mean())
    return np.vstack([ring, at_pole, ring[:1]])


def wrapped(geometry: BaseGeometry) -> BaseGeometry:
    """Bring what lies beyond the antimeridian to the other side of the map."""
    west, _, east, _ = geometry.bounds
    if geometry.is_empty or (west >= -_HALF and east <= _HALF):
        return geometry
    dimension = shapely.get_dimensions(geometry)
    parts: list[BaseGeometry] = []
    for turn in range(int((west + _HALF) // _WHOLE), int((east + _HALF) // _WHOLE) + 1):
        offset = turn * _WHOLE
        inside = shapely.intersection(geometry, box(offset - _HALF, -90, offset + _HALF, 90))
        kept = [part for part in flat_parts(inside) if shapely.get_dimensions(part) == dimension]
        parts += [_shifted(part, -offset) for part in kept]
    return shapely.union_all(parts)


def _shifted(geometry: BaseGeometry, degrees: float) -> BaseGeometry:
    def shift(positions: Array) -> Array:
        return np.column_stack([positions[:, 0] + degrees, positions[:, 1:]])

    return shapely.transform(geometry, shift, include_z=bool(shapely.has_z(geometry)))
