"""Planes that touch the ellipsoid near a geometry: lengths and areas near the point of contact are true."""

from functools import lru_cache
from typing import Any

import numpy as np
import shapely
from pyproj import Proj
from shapely import LineString, Polygon, box
from shapely.geometry.base import BaseGeometry

from fastprocesses_vector.parts import Array, flat_parts, polygonal

_FAR = 3.0e7
"""Metres; farther from the point of contact there is nothing."""
_NEARLY_POLE = 90 - 1e-7


@lru_cache(maxsize=512)
def _projection(kind: str, latitude: int) -> Any:
    return Proj(f"+proj={kind} +lat_0={latitude} +lon_0=0 +ellps=WGS84 +units=m")


class Plane:
    """A plane near the middle of a geometry.

    The point of contact lies on a whole degree of latitude: so few projections are made, at no loss.

    Args:
        kind: `aeqd` has true distances from the point of contact, `laea` true areas.
        geometry: In longitude and latitude, not crossing the antimeridian.
    """

    def __init__(self, kind: str, geometry: BaseGeometry) -> None:
        west, south, east, north = geometry.bounds
        self._longitude = (west + east) / 2
        self._project = _projection(kind, round((south + north) / 2))

    def onto(self, geometry: BaseGeometry) -> BaseGeometry:
        """Project onto the plane."""
        return shapely.transform(
            geometry,
            lambda positions: np.column_stack(
                self._projected(positions[:, 0] - self._longitude, positions[:, 1])
            ),
        )

    def off(self, geometry: BaseGeometry) -> BaseGeometry:
        """Bring points and lines back to longitude and latitude; longitudes may lie beyond 180."""
        return shapely.transform(geometry, lambda positions: self._off(positions))

    def areas_off(self, geometry: BaseGeometry) -> BaseGeometry:
        """Bring areas back, also those that hold a pole; longitudes may lie beyond 180."""
        areas = [
            self._area_off(part, side)
            for piece, side in self._cut_at_poles(geometry)
            for part in flat_parts(piece)
            if part.geom_type == "Polygon" and not part.is_empty
        ]
        return shapely.union_all(
            [area if area.is_valid else polygonal(shapely.make_valid(area)) for area in areas]
        )

    def _off(self, positions: Array) -> Array:
        longitudes, latitudes = self._projected(positions[:, 0], positions[:, 1], inverse=True)
        return np.column_stack([longitudes + self._longitude, latitudes])

    def _projected(self, x: Array, y: Array, *, inverse: bool = False) -> tuple[Array, Array]:
        if len(x) == 1:  # pyproj takes an array of one for a number, of which numpy warns
            one, other = self._project(float(x[0]), float(y[0]), inverse=inverse)
            return np.array([one]), np.array([other])
        one, other = self._project(x, y, inverse=inverse)
        return one, other

    def _cut_at_poles(self, geometry: BaseGeometry) -> list[tuple[BaseGeometry, int]]:
        """Cut along the meridian beyond a pole, where longitudes leap; each piece with its side of it."""
        for pole in (90, -90):
            _, height = self._project(0, pole)
            beyond = np.sign(pole) * _FAR
            if not np.isfinite(height) or not shapely.intersects(
                geometry, LineString([(0, height), (0, beyond)])
            ):
                continue
            quarters = [
                (box(min(0, x), min(height, y), max(0, x), max(height, y)), int(np.sign(x)))
                for x in (-_FAR, _FAR)
                for y in (-_FAR, _FAR)
            ]
            return [(shapely.intersection(geometry, quarter), side) for quarter, side in quarters]
        return [(geometry, 0)]

    def _area_off(self, area: Polygon, side: int) -> Polygon:
        rings = [
            self._ring_off(shapely.get_coordinates(ring), side) for ring in (area.exterior, *area.interiors)
        ]
        return Polygon(rings[0], [ring for ring in rings[1:] if len(ring) > 3])

    def _ring_off(self, positions: Array, side: int) -> Array:
        longitudes, latitudes = self._projected(positions[:, 0], positions[:, 1], inverse=True)
        if side:
            longitudes = side * np.abs(longitudes)
        at_pole = np.abs(latitudes) > _NEARLY_POLE
        if at_pole.any():
            longitudes, latitudes = _spread_at_pole(longitudes, latitudes, at_pole)
        return np.column_stack([longitudes + self._longitude, latitudes])


def _spread_at_pole(
    longitudes: Array, latitudes: Array, at_pole: np.ndarray[Any, Any]
) -> tuple[Array, Array]:
    """Give a pole in a ring the longitudes of its neighbours: on the map it is a line."""
    away = np.flatnonzero(~at_pole)
    if len(away) == 0:
        return longitudes, latitudes
    count = len(longitudes) - 1  # the last position repeats the first
    spread: list[tuple[float, float]] = []
    for index in range(count):
        if not at_pole[index]:
            spread.append((longitudes[index], latitudes[index]))
            continue
        pole = np.copysign(90.0, latitudes[index])
        before, after = (longitudes[(index + step) % count] for step in (-1, 1))
        spread += [(before, pole), (after, pole)]
    ring = np.array([*spread, spread[0]])
    return ring[:, 0], ring[:, 1]
