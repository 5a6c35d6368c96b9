"""Features united by the value of a property."""

import json
from collections.abc import Iterable
from itertools import islice
from typing import Any

import fastprocesses_sdk as fp
import shapely
from shapely import MultiLineString
from shapely.geometry.base import BaseGeometry

from fastprocesses_vector.antimeridian import flattened
from fastprocesses_vector.crs import check_longitude_latitude
from fastprocesses_vector.errors import named, telling_of
from fastprocesses_vector.examples import DISTRICTS
from fastprocesses_vector.parts import of_dimension, simplest, wound
from fastprocesses_vector.reading import geometry_of

Numbered = tuple[int, fp.Feature]
"""A feature with its index."""
_COUNT = "feature_count"


@fp.process(
    keywords=["vector", "geojson", "dissolve", "union"],
    deterministic=True,
    retryable=True,
    timeout_seconds=600,
    examples=[{"features": DISTRICTS, "by": "city", "sums": ["people"]}],
)
def dissolve(
    features: fp.FeatureCollection,
    by: str | None = None,
    sums: tuple[str, ...] = (),
    *,
    job: fp.Job = fp.NO_JOB,
) -> fp.FeatureCollection:
    """Unite the features that have the same value of a property, or all of them.

    Areas that touch or overlap become one, lines that meet end to end are joined, and what an area covers is part
    of it; kinds that are mixed make a GeometryCollection. Heights are dropped, invalid areas are mended first,
    and areas across the antimeridian are cut there.

    Of the properties those remain in which all features of a group agree, and `feature_count` tells how many
    features there were; their ids and other members are left out, those of the collection are kept. Features
    without a geometry count, and a group without any has none.

    Args:
        features: What to unite; longitude and latitude in WGS84.
        by: The property to go by. Features that do not have it, or have null, are a group of their own. Left
            out: all features become one.
        sums: Properties with numbers to add up over each group; what is null or absent adds nothing.
        job: What is told of each feature done.

    Returns:
        A feature for each value, in the order in which the values come first.
    """
    check_longitude_latitude(features, "features")
    _check_known(features.features, [*([] if by is None else [by]), *sums])
    groups = _groups(features.features, by)
    in_order = iter(job.track([each for group in groups for each in group], "Dissolving"))
    dissolved = []
    for group in groups:
        geometries = [_geometry(index, feature) for index, feature in islice(in_order, len(group))]
        properties = {**_agreed(group), **_summed(group, sums), _COUNT: len(group)}
        united = _united([geometry for geometry in geometries if not geometry.is_empty])
        dissolved.append(fp.Feature(None if united.is_empty else wound(united), properties))
    for _ in in_order:  # tells that all is done
        pass
    return features.with_features(dissolved)


def _check_known(features: list[fp.Feature], names: Iterable[str]) -> None:
    known = dict.fromkeys(name for feature in features for name in feature.members.get("properties") or ())
    for name in names:
        if features and name not in known:
            listed = ", ".join(list(known)[:50]) or "none"
            raise fp.ProcessError(
                f"No feature has a property {name!r}; there are: {listed}.",
                title="Unknown property",
                input="features",
            )


def _groups(features: list[fp.Feature], by: str | None) -> list[list[Numbered]]:
    groups: dict[str, list[Numbered]] = {}
    for index, feature in enumerate(features):
        key = "" if by is None else _key((feature.members.get("properties") or {}).get(by))
        groups.setdefault(key, []).append((index, feature))
    return list(groups.values())


def _key(value: Any) -> str:
    """Return what is the same for the same value; 1 and 1.0 are the same number, 1 and true are not the same."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, sort_keys=True)


def _geometry(index: int, feature: fp.Feature) -> BaseGeometry:
    with telling_of(index, feature):
        return flattened(geometry_of(feature))


def _united(geometries: list[BaseGeometry]) -> BaseGeometry:
    united = shapely.union_all(geometries)
    points, lines, areas = (of_dimension(united, dimension) for dimension in range(3))
    merged = [shapely.line_merge(MultiLineString(lines))] if lines else []
    return simplest([*points, *merged, *areas])


def _agreed(group: list[Numbered]) -> dict[str, Any]:
    first, *others = (feature.members.get("properties") or {} for _, feature in group)
    absent = object()
    return {
        name: value
        for name, value in first.items()
        if all(properties.get(name, absent) == value for properties in others)
    }


def _summed(group: list[Numbered], names: Iterable[str]) -> dict[str, float]:
    return {name: sum(_number(each, name) for each in group) for name in names}


def _number(numbered: Numbered, name: str) -> float:
    index, feature = numbered
    value = (feature.members.get("properties") or {}).get(name)
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise fp.ProcessError(
            f"{named(index, feature)}: its property {name!r} is no number, so that it cannot be added up.",
            title="Not a number",
            input="sums",
        )
    return value
