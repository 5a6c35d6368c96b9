"""The suite's two validators over the official files, where they are at hand."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import referencing
import yaml
from referencing.jsonschema import DRAFT4, DRAFT7

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_BYTES = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:.+")

formats = jsonschema.FormatChecker([])


def _is_of(pattern: re.Pattern[str]) -> Any:
    return lambda value: not isinstance(value, str) or bool(pattern.fullmatch(value))


for name, pattern in {"date-time": _TIME, "byte": _BYTES, "uri-reference": _ABSOLUTE}.items():
    formats.checks(name)(_is_of(pattern))


def response_faults(shared: Path, name: str, value: Any) -> list[str]:
    """What the suite's validator of responses has against a value: its bundled file, null refused."""
    return _faults(_bundle(shared), f"bundle:#/components/schemas/{name}", value)


def sync_answer_faults(shared: Path, value: Any) -> list[str]:
    """What the same validator has against the JSON answer of a synchronous execution."""
    pointer = "#/paths/~1processes~1%7Bid%7D~1jobs/post/responses/200/content/~1*/schema"
    return _faults(_bundle(shared), "bundle:" + pointer, value)


def schema_faults(shared: Path, name: str, value: Any) -> list[str]:
    """What the suite's JSON Schema validator has against a value: the published files, draft 7."""
    folder = shared / "cite/schemas/schemas.opengis.net/ogcapi/processes/part1/1.0/openapi/schemas"
    validator = jsonschema.Draft7Validator(
        {"$ref": f"file:{folder}/{name}.yaml"}, registry=_FILES, format_checker=formats
    )
    return [error.message for error in validator.iter_errors(value)]


def _faults(registry: Any, ref: str, value: Any) -> list[str]:
    validator = jsonschema.Draft4Validator({"$ref": ref}, registry=registry, format_checker=formats)
    return [error.message for error in validator.iter_errors(value)]


@cache
def _bundle(shared: Path) -> Any:
    document = _load(shared / "ogc/v1.0/ets/api-processes10.yaml")
    resource = DRAFT4.create_resource(_without_null(document))
    return referencing.Registry().with_resource("bundle:", resource)


_NULL = {"not": {"type": "null"}}


def _without_null(part: Any, *, is_schema: bool = False) -> Any:
    """Refuse null in every schema that is not nullable, as an OpenAPI 3.0 validator does."""
    if isinstance(part, list):
        return [_without_null(member) for member in part]
    if not isinstance(part, dict):
        return part
    strict = {
        word: {name: _without_null(schema, is_schema=True) for name, schema in member.items()}
        if word in ("properties", "schemas")
        else _without_null(member, is_schema=word in ("items", "additionalProperties", "schema"))
        for word, member in part.items()
    }
    if is_schema and "$ref" not in part and not part.get("nullable"):
        strict["allOf"] = [*strict.get("allOf", []), _NULL]
    return strict


@cache
def _load(path: Path) -> Any:
    return yaml.load(path.read_text("utf-8"), yaml.CSafeLoader)


def _retrieve(uri: str) -> Any:
    return DRAFT7.create_resource(_load(Path(uri.removeprefix("file:"))))


_FILES: Any = referencing.Registry(retrieve=_retrieve)
