"""What is wrong with geometries, and why."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import fastprocesses_sdk as fp
import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from fastprocesses_vector.antimeridian import goes_the_short_way, jumps, rings_of
from fastprocesses_vector.errors import UnusableGeometryError
from fastprocesses_vector.examples import BOWTIE
from fastprocesses_vector.parts import flat_parts, positions_of
from fastprocesses_vector.reading import check_positions, positioned_geometry_of

_PLACE = re.compile(r"\[(?P<x>[^ \]]+) (?P<y>[^ \]]+)[^\]]*\]")


Severity = Literal["error", "warning"]
Position = tuple[float, float]


class Fault(NamedTuple):
    """Something wrong with a geometry."""

    severity: Severity
    reason: str
    position: Position | None = None


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something wrong with the geometry of a feature.

    Attributes:
        index: Of the feature in its collection, counted from 0.
        id: Of the feature, where it has one.
        severity: `error`: results computed with it cannot be trusted; `warning`: against the advice of RFC 7946.
        reason: What is wrong.
        position: Longitude and latitude of the place, where it has one.
    """

    index: Annotated[int, fp.Input(ge=0)]
    id: str | float | None = None
    severity: Severity
    reason: str
    position: Position | None = None


class Validated(fp.Outputs):
    """What is wrong with the geometries of a collection.

    Attributes:
        valid: Whether no geometry has an error; warnings do not count.
        report: Everything found, by feature in their order.
    """

    valid: bool
    report: list[Finding]


@fp.process(
    keywords=["vector", "geojson", "validate"],
    deterministic=True,
    retryable=True,
    timeout_seconds=600,
    examples=[{"features": BOWTIE}],
)
def validate(features: fp.FeatureCollection, *, job: fp.Job = fp.NO_JOB) -> Validated:
    """Report what is wrong with the geometry of every feature, and where.

    Errors are geometries that cannot be read, positions that are no longitude and latitude, areas that cross
    themselves or whose holes lie outside, and edges that could go either way around the Earth. Warnings are
    what RFC 7946 advises against: geometries not cut at the antimeridian (3.1.9) and outlines wound the wrong
    way (3.1.6). Features without a geometry have no faults. The process `repair` mends most of it.

    Args:
        features: What to look at; longitude and latitude in WGS84.
        job: What is told of each feature done.
    """
    report = [
        _finding(index, feature, fault)
        for index, feature in enumerate(job.track(features.features, "Validating"))
        for fault in faults_of(feature)
    ]
    return Validated(valid=all(finding.severity != "error" for finding in report), report=report)


def _finding(index: int, feature: fp.Feature, fault: Fault) -> Finding:
    return Finding(
        index=index,
        id=feature.id,
        severity=fault.severity,
        reason=fault.reason,
        position=fault.position,
    )


def faults_of(feature: fp.Feature) -> Iterator[Fault]:
    """Yield what is wrong with the geometry of a feature."""
    try:
        geometry = positioned_geometry_of(feature)
        if geometry.is_empty:
            return
        check_positions(shapely.get_coordinates(geometry))
    except UnusableGeometryError as error:
        yield Fault("error", str(error))
        return
    yield from _shape_faults(geometry)
    yield from _advice(geometry)


def _shape_faults(geometry: BaseGeometry) -> Iterator[Fault]:
    ways = [_way_round(part) for part in flat_parts(geometry) if part.geom_type == "Polygon"]
    yield from (Fault("error", way) for way in ways if way not in ("short", "plain"))
    if "short" in ways:  # seen from above it is no valid area, and on the globe it may well be
        return
    reason = shapely.is_valid_reason(geometry)
    if not shapely.is_valid(geometry):
        yield Fault("error", _PLACE.sub("", reason).strip().lower(), _position(reason))


def _way_round(polygon: BaseGeometry) -> str:
    try:
        return "short" if goes_the_short_way(polygon) else "plain"
    except UnusableGeometryError as error:
        return str(error)


def _position(reason: str) -> Position | None:
    place = _PLACE.search(reason)
    if place is None:
        return None
    position = (float(place["x"]), float(place["y"]))
    return position if np.isfinite(position).all() else None


def _advice(geometry: BaseGeometry) -> Iterator[Fault]:
    positions = shapely.get_coordinates(geometry)
    if (np.abs(positions[:, 0]) > 180).any():
        yield Fault("warning", "longitudes beyond 180: RFC 7946 (3.1.9) cuts at the antimeridian")
    elif _crosses(geometry):
        yield Fault("warning", "crosses the antimeridian: RFC 7946 (3.1.9) cuts there")
    if any(_is_wound_wrong(part) for part in flat_parts(geometry) if part.geom_type == "Polygon"):
        yield Fault(
            "warning", "wound the wrong way: outer rings are counterclockwise, holes clockwise (3.1.6)"
        )


def _crosses(geometry: BaseGeometry) -> bool:
    for part in flat_parts(geometry):
        if part.geom_type == "LineString" and jumps(positions_of(part)).any():
            return True
        if part.geom_type == "Polygon" and _way_round(part) == "short":
            return True
    return False


def _is_wound_wrong(polygon: BaseGeometry) -> bool:
    outer, *holes = rings_of(polygon)
    return not shapely.is_ccw(outer) or any(shapely.is_ccw(hole) for hole in holes)
