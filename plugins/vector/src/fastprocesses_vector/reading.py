"""GeoJSON features → geometries to compute with."""

from collections.abc import Callable
from typing import Any

import fastprocesses_sdk as fp
import numpy as np
import shapely
from shapely import Polygon
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from fastprocesses_vector.crs import check_longitude_latitude
from fastprocesses_vector.errors import UnusableGeometryError, telling_of
from fastprocesses_vector.parts import Array, with_whole_heights, without_traces

_NOT_READABLE = (
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    AttributeError,
    OverflowError,
    shapely.GEOSException,
)
_ADVICE = "positions are longitude, latitude in degrees; the process reproject brings other systems there"


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
    check_longitude_latitude(collection, "features")
    changed = []
    for index, feature in enumerate(job.track(collection.features, doing)):
        with telling_of(index, feature):
            geometry = geometry_of(feature)
            changed.append(feature if geometry.is_empty else change(feature, geometry))
    return collection.with_features(changed)


def geometry_of(feature: fp.Feature) -> BaseGeometry:
    """Return the feature's geometry as it stands, empty where it is null.

    Raises:
        UnusableGeometryError: Its positions are no longitudes and latitudes.
    """
    geometry = positioned_geometry_of(feature)
    check_positions(shapely.get_coordinates(geometry))
    return without_traces(geometry)


def positioned_geometry_of(feature: fp.Feature) -> BaseGeometry:
    """Return the feature's geometry, in whatever system its positions are; empty where it is null.

    Heights are dropped where only some positions have one, and so are members of positions beyond the third.

    Raises:
        UnusableGeometryError: It cannot be read, or a coordinate is no finite number.
    """
    if feature.geometry is None:
        return Polygon()
    try:
        geometry = with_whole_heights(_shaped(feature.geometry.members))
    except _NOT_READABLE as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise UnusableGeometryError(f"its geometry cannot be read: {reason[0]}") from error
    if not np.isfinite(shapely.get_coordinates(geometry)).all():
        raise UnusableGeometryError("a coordinate is no finite number")
    return geometry


def _shaped(members: dict[str, Any]) -> BaseGeometry:
    try:
        return shape(members)
    except ValueError:
        return shape(_level(members))


def _level(members: dict[str, Any]) -> dict[str, Any]:
    """Return a geometry whose positions are two numbers each."""
    if "geometries" in members:
        return {"type": members["type"], "geometries": [_level(inner) for inner in members["geometries"]]}
    return {"type": members["type"], "coordinates": _level_positions(members["coordinates"])}


def _level_positions(coordinates: Any) -> Any:
    if coordinates and not isinstance(coordinates[0], list | tuple):
        return coordinates[:2]
    return [_level_positions(inner) for inner in coordinates]


def check_positions(positions: Array) -> None:
    """Refuse what cannot be longitude and latitude.

    Raises:
        UnusableGeometryError: A latitude is beyond 90, or a longitude beyond one and a half times around.
    """
    beyond = np.abs(positions[:, 1]) > 90
    if beyond.any():
        raise UnusableGeometryError(f"the latitude {positions[beyond][0, 1]:g} is beyond 90; {_ADVICE}")
    beyond = np.abs(positions[:, 0]) > 540
    if beyond.any():
        raise UnusableGeometryError(f"the longitude {positions[beyond][0, 0]:g} is beyond 540; {_ADVICE}")
