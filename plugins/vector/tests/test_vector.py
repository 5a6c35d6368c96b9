"""Buffers, centres and sizes agree with geodesics, wherever on Earth, and keep the rest of a feature."""

import json
from typing import Any

import fastprocesses_sdk as fp
import msgspec
import numpy as np
import pytest
import shapely
from fastprocesses_sdk.values import InputValue
from fastprocesses_vector import buffer, centroid, measure
from pyproj import Geod
from shapely import LineString, MultiPoint, MultiPolygon, Point, Polygon, box
from shapely.geometry import shape

GEOD = Geod(ellps="WGS84")
PLACES = [(0, 0), (7.6, 51.9), (179.95, -16), (-179.99, 70), (30, 89.9), (10, 90), (-75, -89.95)]


def collection(*geometries: Any) -> fp.FeatureCollection:
    return fp.FeatureCollection(
        [fp.Feature(geometry, {"index": i}, id=i) for i, geometry in enumerate(geometries)]
    )


def buffered(geometry: Any, distance: float, **options: Any) -> Any:
    return shape(buffer(collection(geometry), distance, **options).features[0].geometry)


def centre(geometry: Any) -> tuple[float, float]:
    (x, y) = shape(centroid(collection(geometry)).features[0].geometry).coords[0]
    return x, y


def on_land(area: Any) -> Any:
    """The positions of an outline that are not where the map is cut."""
    positions = shapely.get_coordinates(area)
    return positions[(np.abs(positions[:, 0]) < 180) & (np.abs(positions[:, 1]) < 90)]


# Buffers


@pytest.mark.parametrize("distance", [5.0, 10_000.0, 500_000.0, 2_000_000.0])
@pytest.mark.parametrize("place", PLACES, ids=str)
def test_the_edge_of_a_circle_is_as_far_as_was_asked(place, distance):
    area = buffered(Point(place), distance)

    edge = on_land(area)
    _, _, far = GEOD.inv(np.full(len(edge), place[0]), np.full(len(edge), place[1]), *edge.T)
    assert area.is_valid
    assert far == pytest.approx(distance, rel=0.01)


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_a_circle_has_the_area_of_one_also_over_a_pole_and_the_antimeridian(place):
    measured = measure(fp.FeatureCollection([fp.Feature(buffered(Point(place), 100_000, segments=64))]))

    assert measured.area == pytest.approx(np.pi * 100_000**2, rel=0.005)


@pytest.mark.parametrize(
    "geometry",
    [
        box(0, 40, 60, 70),
        box(-180, -90, 180, -70),
        LineString([(-170, 10), (170, 60)]),
        MultiPolygon([box(-10, -5, 0, 5), box(100, -5, 130, 5)]),
        box(170, -20, 190, 20),
    ],
    ids=["wide", "around a pole", "line", "parts", "beyond 180"],
)
def test_the_edge_around_a_large_geometry_is_nowhere_too_near_nor_too_far(geometry):
    distance = 200_000.0
    area = buffered(geometry, distance)

    outline = shapely.segmentize(geometry, 0.2)
    corners = shapely.get_coordinates(outline)
    if isinstance(geometry, LineString):  # its one edge goes the short way
        corners = np.column_stack([np.linspace(-170, -190, 400), np.linspace(10, 60, 400)])
    for x, y in on_land(area)[::7]:
        _, _, far = GEOD.inv(np.full(len(corners), x), np.full(len(corners), y), *corners.T)
        assert far.min() == pytest.approx(distance, rel=0.02)


def test_what_is_surrounded_lies_inside():
    island = box(-30, 60, 40, 88)

    assert buffered(island, 1000).covers(island)


def test_a_ring_that_jumps_over_the_antimeridian_goes_the_short_way():
    ring = Polygon([(179, -17), (-179.5, -16.5), (-179, -17.5), (179.5, -18), (-180, -17.2)])

    area = buffered(ring, 1000)

    assert shapely.intersects(area, box(-175, -90, 175, 90)) is np.False_ or not area.intersects(
        box(-175, -90, 175, 90)
    )


def test_caps_and_joins():
    line = LineString([(7, 51), (7.1, 51)])
    flat, square, round_ = (buffered(line, 1000, cap=cap).area for cap in ("flat", "square", "round"))

    assert flat < round_ < square
    assert buffered(box(7, 51, 8, 52), 1000, join="mitre").area > buffered(box(7, 51, 8, 52), 1000).area


def test_more_segments_make_a_rounder_circle():
    assert buffered(Point(7, 51), 1000, segments=1).area < buffered(Point(7, 51), 1000, segments=32).area


# Centres


@pytest.mark.parametrize(
    ("geometry", "expected"),
    [
        (Point(7, 51, 30), (7, 51)),
        (box(7, 51, 7.01, 51.01), (7.005, 51.005)),
        (MultiPoint([(179, 0), (-179, 0)]), (180, 0)),
        (MultiPoint([(0, 80), (90, 80), (180, 80), (-90, 80)]), (None, 90)),
        (box(-180, -90, 180, -80), (None, -90)),
        (MultiPolygon([box(178, -1, 180, 1), box(-180, -1, -178, 1)]), (180, 0)),
        (LineString([(0, -40), (0, 40)]), (0, 0)),
        (shapely.GeometryCollection([Point(50, 50), box(0, -1, 2, 1)]), (1, 0)),
        (Polygon([(0, 0), (1, 1), (1, 0), (0, 1)]), (0.5, 0.5)),
        (Polygon([(1, 1), (1, 1), (1, 1)]), (1, 1)),
    ],
    ids=str,
)
def test_the_centre_lies_where_it_should(geometry, expected):
    x, y = centre(geometry)

    assert y == pytest.approx(expected[1], abs=0.01)
    assert expected[0] is None or (x - expected[0] + 180) % 360 - 180 == pytest.approx(0, abs=0.01)


def test_what_surrounds_the_globe_has_no_centre():
    with pytest.raises(fp.ProcessError, match="Feature 0"):
        centre(box(-180, -90, 180, 90))


# Sizes


@pytest.mark.parametrize(
    ("geometry", "area", "length"),
    [
        (Point(7, 51), 0, 0),
        (LineString([(0, 0), (1, 0)]), 0, 111_319.5),
        (LineString([(179.5, 0), (-179.5, 0)]), 0, 111_319.5),
        (LineString([(0, 0), (0, 0)]), 0, 0),
        (box(-180, -90, 180, 90), 5.10065622e14, 0),
        (box(-180, 0, 180, 90), 2.55032811e14, 40_075_017),
        (box(0, 0, 1, 1).difference(box(0.4, 0.4, 0.6, 0.6)), 11_816_400_000, 532_600),
    ],
    ids=str,
)
def test_sizes_on_the_ellipsoid(geometry, area, length):
    measured = measure(collection(geometry, geometry))

    assert measured.features.features[0].properties["area_m2"] == pytest.approx(area, rel=1e-3)
    assert measured.features.features[0].properties["length_m"] == pytest.approx(length, rel=1e-3)
    assert (measured.area, measured.length) == pytest.approx((2 * area, 2 * length), rel=1e-3)


def test_a_small_area_is_that_of_the_geodesic_polygon():
    corners = [(7.0, 51.0), (7.01, 51.0), (7.01, 51.01), (7.0, 51.01)]
    area, length = GEOD.geometry_area_perimeter(Polygon(corners))

    measured = measure(collection(Polygon(corners)))

    assert (measured.area, measured.length) == pytest.approx((area, length), rel=1e-6)


def test_the_cut_along_the_antimeridian_is_no_outline():
    whole = measure(collection(box(179, 0, 181, 1)))
    cut = measure(collection(MultiPolygon([box(179, 0, 180, 1), box(-180, 0, -179, 1)])))

    assert (cut.area, cut.length) == pytest.approx((whole.area, whole.length), rel=1e-6)


# All of them

CALLS = {
    "buffer": lambda features: buffer(features, 1000),
    "centroid": centroid,
    "measure": lambda features: measure(features).features,
}
each_process = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@each_process
def test_everything_but_the_geometry_is_kept(call):
    feature = {
        "type": "Feature",
        "id": 7,
        "geometry": {"type": "Point", "coordinates": [7, 51, 100]},
        "properties": {"name": "Ä", "n": None},
        "note": {"foreign": [1]},
    }
    result = call(fp.FeatureCollection([feature], name="foreign"))

    kept = result.features[0].members
    assert result.members["name"] == "foreign"
    assert (kept["id"], kept["note"]) == (7, {"foreign": [1]})
    assert feature["properties"].items() <= kept["properties"].items()


@each_process
@pytest.mark.parametrize(
    "geometry",
    [None, {"type": "Point", "coordinates": []}, {"type": "MultiPolygon", "coordinates": []}],
    ids=["null", "empty point", "empty polygons"],
)
def test_a_feature_without_a_geometry_stays(call, geometry):
    feature = {"type": "Feature", "geometry": geometry, "properties": None}

    assert call(fp.FeatureCollection([feature])).features[0].members == feature


@each_process
def test_nothing_is_nothing(call):
    assert call(fp.FeatureCollection()).features == []


@each_process
@pytest.mark.parametrize(
    ("geometry", "about"),
    [
        ({"type": "Point", "coordinates": [51, 91]}, "latitude 91"),
        ({"type": "Point", "coordinates": [1000, 0]}, "longitude"),
        ({"type": "Point", "coordinates": ["a", "b"]}, "read"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}, "read"),
        (
            {"type": "Polygon", "coordinates": [[[179, -1], [-179, -1], [-179, 1], [179, 1], [179, -1]]]},
            "180 degrees",
        ),
    ],
    ids=["latitude", "longitude", "text", "ring", "either way"],
)
def test_what_cannot_be_computed_with_names_the_feature(call, geometry, about):
    good = fp.Feature(fp.Point([7, 51]))

    with pytest.raises(fp.ProcessError, match=about) as caught:
        call(fp.FeatureCollection([good, {"type": "Feature", "id": "x", "geometry": geometry}]))

    assert caught.value.detail.startswith("Feature 1 (id 'x'): ")
    assert caught.value.input == "features"


def test_a_large_geometry_has_round_corners_only():
    with pytest.raises(fp.ProcessError, match="Feature 0"):
        buffered(box(0, 0, 60, 60), 1000, join="mitre")


class Heard:
    def __init__(self) -> None:
        self.percents: list[int] = []

    def progress(self, percent: int | None, message: str | None) -> None:
        self.percents += [] if percent is None else [percent]

    def log(self, level: str, text: str, fields: dict[str, Any]) -> None: ...

    def cancelled(self) -> bool:
        return 50 in self.percents


@pytest.mark.parametrize("process", [buffer, centroid, measure], ids=lambda process: process.id)
def test_progress_is_told_and_cancelling_is_heard(process):
    heard = Heard()
    features = msgspec.json.encode(
        collection(*[Point(x, 0) for x in range(100)]).__geo_interface__, enc_hook=geo
    )
    inputs = {"features": InputValue(data=features), "distance": InputValue(data=b"10")}

    with pytest.raises(fp.JobCancelled):
        process.run(
            {name: inputs[name] for name in process.description.inputs if name in inputs},
            fp.Job(reporter=heard),
        )

    assert heard.percents == list(range(51))


def geo(value: Any) -> Any:
    return value.__geo_interface__


@pytest.mark.parametrize("process", [buffer, centroid, measure], ids=lambda process: process.id)
def test_the_example_is_accepted(process):
    example = process.description.example["inputs"]

    outputs = process.run(
        {name: InputValue(data=msgspec.json.encode(value)) for name, value in example.items()}, fp.NO_JOB
    )

    document = json.loads(outputs.get("result", outputs.get("features")).data)
    assert [feature["id"] for feature in document["features"]] == ["lake", "road"]
