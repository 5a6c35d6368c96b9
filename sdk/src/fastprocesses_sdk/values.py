"""Values on their way into a process and out of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from fastprocesses_sdk.encoded import EncodedInput
from fastprocesses_sdk.encoded import EncodedOutput as EncodedOutput
from fastprocesses_sdk.encoding import LARGE_BYTES, uncollected
from fastprocesses_sdk.encoding import encode as encode
from fastprocesses_sdk.files import (
    check_file,
    own_copy,
    own_file,
    read_base64,
    read_content,
    take_file,
    write_array,
    write_content,
)
from fastprocesses_sdk.fitting import misfit, needs_look
from fastprocesses_sdk.geojson_wire import write_geojson
from fastprocesses_sdk.schema import nested
from fastprocesses_sdk.shapes import JSON_MEDIA_TYPE, Shape, converted, packed, read_custom, unpacked
from fastprocesses_sdk.types import FeatureCollection


class InputValue(EncodedInput, frozen=True, kw_only=True):
    """One input value of which is told whether it was looked at."""

    is_checked: bool = False
    """The document fits the schema of the input: whoever took it has looked."""


Reader = Callable[[EncodedInput], Any]
"""Decode a value. Raises msgspec.DecodeError or ValueError where it is not what is expected."""
Writer = Callable[[Any, str], EncodedOutput]
"""Encode a value, in this media type (empty: the default). Raises TypeError or ValueError."""


# In


def reader_of(shape: Shape) -> Reader:
    """Return what decodes a JSON value of this shape."""
    if shape.is_file:
        return _file_reader(shape)
    if shape.alternatives:
        return _named_reader(shape)
    decode = _decoder(shape.wire)
    if shape.geojson is FeatureCollection:
        return _collection_reader(decode)
    if shape.items is not None and shape.items.is_file:
        return _files_reader(shape.items, decode)
    if (unpack := shape.unpack) is None:
        return _plain_reader(decode)
    return lambda value: unpack(decode(value.content()))


def _plain_reader(decode: Callable[[bytes], Any]) -> Reader:
    def read(value: EncodedInput) -> Any:
        is_document = value.form == "json" and not value.path
        return decode(value.data if is_document else value.content())

    return read


def _file_reader(shape: Shape) -> Reader:
    def read(value: EncodedInput) -> Path:
        if value.path and value.form != "json":
            return own_copy(Path(value.path), shape.media, value.media_type)
        if value.path:
            return take_file(Path(value.path), shape.media, value.media_type)
        content = read_content(msgspec.json.decode(value.content()), shape.media, value.media_type)
        return write_content(content.media_type, content.data)

    return read


def _files_reader(item: Shape, check: Callable[[bytes], Any]) -> Reader:
    def read(value: EncodedInput) -> list[Path]:
        data = value.content()
        check(data)
        contents = (read_content(each, item.media, value.media_type) for each in msgspec.json.decode(data))
        return [write_content(content.media_type, content.data) for content in contents]

    return read


def _collection_reader(decode: Callable[[bytes], Any]) -> Reader:
    def read(value: EncodedInput) -> FeatureCollection:
        data = value.content()
        collection: FeatureCollection = FeatureCollection._unread(data) if value.is_checked else decode(data)
        return collection

    return read


def _named_reader(shape: Shape) -> Reader:
    """Read the alternative of the media type that is named, where just one has it."""
    readers = [(alternative, reader_of(alternative)) for alternative in shape.alternatives]
    decode = _decoder(shape.wire)

    def read(value: EncodedInput) -> Any:
        named = [attempt for alternative, attempt in readers if value.media_type in alternative.media]
        if len(named) == 1:
            return named[0](value)
        return unpacked(shape, decode(value.content()))

    return read


def _decoder(wire: Any) -> Callable[[bytes], Any]:
    decode_plainly = msgspec.json.Decoder(wire, dec_hook=read_custom).decode
    if wire is str:  # no number, and nothing to collect
        return decode_plainly

    def decode(data: bytes) -> Any:
        try:
            if len(data) < LARGE_BYTES:
                return decode_plainly(data)
            with uncollected(data):
                return decode_plainly(data)
        except msgspec.ValidationError:
            # JSON Schema counts 1.0 among the integers, msgspec does not; only such values come here twice
            plain = msgspec.json.decode(data)
            whole = _whole_numbers(plain)
            if whole == plain and encode(whole) == encode(plain):
                raise
            return converted(whole, wire)

    return decode


def described_reader(schema: dict[str, Any], *, several: bool) -> Reader:
    """Return what decodes a value of an input described by hand: binary ones to bytes, others as JSON has them.

    Args:
        schema: Of one value.
        several: Whether it is given as an array of such values.
    """
    branches = schema.get("oneOf") or schema.get("anyOf") or [schema]
    binary = [branch for branch in branches if isinstance(branch, dict) and "contentEncoding" in branch]
    media = {branch.get("contentMediaType", "") for branch in binary}

    def read(value: EncodedInput) -> Any:
        plain = msgspec.json.decode(value.content())
        if not binary or (value.media_type not in media and len(binary) < len(branches)):
            return plain
        return [read_base64(each) for each in plain] if several else read_base64(plain)

    return read


def _whole_numbers(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_whole_numbers(item) for item in value]
    if isinstance(value, dict):
        return {name: _whole_numbers(item) for name, item in value.items()}
    return value


# Out

_BINARY = (bytes, bytearray, memoryview)


def checked(shape: Shape, value: Any) -> bytes:
    """Encode a value of this shape as JSON.

    Raises:
        TypeError, ValueError: It is none, by its schema; the sentence says where.
    """
    return _checker(shape)(value)


def _checker(shape: Shape) -> Callable[[Any], bytes]:
    decode = _decoder(shape.wire)
    schema = nested(shape)
    look = needs_look(schema)
    pack = shape.pack

    def check(value: Any) -> bytes:
        if pack is not None:
            value = pack(value)
        elif isinstance(value, _BINARY):
            raise TypeError("Expected a value for JSON, got `bytes`; declare Annotated[bytes, fp.Media(...)]")
        data = encode(value)
        try:
            decode(data)
        except msgspec.ValidationError as error:
            raise type(error)(f"{error}{_hint_of_null(error)}") from None
        if look and (fault := misfit(schema, msgspec.json.decode(data))):
            raise ValueError(fault)
        return data

    return check


def _hint_of_null(error: Exception) -> str:
    return "; NaN and infinity become null in JSON" if "`float`, got `null`" in str(error) else ""


def plain_default(shape: Shape, default: Any) -> Any:
    """Return a default as it stands in a schema; None where it cannot, because it holds nulls.

    Raises:
        DeclarationError: It is no value of its own input.
    """
    from fastprocesses_sdk.errors import DeclarationError

    if shape.is_file:
        raise DeclarationError("a file has no default but None; write `... | None = None`")
    try:
        plain = msgspec.json.decode(checked(shape, default))
    except (msgspec.MsgspecError, TypeError, ValueError) as error:
        raise DeclarationError(f"its default {default!r} is not one of its own values: {error}") from None
    return None if _has_null(plain) else plain


def _has_null(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_null, value.values()))
    return value is None or (isinstance(value, list) and any(map(_has_null, value)))


def writer_of(shape: Shape) -> Writer:
    """Return what encodes a value of this shape and refuses any other."""
    if shape.alternatives:
        return _first_that_fits(shape)
    if shape.is_file:
        return _file_writer(shape)
    if shape.items is not None and shape.items.is_file:
        return _files_writer(shape, shape.items)
    if shape.form == "text":
        return _text_writer(shape)
    if shape.form == "binary":
        return _binary_writer(shape)
    return _geojson_writer(shape) if shape.geojson else _json_writer(shape)


def _chosen(shape: Shape, media_type: str) -> str:
    default = shape.media[0] if shape.media else JSON_MEDIA_TYPE
    return media_type if media_type in shape.media else default


def _json_writer(shape: Shape) -> Writer:
    check = _checker(shape)
    media, default = shape.media, _chosen(shape, "")

    def write(value: Any, media_type: str) -> EncodedOutput:
        chosen = media_type if media_type in media else default
        return EncodedOutput("json", chosen, check(value))

    return write


def _geojson_writer(shape: Shape) -> Writer:
    kind = shape.geojson
    assert kind is not None

    def write(value: Any, media_type: str) -> EncodedOutput:
        data = write_geojson(kind, value)
        return EncodedOutput(form="json", media_type=_chosen(shape, media_type), data=data)

    return write


def _text_writer(shape: Shape) -> Writer:
    check = _checker(shape)

    def write(value: Any, media_type: str) -> EncodedOutput:
        if not isinstance(value, str):
            raise TypeError(f"Expected `str`, got `{type(value).__name__}`")
        check(value)
        return EncodedOutput(form="text", media_type=_chosen(shape, media_type), data=value.encode())

    return write


def _binary_writer(shape: Shape) -> Writer:
    def write(value: Any, media_type: str) -> EncodedOutput:
        return EncodedOutput(form="binary", media_type=_chosen(shape, media_type), data=packed(shape, value))

    return write


def _file_writer(shape: Shape) -> Writer:
    def write(value: Any, media_type: str) -> EncodedOutput:
        file, chosen = own_file(value), _chosen(shape, media_type)
        return EncodedOutput(form=check_file(file, chosen), media_type=chosen, path=str(file))

    return write


def _files_writer(shape: Shape, item: Shape) -> Writer:
    def write(value: Any, media_type: str) -> EncodedOutput:
        if not isinstance(value, list | tuple):
            raise TypeError(f"Expected `list`, got `{type(value).__name__}`")
        count = [None] * len(value)
        if fault := misfit({**shape.schema, "items": {}}, count):
            raise ValueError(fault)
        array = write_array([own_file(each) for each in value], item.media)
        return EncodedOutput(form="json", media_type=_chosen(shape, media_type), path=str(array))

    return write


def _first_that_fits(shape: Shape) -> Writer:
    writers = [(alternative, writer_of(alternative)) for alternative in shape.alternatives]

    def write(value: Any, media_type: str) -> EncodedOutput:
        problems = []
        for alternative, attempt in sorted(writers, key=lambda pair: media_type not in pair[0].media):
            try:
                return attempt(value, media_type)
            except (TypeError, ValueError) as error:
                problems.append(f"{alternative.schema.get('type', 'value')}: {error}")
        raise TypeError(f"Fits none of the alternatives ({'; '.join(problems)})")

    return write


def described_writer(media: tuple[str, ...]) -> Writer:
    """Return what encodes a value of an output described by hand; its Python type decides the form."""

    def write(value: Any, media_type: str) -> EncodedOutput:
        chosen = media_type if media_type in media else media[0] if media else ""
        if isinstance(value, Path):
            file, chosen = own_file(value), chosen or "application/octet-stream"
            return EncodedOutput(form=check_file(file, chosen), media_type=chosen, path=str(file))
        if isinstance(value, _BINARY):
            return EncodedOutput(
                form="binary", media_type=chosen or "application/octet-stream", data=bytes(value)
            )
        if isinstance(value, str) and chosen and not chosen.endswith("json"):
            return EncodedOutput(form="text", media_type=chosen, data=value.encode())
        return EncodedOutput(form="json", media_type=chosen or JSON_MEDIA_TYPE, data=encode(value))

    return write
