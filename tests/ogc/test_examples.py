"""Example requests are given as the standard writes execute requests."""

from typing import Any

import pytest
from fastprocesses_host.inputs import check_request
from fastprocesses_host.ogc.examples import with_qualified_example
from fastprocesses_host.ogc.execute import parse_execute_request
from msgspec import UNSET, json
from msgspec.structs import replace

from tests.ogc.examples import BBOX_SCHEMA, described_input, process
from tests.ogc.official import faults

OBJECT = {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}
OFFERED = process(
    inputs={
        "text": described_input({"type": "string"}, min_occurs=0),
        "object": described_input(OBJECT, min_occurs=0),
        "objects": described_input(OBJECT, min_occurs=0, max_occurs=3),
        "list": described_input({"type": "array", "items": OBJECT}, min_occurs=0),
        "box": described_input(BBOX_SCHEMA, min_occurs=0),
        "measure": described_input(
            {"type": "object", "required": ["value"], "properties": {"value": {"type": "number"}}},
            min_occurs=0,
        ),
    }
)


def shown(**inputs: Any) -> Any:
    return with_qualified_example(replace(OFFERED.description, example={"inputs": inputs})).example


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ({"text": "x"}, {"text": "x"}),
        ({"object": {"a": 1}}, {"object": {"value": {"a": 1}}}),
        ({"object": {"value": {"a": 1}}}, {"object": {"value": {"a": 1}}}),
        (
            {"objects": [{"a": 1}, {"value": {"a": 2}}]},
            {"objects": [{"value": {"a": 1}}, {"value": {"a": 2}}]},
        ),
        ({"objects": {"a": 1}}, {"objects": {"value": {"a": 1}}}),
        ({"list": [{"a": 1}]}, {"list": [{"a": 1}]}),
        ({"box": {"bbox": [1, 2, 3, 4]}}, {"box": {"bbox": [1, 2, 3, 4]}}),
        ({"measure": {"value": 1.5}}, {"measure": {"value": 1.5}}),
        ({"object": {"href": "https://example.org"}}, {"object": {"href": "https://example.org"}}),
    ],
    ids=str,
)
@pytest.mark.requirement("/req/core/process-execute-input-inline-object")
def test_objects_are_qualified_and_nothing_else(inputs, expected):
    assert shown(**inputs) == {"inputs": expected}


@pytest.mark.parametrize("version", ["v1.0", "v2.0"])
def test_what_is_shown_fits_the_official_schema_and_is_accepted(shared, version):
    example = shown(
        text="x", object={"a": 1}, objects=[{"a": 1}, {"a": 2}], list=[{"a": 1}], box={"bbox": [1, 2, 3, 4]}
    )
    assert faults(shared, version, "execute", example) == []
    request = parse_execute_request(
        json.encode(example), max_depth=20, max_number_digits=20, default_dialect="2.0"
    )
    assert set(check_request(OFFERED, request)) == set(example["inputs"])


@pytest.mark.parametrize("example", [UNSET, {}, {"inputs": []}])
def test_other_examples_stay_as_they_are(example):
    description = replace(OFFERED.description, example=example)
    assert with_qualified_example(description) == description
