"""Areas and lengths on the WGS84 ellipsoid."""

from typing import Annotated, NamedTuple

import fastprocesses_sdk as fp
import numpy as np
import shapely
from pyproj import Geod
from shapely import LineString, Polygon
from shapely.geometry.base import BaseGeometry

from fastprocesses_vector.antimeridian import flattened, rings_of, unfolded
from fastprocesses_vector.examples import LAKE_AND_ROAD
from fastprocesses_vector.parts import Array, flat_parts, is_one_place, polygons_of
from fastprocesses_vector.reading import for_each_feature
from fastprocesses_vector.tiling import tiles

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
    """Of lines, in metres."""
    perimeter: float
    """Of the outlines of areas, holes included, in metres."""


class Measured(fp.Outputs):
    """Features with their sizes, and the sums.

    Attributes:
        features: The features, each with the properties `area_m2`, `length_m` (of its lines) and
            `perimeter_m` (of the outlines of its areas, holes included).
        area: Area of all features together.
        length: Length of all lines together.
        perimeter: Length of all outlines together.
    """

    features: fp.FeatureCollection
    area: Annotated[float, fp.Output(unit="m²")]
    length: Annotated[float, fp.Output(unit="m")]
    perimeter: Annotated[float, fp.Output(unit="m")]


@fp.process(
    keywords=["vector", "geojson", "area", "length", "perimeter"],
    deterministic=True,
    retryable=True,
    timeout_seconds=600,
    examples=[{"features": LAKE_AND_ROAD}],
)
def measure(features: fp.FeatureCollection, *, job: fp.Job = fp.NO_JOB) -> Measured:
    """Measure area, length and perimeter of every feature on the WGS84 ellipsoid.

    Geometries, properties, ids and other members are kept; features without a geometry stay as they are.
    Heights do not count. Invalid areas are mended before they are measured; where parts of a MultiPolygon
    overlap, the ground counts once.

    Args:
        features: What to measure; longitude and latitude in WGS84.
        job: What is told of each feature done.
    """
    sizes: list[Size] = []

    def measured(feature: fp.Feature, geometry: BaseGeometry) -> fp.Feature:
        sizes.append(size := size_of(geometry))
        return feature.with_properties(area_m2=size.area, length_m=size.length, perimeter_m=size.perimeter)

    changed = for_each_feature(features, measured, job, "Measuring")
    return Measured(
        features=changed,
        area=sum(size.area for size in sizes),
        length=sum(size.length for size in sizes),
        perimeter=sum(size.perimeter for size in sizes),
    )


def size_of(geometry: BaseGeometry) -> Size:
    """Measure a geometry on the ellipsoid.

    Edges of areas along the antimeridian and along a pole are no outlines: there the map is cut, not the
    area.

    Raises:
        UnusableGeometryError: It can be read in two ways.
    """
    areas = polygons_of(flattened(geometry))
    lines = [part for part in flat_parts(geometry) if isinstance(part, LineString) and not part.is_empty]
    return Size(
        area=sum(map(_area, areas), 0.0),
        length=sum((length_of(unfolded(shapely.get_coordinates(line))) for line in lines), 0.0),
        perimeter=sum((_outline(ring) for area in areas for ring in rings_of(area)), 0.0),
    )


def _area(polygon: BaseGeometry) -> float:
    return sum(
        _area_of_piece(part)
        for tile in tiles(polygon, _TILE_DEGREES, _TILE_DEGREES)
        for part in polygons_of(tile)
    )


def _area_of_piece(polygon: Polygon) -> float:
    outer, *holes = (abs(_ring_area(ring)) for ring in rings_of(polygon))
    return outer - sum(holes)


def _ring_area(ring: BaseGeometry) -> float:
    positions = shapely.get_coordinates(shapely.segmentize(ring, _EDGE_DEGREES))
    return float(_GEOD.polygon_area_perimeter(positions[:, 0], positions[:, 1])[0])


def length_of(positions: Array) -> float:
    """Return the length of a line, in metres."""
    if is_one_place(positions):
        return 0.0
    return float(np.sum(step_lengths(stepped(positions))))


def stepped(positions: Array) -> Array:
    """Return the positions of a line with steps so short that they are as straight on the ground."""
    steps: Array = shapely.get_coordinates(shapely.segmentize(LineString(positions), _EDGE_DEGREES))
    return steps


def step_lengths(steps: Array) -> Array:
    """Return the metres from each position to the next."""
    if len(steps) == 2:  # pyproj takes arrays of one for numbers, of which numpy warns
        west, south, east, north = map(float, steps.ravel())
        return np.array([_GEOD.inv(west, south, east, north)[2]])
    *_, lengths = _GEOD.inv(steps[:-1, 0], steps[:-1, 1], steps[1:, 0], steps[1:, 1])
    return np.asarray(lengths)


def _outline(ring: BaseGeometry) -> float:
    steps = stepped(shapely.get_coordinates(ring))
    cut = (np.abs(steps[:, 0]) == 180) | (np.abs(steps[:, 1]) == 90)
    return float(np.sum(step_lengths(steps)[~(cut[:-1] & cut[1:])]))
