"""GeoJSON recognised in its text: large documents are mostly numbers, which need not become objects to be checked.

What is recognised certainly fits the schema of its kind. What is not may fit all the same: positions of four
numbers, empty geometries, foreign members of features are left to whoever looks at every value.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from msgspec import Raw, Struct

_NUMBERS = b"0123456789.-+eE \t\r\n"
"""What numbers and the space between them are written with."""
_DIGITS_TO_ZERO = bytes.maketrans(b"123456789", b"000000000")
_LARGE_EXPONENT = re.compile(rb"\+?[0-9]{3}")
_MANY_DIGITS = 300
"""Numbers with such an exponent, or of so many digits, may be too large for any number."""
_SAMPLES = 60
"""Digits that many samples in a row are rare in numbers of usual length."""


def has_digits_in_a_row(text: bytes, count: int) -> bool:
    """Tell whether so many digits stand in a row anywhere in a text."""
    if len(text) < count:
        return False
    step = max(count // _SAMPLES, 1)
    if step > 1 and b"0" * (count // step) not in text[::step].translate(_DIGITS_TO_ZERO):
        return False
    return b"0" * count in text.translate(_DIGITS_TO_ZERO)


def is_certainly(kind: str, document: bytes | Raw) -> bool:
    """Tell whether a JSON document certainly is such a GeoJSON object, by the schema of that.

    Args:
        kind: `FeatureCollection`, `Feature`, `Geometry`, or one kind of geometry.
        document: The text, in UTF-8.
    """
    recognise = _RECOGNISERS.get(kind)
    if recognise is None:
        return False
    decoder, geometries_of = recognise
    try:
        found = decoder.decode(document)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return False
    by_kind: dict[str, list[Raw]] = {}
    for geometry in geometries_of(found):
        if geometry is not None:
            by_kind.setdefault(type(geometry).__name__, []).append(geometry.coordinates)
    return all(_are_coordinates(name, coordinates) for name, coordinates in by_kind.items())


# Once numbers are deleted and positions written as letters, coordinates are words of a small language:
# `p` is a position that another one follows, `q` the last one of its array.

_RING = rb"\[p{3,}+q\]"
_POLYGON = rb"\[" + _RING + rb"(?:," + _RING + rb")*+\]"


def _several(item: bytes) -> re.Pattern[bytes]:
    return re.compile(item + b"(?:," + item + b")*+")


_COORDINATES = {
    "Point": re.compile(rb"p*+q"),
    "MultiPoint": _several(rb"\[p*+q\]"),
    "LineString": _several(rb"\[p++q\]"),
    "MultiLineString": _several(rb"\[\[p++q\](?:,\[p++q\])*+\]"),
    "Polygon": _several(_POLYGON),
    "MultiPolygon": _several(rb"\[" + _POLYGON + rb"(?:," + _POLYGON + rb")*+\]"),
}
"""Of one or more geometries of a kind, one after the other."""
_POSITIONS = ((b"[,],", b"p"), (b"[,]", b"q"), (b"[,,],", b"p"), (b"[,,]", b"q"))


def _are_coordinates(kind: str, coordinates: Iterable[Raw]) -> bool:
    text = b",".join(coordinates)
    if _may_overflow(text):
        return False
    word = text.translate(None, _NUMBERS)
    for position, letter in _POSITIONS:
        word = word.replace(position, letter)
    return _COORDINATES[kind].fullmatch(word) is not None


def _may_overflow(numbers: bytes) -> bool:
    after_exponents = numbers.replace(b"E", b"e").split(b"e")[1:]
    return any(map(_LARGE_EXPONENT.match, after_exponents)) or has_digits_in_a_row(numbers, _MANY_DIGITS)


class _Object(Struct, tag_field="type", kw_only=True, frozen=True, gc=False, forbid_unknown_fields=True):
    bbox: Any = None


def _geometry(kind: str) -> Any:
    return msgspec.defstruct(
        kind, [("coordinates", Raw)], bases=(_Object,), tag=kind, kw_only=True, frozen=True, gc=False
    )


_GEOMETRIES = {kind: _geometry(kind) for kind in _COORDINATES}
_Geometry: Any = None
for _each in _GEOMETRIES.values():
    _Geometry = _each if _Geometry is None else _Geometry | _each


class _Feature(_Object, tag="Feature", kw_only=True, frozen=True, gc=False):
    geometry: _Geometry | None
    properties: dict[str, Any] | None = None
    id: str | float | None = None


class _FeatureCollection(_Object, tag="FeatureCollection", kw_only=True, frozen=True, gc=False):
    features: list[_Feature]
    name: Any = None
    crs: Any = None


_Recogniser = tuple[msgspec.json.Decoder[Any], Callable[[Any], Iterable[Any]]]
_RECOGNISERS: dict[str, _Recogniser] = {
    "FeatureCollection": (
        msgspec.json.Decoder(_FeatureCollection),
        lambda found: [feature.geometry for feature in found.features],
    ),
    "Feature": (msgspec.json.Decoder(_Feature), lambda found: [found.geometry]),
    "Geometry": (msgspec.json.Decoder(_Geometry), lambda found: [found]),
    **{kind: (msgspec.json.Decoder(wire), lambda found: [found]) for kind, wire in _GEOMETRIES.items()},
}
