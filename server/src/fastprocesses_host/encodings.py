"""How output values are written: raw in a media type, or as a member of a results document (S1.3, S2.8)."""

import base64
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Literal

import msgspec
from fastprocesses_sdk.description import ProcessDescription
from msgspec import Struct

from fastprocesses_host.ogc.jobs import OutputValue
from fastprocesses_host.ogc.links import JSON
from fastprocesses_host.ogc.negotiation import parse_media_type
from fastprocesses_host.ogc.processes import TEXT, is_scalar, media_type_of

_BBOX_BYTES = 2_000
"""No bounding box is longer than this."""


def _always(media_type: str, scalar: bool) -> bool:
    return True


def _is_scalar_json(media_type: str, scalar: bool) -> bool:
    return media_type == JSON and scalar


def _has_media_type_of_its_own(media_type: str, scalar: bool) -> bool:
    return media_type != JSON


def _as_text(document: bytes) -> bytes:
    """Write a JSON string as its text; any other JSON is text already."""
    if not document.lstrip().startswith(b'"'):
        return document
    return msgspec.json.decode(document, type=str).encode()


class Encoding(Struct, frozen=True):
    """A way to write values of one form in one media type."""

    form: str
    media_type: str = ""
    """Empty: the value's own."""
    fits: Callable[[str, bool], bool] = _always
    """Whether a value of such a media type, which is a scalar by its schema or not, can be written so."""
    write: Callable[[bytes], bytes] | None = None
    """None: the bytes stay as they are stored, so that they can be streamed."""


ENCODINGS: tuple[Encoding, ...] = (
    Encoding("json", TEXT, _is_scalar_json, _as_text),
    Encoding("json"),
    Encoding("json", JSON, _has_media_type_of_its_own),
    Encoding("text"),
    Encoding("binary"),
)
"""Of the rows that fit a value the first is its default (S1.3, raw scalar)."""


def offered_media_types(value: OutputValue, schema: Mapping[str, Any] | None = None) -> list[str]:
    """List the media types a value can be given in, the default first.

    Args:
        value: The value.
        schema: Of the output; without it a scalar is offered as JSON alone.
    """
    return list(_offered(value.form, value.media_type, bool(schema) and is_scalar(schema or {})))


@lru_cache(maxsize=256)
def _offered(form: str, media_type: str, scalar: bool) -> tuple[str, ...]:
    rows = (row for row in ENCODINGS if row.form == form and row.fits(media_type, scalar))
    return tuple(row.media_type or media_type for row in rows)


def offered_outputs(
    outputs: Mapping[str, OutputValue], description: ProcessDescription | None
) -> dict[str, list[str]]:
    """List for each output of a job the media types it can be given in.

    Args:
        outputs: Of the job.
        description: Of its process; None when it is not offered any more.
    """
    described = description.outputs if description else {}
    return {
        output_id: offered_media_types(value, described[output_id].schema if output_id in described else None)
        for output_id, value in outputs.items()
    }


def raw_writer(value: OutputValue, media_type: str) -> Callable[[bytes], bytes] | None:
    """Give what makes a raw answer of a media type from stored bytes; None: they are sent as they are."""
    for row in ENCODINGS:
        if row.form == value.form and media_type == (row.media_type or value.media_type):
            return row.write
    return None


def content_type(value: OutputValue, media_type: str) -> str:
    """Give the Content-Type header of a raw answer: text that we hold is UTF-8, and says so."""
    parsed = parse_media_type(media_type)
    if value.form == "binary" or parsed is None or parsed.type != "text":
        return media_type
    return media_type if "charset" in dict(parsed.parameters) else f"{media_type}; charset=utf-8"


class OneValue(Struct, frozen=True):
    """A value that stands by itself: what it is, its schema, its bytes."""

    value: OutputValue
    schema: Mapping[str, Any]
    data: bytes


def has_several(value: OutputValue, schema: Mapping[str, Any]) -> bool:
    """Tell whether an output has values that can be asked for one by one: it is an array by its schema."""
    return value.form == "json" and schema.get("type") == "array"


def count_values(value: OutputValue, schema: Mapping[str, Any], data: bytes) -> int:
    """Count the values of an output."""
    return len(msgspec.json.decode(data, type=list[msgspec.Raw])) if has_several(value, schema) else 1


def nth_value(value: OutputValue, schema: Mapping[str, Any], data: bytes, n: int) -> OneValue | None:
    """Take one of the values of an output; None: there are not so many.

    Args:
        value: What the output is.
        schema: Its schema; of an array the rule for items tells what one is.
        data: The stored bytes of all.
        n: Which, counted from 0.
    """
    if not has_several(value, schema):
        return OneValue(value, schema, data) if n == 0 else None
    items: list[msgspec.Raw] = msgspec.json.decode(data, type=list[msgspec.Raw])
    if n >= len(items):
        return None
    told = schema.get("items")
    return _alone(bytes(items[n]), told if isinstance(told, Mapping) else {})


def _alone(document: bytes, schema: Mapping[str, Any]) -> OneValue:
    """Give an item of an array as the value it stands for: base64 as bytes, a text in its media type."""
    media_type = media_type_of(schema) or JSON
    is_text = media_type != JSON and document.startswith(b'"')
    if not is_text:
        return OneValue(
            OutputValue(form="json", media_type=media_type, length=len(document)), schema, document
        )
    text = msgspec.json.decode(document, type=str)
    form: Literal["binary", "text"] = (
        "binary" if schema.get("contentEncoding") in ("base64", "binary") else "text"
    )
    data = base64.b64decode(text) if form == "binary" else text.encode()
    return OneValue(OutputValue(form=form, media_type=media_type, length=len(data)), schema, data)


def inline_member(value: OutputValue, data: bytes) -> bytes:
    """Write a value as a member of a results document (inlineOrRefData.yaml).

    Scalars, arrays and bounding boxes stand bare; objects, and whatever has a media type of its own, are
    qualified values; binary ones are base64.

    Args:
        value: What the bytes are.
        data: The stored bytes.

    Returns:
        A JSON document.
    """
    if value.form == "binary":
        return _qualified(b'"' + base64.b64encode(data) + b'"', value.media_type, encoding="base64")
    if value.form == "text":
        return _qualified(msgspec.json.encode(data.decode()), value.media_type)
    document = data.strip()
    if value.media_type == JSON and (not document.startswith(b"{") or _is_bbox(document)):
        return document
    return _qualified(document, value.media_type)


def around_inline(value: OutputValue, start: bytes) -> tuple[bytes, bytes] | None:
    """Give what stands before and behind a large value in a results document; in between it can be streamed.

    Binary values stand there as base64, JSON as it is stored.

    Args:
        value: What the value is.
        start: The first of its bytes.

    Returns:
        None: it cannot be streamed, `inline_member` writes it.
    """
    if value.form == "binary":
        before, after = _qualified(b'""', value.media_type, encoding="base64").split(b'""', 1)
        return before + b'"', b'"' + after
    if value.form == "text" or not start.lstrip():
        return None
    if value.media_type == JSON and not start.lstrip().startswith(b"{"):
        return b"", b""
    before, _, after = _qualified(b"[]", value.media_type).partition(b"[]")
    return before, after


def _qualified(document: bytes, media_type: str, *, encoding: str = "") -> bytes:
    members = [b'"value":' + document, b'"mediaType":' + msgspec.json.encode(media_type)]
    if encoding:
        members.append(b'"encoding":' + msgspec.json.encode(encoding))
    return b"{" + b",".join(members) + b"}"


def _is_bbox(document: bytes) -> bool:
    if len(document) > _BBOX_BYTES or b'"bbox"' not in document:
        return False
    value = msgspec.json.decode(document)
    return isinstance(value.get("bbox"), list) and value.keys() <= {"bbox", "crs"}
