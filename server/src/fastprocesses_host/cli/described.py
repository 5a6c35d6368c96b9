"""A process description for a reader at a terminal."""

import json
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, Final

from fastprocesses_host.cli.tables import aligned, plain, shortened

_WIDTH: Final = 100
_TOLD: Final = {
    "minimum": "from",
    "exclusiveMinimum": "above",
    "maximum": "to",
    "exclusiveMaximum": "below",
    "minLength": "at least characters:",
    "maxLength": "at most characters:",
    "minItems": "at least items:",
    "maxItems": "at most items:",
    "pattern": "pattern",
}


def as_text(description: Mapping[str, Any]) -> str:
    """Write what a process is, takes and gives; whatever a server leaves out is left out."""
    title = plain(str(description.get("title") or description.get("id") or ""))
    lines = [
        f"{plain(str(description.get('id', '')))} {plain(str(description.get('version') or ''))}".strip(),
        title,
    ]
    lines += textwrap.wrap(plain(str(description.get("description") or "")), _WIDTH)
    options = description.get("jobControlOptions")
    if isinstance(options, list):
        lines.append(f"Modes: {', '.join(map(str, options))}")
    for heading, member in (("Inputs", "inputs"), ("Outputs", "outputs")):
        lines += ["", f"{heading}:"]
        rows = list(_rows(description.get(member)))
        lines += [f"  {line}" for line in aligned(rows).splitlines()] if rows else ["  none told"]
    if example := description.get("example"):
        lines += ["", "Example:", f"  {shortened(json.dumps(example, ensure_ascii=False), 1000)}"]
    return "\n".join(lines)


def _rows(described: Any) -> Iterator[list[str]]:
    for name, each in described.items() if isinstance(described, Mapping) else ():
        known = each if isinstance(each, Mapping) else {}
        schema = known.get("schema")
        text = str(known.get("description") or known.get("title") or "")
        yield [str(name), _occurs(known, schema), shortened(_kind(schema), 60), shortened(text, 100)]
        yield from _member_rows(schema, is_input="minOccurs" in known or "maxOccurs" in known)


def _member_rows(schema: Any, *, is_input: bool) -> Iterator[list[str]]:
    """Tell the members of an object, or of the objects in an array, one level deep."""
    found = schema if isinstance(schema, Mapping) else {}
    items = found.get("items")
    holder = items if isinstance(items, Mapping) else found
    members = holder.get("properties")
    if str(found.get("format", "")).startswith(("ogc-", "geojson-")) or not isinstance(members, Mapping):
        return
    required = holder.get("required")
    for name, each in members.items():
        known = each if isinstance(each, Mapping) else {}
        word = "required" if isinstance(required, list) and name in required else "optional"
        told = f" = {json.dumps(known['default'])}" if known.get("default") is not None else ""
        text = str(known.get("description") or "")
        yield [f".{name}", word + told if is_input else "", shortened(_kind(known), 60), shortened(text, 100)]


def _occurs(known: Mapping[str, Any], schema: Any) -> str:
    if "minOccurs" not in known and "maxOccurs" not in known:
        return ""
    least, most = known.get("minOccurs", 1), known.get("maxOccurs", 1)
    word = "optional" if least == 0 else "required"
    default = schema.get("default") if isinstance(schema, Mapping) else None
    told = f" = {json.dumps(default)}" if default is not None and least == 0 else ""
    return f"{word}{'' if most == 1 else f', up to {most}'}{told}"


def _kind(schema: Any) -> str:
    """Say in a few words what a schema allows."""
    if not isinstance(schema, Mapping):
        return "any value"
    for word in ("oneOf", "anyOf"):
        if isinstance(schema.get(word), list):
            return " or ".join(dict.fromkeys(_kind(each) for each in schema[word]))
    if isinstance(schema.get("enum"), list):
        return " | ".join(map(str, schema["enum"]))
    if isinstance(schema.get("allOf"), list):
        kinds = [_kind(each) for each in schema["allOf"]]
        return next(
            (kind for kind in kinds if kind not in {"any value", "object"}),
            kinds[0] if kinds else "any value",
        )
    return _simple_kind(schema)


def _simple_kind(schema: Mapping[str, Any]) -> str:
    media_type, format_ = schema.get("contentMediaType"), schema.get("format")
    if format_ in {"ogc-bbox", "geojson-geometry", "geojson-feature", "geojson-feature-collection"}:
        return str(format_).removeprefix("ogc-")
    if media_type:
        return str(media_type)
    kind = schema.get("type", "any value")
    kind = " or ".join(map(str, kind)) if isinstance(kind, list) else str(kind)
    if kind == "array":
        kind = f"array of {_kind(schema.get('items', {}))}"
    told = [f"{words} {schema[name]}" for name, words in _TOLD.items() if name in schema]
    return ", ".join([f"{kind} ({format_})" if format_ else kind, *told])
