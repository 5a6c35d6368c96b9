"""GeoJSON recognised in its text: never what does not fit its schema, and always what large documents are made of."""

import json
from typing import Any

import msgspec
import pytest
from fastprocesses_sdk import geojson
from fastprocesses_sdk.geojson_text import has_digits_in_a_row, is_certainly
from fastprocesses_sdk.validation import accepts
from hypothesis import example, given, settings
from hypothesis import strategies as st

SCHEMAS = {
    "FeatureCollection": geojson.feature_collection_schema(),
    "Feature": geojson.feature_schema(),
    "Geometry": geojson.geometry_schema(),
    **{kind: geojson.geometry_schema(kind) for kind in geojson.KINDS},
}
RING = [[0, 0], [1.5, 0], [1, -1e-05], [0, 0]]
COORDINATES: dict[str, list[Any]] = {
    "Point": [7.1, 51.9],
    "MultiPoint": [[1, 2], [3, 4.5]],
    "LineString": [[1, 2], [3, 4]],
    "MultiLineString": [[[1, 2], [3, 4]], [[1, 2, 3], [3, 4, 5]]],
    "Polygon": [RING, RING],
    "MultiPolygon": [[RING], [RING, RING]],
}


def collection(*geometries: Any) -> dict[str, Any]:
    features = [
        {"type": "Feature", "id": place, "properties": {"name": "ü", "of": [1, None]}, "geometry": geometry}
        for place, geometry in enumerate(geometries)
    ]
    return {"type": "FeatureCollection", "name": "places", "bbox": [0, 0, 1, 1], "features": features}


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("kind", COORDINATES)
def test_objects_of_every_kind_are_recognised(kind, indent):
    geometry = {"type": kind, "coordinates": COORDINATES[kind]}
    feature = collection(geometry)["features"][0]
    mixed = collection(
        *({"type": each, "coordinates": COORDINATES[each]} for each in COORDINATES), None, geometry
    )

    for name, value in (
        (kind, geometry),
        ("Geometry", geometry),
        ("Feature", feature),
        ("FeatureCollection", mixed),
    ):
        assert is_certainly(name, json.dumps(value, indent=indent).encode()), name
        assert is_certainly(name, msgspec.json.encode(value)), name


leaves = st.sampled_from(
    ["1", "-0.5", "2e3", "1e400", "null", "true", '"1"', "[]", "{}", "[1]", "[1,2]", "9" * 320]
)
arrays = st.recursive(
    leaves | st.just("[1,2]") | st.just("[1,2],[3,4]"),
    lambda inner: st.lists(inner, max_size=5).map(lambda parts: f"[{','.join(parts)}]"),
    max_leaves=12,
)


@settings(max_examples=400)
@given(st.sampled_from(list(COORDINATES)), arrays, st.sampled_from(["Feature", "Point", None]))
@example("Polygon", "[[[1,2],5,[1,2],[1,2],[1,2]]]", None)
@example("Polygon", "[[[1,2],[1,2],[1,2]]]", None)
@example("Point", "1", None)
@example("LineString", "[[1,2]]", None)
@example("LineString", "[[1,2],[3,4e999]]", None)
def test_what_is_recognised_fits_its_schema(kind, coordinates, wrong):
    geometry = f'{{"type":"{wrong or kind}","coordinates":{coordinates}}}'
    document = f'{{"type":"Feature","properties":{{}},"geometry":{geometry}}}'

    for name, text in ((kind, geometry), ("Geometry", geometry), ("Feature", document)):
        if is_certainly(name, text.encode()):
            assert accepts(SCHEMAS[name], msgspec.json.decode(text)), text


@pytest.mark.parametrize("kind", COORDINATES)
def test_nothing_between_the_geometries_of_a_collection_is_overlooked(kind):
    good = {"type": kind, "coordinates": COORDINATES[kind]}
    for wrong in (5, [], [1], [[1]], [[1, 2], 5], [[[1, 2], [1, 2]], 5], None, "1,2", [True, 1], {}):
        value = collection(good, {"type": kind, "coordinates": wrong}, good)
        if not accepts(SCHEMAS["FeatureCollection"], value):
            assert not is_certainly("FeatureCollection", msgspec.json.encode(value)), wrong


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b'{"type":"FeatureCollection"}',
        b'{"type":"FeatureCollection","features":{}}',
        b'{"type":"FeatureCollection","type":"Feature","features":[]}',
        b'{"type":"FeatureCollection","features":[{"type":"Feature"}]}',
        b'{"type":"FeatureCollection","features":[{"type":"Feature","geometry":null,"properties":[]}]}',
        b'{"type":"FeatureCollection","features":[{"type":"Feature","geometry":null,"id":[]}]}',
        b'{"type":"FeatureCollection","features":[{"type":"Feature","geometry":null,"properties":{"a":1e999}}]}',
        b'{"type":"FeatureCollection","features":[]} {}',
        b'{"type":"FeatureCollection","features":[],"name":"\xff"}',
        b'{"type":"FeatureCollection","features":[],"href":"http://x"}',
        b'{"type":"FeatureCollection","name":' + b"[" * 100_000,
    ],
)
def test_what_is_no_collection_or_may_be_more_is_not_recognised(document):
    assert not is_certainly("FeatureCollection", document)


def test_a_kind_nobody_knows_is_not_recognised():
    assert not is_certainly("Coverage", b"{}")


@pytest.mark.parametrize("count", [1, 2, 59, 60, 61, 300, 401])
@pytest.mark.parametrize("offset", [0, 1, 2, 3, 4, 5, 6, 7])
def test_digits_in_a_row_are_found_wherever_they_stand(count, offset):
    before = b"a" * (1000 + offset)

    assert has_digits_in_a_row(before + b"7" * count + b"a" * offset, count)
    assert not has_digits_in_a_row(before + b"7" * (count - 1) + b"a" + b"7" * (count - 1), count)
