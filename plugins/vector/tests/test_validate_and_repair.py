"""Faults are told with their place, and mended; what has none stays to the last digit."""

import re
from typing import Any

import fastprocesses_sdk as fp
import numpy as np
import pytest
import shapely
from fastprocesses_vector import repair, validate
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from shapely import GeometryCollection, LineString, MultiPolygon, Point, Polygon, box
from shapely.geometry import shape

BOWTIE = Polygon([(0, 0), (2, 2), (2, 0), (0, 2)])
HOLE_OUTSIDE = Polygon([(0, 0), (1, 0), (1, 1), (0, 1)], [[(5, 5), (5, 6), (6, 6), (6, 5)]])
TWICE = MultiPolygon([box(0, 0, 2, 2, ccw=True), box(1, 1, 3, 3, ccw=True)])
SQUARE = Polygon([(0, 0), (1, 0), (1, 1), (0, 1)])


def collection(*geometries: Any) -> fp.FeatureCollection:
    return fp.FeatureCollection(
        [
            {"type": "Feature", "id": f"f{i}", "properties": {}, "geometry": geometry}
            if isinstance(geometry, dict)
            else fp.Feature(geometry, id=f"f{i}")
            for i, geometry in enumerate(geometries)
        ]
    )


def faults(geometry: Any) -> list[tuple[str, str]]:
    return [(each.severity, each.reason) for each in validate(collection(geometry)).report]


def mended(geometry: Any, **options: Any) -> Any:
    (feature,) = repair(collection(geometry), **options).features
    return None if feature.geometry is None else shape(feature.geometry)


@pytest.mark.parametrize(
    ("geometry", "severity", "about"),
    [
        (BOWTIE, "error", "self-intersection"),
        (HOLE_OUTSIDE, "error", "hole lies outside shell"),
        (TWICE, "error", "self-intersection"),
        (Polygon([(0, 0), (1, 1), (2, 2)]), "error", "self-intersection|too few points"),
        (GeometryCollection([Point(0, 0), BOWTIE]), "error", "self-intersection"),
        (LineString([(1, 1), (1, 1)]), "error", "too few points"),
        (Point(0, 95), "error", "latitude 95"),
        (Point(700, 0), "error", "longitude 700"),
        ({"type": "Point", "coordinates": ["x", 0]}, "error", "cannot be read"),
        ({"type": "Point", "coordinates": [float("nan"), 0]}, "error", "finite"),
        (Polygon([(179, -1), (-179, -1), (-179, 1), (179, 1)]), "error", "either way"),
        (box(170, 0, 190, 1), "warning", "beyond 180"),
        (LineString([(179, 0), (-179, 0)]), "warning", "crosses the antimeridian"),
        (
            Polygon([(179, -17), (-179.5, -16.5), (-179, -17.5), (179.5, -18), (-180, -17.2)]),
            "warning",
            "crosses the antimeridian",
        ),
        (Polygon([(0, 0), (0, 1), (1, 1), (1, 0)]), "warning", "wound the wrong way"),
    ],
    ids=str,
)
def test_what_is_wrong_is_told(geometry, severity, about):
    found = validate(collection(SQUARE, geometry))

    assert found.valid is (severity == "warning")
    assert {(finding.index, finding.id) for finding in found.report} == {(1, "f1")}
    reasons = [finding.reason for finding in found.report if finding.severity == severity]
    assert any(re.search(about, reason) for reason in reasons)


def test_a_fault_has_its_place():
    (fault,) = [each for each in validate(collection(BOWTIE)).report if each.severity == "error"]

    assert fault.position == (1, 1)


@pytest.mark.parametrize(
    "geometry",
    [
        None,
        Point(),
        SQUARE,
        Point(180, 90),
        box(-180, -90, 180, 90, ccw=True),
        LineString([(0, 0), (2, 2), (2, 0), (0, 2)]),
        SQUARE.difference(box(0.2, 0.2, 0.4, 0.4)).reverse(),
        GeometryCollection([SQUARE, SQUARE]),
    ],
    ids=str,
)
def test_what_is_right_has_no_faults_and_stays(geometry):
    if isinstance(geometry, Polygon):
        geometry = shapely.orient_polygons(geometry)
    features = collection(geometry)

    assert faults(geometry) == []
    assert repair(features).features[0].members is features.features[0].members


def test_all_faults_of_all_features_are_told():
    found = validate(collection(BOWTIE, SQUARE, Point(0, 95), box(170, 0, 190, 1, ccw=False)))

    assert [(each.index, each.severity) for each in found.report] == [
        (0, "error"),
        (2, "error"),
        (3, "warning"),
        (3, "warning"),
    ]


@pytest.mark.parametrize("method", ["linework", "structure"])
@pytest.mark.parametrize("geometry", [BOWTIE, HOLE_OUTSIDE, TWICE], ids=["bowtie", "hole", "twice"])
def test_areas_are_mended_as_shapely_mends_them(geometry, method):
    found = mended(geometry, method=method)

    options = {} if method == "linework" else {"keep_collapsed": False}
    assert found.is_valid
    assert found.equals(shapely.make_valid(geometry, method=method, **options))


def test_the_methods_differ_where_areas_overlap():
    assert mended(TWICE, method="linework").area == 6
    assert mended(TWICE, method="structure").area == 7


def test_collapsed_areas_are_left_out_or_kept_as_asked():
    collapsed = Polygon([(0, 0), (1, 1), (2, 2)])

    assert mended(collapsed) is None
    assert mended(collapsed, keep_collapsed=True).geom_type in ("LineString", "MultiLineString")
    assert mended(collapsed, keep_collapsed=True).length == pytest.approx(np.hypot(2, 2))
    assert mended(GeometryCollection([collapsed, Point(5, 5)])).equals(GeometryCollection([Point(5, 5)]))


@pytest.mark.parametrize(
    ("geometry", "expected"),
    [
        (box(170, 0, 190, 1), MultiPolygon([box(170, 0, 180, 1), box(-180, 0, -170, 1)])),
        (
            LineString([(179, 0), (-179, 0)]),
            shapely.MultiLineString([[(179, 0), (180, 0)], [(-180, 0), (-179, 0)]]),
        ),
        (Point(190, 0), Point(-170, 0)),
    ],
    ids=["beyond", "jumps", "point"],
)
def test_what_crosses_the_antimeridian_is_cut(geometry, expected):
    assert mended(geometry).equals(expected)


def test_a_ring_left_open_is_closed():
    open_ring = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1]]]}

    (feature,) = repair(collection(open_ring)).features

    assert feature.geometry.coordinates[0][0] == feature.geometry.coordinates[0][-1]


def test_kinds_and_heights_stay():
    bowtie = Polygon([(0, 0, 1), (2, 2, 1), (2, 0, 3), (0, 2, 3)])

    found = mended(MultiPolygon([bowtie]))

    assert found.geom_type == "MultiPolygon"
    assert found.has_z
    assert mended(MultiPolygon([Polygon([(0, 0), (0, 1), (1, 1), (1, 0)])])).geom_type == "MultiPolygon"


def test_how_many_were_mended_is_told():
    run = fp.testing.Runner(in_process=True).run(repair, features=collection(BOWTIE, SQUARE, Point(1, 1)))

    assert run.messages[-1] == "1 of 3 features were mended"


def test_the_report_is_told_to_clients_in_full():
    wound_wrong = {"type": "Polygon", "coordinates": [[[0, 0], [0, 1], [1, 1], [1, 0], [0, 0]]]}
    features = fp.FeatureCollection(
        [
            fp.Feature(BOWTIE, id="f0"),
            fp.Feature(SQUARE),
            fp.Feature(wound_wrong, id=7),
            fp.Feature({"type": "Point", "coordinates": [0, 95]}),
        ]
    )

    run = fp.testing.Runner(in_process=True).run(validate, features=features)

    advice = "wound the wrong way: outer rings are counterclockwise, holes clockwise (3.1.6)"
    unreadable = (
        "the latitude 95 is beyond 90; positions are longitude, latitude in degrees; "
        "the process reproject brings other systems there"
    )
    assert run.outputs == {
        "valid": False,
        "report": [
            {
                "index": 0,
                "id": "f0",
                "severity": "error",
                "reason": "self-intersection",
                "position": [1.0, 1.0],
            },
            {"index": 2, "id": 7, "severity": "warning", "reason": advice},
            {"index": 3, "severity": "error", "reason": unreadable},
        ],
    }


def test_the_report_is_described_field_by_field():
    (item,) = [validate.description.outputs["report"].schema["items"]]

    assert set(item["properties"]) == {"index", "id", "severity", "reason", "position"}
    assert set(item["required"]) == {"index", "severity", "reason"}
    assert item["properties"]["severity"]["enum"] == ["error", "warning"]
    assert all(field["description"] for field in item["properties"].values())


def test_a_ring_ends_at_the_height_it_begins_at():
    crossed = [(6, -2, 91), (6, 5, 30), (-2, 1, 69), (-3, 3, 77), (1, -2, 4), (-3, 3, 91), (-6, 3, 57)]

    (feature,) = repair(collection(Polygon(crossed)), "structure").features

    rings = [ring for polygon in feature.geometry.coordinates for ring in polygon]
    assert len(rings) > 1
    assert all(len(position) == 3 for ring in rings for position in ring)
    assert [ring[0] for ring in rings] == [ring[-1] for ring in rings]


def test_heights_that_some_part_of_a_collection_has_lost_are_dropped_from_all():
    overlapping = GeometryCollection([Point(5, 5, 5), Polygon([(0, 0, 1), (2, 2, 1), (2, 0, 3), (0, 2, 3)])])

    once = repair(collection(overlapping, GeometryCollection([Point(1, 1, 1), Point(2, 2)])))

    assert [shape(each.geometry).has_z for each in once.features] == [True, False]
    assert repair(once).__geo_interface__ == once.__geo_interface__


def rings(longitudes: st.SearchStrategy[Any], latitudes: st.SearchStrategy[Any], *more: Any) -> Any:
    return st.lists(st.tuples(longitudes, latitudes, *more), min_size=3, max_size=9)


def polygons(*numbers: Any) -> st.SearchStrategy[Polygon]:
    return st.builds(Polygon, rings(*numbers), st.lists(rings(*numbers), max_size=2))


small, heights = st.integers(-6, 6), st.integers(0, 99)
areas = st.one_of(
    polygons(small, small),
    polygons(small, small, heights),
    polygons(st.floats(174, 186), st.floats(-6, 6)),
    polygons(st.integers(-179, 179), st.integers(-89, 89)),
)
shapes = areas | st.lists(areas, min_size=2, max_size=3).map(GeometryCollection)


@settings(max_examples=120, deadline=None)
@given(
    geometry=shapes,
    method=st.sampled_from(["linework", "structure"]),
    keep_collapsed=st.booleans(),
)
def test_whatever_is_mended_has_no_faults_and_stays_to_the_last_digit(geometry, method, keep_collapsed):
    try:
        once = repair(collection(geometry), method, keep_collapsed)
    except fp.ProcessError:  # an edge may go either way around
        reject()

    assert validate(once).report == []
    assert repair(once, method, keep_collapsed).__geo_interface__ == once.__geo_interface__
