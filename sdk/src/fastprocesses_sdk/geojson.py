"""The shape of GeoJSON (RFC 7946) as JSON Schema, in what 2020-12 and OpenAPI 3.0 have in common.

There is no `$ref` and no `null` in it: descriptions must be readable for OpenAPI 3.0 parsers of both kinds.
"""

from typing import Any

MEDIA_TYPE = "application/geo+json"

_NULL: dict[str, Any] = {
    "nullable": True,
    "not": {"anyOf": [{"type": name} for name in ("object", "array", "string", "number", "boolean")]},
}
"""Accepts null alone, without saying null."""

_NOT_ONE: dict[str, Any] = {"minItems": 1, "maxItems": 1}
_POSITION: dict[str, Any] = {"type": "array", "minItems": 2, "items": {"type": "number"}}
_RING: dict[str, Any] = {"type": "array", "minItems": 4, "items": _POSITION}


def _list_of(items: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, **more}


_COORDINATES: dict[str, dict[str, Any]] = {
    "Point": _list_of({"type": "number"}, **{"not": _NOT_ONE}),
    "MultiPoint": _list_of(_POSITION),
    "LineString": _list_of(_POSITION, **{"not": _NOT_ONE}),
    "MultiLineString": _list_of(_list_of(_POSITION, minItems=2)),
    "Polygon": _list_of(_RING),
    "MultiPolygon": _list_of(_list_of(_RING)),
}
"""By kind of geometry. An empty list is an empty geometry (RFC 7946, 3.1)."""

WITH_COORDINATES = frozenset(_COORDINATES)
KINDS = (*_COORDINATES, "GeometryCollection")


def _object(type_: str, member: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["type", member],
        "properties": {"type": {"type": "string", "enum": [type_]}, member: schema},
    }


def _kind(kind: str) -> dict[str, Any]:
    if kind == "GeometryCollection":
        inner = [_object(name, "coordinates", schema) for name, schema in _COORDINATES.items()]
        nested = _object(kind, "geometries", _list_of({"type": "object"}))
        return _object(kind, "geometries", _list_of({"anyOf": [*inner, nested]}))
    return _object(kind, "coordinates", _COORDINATES[kind])


def geometry_schema(kind: str = "") -> dict[str, Any]:
    """Describe one kind of geometry, or any (empty)."""
    told = {"format": "geojson-geometry", "contentMediaType": MEDIA_TYPE}
    if kind:
        return {**_kind(kind), **told}
    return {"type": "object", "required": ["type"], "anyOf": [_kind(name) for name in KINDS], **told}


def _plain_feature() -> dict[str, Any]:
    schema = _object("Feature", "geometry", {"anyOf": [*(_kind(name) for name in KINDS), _NULL]})
    schema["properties"]["properties"] = {"anyOf": [{"type": "object"}, _NULL]}
    # RFC 7946 knows no null here, many writers of GeoJSON do.
    schema["properties"]["id"] = {"anyOf": [{"type": "string"}, {"type": "number"}, _NULL]}
    return schema


def feature_schema() -> dict[str, Any]:
    """Describe a feature."""
    return {**_plain_feature(), "format": "geojson-feature", "contentMediaType": MEDIA_TYPE}


def feature_collection_schema() -> dict[str, Any]:
    """Describe a collection of features."""
    schema = _object("FeatureCollection", "features", _list_of(_plain_feature()))
    return {**schema, "format": "geojson-feature-collection", "contentMediaType": MEDIA_TYPE}
