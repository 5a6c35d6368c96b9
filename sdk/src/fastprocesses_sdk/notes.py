"""What stands beside types, put together: our own notes, and those of msgspec and annotated-types."""

import re
from typing import Any, TypeVar

from msgspec import Struct

from fastprocesses_sdk.annotations import Constraints, Input, Media, Output
from fastprocesses_sdk.errors import DeclarationError

N = TypeVar("N", bound=Struct)
_TEXTS = ("name", "title", "description", "unit")


def note_of(notes: tuple[Any, ...], kind: type[N]) -> N | None:
    """Put all notes of a kind together; of what is told twice the last counts. None: there are none.

    Raises:
        DeclarationError: One of them makes no sense.
    """
    found: dict[str, Any] = {}
    of_kind = [note for note in notes if isinstance(note, kind)]
    for note in of_kind:
        defaults = kind()
        for name in kind.__struct_fields__:
            value = getattr(note, name)
            if name in _TEXTS and not isinstance(value, str):
                raise DeclarationError(f"{name}= is a text, not {value!r}")
            if value != getattr(defaults, name):
                found[name] = value
    return kind(**found) if of_kind else None


def media_of(notes: tuple[Any, ...]) -> Media | None:
    """Return the media types that a value may have.

    Raises:
        DeclarationError: They are told twice, and differ.
    """
    found = list(dict.fromkeys(note for note in notes if isinstance(note, Media)))
    if len(found) > 1:
        raise DeclarationError(f"{found[0]} and {found[1]} say two things; write one of them, with all types")
    return found[0] if found else None


def constraints_of(notes: tuple[Any, ...]) -> Constraints:
    """Gather the constraints of all notes; those of msgspec.Meta and annotated-types have the same names.

    Raises:
        DeclarationError: Two notes contradict each other, or one cannot be told to callers.
    """
    found: dict[str, Any] = {}
    for note in notes:
        _check_note(note)
        for name in Constraints.__struct_fields__:
            value = getattr(note, name, None)
            if value is None or callable(value):
                continue
            if isinstance(value, re.Pattern):
                value = value.pattern
            if name in found and found[name] != value:
                raise DeclarationError(
                    f"{name}= is told twice, as {found[name]!r} and as {value!r}; write one of them"
                )
            found[name] = value
    return Constraints(**found)


def _check_note(note: Any) -> None:
    if isinstance(note, type) and issubclass(note, Input | Output | Media):
        raise DeclarationError(f"fp.{note.__name__} is written with parentheses, fp.{note.__name__}(...)")
    if type(note).__module__.startswith("annotated_types") and callable(getattr(note, "func", None)):
        raise DeclarationError(
            "callers cannot be told of a Predicate; check it in the function and raise fp.ProcessError"
        )
