"""Geometries taken apart and put together again."""

from typing import Any

import numpy as np
import shapely
from shapely import GeometryCollection, MultiLineString, MultiPoint, MultiPolygon
from shapely.geometry.base import BaseGeometry

Array = np.ndarray[Any, np.dtype[np.float64]]
Indices = np.ndarray[Any, np.dtype[np.intp]]

_TRACE = 1e-15
"""Of a degree: less than an atom; products of such numbers leave the range of floating point."""
_MULTI = {"Point": MultiPoint, "LineString": MultiLineString, "Polygon": MultiPolygon}


def flat_parts(geometry: BaseGeometry) -> list[BaseGeometry]:
    """Take collections apart, however deep."""
    if geometry.geom_type in _MULTI:
        return [geometry]
    parts = shapely.get_parts(geometry)
    if geometry.geom_type != "GeometryCollection":
        return list(parts)
    return [each for part in parts for each in flat_parts(part)]


def joined(parts: list[BaseGeometry]) -> BaseGeometry:
    """Collect parts into one geometry without merging them; several of one kind are a Multi… of it."""
    flat = [each for part in parts for each in flat_parts(part) if not each.is_empty]
    kinds = {part.geom_type for part in flat}
    kind = kinds.pop() if len(kinds) == 1 else ""
    return _MULTI[kind](flat) if kind in _MULTI else GeometryCollection(flat)


def simplest(parts: list[BaseGeometry]) -> BaseGeometry:
    """Collect parts as `joined` does, but leave a single one as it is."""
    flat = [each for part in parts for each in flat_parts(part) if not each.is_empty]
    return flat[0] if len(flat) == 1 else joined(flat)


def as_kind_of(original: BaseGeometry, geometry: BaseGeometry) -> BaseGeometry:
    """Make a single part a Multi… of its kind where the original was one."""
    multi = _MULTI.get(geometry.geom_type)
    if multi and not geometry.is_empty and original.geom_type == f"Multi{geometry.geom_type}":
        return multi([geometry])
    return geometry


def by_kind(geometry: BaseGeometry) -> list[BaseGeometry]:
    """Part points, lines and areas; each is a Multi… of its kind. Areas that overlap are united."""
    parts = [part for part in flat_parts(geometry) if not part.is_empty]
    kinds = dict.fromkeys(part.geom_type for part in parts)
    return [_of_one_kind([part for part in parts if part.geom_type == kind]) for kind in kinds]


def _of_one_kind(parts: list[BaseGeometry]) -> BaseGeometry:
    whole = joined(parts)
    if whole.geom_type != "MultiPolygon" or len(parts) == 1 or whole.is_valid:
        return whole
    return joined([shapely.union_all(parts)])


def polygons_of(geometry: BaseGeometry) -> list[BaseGeometry]:
    """Return the areas of a geometry, one by one."""
    return [part for part in flat_parts(geometry) if part.geom_type == "Polygon" and not part.is_empty]


def polygonal(geometry: BaseGeometry) -> BaseGeometry:
    """Keep the areas of a geometry, united."""
    return shapely.union_all(polygons_of(geometry))


def of_dimension(geometry: BaseGeometry, dimension: int) -> list[BaseGeometry]:
    """Keep the parts that are points (0), lines (1) or areas (2)."""
    return [
        part
        for part in flat_parts(geometry)
        if shapely.get_dimensions(part) == dimension and not part.is_empty
    ]


def positions_of(geometry: BaseGeometry) -> Array:
    """Return the positions of a geometry, a row each, with heights where it has them."""
    positions: Array = shapely.get_coordinates(geometry, include_z=bool(shapely.has_z(geometry)))
    return positions


def is_one_place(positions: Array) -> bool:
    """Whether a line leads nowhere, seen from above."""
    return bool((positions[:, :2] == positions[:1, :2]).all())


def without_traces(geometry: BaseGeometry) -> BaseGeometry:
    """Take coordinates for 0 that are next to nothing."""
    coordinates = positions_of(geometry)
    if not ((coordinates != 0) & (np.abs(coordinates) < _TRACE)).any():
        return geometry
    return shapely.transform(geometry, _rounded, include_z=bool(shapely.has_z(geometry)))


def _rounded(coordinates: Array) -> Array:
    return np.where(np.abs(coordinates) < _TRACE, 0.0, coordinates)


def with_whole_heights(geometry: BaseGeometry) -> BaseGeometry:
    """Drop the heights of a geometry unless every position has one."""
    if not shapely.has_z(geometry):
        return geometry
    heights = shapely.get_coordinates(geometry, include_z=True)[:, 2]
    return geometry if np.isfinite(heights).all() else shapely.force_2d(geometry)


def wound(geometry: BaseGeometry) -> BaseGeometry:
    """Wind outer rings counterclockwise and holes clockwise, as RFC 7946 (3.1.6) says, and close them in height."""
    return shapely.orient_polygons(_closed_in_height(geometry))


def _closed_in_height(geometry: BaseGeometry) -> BaseGeometry:
    """Let rings end at the height they begin at; where lines crossed GEOS leaves both heights."""
    if not shapely.has_z(geometry):
        return geometry
    positions = positions_of(geometry)
    starts, ends = _ring_ends(geometry)
    if (positions[starts, 2] == positions[ends, 2]).all():
        return geometry
    positions[ends, 2] = positions[starts, 2]
    return shapely.transform(geometry, lambda _: positions, include_z=True)


def _ring_ends(geometry: BaseGeometry) -> tuple[Indices, Indices]:
    """Return where rings start and end among the positions of a geometry."""
    strings = [
        (string, part.geom_type == "Polygon")
        for part in flat_parts(geometry)
        for string in (shapely.get_rings(part) if part.geom_type == "Polygon" else [part])
    ]
    counts = shapely.get_num_coordinates(np.array([string for string, _ in strings], dtype=object))
    behind = np.cumsum(counts)
    is_ring = np.array([is_ring for _, is_ring in strings], dtype=bool)
    return (behind - counts)[is_ring], behind[is_ring] - 1
