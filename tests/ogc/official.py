"""The official schemas, with their references resolved offline and `oneOf` read as `anyOf`."""

from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import referencing
import yaml
from referencing.jsonschema import DRAFT4, DRAFT202012

_PREFIXES = {
    "https://raw.githubusercontent.com/opengeospatial/ogcapi-processes/master/": "{version}/",
    "https://raw.githubusercontent.com/opengeospatial/ogcapi-processes/refs/heads/master/": "v2.0/",
    "http://schemas.opengis.net/ogcapi/processes/part1/1.0/": "v1.0/core/",
    "https://schemas.opengis.net/ogcapi/processes/part1/1.0/": "v1.0/core/",
    "http://schemas.opengis.net/ogcapi/features/part1/1.0/openapi/schemas/": "features-part1-1.0/openapi/schemas/",
    "https://schemas.opengis.net/ogcapi/features/part1/1.0/openapi/schemas/": "features-part1-1.0/openapi/schemas/",
}
_MENDED = {
    "v2.0/openapi/schemas/processes-core/schema.yaml": "v2.0/history/aa202c0-parent/processes-core/schema.yaml",
}
"""Files that are broken upstream, and the last usable state of them."""

_TIMES = jsonschema.FormatChecker(["date-time"])
"""Formats of JSON Schema 2020-12 are annotations; times are the ones that matter (processID is no URI, S2.7)."""

_FOLDERS = {"v1.0": "v1.0/core/openapi/schemas", "v2.0": "v2.0/openapi/schemas/processes-core"}
_COMMON = {"landingPage", "exception", "confClasses"}


def as_any_of(schema: Any) -> Any:
    """The standard's alternatives overlap, so a value that fits several is right."""
    if isinstance(schema, dict):
        return {_loose(word, part): as_any_of(part) for word, part in schema.items()}
    return [as_any_of(part) for part in schema] if isinstance(schema, list) else schema


def _loose(word: str, part: Any) -> str:
    return "anyOf" if word == "oneOf" and isinstance(part, list) else word


@cache
def _load(folder: Path, uri: str, version: str) -> referencing.Resource[Any]:
    path = uri.removeprefix("ogc:")
    for prefix, target in _PREFIXES.items():
        if uri.startswith(prefix):
            path = target.format(version=version) + uri.removeprefix(prefix)
    text = (folder / _MENDED.get(path, path)).read_text("utf-8")
    specification = DRAFT4 if version == "v1.0" else DRAFT202012
    return specification.create_resource(as_any_of(yaml.load(text, yaml.CSafeLoader)))


@cache
def _validator(shared: Path, version: str, name: str) -> Any:
    folder = shared / "ogc"
    base = _FOLDERS[version]
    if version == "v2.0" and name in _COMMON:
        base = "v2.0/openapi/schemas/common-core"
    registry = referencing.Registry(retrieve=lambda uri: _load(folder, _absolute(uri), version))
    kind = jsonschema.Draft4Validator if version == "v1.0" else jsonschema.Draft202012Validator
    return kind({"$ref": f"file:///{base}/{name}.yaml"}, registry=registry, format_checker=_TIMES)


def _absolute(uri: str) -> str:
    return uri.removeprefix("file:///")


def faults(shared: Path, version: str, name: str, document: Any) -> list[str]:
    """What an official schema has against a document (a Struct or plain JSON); nulls count too."""
    plain = msgspec.json.decode(msgspec.json.encode(document))
    assert not _has_null(plain)
    return [
        f"{list(error.absolute_path)}: {error.message}"
        for error in _validator(shared, version, name).iter_errors(plain)
    ]


def _has_null(value: Any) -> bool:
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return value is None or any(map(_has_null, members))
