"""Sentences about declarations: where something is wrong; and what is told of a field."""

import inspect
from pathlib import Path
from typing import Any

from fastprocesses_sdk.docstrings import one_line
from fastprocesses_sdk.errors import DeclarationError


class Told:
    """Begin every DeclarationError that passes with what it is about, and end it with where that stands.

    Args:
        about: A function, an argument, a field.
        place: File and line; empty: not told.
    """

    def __init__(self, about: str, place: str = "") -> None:
        self.about = about
        self.place = place

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, DeclarationError):
            is_new = self.place and self.place not in str(error)
            error.args = (f"{self.about}: {error}{f' ({self.place})' if is_new else ''}",)


def place_of(declared: Any) -> str:
    """Tell where a function stands, as `plugin.py:12`; empty where that is not known."""
    code = getattr(inspect.unwrap(declared), "__code__", None) if callable(declared) else None
    return f"{Path(code.co_filename).name}:{code.co_firstlineno}" if code is not None else ""


def field_texts(notes: tuple[Any, ...], text: str) -> dict[str, str]:
    """Return title and description of a field, as JSON Schema has them; a note goes before the docstring.

    Args:
        notes: What stands beside its type: `fp.Input`, `msgspec.Meta`, or what has such members.
        text: What the docstring of its class tells.
    """
    title = _last(notes, "title")
    description = one_line(_last(notes, "description") or _last(notes, "documentation") or text)
    if unit := _last(notes, "unit"):
        description = f"{description} Unit: {unit}.".strip()
    found = {"title": title, "description": description}
    return {name: value for name, value in found.items() if value}


def _last(notes: tuple[Any, ...], name: str) -> str:
    told = (getattr(note, name, None) for note in reversed(notes))
    return next((value for value in told if value and isinstance(value, str)), "")
