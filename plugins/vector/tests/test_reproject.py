"""Positions agree with pyproj asked otherwise, with formulas, and come back where they were."""

from typing import Any

import fastprocesses_sdk as fp
import numpy as np
import pytest
import shapely
from fastprocesses_vector import reproject
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from shapely import LineString, MultiPolygon, Point, Polygon, box
from shapely.geometry import shape

RADIUS = 6_378_137.0


def collection(*geometries: Any, **members: Any) -> fp.FeatureCollection:
    return fp.FeatureCollection([fp.Feature(geometry) for geometry in geometries], **members)


def moved(geometry: Any, to_crs: str = "OGC:CRS84", from_crs: str | None = None) -> Any:
    return shape(reproject(collection(geometry), to_crs, from_crs).features[0].geometry)


def test_web_mercator_by_its_formula():
    place = moved(Point(7, 51), "EPSG:3857")

    latitude = np.radians(51)
    assert place.x == pytest.approx(RADIUS * np.radians(7))
    assert place.y == pytest.approx(RADIUS * np.log(np.tan(np.pi / 4 + latitude / 2)))


def test_on_the_central_meridian_the_easting_is_the_false_one():
    assert moved(Point(9, 0), "EPSG:25832").coords[0] == pytest.approx((500_000, 0), abs=1e-6)


@pytest.mark.parametrize(
    "crs", ["EPSG:25832", "EPSG:3035", "EPSG:2154", "EPSG:31467", "EPSG:4258", "ESRI:54009"]
)
@pytest.mark.parametrize("place", [(7, 51), (9.5, 47.25)], ids=str)
def test_positions_are_those_of_pyproj_in_the_order_of_its_axes(place, crs):
    transformer = Transformer.from_crs(
        "EPSG:4326", crs
    )  # takes latitude first, and gives what the system has first
    first, second = transformer.transform(place[1], place[0])
    northing_first = transformer.target_crs.axis_info[0].direction == "north"

    found = moved(Point(place), crs)

    expected = (second, first) if northing_first else (first, second)
    assert found.coords[0] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    "name",
    [
        "EPSG:25832",
        "epsg:25832",
        " EPSG:25832 ",
        "25832",
        "[EPSG:25832]",
        "http://www.opengis.net/def/crs/EPSG/0/25832",
        "https://www.opengis.net/def/crs/EPSG/0/25832",
        "http://www.opengis.net/def/crs/EPSG/9.9.1/25832",
        "urn:ogc:def:crs:EPSG::25832",
        "urn:x-ogc:def:crs:EPSG:6.3:25832",
    ],
)
def test_names_of_a_system(name):
    result = reproject(collection(Point(9, 51)), name)

    assert shape(result.features[0].geometry).x == pytest.approx(500_000)
    assert result.members["crs"] == {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::25832"}}


@pytest.mark.parametrize(
    "name",
    [
        "OGC:CRS84",
        "http://www.opengis.net/def/crs/OGC/1.3/CRS84",
        "urn:ogc:def:crs:OGC:1.3:CRS84",
        "EPSG:4326",
        "http://www.opengis.net/def/crs/EPSG/0/4326",
    ],
)
def test_longitude_and_latitude_need_no_word(name):
    result = reproject(collection(Point(7, 51)), name)

    assert shape(result.features[0].geometry).coords[0] == pytest.approx((7, 51))
    assert "crs" not in result.members


@pytest.mark.parametrize(
    "name",
    [
        "",
        "EPSG:999999",
        "NONE:1",
        "+proj=merc",
        "+init=epsg:25832",
        "Germany",
        "../../etc/passwd",
        "/etc/passwd",
        'GEOGCRS["x"]',
        "EPSG:25832;EPSG:4326",
        "x" * 10_000,
    ],
)
@pytest.mark.parametrize("input_name", ["to_crs", "from_crs"])
def test_unknown_systems_are_told_with_those_one_can_write(name, input_name):
    with pytest.raises(fp.ProcessError, match="name one as EPSG:25832") as caught:
        reproject(collection(Point(7, 51)), **{input_name: name})

    assert caught.value.input == input_name


@pytest.mark.parametrize("name", ["EPSG:5773", "EPSG:4978"], ids=["heights", "geocentric"])
def test_systems_without_a_plane_are_refused(name):
    with pytest.raises(fp.ProcessError, match="geographic or a projected"):
        reproject(collection(Point(7, 51)), name)


def test_there_and_back_by_the_member_alone():
    there = reproject(collection(Point(7, 51), name="foreign"), "EPSG:25832")

    back = reproject(there)

    assert shape(back.features[0].geometry).coords[0] == pytest.approx((7, 51), abs=1e-9)
    assert "crs" not in back.members
    assert back.members["name"] == "foreign"


def test_what_is_said_goes_before_the_member():
    given = collection(Point(500_000, 0), crs={"type": "name", "properties": {"name": "EPSG:25833"}})

    found = reproject(given, from_crs="EPSG:25832")

    assert shape(found.features[0].geometry).coords[0] == pytest.approx((9, 0), abs=1e-9)


@pytest.mark.parametrize(
    "crs", [None, 7, "EPSG:25832", {}, {"properties": None}, {"properties": {"name": 7}}]
)
def test_a_member_crs_of_another_form_says_nothing(crs):
    found = reproject(collection(Point(7, 51), crs=crs), "EPSG:4258")

    assert shape(found.features[0].geometry).coords[0] == pytest.approx((7, 51))


def test_an_unknown_member_is_told_of_the_features():
    with pytest.raises(fp.ProcessError, match="EPSG:1") as caught:
        reproject(collection(Point(7, 51), crs={"properties": {"name": "EPSG:1"}}), "EPSG:25832")

    assert caught.value.input == "features"


def test_heights_stay_where_no_system_tells_of_them():
    assert moved(LineString([(7, 51, 100), (8, 52, 200)]), "EPSG:25832").coords[1][2] == 200


def test_heights_change_between_systems_that_tell_of_them():
    """From the ellipsoid WGS84 to a height above the ellipsoid in feet."""
    found = moved(Point(7, 51, 100), "EPSG:4979", "OGC:CRS84H")

    assert found.coords[0] == pytest.approx((7, 51, 100))


def test_kinds_stay_also_invalid_ones():
    bowtie = Polygon([(7, 51), (8, 52), (8, 51), (7, 52)])
    mixed = shapely.GeometryCollection([Point(7, 51), bowtie, MultiPolygon([box(7, 51, 8, 52)])])

    found = moved(mixed, "EPSG:25832")

    assert [part.geom_type for part in found.geoms] == ["Point", "Polygon", "MultiPolygon"]
    assert len(found.geoms[1].exterior.coords) == 5


def test_degrees_that_cannot_be_are_told():
    with pytest.raises(
        fp.ProcessError, match=r"Feature 0 of features: the latitude 5.65173e.06 is beyond 90"
    ):
        reproject(collection(Point(300, 5_651_728)), "EPSG:25832")


def test_positions_without_a_place_are_told_with_the_area_of_use():
    with pytest.raises(
        fp.ProcessError,
        match=r"Feature 1 of features: .*99, 0 has no place in ETRS89.* for Europe between 6°E and 12°E .west 6.*clip",
    ) as caught:
        reproject(collection(Point(7, 51), Point(99, 0)), "EPSG:25832")

    assert caught.value.input == "features"


def test_features_out_of_the_area_of_use_are_counted():
    run = fp.testing.Runner(in_process=True).run(
        reproject, features=collection(Point(9, 51), Point(100, 51)), to_crs="EPSG:25832"
    )

    assert run.messages[-1].startswith("1 of 2 features reach out of where EPSG:25832 is meant for, ")
    assert (run.log[-1].level, run.log[-1].fields) == ("warning", {"crs": "EPSG:25832", "features": 1})


def test_an_area_of_use_over_the_antimeridian():
    run = fp.testing.Runner(in_process=True).run(
        reproject, features=collection(Point(178, -40), Point(-176, -44), Point(0, -40)), to_crs="EPSG:3832"
    )

    assert run.messages[-1].startswith("1 of 3 features")


def test_what_comes_back_over_the_antimeridian_is_cut_there():
    pacific = moved(MultiPolygon([box(179, 0, 180, 1), box(-180, 0, -179, 1)]), "EPSG:3832")
    square = shapely.box(*pacific.bounds)  # one area, over the line

    found = moved(square, from_crs="EPSG:3832")

    expected = MultiPolygon([box(179, 0, 180, 1), box(-180, 0, -179, 1)])
    assert found.symmetric_difference(expected).area < 1e-6
    assert found.geom_type == "MultiPolygon"


def test_what_comes_back_around_a_pole_reaches_it():
    """A circle around the pole of a polar projection is the area north of a latitude."""
    circle = Point(0, 0).buffer(1_000_000, quad_segs=90)

    found = moved(circle, from_crs="EPSG:3995")

    south = moved(Point(1_000_000, 0), from_crs="EPSG:3995").y
    assert found.is_valid
    assert found.bounds == pytest.approx((-180, south, 180, 90), abs=0.01)
    assert found.area == pytest.approx(360 * (90 - south), rel=0.01)


@settings(max_examples=60, deadline=None)
@given(
    places=st.lists(st.tuples(st.floats(6, 12), st.floats(47, 55)), min_size=2, max_size=20, unique=True),
    crs=st.sampled_from(["EPSG:25832", "EPSG:3035", "EPSG:3857", "EPSG:4258"]),
)
def test_there_and_back(places, crs):
    there = reproject(collection(LineString(places)), crs)

    back = shape(reproject(there, from_crs=crs).features[0].geometry)

    assert shapely.get_coordinates(back) == pytest.approx(np.array(places), abs=1e-8)
