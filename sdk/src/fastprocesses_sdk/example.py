"""The example request of a process: the one declared, checked, or one made of its schemas."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

from fastprocesses_sdk.declaration import Declaration
from fastprocesses_sdk.description import InputDescription, ProcessDescription
from fastprocesses_sdk.encoding import encode
from fastprocesses_sdk.errors import DeclarationError
from fastprocesses_sdk.files import files_in
from fastprocesses_sdk.fitting import misfit
from fastprocesses_sdk.processes import Input
from fastprocesses_sdk.telling import Told
from fastprocesses_sdk.values import InputValue

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
    "duration": "PT1H",
    "time": "12:00:00Z",
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "uuid": "3f2b1c9e-8d47-4a6b-9c15-7e0d2a4b6c81",
    "uri": "https://example.org/",
    "uri-reference": "https://example.org/",
    "email": "someone@example.org",
}


def examples_of(
    description: ProcessDescription, inputs: Mapping[str, Input], declaration: Declaration
) -> list[dict[str, Any]]:
    """Return execute requests: those declared, or one made of the schemas where that is possible.

    Raises:
        DeclarationError: The process would refuse one that is declared.
    """
    declared = _declared(description, declaration)
    for number, example in enumerate(declared, 1):
        with Told("its example" if len(declared) == 1 else f"example {number} of {len(declared)}"):
            _check_example(example, description, inputs)
    if declared:
        return declared
    try:
        example = example_of(description.inputs)
        _check_example(example, description, inputs)
    except (NoExampleError, DeclarationError):
        return []
    return [example]


def _declared(description: ProcessDescription, declaration: Declaration) -> list[dict[str, Any]]:
    if "example" in declaration and "examples" in declaration:
        raise DeclarationError("example= and examples= say the same; write one of them")
    if "example" in declaration:
        return [_plain(declaration["example"])]
    examples = declaration.get("examples", ())
    if isinstance(examples, str | Mapping) or not isinstance(examples, Sequence):
        raise DeclarationError(f"examples= takes a list of inputs, [{{...}}], not {examples!r}")
    return [_request(_plain(example), description) for example in examples]


def _plain(example: Any) -> Any:
    try:
        return msgspec.json.decode(encode(example))
    except (TypeError, ValueError) as error:
        raise DeclarationError(f"its example cannot be sent as JSON: {error}") from None


def _request(example: Any, description: ProcessDescription) -> Any:
    """Make an execute request of inputs, unless they are one already."""
    is_request = isinstance(example, dict) and "inputs" in example and "inputs" not in description.inputs
    return example if is_request or not isinstance(example, dict) else {"inputs": example}


def _check_example(example: Any, description: ProcessDescription, inputs: Mapping[str, Input]) -> None:
    values = example.get("inputs") if isinstance(example, dict) else None
    if not isinstance(values, dict):
        raise DeclarationError('an example is an execute request; write {"inputs": {...}}')
    for name in values:
        if name not in inputs:
            raise DeclarationError(f"there is no input {name!r}")
    for name, plan in inputs.items():
        if name in values:
            _check_value(name, values[name], description.inputs[name], plan)
        elif plan.required:
            raise DeclarationError(f"the input {name!r} is missing")


def _check_value(name: str, value: Any, described: InputDescription, plan: Input) -> None:
    """Read a value as a job would, files into a folder that is removed at once; what is behind a link is not."""
    if is_linked(described, value):
        return
    media_type = ""
    if isinstance(value, dict) and "value" in value and "mediaType" in value:
        value, media_type = value["value"], str(value["mediaType"])
    if described.max_occurs != 1 and not isinstance(value, list):
        value = [value]
    fault = misfit(described.schema, value) if described.max_occurs == 1 else ""
    if fault:
        raise DeclarationError(f"the input {name!r} does not fit its schema: {fault}")
    with ExitStack() as folders, files_in(lambda: _new_folder(folders)):
        try:
            plan.read(InputValue(data=encode(value), media_type=media_type))
        except (msgspec.DecodeError, ValueError) as error:
            raise DeclarationError(f"the input {name!r} cannot be read: {error}") from None


_LINK = frozenset({"href", "rel", "type", "hreflang", "title", "length"})


def is_linked(described: InputDescription, value: Any) -> bool:
    """Whether a server would fetch the value, or one of its items: it is a link where the schema has none."""
    links = [each for each in (value if isinstance(value, list) else [value]) if _is_link(each)]
    return bool(links) and bool(misfit(described.schema, value)) and bool(misfit(described.schema, links[0]))


def _is_link(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("href"), str) and value.keys() <= _LINK


def _new_folder(folders: ExitStack) -> Path:
    from tempfile import TemporaryDirectory  # slow to import, and seldom needed

    return Path(folders.enter_context(TemporaryDirectory()))


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
            properties = schema.get("properties", {})
            return {name: example_value(properties.get(name, {})) for name in schema.get("required", ())}
        case None if schema.keys() <= {"title", "description", "contentMediaType"}:
            return {} if "contentMediaType" in schema else "anything"
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


_TEXTS = {
    "text/plain": "text",
    "text/csv": "name,value\nexample,1\n",
    "text/html": "<p>text</p>",
    "text/xml": "<example/>",
    "application/xml": "<example/>",
}


def _string(schema: dict[str, Any]) -> str:
    if "pattern" in schema or "format" in schema:  # binary values too: what would be a picture of?
        raise NoExampleError
    text = _TEXTS.get(schema.get("contentMediaType", "text/plain"))
    if text is None:
        raise NoExampleError
    padded = text.ljust(schema.get("minLength", 0), "x")
    return padded[: schema.get("maxLength", len(padded))]
