"""Content that came from elsewhere, checked as inline values are (/req/core/process-execute-input-validation, B)."""

import base64
import codecs
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct

from fastprocesses_host.catalog import Format, InputSchema
from fastprocesses_host.fitting import FAULTS_PER_VALUE, Rejected, check_bbox, told_of
from fastprocesses_host.ogc.exceptions import InvalidParameterValue
from fastprocesses_host.ogc.execute import check_limits, decode_value
from fastprocesses_host.ogc.negotiation import MediaType, parse_media_type
from fastprocesses_host.schemas.faults import Fault, faults_of

Form = Literal["json", "text", "binary"]

_LONGEST_MEDIA_TYPE = 200
_UNSPECIFIC = frozenset(
    {
        ("application", "octet-stream"),
        ("binary", "octet-stream"),
        ("application", "download"),
        ("application", "x-download"),
        ("application", "force-download"),
        ("text", "plain"),
    }
)
"""What servers say of files they know nothing of."""


class Limits(Struct, frozen=True):
    """How JSON that was fetched may be nested and written; as that of request bodies."""

    max_depth: int = 200
    max_number_digits: int = 400
    max_document_bytes: int = 64 * 1024 * 1024
    """Longer JSON is not checked, so it is not taken."""


class Found(Struct, frozen=True):
    """What content turned out to be."""

    form: Form
    """`json`: a JSON document; `text` and `binary`: what stands in JSON as a string, the latter in base64."""
    media_type: str = ""
    is_list: bool = False
    """It is all values of an input that may occur several times."""

    def document(self, content: bytes) -> bytes:
        """Give the JSON document of the value."""
        if self.form == "json":
            return content.removeprefix(codecs.BOM_UTF8)
        text = base64.b64encode(content).decode() if self.form == "binary" else content.decode()
        return msgspec.json.encode(text)


def check_content(schema: InputSchema, content: bytes, *, stated: str, sent: str, limits: Limits) -> Found:
    """Check what was fetched for one value of an input: its media type, then its schema.

    Args:
        schema: What the value must be.
        content: All of it.
        stated: The media type that the request says it has; empty: none.
        sent: The media type that came with it; empty: none.
        limits: On JSON.

    Raises:
        Rejected: it is of another media type, or does not fit.
    """
    candidates = formats_of_content(schema, stated, sent)
    rejected: Rejected | None = None
    for candidate in candidates:
        try:
            return _checked(
                schema, candidate, candidates, content, limits, may_be_text=_is_text(stated or sent)
            )
        except Rejected as error:
            rejected = rejected or error
    raise rejected or Rejected([Fault((), "This fits none of the formats of the input.")])


def needs_no_content(schema: InputSchema, stated: str, sent: str) -> Format | None:
    """Give the format of content that may be any bytes, or any text, as long as it is UTF-8; None: look into it.

    Raises:
        Rejected: its media type is not one of the input.
    """
    first = formats_of_content(schema, stated, sent)[0]
    return first if form_of(first) != "json" and not _constrains(first) else None


def accepted_media_types(schema: InputSchema, stated: str) -> str:
    """Give the Accept header for the value of an input: what it can be, and anything else rather than nothing."""
    known = [stated] if stated else [each.media_type or "application/json" for each in schema.formats]
    if any(form_of(each) == "json" for each in schema.formats):
        known.append("application/json;q=0.9")
    named = [name for name in dict.fromkeys(known) if name.isascii() and name.isprintable()]
    return ", ".join([*named, "*/*;q=0.1"])


def formats_of_content(schema: InputSchema, stated: str, sent: str) -> Sequence[Format]:
    """Find the formats that content may be in, by its media type.

    What the request states is to hold: the host that sends the content may only be vague about it. Without it, the
    host's word counts, where it is not vague.

    Raises:
        Rejected: none, or the two contradict each other.
    """
    parsed = parse_media_type(sent) if len(sent) <= _LONGEST_MEDIA_TYPE else None
    is_vague = parsed is None or (parsed.type, parsed.subtype) in _UNSPECIFIC
    if stated:
        formats = formats_stated(schema, stated)
        if parsed is None or is_vague or _agree(parsed, parse_media_type(stated)):
            return formats
        if any(_names(parsed, each) for each in formats):
            return formats
        detail = f"This is said to be {stated[:100]}, but it is sent as {_name(parsed)}."
        raise Rejected([Fault((), detail)])
    if parsed is not None and (formats := _named_by(parsed, schema.formats)):
        return formats
    if is_vague:
        return schema.formats
    assert parsed is not None
    raise _unknown(_name(parsed), schema)


def formats_stated(schema: InputSchema, stated: str) -> Sequence[Format]:
    """Find the formats of a media type that a request states.

    Raises:
        Rejected: the input has no such format.
    """
    parsed = parse_media_type(stated) if len(stated) <= _LONGEST_MEDIA_TYPE else None
    formats = schema.formats_of(stated) or (_named_by(parsed, schema.formats) if parsed else ())
    if not formats:
        raise _unknown(stated[:100], schema)
    return formats


def form_of(candidate: Format) -> Form:
    """Tell what content of a format is."""
    if candidate.is_binary:
        return "binary"
    parsed = parse_media_type(candidate.media_type)
    return "json" if not candidate.media_type or (parsed is not None and parsed.is_json) else "text"


def _unknown(media_type: str, schema: InputSchema) -> Rejected:
    possible = ", ".join(dict.fromkeys(each.media_type or "application/json" for each in schema.formats))
    return Rejected(
        [Fault((), f"The media type {media_type} is not one of this input. Possible: {possible}.")]
    )


def _named_by(parsed: MediaType, formats: Sequence[Format]) -> Sequence[Format]:
    exact = [each for each in formats if _is_same(parsed, parse_media_type(each.media_type))]
    return exact or [each for each in formats if _names(parsed, each)]


def _names(parsed: MediaType, candidate: Format) -> bool:
    """Tell whether content of a media type may be of a format."""
    if not candidate.media_type:  # plain JSON, or text for an input that is a text or a number
        return parsed.is_json or (parsed.type == "text" and parsed.subtype != "html")
    return _agree(parsed, parse_media_type(candidate.media_type))


def _agree(one: MediaType, other: MediaType | None) -> bool:
    """Tell whether two media types may be said of the same content: the same, or one of them only its syntax."""
    if other is None:
        return False
    if _is_same(one, other) or (one.is_json and other.is_json):
        return True
    return any(_is_syntax(syntax, whole) for syntax, whole in ((one, other), (other, one)))


def _is_same(one: MediaType, other: MediaType | None) -> bool:
    return other is not None and (one.type, one.subtype) == (other.type, other.subtype)


def _is_syntax(syntax: MediaType, whole: MediaType) -> bool:
    """Tell whether one is but the syntax of the other: `text/xml` of `application/gml+xml`."""
    return syntax.type in ("application", "text") and (
        whole.subtype.endswith(f"+{syntax.subtype}") or (syntax.subtype == whole.subtype == "xml")
    )


def _name(parsed: MediaType) -> str:
    return f"{parsed.type}/{parsed.subtype}"[:100]


def _constrains(candidate: Format) -> bool:
    schema = candidate.schema.schema
    usual = {
        "type",
        "contentEncoding",
        "contentMediaType",
        "format",
        "title",
        "description",
        "default",
        "examples",
    }
    return (
        not isinstance(schema, dict) or not schema.keys() <= usual or schema.get("type", "string") != "string"
    )


def _checked(
    schema: InputSchema,
    candidate: Format,
    candidates: Sequence[Format],
    content: bytes,
    limits: Limits,
    *,
    may_be_text: bool,
) -> Found:
    form = form_of(candidate)
    if form != "json":
        return _checked_string(schema, candidate, form, content)
    try:
        _check_json(schema, candidate, candidates, content, limits)
    except Rejected:
        if candidate.media_type or not may_be_text:
            raise
        if not candidate.schema.accepts(_text(content)):
            raise
        return Found("text")
    return Found("json", candidate.media_type)


def _is_text(media_type: str) -> bool:
    """Tell whether content may be plain text, for an input that is a text and has no media type."""
    parsed = parse_media_type(media_type)
    return parsed is None or not parsed.is_json


def _checked_string(schema: InputSchema, candidate: Format, form: Form, content: bytes) -> Found:
    """Check content that stands in JSON as a string."""
    if form == "binary" and not _constrains(candidate):
        return Found(form, candidate.media_type)
    text = base64.b64encode(content).decode() if form == "binary" else _text(content)
    if not candidate.schema.accepts(text):
        raise _faults(schema, [candidate], text)
    return Found(form, candidate.media_type)


def _check_json(
    schema: InputSchema, candidate: Format, candidates: Sequence[Format], content: bytes, limits: Limits
) -> None:
    if schema.recognises(content):
        return
    value = decoded(content, limits)
    if schema.is_bbox:
        check_bbox(value)
    if not candidate.schema.accepts(value):
        raise _faults(schema, [each for each in candidates if form_of(each) == "json"], value)


def decoded(content: bytes, limits: Limits) -> Any:
    """Decode JSON that was fetched.

    Raises:
        Rejected: it is none, or beyond the limits.
    """
    if len(content) > limits.max_document_bytes:
        most = limits.max_document_bytes
        raise Rejected(
            [Fault((), f"This JSON has {len(content)} bytes; {most} is the most that is checked.")]
        )
    _text(content)
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        check_limits(content, max_depth=limits.max_depth, max_number_digits=limits.max_number_digits)
        return decode_value(content, "")
    except InvalidParameterValue as problem:
        detail = problem.errors[0]["detail"] if problem.errors else problem.detail
        raise Rejected([Fault((), detail.replace("The body", "This"))]) from None


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise Rejected([Fault((), f"This is not text in UTF-8 (byte {error.start} does not fit).")]) from None


def _faults(schema: InputSchema, candidates: Sequence[Format], value: Any) -> Rejected:
    faults = faults_of(told_of(schema, candidates), value, limit=FAULTS_PER_VALUE)
    return Rejected(faults or [Fault((), "This fits none of the formats of the input.")])
