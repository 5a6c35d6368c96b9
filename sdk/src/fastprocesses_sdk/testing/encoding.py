"""Values as a client sends them, and as a server hands them to a process; and the outputs back."""

import base64
import binascii
import mimetypes
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import msgspec
from msgspec import Struct

from fastprocesses_sdk import validation
from fastprocesses_sdk.description import InputDescription, ProcessDescription
from fastprocesses_sdk.testing.outcomes import InvalidInputs
from fastprocesses_sdk.values import EncodedOutput, InputValue, encode

_QUALIFIED = frozenset({"value", "mediaType", "encoding", "schema", "format"})
_LINK = frozenset({"href", "rel", "type", "hreflang", "title", "length"})


class _Faults(Exception):
    def __init__(self, faults: Sequence[tuple[str, str]]) -> None:
        self.faults = list(faults)


class _Value(Struct, frozen=True):
    data: Any
    """Decoded JSON."""
    media_type: str = ""


def encoded_inputs(description: ProcessDescription, inputs: Mapping[str, Any]) -> dict[str, InputValue]:
    """Encode inputs as a client does, check them as a server does, and give what an executor gets.

    Raises:
        InvalidInputs: A server would refuse them; all faults are told.
    """
    read: dict[str, InputValue] = {}
    known = ", ".join(description.inputs) or "none"
    found = [
        (name, f"There is no such input. Known: {known}.")
        for name in inputs
        if name not in description.inputs
    ]
    for name, described in description.inputs.items():
        try:
            value = _input(described, inputs.get(name))
        except _Faults as wrong:
            found += [(f"{name}{place}", text) for place, text in wrong.faults[: validation.MAX_FAULTS]]
            continue
        if value is not None:
            read[name] = InputValue(data=msgspec.json.encode(value.data), media_type=value.media_type)
    if found:
        raise InvalidInputs(description.id, found[: validation.MAX_FAULTS])
    return read


def _input(described: InputDescription, given: Any) -> _Value | None:
    schema = described.schema
    if given is None and not validation.accepts(schema, None):
        if described.min_occurs > 0:
            raise _Faults([("", "This input must be given.")])
        return None
    if described.max_occurs == "unbounded" or described.max_occurs > 1:
        return _several(described, given)
    return _single(schema, given)


def _several(described: InputDescription, given: Any) -> _Value:
    items = given if isinstance(given, list | tuple | set | frozenset) else [given]
    values: list[_Value] = []
    found: list[tuple[str, str]] = []
    for place, item in enumerate(items):
        try:
            values.append(_single(described.schema, item))
        except _Faults as wrong:
            found += [(f"/{place}{inner}", text) for inner, text in wrong.faults]
    if found:
        raise _Faults(found)
    most = described.max_occurs
    if len(values) < described.min_occurs:
        raise _Faults([("", f"At least {described.min_occurs} values must be given, not {len(values)}.")])
    if most != "unbounded" and len(values) > most:
        raise _Faults([("", f"At most {most} values can be given, not {len(values)}.")])
    media_types = {value.media_type for value in values}
    return _Value([value.data for value in values], media_types.pop() if len(media_types) == 1 else "")


def _single(schema: Mapping[str, Any], given: Any) -> _Value:
    try:
        sent = sent_value(schema, given)
    except (TypeError, ValueError, OSError, msgspec.MsgspecError) as error:
        raise _Faults([("", f"This cannot be sent: {error}.")]) from error
    media_type = ""
    if isinstance(sent, dict) and not validation.accepts(schema, sent):
        if isinstance(sent.get("href"), str) and sent.keys() <= _LINK:
            raise _Faults([("", "References are not fetched in tests; give the value, or a Path to a file.")])
        if "value" in sent and sent.keys() <= _QUALIFIED:
            media_type, sent = _media_type_of(sent), sent["value"]
    return _fitting(schema, sent, media_type)


def _fitting(schema: Mapping[str, Any], value: Any, media_type: str) -> _Value:
    """Find the format that the value is in, as a server does: the one that is named, or the first that fits."""
    candidates = [
        branch
        for branch in _formats(schema)
        if not media_type or media_type == branch.get("contentMediaType")
    ]
    if not candidates:
        offered = ", ".join(branch.get("contentMediaType", "application/json") for branch in _formats(schema))
        raise _Faults([("", f"The media type {media_type} is not known here. Possible: {offered}.")])
    for candidate in candidates:
        if validation.accepts(candidate, value) and (not is_binary(candidate) or _is_base64(value)):
            return _Value(value, media_type or candidate.get("contentMediaType", ""))
    told = candidates[0] if len(candidates) == 1 else schema
    raise _Faults(list(validation.faults(told, value)) or [("", "This is not base64.")])


def _media_type_of(qualified: Mapping[str, Any]) -> str:
    named = qualified.get("mediaType") or (qualified.get("format") or {}).get("mediaType")
    return named if isinstance(named, str) else ""


def _formats(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    branches = schema.get("oneOf") or schema.get("anyOf") or ()
    return list(branches) if any("contentMediaType" in branch for branch in branches) else [schema]


def is_binary(schema: Mapping[str, Any]) -> bool:
    """Whether values are base64 in JSON."""
    return "contentEncoding" in schema or schema.get("format") in ("byte", "binary")


def _is_base64(value: Any) -> bool:
    try:
        return isinstance(value, str) and base64.b64decode("".join(value.split()), validate=True) is not None
    except (ValueError, binascii.Error):
        return False


# What a client would send of a Python value


def sent_value(schema: Mapping[str, Any], value: Any) -> Any:
    """Give the decoded JSON that a client would send for a value.

    Raises:
        TypeError, ValueError, OSError: There is none, or its file cannot be read.
    """
    if isinstance(value, PurePath):
        return _file(schema, Path(value))
    if isinstance(value, bytes | bytearray | memoryview):
        wants_base64 = any(map(is_binary, _formats(schema)))
        return base64.b64encode(value).decode() if wants_base64 else bytes(value).decode()
    if isinstance(value, list | tuple) and any(isinstance(item, PurePath) for item in value):
        return [sent_value(schema.get("items", {}), item) for item in value]
    return msgspec.json.decode(encode(getattr(value, "__geo_interface__", value)))


def _file(schema: Mapping[str, Any], file: Path) -> Any:
    """Read a file into the format that its name suggests."""
    formats = _formats(schema)
    guessed = _guessed(file)
    chosen = next(
        (each for each in formats if _bare(each.get("contentMediaType", "")) in guessed), formats[0]
    )
    content = file.read_bytes()
    value: Any
    if is_binary(chosen):
        value = base64.b64encode(content).decode()
    elif chosen.get("type") == "string":
        value = content.decode()
    else:
        value = msgspec.json.decode(content)
    if len(formats) == 1:
        return value
    return {"value": value, "mediaType": chosen.get("contentMediaType", "application/json")}


def _guessed(file: Path) -> set[str]:
    known = {".geojson": "application/geo+json", ".json": "application/json", ".tif": "image/tiff"}
    return {known.get(file.suffix.lower(), ""), mimetypes.guess_type(file.name)[0] or ""} - {""}


def _bare(media_type: str) -> str:
    return media_type.split(";", 1)[0].strip().lower()


# Outputs


def decoded_output(output: EncodedOutput) -> Any:
    """Give the value of an output: decoded JSON, text or bytes."""
    data = Path(output.path).read_bytes() if output.path else output.data
    if output.form == "json":
        return msgspec.json.decode(data)
    return data.decode() if output.form == "text" else data


def output_faults(schema: Mapping[str, Any], output: EncodedOutput, value: Any) -> Iterator[tuple[str, str]]:
    """Tell where a value does not fit what is described; only JSON is looked into."""
    if output.form != "json":
        return
    formats = [each for each in _formats(schema) if each.get("contentMediaType") == output.media_type]
    candidate = formats[0] if formats else schema
    if not validation.accepts(candidate, value):
        yield from validation.faults(candidate, value)
