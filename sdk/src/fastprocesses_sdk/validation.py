"""JSON Schemas as the server applies them: Draft 2020-12, formats asserted, nothing fetched."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    import jsonschema_rs

MAX_FAULTS = 20
_SENTENCE = 300


def accepts(schema: Mapping[str, Any], value: Any) -> bool:
    """Tell whether a decoded JSON value fits a schema."""
    return _validator(msgspec.json.encode(schema)).is_valid(value)


def faults(schema: Mapping[str, Any], value: Any) -> Iterator[tuple[str, str]]:
    """Tell what is wrong with a value: places inside it, as `/features/0`, and sentences."""
    for error in _validator(msgspec.json.encode(schema)).iter_errors(value):
        yield from _told(error)


def schema_fault(schema: Any) -> str:
    """Tell why this is no schema of Draft 2020-12, or cannot be used; empty: it can."""
    rs = _library()
    fault = structure_fault(schema)
    if fault:
        return fault
    try:
        rs.Draft202012Validator(schema, validate_formats=True, retriever=_refuse)
    except (rs.ValidationError, rs.ReferencingError, ValueError) as error:
        return _one_line(error)
    return ""


def structure_fault(schema: Any) -> str:
    """Tell why this is no schema of Draft 2020-12; empty: it is one, though what it refers to may not be there."""
    rs = _library()
    try:
        rs.meta.validate(schema)
    except (rs.ValidationError, rs.ReferencingError, ValueError) as error:
        return _one_line(error)
    return ""


def is_available() -> bool:
    """Tell whether the library that this needs is installed."""
    return find_spec("jsonschema_rs") is not None


def _one_line(error: Any) -> str:
    place = "".join(f"/{step}" for step in getattr(error, "instance_path", ()))
    text = _cut(getattr(error, "message", "") or str(error).split("\n", 1)[0])
    return f"{place}: {text}" if place else text


def _told(error: "jsonschema_rs.ValidationError") -> Iterator[tuple[str, str]]:
    """Tell an error; of alternatives, why the nearest does not fit."""
    branches = getattr(error.kind, "context", None)
    if branches:
        deepest = max(branches, key=_depth)
        if _depth(deepest) > len(error.instance_path):
            for inner in deepest:
                yield from _told(inner)
            return
    yield "".join(f"/{step}" for step in error.instance_path), f"{_cut(error.message)}."


def _depth(errors: "list[jsonschema_rs.ValidationError]") -> int:
    return max((len(error.instance_path) for error in errors), default=0)


def _cut(sentence: str) -> str:
    return sentence if len(sentence) <= _SENTENCE else f"{sentence[:_SENTENCE]}…"


@lru_cache(maxsize=256)
def _validator(schema: bytes) -> "jsonschema_rs.Draft202012Validator":
    validator: jsonschema_rs.Draft202012Validator = _library().Draft202012Validator(
        msgspec.json.decode(schema), validate_formats=True, retriever=_refuse, mask="This"
    )
    return validator


def _refuse(uri: str) -> Any:
    raise ValueError(f"{uri} is not fetched")


def _library() -> Any:
    try:
        import jsonschema_rs
    except ImportError:
        raise ImportError(
            "Testing processes needs jsonschema-rs; install it with pip install 'fastprocesses-sdk[test]'"
        ) from None
    return jsonschema_rs
