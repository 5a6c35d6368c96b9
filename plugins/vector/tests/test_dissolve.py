"""Features are united by value, and what they agree in stays."""

from typing import Any

import fastprocesses_sdk as fp
import pytest
import shapely
from fastprocesses_vector import dissolve, measure
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod
from shapely import GeometryCollection, LineString, MultiLineString, Point, Polygon, box
from shapely.geometry import shape

GEOD = Geod(ellps="WGS84")


def cells(*rows: tuple[Any, dict[str, Any] | None]) -> fp.FeatureCollection:
    features = [fp.Feature(geometry, id=index) for index, (geometry, _) in enumerate(rows)]
    for feature, (_, properties) in zip(features, rows, strict=True):
        feature.members["properties"] = properties
    return fp.FeatureCollection(features)


def test_by_a_property():
    features = cells(
        (box(0, 0, 1, 1), {"land": "a", "people": 1, "sea": "x"}),
        (box(5, 0, 6, 1), {"land": "b", "people": 2, "sea": "x"}),
        (box(1, 0, 2, 1), {"land": "a", "people": 3.5, "sea": "x", "more": 1}),
    )

    first, second = dissolve(features, "land", ("people",)).features

    assert shape(first.geometry).equals(box(0, 0, 2, 1))
    assert shape(second.geometry).equals(box(5, 0, 6, 1))
    assert first.properties == {"land": "a", "people": 4.5, "sea": "x", "feature_count": 2}
    assert second.properties == {"land": "b", "people": 2, "sea": "x", "feature_count": 1}
    assert first.id is None


def test_all_in_one():
    (whole,) = dissolve(cells((box(0, 0, 1, 1), {"a": 1}), (box(3, 0, 4, 1), {"a": 2}))).features

    assert shape(whole.geometry).equals(box(0, 0, 1, 1).union(box(3, 0, 4, 1)))
    assert whole.properties == {"feature_count": 2}


def test_values_are_the_same_as_json_has_them():
    values = [1, 1.0, True, "1", None, [1], [1], {"a": 1, "b": 2}, {"b": 2, "a": 1}]
    rows = [(Point(i, 0), {"v": value}) for i, value in enumerate(values)]

    groups = dissolve(cells(*rows, (Point(9, 9), {}), (Point(8, 8), None)), "v").features

    assert [group.properties["feature_count"] for group in groups] == [2, 1, 1, 3, 2, 2]


@pytest.mark.parametrize(
    ("geometries", "expected"),
    [
        ([LineString([(0, 0), (1, 1)]), LineString([(1, 1), (2, 0)])], LineString([(0, 0), (1, 1), (2, 0)])),
        (
            [LineString([(0, 0), (1, 0)]), LineString([(3, 0), (4, 0)])],
            MultiLineString([[(0, 0), (1, 0)], [(3, 0), (4, 0)]]),
        ),
        ([Point(0, 0), Point(0, 0)], Point(0, 0)),
        ([Point(0.5, 0.5), box(0, 0, 1, 1)], box(0, 0, 1, 1)),
        ([Point(5, 5), box(0, 0, 1, 1)], GeometryCollection([Point(5, 5), box(0, 0, 1, 1)])),
        ([GeometryCollection([box(0, 0, 1, 1), Point(5, 5)]), box(1, 0, 2, 1)], None),
        ([Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])], None),
    ],
    ids=["lines that meet", "lines apart", "points", "covered", "mixed", "collection", "bowtie"],
)
def test_kinds(geometries, expected):
    (whole,) = dissolve(cells(*((geometry, {}) for geometry in geometries))).features

    found = shape(whole.geometry)
    assert found.is_valid
    if expected is not None:
        assert found.equals(expected)
        assert found.geom_type == expected.geom_type


def test_features_without_a_geometry_count():
    features = cells((None, {"v": 1}), (box(0, 0, 1, 1), {"v": 1}), (None, {"v": 2}))

    first, second = dissolve(features, "v").features

    assert (first.properties["feature_count"], shape(first.geometry).area) == (2, 1)
    assert (second.properties["feature_count"], second.geometry) == (1, None)


def test_over_the_antimeridian_it_is_cut_there():
    (whole,) = dissolve(cells((box(179, 0, 181, 1), {}), (box(-180, 1, -179, 2), {}))).features

    found = shape(whole.geometry)
    assert found.geom_type == "MultiPolygon"
    assert found.area == pytest.approx(3)
    assert (found.bounds[0], found.bounds[2]) == (-180, 180)


def test_an_unknown_property_names_those_there_are():
    with pytest.raises(fp.ProcessError, match=r"'lnad'; there are: land, name") as caught:
        dissolve(cells((Point(0, 0), {"land": 1}), (Point(0, 0), {"name": 1})), "lnad")

    assert caught.value.input == "features"


@pytest.mark.parametrize("value", ["many", True, [1]])
def test_only_numbers_add_up(value):
    with pytest.raises(fp.ProcessError, match=r"Feature 1.*'n' is no number") as caught:
        dissolve(cells((Point(0, 0), {"n": 1}), (Point(0, 0), {"n": value})), sums=("n",))

    assert caught.value.input == "sums"


def test_what_is_absent_adds_nothing():
    (whole,) = dissolve(
        cells((Point(0, 0), {"n": 1}), (Point(0, 0), {"n": None}), (Point(0, 0), {})), sums=("n",)
    ).features

    assert whole.properties["n"] == 1


@settings(max_examples=40, deadline=None)
@given(
    cells_at=st.lists(st.tuples(st.integers(-150, 150), st.integers(-80, 80)), unique=True, max_size=12),
    kinds=st.integers(1, 3),
)
def test_areas_side_by_side_keep_their_total(cells_at, kinds):
    squares = [box(x, y, x + 1, y + 1) for x, y in cells_at]
    features = cells(*((square, {"kind": index % kinds}) for index, square in enumerate(squares)))

    whole = dissolve(features, "kind") if cells_at else dissolve(features)

    total = sum(abs(GEOD.geometry_area_perimeter(shapely.segmentize(each, 0.1))[0]) for each in squares)
    assert measure(whole).area == pytest.approx(total, rel=1e-4)
    assert sum(each.properties["feature_count"] for each in whole.features) == len(squares)
