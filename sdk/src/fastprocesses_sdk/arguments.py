"""Arguments of a function → inputs of a process."""

import inspect
from typing import Annotated, Any, get_args, get_origin

import msgspec
from msgspec import Meta, Struct

from fastprocesses_sdk import processes
from fastprocesses_sdk.annotations import Input, Output
from fastprocesses_sdk.declaration import described_text, unit_metadata
from fastprocesses_sdk.description import InputDescription
from fastprocesses_sdk.docstrings import title_of
from fastprocesses_sdk.errors import DeclarationError
from fastprocesses_sdk.hints import split, without_none
from fastprocesses_sdk.job import Job
from fastprocesses_sdk.notes import note_of
from fastprocesses_sdk.schema import list_of, shape_of
from fastprocesses_sdk.shapes import Shape
from fastprocesses_sdk.values import plain_default, reader_of


class Argument(Struct, frozen=True):
    """An input on its way from the annotation to the description."""

    described: InputDescription
    plan: processes.Input


def check_parameter(parameter: inspect.Parameter, hints: dict[str, Any]) -> None:
    """Raise DeclarationError unless this argument can be given by name and has a type."""
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        raise DeclarationError(
            "every input needs a name of its own; write out the arguments instead of * or **"
        )
    if parameter.kind is parameter.POSITIONAL_ONLY:
        raise DeclarationError("inputs are handed over by name; take away the / after it")
    if parameter.name not in hints:
        raise DeclarationError(f"it has no type; write for instance `{parameter.name}: float`")


def is_job(annotation: Any) -> bool:
    """Whether it stands for the job."""
    base, _ = split(without_none(annotation)[0])
    return isinstance(base, type) and issubclass(base, Job)


def read_argument(parameter: inspect.Parameter, annotation: Any, text: str) -> Argument:
    """Make an input of an argument; raises DeclarationError where it makes no sense."""
    name, default = parameter.name, parameter.default
    narrowed, optional = without_none(annotation)
    notes = split(narrowed)[1]
    note = note_of(notes, Input) or Input()
    if note_of(notes, Output):
        raise DeclarationError("Output is for what is returned; write fp.Input")
    required = default is parameter.empty
    if optional and required:
        raise DeclarationError(
            f"an input that may be None may be left out; write `{name}: ... | None = None`"
        )
    if default is None and not optional:
        raise DeclarationError(f"its default None is not of its type; write `{name}: ... | None = None`")
    shape, whole = _occurring(narrowed, note) if note.occurs else _once(narrowed)
    schema = shape.schema
    if not required and default is not None:
        plain = plain_default(whole, default)
        schema = schema if note.occurs or plain is None else {**schema, "default": plain}
    low, high = _range(note.occurs) if note.occurs else (1, 1)
    if low == 0 and required:
        raise DeclarationError(f"an input that may occur 0 times needs a default; write `{name}: ... = ()`")
    described = InputDescription(
        title=note.title or title_of(name),
        description=described_text(name, note.description or text, note.unit),
        schema=schema,
        min_occurs=low if required else 0,
        max_occurs=high,
        metadata=unit_metadata(note.unit),
    )
    return Argument(described, processes.Input(read=reader_of(whole), required=required))


def _once(annotation: Any) -> tuple[Shape, Shape]:
    shape = shape_of(annotation)
    return shape, shape


def _occurring(annotation: Any, note: Input) -> tuple[Shape, Shape]:
    """Read the `list[T]` of an input that may be given several times: one item, whose schema it has, and all."""
    assert note.occurs is not None
    low, high = _range(note.occurs)
    base, notes = split(annotation)
    if get_origin(base) is not list:
        raise DeclarationError("an input that occurs several times is a list; write Annotated[list[T], ...]")
    (item,) = get_args(base)
    shape = shape_of(Annotated[(item, *notes)])
    many = list_of(shape)
    counted: Any = Annotated[
        many.wire, Meta(min_length=low, max_length=None if high == "unbounded" else high)
    ]
    return shape, msgspec.structs.replace(many, wire=counted)


def _range(occurs: Any) -> tuple[int, Any]:
    """Return the least and the most of `occurs=`, checked."""
    if isinstance(occurs, tuple | list) and len(occurs) == 2:
        low, high = occurs
        if type(low) is int and low >= 0 and (high == "unbounded" or _is_most(low, high)):
            return low, high
    raise DeclarationError(f"occurs={occurs!r} is no range; write (least, most), or (least, 'unbounded')")


def _is_most(low: int, high: Any) -> bool:
    return type(high) is int and high >= max(1, low)
