"""Schemas as plugins write them, brought into the dialect that values are checked by (S2.7 row 11)."""

from collections.abc import Mapping
from typing import Any

from fastprocesses_sdk import types
from fastprocesses_sdk.dialects import numeric_bounds
from fastprocesses_sdk.walking import rewritten

_BOX = {
    "type": "object",
    "required": ["bbox"],
    "properties": {
        "bbox": {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 6},
        "crs": {"type": "string"},
    },
}
_GEOJSON_NAMES: Mapping[str, type[types.GeoJSON]] = {
    "FeatureCollection": types.FeatureCollection,
    "Feature": types.Feature,
    "Geometry": types.Geometry,
    "GeometryCollection": types.GeometryCollection,
    "Point": types.Point,
    "MultiPoint": types.MultiPoint,
    "LineString": types.LineString,
    "MultiLineString": types.MultiLineString,
    "Polygon": types.Polygon,
    "MultiPolygon": types.MultiPolygon,
}


_TEXTS = frozenset({"title", "description", "default", "example", "examples"})
"""Keywords that no value is judged by."""


def geojson_kind(schema: Mapping[str, Any]) -> str:
    """Tell whose schema it is, of all kinds of GeoJSON objects; empty: of none."""
    judging = {keyword: rule for keyword, rule in schema.items() if keyword not in _TEXTS}
    kinds = (name for name, kind in _GEOJSON_NAMES.items() if current(kind.json_schema()) == judging)
    return next(kinds, "")


def is_any_base64(schema: Mapping[str, Any]) -> bool:
    """Tell whether a schema is that of strings in base64, whatever they hold."""
    judging = {keyword: rule for keyword, rule in schema.items() if keyword not in _TEXTS}
    judging.pop("contentMediaType", None)
    return judging.pop("format", "byte") == "byte" and judging == {
        "type": "string",
        "contentEncoding": "base64",
    }


def current(schema: Any) -> Any:
    """Give a schema in JSON Schema 2020-12.

    The bounds of Draft 4 and OpenAPI 3.0 (`exclusiveMinimum: true`) are written as today's, `nullable` as a type,
    and references to the well-known schemas of GeoJSON and of bounding boxes are replaced by ours: nothing is
    ever fetched.
    """
    return rewritten(numeric_bounds(schema), _current)


def _current(schema: dict[str, Any]) -> dict[str, Any]:
    changed = dict(schema)
    known = _well_known(changed["$ref"]) if isinstance(changed.get("$ref"), str) else None
    if known is not None:
        del changed["$ref"]
        changed = {"allOf": [known, changed]}
    if changed.pop("nullable", False) is True and isinstance(changed.get("type"), str):
        return {"anyOf": [changed, {"type": "null"}]}
    return changed


def _well_known(reference: str) -> Mapping[str, Any] | None:
    """Find our schema for a reference to one that everybody knows, by its file name."""
    folder, _, file = reference.partition("#")[0].rpartition("/")
    name = file.removesuffix(".json").removesuffix(".yaml")
    if name == "bbox":
        return _BOX
    is_geojson = folder.endswith("geojson.org/schema") or name.endswith("GeoJSON")
    name = name.removesuffix("GeoJSON")
    kind = _GEOJSON_NAMES.get(name[:1].upper() + name[1:]) if is_geojson else None
    return None if kind is None else kind.json_schema()
