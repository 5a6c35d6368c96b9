"""The judges of these checks refuse what the suite's validators refuse, and no check of the suite is missing."""

import ast
from pathlib import Path

import pytest
from msgspec import ValidationError

from tests.cite import official, statements
from tests.cite.suite import Echo

SYNC_ANSWERS = [
    ("teststring", False),
    (5, False),
    (True, False),
    (None, False),
    ({}, False),
    ([1], True),
    ({"a": "teststring"}, False),
    ({"a": "teststring", "n": 1}, True),
    ({"a": "abcd"}, True),
    ({"a": 1}, True),
    ({"a": None}, True),
    ({"a": {"x": 1}}, True),
    ({"a": {"value": 1}}, True),
    ({"a": 1.5}, False),
    ({"a": True}, False),
    ({"a": [1]}, False),
    ({"a": {"value": "x"}}, False),
    ({"a": {"href": "http://x/"}}, False),
    ({"a": {"bbox": [1, 2, 3, 4]}}, False),
    ({"type": "x"}, False),
]
"""What a run of the suite said of each body."""

STATUS = {"jobID": "a", "status": "successful", "type": "process"}
PROCESS = {"id": "a", "version": "1", "inputs": {"b": {"schema": {"type": "string"}}}}
SAYS = [
    ("statusInfo", STATUS, True),
    ("statusInfo", STATUS | {"created": "2026-01-02T03:04:05.678Z", "progress": 100}, True),
    ("statusInfo", STATUS | {"id": "a", "further": {"b": 1}}, True),
    ("statusInfo", STATUS | {"finished": None}, False),
    ("statusInfo", STATUS | {"progress": 50.5}, False),
    ("statusInfo", STATUS | {"progress": 101}, False),
    ("statusInfo", STATUS | {"status": "queued"}, False),
    ("statusInfo", STATUS | {"created": "2026-01-02T03:04:05"}, False),
    ("statusInfo", STATUS | {"links": [{"rel": "self"}]}, False),
    ("statusInfo", {"jobID": "a", "status": "successful"}, False),
    ("exception", {"type": "about:blank", "errors": [{"pointer": "/a"}]}, True),
    ("exception", {"title": "No"}, False),
    ("exception", {"type": "about:blank", "status": "404"}, False),
    ("process", PROCESS, True),
    ("process", PROCESS | {"description": None}, False),
    ("process", PROCESS | {"version": 1}, False),
    ("process", PROCESS | {"jobControlOptions": ["sync"]}, False),
    ("process", PROCESS | {"inputs": {"b": {}}}, False),
    ("process", PROCESS | {"inputs": {"b": {"schema": {}, "maxOccurs": "unbounded"}}}, True),
    ("process", PROCESS | {"inputs": {"b": {"schema": {}, "maxOccurs": "many"}}}, False),
    ("process", PROCESS | {"inputs": {"b": {"schema": {}, "minOccurs": None}}}, False),
    *(
        ("process", PROCESS | {"inputs": {"b": {"schema": schema}}}, False)
        for schema in (
            {"$schema": "https://json-schema.org/draft/2020-12/schema"},
            {"const": 1},
            {"examples": [1]},
            {"x-unit": "m"},
            {"type": "number", "exclusiveMinimum": 0},
            {"type": ["string", "null"]},
            {"default": None},
            {"contentSchema": {}},
            {"allOf": [{"$ref": "bbox.yaml"}]},
            {"type": "object", "properties": {"a": {"const": 1}}},
        )
    ),
]


@pytest.mark.parametrize(("body", "passes"), SYNC_ANSWERS, ids=repr)
def test_a_sync_answer_is_judged_as_the_suite_judges(body, passes):
    assert (len(statements.alternatives_of_a_sync_answer(body)) == 1) is passes


@pytest.mark.parametrize(("body", "passes"), SYNC_ANSWERS, ids=repr)
def test_a_sync_answer_is_judged_so_by_the_official_file(shared, body, passes):
    assert (official.sync_answer_faults(shared, body) == []) is passes


@pytest.mark.parametrize(("name", "document", "passes"), SAYS, ids=repr)
def test_a_document_is_judged_as_the_suite_judges(name, document, passes):
    if passes:
        statements.states(name, document)
    else:
        with pytest.raises((ValidationError, AssertionError)):
            statements.states(name, document)


@pytest.mark.parametrize(("name", "document", "passes"), SAYS, ids=repr)
def test_a_document_is_judged_so_by_the_official_file(shared, name, document, passes):
    assert (official.response_faults(shared, name, document) == []) is passes


def test_the_suites_other_validator_refuses_too(shared):
    assert official.schema_faults(shared, "statusInfo", STATUS) == []
    assert official.schema_faults(shared, "statusInfo", STATUS | {"finished": None})
    assert official.schema_faults(shared, "statusInfo", STATUS | {"created": "yesterday"})
    assert official.schema_faults(shared, "processList", {"processes": []})


def test_the_suite_reads_what_it_can_fill_in():
    description = {
        "jobControlOptions": ["async-execute"],
        "inputs": {
            "text": {"schema": {"type": "string"}},
            "date": {"schema": {"type": "string", "format": "date"}},
            "texts": {"schema": {"type": "array", "items": {"type": "string"}}},
            "numbers": {"schema": {"type": "array", "items": {"type": "integer"}}},
            "object": {"schema": {"type": "object"}},
            "wide": {"schema": {"type": "object", "properties": {"bbox": {"type": "array"}}}},
            "box": {"schema": {"allOf": [{"format": "ogc-bbox"}, {"type": "object"}]}},
            "mixed": {"schema": {"oneOf": [{"type": "number"}, {"type": "string"}]}},
            "media": {"schema": {"oneOf": [{"type": "string", "contentMediaType": "text/xml"}]}},
            "bytes": {"schema": {"type": "string", "contentEncoding": "binary"}},
        },
        "outputs": {"text": {"schema": {"type": "string"}}},
    }
    echo = Echo(description)

    assert set(echo.given()) == {"text", "texts", "object", "wide", "mixed", "bytes"}
    assert (echo.inputs["numbers"].array, echo.inputs["texts"].array) == (
        [1, 2, 3],
        ["test1", "test2", "test3"],
    )
    assert (echo.inputs["box"].is_box, echo.inputs["wide"].is_box, echo.inputs["bytes"].is_binary) == (
        True,
    ) * 3
    assert (echo.both, echo.asynchronous, echo.mirrored()) == (
        False,
        True,
        {"text": {"transmissionMode": "value"}},
    )


def suite_names() -> list[str]:
    """The names of the suite's checks that tests here bear."""
    return [
        node.args[0].value
        for path in Path(__file__).parent.glob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.cite"
    ]


def test_every_check_of_the_suite_is_here_once():
    names = suite_names()
    assert len(names) == len(set(names)) == 54
    counted = {name.split(".")[0]: 0 for name in names}
    for name in names:
        counted[name.split(".")[0]] += 1
    assert counted == {
        "GeneralHttp": 1,
        "LandingPage": 2,
        "Conformance": 1,
        "ProcessList": 5,
        "Process": 3,
        "Jobs": 33,
        "OGCProcessDescription": 7,
        "JobList": 2,
    }
