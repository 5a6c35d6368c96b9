"""Positions in other coordinate reference systems."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import fastprocesses_sdk as fp
import numpy as np
import shapely
from pyproj import CRS, Transformer
from shapely.geometry.base import BaseGeometry

from fastprocesses_vector.antimeridian import flattened, jumps
from fastprocesses_vector.crs import CRS84, crs_member, crs_named, is_longitude_latitude, short_name
from fastprocesses_vector.errors import UnusableGeometryError, telling_of
from fastprocesses_vector.examples import LAKE_AND_ROAD
from fastprocesses_vector.parts import Array, as_kind_of, flat_parts, positions_of, wound
from fastprocesses_vector.reading import check_positions, positioned_geometry_of


@fp.process(
    keywords=["vector", "geojson", "reproject", "crs"],
    deterministic=True,
    retryable=True,
    timeout_seconds=600,
    examples=[{"features": LAKE_AND_ROAD, "to_crs": "EPSG:25832"}],
)
def reproject(
    features: fp.FeatureCollection,
    to_crs: str = CRS84,
    from_crs: str | None = None,
    *,
    job: fp.Job = fp.NO_JOB,
) -> fp.FeatureCollection:
    """Bring positions from one coordinate reference system to another.

    Systems are named as `EPSG:25832`, `http://www.opengis.net/def/crs/EPSG/0/25832`,
    `urn:ogc:def:crs:EPSG::25832` or `OGC:CRS84`. The order of the axes is that of GeoJSON in every system:
    longitude or easting first, then latitude or northing, then height. Heights are kept; they change only where
    both systems say what they are measured from.

    GeoJSON is in longitude and latitude by its standard (RFC 7946). In another system the result says so in the
    member `crs` of the collection, as the GeoJSON of 2008 did and many programs read: it is for those that know.
    Only positions move: no edge gets further positions, so densify long ones first. Areas need not be valid.
    Properties, ids and other members are kept, and so are features without a geometry.

    Args:
        features: What to bring to another system.
        to_crs: The system wanted; left out, longitude and latitude in WGS84.
        from_crs: The system the features are in; left out, what their member `crs` says, else longitude and
            latitude in WGS84.
        job: What is told of each feature done, and of how many lie outside the area of use of the system.

    Returns:
        The features in the system wanted; in longitude and latitude they are cut at the antimeridian.
    """
    source = _source(features, from_crs)
    target = crs_named(to_crs, "to_crs")
    move = _mover(source, target)
    moved = []
    outside = 0
    for index, feature in enumerate(job.track(features.features, "Reprojecting")):
        with telling_of(index, feature):
            geometry = positioned_geometry_of(feature)
            if geometry.is_empty:
                moved.append(feature)
                continue
            moved.append(feature.with_geometry(move(geometry)))
            outside += _is_outside(geometry, source, target)
    if outside:
        _tell_outside(job, outside, len(moved), target, to_crs)
    return _in_system(features.with_features(moved), target, to_crs)


def _source(features: fp.FeatureCollection, from_crs: str | None) -> CRS:
    if from_crs is not None:
        return crs_named(from_crs, "from_crs")
    named = crs_member(features)
    if named and is_longitude_latitude(crs_named(named, "features")):
        return crs_named(CRS84, "features")
    return crs_named(named or CRS84, "features")


def _mover(source: CRS, target: CRS) -> Callable[[BaseGeometry], BaseGeometry]:
    transform = _transformer(source, target)
    around_the_globe = target.is_geographic and not source.is_geographic

    def move(geometry: BaseGeometry) -> BaseGeometry:
        if source.is_geographic:
            check_positions(shapely.get_coordinates(geometry))
        there = shapely.transform(
            geometry,
            lambda positions: _transformed(transform, positions),
            include_z=bool(shapely.has_z(geometry)),
        )
        _check_moved(geometry, there, target)
        if around_the_globe and any(jumps(positions_of(ring)).any() for ring in _strings(there)):
            return wound(as_kind_of(geometry, flattened(there, heights=True, edges_are_short=True)))
        return there

    return move


@lru_cache(maxsize=64)
def _transformer(source: CRS, target: CRS) -> Transformer:
    return Transformer.from_crs(source, target, always_xy=True)


def _transformed(transform: Transformer, positions: Array) -> Array:
    if len(positions) == 1:  # pyproj takes arrays of one for numbers, of which numpy warns
        return _transformed(transform, np.repeat(positions, 2, axis=0))[:1]
    return np.column_stack(transform.transform(*positions.T))


def _strings(geometry: BaseGeometry) -> list[BaseGeometry]:
    parts = flat_parts(geometry)
    lines = [part for part in parts if part.geom_type == "LineString"]
    areas = [part for part in parts if part.geom_type == "Polygon"]
    return [*lines, *(ring for area in areas for ring in (area.exterior, *area.interiors))]


def _check_moved(geometry: BaseGeometry, there: BaseGeometry, target: CRS) -> None:
    lost = ~np.isfinite(shapely.get_coordinates(there)).all(axis=1)
    if lost.any():
        x, y = shapely.get_coordinates(geometry)[lost][0]
        raise UnusableGeometryError(
            f"the position {x:g}, {y:g} has no place in {target.name}, which is for {_area_of_use(target)}; "
            "see that from_crs is the system the features are in, and clip them to where the other is defined"
        )


def _area_of_use(crs: CRS) -> str:
    area = crs.area_of_use
    if area is None:
        return "a part of the Earth"
    bounds = f"west {area.west:g}, south {area.south:g}, east {area.east:g}, north {area.north:g}"
    return f"{area.name.partition(':')[0].rstrip('.')} ({bounds})"  # the countries in it come after the colon


def _is_outside(geometry: BaseGeometry, source: CRS, target: CRS) -> bool:
    """Whether a geometry reaches out of the area of use of the system it goes to."""
    area = target.area_of_use
    if area is None:
        return False
    if not is_longitude_latitude(source):
        transform = _transformer(source, crs_named(CRS84, "to_crs"))
        geometry = shapely.transform(geometry, lambda positions: _transformed(transform, positions))
    west, south, east, north = geometry.bounds
    slack = 1e-9
    inside = area.south - slack <= south and north <= area.north + slack
    if area.west > area.east:  # the area of use lies across the antimeridian
        return not (inside and (west >= area.west - slack or east <= area.east + slack))
    return not (inside and area.west - slack <= west and east <= area.east + slack)


def _tell_outside(job: fp.Job, outside: int, count: int, target: CRS, to_crs: str) -> None:
    job.message(
        f"{outside} of {count} features reach out of where {to_crs} is meant for, {_area_of_use(target)}: "
        "positions there may be inexact"
    )
    job.log("features reach out of the area of use", "warning", crs=to_crs, features=outside)


def _in_system(features: fp.FeatureCollection, target: CRS, to_crs: str) -> fp.FeatureCollection:
    members: dict[str, Any] = {
        name: value for name, value in features.members.items() if name not in ("type", "crs", "features")
    }
    if not is_longitude_latitude(target):
        authority, _, code = short_name(to_crs).partition(":")
        members["crs"] = {"type": "name", "properties": {"name": f"urn:ogc:def:crs:{authority}::{code}"}}
    return fp.FeatureCollection(features.features, **members)
