"""Example requests as the standard writes them: objects stand under `value` (S1.3)."""

from typing import Any

from fastprocesses_sdk.description import ProcessDescription
from msgspec import UNSET
from msgspec.structs import replace

_KNOWN = ("value", "href")
"""A member that makes an object a qualified value or a link."""


def with_qualified_example(description: ProcessDescription) -> ProcessDescription:
    """Give a description whose example has its objects qualified (/req/core/process-execute-input-inline-object).

    Authors write the plain object, which is accepted too; but the execute request of the standard has none.
    """
    example = description.example
    if example is UNSET or not isinstance(example.get("inputs"), dict):
        return description
    described = description.inputs
    inputs = {
        name: _qualified(value, many=name in described and described[name].max_occurs != 1)
        for name, value in example["inputs"].items()
    }
    return replace(description, example={**example, "inputs": inputs})


def _qualified(value: Any, *, many: bool) -> Any:
    if many and isinstance(value, list):
        return [_qualified(item, many=False) for item in value]
    return {"value": value} if _is_plain_object(value) else value


def _is_plain_object(value: Any) -> bool:
    return isinstance(value, dict) and not any(name in value for name in _KNOWN) and not _is_bbox(value)


def _is_bbox(value: dict[str, Any]) -> bool:
    return "bbox" in value and value.keys() <= {"bbox", "crs"}
