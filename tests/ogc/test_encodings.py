"""Output values as raw answers and as members of a results document (S1.3)."""

import msgspec
import pytest
from fastprocesses_host.encodings import (
    content_type,
    count_values,
    has_several,
    inline_member,
    nth_value,
    offered_media_types,
    raw_writer,
)
from fastprocesses_host.ogc.jobs import OutputValue
from hypothesis import given
from hypothesis import strategies as st

from tests.ogc.official import faults

CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
JSON, TEXT, GEOJSON = "application/json", "text/plain", "application/geo+json"


def value(form: str, media_type: str = JSON) -> OutputValue:
    return msgspec.convert({"form": form, "media_type": media_type, "length": 1}, OutputValue)


@pytest.mark.parametrize(
    ("known", "data", "member"),
    [
        (value("json"), b'"text"', "text"),
        (value("json"), b"1.5", 1.5),
        (value("json"), b" true ", True),
        (value("json"), b"[1,2]", [1, 2]),
        (value("json"), b'{"a":1}', {"value": {"a": 1}, "mediaType": JSON}),
        (value("json"), b' {"a":1}', {"value": {"a": 1}, "mediaType": JSON}),
        (
            value("json"),
            f'{{"bbox":[1,2,3,4],"crs":"{CRS84}"}}'.encode(),
            {"bbox": [1, 2, 3, 4], "crs": CRS84},
        ),
        (value("json"), b'{"bbox":1}', {"value": {"bbox": 1}, "mediaType": JSON}),
        (value("json"), b'{"bbox":[1],"z":2}', {"value": {"bbox": [1], "z": 2}, "mediaType": JSON}),
        (value("json", GEOJSON), b'{"type":"Point"}', {"value": {"type": "Point"}, "mediaType": GEOJSON}),
        (
            value("text", "application/xml"),
            b'<a b="\xc3\xbc"/>',
            {"value": '<a b="ü"/>', "mediaType": "application/xml"},
        ),
        (
            value("binary", "image/tiff"),
            b"\x00\xff",
            {"value": "AP8=", "mediaType": "image/tiff", "encoding": "base64"},
        ),
    ],
)
def test_a_value_stands_in_a_document_by_its_kind(shared, known, data, member):
    """/req/core/process-execute-sync-document; the document is valid by both versions."""
    document = {"x": msgspec.json.decode(inline_member(known, data))}

    assert document == {"x": member}
    assert faults(shared, "v1.0", "results", document) == []
    assert faults(shared, "v2.0", "results", document) == []


@given(st.binary())
def test_binary_values_survive_a_document(data):
    member = msgspec.json.decode(inline_member(value("binary", "image/tiff"), data))

    assert msgspec.convert(member["value"], bytes) == data


@pytest.mark.parametrize(
    ("known", "schema", "media_types"),
    [
        (value("json"), {"type": "string"}, [TEXT, JSON]),
        (value("json"), {"type": "number"}, [TEXT, JSON]),
        (value("json"), {"oneOf": [{"type": "number"}, {"type": "boolean"}]}, [TEXT, JSON]),
        (value("json"), {"enum": ["a", 1]}, [TEXT, JSON]),
        (value("json"), {"enum": ["a", [1]]}, [JSON]),
        (value("json"), {"type": "array"}, [JSON]),
        (value("json"), {"oneOf": [{"type": "number"}, {"type": "object"}]}, [JSON]),
        (value("json"), {}, [JSON]),
        (value("json"), None, [JSON]),
        (value("json", GEOJSON), {"type": "object"}, [GEOJSON, JSON]),
        (value("text", "application/xml"), {"type": "string"}, ["application/xml"]),
        (value("binary", "image/tiff"), {"type": "string"}, ["image/tiff"]),
    ],
)
def test_the_default_media_type_comes_first(known, schema, media_types):
    assert offered_media_types(known, schema) == media_types


@pytest.mark.parametrize(
    ("known", "media_type", "data", "body"),
    [
        (value("json"), TEXT, b'"teststring"', b"teststring"),
        (value("json"), TEXT, b'"\\u00fc\\n"', "ü\n".encode()),
        (value("json"), TEXT, b"1.50", b"1.50"),
        (value("json"), JSON, b'"teststring"', None),
        (value("json", GEOJSON), JSON, b"{}", None),
        (value("json", GEOJSON), GEOJSON, b"{}", None),
        (value("text", "application/xml"), "application/xml", b"<a/>", None),
        (value("binary", "image/tiff"), "image/tiff", b"\x00", None),
    ],
)
def test_a_raw_value_is_written_in_its_media_type(known, media_type, data, body):
    write = raw_writer(known, media_type)

    assert (write(data) if write else None) == body


@pytest.mark.parametrize(
    ("known", "media_type", "header"),
    [
        (value("json"), TEXT, "text/plain; charset=utf-8"),
        (value("text", "text/csv"), "text/csv", "text/csv; charset=utf-8"),
        (value("text", "text/csv; charset=utf-8"), "text/csv; charset=utf-8", "text/csv; charset=utf-8"),
        (value("binary", "text/csv"), "text/csv", "text/csv"),
        (value("json"), JSON, JSON),
    ],
)
def test_text_says_that_it_is_utf_8(known, media_type, header):
    assert content_type(known, media_type) == header


NUMBER = {"type": "array", "items": {"type": "number"}}
IMAGES = {
    "type": "array",
    "items": {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"},
}
MARKUP = {"type": "array", "items": {"type": "string", "contentMediaType": "text/html"}}
POINTS = {"type": "array", "items": {"type": "object", "format": "geojson-geometry"}}
ARRAY = OutputValue(form="json", media_type="application/json", length=0)


@pytest.mark.parametrize(
    ("schema", "data", "n", "expected"),
    [
        (NUMBER, b"[1, 2.5]", 1, ("json", "application/json", b"2.5")),
        (NUMBER, b"[1, 2.5]", 2, None),
        (NUMBER, b"[]", 0, None),
        (IMAGES, b'["AAE=", "AgM="]', 1, ("binary", "image/png", b"\2\3")),
        (MARKUP, b'["<p>x</p>"]', 0, ("text", "text/html", b"<p>x</p>")),
        (POINTS, b'[{"type": "Point"}]', 0, ("json", "application/geo+json", b'{"type": "Point"}')),
        ({"type": "array"}, b'["x"]', 0, ("json", "application/json", b'"x"')),
        ({"type": "number"}, b"[1]", 0, ("json", "application/json", b"[1]")),
        ({"type": "number"}, b"[1]", 1, None),
    ],
)
def test_the_values_of_an_array_stand_by_themselves(schema, data, n, expected):
    """Version 2.0, /req/core/job-result-op-Nth."""
    one = nth_value(ARRAY, schema, data, n)
    told = None if one is None else (one.value.form, one.value.media_type, one.data)

    assert told == expected
    if one is not None:
        assert count_values(ARRAY, schema, data) > n
        assert one.value.length == len(one.data) or not has_several(ARRAY, schema)
