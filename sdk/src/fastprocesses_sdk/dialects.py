"""Schemas written by hand, brought into the form that both versions of the standard can read.

1.0 reads schemas as OpenAPI 3.0 does, 2.0 as JSON Schema 2020-12. What one of them says alone is written so that it
means the same in both (conflict 11 of the two: exclusive bounds, binary values).
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from fastprocesses_sdk.description import ProcessDescription
from fastprocesses_sdk.walking import rewritten

Schema = dict[str, Any]


def in_both(description: ProcessDescription) -> ProcessDescription:
    """Return a description whose schemas both versions read; where they are so already, it is this one."""
    inputs, outputs = _each_in_both(description.inputs), _each_in_both(description.outputs)
    if inputs == description.inputs and outputs == description.outputs:
        return description
    return msgspec.structs.replace(description, inputs=inputs, outputs=outputs)


def _each_in_both(described: Mapping[str, Any]) -> Any:
    return {
        name: msgspec.structs.replace(each, schema=schema_in_both(each.schema))
        for name, each in described.items()
    }


def schema_in_both(schema: Any) -> Any:
    """Return a schema that means in 2020-12 and in OpenAPI 3.0 what it said in one of them."""
    return rewritten(schema, _in_both)


def numeric_bounds(schema: Any) -> Any:
    """Return a schema whose exclusive bounds are numbers, as in 2020-12, and no flags, as in draft 4."""
    return rewritten(schema, _numeric_bounds)


def _numeric_bounds(schema: Schema) -> Schema:
    changed = dict(schema)
    for exclusive, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if changed.get(exclusive) is True and bound in changed:
            changed[exclusive] = changed.pop(bound)
        elif isinstance(changed.get(exclusive), bool):
            del changed[exclusive]
    return changed


def _in_both(schema: Schema) -> Schema:
    changed = {word: rule for word, rule in _numeric_bounds(schema).items() if not _is_void(word, rule)}
    _set_values(changed)
    _set_bound(changed, "exclusiveMinimum", "minimum", max)
    _set_bound(changed, "exclusiveMaximum", "maximum", min)
    _set_types(changed)
    _set_encoding(changed)
    return changed


def _is_void(word: str, rule: Any) -> bool:
    return word == "$schema" or (word == "default" and rule is None)


def _set_values(schema: Schema) -> None:
    if "const" in schema:
        schema["enum"] = [schema.pop("const")]
    examples = schema.pop("examples", None)
    if isinstance(examples, list) and examples:
        schema.setdefault("example", examples[0])


def _set_bound(schema: Schema, exclusive: str, bound: str, tighter: Callable[[float, float], float]) -> None:
    """Write an exclusive bound as a bound whose own value is ruled out."""
    told = schema.pop(exclusive, None)
    if isinstance(told, bool) or not isinstance(told, int | float):
        return
    limit = schema.setdefault(bound, told)
    if tighter(limit, told) != told:
        return
    schema[bound] = limit = told
    ruled_out: Schema = {"enum": [limit]}
    if "not" not in schema:
        schema["not"] = ruled_out
    elif isinstance(schema["not"], dict) and schema["not"].keys() == {"enum"}:
        schema["not"] = {"enum": [*schema["not"]["enum"], limit]}
    else:
        schema["not"] = {"anyOf": [schema["not"], ruled_out]}


def _set_types(schema: Schema) -> None:
    """Write several types as alternatives; null is what is not given."""
    told = schema.get("type")
    if not isinstance(told, list):
        return
    named = [name for name in told if name != "null"]
    if len(named) == 1:
        schema["type"] = named[0]
    elif named:
        del schema["type"]
        branches = {"anyOf": [{"type": name} for name in named]}
        if "anyOf" in schema:
            schema["allOf"] = [*schema.get("allOf", ()), branches]
        else:
            schema |= branches


def _set_encoding(schema: Schema) -> None:
    """Tell of binary values in both ways; inside JSON they are base64 always."""
    is_binary = schema.get("contentEncoding") in ("base64", "binary")
    if is_binary or schema.get("format") in ("byte", "binary"):
        schema["contentEncoding"] = "base64"
        if schema.get("format", "binary") == "binary":
            schema["format"] = "byte"
