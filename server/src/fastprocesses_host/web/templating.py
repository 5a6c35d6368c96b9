"""The templates of the pages, and what they say of values: everything is escaped, no link leads to a script."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from fastprocesses_host.ogc.job_log import visible

if TYPE_CHECKING:
    from jinja2 import Environment

_FOLLOWED: Final = re.compile(r"(https?://[^\s/]|mailto:|/(?!/)|[?#])", re.IGNORECASE)
_MEDIA_TYPE: Final = re.compile(
    r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(\s*;\s*[\w.-]+=(\w[\w.+-]*|\"[^\"]*\"))*", re.ASCII
)
_BLANK_LINES: Final = re.compile(r"\n(?:[ \t]*\n)+")
_LISTED: Final = re.compile(r"\s|[-*+•] |[0-9]+[.)] ")
_UNSAFE_IN_URL: Final = {character: f"%{ord(character):02X}" for character in ' "<>\\^`{|}'}


@cache
def templates() -> "Environment":
    """Give the templates, read and compiled when they are first asked for."""
    from jinja2 import Environment, FunctionLoader  # a host that is asked for no page does without it

    folder = files("fastprocesses_host.web") / "templates"
    loader = FunctionLoader(lambda name: (folder / name).read_text("utf-8"))
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, loader=loader)
    environment.filters.update(
        followable=followable,
        gist=gist,
        is_listing=is_listing,
        literal=literal,
        media_type=media_type,
        occurrence=occurrence,
        paragraphs=paragraphs,
        pretty=pretty,
        relation=relation,
        visible=visible,
        words=words,
    )
    return environment


def followable(href: Any) -> str:
    """Give a URL that a page may link to; empty when it is none (`javascript:` and its like)."""
    if not isinstance(href, str) or not _FOLLOWED.match(href.strip()):
        return ""
    printable = "".join(character for character in href.strip() if character.isprintable())
    return "".join(_UNSAFE_IN_URL.get(character, character) for character in printable)


def media_type(told: Any) -> str:
    """Give a media type that fits into an attribute `type`; empty when it is none."""
    return told if isinstance(told, str) and _MEDIA_TYPE.fullmatch(told) else ""


def literal(value: Any) -> str:
    """Write a value as text: strings as they are, the others as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def pretty(value: Any) -> str:
    """Write a value as JSON in lines."""
    return json.dumps(value, ensure_ascii=False, indent=2)


def paragraphs(text: Any) -> list[str]:
    """Part a text at its blank lines."""
    return [part.strip("\n") for part in _BLANK_LINES.split(str(text or "")) if part.strip()]


def is_listing(paragraph: str) -> bool:
    """Tell whether the lines of a paragraph are lines on purpose: a list, or something indented."""
    return any(_LISTED.match(line) for line in paragraph.splitlines()[1:])


def relation(links: Any, rel: str) -> str:
    """Give where the first link of a relation leads; empty without one."""
    told: Iterable[Any] = links if isinstance(links, Sequence) else ()
    return next((link["href"] for link in told if link.get("rel") == rel), "")


def words(values: Sequence[Any]) -> bool:
    """Tell whether a list consists of strings."""
    return all(isinstance(value, str) for value in values)


def occurrence(told: Mapping[str, Any]) -> str:
    """Tell how often an input can be given."""
    least, most = told.get("minOccurs", 1), told.get("maxOccurs", 1)
    if least == most:
        return f"{least}, required" if least else str(least)
    return f"{least} to {most}" if least else f"0 to {most}, optional"


def kinds(told: Any) -> str:
    """Word a schema's `type`: a name, several, or anything where it is neither."""
    if isinstance(told, str):
        return told
    named = [name for name in told if isinstance(name, str)] if isinstance(told, list | tuple) else []
    return " or ".join(named) or "any value"


def gist(schema: Any) -> str:
    """Tell in a few words what a schema accepts."""
    if not isinstance(schema, Mapping):
        return "any value" if schema else "no value"
    if "enum" in schema:
        return "one of " + ", ".join(literal(value) for value in schema["enum"])
    branches = schema.get("oneOf") or schema.get("anyOf")
    if branches:
        return " or ".join(dict.fromkeys(gist(branch) for branch in branches))
    kind = kinds(schema.get("type"))
    named = [schema[word] for word in ("format", "contentMediaType") if isinstance(schema.get(word), str)]
    bounds = [
        f"{sign} {schema[word]}"
        for word, sign in (
            ("minimum", "≥"),
            ("exclusiveMinimum", ">"),
            ("maximum", "≤"),
            ("exclusiveMaximum", "<"),
        )
        if word in schema
    ]
    default = [f"default {literal(schema['default'])}"] if "default" in schema else []
    return ", ".join([kind, *named, *bounds, *default])
