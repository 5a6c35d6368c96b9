"""GeoJSON geometries → planar geometries in longitude and latitude that can be computed with.

Data crosses the antimeridian in three ways: cut along it (RFC 7946, 3.1.9), with longitudes beyond 180, or
with an edge that jumps from one side of the map to the other. `flattened` reads all three.
"""

from collections.abc import Callable
from functools import reduce
from typing import Any

import fastprocesses_sdk as fp
import numpy as np
import shapely
from shapely import LineString, MultiLineString, MultiPoint, MultiPolygon, Polygon, box
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

Array = np.ndarray[Any, np.dtype[np.float64]]

_ODD_DEGREES = 0.0123456789
"""Tiles begin beside whole degrees: what lies on the edge of two would be in both."""
_HALF = 180.0
_WHOLE = 360.0


class UnusableGeometryError(ValueError):
    """The geometry cannot be computed with; the sentence says why and what to change."""


def for_each_feature(
    collection: fp.FeatureCollection,
    change: Callable[[fp.Feature, BaseGeometry], fp.Feature],
    job: fp.Job,
    doing: str,
) -> fp.FeatureCollection:
    """Change every feature; those without a geometry, or with an empty one, stay as they are.

    Raises:
        ProcessError: A geometry cannot be computed with; it names the feature by its index, counted from 0.
    """
    changed = []
    for index, feature in enumerate(job.track(collection.features, doing)):
        try:
            geometry = geometry_of(feature)
            changed.append(feature if geometry.is_empty else change(feature, geometry))
        except (UnusableGeometryError, shapely.GEOSException) as error:
            name = f"Feature {index}" if feature.id is None else f"Feature {index} (id {feature.id!r})"
            raise fp.ProcessError(f"{name}: {error}", title="Unusable geometry", input="features") from error
    return collection.with_features(changed)


def geometry_of(feature: fp.Feature) -> BaseGeometry:
    """Return the feature's geometry as it stands, empty where it is null.

    Raises:
        UnusableGeometryError: Its positions are no longitudes and latitudes.
    """
    if feature.geometry is None:
        return Polygon()
    try:
        geometry = shape(feature.geometry)
    except (ValueError, TypeError, IndexError, KeyError, AttributeError, shapely.GEOSException) as error:
        raise UnusableGeometryError(f"its geometry cannot be read: {error}") from error
    _check_positions(shapely.get_coordinates(geometry))
    return geometry


def _check_positions(positions: Array) -> None:
    if not np.isfinite(positions).all():
        raise UnusableGeometryError("a coordinate is no finite number")
    beyond = np.abs(positions[:, 1]) > 90
    if beyond.any():
        raise UnusableGeometryError(
            f"the latitude {positions[beyond][0, 1]:g} is beyond 90; "
            "positions are longitude, latitude in degrees"
        )
    if (np.abs(positions[:, 0]) > 3 * _HALF).any():
        raise UnusableGeometryError(
            "a longitude lies beyond 540; positions are longitude, latitude in degrees"
        )


def flattened(geometry: BaseGeometry) -> BaseGeometry:
    """Return the geometry valid, without heights, cut at the antimeridian.

    Raises:
        UnusableGeometryError: It can be read in two ways.
    """
    geometry = shapely.force_2d(geometry)
    parts = [_flattened_part(part) for part in flat_parts(geometry)]
    kept = [part for part in parts if not part.is_empty]
    return kept[0] if len(kept) == 1 else joined(kept)


def flat_parts(geometry: BaseGeometry) -> list[BaseGeometry]:
    """Take collections apart, however deep."""
    parts = shapely.get_parts(geometry)
    if len(parts) == 1 and parts[0].geom_type == geometry.geom_type:
        return [geometry]
    return [each for part in parts for each in flat_parts(part)]


def joined(parts: list[BaseGeometry]) -> BaseGeometry:
    """Collect parts into one geometry without merging them."""
    flat = [each for part in parts for each in flat_parts(part) if not each.is_empty]
    kinds = {part.geom_type for part in flat}
    multi = {"Point": MultiPoint, "LineString": MultiLineString, "Polygon": MultiPolygon}
    kind = kinds.pop() if len(kinds) == 1 else ""
    return multi[kind](flat) if kind in multi else shapely.GeometryCollection(flat)


def _flattened_part(part: BaseGeometry) -> BaseGeometry:
    if isinstance(part, Polygon):
        return _flattened_polygon(part)
    if isinstance(part, LineString):
        return _flattened_line(part)
    return shapely.transform(
        part, lambda positions: np.column_stack([_in_range(positions[:, 0]), positions[:, 1]])
    )


def is_one_place(positions: Array) -> bool:
    """Whether a line leads nowhere."""
    return bool((positions == positions[:1]).all())


def _in_range(longitudes: Array) -> Array:
    beyond = np.abs(longitudes) > _HALF
    return np.where(beyond, (longitudes + _HALF) % _WHOLE - _HALF, longitudes)


def _flattened_line(line: LineString) -> BaseGeometry:
    positions = shapely.get_coordinates(line)
    if is_one_place(positions):
        return _flattened_part(shapely.Point(positions[:1]))
    return wrapped(LineString(_unfolded(positions))) if _jumps(positions).any() else wrapped(line)


def _flattened_polygon(polygon: Polygon) -> BaseGeometry:
    rings = [
        ring for ring in map(shapely.get_coordinates, _rings(polygon)) if len(np.unique(ring, axis=0)) > 2
    ]
    if not rings:
        return _flattened_line(LineString(polygon.exterior.coords))
    if _goes_the_short_way(polygon):
        return _even_odd(rings)
    valid = polygon if polygon.is_valid else polygonal(shapely.make_valid(Polygon(rings[0], rings[1:])))
    return _flattened_line(LineString(polygon.exterior.coords)) if valid.is_empty else wrapped(valid)


def _goes_the_short_way(polygon: Polygon) -> bool:
    """Whether edges that span more than half the globe are meant to go over the edge of the map.

    Raises:
        UnusableGeometryError: They may be meant either way.
    """
    spans = np.concatenate([_jumps(shapely.get_coordinates(ring)) for ring in _rings(polygon)])
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


def outlines(geometry: BaseGeometry) -> list[Array]:
    """Return the positions of all lines and rings; longitudes may lie beyond 180 where they cross the antimeridian.

    Raises:
        UnusableGeometryError: It can be read in two ways.
    """
    found: list[Array] = []
    for part in flat_parts(shapely.force_2d(geometry)):
        if isinstance(part, Polygon):
            rings = [shapely.get_coordinates(ring) for ring in _rings(part)]
            found += map(_unfolded, rings) if _goes_the_short_way(part) else rings
        elif isinstance(part, LineString):
            found.append(_unfolded(shapely.get_coordinates(part)))
    return found


def _rings(polygon: Polygon) -> list[BaseGeometry]:
    return [polygon.exterior, *polygon.interiors]


def _jumps(positions: Array) -> Array:
    """By edge: the degrees of longitude it spans where these are more than half the globe, else 0."""
    spans = np.abs(np.diff(positions[:, 0]))
    return np.where(spans > _HALF, spans, 0.0)


def _unfolded(positions: Array) -> Array:
    """Let every edge go the short way around, over the edge of the map where need be."""
    return np.column_stack([np.unwrap(positions[:, 0], period=_WHOLE), positions[:, 1]])


def _even_odd(rings: list[Array]) -> BaseGeometry:
    """Fill what lies inside an odd number of rings: at a pole no ring is the outer one."""
    areas = [wrapped(polygonal(shapely.make_valid(Polygon(_closed(_unfolded(ring)))))) for ring in rings]
    return polygonal(reduce(shapely.symmetric_difference, areas))


def _closed(ring: Array) -> Array:
    """Close an unfolded ring that winds around a pole, by way of the pole."""
    if abs(ring[-1, 0] - ring[0, 0]) < _HALF:
        return ring
    pole = np.copysign(90.0, ring[:, 1].mean())
    return np.vstack([ring, [[ring[-1, 0], pole], [ring[0, 0], pole], ring[0]]])


def wrapped(geometry: BaseGeometry) -> BaseGeometry:
    """Bring what lies beyond the antimeridian to the other side of the map."""
    west, _, east, _ = geometry.bounds
    if west >= -_HALF and east <= _HALF:
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
    return shapely.transform(geometry, lambda positions: positions + np.array([degrees, 0.0]))


def polygonal(geometry: BaseGeometry) -> BaseGeometry:
    """Keep the areas of a geometry."""
    return shapely.union_all([part for part in flat_parts(geometry) if part.geom_type == "Polygon"])


def tiles(geometry: BaseGeometry, degrees: float, at_most: float) -> list[BaseGeometry]:
    """Cut a flattened geometry into tiles of so many degrees, unless it spans at most `at_most`."""
    west, south, east, north = geometry.bounds
    if east - west <= at_most and north - south <= at_most:
        return [geometry]
    pieces = []
    for left in _tile_edges(west, east, degrees):
        strip = shapely.intersection(geometry, box(left, -90, left + degrees, 90))
        if strip.is_empty:
            continue
        for bottom in _tile_edges(south, north, degrees):
            piece = shapely.intersection(strip, box(left, bottom, left + degrees, bottom + degrees))
            pieces.append(piece)
    return [piece for piece in pieces if not piece.is_empty]


def _tile_edges(low: float, high: float, degrees: float) -> Array:
    first = np.floor((low - _ODD_DEGREES) / degrees) * degrees + _ODD_DEGREES
    return np.arange(first, np.nextafter(high, np.inf), degrees)
