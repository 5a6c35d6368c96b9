"""GeoJSON on its way out: encoded, and checked against what its schema says, at msgspec's speed."""

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct

from fastprocesses_sdk.encoding import encode, uncollected
from fastprocesses_sdk.geojson_text import is_certainly
from fastprocesses_sdk.types import GeoJSON

_Position = Annotated[list[float], Meta(min_length=2)]
_Ring = Annotated[list[_Position], Meta(min_length=4)]


class _Object(Struct, tag_field="type", frozen=True, gc=False):
    """A GeoJSON object; foreign members are not looked at."""


class _Point(_Object, tag="Point", frozen=True, gc=False):
    coordinates: list[float]

    def __post_init__(self) -> None:
        if len(self.coordinates) == 1:
            raise ValueError("A position has two numbers at least")


class _MultiPoint(_Object, tag="MultiPoint", frozen=True, gc=False):
    coordinates: list[_Position]


class _LineString(_Object, tag="LineString", frozen=True, gc=False):
    coordinates: list[_Position]

    def __post_init__(self) -> None:
        if len(self.coordinates) == 1:
            raise ValueError("A LineString has two positions at least")


class _MultiLineString(_Object, tag="MultiLineString", frozen=True, gc=False):
    coordinates: list[Annotated[list[_Position], Meta(min_length=2)]]


class _Polygon(_Object, tag="Polygon", frozen=True, gc=False):
    coordinates: list[_Ring]


class _MultiPolygon(_Object, tag="MultiPolygon", frozen=True, gc=False):
    coordinates: list[list[_Ring]]


class _Nested(_Object, tag="GeometryCollection", frozen=True, gc=False):
    geometries: list[dict[str, Raw]]


_Single = _Point | _MultiPoint | _LineString | _MultiLineString | _Polygon | _MultiPolygon


class _GeometryCollection(_Object, tag="GeometryCollection", frozen=True, gc=False):
    geometries: list[_Single | _Nested]


_Geometry = _Single | _GeometryCollection


class _Feature(_Object, tag="Feature", frozen=True, gc=False):
    geometry: _Geometry | None
    properties: dict[str, Raw] | None = None
    id: str | float | None = None


class _FeatureCollection(_Object, tag="FeatureCollection", frozen=True, gc=False):
    features: list[_Feature]


_CHECKS: dict[str, Callable[[bytes], Any]] = {
    "Geometry": msgspec.json.Decoder(_Geometry).decode,
    "Feature": msgspec.json.Decoder(_Feature).decode,
    "FeatureCollection": msgspec.json.Decoder(_FeatureCollection).decode,
    "Point": msgspec.json.Decoder(_Point).decode,
    "MultiPoint": msgspec.json.Decoder(_MultiPoint).decode,
    "LineString": msgspec.json.Decoder(_LineString).decode,
    "MultiLineString": msgspec.json.Decoder(_MultiLineString).decode,
    "Polygon": msgspec.json.Decoder(_Polygon).decode,
    "MultiPolygon": msgspec.json.Decoder(_MultiPolygon).decode,
    "GeometryCollection": msgspec.json.Decoder(_GeometryCollection).decode,
}


def write_geojson(kind: type[GeoJSON], value: Any) -> bytes:
    """Encode a GeoJSON object, or what can be one.

    Raises:
        GeoJSONError, msgspec.ValidationError: It is not of this kind; the sentence says where.
    """
    given = kind.of(value)
    text = given._text()
    if text is not None:  # checked before it came
        return text
    data = encode(given._encodable())
    _check(kind, encode(given._unproven()) if given._has_text() else data)
    return data


def _check(kind: type[GeoJSON], data: bytes) -> None:
    if is_certainly(_kind_name(kind), data):
        return
    try:
        with uncollected(data):
            check_of(kind)(data)
    except msgspec.ValidationError as error:
        if "got `null`" in str(error) and "coordinates" in str(error):
            problem = str(error).replace(
                "Expected `float`, got `null`", "Expected finite coordinates, got NaN or infinity"
            )
            raise ValueError(problem) from None
        raise


def check_of(kind: type[GeoJSON]) -> Callable[[bytes], Any]:
    """Return what raises msgspec.ValidationError unless a document is such an object, by its schema."""
    return _CHECKS[_kind_name(kind)]


def _kind_name(kind: type[GeoJSON]) -> str:
    return next(base.__name__ for base in kind.__mro__ if base.__name__ in _CHECKS)
