"""The validators against the official JSON Schema test suite, draft 2020-12, formats included (design of inputs)."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastprocesses_host.ogc.exceptions import InternalError
from fastprocesses_host.schemas.faults import faults_of
from fastprocesses_host.schemas.validators import ValueSchema
from hypothesis import given

from tests.ogc.test_openapi import SCHEMAS, VALUES

REMOTE = "its schema lies at another address, and nothing is ever fetched"
DIFFERENCES = {
    ("dynamicRef.json", "strict-tree schema, guards against misspelled properties"): REMOTE,
    ("dynamicRef.json", "tests for implementation dynamic anchor and reference link"): REMOTE,
    ("dynamicRef.json", "$ref and $dynamicAnchor are independent of order - $defs first"): REMOTE,
    ("dynamicRef.json", "$ref and $dynamicAnchor are independent of order - $ref first"): REMOTE,
    ("dynamicRef.json", "$ref to $dynamicRef finds detached $dynamicAnchor"): REMOTE,
    ("optional/cross-draft.json", "refs to historic drafts are processed as historic drafts"): REMOTE,
    ("refRemote.json", "*"): REMOTE,
    ("vocabulary.json", "schema that uses custom metaschema with with no validation vocabulary"): (
        "its meta-schema, which switches a vocabulary off, lies at another address"
    ),
    (
        "format.json",
        "*",
    ): "it wants formats to be annotations; ours are assertions, as optional/format has it",
}
"""Groups of tests with another outcome, each with the reason."""

CLOSED = {"additionalProperties": False, "properties": {"a": True}}
NO_STRING, NO_NUMBER = "This must be a string, not a number.", "This must be a number, not a string."
TREE = {
    "$ref": "#/$defs/tree",
    "$defs": {"tree": {"properties": {"of": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}}},
}
GEOMETRY = {
    "anyOf": [
        {
            "type": "object",
            "required": ["type", "coordinates"],
            "properties": {"type": {"enum": ["Point"]}, "coordinates": {"items": {"type": "number"}}},
        },
        {
            "type": "object",
            "required": ["type", "coordinates"],
            "properties": {"type": {"enum": ["Line"]}, "coordinates": {"items": {"type": "array"}}},
        },
        {"enum": [None]},
    ]
}


def cases(shared: Path) -> Iterator[tuple[tuple[str, str], Any, dict[str, Any]]]:
    folder = shared / "json-schema-test-suite/draft2020-12"
    for path in sorted(folder.rglob("*.json")):
        for group in json.loads(path.read_bytes()):
            for case in group["tests"]:
                yield (str(path.relative_to(folder)), group["description"]), group["schema"], case


def outcome(schema: ValueSchema, value: Any) -> bool | str:
    try:
        return schema.accepts(value)
    except InternalError:
        return "the schema cannot be used"


def test_the_official_suite_is_passed_but_for_what_is_listed(shared):
    failed, total = set(), 0
    for place, schema, case in cases(shared):
        total += 1
        if outcome(ValueSchema(schema), case["data"]) != case["valid"]:
            failed.add(place)

    assert total > 2_000
    unexpected = {
        place for place in failed if place not in DIFFERENCES and (place[0], "*") not in DIFFERENCES
    }
    assert unexpected == set()
    found = failed | {(file, "*") for file, _ in failed}
    assert set(DIFFERENCES) <= found, "a listed difference is none any more"


def test_every_refusal_of_the_official_suite_has_words(shared):
    for place, raw, case in cases(shared):
        schema = ValueSchema(raw)
        if outcome(schema, case["data"]) is False:
            told = faults_of(schema, case["data"])
            assert told, (place, case)
            assert all(fault.detail.endswith((".", "…")) and len(fault.detail) <= 300 for fault in told)


@pytest.mark.parametrize(
    ("schema", "value", "path", "sentence"),
    [
        ({"properties": {"a": {"items": {"type": "string"}}}}, {"a": ["b", 1]}, ("a", 1), NO_STRING),
        ({"type": ["string", "null"]}, 1, (), "This must be a string or null, not a number."),
        (GEOMETRY, {"type": "Point", "coordinates": ["a", 1]}, ("coordinates", 0), NO_NUMBER),
        (TREE, {"of": [{"of": [{"of": 5}]}]}, ("of", 0, "of", 0, "of"), "This must be an array, not a number."),
        ({"prefixItems": [{"const": "a"}], "items": False}, ["b", 1], (0,), 'This must be "a".'),
        ({"patternProperties": {"^a": {"type": "string"}}}, {"ab": 1}, ("ab",), NO_STRING),
        ({"allOf": [{"type": "object"}, {"required": ["a"]}]}, {}, (), "Its member a must be given."),
        ({"if": True, "then": {"type": "string"}}, 1, (), "This does not fit its schema."),
        (GEOMETRY, {"type": "Pont", "coordinates": []}, ("type",), 'This must be one of "Point", "Line".'),
        (GEOMETRY, {"coordinates": 1}, (), "This fits none of the alternatives of its schema."),
        (GEOMETRY, 5, (), "This fits none of the alternatives of its schema."),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, 5, (), "This must be a string or null, not a number."),
        ({"type": "integer"}, None, (), "This must be an integer, not null."),
        ({"type": "integer"}, 1.5, (), "This must be an integer, not a number."),
        ({"enum": [1, None]}, 2, (), "This must be one of 1, null."),
        ({"not": {"type": "string"}}, "", (), "This is a value that is ruled out."),
        ({"anyOf": [{"type": "string"}, {"minimum": 5}]}, 1, (), None),
        ({"oneOf": [{"minimum": 1}, {"minimum": 2}]}, 3, (), None),
        ({"required": ["a", "b"]}, {"a": 1}, (), "Its member b must be given."),
        (CLOSED, {"a": 1, "b": 2}, ("b",), "There is no such member. Known: a."),
        ({"uniqueItems": True}, [1, 1], (), "This has equal items where each may occur once."),
        (False, 1, (), None),
    ],
)  # fmt: skip
def test_faults_have_a_place_and_a_sentence(schema, value, path, sentence):
    told = faults_of(ValueSchema(schema), value)

    assert told[0].path == path
    assert sentence in (None, told[0].detail)


@given(SCHEMAS, VALUES)
def test_what_is_not_accepted_is_explained_and_nothing_else(schema, value):
    told = faults_of(ValueSchema(schema), value)

    assert bool(told) is not ValueSchema(schema).accepts(value)
    for fault in told:
        at = value
        for step in fault.path:
            at = at[step]


def test_a_long_value_is_not_repeated_in_the_sentence():
    told = faults_of(ValueSchema({"maxLength": 3}), "x" * 10_000)

    assert len(told[0].detail) <= 300


@pytest.mark.parametrize("schema", [{"type": "nope"}, {"$ref": "http://127.0.0.1:1/"}, {"$ref": "#/nowhere"}])
def test_a_schema_that_cannot_be_used_is_the_servers_fault(schema):
    with pytest.raises(InternalError, match="the input x"):
        ValueSchema(schema, "the input x").accepts(1)
