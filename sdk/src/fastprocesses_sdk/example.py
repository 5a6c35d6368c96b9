"""The example request of a process: the one declared, checked, or one made of its schemas."""

from collections.abc import Mapping
from typing import Any

import msgspec

from fastprocesses_sdk.declaration import Declaration, Told
from fastprocesses_sdk.description import InputDescription, ProcessDescription
from fastprocesses_sdk.errors import DeclarationError
from fastprocesses_sdk.processes import Input
from fastprocesses_sdk.values import InputValue, encode

_POLYGON = {
    "type": "Polygon",
    "coordinates": [[[7.0, 51.0], [7.5, 51.0], [7.5, 51.5], [7.0, 51.5], [7.0, 51.0]]],
}
_GEOMETRIES: dict[str, dict[str, Any]] = {
    "Point": {"type": "Point", "coordinates": [7.0, 51.0]},
    "MultiPoint": {"type": "MultiPoint", "coordinates": [[7.0, 51.0], [7.5, 51.5]]},
    "LineString": {"type": "LineString", "coordinates": [[7.0, 51.0], [7.5, 51.5]]},
    "MultiLineString": {"type": "MultiLineString", "coordinates": [[[7.0, 51.0], [7.5, 51.5]]]},
    "Polygon": _POLYGON,
    "MultiPolygon": {"type": "MultiPolygon", "coordinates": [_POLYGON["coordinates"]]},
    "GeometryCollection": {"type": "GeometryCollection", "geometries": [_POLYGON]},
}
_FEATURE = {"type": "Feature", "properties": {"name": "A place"}, "geometry": _POLYGON}
_BY_FORMAT: dict[str, Any] = {
    "geojson-geometry": _POLYGON,
    "geojson-feature": _FEATURE,
    "geojson-feature-collection": {"type": "FeatureCollection", "features": [_FEATURE]},
    "ogc-bbox": {"bbox": [7.0, 51.0, 7.5, 51.5]},
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "uuid": "3f2b1c9e-8d47-4a6b-9c15-7e0d2a4b6c81",
    "uri": "https://example.org/",
    "email": "someone@example.org",
}


def with_example(
    description: ProcessDescription, inputs: Mapping[str, Input], declaration: Declaration
) -> ProcessDescription:
    """Add the declared example, or one made of the schemas where that is possible.

    Raises:
        DeclarationError: The process would refuse the declared one.
    """
    if "example" in declaration:
        example = msgspec.json.decode(encode(declaration["example"]))
        with Told("its example"):
            _check_example(example, inputs)
        return msgspec.structs.replace(description, example=example)
    try:
        example = example_of(description.inputs)
        _check_example(example, inputs)
    except (NoExampleError, DeclarationError):
        return description
    return msgspec.structs.replace(description, example=example)


def _check_example(example: Any, inputs: Mapping[str, Input]) -> None:
    values = example.get("inputs") if isinstance(example, dict) else None
    if not isinstance(values, dict):
        raise DeclarationError('an example is an execute request; write {"inputs": {...}}')
    for name in values:
        if name not in inputs:
            raise DeclarationError(f"there is no input {name!r}")
    for name, plan in inputs.items():
        if name not in values:
            if plan.required:
                raise DeclarationError(f"the input {name!r} is missing")
            continue
        try:
            plan.read(InputValue(data=encode(values[name])))
        except (msgspec.DecodeError, ValueError) as error:
            raise DeclarationError(f"the input {name!r} cannot be read: {error}") from None


class NoExampleError(LookupError):
    """No value could be thought of that a schema would accept."""


def example_of(inputs: dict[str, InputDescription]) -> dict[str, Any]:
    """Make an execute request from the schemas: the inputs that must be given, and those that have a default.

    Raises:
        NoExampleError: An input needs a value that its schema does not suggest.
    """
    values: dict[str, Any] = {}
    for name, described in inputs.items():
        if described.min_occurs == 0 and "default" not in described.schema:
            continue
        value = example_value(described.schema)
        many = described.max_occurs != 1 and "default" not in described.schema
        values[name] = [value] * max(1, described.min_occurs) if many else value
    return {"inputs": values}


def example_value(schema: dict[str, Any]) -> Any:
    """Think of a value that the schema accepts; raises NoExample where it cannot."""
    if "default" in schema:
        return schema["default"]
    if "enum" in schema:
        return schema["enum"][0]
    for branches in ("oneOf", "anyOf"):
        if branches in schema and "format" not in schema:
            return example_value(schema[branches][0])
    if schema.get("format") == "geojson-geometry" and "properties" in schema:
        return _GEOMETRIES[schema["properties"]["type"]["enum"][0]]
    known = schema.get("format") or (schema["allOf"][0].get("format") if "allOf" in schema else None)
    if known in _BY_FORMAT:
        return _BY_FORMAT[known]
    return _by_type(schema)


def _by_type(schema: dict[str, Any]) -> Any:
    match schema.get("type"):
        case "boolean":
            return True
        case "integer" | "number":
            return _number(schema)
        case "string":
            return _string(schema)
        case "array":
            return [example_value(schema["items"])] * max(1, schema.get("minItems", 1))
        case "object" if not schema.get("minProperties"):
            return {}
        case None if not schema:
            return "anything"
    raise NoExampleError


def _number(schema: dict[str, Any]) -> float:
    low, high = schema.get("minimum"), schema.get("maximum")
    candidates = [
        1,
        low,
        high,
        *([low + 1] if low is not None else []),
        *([high - 1] if high is not None else []),
    ]
    if low is not None and high is not None:
        candidates.append((low + high) / 2)
    if step := schema.get("multipleOf"):
        candidates = [0, step, 2 * step]
    excluded = schema.get("not", {}).get("enum", [])
    for candidate in candidates:
        if candidate is None or candidate in excluded:
            continue
        if (low is None or candidate >= low) and (high is None or candidate <= high):
            return float(candidate) if candidate != int(candidate) else int(candidate)
    raise NoExampleError


def _string(schema: dict[str, Any]) -> str:
    if "pattern" in schema or "format" in schema:
        raise NoExampleError
    media = schema.get("contentMediaType", "")
    if "contentEncoding" in schema:
        return "ZXhhbXBsZQ=="
    text = "<example/>" if media.endswith("xml") else "text"
    padded = text.ljust(schema.get("minLength", 0), "x")
    return padded[: schema.get("maxLength", len(padded))]
