"""What an annotation means: its schema, how such a value is read and checked, how one is written."""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from fastprocesses_sdk.encoded import Form
from fastprocesses_sdk.types import GeoJSON

JSON_MEDIA_TYPE = "application/json"


class Shape(Struct, frozen=True, kw_only=True):
    """What an annotation means.

    A value comes in as `unpack(decode(document))`, where `decode` is msgspec's for `wire`, and goes out as
    `encode(pack(value))`, which `decode` then has to take.
    """

    wire: Any
    """The type msgspec decodes to, constraints included."""
    schema: dict[str, Any]
    media: tuple[str, ...] = ()
    """Media types of the value, the default first; empty: plain JSON."""
    form: Form = "json"
    """How a value of a media type stands outside JSON."""
    geojson: type[GeoJSON] | None = None
    is_file: bool = False
    """The value is a file, its forms are those of its media types."""
    items: "Shape | None" = None
    """Of a list."""
    alternatives: tuple["Shape", ...] = ()
    """Of a union in which some value has a media type: its members."""
    unpack: Callable[[Any], Any] | None = None
    """Makes of what was decoded what the author takes. None: it is that."""
    pack: Callable[[Any], Any] | None = None
    """Makes of what the author gives what msgspec can encode; raises TypeError or ValueError. None: it is that."""


class _Chameleon(type):
    """Type of a wire of our own: its values are instances of what it stands for, not of it."""

    def __instancecheck__(cls, instance: object) -> bool:
        return True


def wire_of(name: str, of: Callable[[Any], Any]) -> Any:
    """Make a type for msgspec whose values are made of plain JSON by `of`, which raises ValueError."""
    return _Chameleon(name, (), {"of": staticmethod(of)})


def read_custom(type_: Any, value: Any) -> Any:
    """Make a value of one of our own types from plain JSON (msgspec's `dec_hook`)."""
    return type_.of(value)


def converted(value: Any, wire: Any) -> Any:
    """Make what the wire says of plain JSON.

    Raises:
        msgspec.ValidationError: It is no such value.
    """
    return msgspec.convert(value, wire, dec_hook=read_custom)


def unpacked(shape: Shape, value: Any) -> Any:
    """Return what the author takes."""
    return shape.unpack(value) if shape.unpack else value


def packed(shape: Shape, value: Any) -> Any:
    """Return what msgspec can encode."""
    return shape.pack(value) if shape.pack else value
