"""What `@process` may be told, and what follows from it and from names and docstrings."""

import re
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypedDict

from msgspec import UNSET

from fastprocesses_sdk.description import JobControlOption, Policy, ProcessDescription
from fastprocesses_sdk.docstrings import one_line, title_of
from fastprocesses_sdk.errors import DeclarationError
from fastprocesses_sdk.processes import UNKNOWN_VERSION

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_MODES: dict[str, JobControlOption] = {"sync": "sync-execute", "async": "async-execute"}


class Declaration(TypedDict, total=False):
    """What `@process` may be told of a process; all of it has a default."""

    id: str
    """Without it the function's name, `_` written `-`."""
    title: str
    description: str
    version: str
    """Without it the version of the distribution."""
    keywords: Sequence[str]
    metadata: Sequence[Mapping[str, Any]]
    modes: Sequence[Literal["sync", "async"]]
    """How it may be executed; without it both ways."""
    example: Mapping[str, Any]
    """An execute request, `{"inputs": {...}}`; without it one is made of the schemas, where that can be."""
    timeout_seconds: float
    memory_mb: int
    retryable: bool
    max_attempts: int
    """Of a retryable process; without it 2."""
    deterministic: bool
    max_concurrent: int
    queue: str


class Told:
    """Begin every DeclarationError that passes with where it happened."""

    def __init__(self, where: str) -> None:
        self.where = where

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, DeclarationError):
            error.args = (f"{self.where}: {error}",)


def hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Resolve the annotations of a function or a class; raises DeclarationError where that fails."""
    try:
        return typing.get_type_hints(function, include_extras=True)
    except NameError as error:
        raise DeclarationError(
            f"an annotation cannot be read: {error}; "
            "import what annotations name at the top of the module, not only under TYPE_CHECKING"
        ) from None
    except TypeError as error:
        raise DeclarationError(f"an annotation cannot be read: {error}") from None


def description_of(function_name: str, text: str, declaration: Declaration) -> ProcessDescription:
    """Describe a process, its inputs and outputs left open."""
    process_id = declaration.get("id") or function_name.strip("_").replace("_", "-")
    check_id(process_id)
    title = declaration.get("title") or title_of(process_id)
    modes = declaration.get("modes") or ("sync", "async")
    return ProcessDescription(
        id=process_id,
        version=declaration.get("version") or UNKNOWN_VERSION,
        title=title,
        description=declaration.get("description") or text or f"{title}.",
        keywords=list(declaration.get("keywords", ())),
        metadata=[dict(each) for each in declaration.get("metadata", ())],
        job_control_options=[*(_MODES[mode] for mode in modes), "dismiss"],
    )


def check_id(value: str) -> None:
    """Raise DeclarationError unless this can be part of a path."""
    if not _ID.fullmatch(value):
        raise DeclarationError(
            f"{value!r} cannot be an id; "
            "write up to 128 letters, digits, '.', '_' and '-', a letter or digit first"
        )


def described_text(name: str, text: str, unit: str) -> str:
    """Return what is told of an input or output; there is always something."""
    text = one_line(text) or f"The {title_of(name).lower()}."
    return f"{text} Unit: {unit}." if unit else text


def unit_metadata(unit: str) -> Any:
    """Tell the unit to machines; UNSET without one."""
    return [{"role": "unit", "title": unit}] if unit else UNSET


def policy_of(declaration: Declaration) -> Policy:
    """Take the policy out of a declaration."""
    retryable = declaration.get("retryable", False)
    return Policy(
        timeout_seconds=declaration.get("timeout_seconds"),
        memory_mb=declaration.get("memory_mb"),
        retryable=retryable,
        max_attempts=declaration.get("max_attempts", 2 if retryable else 1),
        deterministic=declaration.get("deterministic", False),
        max_concurrent=declaration.get("max_concurrent"),
        queue=declaration.get("queue", ""),
    )


def check_declaration(declaration: Declaration) -> None:
    """Raise DeclarationError for keywords that are unknown or make no sense."""
    known = tuple(Declaration.__annotations__)
    for name in declaration:
        if name not in known:
            raise DeclarationError(f"@process knows no {name}=; it knows {', '.join(known)}")
    for name in ("timeout_seconds", "memory_mb", "max_attempts", "max_concurrent"):
        value = declaration.get(name)
        if name in declaration and (
            isinstance(value, bool) or not isinstance(value, int | float) or value <= 0
        ):
            raise DeclarationError(f"{name}= takes a number above 0, not {value!r}")
    modes = declaration.get("modes", ("sync",))
    if isinstance(modes, str) or not modes or any(mode not in _MODES for mode in modes):
        raise DeclarationError(f"modes= takes some of ('sync', 'async'), not {modes!r}")
    if declaration.get("max_attempts", 1) > 1 and not declaration.get("retryable"):
        raise DeclarationError(
            "max_attempts= is for a process that may be run again; write retryable=True beside it"
        )
