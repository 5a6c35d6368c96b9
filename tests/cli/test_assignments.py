"""Inputs of the command line become the values that a description asks for."""

import base64
import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from fastprocesses_host.cli.assignments import NotOfThisKind, ending_of, read_assignments, value_of
from fastprocesses_host.cli.told import CallError
from fastprocesses_host.exits import Exit
from hypothesis import given
from hypothesis import strategies as st

BBOX = {
    "allOf": [
        {"format": "ogc-bbox"},
        {"type": "object", "properties": {"bbox": {"type": "array"}, "crs": {"type": "string"}}},
    ]
}
GEOJSON = {"type": "object", "required": ["type"], "properties": {"type": {"enum": ["FeatureCollection"]}}}
TIFF = {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/tiff"}
PNG = {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"}
XML = {"type": "string", "contentMediaType": "application/xml"}
GML = {"type": "string", "contentMediaType": "application/gml+xml"}


def plain(value: Any) -> Any:
    """What is sent."""
    return json.loads(msgspec.json.encode(value))


def read(schema: Any, *values: str, **members: Any) -> Any:
    description = {"inputs": {"x": {"schema": schema, **members}, "other": {"schema": {}}}}
    return plain(read_assignments(description, [f"x{value}" for value in values]))["x"]


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        ({"type": "integer"}, "7", 7),
        ({"type": "integer"}, "+7", 7),
        ({"type": "integer"}, "123456789012345678901234567890", 123456789012345678901234567890),
        ({"type": "number"}, "2.50", 2.5),
        ({"type": "number"}, ".5", 0.5),
        ({"type": "number"}, "-1e3", -1000.0),
        ({"type": "boolean"}, "true", True),
        ({"type": "boolean"}, "False", False),
        ({"type": "string"}, "7", "7"),
        ({"type": "string"}, "", ""),
        ({"type": "string"}, "a=b", "a=b"),
        ({"type": "string"}, "@@home", "@home"),
        ({"type": "string", "format": "date"}, "2024-01-31", "2024-01-31"),
        ({"enum": ["round", "flat"]}, "flat", "flat"),
        ({"enum": [1, 2.5, True]}, "2.5", 2.5),
        ({"enum": [1, 2.5, True]}, "true", True),
        ({"const": 3}, "3", 3),
        ({"type": "array", "items": {"type": "integer"}}, "7", [7]),
        ({"type": "array", "items": {"type": "integer"}}, "7,8", [7, 8]),
        ({"type": "array", "items": {"type": "integer"}}, "[7, 8]", [7, 8]),
        ({"type": "array", "items": {"type": "string"}}, "a,b", ["a,b"]),
        ({"type": "object"}, '{"a": [1]}', {"a": [1]}),
        (BBOX, "7,50,8,51.5", {"bbox": [7, 50, 8, 51.5]}),
        (BBOX, "1,2,3,4,EPSG:25832", {"bbox": [1, 2, 3, 4], "crs": "EPSG:25832"}),
        (BBOX, "1,2,3,4,5,6", {"bbox": [1, 2, 3, 4, 5, 6]}),
        (BBOX, '{"bbox": [1, 2, 3, 4]}', {"bbox": [1, 2, 3, 4]}),
        ({"oneOf": [{"type": "string"}, {"type": "number"}]}, "7", 7),
        ({"oneOf": [{"type": "string"}, {"type": "number"}]}, "seven", "seven"),
        ({"anyOf": [{"type": "integer"}, {"type": "number"}, {"type": "boolean"}]}, "7.5", 7.5),
        ({"type": ["integer", "null"]}, "null", None),
        ({"type": ["integer", "null"]}, "5", 5),
        ({"$ref": "https://example.org/any.json"}, '{"a": 1}', {"a": 1}),
        ({}, "seven", "seven"),
        (True, "7", 7),
        (None, "x", "x"),
    ],
)
def test_a_text_becomes_the_value_its_schema_speaks_of(schema: Any, text: str, value: Any):
    found = read(schema, f"={text}")

    assert (found, type(found)) == (value, type(value)) or (isinstance(value, float) and found == value)


@pytest.mark.parametrize(
    ("schema", "text", "reason"),
    [
        ({"type": "integer"}, "7.5", "expects a whole number, not '7.5'"),
        ({"type": "number"}, "nan", "expects a number"),
        ({"type": "number"}, "1e999x", "expects a number"),
        ({"type": "number"}, "", "expects a number"),
        ({"type": "boolean"}, "yes", "expects true or false"),
        ({"enum": ["round", "flat"]}, "square", "expects one of round, flat, not 'square'"),
        ({"type": "object"}, "abc", "expects a JSON object"),
        ({"type": "object"}, "{abc", "not valid JSON"),
        (BBOX, "1,2,3", "west,south,east,north"),
        (TIFF, "in.tif", "expects a file, @file, or base64"),
        (
            {"oneOf": [{"type": "integer"}, {"type": "boolean"}]},
            "x",
            "expects a whole number or expects true",
        ),
    ],
)
def test_a_text_of_another_kind_is_told_with_what_would_fit(schema: Any, text: str, reason: str):
    with pytest.raises(CallError, match="the input 'x'") as told:
        read(schema, f"={text}")

    assert reason in str(told.value)
    assert told.value.code == Exit.USAGE


def test_a_name_given_again_adds_a_value():
    assert read({"type": "integer"}, "=1", "=2", maxOccurs="unbounded") == [1, 2]
    assert read({"type": "integer"}, "=1", maxOccurs=5) == 1
    assert read({"type": "array", "items": {"type": "number"}}, "=1", "=2.5") == [1, 2.5]
    assert read({"type": "array", "items": {"type": "number"}}, "=[1]", "=[2]", maxOccurs=2) == [[1], [2]]
    with pytest.raises(CallError, match="takes one value"):
        read({"type": "integer"}, "=1", "=2")


def test_json_is_taken_as_it_is_whatever_the_schema():
    assert read({"type": "integer"}, ':={"a": null}') == {"a": None}
    with pytest.raises(CallError, match="not valid JSON"):
        read({}, ":=nonsense")


def test_a_name_the_process_does_not_have_is_told_with_one_like_it():
    with pytest.raises(CallError, match=r"no input 'othr'; its inputs are x, other\. Did you mean 'other'"):
        read_assignments({"inputs": {"x": {}, "other": {}}}, ["othr=1"])
    with pytest.raises(CallError, match="not of the form name=value"):
        read_assignments({}, ["x"])


@pytest.mark.parametrize("description", [{}, {"inputs": None}, {"inputs": []}, {"inputs": {"x": None}}])
def test_a_description_that_tells_nothing_is_no_hindrance(description: dict[str, Any]):
    assert plain(read_assignments(description, ["x=1", "x=a"][:1])) == {"x": 1}


def test_an_assignment_replaces_what_was_there():
    given = read_assignments({}, ["a=2"], {"a": 1, "b": [1]})

    assert plain(given) == {"a": 2, "b": [1]}


@pytest.mark.parametrize(
    ("schema", "name", "content", "value"),
    [
        (GEOJSON, "in.geojson", b'{"type": "FeatureCollection"}', {"type": "FeatureCollection"}),
        (GEOJSON, "noending", b'{"type": "FeatureCollection"}', {"type": "FeatureCollection"}),
        (GEOJSON | {"contentMediaType": "application/geo+json"}, "in.geojson", b'{"a": 1}', {"a": 1}),
        ({"contentMediaType": "application/json"}, "in.json", b"[1]", [1]),
        ({"type": "string", "contentMediaType": "application/json"}, "in.json", b"[1]", "[1]"),
        ({"oneOf": [GML, GEOJSON]}, "in.json", b'{"a": 1}', {"a": 1}),
        ({"oneOf": [GEOJSON, GML]}, "in.gml", b"<a/>", {"value": "<a/>", "mediaType": "application/gml+xml"}),
        (XML, "in.xml", b"<a/>", "<a/>"),
        (TIFF, "in.tif", b"II*\0", {"value": "SUkqAA==", "encoding": "base64", "mediaType": "image/tiff"}),
        ({"oneOf": [PNG, TIFF]}, "in.TIF", b"II*\0", "image/tiff"),
        ({"oneOf": [PNG, TIFF]}, "in.dat", b"II*\0", "image/png"),
        ({"type": "string", "format": "byte"}, "in.png", b"\x89PNG", "image/png"),
        ({"type": "string"}, "in.txt", b"line\n", "line\n"),
        ({"type": "string"}, "in.json", b'{"a": 1}', {"a": 1}),
        ({"type": "number"}, "in.txt", b"2.5\n", 2.5),
        ({"type": "array", "items": {"type": "number"}}, "in.json", b"[1, 2]", [1, 2]),
        ({}, "in.bin", b"\xff\xfe", "application/octet-stream"),
    ],
)
def test_a_file_is_sent_as_its_kind_asks(schema: Any, name: str, content: bytes, value: Any, tmp_path: Path):
    (tmp_path / name).write_bytes(content)
    found = read(schema, f"=@{tmp_path / name}")

    if isinstance(found, dict) and "encoding" in found and not isinstance(value, dict):
        assert base64.b64decode(found["value"]) == content
        found = found["mediaType"]
    assert found == value


def test_json_in_a_file_is_not_rounded(tmp_path: Path):
    (tmp_path / "in.json").write_text('{"a": 0.1000000000000000055511151231257827}')
    sent = msgspec.json.encode(
        read_assignments({"inputs": {"x": {"schema": GEOJSON}}}, [f"x=@{tmp_path / 'in.json'}"])
    )

    assert b"0.1000000000000000055511151231257827" in sent


def test_the_media_type_of_a_file_can_be_said(tmp_path: Path):
    (tmp_path / "in.dat").write_bytes(b"II*\0")
    found = read({"oneOf": [PNG, TIFF]}, f"=@{tmp_path / 'in.dat'};type=image/tiff; application=geotiff")

    assert found["mediaType"] == "image/tiff; application=geotiff"


def test_standard_input_is_a_file(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b'{"type": "FeatureCollection"}')))

    assert read(GEOJSON, "=@-") == {"type": "FeatureCollection"}


def test_a_url_is_sent_as_a_link():
    assert read(GEOJSON, "=href=https://example.org/a?b=c") == {"href": "https://example.org/a?b=c"}
    assert read(GEOJSON, "=href=https://example.org/a;type=image/png") == {
        "href": "https://example.org/a",
        "type": "image/png",
    }


def test_a_file_that_cannot_be_used_is_told_by_its_name(tmp_path: Path):
    (tmp_path / "in.json").write_text("{")
    with pytest.raises(CallError, match=r"nowhere\.json cannot be read: No such file"):
        read(GEOJSON, f"=@{tmp_path / 'nowhere.json'}")
    with pytest.raises(CallError, match="is not JSON"):
        read(GEOJSON, f"=@{tmp_path / 'in.json'}")


@pytest.mark.parametrize(
    ("media_type", "ending"),
    [
        ("application/geo+json", ".geojson"),
        ("image/tiff; application=geotiff", ".tif"),
        ("application/json", ".json"),
        ("text/plain; charset=utf-8", ".txt"),
        ("image/png", ".png"),
        ("application/xml", ".xml"),
        ("application/x-nobody-knows", ".bin"),
    ],
)
def test_an_ending_is_found_for_a_media_type(media_type: str, ending: str):
    assert ending_of(media_type) == ending


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_arrives_as_itself(number: float):
    assert plain(value_of(repr(number), {"type": "number"})) == number


@given(
    st.recursive(st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(), st.lists, max_leaves=8)
)
def test_every_json_arrives_as_itself(value: Any):
    assert plain(value_of(json.dumps([value]), {"type": "array"})) == [value]


@given(st.text())
def test_a_number_is_never_guessed_from_text(text: str):
    try:
        found = plain(value_of(text, {"type": "number"}))
    except NotOfThisKind:
        return
    assert found == float(text.strip()) or found == int(text.strip())  # long whole numbers stay exact
