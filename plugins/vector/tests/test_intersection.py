"""Every pair that overlaps gives a feature with the properties of both."""

from typing import Any

import fastprocesses_sdk as fp
import pytest
import shapely
from fastprocesses_vector import intersecting, intersection
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import GeometryCollection, LineString, MultiPoint, MultiPolygon, Point, Polygon, box
from shapely.geometry import shape


def collection(*rows: tuple[Any, dict[str, Any]]) -> fp.FeatureCollection:
    return fp.FeatureCollection([fp.Feature(geometry, properties, id="x") for geometry, properties in rows])


def common(one: Any, other: Any) -> Any:
    found = intersection(collection((one, {})), collection((other, {}))).features
    return shape(found[0].geometry) if found else None


CROSS = (LineString([(0, 0), (2, 2)]), LineString([(0, 2), (2, 0)]))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (box(0, 0, 2, 2), box(1, 1, 3, 3), box(1, 1, 2, 2)),
        (box(0, 0, 1, 1), box(1, 0, 2, 1), None),
        (box(0, 0, 1, 1), box(5, 5, 6, 6), None),
        (LineString([(-1, 0.5), (3, 0.5)]), box(0, 0, 1, 1), LineString([(0, 0.5), (1, 0.5)])),
        (LineString([(1, 2), (2, 1), (3, 2)]), box(0, 0, 2, 1), None),
        (Point(1, 1), box(0, 0, 1, 1), Point(1, 1)),
        (Point(1, 1), LineString([(0, 0), (2, 2)]), Point(1, 1)),
        (MultiPoint([(1, 1), (9, 9)]), box(0, 0, 2, 2), Point(1, 1)),
        (*CROSS, Point(1, 1)),
        (LineString([(0, 0), (2, 0)]), LineString([(1, 0), (3, 0)]), LineString([(1, 0), (2, 0)])),
        (GeometryCollection([Point(1, 1), box(5, 5, 6, 6)]), box(0, 0, 2, 2), Point(1, 1)),
        (GeometryCollection([Point(9, 1), box(5, 5, 6, 6)]), box(0, 0, 2, 2), None),
        (
            Polygon([(0, 0), (2, 2), (2, 0), (0, 2)]),
            box(0, 0, 1, 2),
            Polygon([(0, 0), (1, 1), (0, 2)]),
        ),
        (box(175, 0, 185, 1), box(-180, 0, -170, 1), box(-180, 0, -175, 1)),
        (None, box(0, 0, 1, 1), None),
        (box(0, 0, 1, 1), None, None),
    ],
    ids=str,
)
def test_what_two_have_in_common(one, other, expected):
    there, back = common(one, other), common(other, one)

    if expected is None:
        assert (there, back) == (None, None)
    else:
        assert there.equals(expected)
        assert back.equals(expected)


def test_over_the_antimeridian_it_is_cut_there():
    found = common(box(175, 0, 185, 1), box(170, 0, 190, 0.5))

    assert found.equals(MultiPolygon([box(175, 0, 180, 0.5), box(-180, 0, -175, 0.5)]))


def test_every_pair_in_order_with_both_properties():
    ours = collection((box(0, 0, 3, 1), {"name": "a", "n": 1}), (box(0, 2, 3, 3), {"name": "b"}))
    theirs = collection(
        (box(2, 0, 3, 3), {"name": "x", "t": 1}), (box(0, 0, 1, 3), {"name": "y", "other_name": "z"})
    )

    found = intersection(ours, theirs).features

    assert [each.properties for each in found] == [
        {"name": "a", "n": 1, "other_name": "x", "t": 1},
        {"name": "a", "n": 1, "other_name": "y", "other_other_name": "z"},
        {"name": "b", "other_name": "x", "t": 1},
        {"name": "b", "other_name": "y", "other_other_name": "z"},
    ]
    assert all(each.id is None for each in found)


def test_no_property_hides_another_whatever_the_order():
    ours = collection((box(0, 0, 1, 1), {"name": "a"}))
    theirs = collection((box(0, 0, 1, 1), {"other_name": "z", "name": "y"}))

    (found,) = intersection(ours, theirs).features

    assert sorted(found.properties.values()) == ["a", "y", "z"]


def test_another_prefix():
    one = collection((box(0, 0, 1, 1), {"name": 1}))

    (found,) = intersection(one, one, "b.").features

    assert found.properties == {"name": 1, "b.name": 1}


def test_a_fault_in_the_second_collection_is_told_of_it():
    good, bad = collection((Point(0, 0), {})), collection((Point(0, 0), {}), (Point(0, 99), {}))

    with pytest.raises(fp.ProcessError, match=r"Feature 1 \(id 'x'\) of other: the latitude 99") as caught:
        intersection(good, bad)

    assert caught.value.input == "other"


def test_too_many_overlaps_are_refused(monkeypatch):
    monkeypatch.setattr(intersecting, "_MOST_FEATURES", 3)
    many = collection(*[(box(0, 0, 1, 1), {})] * 2)

    with pytest.raises(fp.ProcessError, match="more than 3 overlaps; intersect smaller parts"):
        intersection(many, many)


squares = st.lists(
    st.tuples(st.integers(-20, 20), st.integers(-20, 20), st.integers(1, 8)).map(
        lambda found: box(found[0], found[1], found[0] + found[2], found[1] + found[2])
    ),
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(ours=squares, theirs=squares)
def test_it_is_what_shapely_finds_for_each_pair(ours, theirs):
    found = intersection(
        collection(*((each, {"a": i}) for i, each in enumerate(ours))),
        collection(*((each, {"b": i}) for i, each in enumerate(theirs))),
    ).features

    pairs = {(each.properties["a"], each.properties["b"]): shape(each.geometry) for each in found}
    expected = {
        (i, j): shapely.intersection(one, other)
        for i, one in enumerate(ours)
        for j, other in enumerate(theirs)
        if shapely.intersection(one, other).area > 0
    }
    assert list(pairs) == sorted(expected)
    assert all(pairs[pair].equals(expected[pair]) for pair in expected)
