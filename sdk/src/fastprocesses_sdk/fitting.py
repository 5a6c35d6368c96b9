"""Whether a JSON value fits a schema of ours. msgspec has looked already; this sees what it does not.

Knows the keywords that our own schemas use, no others, and the common formats.
"""

import datetime as dt
import math
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from fastprocesses_sdk.files import read_base64
from fastprocesses_sdk.patterns import as_python
from fastprocesses_sdk.scalars import read_duration

Schema = Mapping[str, Any]

_UNSEEN = frozenset({"pattern", "multipleOf", "oneOf", "not"})
"""Keywords of which msgspec sees less than they say."""


def needs_look(schema: Any) -> bool:
    """Whether the schema says more than msgspec checks. GeoJSON is checked where it is written."""
    if not isinstance(schema, Mapping) or str(schema.get("format", "")).startswith("geojson-"):
        return False
    if schema.get("format") in _FORMATS or not _UNSEEN.isdisjoint(schema):
        return True
    branches = [branch for word in ("allOf", "anyOf") for branch in schema.get(word, ())]
    parts = (*branches, schema.get("items"), schema.get("additionalProperties"))
    return any(map(needs_look, (*parts, *schema.get("properties", {}).values())))


def misfit(schema: Any, value: Any) -> str:
    """Tell why a JSON value does not fit a schema, and where; empty: it fits."""
    if not isinstance(schema, Mapping):
        return "nothing may be given" if schema is False else ""
    if (types := schema.get("type")) is not None and not _is_of_type(types, value):
        return f"Expected {types}, got {_json_type(value)}"
    for keyword, look in _LOOKS.items():
        if keyword in schema and (found := look(schema[keyword], value, schema)):
            return found
    return ""


def _json_type(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else "boolean"
    kinds = {str: "string", int: "integer", float: "number", list: "array", dict: "object"}
    return kinds.get(type(value), type(value).__name__)


def _is_of_type(type_: str, value: Any) -> bool:
    found = _json_type(value)
    if type_ == "number":
        return found in ("number", "integer")
    if type_ == "integer" and found == "number":
        return float(value).is_integer()
    return found == type_


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _same(one: Any, other: Any) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _enum(values: Sequence[Any], value: Any, _: Schema) -> str:
    return "" if any(_same(one, value) for one in values) else f"Expected one of {list(values)!r}"


def _not(schema: Any, value: Any, _: Schema) -> str:
    return "This value is ruled out" if not misfit(schema, value) else ""


def _minimum(bound: float, value: Any, _: Schema) -> str:
    return f"Expected a number from {bound} on" if _is_number(value) and value < bound else ""


def _maximum(bound: float, value: Any, _: Schema) -> str:
    return f"Expected a number up to {bound}" if _is_number(value) and value > bound else ""


def _multiple_of(step: float, value: Any, _: Schema) -> str:
    if not _is_number(value) or (math.isfinite(value) and Fraction(str(value)) % Fraction(str(step)) == 0):
        return ""
    return f"Expected a multiple of {step}"


def _size(kind: type, is_least: bool) -> "Callable[[int, Any, Schema], str]":
    def look(bound: int, value: Any, _: Schema) -> str:
        if not isinstance(value, kind) or (len(value) >= bound if is_least else len(value) <= bound):  # type: ignore[arg-type]
            return ""
        return f"Expected a length of {'at least' if is_least else 'at most'} {bound}, got {len(value)}"  # type: ignore[arg-type]

    return look


def _pattern(pattern: str, value: Any, _: Schema) -> str:
    if not isinstance(value, str) or re.search(as_python(pattern), value):
        return ""
    return f"Expected a text that {pattern} fits"


def _format(name: str, value: Any, _: Schema) -> str:
    check = _FORMATS.get(name)
    if check is None or not isinstance(value, str):
        return ""
    try:
        is_fine = check(value) not in (None, False)
    except ValueError:
        is_fine = False
    return "" if is_fine else f"Expected the format {name}"


def _required(names: Sequence[str], value: Any, _: Schema) -> str:
    missing = [name for name in names if isinstance(value, dict) and name not in value]
    return f"The member {missing[0]!r} is missing" if missing else ""


def _properties(properties: Schema, value: Any, _: Schema) -> str:
    if isinstance(value, dict):
        for name, schema in properties.items():
            if name in value and (found := misfit(schema, value[name])):
                return f"{found} - at `{name}`"
    return ""


def _additional(rest: Any, value: Any, schema: Schema) -> str:
    if isinstance(value, dict):
        for name in value.keys() - schema.get("properties", {}).keys():
            if found := misfit(rest, value[name]):
                return f"{found} - at `{name}`"
    return ""


def _items(schema: Any, value: Any, _: Schema) -> str:
    for place, item in enumerate(value if isinstance(value, list) else ()):
        if found := misfit(schema, item):
            return f"{found} - at [{place}]"
    return ""


def _unique(is_wanted: bool, value: Any, _: Schema) -> str:
    if not is_wanted or not isinstance(value, list):
        return ""
    return (
        "Expected items that differ"
        if len({msgspec.json.encode(item, order="sorted") for item in value}) < len(value)
        else ""
    )


def _all_of(schemas: Sequence[Any], value: Any, _: Schema) -> str:
    return next(filter(None, (misfit(schema, value) for schema in schemas)), "")


def _any_of(schemas: Sequence[Any], value: Any, _: Schema) -> str:
    found = [misfit(schema, value) for schema in schemas]
    return "" if "" in found else f"Fits none of the alternatives ({'; '.join(found)})"


def _one_of(schemas: Sequence[Any], value: Any, _: Schema) -> str:
    if any("contentMediaType" in schema for schema in schemas if isinstance(schema, Mapping)):
        return _any_of(schemas, value, _)  # which one it is, its media type says
    found = [misfit(schema, value) for schema in schemas]
    if found.count("") > 1:
        return "Fits more than one of the alternatives"
    return "" if "" in found else f"Fits none of the alternatives ({'; '.join(found)})"


_LOOKS: dict[str, Callable[[Any, Any, Schema], str]] = {
    "enum": _enum,
    "not": _not,
    "minimum": _minimum,
    "maximum": _maximum,
    "multipleOf": _multiple_of,
    "minLength": _size(str, is_least=True),
    "maxLength": _size(str, is_least=False),
    "pattern": _pattern,
    "format": _format,
    "minItems": _size(list, is_least=True),
    "maxItems": _size(list, is_least=False),
    "uniqueItems": _unique,
    "minProperties": _size(dict, is_least=True),
    "maxProperties": _size(dict, is_least=False),
    "required": _required,
    "properties": _properties,
    "additionalProperties": _additional,
    "items": _items,
    "allOf": _all_of,
    "anyOf": _any_of,
    "oneOf": _one_of,
}

# Formats

_LABEL = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*"
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_PART = r"([A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-Fa-f]{2})*"
_SCHEME = "[A-Za-z][A-Za-z0-9+.-]*:"
_ADDRESS = r"(//([A-Za-z0-9\-._~!$&'()*+,;=:]|%[0-9A-Fa-f]{2})*@?\[[0-9A-Fa-f:.]+\](:[0-9]*)?)?"
"""An authority that is an IP address of version 6; of others the characters alone are looked at."""


def _matches(pattern: str) -> Callable[[str], Any]:
    compiled = re.compile(pattern)
    return lambda text: compiled.fullmatch(text)


def _reads(type_: Any) -> Callable[[str], Any]:
    return lambda text: msgspec.convert(text, type_)


def _address(text: str, version: int) -> bool:
    import ipaddress  # slow to import, and seldom needed

    return ipaddress.ip_address(text).version == version and "%" not in text


_FORMATS: dict[str, Callable[[str], Any]] = {
    "date": _reads(dt.date),
    "date-time": _reads(Annotated[dt.datetime, Meta(tz=True)]),
    "time": _reads(Annotated[dt.time, Meta(tz=True)]),
    "duration": read_duration,
    "uuid": uuid.UUID,
    "byte": read_base64,
    "uri": _matches(_SCHEME + _ADDRESS + _PART + f"(#{_PART})?"),
    "uri-reference": _matches(_ADDRESS + _PART + f"(#{_PART})?"),
    "email": _matches(rf"{_ATOM}(\.{_ATOM})*@{_HOST}"),
    "hostname": _matches(_HOST),
    "ipv4": lambda text: _address(text, 4),
    "ipv6": lambda text: _address(text, 6),
    "regex": re.compile,
}
