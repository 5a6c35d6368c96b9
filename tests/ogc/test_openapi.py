"""The API definition: valid, complete, with each process's own inputs (S1.5, oas30)."""

from typing import Any

import jsonschema
import msgspec
import pytest
from fastprocesses_host.catalog import InputSchema
from fastprocesses_host.ogc.links import Urls
from fastprocesses_host.ogc.openapi import openapi_30, openapi_31
from fastprocesses_host.ogc.openapi_schemas import openapi_schema, schema_31
from hypothesis import given
from hypothesis import strategies as st
from openapi_schema_validator import OAS30Validator
from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator

from tests.ogc.examples import BBOX_SCHEMA, OUTPUTS, described_input, described_output, process
from tests.ogc.test_processes import official_echo

INPUTS = {
    "features": described_input({"type": "object", "format": "geojson-feature-collection"}),
    "distance": described_input({"type": "number", "minimum": 0, "not": {"enum": [0]}}),
    "cap": described_input({"enum": ["round", "flat"], "default": "round"}, min_occurs=0),
    "boxes": described_input(BBOX_SCHEMA, min_occurs=2, max_occurs=5),
}


def definition(*descriptions: Any, make: Any = openapi_30) -> dict[str, Any]:
    urls = Urls("https://example.org/ogc", html=True)
    document = make(descriptions, urls, title="Test", description="To test with.", version="1.2.3")
    return msgspec.json.decode(msgspec.json.encode(document))


VALIDATORS = {openapi_30: OpenAPIV30SpecValidator, openapi_31: OpenAPIV31SpecValidator}


@pytest.mark.parametrize("make", VALIDATORS)
def test_the_definition_is_valid_openapi(make):
    offered = [
        process(INPUTS, OUTPUTS, example={"inputs": {"distance": 3}}).description,
        process(id="{odd} id/ü", outputs={}).description,
    ]

    VALIDATORS[make](definition(*offered, make=make)).validate()
    VALIDATORS[make](definition(make=make)).validate()


def test_openapi_3_1_has_the_schemas_as_they_are():
    operation = definition(process(INPUTS, OUTPUTS).description, make=openapi_31)["paths"][
        "/processes/test/execution"
    ]["post"]

    inputs = operation["requestBody"]["content"]["application/json"]["schema"]["properties"]["inputs"]
    assert inputs["properties"]["boxes"]["anyOf"][1] == BBOX_SCHEMA
    assert schema_31({"items": {"$ref": "#/$defs/a"}, "$defs": {"a": {}}}) == {}
    assert schema_31({"$schema": "https://json-schema.org/draft/2020-12/schema", "const": 1}) == {"const": 1}


def test_the_outputs_of_a_process_are_described_by_media_type():
    output = described_output(
        {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"}
    )
    operation = definition(process(outputs={"image": output}).description)["paths"][
        "/processes/test/execution"
    ]["post"]
    content = operation["responses"]["200"]["content"]

    assert content["image/png"]["schema"] == {"type": "string", "format": "binary"}
    document = content["application/json"]["schema"]["anyOf"][0]
    assert document["properties"]["image"]["title"] == "An output"


def test_the_definition_of_the_compliance_suites_echo_is_valid(shared):
    OpenAPIV30SpecValidator(definition(official_echo(shared))).validate()


def test_every_route_is_described():
    assert {(path, method) for path, item in definition()["paths"].items() for method in item} == {
        ("/", "get"),
        ("/conformance", "get"),
        ("/api", "get"),
        ("/api/3.1", "get"),
        ("/processes", "get"),
        ("/processes/{processID}", "get"),
        ("/processes/{processID}/execution", "post"),
        ("/jobs", "get"),
        ("/jobs/{jobID}", "get"),
        ("/jobs/{jobID}", "delete"),
        ("/jobs/{jobID}/results", "get"),
        ("/jobs/{jobID}/results/{outputID}", "get"),
        ("/jobs/{jobID}/results/{outputID}/{n}", "get"),
        ("/jobs/{jobID}/inputs", "get"),
        ("/jobs/{jobID}/log", "get"),
        ("/jobs/{jobID}/events", "get"),
        ("/health/live", "get"),
        ("/health/ready", "get"),
    }


@pytest.mark.parametrize("make", VALIDATORS)
def test_uploads_are_described_where_there_are_some(make):
    urls = Urls("https://example.org/ogc", takes_uploads=True)
    document = make([], urls, title="Test", description="To test with.", version="1.2.3")
    VALIDATORS[make](msgspec.json.decode(msgspec.json.encode(document))).validate()

    assert document["paths"]["/uploads"].keys() == {"post", "options"}
    assert document["paths"]["/uploads/{uploadID}"].keys() == {"get", "head", "patch", "delete", "post"}
    assert "/uploads" not in definition(make=make)["paths"]


def test_each_process_has_a_path_with_its_own_inputs():
    example = {"inputs": {"distance": 3}}
    operation = definition(process(INPUTS, OUTPUTS, example=example).description)["paths"][
        "/processes/test/execution"
    ]["post"]

    content = operation["requestBody"]["content"]["application/json"]
    inputs = content["schema"]["properties"]["inputs"]
    assert content["example"] == example
    assert inputs["required"] == ["features", "distance", "boxes"]
    plain, qualified, link = inputs["properties"]["distance"]["anyOf"]
    assert link == {"$ref": "#/components/schemas/referencedValue"}
    assert plain["not"] == {"enum": [0]}
    assert qualified["allOf"][1]["properties"]["value"] == plain
    boxes = inputs["properties"]["boxes"]["anyOf"][0]
    assert (boxes["type"], boxes["minItems"], boxes["maxItems"]) == ("array", 2, 5)
    assert inputs["properties"]["cap"]["default"] == "round"
    assert {"200", "201", "204", "400", "404", "406", "413", "415", "500", "503", "504"} <= operation[
        "responses"
    ].keys()


def test_every_operation_tells_its_problems_as_problem_documents():
    document = definition(process().description)

    for item in document["paths"].values():
        for operation in item.values():
            for status, response in operation["responses"].items():
                assert status[0] in "23" or response["$ref"].startswith("#/components/responses/")
    for response in document["components"]["responses"].values():
        assert set(response["content"]) == {"application/problem+json", "application/json", "text/html"}


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
