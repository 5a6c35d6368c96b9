"""Annotations, resolved and taken apart."""

import types
import typing
from collections.abc import Callable
from typing import Annotated, Any, Union, get_args, get_origin

from fastprocesses_sdk.errors import DeclarationError


def hints_of(annotated: Callable[..., Any]) -> dict[str, Any]:
    """Resolve the annotations of a function or a class; raises DeclarationError where that fails."""
    try:
        return typing.get_type_hints(annotated, include_extras=True)
    except NameError as error:
        raise DeclarationError(
            f"an annotation cannot be read: {error}; "
            "import what annotations name at the top of the module, not only under TYPE_CHECKING"
        ) from None
    except (TypeError, SyntaxError, AttributeError) as error:
        raise DeclarationError(f"an annotation cannot be read: {error}") from None


def split(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """Part a type from the notes beside it, through aliases and new types."""
    origin = get_origin(annotation)
    if origin is Annotated:
        base, notes = split(annotation.__origin__)
        return base, (*notes, *annotation.__metadata__)
    if isinstance(annotation, typing.NewType):
        return split(annotation.__supertype__)
    if _is_alias(annotation):
        return split(annotation.__value__)
    if _is_alias(origin):
        return split(origin.__value__[get_args(annotation)])
    return annotation, ()


def without_none(annotation: Any) -> tuple[Any, bool]:
    """Take None out of a union; the notes stay. The flag says whether it was in."""
    base, notes = split(annotation)
    if not is_union(base):
        return annotation, False
    members = get_args(base)
    kept = tuple(member for member in members if member is not type(None))
    if len(kept) == len(members):
        return annotation, False
    narrowed: Any = Union[kept]  # noqa: UP007 - built from a tuple
    return (Annotated[(narrowed, *notes)] if notes else narrowed), True


def is_union(base: Any) -> bool:
    """Whether it is a union, in either spelling."""
    return get_origin(base) in (Union, types.UnionType)


def name_of(annotation: Any) -> str:
    """Return what an annotation is called in sentences."""
    return (
        annotation.__name__ if isinstance(annotation, type) and not get_args(annotation) else str(annotation)
    )


def _is_alias(annotation: Any) -> bool:
    """Whether it was declared by `type X = ...`."""
    return type(annotation).__name__ == "TypeAliasType"
