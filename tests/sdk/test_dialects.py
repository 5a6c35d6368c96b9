"""Schemas written by hand mean the same to readers of 2020-12 and of OpenAPI 3.0."""

from typing import Any

import jsonschema
import pytest
from fastprocesses_sdk.dialects import schema_in_both

from tests.sdk.openapi_subset import outside_openapi

CASES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"minimum": 0, "exclusiveMinimum": True}, {"minimum": 0, "not": {"enum": [0]}}),
    ({"maximum": 9, "exclusiveMaximum": False}, {"maximum": 9}),
    ({"exclusiveMinimum": True}, {}),
    ({"exclusiveMinimum": 0}, {"minimum": 0, "not": {"enum": [0]}}),
    ({"exclusiveMinimum": 0, "minimum": 5}, {"minimum": 5}),
    ({"exclusiveMinimum": 5, "minimum": 0}, {"minimum": 5, "not": {"enum": [5]}}),
    (
        {"exclusiveMinimum": 0, "exclusiveMaximum": 1},
        {"minimum": 0, "maximum": 1, "not": {"enum": [0, 1]}},
    ),
    (
        {"exclusiveMinimum": 0, "not": {"type": "string"}},
        {"minimum": 0, "not": {"anyOf": [{"type": "string"}, {"enum": [0]}]}},
    ),
    ({"const": 3}, {"enum": [3]}),
    ({"type": ["string", "null"]}, {"type": "string"}),
    ({"type": ["string", "number"]}, {"anyOf": [{"type": "string"}, {"type": "number"}]}),
    ({"default": None, "$schema": "x", "examples": [1, 2]}, {"example": 1}),
    ({"format": "byte"}, {"format": "byte", "contentEncoding": "base64"}),
    ({"contentEncoding": "binary"}, {"format": "byte", "contentEncoding": "base64"}),
    ({"items": {"const": 1}}, {"items": {"enum": [1]}}),
    ({"properties": {"const": {"const": 1}}}, {"properties": {"const": {"enum": [1]}}}),
    ({"enum": [{"const": 1}]}, {"enum": [{"const": 1}]}),
]


@pytest.mark.parametrize(("written", "stored"), CASES, ids=str)
def test_what_one_dialect_says_is_said_in_both(written, stored):
    assert schema_in_both(written) == stored
    assert schema_in_both(stored) == stored
    assert outside_openapi(stored) == []
    jsonschema.Draft202012Validator.check_schema(stored)
