"""Execute inputs, checked before anything is stored: every value, and every fault told (S1.3)."""

import base64
import binascii
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
from fastprocesses_sdk.description import InputDescription
from msgspec import Raw, Struct

from fastprocesses_host.catalog import Format, InputSchema, OfferedProcess, did_you_mean
from fastprocesses_host.ogc.exceptions import InvalidParameterValue
from fastprocesses_host.ogc.execute import ExecuteRequest, decode_value, pointer, read_format
from fastprocesses_host.ogc.jobs import AskedOutput, AskedResults
from fastprocesses_host.ogc.negotiation import parse_media_type, same_media_type
from fastprocesses_host.ogc.processes import described_media_types
from fastprocesses_host.schemas.faults import Fault, faults_of
from fastprocesses_host.schemas.validators import ValueSchema, is_base64

MAX_FAULTS = 20
"""How many faults a problem tells."""

_FAULTS_PER_VALUE = 5
_LARGE_BYTES = 16 * 1024
"""From this size on it pays to look whether a value is recognised before it is decoded."""
_LONGEST_MEDIA_TYPE = 200
_LONGEST_NAME = 200
_QUALIFIED = frozenset({"value", "mediaType", "encoding", "schema", "format"})
_LINK = frozenset(
    {"href", "rel", "type", "hreflang", "title", "length", "mediaType", "encoding", "schema", "format"}
)
_NOT_CALLED = (
    "Subscribers are not called by this server yet. Leave subscriber out, and ask for the status of the job."
)
_NOT_FETCHED = "References are not fetched by this server yet. Send the value inline."


class CheckedInput(Struct, frozen=True, kw_only=True):
    """One input that fits its description."""

    data: bytes = b""
    """A JSON document: the plain value; an array of values when the input may occur several times."""
    media_type: str = ""
    """Of the value, as the caller named it or the schema's fitting branch has it; empty: not told."""
    file: Path | None = None
    """Has the document, instead of `data`; it belongs to the request, and is deleted with it."""

    @property
    def length(self) -> int:
        """How many bytes the document has."""
        return len(self.data) if self.file is None else self.file.stat().st_size


class _Rejected(Exception):
    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = list(faults)

    def under(self, *path: str | int) -> "_Rejected":
        return _Rejected(Fault((*path, *fault.path), fault.detail) for fault in self.faults)


class _Read(Struct, frozen=True):
    data: bytes | Raw
    media_type: str = ""
    file: Path | None = None


_NO_FILES: Mapping[bytes, Path] = MappingProxyType({})


def check_request(
    process: OfferedProcess, request: ExecuteRequest, *, files: Mapping[bytes, Path] = _NO_FILES
) -> dict[str, CheckedInput]:
    """Check the inputs and the wanted outputs of a request, and tell the faults of all in one problem.

    Args:
        process: What is to be executed.
        request: What was asked.
        files: JSON strings that stand for longer ones, all certainly in base64, and the files that have these.
            They are put in place where any base64 fits; elsewhere the strings are taken for what they are.

    Raises:
        InvalidParameterValue: something does not fit (/req/core/process-execute-input-validation).
    """
    checked, faults = _read_inputs(process, request.inputs, files)
    faults += _asked_faults(process, request.asked)
    if request.subscriber is not None and request.subscriber.wants_calls:
        faults.append(Fault(("subscriber",), _NOT_CALLED))
    _raise_for(faults)
    return checked


def _raise_for(faults: list[Fault]) -> None:
    if not faults:
        return
    told = faults[:MAX_FAULTS]
    first = told[0]
    more = f" Look into errors for {len(faults) - 1} more." if len(faults) > 1 else ""
    raise InvalidParameterValue(
        f"{_place(first.path)}: {first.detail}{more}",
        errors=[{"pointer": _told_pointer(fault.path), "detail": fault.detail} for fault in told],
    )


def _told_pointer(path: tuple[str | int, ...]) -> str:
    """Give the JSON pointer of a fault; names as long as a value are cut, they would fill the problem."""
    return pointer(tuple(_cut(part) if isinstance(part, str) else part for part in path))


def _cut(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"


def _unknown(kind: str, names: Iterable[str], known: Collection[str]) -> Iterator[Fault]:
    """Tell which names the process does not know; the nearest known name is looked for only as often as told."""
    for place, name in enumerate(name for name in names if name not in known):
        hint = did_you_mean(name, known) if place < MAX_FAULTS else ""
        yield Fault((f"{kind}s", name), f"The process has no such {kind}.{hint}")


def _place(path: tuple[str | int, ...]) -> str:
    kind = {"inputs": "Input", "outputs": "Output"}.get(str(path[0]), str(path[0]))
    return f"{kind} {str(path[1])[:100]}" if len(path) > 1 else kind


# Inputs


def _read_inputs(
    process: OfferedProcess, inputs: Mapping[str, Raw], files: Mapping[bytes, Path]
) -> tuple[dict[str, CheckedInput], list[Fault]]:
    described = process.description.inputs
    checked: dict[str, CheckedInput] = {}
    faults = list(_unknown("input", inputs, described))
    for input_id, description in described.items():
        try:
            read = _read_input(process.input_schemas[input_id], description, inputs.get(input_id), files)
        except _Rejected as rejected:
            faults += rejected.under("inputs", input_id).faults
        else:
            if read is not None:
                checked[input_id] = CheckedInput(
                    data=bytes(read.data), media_type=read.media_type, file=read.file
                )
    return checked, faults


def _read_input(
    schema: InputSchema, description: InputDescription, raw: Raw | None, files: Mapping[bytes, Path]
) -> _Read | None:
    """Read what is given for one input; None: nothing, which is fine. A null that does not fit is nothing."""
    if raw is not None and (read := _recognised(schema, description, raw, files)) is not None:
        return read
    if raw is not None:
        value = _decoded(raw)
        if value is not None or schema.whole.accepts(None):
            return (
                _read_several(schema, description, value, raw)
                if _occurs_often(description)
                else _read_single(schema, value, raw)
            )
    if description.min_occurs > 0:
        raise _Rejected([Fault((), f"This input must be given: {description.title}.")])
    return None


def _occurs_often(description: InputDescription) -> bool:
    return description.max_occurs == "unbounded" or description.max_occurs > 1


def _recognised(
    schema: InputSchema, description: InputDescription, raw: Raw, files: Mapping[bytes, Path]
) -> _Read | None:
    """Read a large value, plain or qualified, of a kind that is recognised in its text; None: it must be decoded."""
    if (len(memoryview(raw)) < _LARGE_BYTES and not files) or _occurs_often(description):
        return None
    default = schema.formats[0].media_type
    if (read := _recognised_plain(schema, raw, default, files)) is not None:
        return read
    members = _qualified_members(raw)
    if not members:
        return None
    read = _recognised_plain(schema, members["value"], default, files)
    if read is None:
        return None
    told = {name: _decoded(member) for name, member in members.items() if name != "value"}
    usual = {
        "mediaType": (None, default),
        "encoding": (None, "base64" if schema.formats[0].is_binary else None),
    }
    is_usual = all(member in usual.get(name, (None,)) for name, member in told.items())
    return read if is_usual else None


def _recognised_plain(
    schema: InputSchema, raw: Raw, media_type: str, files: Mapping[bytes, Path]
) -> _Read | None:
    if files and schema.is_any_base64 and (file := files.get(bytes(raw))) is not None:
        return _Read(b"", media_type, file)
    return _Read(raw, media_type) if schema.recognises(raw) else None


def _qualified_members(raw: Raw) -> dict[str, Raw] | None:
    try:
        members = msgspec.json.decode(raw, type=dict[str, Raw])
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None
    return members if "value" in members and members.keys() <= _QUALIFIED else None


def _read_single(schema: InputSchema, value: Any, raw: Raw) -> _Read:
    """Read the value of an input that occurs once; an array of one value may stand for it (S1.3 rule 2)."""
    try:
        return _read_value(schema, value, raw)
    except _Rejected:
        if isinstance(value, list) and len(value) == 1:
            try:
                return _read_value(schema, value[0], _items(raw)[0])
            except _Rejected:
                pass
        raise


def _read_several(schema: InputSchema, description: InputDescription, value: Any, raw: Raw) -> _Read:
    """Read the values of an input that may occur several times; a lone one is wrapped (S1.3 rule 1)."""
    is_list = isinstance(value, list)
    reads = _read_items(schema, value, raw) if is_list else [_read_value(schema, value, raw)]
    _check_occurrences(description, len(reads))
    media_types = {read.media_type for read in reads}
    return _Read(
        b"[" + b",".join(bytes(read.data) for read in reads) + b"]",
        media_types.pop() if len(media_types) == 1 else "",
    )


def _read_items(schema: InputSchema, values: list[Any], raw: Raw) -> list[_Read]:
    reads: list[_Read] = []
    faults: list[Fault] = []
    for place, (value, item) in enumerate(zip(values, _items(raw), strict=True)):
        try:
            reads.append(_read_value(schema, value, item))
        except _Rejected as rejected:
            faults += rejected.under(place).faults
        if len(faults) >= MAX_FAULTS:
            break
    if not faults:
        return reads
    if schema.whole.accepts(values):
        return [_Read(raw)]
    raise _Rejected(faults)


def _check_occurrences(description: InputDescription, count: int) -> None:
    most = description.max_occurs
    if count < description.min_occurs:
        raise _Rejected([Fault((), f"At least {description.min_occurs} values must be given, not {count}.")])
    if most != "unbounded" and count > most:
        raise _Rejected([Fault((), f"At most {most} values can be given, not {count}.")])


def _read_value(schema: InputSchema, value: Any, raw: Raw) -> _Read:
    """Read one value; the first of the rules that fits decides (S1.3 rules 3 to 8)."""
    if isinstance(value, dict):
        if _is_reference(schema, value):
            raise _Rejected([Fault((), _NOT_FETCHED)])
        if "value" in value and value.keys() <= _QUALIFIED:
            return _read_qualified(schema, value, raw)
    return _read_plain(schema, value, raw)


def _read_plain(schema: InputSchema, value: Any, raw: Raw) -> _Read:
    return _Read(raw, _fitting(schema, value, "").media_type)


def _is_reference(schema: InputSchema, value: dict[str, Any]) -> bool:
    if not isinstance(value.get("href"), str) or "value" in value or schema.requires("href"):
        return False
    return value.keys() <= _LINK or not schema.whole.accepts(value)


def _read_qualified(schema: InputSchema, value: dict[str, Any], raw: Raw) -> _Read:
    """Read a qualified value, or an object that only looks like one (S1.3 rules 6 and 8)."""
    if schema.requires("value") and schema.whole.accepts(value):
        return _Read(raw)
    try:
        return _unwrapped(schema, value, raw)
    except _Rejected:
        if schema.whole.accepts(value):
            return _Read(raw)
        raise


def _unwrapped(schema: InputSchema, value: dict[str, Any], raw: Raw) -> _Read:
    try:
        media_type, encoding, _ = read_format(value, "")
    except InvalidParameterValue as problem:
        raise _Rejected([Fault((), problem.errors[0]["detail"])]) from None
    inner = value["value"]
    data: bytes | Raw = msgspec.json.decode(raw, type=dict[str, Raw])["value"]
    named = schema.formats_of(media_type) if media_type else ()
    if encoding.lower() == "base64" and not (named or schema.formats)[0].is_binary:
        inner = _decoded_text(inner)
        data = msgspec.json.encode(inner)
    try:
        found = _fitting(schema, inner, media_type)
    except _Rejected as rejected:
        raise rejected.under("value") from None
    return _Read(data, media_type or found.media_type)


def _fitting(schema: InputSchema, value: Any, media_type: str) -> Format:
    """Find the format a value is in: the first that fits, of those that are named if any is (S1.3 rule 9).

    Raises:
        _Rejected: there is none.
    """
    if schema.is_bbox:
        _check_bbox(value)
    candidates = _named_formats(schema, value, media_type) if media_type else schema.formats
    for candidate in candidates:
        if candidate.schema.accepts(value):
            if candidate.is_binary and isinstance(value, str) and not is_base64(value):
                raise _Rejected([Fault((), "This is not base64. Send binary values as base64 strings.")])
            return candidate
    faults = faults_of(_told_of(schema, candidates), value, limit=_FAULTS_PER_VALUE)
    raise _Rejected(faults or [Fault((), "This fits none of the formats of the input.")])


def _told_of(schema: InputSchema, candidates: Sequence[Format]) -> ValueSchema:
    """Give the schema whose faults are told: of all candidates together, the input's own where these are all."""
    if len(candidates) == 1:
        return candidates[0].schema
    if len(candidates) == len(schema.formats):
        return schema.whole
    return ValueSchema({"anyOf": [candidate.schema.schema for candidate in candidates]}, schema.whole.name)


def _named_formats(schema: InputSchema, value: Any, media_type: str) -> Sequence[Format]:
    """Find the formats a media type may stand for; JSON stands for all that are made of it.

    Raises:
        _Rejected: there is none.
    """
    parsed = parse_media_type(media_type)
    is_text = isinstance(value, str) and same_media_type(media_type, "text/plain")

    def may_be(candidate: Format) -> bool:
        theirs = parse_media_type(candidate.media_type or "application/json")
        both_json = parsed is not None and parsed.is_json and theirs is not None and theirs.is_json
        return both_json or (is_text and not candidate.media_type)

    found = schema.formats_of(media_type) or [each for each in schema.formats if may_be(each)]
    if found:
        return found
    possible = ", ".join(dict.fromkeys(each.media_type or "application/json" for each in schema.formats))
    raise _Rejected(
        [Fault((), f"The media type {media_type[:100]} is not known here. Possible: {possible}.")]
    )


def _check_bbox(value: Any) -> None:
    """Check that a value is a bounding box (bbox.yaml, /req/core/process-execute-input-inline-bbox)."""
    numbers = value.get("bbox") if isinstance(value, dict) else None
    is_box = isinstance(numbers, list) and len(numbers) in (4, 6)
    if not is_box or not all(type(number) in (int, float) for number in numbers or ()):
        shape = '{"bbox": [west, south, east, north], "crs": URI}'
        raise _Rejected([Fault((), f"A bounding box is an object with 4 or 6 numbers: {shape}.")])
    if not isinstance(value.get("crs", ""), str):
        raise _Rejected([Fault(("crs",), "crs must be a URI.")])


def _decoded_text(value: Any) -> str:
    """Decode base64 where text is wanted."""
    try:
        return base64.b64decode(value, validate=False).decode()
    except (TypeError, ValueError, binascii.Error):
        detail = "The encoding says base64, but this is not text in base64."
        raise _Rejected([Fault(("value",), detail)]) from None


def _decoded(raw: Raw) -> Any:
    try:
        return decode_value(raw, "")
    except InvalidParameterValue as problem:
        raise _Rejected([Fault((), problem.errors[0]["detail"])]) from None


def _items(raw: Raw) -> list[Raw]:
    return msgspec.json.decode(raw, type=list[Raw])


# Wanted outputs


def _asked_faults(process: OfferedProcess, asked: AskedResults) -> list[Fault]:
    wanted = asked.outputs or {}
    faults = list(_unknown("output", wanted, process.description.outputs))
    for output_id in process.description.outputs:
        if output_id in wanted:
            faults += _selection_faults(process, output_id, wanted[output_id])
    return faults


def _is_offered(wanted: str, offered: Iterable[str]) -> bool:
    """Tell whether a media type, which is no range, is one of those offered."""
    named = parse_media_type(wanted) if len(wanted) <= _LONGEST_MEDIA_TYPE else None
    if named is None or "*" in (named.type, named.subtype):
        return False
    known = (parse_media_type(one) for one in offered)
    return any(one is not None and named.covers(one) for one in known)


def _selection_faults(process: OfferedProcess, output_id: str, wanted: AskedOutput) -> Iterator[Fault]:
    offered = described_media_types(process.description.outputs[output_id])
    if wanted.media_type and not _is_offered(wanted.media_type, offered):
        detail = f"The output cannot be given as {wanted.media_type[:100]}. Possible: {', '.join(offered)}."
        yield Fault(("outputs", output_id, "format", "mediaType"), detail)
    modes = process.description.output_transmission
    if wanted.transmission_mode and wanted.transmission_mode not in modes:
        detail = (
            f"The process does not give outputs by {wanted.transmission_mode}. Possible: {', '.join(modes)}."
        )
        yield Fault(("outputs", output_id, "transmissionMode"), detail)
