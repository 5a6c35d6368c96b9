"""Execute inputs, checked before anything is stored: every value, and every fault told (S1.3)."""

import base64
import binascii
import codecs
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
from fastprocesses_sdk.description import InputDescription
from msgspec import UNSET, Raw, Struct

from fastprocesses_host.catalog import InputSchema, OfferedProcess, did_you_mean
from fastprocesses_host.fetched import Limits, check_content, decoded, formats_stated
from fastprocesses_host.fitting import Rejected, fitting
from fastprocesses_host.ogc.exceptions import InvalidParameterValue
from fastprocesses_host.ogc.execute import ExecuteRequest, decode_value, pointer, read_format
from fastprocesses_host.ogc.jobs import AskedOutput, AskedResults
from fastprocesses_host.ogc.negotiation import parse_media_type
from fastprocesses_host.ogc.processes import described_media_types
from fastprocesses_host.ogc.references import (
    REFERENCED,
    SERVERS_SCHEMES,
    GivenValue,
    Referenced,
    data_of,
    encode_referenced,
    scheme_of,
)
from fastprocesses_host.schemas.faults import Fault

MAX_FAULTS = 20
"""How many faults a problem tells."""

_LARGE_BYTES = 16 * 1024
"""From this size on it pays to look whether a value is recognised before it is decoded."""
_LONGEST_MEDIA_TYPE = 200
_LONGEST_NAME = 200
_LONGEST_HREF = 8192
_QUALIFIED = frozenset({"value", "mediaType", "encoding", "schema", "format"})
_LINK = frozenset(
    {"href", "rel", "type", "hreflang", "title", "length", "mediaType", "encoding", "schema", "format"}
)


class CheckedInput(Struct, frozen=True, kw_only=True):
    """One input that fits its description."""

    data: bytes = b""
    """A JSON document: the plain value; an array of values when the input may occur several times."""
    media_type: str = ""
    """Of the value, as the caller named it or the schema's fitting branch has it; empty: not told."""
    file: Path | None = None
    """Has the document, instead of `data`; it belongs to the request, and is deleted with it."""
    referenced: Referenced | None = None
    """What the job has to fetch before there is a document: `data` only tells where it is. None: nothing."""

    @property
    def length(self) -> int:
        """How many bytes the document has."""
        return len(self.data) if self.file is None else self.file.stat().st_size


class _Read(Struct, frozen=True):
    data: bytes | Raw
    media_type: str = ""
    file: Path | None = None
    href: str = ""
    referenced: Referenced | None = None


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
    raise_for(faults)
    return checked


def has_references(inputs: Mapping[str, CheckedInput]) -> bool:
    """Tell whether anything is given by reference."""
    for value in inputs.values():  # noqa: SIM110 - any() would make a generator for each request
        if value.referenced is not None:
            return True
    return False


def require_few_references(inputs: Mapping[str, CheckedInput], most: int) -> None:
    """See that no request makes the server speak to others too often.

    Raises:
        InvalidParameterValue: there are more than `most` references.
    """
    if not has_references(inputs):
        return
    referenced = [value.referenced for value in inputs.values() if value.referenced is not None]
    if (count := sum(len(each.hrefs) for each in referenced)) > most:
        raise InvalidParameterValue(
            f"The request gives {count} values by reference; {most} is the most. Give some of them inline."
        )


def raise_for(faults: Sequence[Fault]) -> None:
    """Tell the faults of a request in one problem, if there are any.

    Raises:
        InvalidParameterValue: there are.
    """
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
    described, places = process.description.inputs, process.input_places
    checked: dict[str, CheckedInput] = {}
    faults: list[Fault] = []
    concerned: Iterable[str] = places
    if inputs.keys() != places.keys():
        faults += _unknown("input", inputs, described)
        concerned = (inputs.keys() & places.keys()) | process.required_inputs
        concerned = sorted(concerned, key=places.__getitem__)
    schemas = process.input_schemas
    for input_id in concerned:
        try:
            read = _read_input(schemas[input_id], described[input_id], inputs.get(input_id), files)
        except Rejected as rejected:
            faults += rejected.under("inputs", input_id).faults
        else:
            if read is not None:
                checked[input_id] = CheckedInput(
                    data=bytes(read.data),
                    media_type=read.media_type,
                    file=read.file,
                    referenced=read.referenced,
                )
    return checked, faults


def _read_input(
    schema: InputSchema, description: InputDescription, raw: Raw | None, files: Mapping[bytes, Path]
) -> _Read | None:
    """Read what is given for one input; None: nothing, which is fine. A null that does not fit is nothing."""
    if raw is not None:
        is_often = occurs_often(description)
        may_be_long = not is_often and (files or len(memoryview(raw)) >= _LARGE_BYTES)
        if may_be_long and (read := _recognised(schema, raw, files)) is not None:
            return read
        value, plain = _decoded(raw), schema.plain
        has_rules = is_often or value is None or isinstance(value, dict)
        if plain is not None and not has_rules and plain.schema.accepts(value):
            return _Read(raw, plain.media_type)
        if value is not None or schema.whole.accepts(None):
            if is_often:
                return _read_several(schema, description, value, raw)
            read = _read_single(schema, value, raw)
            return _to_be_fetched(Referenced((_given(read),))) if read.href else read
    if description.min_occurs > 0:
        raise Rejected([Fault((), f"This input must be given: {description.title}.")])
    return None


def _to_be_fetched(referenced: Referenced) -> _Read:
    return _Read(encode_referenced(referenced), REFERENCED, referenced=referenced)


def _given(read: _Read) -> GivenValue:
    value = UNSET if read.href else Raw(bytes(read.data))
    return GivenValue(value, read.href, read.media_type)


def fetched_list(schema: InputSchema, description: InputDescription, content: bytes, limits: Limits) -> bytes:
    """Read an array that was fetched as all values of an input that may occur several times.

    Returns:
        The document.

    Raises:
        Rejected: it is no array, or does not fit; references in it are not followed.
    """
    value = decoded(content, limits)
    if not isinstance(value, list):
        raise Rejected([Fault((), "This is no array.")])
    read = _read_several(schema, description, value, Raw(content.removeprefix(codecs.BOM_UTF8)))
    if read.referenced is not None:
        raise Rejected([Fault((), "References in what was fetched are not followed.")])
    return bytes(read.data)


def occurs_often(description: InputDescription) -> bool:
    """Tell whether an input may have several values."""
    return description.max_occurs == "unbounded" or description.max_occurs > 1


def _recognised(schema: InputSchema, raw: Raw, files: Mapping[bytes, Path]) -> _Read | None:
    """Read a large value, plain or qualified, of a kind that is recognised in its text; None: it must be decoded."""
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
    except Rejected:
        if isinstance(value, list) and len(value) == 1:
            try:
                return _read_value(schema, value[0], _items(raw)[0])
            except Rejected:
                pass
        raise


def _read_several(schema: InputSchema, description: InputDescription, value: Any, raw: Raw) -> _Read:
    """Read the values of an input that may occur several times; a lone one is wrapped (S1.3 rule 1)."""
    is_list = isinstance(value, list)
    reads = _read_items(schema, value, raw) if is_list else [_read_value(schema, value, raw)]
    if reads[:1] and reads[0].href and not is_list:  # of one value, or of an array with all of them
        return _to_be_fetched(Referenced((_given(reads[0]),)))
    check_occurrences(description, len(reads))
    media_types = {read.media_type for read in reads}
    media_type = media_types.pop() if len(media_types) == 1 else ""
    if any(read.href for read in reads):
        return _to_be_fetched(Referenced(tuple(map(_given, reads)), is_list=True))
    return _Read(b"[" + b",".join(bytes(read.data) for read in reads) + b"]", media_type)


def _read_items(schema: InputSchema, values: list[Any], raw: Raw) -> list[_Read]:
    reads: list[_Read] = []
    faults: list[Fault] = []
    for place, (value, item) in enumerate(zip(values, _items(raw), strict=True)):
        try:
            reads.append(_read_value(schema, value, item))
        except Rejected as rejected:
            faults += rejected.under(place).faults
        if len(faults) >= MAX_FAULTS:
            break
    if not faults:
        return reads
    if schema.whole.accepts(values):
        return [_Read(raw)]
    raise Rejected(faults)


def check_occurrences(description: InputDescription, count: int) -> None:
    """See whether an input may have so many values.

    Raises:
        Rejected: it may not.
    """
    most = description.max_occurs
    if count < description.min_occurs:
        raise Rejected([Fault((), f"At least {description.min_occurs} values must be given, not {count}.")])
    if most != "unbounded" and count > most:
        raise Rejected([Fault((), f"At most {most} values can be given, not {count}.")])


def _read_value(schema: InputSchema, value: Any, raw: Raw) -> _Read:
    """Read one value; the first of the rules that fits decides (S1.3 rules 3 to 8)."""
    if isinstance(value, dict):
        if _is_reference(schema, value):
            return _read_reference(schema, value)
        if "value" in value and value.keys() <= _QUALIFIED:
            return _read_qualified(schema, value, raw)
    return _read_plain(schema, value, raw)


def _read_plain(schema: InputSchema, value: Any, raw: Raw) -> _Read:
    return _Read(raw, fitting(schema, value, "").media_type)


def _is_reference(schema: InputSchema, value: dict[str, Any]) -> bool:
    if not isinstance(value.get("href"), str) or "value" in value or schema.requires("href"):
        return False
    return value.keys() <= _LINK or not schema.whole.accepts(value)


def _read_reference(schema: InputSchema, value: dict[str, Any]) -> _Read:
    """Read where a value is; what a `data:` URL has is checked at once, the rest when it was fetched."""
    href, stated = value["href"], _stated_media_type(value)
    if stated:
        formats_stated(schema, stated)
    scheme = scheme_of(href)
    if scheme == "data":
        return _read_data_url(schema, href, stated)
    if scheme not in (*SERVERS_SCHEMES, *schema.reference_schemes):
        known = ", ".join(["data", *SERVERS_SCHEMES, *schema.reference_schemes])
        told = f"URLs of the scheme {scheme[:40]} are not fetched" if scheme else "This is no absolute URL"
        raise Rejected([Fault(("href",), f"{told}. Possible schemes: {known}.")])
    if len(href) > _LONGEST_HREF:
        raise Rejected([Fault(("href",), f"The URL is longer than {_LONGEST_HREF} characters.")])
    if scheme not in SERVERS_SCHEMES and (" " in href or not href.isprintable()):
        raise Rejected([Fault(("href",), "The URL has blanks, or characters that are not printable.")])
    return _Read(b"", stated, href=href)


def _stated_media_type(value: dict[str, Any]) -> str:
    """Read the media type that a reference is said to lead to: `mediaType`, flat or in `format`, or a link's `type`."""
    try:
        media_type, _, _ = read_format(value, "")
    except InvalidParameterValue as problem:
        raise Rejected([Fault((), problem.errors[0]["detail"])]) from None
    if not isinstance(value.get("type", ""), str):
        raise Rejected([Fault(("type",), "type must be a media type.")])
    return str(media_type or value.get("type", ""))


def _read_data_url(schema: InputSchema, href: str, stated: str) -> _Read:
    try:
        media_type, content = data_of(href)
    except ValueError as error:
        raise Rejected([Fault(("href",), str(error))]) from None
    try:
        found = check_content(schema, content, stated=stated, sent=media_type, limits=Limits())
    except Rejected as rejected:
        raise rejected.under("href") from None
    return _Read(found.document(content), found.media_type)


def _read_qualified(schema: InputSchema, value: dict[str, Any], raw: Raw) -> _Read:
    """Read a qualified value, or an object that only looks like one (S1.3 rules 6 and 8)."""
    if schema.requires("value") and schema.whole.accepts(value):
        return _Read(raw)
    try:
        return _unwrapped(schema, value, raw)
    except Rejected:
        if schema.whole.accepts(value):
            return _Read(raw)
        raise


def _unwrapped(schema: InputSchema, value: dict[str, Any], raw: Raw) -> _Read:
    try:
        media_type, encoding, _ = read_format(value, "")
    except InvalidParameterValue as problem:
        raise Rejected([Fault((), problem.errors[0]["detail"])]) from None
    inner = value["value"]
    data: bytes | Raw = msgspec.json.decode(raw, type=dict[str, Raw])["value"]
    named = schema.formats_of(media_type) if media_type else ()
    if encoding.lower() == "base64" and not (named or schema.formats)[0].is_binary:
        inner = _decoded_text(inner)
        data = msgspec.json.encode(inner)
    try:
        found = fitting(schema, inner, media_type)
    except Rejected as rejected:
        raise rejected.under("value") from None
    return _Read(data, media_type or found.media_type)


def _decoded_text(value: Any) -> str:
    """Decode base64 where text is wanted."""
    try:
        return base64.b64decode(value, validate=False).decode()
    except (TypeError, ValueError, binascii.Error):
        detail = "The encoding says base64, but this is not text in base64."
        raise Rejected([Fault(("value",), detail)]) from None


def _decoded(raw: Raw) -> Any:
    try:
        return decode_value(raw, "")
    except InvalidParameterValue as problem:
        raise Rejected([Fault((), problem.errors[0]["detail"])]) from None


def _items(raw: Raw) -> list[Raw]:
    return msgspec.json.decode(raw, type=list[Raw])


# Wanted outputs


def _asked_faults(process: OfferedProcess, asked: AskedResults) -> list[Fault]:
    wanted = asked.outputs
    if not wanted:
        return []
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
