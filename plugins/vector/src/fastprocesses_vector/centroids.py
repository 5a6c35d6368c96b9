"""Centroids on Earth."""

import numpy as np
import shapely
from shapely import Point
from shapely.geometry.base import BaseGeometry

from fastprocesses_vector.planes import Plane
from fastprocesses_vector.reading import (
    Array,
    UnusableGeometryError,
    flat_parts,
    flattened,
    joined,
    tiles,
    wrapped,
)

_TILE_DEGREES = 15.0
_WHOLE_DEGREES = 20.0
_EDGE_DEGREES = 0.25


def centroid_of(geometry: BaseGeometry) -> Point:
    """Return the centre of mass of a geometry: of its areas, else of its lines, else of its points.

    A large geometry is weighed piece by piece, as masses on a globe.

    Raises:
        UnusableGeometryError: Its masses balance around the centre of the globe, or it has none.
    """
    flat = flattened(geometry)
    parts = flat_parts(flat)
    dimension = max((shapely.get_dimensions(part) for part in parts), default=-1)
    heaviest = [part for part in parts if shapely.get_dimensions(part) == dimension]
    if not heaviest or dimension < 0:
        raise UnusableGeometryError("it has no parts")
    whole = joined(heaviest)
    pieces = heaviest if dimension == 0 else tiles(whole, _TILE_DEGREES, _WHOLE_DEGREES)
    weighed = [_weighed(piece) for piece in pieces]
    if len(weighed) == 1:
        return wrapped(weighed[0][0])
    return _balanced([place for place, _ in weighed], np.array([weight for _, weight in weighed]))


def _weighed(piece: BaseGeometry) -> tuple[BaseGeometry, float]:
    plane = Plane("laea", piece)
    flat = plane.onto(shapely.segmentize(piece, _EDGE_DEGREES))
    weight = flat.area or flat.length or 1.0
    return plane.off(flat.centroid), weight


def _balanced(places: list[BaseGeometry], weights: Array) -> Point:
    longitudes, latitudes = np.radians(shapely.get_coordinates(places)).T
    directions = np.column_stack(
        [np.cos(latitudes) * np.cos(longitudes), np.cos(latitudes) * np.sin(longitudes), np.sin(latitudes)]
    )
    x, y, z = weights @ directions / weights.sum()
    if np.hypot(np.hypot(x, y), z) < 1e-3:
        raise UnusableGeometryError("it surrounds the globe evenly, so that no place is its centre")
    return Point(float(np.degrees(np.arctan2(y, x))), float(np.degrees(np.arctan2(z, np.hypot(x, y)))))
