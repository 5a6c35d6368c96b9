"""The validators against the official JSON Schema test suite, draft 2020-12, formats included (design of inputs)."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastprocesses_host.ogc.exceptions import InternalError
from fastprocesses_host.schemas import ValueSchema

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
            for large in (False, True):
                told = schema.faults(case["data"], large=large)
                assert told, (place, case)
                assert all(fault.detail.endswith((".", "…")) and len(fault.detail) <= 301 for fault in told)


@pytest.mark.parametrize(
    ("schema", "value", "path", "sentence"),
    [
        ({"properties": {"a": {"items": {"type": "string"}}}}, {"a": ["b", 1]}, ("a", 1), "This must be a string, not a number."),
        ({"type": ["string", "null"]}, 1, (), "This must be a string or null, not a number."),
        ({"type": "integer"}, None, (), "This must be an integer, not null."),
        ({"type": "integer"}, 1.5, (), "This must be an integer, not a number."),
        ({"enum": [1, None]}, 2, (), "This must be one of 1, null."),
        ({"not": {"type": "string"}}, "", (), "This is a value that is ruled out."),
        ({"anyOf": [{"type": "string"}, {"minimum": 5}]}, 1, (), None),
        ({"oneOf": [{"minimum": 1}, {"minimum": 2}]}, 3, (), None),
        ({"required": ["a", "b"]}, {"a": 1}, (), "Its member b must be given."),
        ({"additionalProperties": False, "properties": {"a": True}}, {"a": 1, "b": 2}, (), None),
        ({"uniqueItems": True}, [1, 1], (), "This has non-unique elements."),
        (False, 1, (), None),
    ],
)  # fmt: skip
def test_faults_have_a_place_and_a_sentence(schema, value, path, sentence):
    told = ValueSchema(schema).faults(value)

    assert told[0].path == path
    assert sentence in (None, told[0].detail)


def test_a_long_value_is_not_repeated_in_the_sentence():
    told = ValueSchema({"maxLength": 3}).faults("x" * 10_000)

    assert len(told[0].detail) <= 300


@pytest.mark.parametrize("schema", [{"type": "nope"}, {"$ref": "http://127.0.0.1:1/"}, {"$ref": "#/nowhere"}])
def test_a_schema_that_cannot_be_used_is_the_servers_fault(schema):
    with pytest.raises(InternalError, match="the input x"):
        ValueSchema(schema, "the input x").accepts(1)
