"""Areas of countries, measured on generalised outlines, against published areas."""

import msgspec
import pytest
from fastprocesses_sdk import NO_JOB, BBox, FeatureCollection
from fastprocesses_sdk.values import InputValue
from fastprocesses_vector import (
    buffer,
    centroid,
    clip,
    dissolve,
    intersection,
    measure,
    repair,
    reproject,
    sample_points,
    simplify,
    validate,
)
from shapely.geometry import Point, shape

PUBLISHED_KM2 = {
    "Russia": 17_098_246,
    "Brazil": 8_515_767,
    "Australia": 7_692_024,
    "Argentina": 2_780_400,
    "Kazakhstan": 2_724_900,
    "Dem. Rep. Congo": 2_344_858,
    "Mexico": 1_964_375,
    "South Africa": 1_221_037,
    "Angola": 1_246_700,
    "Egypt": 1_002_450,
    "Namibia": 825_615,
    "Germany": 357_581,
    "Poland": 312_696,
}
"""Total areas, inland water included, of countries whose borders are the same in the data and in the publications."""


@pytest.fixture(scope="module", params=["110m", "50m"])
def countries(request: pytest.FixtureRequest, shared) -> bytes:
    return (shared / "data" / f"countries-{request.param}.geojson").read_bytes()


@pytest.fixture(scope="module")
def coarse_countries(shared) -> bytes:
    return (shared / "data" / "countries-110m.geojson").read_bytes()


def outcome(process, data: bytes, output: str, **inputs: bytes) -> dict[str, dict]:
    given = {
        "features": InputValue(data=data),
        **{name: InputValue(data=value) for name, value in inputs.items()},
    }
    document = msgspec.json.decode(process.run(given, NO_JOB, [output])[output].data)
    assert len(document["features"]) == len(msgspec.json.decode(data)["features"])
    return {feature["properties"]["name"]: feature for feature in document["features"]}


def test_known_areas_are_right_within_one_percent(countries):
    measured = outcome(measure, countries, "features")

    areas = {name: measured[name]["properties"]["area_m2"] / 1e6 for name in PUBLISHED_KM2}
    assert areas == pytest.approx(PUBLISHED_KM2, rel=0.01)


def test_a_country_around_a_pole_and_one_across_the_antimeridian_are_measured(countries):
    measured = outcome(measure, countries, "features")

    # the outlines are those of the land: without its ice shelves, and with islands generalised
    assert measured["Antarctica"]["properties"]["area_m2"] == pytest.approx(12.3e12, rel=0.02)
    assert measured["Fiji"]["properties"]["area_m2"] == pytest.approx(18_274e6, rel=0.06)


def test_every_country_is_surrounded(countries):
    surrounded = outcome(buffer, countries, "result", distance=b"50000")

    for name, before in ((each.properties["name"], each) for each in collection(countries).features):
        area = shape(surrounded[name]["geometry"])
        assert area.is_valid, name
        assert area.bounds[0] >= -180, name
        assert area.bounds[2] <= 180, name
        assert area.area > 0, name
        assert before.id == surrounded[name].get("id"), name


def test_a_surrounded_country_is_larger_by_about_a_strip(countries):
    germany = FeatureCollection([each for each in collection(countries).features if each.id == "276"])
    before, after = measure(germany), measure(buffer(germany, 1000))

    assert before.area < after.area < before.area + before.perimeter * 1000 * 1.01


def test_centres_of_countries(countries):
    centres = outcome(centroid, countries, "result")

    expected = {"Germany": (10.3, 51.1), "Brazil": (-53, -10.8), "Russia": (96, 66), "Fiji": (178.5, -17.4)}
    for name, place in expected.items():
        assert Point(centres[name]["geometry"]["coordinates"]).distance(Point(place)) < 1, name
    assert centres["Antarctica"]["geometry"]["coordinates"][1] < -84


def test_all_countries_together_are_the_land(countries):
    given = collection(countries)

    (land,) = dissolve(given).features
    area = measure(FeatureCollection([land])).area

    assert shape(land.geometry).is_valid
    assert area == pytest.approx(measure(given).area, rel=1e-6)
    assert area == pytest.approx(147e12, rel=0.01)


def test_mended_countries_are_faultless_and_as_large(coarse_countries):
    given = collection(coarse_countries)

    mended = repair(given)

    assert validate(mended).report == []
    assert measure(mended).area == pytest.approx(measure(given).area, rel=1e-9)


def test_simplified_countries_are_valid_and_about_as_large(coarse_countries):
    given = collection(coarse_countries)

    simpler = simplify(given, 10_000)

    assert all(shape(each.geometry).is_valid for each in simpler.features)
    assert len(msgspec.json.encode(simpler.__geo_interface__, enc_hook=geo)) < len(coarse_countries)
    assert measure(simpler).area == pytest.approx(measure(given).area, rel=0.01)


def test_countries_overlap_with_themselves_alone(coarse_countries):
    given = collection(coarse_countries)

    found = intersection(given, given)

    same = [each for each in found.features if each.properties["name"] == each.properties["other_name"]]
    assert len(same) >= len(given.features)
    assert measure(FeatureCollection(same)).area == pytest.approx(measure(given).area, rel=1e-6)
    assert measure(found).area == pytest.approx(measure(given).area, rel=1e-4)  # borders do not overlap


def test_the_date_line_runs_through_three_countries(countries):
    inside = clip(collection(countries), bbox=BBox([179, -60, -179, 75]))

    names = {each.properties["name"] for each in inside.features}
    assert {"Fiji", "Russia"} <= names <= {"Fiji", "Russia", "United States of America", "Kiribati"}


def test_in_an_equal_area_projection_countries_have_their_areas(countries):
    """The areas on a plane of equal areas are those on the ellipsoid: two ways that share nothing."""
    europe = FeatureCollection(
        [each for each in collection(countries).features if each.properties["name"] in EUROPE]
    )

    plane = reproject(europe, "EPSG:3035")

    assert len(plane.features) == len(EUROPE)
    measured = {
        each.properties["name"]: each.properties["area_m2"] for each in measure(europe).features.features
    }
    areas = {each.properties["name"]: shape(each.geometry).area for each in plane.features}
    assert areas == pytest.approx(measured, rel=0.005)  # long edges bend


def test_points_in_countries_lie_in_them(coarse_countries):
    given = repair(collection(coarse_countries))

    points = sample_points(given, count=3)

    assert len(points.features) == 3 * len(given.features)
    areas = {each.properties["name"]: shape(each.geometry) for each in given.features}
    for point in points.features:
        assert areas[point.properties["name"]].covers(shape(point.geometry)), point.properties["name"]


EUROPE = {"Germany", "Poland", "Austria", "Czechia", "Switzerland", "Italy", "Hungary"}


def geo(value):
    return value.__geo_interface__


def collection(data: bytes) -> FeatureCollection:
    return FeatureCollection.of(msgspec.json.decode(data))
