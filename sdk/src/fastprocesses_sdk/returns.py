"""What a function returns → outputs of a process."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from typing import Any

from fastprocesses_sdk import processes
from fastprocesses_sdk.annotations import Input, Output, Outputs
from fastprocesses_sdk.declaration import check_id, described_text, unit_metadata
from fastprocesses_sdk.description import OutputDescription
from fastprocesses_sdk.docstrings import Texts, texts_of, title_of
from fastprocesses_sdk.errors import DeclarationError
from fastprocesses_sdk.hints import hints_of, split, without_none
from fastprocesses_sdk.notes import note_of
from fastprocesses_sdk.schema import shape_of
from fastprocesses_sdk.telling import Told
from fastprocesses_sdk.values import writer_of
from fastprocesses_sdk.walking import rewritten

Parted = Callable[[Any], Mapping[str, Any]]


def read_return(
    annotation: Any, texts: Texts
) -> tuple[dict[str, processes.Output], dict[str, OutputDescription], Parted]:
    """Read the return annotation: how each output is written, what is told of it, how to part them."""
    if annotation is inspect.Signature.empty:
        raise DeclarationError("it has no type; write for instance `-> float`, or a subclass of fp.Outputs")
    if annotation is type(None):
        raise DeclarationError("a process has outputs; return one, or a subclass of fp.Outputs")
    base, _ = split(annotation)
    if isinstance(base, type) and issubclass(base, Outputs):
        return _fields(base)
    name, plan, described = _output("result", annotation, texts.returns)
    return {name: plan}, {name: described}, lambda returned: {name: returned}


def _fields(kind: type[Outputs]) -> tuple[dict[str, processes.Output], dict[str, OutputDescription], Parted]:
    with Told(kind.__name__):
        hints = hints_of(kind)
    texts = texts_of(kind) if kind.__doc__ and not kind.__doc__.startswith(f"{kind.__name__}(") else Texts()
    names: dict[str, str] = {}
    plans: dict[str, processes.Output] = {}
    told: dict[str, OutputDescription] = {}
    for field in fields(kind):  # type: ignore[arg-type]  # every subclass is made a dataclass
        with Told(f"field {field.name!r} of {kind.__name__}"):
            name, plan, described = _output(
                field.name, hints[field.name], texts.arguments.get(field.name, "")
            )
            if name in plans:
                raise DeclarationError(f"there is an output {name!r} already")
            if field.default is None and plan.required:
                raise DeclarationError(
                    f"its default None is not of its type; write `{field.name}: ... | None = None`"
                )
            _check_default(field.default, plan)
            if not plan.required and field.default is MISSING and field.default_factory is MISSING:
                raise DeclarationError(
                    f"an output that may be None may be left out; write `{field.name}: ... | None = None`"
                )
        names[field.name], plans[name], told[name] = name, plan, described
    if not names:
        raise DeclarationError(f"{kind.__name__} has no fields; each field is an output")
    return plans, told, _parting(kind, names)


def _check_default(default: Any, plan: processes.Output) -> None:
    if default is MISSING or default is None:
        return
    try:
        plan.write(default, "")
    except LookupError:
        raise DeclarationError("a file has no default but None; write `... | None = None`") from None
    except (TypeError, ValueError) as error:
        raise DeclarationError(f"its default {default!r} is not one of its own values: {error}") from None


def _parting(kind: type[Outputs], names: dict[str, str]) -> Parted:
    def parted(returned: Any) -> dict[str, Any]:
        if not isinstance(returned, kind):
            raise TypeError(
                f"The process returned {type(returned).__name__} where it declares {kind.__name__}."
            )
        return {output: getattr(returned, field) for field, output in names.items()}

    return parted


def _output(name: str, annotation: Any, text: str) -> tuple[str, processes.Output, OutputDescription]:
    narrowed, optional = without_none(annotation)
    notes = split(narrowed)[1]
    note = note_of(notes, Output) or Output()
    if note_of(notes, Input):
        raise DeclarationError("Input is for arguments; write fp.Output")
    shape = shape_of(narrowed)
    name = note.name or name
    check_id(name)
    described = OutputDescription(
        title=note.title or title_of(name),
        description=described_text(name, note.description or text, note.unit),
        schema=rewritten(shape.schema, _without_default),
        metadata=unit_metadata(note.unit),
    )
    plan = processes.Output(write=writer_of(shape), required=not optional, media=shape.media)
    return name, plan, described


def _without_default(schema: dict[str, Any]) -> dict[str, Any]:
    """Leave out what a caller could leave out: an output is whole."""
    return {name: rule for name, rule in schema.items() if name != "default"}
