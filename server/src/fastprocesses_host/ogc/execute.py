"""The execute request, read from a body nobody can be trusted for (execute.yaml, S1.3)."""

import re
from collections.abc import Mapping
from itertools import accumulate
from typing import Any, Literal

import msgspec
from fastprocesses_sdk.geojson_text import has_digits_in_a_row
from msgspec import Raw, Struct, field
from msgspec.structs import replace

from fastprocesses_host.ogc.exceptions import InvalidParameterValue
from fastprocesses_host.ogc.jobs import AskedOutput, AskedResults
from fastprocesses_host.ogc.preferences import Preferences
from fastprocesses_host.ogc.subscribers import Subscriber, SubscriberFault, read_subscriber

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""Some clients write it before everything; it may be ignored (RFC 8259, section 8.1)."""
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_OTHER_THAN_BRACKETS = bytes(byte for byte in range(256) if byte not in b'[]{}"')
_DIGITS_TO_ZERO = bytes.maketrans(b"123456789", b"000000000")
_BRACKETS_TO_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_TO_SQUARE = bytes.maketrans(b"{}", b"[]")
_NULL = Raw(b"null")
_ALL_OUTPUTS = {"1.0": AskedResults(dialect="1.0"), "2.0": AskedResults(dialect="2.0")}
_PASSES = 16
"""How many levels of nesting are taken away at the speed of bytes.replace before every bracket is counted."""


class ExecuteRequest(Struct, frozen=True, kw_only=True):
    """What is to be executed, its inputs still as they were sent."""

    inputs: dict[str, Raw] = field(default_factory=dict)
    asked: AskedResults = AskedResults()
    subscriber: Subscriber | None = None

    def with_headers(
        self, *, accept: str = "", preferences: Preferences | None = None, profile: bool = False
    ) -> "ExecuteRequest":
        """Add what the header fields of the request say of its results.

        Args:
            accept: The Accept header.
            preferences: From the Prefer header.
            profile: The profile ogc-results was asked for (negotiation.profile_asked).
        """
        returned = preferences.return_preference if preferences else ""
        if not (accept or returned or profile):
            return self
        return self.asking(replace(self.asked, accept=accept, return_preference=returned, profile=profile))

    def asking(self, asked: AskedResults) -> "ExecuteRequest":
        """Give the same request with other wishes for its results."""
        if asked is self.asked:
            return self
        return ExecuteRequest(inputs=self.inputs, asked=asked, subscriber=self.subscriber)


def says_nothing(asked: AskedResults) -> bool:
    """Tell whether it certainly is what a body asks for that says nothing of its results, as most do."""
    return asked is _ALL_OUTPUTS[asked.dialect]


def parse_execute_request(
    body: bytes,
    *,
    max_depth: int = 200,
    max_number_digits: int = 400,
    default_dialect: Literal["1.0", "2.0"] = "2.0",
) -> ExecuteRequest:
    """Read the body of an execution request (/req/core/process-execute-request).

    Members the standard does not know are ignored; a member that is null counts as absent.

    Args:
        body: As it came.
        max_depth: How deep arrays and objects may be nested.
        max_number_digits: How many digits a number may have in a row.
        default_dialect: The version whose answers a request without marks of either gets (S2.8).

    Raises:
        InvalidParameterValue: it is not such a request; the detail says what to change.
    """
    inputs, members = _parted(_checked(body, max_depth, max_number_digits))
    if not members:
        return ExecuteRequest(inputs=inputs, asked=_ALL_OUTPUTS[default_dialect])
    outputs = _asked_outputs(members)
    response = _response(members)
    marked = response or any(output.transmission_mode for output in (outputs or {}).values())
    return ExecuteRequest(
        inputs=inputs,
        asked=AskedResults(outputs=outputs, response=response, dialect="1.0" if marked else default_dialect),
        subscriber=_subscriber(members),
    )


def check_limits(body: bytes, *, max_depth: int, max_number_digits: int) -> None:
    """Refuse JSON that is nested too deep or has endless numbers, before anything decodes it.

    Raises:
        InvalidParameterValue: too deep or too long a number.
    """
    if is_deeper(body, max_depth):
        raise InvalidParameterValue(
            f"The body is nested too deep. Use at most {max_depth} levels of arrays and objects."
        )
    if _has_long_number(body, max_number_digits):
        raise InvalidParameterValue(
            f"The body has a number of more than {max_number_digits} digits. Use shorter numbers."
        )


def is_deeper(body: bytes, max_depth: int) -> bool:
    """Tell whether arrays and objects are nested deeper than `max_depth`.

    Takes the text for JSON; where it is not, the answer may be either.
    """
    if len(body) <= max_depth:
        return False
    brackets = _without_strings(body, _TO_SQUARE, _OTHER_THAN_BRACKETS)
    if brackets.count(b"[") <= max_depth:
        return False
    levels_taken_away = 0
    while brackets and levels_taken_away < _PASSES:
        brackets, before = brackets.replace(b"[]", b""), len(brackets)
        if len(brackets) == before:
            break
        levels_taken_away += 1
    steps = memoryview(brackets.translate(_BRACKETS_TO_STEPS)).cast("b")
    return max(accumulate(steps), default=0) + levels_taken_away > max_depth


def _without_strings(body: bytes, table: bytes, deleted: bytes = b"") -> bytes:
    """Translate a JSON text like bytes.translate, which must keep quotes, and take all strings out of it."""
    if b"\\" in body:  # one byte is found much faster than two
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    return b"".join(body.translate(table, deleted).split(b'"')[::2])


def _has_long_number(body: bytes, max_digits: int) -> bool:
    if not has_digits_in_a_row(body, max_digits + 1):
        return False
    return b"0" * (max_digits + 1) in _without_strings(body, _DIGITS_TO_ZERO)


def _checked(body: bytes, max_depth: int, max_number_digits: int) -> bytes:
    body = body.removeprefix(_BYTE_ORDER_MARK)
    if not body.strip():
        raise InvalidParameterValue('The body is empty. Send an execute request: {"inputs": {…}}.')
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InvalidParameterValue("The body starts with the byte order mark of UTF-16. Send UTF-8.")
    try:
        if not body.isascii():
            body.decode()
    except UnicodeDecodeError as error:
        raise InvalidParameterValue(
            f"The body is not UTF-8 (byte {error.start} does not fit). Send JSON encoded as UTF-8."
        ) from None
    check_limits(body, max_depth=max_depth, max_number_digits=max_number_digits)
    return body


class _Body(Struct):
    inputs: dict[str, Raw] | None = None
    outputs: Raw = _NULL
    response: Raw = _NULL
    subscriber: Raw = _NULL


def _parted(body: bytes) -> tuple[dict[str, Raw], dict[str, Raw]]:
    """Part a body into the inputs and the other members, gone through once where nothing is wrong with it."""
    try:
        found = _body_decoder.decode(body)
    except (msgspec.MsgspecError, RecursionError, ValueError):  # gone through step by step to say what it is
        members = _members(body)
        return _object(members, "inputs", "an object with a value for each input") or {}, members
    if found.outputs is found.response is found.subscriber is _NULL:
        return found.inputs or {}, {}
    told = {"outputs": found.outputs, "response": found.response, "subscriber": found.subscriber}
    return found.inputs or {}, {
        name: raw for name, raw in told.items() if raw is not _NULL and not _is_null(raw)
    }


_body_decoder = msgspec.json.Decoder(_Body)


def _is_null(raw: Raw) -> bool:
    return len(memoryview(raw)) == len(b"null") and bytes(raw) == b"null"


def _members(body: bytes) -> dict[str, Raw]:
    try:
        members = msgspec.json.decode(body, type=dict[str, Raw])
    except msgspec.ValidationError:
        raise InvalidParameterValue(
            'The body is not a JSON object. Send an execute request: {"inputs": {…}}.'
        ) from None
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise InvalidParameterValue(
            f"The body is not JSON that can be read: {_reason(error, body)}."
        ) from None
    return {name: raw for name, raw in members.items() if not _is_null(raw)}


def _reason(error: Exception, text: bytes | Raw) -> str:
    """Give what a decoder complains of, as the end of a sentence."""
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    is_about_escapes = any(word in str(error) for word in ("surrogate", "truncated", "escape"))
    if is_about_escapes and _SURROGATE.search(bytes(text)):
        return "it has one half of a surrogate pair (\\ud800 to \\udfff) without the other"
    return str(error).removeprefix("JSON is malformed: ").rstrip(".") or "it is malformed"


def decode_value(raw: bytes | Raw, pointer: str) -> Any:
    """Decode one JSON value.

    Raises:
        InvalidParameterValue: it is malformed, with its place.
    """
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, ValueError, OverflowError) as error:
        raise _fault(pointer, f"This is not JSON that can be read: {_reason(error, raw)}.") from None


def _object(members: Mapping[str, Raw], name: str, meaning: str) -> dict[str, Raw] | None:
    if name not in members:
        return None
    try:
        return msgspec.json.decode(members[name], type=dict[str, Raw])
    except msgspec.ValidationError:
        raise _fault(f"/{name}", f"{name} must be {meaning}.") from None
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise _fault(
            f"/{name}", f"This is not JSON that can be read: {_reason(error, members[name])}."
        ) from None


def _asked_outputs(members: Mapping[str, Raw]) -> dict[str, AskedOutput] | None:
    outputs = _object(members, "outputs", "an object with an entry for each wanted output")
    if outputs is None:
        return None
    return {
        output_id: _asked_output(raw, pointer(("outputs", output_id))) for output_id, raw in outputs.items()
    }


def _asked_output(raw: Raw, place: str) -> AskedOutput:
    """Read one output selection, its format nested (1.0) or beside it (2.0 drafts, peers)."""
    selection = decode_value(raw, place)
    if selection is None:
        return AskedOutput()
    if not isinstance(selection, dict):
        raise _fault(place, 'This must be an object, for instance {} or {"transmissionMode": "reference"}.')
    mode = selection.get("transmissionMode")
    if mode not in (None, "value", "reference"):
        raise _fault(f"{place}/transmissionMode", "transmissionMode must be value or reference.")
    media_type, encoding, schema = read_format(selection, place)
    return AskedOutput(media_type=media_type, encoding=encoding, schema=schema, transmission_mode=mode or "")


def read_format(members: Mapping[str, Any], place: str) -> tuple[str, str, str | dict[str, Any]]:
    """Read mediaType, encoding and schema, flat or nested in `format` (format.yaml); absent ones are empty.

    Raises:
        InvalidParameterValue: one of them is of the wrong kind.
    """
    nested = members.get("format")
    if nested is not None and not isinstance(nested, dict):
        raise _fault(
            f"{place}/format", 'format must be an object, for instance {"mediaType": "application/json"}.'
        )
    _check_format(members, place)
    _check_format(nested or {}, f"{place}/format")
    told = {**members, **(nested or {})}
    named = (told.get(name) for name in ("mediaType", "encoding", "schema"))
    media_type, encoding, schema = ("" if value is None else value for value in named)
    return media_type, encoding, schema


def _check_format(told: Mapping[str, Any], place: str) -> None:
    for name in ("mediaType", "encoding"):
        if not isinstance(told.get(name), str | None):
            raise _fault(f"{place}/{name}", f"{name} must be a string.")
    if not isinstance(told.get("schema"), str | dict | None):
        raise _fault(f"{place}/schema", "schema must be a URI or a JSON schema.")


def _response(members: Mapping[str, Raw]) -> Literal["", "raw", "document"]:
    if "response" not in members:
        return ""
    response = decode_value(members["response"], "/response")
    if response == "raw":
        return "raw"
    if response == "document":
        return "document"
    raise _fault("/response", "response must be raw or document.")


def _subscriber(members: Mapping[str, Raw]) -> Subscriber | None:
    if "subscriber" not in members:
        return None
    try:
        return read_subscriber(decode_value(members["subscriber"], "/subscriber"))
    except SubscriberFault as fault:
        raise _fault(fault.place, str(fault)) from None


def pointer(path: "tuple[str | int, ...] | list[str | int]") -> str:
    """Give the JSON pointer of a place (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def _fault(place: str, detail: str) -> InvalidParameterValue:
    return InvalidParameterValue(
        f"The execute request cannot be used: {detail}", errors=[{"pointer": place, "detail": detail}]
    )
