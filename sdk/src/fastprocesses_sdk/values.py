"""Values on their way into a process and out of it."""

import contextlib
import gc
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from fastprocesses_sdk.schema import JSON_MEDIA_TYPE, Shape, read_custom

_LARGE_BYTES = 1 << 18


class InputValue(Struct, frozen=True, kw_only=True):
    """One input value as the executor got it."""

    data: bytes = b""
    """A JSON document."""
    media_type: str = ""
    """As the caller named it; empty: not named."""
    path: str = ""
    """A file that holds the document, instead of `data`."""

    def content(self) -> bytes:
        """Return the document, wherever it lies."""
        return Path(self.path).read_bytes() if self.path else self.data


class EncodedOutput(Struct, frozen=True, kw_only=True):
    """One output value, ready to be stored."""

    form: Literal["json", "text", "binary"]
    """`json`: the bytes are a JSON document; `text`: UTF-8 text; `binary`: anything."""
    media_type: str
    data: bytes = b""
    path: str = ""
    """A file in the job's working folder that holds the bytes, instead of `data`."""


Reader = Callable[[InputValue], Any]
"""Decode a value. Raises msgspec.DecodeError or ValueError where it is not what is expected."""
Writer = Callable[[Any, str], EncodedOutput]
"""Encode a value, in this media type (empty: the default). Raises TypeError or ValueError."""


def reader_of(wire: Any) -> Reader:
    """Return what decodes a JSON value to this type, the constraints checked."""
    decode = _decoder(wire)
    return lambda value: decode(value.content())


def check(wire: Any, value: Any) -> Any:
    """Return the value as this type would receive it from JSON.

    Raises:
        msgspec.ValidationError, TypeError, ValueError: It would not.
    """
    return _decoder(wire)(encode(value))


def encode(value: Any) -> bytes:
    """Encode as JSON, whatever has `__geo_interface__` and numpy's values included.

    Raises:
        TypeError: There is no JSON for it.
    """
    return msgspec.json.encode(value, enc_hook=_write_custom)


def _decoder(wire: Any) -> Callable[[bytes], Any]:
    decoder = msgspec.json.Decoder(wire, dec_hook=read_custom)

    def decode(data: bytes) -> Any:
        try:
            with _without_collecting(data):
                return decoder.decode(data)
        except msgspec.ValidationError:
            # JSON Schema counts 1.0 among the integers, msgspec does not; only such values come here twice
            plain = msgspec.json.decode(data)
            whole = _whole_numbers(plain)
            if whole == plain and encode(whole) == encode(plain):
                raise
            return msgspec.convert(whole, wire, dec_hook=read_custom)

    return decode


@contextlib.contextmanager
def _without_collecting(data: bytes) -> Iterator[None]:
    """Keep the garbage collector from walking over a large value again and again while it grows."""
    if len(data) < _LARGE_BYTES or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _whole_numbers(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_whole_numbers(item) for item in value]
    if isinstance(value, dict):
        return {name: _whole_numbers(item) for name, item in value.items()}
    return value


def _write_custom(value: Any) -> Any:
    geo = getattr(value, "__geo_interface__", None)
    if geo is not None:
        return geo
    if type(value).__module__ == "numpy":
        return value.tolist()
    raise TypeError(f"There is no JSON for a `{type(value).__name__}`")


def writer_of(shape: Shape) -> Writer:
    """Return what encodes a value of this shape and refuses any other."""
    if shape.alternatives:
        return _first_that_fits(shape)
    if shape.form == "text":
        return _text_writer(shape)
    if shape.form == "binary":
        return _binary_writer(shape)
    return _geojson_writer(shape) if shape.geojson else _json_writer(shape)


def _chosen(shape: Shape, media_type: str) -> str:
    default = shape.media[0] if shape.media else JSON_MEDIA_TYPE
    return media_type if media_type in shape.media else default


def _json_writer(shape: Shape) -> Writer:
    decode = _decoder(shape.wire)

    def write(value: Any, media_type: str) -> EncodedOutput:
        if isinstance(value, bytes | bytearray | memoryview):
            raise TypeError("Expected a value for JSON, got `bytes`; declare Annotated[bytes, fp.Media(...)]")
        data = encode(value)
        decode(data)
        return EncodedOutput(form="json", media_type=_chosen(shape, media_type), data=data)

    return write


def _geojson_writer(shape: Shape) -> Writer:
    kind = shape.geojson
    assert kind is not None

    def write(value: Any, media_type: str) -> EncodedOutput:
        data = encode(kind.of(value))
        if _NULL_IN_ARRAY.search(data) and _null_position(msgspec.json.decode(data)):
            raise ValueError("Expected finite coordinates, got NaN or infinity")
        return EncodedOutput(form="json", media_type=_chosen(shape, media_type), data=data)

    return write


_NULL_IN_ARRAY = re.compile(rb"[\[,]null[,\]]")
"""What NaN becomes. In a string or among the properties it means nothing."""


def _null_position(members: Any) -> bool:
    """Whether a position of a GeoJSON object holds a null; other members may."""
    if members is None:
        return False
    inner = (*members.get("features", ()), *members.get("geometries", ()), members.get("geometry"))
    return _has_null(members.get("coordinates", ())) or any(map(_null_position, inner))


def _has_null(coordinates: Any) -> bool:
    return coordinates is None or (isinstance(coordinates, list) and any(map(_has_null, coordinates)))


def _text_writer(shape: Shape) -> Writer:
    def write(value: Any, media_type: str) -> EncodedOutput:
        if not isinstance(value, str):
            raise TypeError(f"Expected `str`, got `{type(value).__name__}`")
        return EncodedOutput(form="text", media_type=_chosen(shape, media_type), data=value.encode())

    return write


def _binary_writer(shape: Shape) -> Writer:
    def write(value: Any, media_type: str) -> EncodedOutput:
        if not isinstance(value, bytes | bytearray | memoryview):
            raise TypeError(f"Expected `bytes`, got `{type(value).__name__}`")
        return EncodedOutput(form="binary", media_type=_chosen(shape, media_type), data=bytes(value))

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
        if isinstance(value, bytes | bytearray | memoryview):
            return EncodedOutput(
                form="binary", media_type=chosen or "application/octet-stream", data=bytes(value)
            )
        if isinstance(value, str) and chosen and not chosen.endswith("json"):
            return EncodedOutput(form="text", media_type=chosen, data=value.encode())
        return EncodedOutput(form="json", media_type=chosen or JSON_MEDIA_TYPE, data=encode(value))

    return write
