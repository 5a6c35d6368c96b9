"""Texts of a process from its docstring: Google, NumPy or reST style."""

import inspect

from msgspec import Struct, field


class Texts(Struct, frozen=True, kw_only=True):
    """What a docstring tells. Absent texts are empty."""

    description: str = ""
    arguments: dict[str, str] = field(default_factory=dict)
    """Of arguments, or of the attributes of a class."""
    returns: str = ""


def texts_of(documented: object) -> Texts:
    """Read the docstring of a function or a class; where it cannot be parsed, it is the description."""
    written = getattr(documented, "__doc__", None)
    if not isinstance(written, str) or not written.strip():
        return Texts()
    from docstring_parser import (
        ParseError,
        parse,
    )  # slow to import

    whole = inspect.cleandoc(written)
    try:
        parsed = parse(whole)
    except ParseError:
        return Texts(description=whole)
    parts = (parsed.short_description, parsed.long_description)
    return Texts(
        description="\n\n".join(part for part in parts if part),
        arguments={each.arg_name: one_line(each.description or "") for each in parsed.params},
        returns=one_line((parsed.returns.description if parsed.returns else "") or ""),
    )


def one_line(text: str) -> str:
    """Join the lines of a text."""
    return " ".join(text.split())


def title_of(name: str) -> str:
    """Make a title of a name: `max_area` → `Max area`."""
    words = name.replace("_", " ").replace("-", " ").strip()
    return words[:1].upper() + words[1:]
