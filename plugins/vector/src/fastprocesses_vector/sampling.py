"""Random places on areas and lines, each as likely as any other on the ground."""

from collections.abc import Callable
from typing import Annotated, NamedTuple

import fastprocesses_sdk as fp
import numpy as np
import shapely
from shapely import Point, box
from shapely.geometry.base import BaseGeometry

from fastprocesses_vector.antimeridian import flattened, unfolded
from fastprocesses_vector.crs import check_longitude_latitude
from fastprocesses_vector.errors import UnusableGeometryError, telling_of
from fastprocesses_vector.examples import LAKE_AND_ROAD
from fastprocesses_vector.measuring import size_of, step_lengths, stepped
from fastprocesses_vector.parts import Array, flat_parts, is_one_place, of_dimension
from fastprocesses_vector.reading import geometry_of

_MOST_POINTS = 200_000
_MOST_ROUNDS = 1000
_ECCENTRICITY_SQUARED = 0.00669437999014
"""Of the WGS84 ellipsoid."""
_WELL_FILLED = 0.05
"""An area that fills so much of its box is drawn from the box, any other from triangles inside it."""

Draw = Callable[[int], Array]
"""Draw so many places."""


@fp.process(
    id="sample-points",
    keywords=["vector", "geojson", "random points", "sample"],
    deterministic=True,
    retryable=True,
    timeout_seconds=600,
    examples=[{"features": LAKE_AND_ROAD, "count": 5, "seed": 1}],
)
def sample_points(
    features: fp.FeatureCollection,
    count: Annotated[int, fp.Input(ge=1, le=_MOST_POINTS)] | None = None,
    density: Annotated[float, fp.Input(gt=0, unit="1/km² or 1/km")] | None = None,
    seed: Annotated[int, fp.Input(ge=0, le=2**53)] = 0,
    *,
    job: fp.Job = fp.NO_JOB,
) -> fp.FeatureCollection:
    """Put random points inside every area and on every line.

    Every place is as likely as any other on the ground, wherever on Earth. The same inputs give the same points.
    A feature of mixed kinds gives points in its areas only, or else on its lines; features of points and those
    without a geometry give none. Each point has the properties of its feature, and `feature_id` where that has an
    id; other members are left out, heights are dropped. There are at most 200,000 points.

    Args:
        features: Where the points may lie; longitude and latitude in WGS84. Invalid areas are mended first.
        count: How many points each feature gets; give this or the density.
        density: How many points there are on a square kilometre of an area, or on a kilometre of a line, rounded to
            whole points for each feature.
        seed: Another one gives other points.
        job: What is told of each feature done.

    Returns:
        The points, by feature in their order.
    """
    if (count is None) == (density is None):
        raise fp.ProcessError("Give either `count` or `density`.", title="How many points?", input="count")
    check_longitude_latitude(features, "features")
    points: list[fp.Feature] = []
    for index, feature in enumerate(job.track(features.features, "Sampling")):
        with telling_of(index, feature):
            geometry = geometry_of(feature)
            wanted = _wanted(geometry, count, density)
            _check_count(len(points) + wanted)
            places = sampled(geometry, wanted, np.random.default_rng([seed, index]))
        points += [_point(feature, place) for place in places.tolist()]
    return features.with_features(points)


def sampled(geometry: BaseGeometry, count: int, random: np.random.Generator) -> Array:
    """Return places in the areas of a geometry, or else on its lines; none where it has neither.

    Args:
        geometry: In longitude and latitude.
        count: How many.
        random: Where chance comes from.

    Returns:
        Longitudes and latitudes, a row each.

    Raises:
        UnusableGeometryError: It can be read in two ways, or is too thin for numbers of this precision.
    """
    if count == 0:
        return np.empty((0, 2))
    flat = flattened(geometry)
    if areas := of_dimension(flat, 2):
        return _in_areas(areas, count, random)
    if lines := of_dimension(geometry, 1):
        return _on_lines(lines, count, random)
    return np.empty((0, 2))


def _wanted(geometry: BaseGeometry, count: int | None, density: float | None) -> int:
    if geometry.is_empty or max(map(shapely.get_dimensions, flat_parts(geometry))) < 1:
        return 0
    if count is not None:
        return count
    assert density is not None
    size = size_of(geometry)
    return round(min(density * (size.area / 1e6 or size.length / 1e3), _MOST_POINTS + 1))


def _check_count(count: int) -> None:
    if count > _MOST_POINTS:
        raise fp.ProcessError(
            f"There would be more than {_MOST_POINTS:,} points; ask for fewer, or for fewer features at a time.",
            title="Too many points",
            input="count",
        )


def _point(feature: fp.Feature, place: list[float]) -> fp.Feature:
    properties = dict(feature.members.get("properties") or {})
    if feature.id is not None:
        properties["feature_id"] = feature.id
    return fp.Feature(fp.Point(place), properties)


# Areas


class Triangles(NamedTuple):
    """Triangles that cover areas, and how likely a place is drawn from each."""

    corners: Array
    """By triangle: three positions."""
    area: np.ndarray
    """By triangle: index of the area it covers a part of."""
    most: Array
    """By triangle: how large a square degree is at its most, relative to the equator."""
    chance: Array
    """By triangle, cumulated: 0 to 1."""


def _in_areas(areas: list[BaseGeometry], count: int, random: np.random.Generator) -> Array:
    triangles = _triangles(areas)
    prepared = np.array(areas, dtype=object)
    shapely.prepare(prepared)
    found: list[Array] = []
    missing = count
    for _ in range(_MOST_ROUNDS):
        places = _drawn(triangles, prepared, max(64, 2 * missing), random)[:missing]
        found.append(places)
        missing -= len(places)
        if not missing:
            return np.vstack(found)
    raise UnusableGeometryError("its areas are too small to find places inside")


def _drawn(triangles: Triangles, areas: np.ndarray, count: int, random: np.random.Generator) -> Array:
    """Draw places, and keep those inside their area, as often as a degree is large there."""
    drawn = np.minimum(np.searchsorted(triangles.chance, random.random(count)), len(triangles.chance) - 1)
    places = _within(triangles.corners[drawn], random.random((2, count)))
    kept = random.random(count) * triangles.most[drawn] < _degree_size(places[:, 1])
    kept &= shapely.contains_xy(areas[triangles.area[drawn]], places[:, 0], places[:, 1])
    return places[kept]


def _within(corners: Array, chances: Array) -> Array:
    """Return a place in each triangle, all of it equally likely."""
    one, other = np.where(chances.sum(axis=0) > 1, 1 - chances, chances)
    origin, first, second = corners[:, 0], corners[:, 1], corners[:, 2]
    places: Array = origin + one[:, None] * (first - origin) + other[:, None] * (second - origin)
    return places


def _triangles(areas: list[BaseGeometry]) -> Triangles:
    corners: list[Array] = []
    owners: list[int] = []
    for index, area in enumerate(areas):
        cover = [_corners(triangle) for triangle in _cover(area)]
        corners += cover
        owners += [index] * len(cover)
    stacked = np.array(corners)
    (ax, ay), (bx, by) = (stacked[:, 1] - stacked[:, 0]).T, (stacked[:, 2] - stacked[:, 0]).T
    south, north = stacked[:, :, 1].min(axis=1), stacked[:, :, 1].max(axis=1)
    nearest = np.where((south <= 0) & (north >= 0), 0.0, np.minimum(np.abs(south), np.abs(north)))
    most = _degree_size(nearest)
    weights = np.abs(ax * by - ay * bx) * most
    if not weights.sum() > 0:
        raise UnusableGeometryError("its areas are too small to find places inside")
    return Triangles(stacked, np.array(owners), most, np.cumsum(weights) / weights.sum())


def _cover(area: BaseGeometry) -> list[BaseGeometry]:
    bounds = box(*area.bounds)
    if area.area < _WELL_FILLED * bounds.area:
        return list(shapely.get_parts(shapely.constrained_delaunay_triangles(area)))
    west, south, east, north = area.bounds
    return [
        shapely.Polygon([(west, south), (east, south), (east, north)]),
        shapely.Polygon([(west, south), (east, north), (west, north)]),
    ]


def _corners(triangle: BaseGeometry) -> Array:
    corners: Array = shapely.get_coordinates(triangle)[:3]
    return corners


def _degree_size(latitudes: Array) -> Array:
    """Return how large a square degree is on the ellipsoid, relative to one at the equator; less near the poles."""
    radians = np.radians(latitudes)
    size: Array = np.cos(radians) / (1 - _ECCENTRICITY_SQUARED * np.sin(radians) ** 2) ** 2
    return size


# Lines


def _on_lines(lines: list[BaseGeometry], count: int, random: np.random.Generator) -> Array:
    every = [unfolded(shapely.get_coordinates(line)) for line in lines]
    stretches = [stepped(positions) for positions in every if not is_one_place(positions)]
    if not stretches:
        raise UnusableGeometryError("its lines lead nowhere")
    starts = np.vstack([steps[:-1] for steps in stretches])
    ends = np.vstack([steps[1:] for steps in stretches])
    lengths = np.concatenate([step_lengths(steps) for steps in stretches])
    chance = np.cumsum(lengths) / lengths.sum()
    drawn = np.minimum(np.searchsorted(chance, random.random(count)), len(chance) - 1)
    places: Array = starts[drawn] + random.random((count, 1)) * (ends[drawn] - starts[drawn])
    return np.array([shapely.get_coordinates(flattened(Point(place)))[0] for place in places])
