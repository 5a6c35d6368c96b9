"""Large geometries in tiles of so many degrees."""

import numpy as np
import shapely
from shapely import box
from shapely.geometry.base import BaseGeometry

from fastprocesses_vector.parts import Array

_ODD_DEGREES = 0.0123456789
"""Tiles begin beside whole degrees: what lies on the edge of two would be in both."""


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
