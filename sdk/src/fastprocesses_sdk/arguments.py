"""Arguments of a function → inputs of a process."""

import inspect
from typing import Annotated, Any, get_args, get_origin

import msgspec
from msgspec import Meta, Struct

from fastprocesses_sdk import processes
from fastprocesses_sdk.annotations import Input, note_of
from fastprocesses_sdk.declaration import described_text, unit_metadata
from fastprocesses_sdk.description import InputDescription
from fastprocesses_sdk.docstrings import title_of
from fastprocesses_sdk.errors import DeclarationError
from fastprocesses_sdk.job import Job
from fastprocesses_sdk.schema import Shape, shape_of, split, without_none
from fastprocesses_sdk.values import check, encode, reader_of


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
    note = note_of(split(narrowed)[1], Input) or Input()
    required = default is parameter.empty
    if optional and required:
        raise DeclarationError(
            f"an input that may be None may be left out; write `{name}: ... | None = None`"
        )
    if default is None and not optional:
        raise DeclarationError(f"its default None is not of its type; write `{name}: ... | None = None`")
    shape = _occurring(narrowed, note) if note.occurs else shape_of(narrowed)
    schema = shape.schema
    if not required and default is not None:
        plain = _plain_default(shape.wire, default)
        schema = schema if note.occurs or _has_null(plain) else {**schema, "default": plain}
    low, high = note.occurs or (1, 1)
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
    return Argument(described, processes.Input(read=reader_of(shape.wire), required=required))


def _occurring(annotation: Any, note: Input) -> Shape:
    """Read the `list[T]` of an input that may be given several times: the schema is that of one item."""
    assert note.occurs is not None
    low, high = note.occurs
    base, notes = split(annotation)
    if get_origin(base) is not list:
        raise DeclarationError("an input that occurs several times is a list; write Annotated[list[T], ...]")
    if low < 0 or (high != "unbounded" and (high < 1 or high < low)):
        raise DeclarationError(
            f"occurs={note.occurs!r} is no range; write (least, most), or (least, 'unbounded')"
        )
    (item,) = get_args(base)
    shape = shape_of(Annotated[(item, *notes)])
    most = None if high == "unbounded" else high
    many: Any = list.__class_getitem__(shape.wire)
    return msgspec.structs.replace(shape, wire=Annotated[many, Meta(min_length=low, max_length=most)])


def _plain_default(wire: Any, default: Any) -> Any:
    try:
        check(wire, default)
    except (msgspec.DecodeError, TypeError, ValueError) as error:
        raise DeclarationError(f"its default {default!r} is not one of its own values: {error}") from None
    return msgspec.json.decode(encode(default))


def _has_null(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_null, value.values()))
    return value is None or (isinstance(value, list) and any(map(_has_null, value)))
