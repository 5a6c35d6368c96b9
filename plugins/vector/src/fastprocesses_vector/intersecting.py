"""Where the features of two collections overlap."""

from collections.abc import Mapping
from typing import Annotated, Any

import fastprocesses_sdk as fp
import shapely
from shapely import STRtree
from shapely.geometry.base import BaseGeometry

from fastprocesses_vector.antimeridian import flattened
from fastprocesses_vector.crs import check_longitude_latitude
from fastprocesses_vector.errors import telling_of
from fastprocesses_vector.examples import DISTRICTS, FLOOD
from fastprocesses_vector.parts import by_kind, of_dimension, simplest, wound
from fastprocesses_vector.reading import geometry_of

_MOST_FEATURES = 1_000_000


@fp.process(
    keywords=["vector", "geojson", "intersection", "overlay"],
    deterministic=True,
    retryable=True,
    timeout_seconds=600,
    examples=[{"features": DISTRICTS, "other": FLOOD}],
)
def intersection(
    features: fp.FeatureCollection,
    other: fp.FeatureCollection,
    prefix: Annotated[str, fp.Input(min_length=1, max_length=64)] = "other_",
    *,
    job: fp.Job = fp.NO_JOB,
) -> fp.FeatureCollection:
    """Find where the features of two collections overlap, with the properties of both.

    There is a feature for every pair that has something in common: areas of two areas, lines of a line and an
    area, points of a point and anything; two lines have stretches and crossings in common. What only touches is
    left out. Heights are dropped, invalid areas are mended first, and results are cut at the antimeridian. Ids
    and other members of features are left out, as one may appear several times; those of the first collection
    itself are kept.

    Args:
        features: The first collection; longitude and latitude in WGS84.
        other: The second collection; longitude and latitude in WGS84.
        prefix: Put before the names of properties of the second collection that the first has, too.
        job: What is told of each feature of the first collection done.

    Returns:
        A feature for every pair, in the order of the first, then of the second collection.
    """
    check_longitude_latitude(features, "features")
    check_longitude_latitude(other, "other")
    theirs = [_flat(index, feature, "other") for index, feature in enumerate(other.features)]
    names = _names(features.features, other.features, prefix)
    tree = STRtree(theirs)
    found: list[fp.Feature] = []
    for index, feature in enumerate(job.track(features.features, "Intersecting")):
        ours = _flat(index, feature, "features")
        for at in sorted(tree.query(ours, predicate=_predicate(ours))):
            with telling_of(index, feature):
                common = in_common(ours, theirs[at])
            if not common.is_empty:
                found.append(fp.Feature(wound(common), _both(feature, other.features[at], names)))
        _check_count(len(found))
    return features.with_features(found)


def in_common(ours: BaseGeometry, theirs: BaseGeometry) -> BaseGeometry:
    """Return what two flattened geometries have in common, without what only touches."""
    common: list[BaseGeometry] = []
    for one in by_kind(ours):
        for another in by_kind(theirs):
            dimensions = sorted((shapely.get_dimensions(one), shapely.get_dimensions(another)))
            shared = shapely.intersection(one, another)
            common += of_dimension(shared, dimensions[0])
            if dimensions == [1, 1]:
                common += of_dimension(shared, 0)
    return simplest(common)


def _flat(index: int, feature: fp.Feature, name: str) -> BaseGeometry:
    with telling_of(index, feature, name):
        return flattened(geometry_of(feature))


def _predicate(geometry: BaseGeometry) -> str | None:
    """GEOS asks no collection of mixed kinds; for those the boxes must do."""
    return None if geometry.geom_type == "GeometryCollection" else "intersects"


def _names(ours: list[fp.Feature], theirs: list[fp.Feature], prefix: str) -> dict[str, str]:
    """Return what the properties of the second collection are called in the result."""
    taken = {name for feature in ours for name in feature.members.get("properties") or ()}
    names: dict[str, str] = {}
    for feature in theirs:
        for name in feature.members.get("properties") or ():
            if name not in names:
                names[name] = _free(name, prefix, taken)
    return names


def _free(name: str, prefix: str, taken: set[str]) -> str:
    while name in taken:
        name = prefix + name
    taken.add(name)
    return name


def _both(ours: fp.Feature, theirs: fp.Feature, names: Mapping[str, str]) -> dict[str, Any]:
    other = theirs.members.get("properties") or {}
    return {
        **(ours.members.get("properties") or {}),
        **{names[name]: value for name, value in other.items()},
    }


def _check_count(count: int) -> None:
    if count > _MOST_FEATURES:
        raise fp.ProcessError(
            f"There are more than {_MOST_FEATURES:,} overlaps; intersect smaller parts of the collections.",
            title="Too many results",
        )
