"""Inputs: every form of a value, every fault told (S1.3, reading one value; /req/core/process-execute-input-*)."""

import base64
import json
from typing import Any

import fastprocesses_sdk as fp
import msgspec
import pytest
from fastprocesses_host.inputs import MAX_FAULTS, check_request
from fastprocesses_host.ogc.exceptions import InternalError, InvalidParameterValue
from fastprocesses_host.ogc.execute import ExecuteRequest, parse_execute_request
from fastprocesses_host.ogc.references import REFERENCED, decode_referenced, encode_referenced
from fastprocesses_sdk.description import InputDescription
from hypothesis import given

from tests.ogc.examples import BBOX_SCHEMA, GML, OUTPUTS, TIFF, asked, described_input, process
from tests.ogc.test_execute import JSON_VALUES, refusal

OBJECT = {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}
MIXED = {
    "oneOf": [
        {"type": "string", "contentMediaType": GML},
        {"type": "string", "contentMediaType": "application/xml"},
        {"type": "object", "contentMediaType": "application/geo+json", "required": ["coordinates"]},
    ]
}
BINARY = {"type": "string", "contentEncoding": "base64", "contentMediaType": TIFF}
GEOJSON = "application/geo+json"


def tagged(kind: str, member: str) -> dict[str, Any]:
    """Describe a kind of GeoJSON."""
    kinds = {"type": "string", "enum": [kind]}
    return {
        "type": "object", "contentMediaType": GEOJSON, "required": ["type", member], "properties": {"type": kinds}
    }  # fmt: skip


KINDS = [
    tagged("FeatureCollection", "features"),
    tagged("Feature", "geometry"),
    tagged("Point", "coordinates"),
]
GEO = {"oneOf": [*KINDS, {"type": "string", "contentMediaType": GML}]}
GEO_ONLY = {"anyOf": KINDS}
PLACE: dict[str, Any] = {"type": "Point", "coordinates": [1, 2]}
FEATURE: dict[str, Any] = {"type": "Feature", "geometry": None, "properties": None}
FEATURES: dict[str, Any] = {"type": "FeatureCollection", "features": []}
BBOX = {"bbox": [51.9, 7, 52, 7.1], "crs": "http://www.opengis.net/def/crs/OGC/1.3/CRS84"}
ODD_BBOX = {"crs": "urn:ogc:def:crs:EPSG:6.6:4326", "bbox": [345345345] * 4}
POINT: dict[str, Any] = {"coordinates": []}
CLOSED = {"patternProperties": {"^a": {"type": "integer"}}, "additionalProperties": False}
EVIL = {"patternProperties": {"^(a+)+$": {"type": "integer"}}, "additionalProperties": False}
NUMBERS_AND_NAMES = [*range(20_000), *map(str, range(20_000)), 1]
GML_TIGHT = "application/gml+xml;version=3.2"
HAS_VALUE = {"type": "object", "required": ["value"], "properties": {"value": {"type": "integer"}}}


def check(description: InputDescription, value: Any) -> tuple[Any, str]:
    """Check one input given as `value`; its plain value and media type."""
    request = parse_execute_request(json.dumps({"inputs": {"x": value}}).encode())
    checked = check_request(process({"x": description}), request)
    return (msgspec.json.decode(checked["x"].data), checked["x"].media_type) if checked else (None, "absent")


REFERENCE = {"href": "https://x/y"}


@pytest.mark.parametrize(
    ("schema", "most", "sent", "kept"),
    [
        (OBJECT, 1, REFERENCE, {"href": "https://x/y"}),
        (OBJECT, 1, [REFERENCE], {"href": "https://x/y"}),
        (OBJECT, 2, REFERENCE, {"href": "https://x/y"}),
        (OBJECT, 2, [REFERENCE], [{"href": "https://x/y"}]),
        (OBJECT, 2, [REFERENCE, {"value": {"a": 1}}], [{"href": "https://x/y"}, {"value": {"a": 1}}]),
        (
            BINARY,
            1,
            REFERENCE | {"type": "Image/TIFF", "rel": "item", "title": "A"},
            REFERENCE | {"mediaType": "Image/TIFF"},
        ),
        (BINARY, 1, REFERENCE | {"mediaType": TIFF, "encoding": "base64"}, REFERENCE | {"mediaType": TIFF}),
        (BINARY, 1, REFERENCE | {"format": {"mediaType": TIFF}}, REFERENCE | {"mediaType": TIFF}),
        (
            BINARY,
            2,
            ["AAEC", REFERENCE | {"type": TIFF}],
            [{"value": "AAEC", "mediaType": TIFF}, REFERENCE | {"mediaType": TIFF}],
        ),
        ({"type": "array", "items": {"type": "integer"}}, 1, REFERENCE, {"href": "https://x/y"}),
        (
            BBOX_SCHEMA,
            1,
            REFERENCE | {"type": "application/json"},
            REFERENCE | {"mediaType": "application/json"},
        ),
    ],
)
def test_references_are_kept_for_the_job(schema, most, sent, kept):
    """As objects with `href`, alone and in arrays, with the media type they state (S1.3 rules 1 to 3)."""
    value, media_type = check(described_input(schema, max_occurs=most), sent)
    assert (value, media_type) == (kept, REFERENCED)
    document = msgspec.json.encode(value)
    assert encode_referenced(decode_referenced(document)) == document


@pytest.mark.parametrize(
    ("schema", "href", "read"),
    [
        (OBJECT, 'data:application/json,{"a": 1}', ({"a": 1}, "")),
        (OBJECT, "data:application/json;base64,eyJhIjogMX0=", ({"a": 1}, "")),
        (OBJECT, "DATA:;charset=utf-8;base64,eyJhIjogMX0", ({"a": 1}, "")),
        ({"type": "string"}, "data:,a%20b%2Cc", ("a b,c", "")),
        ({"type": "string"}, "data:,%225%22", ("5", "")),
        ({"type": "number"}, "data:,5", (5, "")),
        (BINARY, "data:image/tiff;base64,AAEC", ("AAEC", TIFF)),
        (BINARY, "data:image/tiff,%00%01%02", ("AAEC", TIFF)),
        (BINARY, "data:;base64,_-8", ("/+8=", TIFF)),
        (MIXED, "data:text/xml,<a/>", ("<a/>", GML)),
        (MIXED, "data:application/xml,<a/>", ("<a/>", "application/xml")),
        (MIXED, 'data:application/geo%2Bjson,{"coordinates":[]}', (POINT, GEOJSON)),
        (MIXED, 'data:application/geo+json,{"coordinates":[]}', (POINT, GEOJSON)),
        (BINARY, "data:image/png;base64,AAEC", None),
        (OBJECT, "data:application/json,[1]", None),
        (OBJECT, f"data:application/json,{'[' * 300}", None),
        (OBJECT, 'data:application/json,{"a": NaN}', None),
        (BBOX_SCHEMA, 'data:application/json,{"bbox": [1, 2, 3, "4"]}', None),
    ],
)
def test_what_a_data_url_has_is_checked_at_once(schema, href, read):
    if read is None:
        assert faults(described_input(schema), {"href": href})[0].startswith("/inputs/x")
    else:
        assert check(described_input(schema), {"href": href}) == read


def faults(description: InputDescription, value: Any) -> list[str]:
    with pytest.raises(InvalidParameterValue) as raised:
        check(description, value)
    return [error["pointer"] for error in raised.value.errors]


@pytest.mark.parametrize(
    ("schema", "sent", "read"),
    [
        # literal
        ({"type": "string"}, "s", ("s", "")),
        ({"type": "number"}, 1.5, (1.5, "")),
        ({"type": "boolean"}, True, (True, "")),
        ({"type": "integer"}, 10**30, (10**30, "")),
        ({"oneOf": [{"type": "number"}, {"type": "boolean"}]}, False, (False, "")),
        # array as one value; an array of one where no array is wanted
        ({"type": "array", "items": {"type": "integer"}}, [1, 2], ([1, 2], "")),
        ({"type": "array", "items": {"type": "integer"}}, [], ([], "")),
        ({"type": "integer"}, [1], (1, "")),
        # object, bare and qualified
        (OBJECT, {"a": 1}, ({"a": 1}, "")),
        (OBJECT, {"value": {"a": 1}}, ({"a": 1}, "")),
        (OBJECT, {"value": {"a": 1}, "mediaType": "application/json"}, ({"a": 1}, "application/json")),
        ({"type": "object"}, {"value": "teststring"}, ({"value": "teststring"}, "")),
        (HAS_VALUE, {"value": 1}, ({"value": 1}, "")),
        (HAS_VALUE, {"value": {"value": 1}}, ({"value": 1}, "")),
        # qualified literal
        ({"type": "string"}, {"value": "s"}, ("s", "")),
        ({"type": "string"}, {"value": "s", "mediaType": "text/plain"}, ("s", "text/plain")),
        ({"type": "string"}, {"value": "c8O8w58=", "encoding": "base64"}, ("süß", "")),
        # mixed type: the format picks the branch, none the first that fits
        (MIXED, "<a/>", ("<a/>", GML)),
        (MIXED, {"value": "<a/>", "mediaType": "application/xml"}, ("<a/>", "application/xml")),
        (MIXED, {"value": "<a/>", "format": {"mediaType": "Application/XML"}}, ("<a/>", "Application/XML")),
        (MIXED, {"value": "<a/>", "mediaType": GML_TIGHT}, ("<a/>", GML_TIGHT)),
        (MIXED, {"value": {"coordinates": []}}, ({"coordinates": []}, "application/geo+json")),
        (MIXED, {"value": POINT, "mediaType": "application/json"}, (POINT, "application/json")),
        (MIXED, {"coordinates": []}, ({"coordinates": []}, "application/geo+json")),
        # kinds of one media type: the first of them that fits
        (GEO, {"value": FEATURES, "mediaType": GEOJSON}, (FEATURES, GEOJSON)),
        (GEO, {"value": FEATURE, "mediaType": GEOJSON}, (FEATURE, GEOJSON)),
        (GEO, {"value": PLACE, "mediaType": GEOJSON}, (PLACE, GEOJSON)),
        (GEO, {"value": PLACE, "format": {"mediaType": GEOJSON}}, (PLACE, GEOJSON)),
        (GEO, {"value": PLACE, "mediaType": "application/json"}, (PLACE, "application/json")),
        (GEO, {"value": PLACE}, (PLACE, GEOJSON)),
        (GEO, {"value": "<a/>", "mediaType": GML}, ("<a/>", GML)),
        (GEO_ONLY, {"value": PLACE, "mediaType": GEOJSON}, (PLACE, GEOJSON)),
        # binary
        (BINARY, "AAEC", ("AAEC", TIFF)),
        (BINARY, "AA\nEC==\n", ("AA\nEC==\n", TIFF)),
        (BINARY, {"value": "AAEC", "encoding": "base64", "mediaType": TIFF}, ("AAEC", TIFF)),
        (BINARY, {"value": "AAEC", "format": {"mediaType": TIFF, "encoding": "base64"}}, ("AAEC", TIFF)),
        # bbox
        (BBOX_SCHEMA, BBOX, (BBOX, "")),
        (BBOX_SCHEMA, ODD_BBOX, (ODD_BBOX, "")),
        (BBOX_SCHEMA, {"bbox": [1, 2, 3, 4, 5, 6]}, ({"bbox": [1, 2, 3, 4, 5, 6]}, "")),
        (BBOX_SCHEMA, {"value": BBOX}, (BBOX, "")),
        ({"format": "http://www.opengis.net/def/format/ogcapi-processes/0/ogc-bbox"}, BBOX, (BBOX, "")),
        # a link where links are wanted
        ({"type": "object", "required": ["href"]}, {"href": "http://x"}, ({"href": "http://x"}, "")),
        ({"type": "object"}, {"href": "http://x", "speed": 3}, ({"href": "http://x", "speed": 3}, "")),
    ],
)  # fmt: skip
@pytest.mark.parametrize("occurs", ["once", "several times"])
def test_every_form_of_a_value_is_read(schema, sent, read, occurs):
    """The same forms, alone for maxOccurs 1 and as the items of an array beyond."""
    value, media_type = read
    if occurs == "once":
        assert check(described_input(schema), sent) == (value, media_type)
    elif not (isinstance(sent, list) and schema == {"type": "integer"}):
        several = described_input(schema, max_occurs="unbounded")
        assert check(several, [sent, sent]) == ([value, value], media_type)


@pytest.mark.parametrize(
    ("occurs", "sent", "expected"),
    [
        ({"max_occurs": 3}, [1, 2, 3], [1, 2, 3]),
        ({"max_occurs": 3}, [1], [1]),
        ({"max_occurs": 3}, 1, [1]),
        ({"max_occurs": 3}, [1, {"value": 2}], [1, 2]),
        ({"max_occurs": 3}, [1, 2, 3, 4], ["/inputs/x"]),
        ({"min_occurs": 2, "max_occurs": "unbounded"}, [1], ["/inputs/x"]),
        ({"min_occurs": 2, "max_occurs": "unbounded"}, 1, ["/inputs/x"]),
        ({"min_occurs": 0, "max_occurs": "unbounded"}, [], []),
        ({"min_occurs": 1, "max_occurs": "unbounded"}, [], ["/inputs/x"]),
        ({"max_occurs": 3}, [1, "a", "b"], ["/inputs/x/1", "/inputs/x/2"]),
        ({"max_occurs": 3}, [1, {"value": "a"}], ["/inputs/x/1/value"]),
    ],
)
def test_values_are_counted(occurs, sent, expected):
    description = described_input({"type": "integer"}, **occurs)
    if expected and isinstance(expected[0], str):
        assert faults(description, sent) == expected
    else:
        assert check(description, sent)[0] == expected


def test_an_array_stands_for_one_value_of_several_where_only_that_fits():
    description = described_input({"type": "array", "items": {"type": "integer"}}, max_occurs=3)

    assert check(description, [1, 2])[0] == [[1, 2]]
    assert check(description, [[1, 2], [3]])[0] == [[1, 2], [3]]


@pytest.mark.parametrize(
    ("schema", "sent", "pointers"),
    [
        ({"type": "string"}, 5, ["/inputs/x"]),
        ({"type": "string"}, {"value": 5}, ["/inputs/x/value"]),
        ({"type": "integer"}, [1, 2], ["/inputs/x"]),
        ({"type": "integer"}, True, ["/inputs/x"]),
        ({"minimum": 0, "not": {"enum": [0]}}, 0, ["/inputs/x"]),
        ({"format": "date"}, "2026-02-30", ["/inputs/x"]),
        (OBJECT, {"value": {"a": "1"}}, ["/inputs/x/value/a"]),
        (OBJECT, {"a": "1"}, ["/inputs/x/a"]),
        ({"type": "array", "items": OBJECT}, [{"a": 1}, {"a": "1"}, {}], ["/inputs/x/1/a", "/inputs/x/2"]),
        ({"additionalProperties": {"type": "integer"}}, {"a/b~": "c"}, ["/inputs/x/a~1b~0"]),
        (CLOSED, {"ab": 1, "b": 1}, ["/inputs/x/b"]),
        (MIXED, {"value": "<a/>", "mediaType": "text/csv"}, ["/inputs/x/value"]),
        (MIXED, {"type": "wrong/type_0"}, ["/inputs/x"]),
        (GEO, {"value": {"type": "Point"}, "mediaType": GEOJSON}, ["/inputs/x/value"]),
        (GEO, {"value": {"type": "Star"}, "mediaType": GEOJSON}, ["/inputs/x/value/type"]),
        (GEO, {"value": "<a/>", "mediaType": GEOJSON}, ["/inputs/x/value"]),
        (GEO_ONLY, {"value": {"type": "Point"}, "mediaType": GEOJSON}, ["/inputs/x/value"]),
        ({"type": "string", "contentMediaType": "application/xml"}, {"type": "wrong/type_0"}, ["/inputs/x"]),
        ({"type": "string"}, {"value": "s", "mediaType": 7}, ["/inputs/x"]),
        ({"type": "string"}, {"value": "s", "mediaType": "image/png"}, ["/inputs/x/value"]),
        ({"type": "string"}, {"value": "/w==", "encoding": "base64"}, ["/inputs/x/value"]),
        ({"type": "string"}, {"value": 5, "encoding": "base64"}, ["/inputs/x/value"]),
        (BINARY, "not base64!", ["/inputs/x"]),
        (BINARY, {"value": "AAECA", "encoding": "base64"}, ["/inputs/x/value"]),
        (BBOX_SCHEMA, [1, 2, 3, 4], ["/inputs/x"]),
        (BBOX_SCHEMA, {"bbox": [1, 2, 3]}, ["/inputs/x"]),
        (BBOX_SCHEMA, {"bbox": [1, 2, 3, 4, 5]}, ["/inputs/x"]),
        (BBOX_SCHEMA, {"bbox": [1, 2, 3, "4"]}, ["/inputs/x"]),
        (BBOX_SCHEMA, {"bbox": [1, 2, 3, 4], "crs": 4326}, ["/inputs/x/crs"]),
        ({"type": "string"}, {"href": "http://x/y", "type": "image/png"}, ["/inputs/x"]),
        (OBJECT, {"href": "http://x/y", "format": {"mediaType": 5}}, ["/inputs/x"]),
        (OBJECT, {"href": "x/y"}, ["/inputs/x/href"]),
        (OBJECT, {"href": "data:,{}"}, ["/inputs/x/href"]),
    ],
)  # fmt: skip
def test_every_fault_is_told_with_its_place(schema, sent, pointers):
    assert faults(described_input(schema), sent) == pointers


@pytest.mark.parametrize(
    ("schema", "sent", "sentence"),
    [
        ({"type": "string"}, None, "must be given"),
        ({"type": "number"}, "5", "This must be a number, not a string."),
        ({"enum": ["round", "flat"]}, "square", 'This must be one of "round", "flat".'),
        ({"minimum": 0, "not": {"enum": [0]}}, 0, "This must not be 0."),
        (
            {"oneOf": [{"type": "number"}, {"type": "boolean"}]},
            "x",
            "a number or true or false, not a string",
        ),
        ({"pattern": "^a+$"}, "b", 'This does not match "^a+$".'),
        ({"format": "date"}, "today", 'This is not a "date".'),
        ({"maximum": 3}, 4, "This is greater than the maximum of 3."),
        ({"type": "string"}, {"href": "ftp://x"}, "URLs of the scheme ftp are not fetched."),
        (GEO, {"value": {"type": "Point"}, "mediaType": GEOJSON}, "Its member coordinates must be given."),
        (GEO, {"value": "<a/>", "mediaType": GEOJSON}, "This must be an object, not a string."),
        (GEO, {"value": PLACE, "mediaType": "text/csv"}, f"Possible: {GEOJSON}, {GML}."),
    ],
)
def test_faults_are_told_in_words(schema, sent, sentence):
    with pytest.raises(InvalidParameterValue) as raised:
        check(described_input(schema), sent)

    assert sentence in raised.value.errors[0]["detail"]
    assert sentence in raised.value.detail


def test_the_faults_of_all_inputs_and_outputs_are_told_at_once():
    offered = process(
        {name: described_input({"type": "integer"}) for name in ("distance", "cap", "quiet")}, OUTPUTS
    )
    inputs = {"distanse": 1, "cap": "x", "quiet": 3}
    outputs = {"textt": {}, "image": {"format": {"mediaType": "image/png"}}}
    body = json.dumps({"inputs": inputs, "outputs": outputs}).encode()

    with pytest.raises(InvalidParameterValue) as raised:
        check_request(offered, parse_execute_request(body))

    told = {error["pointer"]: error["detail"] for error in raised.value.errors}
    assert list(told) == [
        "/inputs/distanse",
        "/inputs/distance",
        "/inputs/cap",
        "/outputs/textt",
        "/outputs/image/format/mediaType",
    ]
    assert told["/inputs/distanse"] == "The process has no such input. Did you mean distance?"
    assert told["/outputs/textt"] == "The process has no such output. Did you mean text?"


def test_faults_are_capped():
    offered = process({"x": described_input({"type": "integer"}, max_occurs="unbounded")})
    request = parse_execute_request(json.dumps({"inputs": {"x": ["a"] * 1_000}}).encode())

    with pytest.raises(InvalidParameterValue) as raised:
        check_request(offered, request)

    assert len(raised.value.errors) == MAX_FAULTS


def test_a_crowd_of_unknown_inputs_is_refused_in_no_time():
    body = json.dumps({"inputs": {f"unknown-{place}" + "x" * 1_000: 1 for place in range(20_000)}}).encode()

    with pytest.raises(InvalidParameterValue) as raised:
        check_request(process({"x": described_input({"type": "integer"})}), parse_execute_request(body))

    assert len(json.dumps(raised.value.errors)) < 10_000


@pytest.mark.parametrize(
    ("schema", "occurs", "sent", "expected"),
    [
        ({"type": "integer"}, 0, None, (None, "absent")),
        ({"type": ["integer", "null"]}, 0, None, (None, "")),
        ({"type": "integer", "default": 4}, 0, None, (None, "absent")),
    ],
)
def test_null_is_a_value_only_where_the_schema_has_it(schema, occurs, sent, expected):
    assert check(described_input(schema, min_occurs=occurs), sent) == expected


def test_optional_inputs_may_be_missing_and_required_ones_not():
    offered = process(
        {"a": described_input({"type": "integer"}, min_occurs=0), "b": described_input({"type": "integer"})}
    )

    assert list(check_request(offered, parse_execute_request(b'{"inputs": {"b": 1}}'))) == ["b"]
    with pytest.raises(InvalidParameterValue, match="Input b"):
        check_request(offered, parse_execute_request(b'{"invalid-execute-request": "true)"}'))


def test_values_travel_on_as_they_were_sent():
    body = b'{"inputs": {"x": {"a": 1.10, "b": [1e2,  "\\u00e9"]}, "y": {"value": {"c":  2.50}}}}'
    offered = process({"x": described_input({"type": "object"}), "y": described_input({"type": "object"})})

    checked = check_request(offered, parse_execute_request(body))

    assert checked["x"].data == b'{"a": 1.10, "b": [1e2,  "\\u00e9"]}'
    assert checked["y"].data == b'{"c":  2.50}'


@pytest.mark.parametrize(
    ("schema", "sent"),
    [
        ({"type": "string", "pattern": "^(a+)+$"}, "a" * 5_000 + "!"),
        (EVIL, {"a" * 200 + "!": 1}),
        ({"uniqueItems": True, "items": {"type": ["integer", "string"]}}, NUMBERS_AND_NAMES),
        ({"anyOf": [{"items": {"type": "integer"}}, {"items": {"type": "boolean"}}, {"maxItems": 3}]}, ["x"] * 200_000),
        ({"additionalProperties": {"type": "integer"}}, dict.fromkeys(map(str, range(50_000)), 1) | {"x": "y"}),
        ({"format": "uri"}, "http://" + "a/" * 50_000 + " "),
        ({"format": "email"}, "a" * 100_000),
        ({"items": {"type": "integer"}}, ["x"] * 200_000),
    ],
)  # fmt: skip
def test_values_made_to_take_for_ever_are_refused_at_once(schema, sent):
    """Exponential patterns, quadratic comparisons: the timeout of the suite is the judge."""
    assert faults(described_input(schema), sent)


def test_a_pattern_that_only_python_knows_is_honoured():
    description = described_input({"type": "string", "pattern": r"^(?P<a>.)(?P=a)$"})

    assert check(description, "xx") == ("xx", "")
    assert faults(description, "xy") == ["/inputs/x"]


@pytest.mark.parametrize("uri", ["http://127.0.0.1:1/schema.json", "file:///etc/hostname", "#/nowhere"])
def test_references_in_schemas_are_never_fetched(uri):
    with pytest.raises(InternalError, match="schema of the input x"):
        check(described_input({"$ref": uri}), 1)


def test_a_deep_value_is_checked_without_harm():
    schema: dict[str, Any] = {
        "$ref": "#/$defs/node",
        "$defs": {"node": {"items": {"$ref": "#/$defs/node"}, "type": "array"}},
    }
    value: Any = 5
    for _ in range(190):
        value = [value]

    with pytest.raises(InvalidParameterValue):
        check(described_input(schema), value)


@given(JSON_VALUES, JSON_VALUES)
def test_whatever_is_sent_as_value_is_checked_or_refused_as_a_problem(value, other):
    offered = process(
        {
            "x": described_input(MIXED, min_occurs=0),
            "y": described_input(BBOX_SCHEMA, max_occurs=2, min_occurs=0),
            "z": described_input({"type": "array"}, min_occurs=0),
        }
    )
    for sent in (
        value,
        {"value": value, "format": other},
        {"value": value, "encoding": "base64"},
        {"bbox": value},
    ):
        body = json.dumps({"inputs": dict.fromkeys("xyz", sent)}).encode()
        problem = refusal(lambda body=body: check_request(offered, parse_execute_request(body)))
        assert problem is None or (problem.status == 400 and problem.errors)


def test_the_echo_process_of_the_compliance_suite_takes_what_the_suite_sends(shared):
    """S1.9: nested formats, objects as `{"value": "teststring"}`, impossible boxes."""
    raw = json.loads((shared / "cite/echo-process.json").read_bytes())
    inputs = {
        name: described_input(told["schema"], min_occurs=told.get("minOccurs", 1))
        for name, told in raw["inputs"].items()
    }
    offered = process(inputs)

    for members in (
        {"numbers": [1, 2, 3]},
        {"bbox": BBOX},
        {"bbox": ODD_BBOX},
        {"pause": 5},
        {"text": {"value": "<a/>", "format": {"mediaType": "application/xml"}}},
    ):
        request = parse_execute_request(json.dumps({"inputs": {"message": "teststring"} | members}).encode())
        assert set(check_request(offered, request)) == {"message", *members}


@pytest.mark.parametrize(
    ("wanted", "places"),
    [
        (asked(), []),
        (asked("text", "image"), []),
        (asked("text=reference"), []),
        (asked("nothing", "text"), ["/outputs/nothing"]),
    ],
)
def test_wanted_outputs_must_exist(wanted, places):
    offered = process(outputs=OUTPUTS)
    if not places:
        check_request(offered, ExecuteRequest(asked=wanted))
        return
    with pytest.raises(InvalidParameterValue) as raised:
        check_request(offered, ExecuteRequest(asked=wanted))
    assert [error["pointer"] for error in raised.value.errors] == places


@pytest.mark.parametrize(
    ("output_id", "media_type", "known"),
    [
        ("text", "text/plain", True),
        ("text", "application/json", True),
        ("text", "text/html", False),
        ("features", "application/geo+json", True),
        ("features", "application/json", True),
        ("image", "image/tiff;application=geotiff", True),
        ("image", "image/png", False),
        ("choice", "application/gml+xml; version=3.2", True),
        ("choice", "application/geo+json", True),
        ("choice", "nonsense", False),
    ],
)
def test_formats_of_wanted_outputs_must_be_known(output_id, media_type, known):
    request = parse_execute_request(
        json.dumps({"outputs": {output_id: {"format": {"mediaType": media_type}}}}).encode()
    )
    if known:
        check_request(process(outputs=OUTPUTS), request)
    else:
        with pytest.raises(InvalidParameterValue, match="cannot be given as"):
            check_request(process(outputs=OUTPUTS), request)


def test_a_transmission_the_process_does_not_offer_is_refused():
    with pytest.raises(InvalidParameterValue, match="Possible: value"):
        check_request(
            process(outputs=OUTPUTS, output_transmission=["value"]),
            ExecuteRequest(asked=asked("text=reference")),
        )


def polygons(count: int) -> dict[str, Any]:
    """Give a collection that is large enough to be recognised in its text."""
    ring = [[0.5, 1], [2, 1], [2, 2], [0.5, 1]]
    geometry = {"type": "Polygon", "coordinates": [ring]}
    features = [{"type": "Feature", "properties": None, "geometry": geometry} for _ in range(count)]
    return {"type": "FeatureCollection", "features": features}


COLLECTION = described_input(fp.FeatureCollection.json_schema())
LARGE = polygons(500)


@pytest.mark.parametrize(
    "sent",
    [
        LARGE,
        {"value": LARGE},
        {"value": LARGE, "mediaType": GEOJSON},
        {"value": LARGE, "format": {"mediaType": GEOJSON}},
        {"value": {**LARGE, "more": 1}},
        {**LARGE, "more": 1},
        [LARGE],
    ],
)
def test_a_large_collection_is_read_as_a_small_one(sent):
    value, media_type = check(COLLECTION, sent)

    assert {**value, "more": 1} == {**LARGE, "more": 1}
    assert media_type == GEOJSON


@pytest.mark.parametrize(
    ("place", "wrong"),
    [
        (("geometry", "coordinates", 0, 2, 1), "2"),
        (("geometry", "coordinates", 0, 2), [1]),
        (("geometry", "coordinates", 0), [[1, 2], [1, 2]]),
        (("geometry", "type"), "Square"),
        (("properties",), []),
        (("type",), "feature"),
    ],
)
@pytest.mark.parametrize("qualified", [False, True])
def test_what_is_wrong_in_a_large_collection_is_told(place, wrong, qualified):
    value = json.loads(json.dumps(LARGE))
    inner = value["features"][250]
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = wrong
    before = "/inputs/x/value/" if qualified else "/inputs/x/"
    told = faults(COLLECTION, {"value": value, "mediaType": GEOJSON} if qualified else value)

    assert all(each.startswith(f"{before}features/250/") for each in told), told


def test_a_large_collection_in_another_format_than_it_has_is_refused():
    large, small = ({"value": polygons(count), "mediaType": GML} for count in (500, 1))

    assert faults(COLLECTION, large) == faults(COLLECTION, small)
    assert faults(COLLECTION, {"value": LARGE, "encoding": 0}) == ["/inputs/x"]
    assert faults(COLLECTION, {"value": LARGE, "encoding": "base64"}) == ["/inputs/x/value"]


LARGE_BINARY = base64.b64encode(bytes(range(256)) * 100).decode()


@pytest.mark.parametrize(
    "text", [LARGE_BINARY, LARGE_BINARY.rstrip("="), LARGE_BINARY[:-4] + "AA==", "-_" * 9000]
)
@pytest.mark.parametrize("schema", [BINARY, {**BINARY, "format": "byte"}, {**BINARY, "minLength": 9}])
def test_large_base64_is_read_as_small_is(schema, text):
    for sent in (text, {"value": text}, {"value": text, "encoding": "base64", "mediaType": TIFF}):
        assert check(described_input(schema), sent) == (text, TIFF)


@pytest.mark.parametrize(
    "text", [LARGE_BINARY + "?", "=" + LARGE_BINARY, LARGE_BINARY[:20_001], LARGE_BINARY + "==="]
)
def test_large_values_that_are_no_base64_are_refused(text):
    assert faults(described_input(BINARY), text) == ["/inputs/x"]
    assert faults(described_input(BINARY), {"value": text}) == ["/inputs/x/value"]
    assert faults(described_input({**BINARY, "maxLength": 9}), LARGE_BINARY) == ["/inputs/x"]
    assert faults(described_input(BINARY), [LARGE_BINARY, 1]) == ["/inputs/x"]
