"""What is cut lies inside, keeps its kind, and agrees with shapely and pyproj where the map is plain."""

from typing import Any

import fastprocesses_sdk as fp
import pytest
import shapely
from fastprocesses_vector import clip, measure
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod
from shapely import LineString, MultiPoint, MultiPolygon, Point, Polygon, box
from shapely.geometry import shape

GEOD = Geod(ellps="WGS84")


def collection(*geometries: Any) -> fp.FeatureCollection:
    return fp.FeatureCollection(
        [fp.Feature(geometry, {"index": i}, id=i, note=i) for i, geometry in enumerate(geometries)]
    )


def clipped(geometry: Any, mask: Any = None, **options: Any) -> Any:
    mask = None if mask is None else collection(mask)
    found = clip(collection(geometry), mask, **options).features
    return shape(found[0].geometry) if found else None


@pytest.mark.parametrize(
    ("geometry", "expected"),
    [
        (box(1, 1, 2, 2), box(1, 1, 2, 2)),
        (box(5, 5, 15, 15), box(5, 5, 10, 10)),
        (box(20, 20, 30, 30), None),
        (box(10, 0, 20, 10), None),
        (LineString([(-5, 5), (15, 5)]), LineString([(0, 5), (10, 5)])),
        (LineString([(10, -5), (10, -1)]), None),
        (Point(10, 10), Point(10, 10)),
        (Point(11, 10), None),
        (MultiPoint([(1, 1), (11, 11)]), MultiPoint([(1, 1)])),
        (MultiPolygon([box(1, 1, 2, 2), box(20, 20, 21, 21)]), MultiPolygon([box(1, 1, 2, 2)])),
        (
            shapely.GeometryCollection([box(5, 5, 15, 15), LineString([(10, 5), (20, 5)]), Point(3, 3)]),
            shapely.GeometryCollection([box(5, 5, 10, 10), Point(3, 3)]),
        ),
        (Polygon([(8, 0), (12, 4), (12, 0), (8, 4)]), Polygon([(8, 0), (8, 4), (10, 2)])),
    ],
    ids=str,
)
def test_what_lies_inside_is_kept(geometry, expected):
    found = clipped(geometry, box(0, 0, 10, 10))

    if expected is None:
        assert found is None
    else:
        assert found.geom_type == expected.geom_type
        assert found.equals(expected)


def test_the_rest_of_a_feature_is_kept_and_order_too():
    found = clip(
        collection(box(5, 5, 15, 15), box(50, 50, 51, 51), Point(1, 1)), collection(box(0, 0, 10, 10))
    )

    assert [(each.id, each.properties, each.members["note"]) for each in found.features] == [
        (0, {"index": 0}, 0),
        (2, {"index": 2}, 2),
    ]


def test_features_without_a_geometry_are_left_out():
    assert clip(collection(None, Point()), collection(box(0, 0, 10, 10))).features == []


@pytest.mark.parametrize(
    "mask",
    [
        fp.FeatureCollection([fp.Feature(box(0, 0, 6, 10)), fp.Feature(None), fp.Feature(box(4, 0, 10, 10))]),
        fp.Polygon.of(box(0, 0, 10, 10)),
        fp.MultiPolygon.of(MultiPolygon([box(0, 0, 10, 10)])),
    ],
    ids=["collection", "polygon", "polygons"],
)
def test_forms_of_a_mask(mask):
    (found,) = clip(collection(box(-5, 2, 15, 3)), mask).features

    assert shape(found.geometry).equals(box(0, 2, 10, 3))


@pytest.mark.parametrize(
    "mask",
    [
        {"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {}, "geometry": None}]},
        {"type": "Polygon", "coordinates": [[[7.0, 50], [7.2, 50], [7.2, 52], [7.0, 52], [7.0, 50]]]},
        {"type": "MultiPolygon", "coordinates": [[[[7.0, 50], [7.2, 50], [7.2, 52], [7.0, 52], [7.0, 50]]]]},
    ],
    ids=["collection", "polygon", "polygons"],
)
def test_forms_of_a_mask_as_a_client_sends_them(mask):
    if mask["type"] == "FeatureCollection":
        area = {"type": "Polygon", "coordinates": [[[7.0, 50], [7.2, 50], [7.2, 52], [7.0, 52], [7.0, 50]]]}
        mask["features"][0]["geometry"] = area
        mask["bbox"] = [7.0, 50, 7.2, 52]
    line = {"type": "LineString", "coordinates": [[6, 51], [8, 51]]}
    features = {
        "type": "FeatureCollection",
        "features": [{"type": "Feature", "properties": {}, "geometry": line}],
    }

    run = fp.testing.Runner(in_process=True).run(clip, features=features, mask=mask)

    assert run.result["features"][0]["geometry"]["coordinates"] == [[7.0, 51.0], [7.2, 51.0]]


def test_a_box_and_a_mask_together():
    found = clipped(box(-50, -50, 50, 50), box(0, 0, 10, 10), bbox=fp.BBox([5, 5, 20, 20]))

    assert found.equals(box(5, 5, 10, 10))


def test_a_box_and_a_mask_apart_leave_nothing():
    assert clipped(box(-50, -50, 50, 50), box(0, 0, 1, 1), bbox=fp.BBox([5, 5, 20, 20])) is None


@pytest.mark.parametrize("bbox", [[170, -10, -170, 10], [170, -10, 0, -170, 10, 99]])
def test_a_box_over_the_antimeridian(bbox):
    found = clipped(box(175, -5, 185, 5), bbox=fp.BBox(bbox))

    assert found.equals(MultiPolygon([box(175, -5, 180, 5), box(-180, -5, -175, 5)]))
    assert clipped(Point(0, 0), bbox=fp.BBox(bbox)) is None


def test_heights_are_kept_and_interpolated_where_cut():
    found = clipped(LineString([(0, 0, 0), (10, 0, 100)]), box(5, -5, 20, 5))

    assert list(found.coords) == [(5, 0, 50), (10, 0, 100)]


@pytest.mark.parametrize(
    ("options", "about", "at"),
    [
        ({}, "give `mask`, `bbox` or both", "mask"),
        ({"mask": fp.FeatureCollection()}, "no polygon", "mask"),
        ({"mask": collection(box(0, 0, 1, 1), Point(1, 1))}, r"Feature 1 \(id 1\) of mask is no area", "mask"),
        ({"mask": collection(Polygon([(0, 0), (1, 1), (2, 2)]))}, "Feature 0 .* is no area", "mask"),
        ({"mask": collection(box(0, 0, 1, 95))}, "Feature 0 .*of mask: the latitude 95", "mask"),
        ({"bbox": fp.BBox([0, 0, 1, 1], crs="http://www.opengis.net/def/crs/EPSG/0/4326")}, "CRS84", "bbox"),
        ({"bbox": fp.BBox([0, 10, 1, 0])}, "south first", "bbox"),
        ({"bbox": fp.BBox([0, -100, 1, 0])}, "south and north", "bbox"),
        ({"bbox": fp.BBox([0, 0, 190, 1])}, "west and east", "bbox"),
        ({"bbox": fp.BBox([0, 0, float("nan"), 1])}, "west and east", "bbox"),
        ({"bbox": fp.BBox([0, 0, 0, 1])}, "no area", "bbox"),
    ],
    ids=[
        "nothing", "empty", "point", "collapsed", "latitude", "crs", "order", "south", "east", "nan", "flat",
    ],
)  # fmt: skip
def test_what_cannot_be_clipped_with_is_told(options, about, at):
    with pytest.raises(fp.ProcessError, match=about) as caught:
        clip(collection(Point(0, 0)), **options)

    assert caught.value.input == at


rectangles = st.tuples(st.floats(-60, 60), st.floats(-60, 60), st.floats(0.1, 40), st.floats(0.1, 20)).map(
    lambda found: box(found[0], found[1], found[0] + found[2], found[1] + found[3])
)
circles = st.tuples(st.floats(-60, 60), st.floats(-60, 60), st.floats(0.1, 20)).map(
    lambda found: Point(found[0], found[1]).buffer(found[2], quad_segs=4)
)
areas = rectangles | circles


@settings(max_examples=60, deadline=None)
@given(geometry=areas, mask=areas)
def test_what_is_cut_is_no_larger_than_either_and_what_shapely_says(geometry, mask):
    found = clip(collection(geometry), collection(mask))

    area = measure(found).area
    assert area <= measure(collection(geometry)).area * (1 + 1e-6) + 1
    assert area <= measure(collection(mask)).area * (1 + 1e-6) + 1
    expected = geometry.intersection(mask)
    assert sum(shape(each.geometry).area for each in found.features) == pytest.approx(expected.area, abs=1e-9)
    dense = shapely.segmentize(expected, 0.1)  # in slivers long edges, bent otherwise, make a difference
    on_the_ground = abs(GEOD.geometry_area_perimeter(dense)[0]) if expected.area else 0  # pyproj closes lines
    assert area == pytest.approx(on_the_ground, rel=1e-4, abs=1e7)


def test_a_mask_of_many_positions_cuts_many_features():
    mask = Point(0, 0).buffer(10.05, quad_segs=50_000)
    points = [Point(x / 10, 0) for x in range(-150, 150)]

    found = clip(collection(*points), collection(mask))

    assert [each.geometry.coordinates[0] for each in found.features] == [x / 10 for x in range(-100, 101)]
