"""The API definition: valid, complete, with each process's own inputs (S1.5, oas30)."""

from typing import Any

import jsonschema
import msgspec
import pytest
from fastprocesses_host.catalog import InputSchema
from fastprocesses_host.ogc.links import Urls
from fastprocesses_host.ogc.openapi import openapi_30
from fastprocesses_host.ogc.openapi_schemas import openapi_schema
from hypothesis import given
from hypothesis import strategies as st
from openapi_schema_validator import OAS30Validator
from openapi_spec_validator import OpenAPIV30SpecValidator

from tests.ogc.examples import BBOX_SCHEMA, OUTPUTS, described_input, process
from tests.ogc.test_processes import official_echo

INPUTS = {
    "features": described_input({"type": "object", "format": "geojson-feature-collection"}),
    "distance": described_input({"type": "number", "minimum": 0, "not": {"enum": [0]}}),
    "cap": described_input({"enum": ["round", "flat"], "default": "round"}, min_occurs=0),
    "boxes": described_input(BBOX_SCHEMA, min_occurs=2, max_occurs=5),
}


def definition(*descriptions: Any, **options: Any) -> dict[str, Any]:
    urls = Urls("https://example.org/ogc", **options)
    document = openapi_30(descriptions, urls, title="Test", description="To test with.", version="1.2.3")
    return msgspec.json.decode(msgspec.json.encode(document))


@pytest.mark.parametrize("html", [False, True])
def test_the_definition_is_valid_openapi(html):
    offered = [
        process(INPUTS, OUTPUTS, example={"inputs": {"distance": 3}}).description,
        process(id="{odd} id/ü", outputs={}).description,
    ]

    OpenAPIV30SpecValidator(definition(*offered, html=html)).validate()
    OpenAPIV30SpecValidator(definition(html=html)).validate()


def test_the_definition_of_the_compliance_suites_echo_is_valid(shared):
    OpenAPIV30SpecValidator(definition(official_echo(shared))).validate()


def test_every_route_is_described():
    assert {(path, method) for path, item in definition()["paths"].items() for method in item} == {
        ("/", "get"),
        ("/conformance", "get"),
        ("/api", "get"),
        ("/processes", "get"),
        ("/processes/{processID}", "get"),
        ("/processes/{processID}/execution", "post"),
        ("/jobs", "get"),
        ("/jobs/{jobID}", "get"),
        ("/jobs/{jobID}", "delete"),
        ("/jobs/{jobID}/results", "get"),
        ("/jobs/{jobID}/results/{outputID}", "get"),
        ("/health/live", "get"),
        ("/health/ready", "get"),
    }


def test_each_process_has_a_path_with_its_own_inputs():
    example = {"inputs": {"distance": 3}}
    operation = definition(process(INPUTS, OUTPUTS, example=example).description)["paths"][
        "/processes/test/execution"
    ]["post"]

    content = operation["requestBody"]["content"]["application/json"]
    inputs = content["schema"]["properties"]["inputs"]
    assert content["example"] == example
    assert inputs["required"] == ["features", "distance", "boxes"]
    assert inputs["properties"]["distance"]["not"] == {"enum": [0]}
    assert inputs["properties"]["boxes"]["type"] == "array"
    assert (inputs["properties"]["boxes"]["minItems"], inputs["properties"]["boxes"]["maxItems"]) == (2, 5)
    assert {"200", "201", "204", "400", "404", "406", "413", "415", "500", "503", "504"} <= operation[
        "responses"
    ].keys()


def test_every_operation_tells_its_problems_as_problem_documents():
    document = definition(process().description)

    for item in document["paths"].values():
        for operation in item.values():
            for status, response in operation["responses"].items():
                assert status.startswith("2") or response["$ref"].startswith(
                    "#/components/responses/problem-"
                )
    for response in document["components"]["responses"].values():
        assert set(response["content"]) == {"application/problem+json", "application/json"}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (True, {}),
        (False, {"not": {}}),
        ({"const": 3}, {"enum": [3]}),
        ({"type": ["string", "null"]}, {"type": "string", "nullable": True}),
        ({"type": ["string", "array"]}, {"allOf": [{"anyOf": [{"type": "string"}, {"type": "array", "items": {}}]}]}),
        ({"exclusiveMinimum": 0}, {"minimum": 0, "exclusiveMinimum": True}),
        ({"exclusiveMinimum": 0, "minimum": 5}, {"minimum": 5}),
        ({"exclusiveMaximum": 9, "maximum": 9}, {"maximum": 9, "exclusiveMaximum": True}),
        ({"examples": [1, 2]}, {"example": 1}),
        ({"default": None}, {}),
        ({"required": []}, {}),
        ({"type": "array"}, {"type": "array", "items": {}}),
        ({"type": "array", "prefixItems": [{}], "items": False}, {"type": "array", "items": {}}),
        ({"contentEncoding": "base64"}, {"format": "byte"}),
        ({"contentMediaType": "image/png"}, {"x-contentMediaType": "image/png"}),
        ({"patternProperties": {"a": {}}, "additionalProperties": False}, {}),
        ({"additionalProperties": {"const": 1}}, {"additionalProperties": {"enum": [1]}}),
        ({"not": {"const": 1}}, {}),
        ({"not": {"enum": [0]}}, {"not": {"enum": [0]}}),
        ({"oneOf": [{"const": 1}, {}]}, {"allOf": [{"anyOf": [{"enum": [1]}, {}]}]}),
        ({"$ref": "#/$defs/a", "$defs": {"a": {}}}, {}),
        ({"$schema": "x", "$id": "y", "if": {}, "then": {}}, {}),
    ],
)  # fmt: skip
def test_json_schema_is_brought_down_to_openapi_3_0(schema, expected):
    assert openapi_schema(schema) == expected


LEAVES = st.sampled_from(
    [
        {}, {"type": "string"}, {"type": ["integer", "null"]}, {"const": "a"}, {"enum": [1, "a", None]},
        {"exclusiveMinimum": 0}, {"type": "array", "prefixItems": [{"type": "string"}]}, {"required": ["a"]},
        {"type": "number", "maximum": 3, "exclusiveMaximum": 3}, {"type": "string", "contentMediaType": "image/png"},
    ]
)  # fmt: skip
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"oneOf": st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"allOf": st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"not": inner}),
        st.fixed_dictionaries(
            {"type": st.just("object"), "properties": st.dictionaries(st.sampled_from("ab"), inner)}
        ),
        st.fixed_dictionaries({"additionalProperties": inner}),
        st.fixed_dictionaries({"items": inner}),
    ),
    max_leaves=5,
)
VALUES = st.sampled_from(["a", "b", 0, 1, 3, 1.5, True, [], ["a"], [1], {}, {"a": "a"}, {"a": 1, "b": []}])


@given(SCHEMAS, VALUES)
def test_the_openapi_form_accepts_all_that_the_schema_accepts(schema, value):
    converted = openapi_schema(schema)

    if jsonschema.Draft202012Validator(schema).is_valid(value):
        assert OAS30Validator(converted).is_valid(value)


def test_the_schemas_of_inputs_are_left_as_they_were():
    schema = {"oneOf": [{"const": 1}], "type": ["integer", "null"]}
    openapi_schema(schema)

    assert schema == {"oneOf": [{"const": 1}], "type": ["integer", "null"]}
    assert InputSchema("x", schema).whole.accepts(1)
