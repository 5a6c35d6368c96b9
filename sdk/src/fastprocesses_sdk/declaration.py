"""What `@process` may be told, and what follows from it and from names and docstrings."""

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from os import PathLike
from typing import Any, Literal, TypedDict

from msgspec import UNSET

from fastprocesses_sdk.description import JobControlOption, Policy, ProcessDescription, Translation
from fastprocesses_sdk.docstrings import one_line, title_of
from fastprocesses_sdk.errors import DeclarationError
from fastprocesses_sdk.processes import UNKNOWN_VERSION

_QUEUE = re.compile(r"[A-Za-z0-9_-]+")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_MODES: dict[str, JobControlOption] = {"sync": "sync-execute", "async": "async-execute"}


class Declaration(TypedDict, total=False):
    """What `@process` may be told of a process; all of it has a default."""

    id: str
    """Without it the function's name, `_` written `-`."""
    title: str
    description: str | PathLike[str]
    """The text, or the name of a file beside the code that holds the description, `buffer.json` or `.yaml`."""
    version: str
    """Without it the version of the distribution."""
    keywords: Sequence[str]
    metadata: Sequence[Mapping[str, Any]]
    language: str
    """Language tag of the texts, `en` or `de-CH`; without it they are English."""
    translations: Mapping[str, Translation]
    """The texts in other languages, by language tag; callers choose by Accept-Language."""
    modes: Sequence[Literal["sync", "async"]]
    """How it may be executed; without it both ways."""
    example: Mapping[str, Any]
    """An execute request, `{"inputs": {...}}`; without it one is made of the schemas, where that can be."""
    examples: Sequence[Mapping[str, Any]]
    """Inputs that it accepts, `[{"distance": 5}]`, or execute requests; the first is that of the description."""
    timeout_seconds: float
    """A run that takes longer is cancelled, and killed if it goes on; its job has failed."""
    memory_mb: int
    """A run that holds more, its children included, is killed; its job has failed."""
    retryable: bool
    """It does no harm to run a job again: after a crash, an unexpected error, a lost or a stopped worker."""
    max_attempts: int
    """Of a retryable process; without it 2."""
    deterministic: bool
    """Equal inputs give equal outputs, always, and nothing else comes of a run: servers may run it once for equal
    requests, and give its results again. A process that reads the time, a random number or data that change is not."""
    max_concurrent: int
    """No more jobs of it run at a time, on all workers together; the others wait and hold nobody up."""
    queue: str
    """Letters, digits, `_` and `-`: where its jobs wait, apart from those of others, for workers that serve it."""
    keep_job_seconds: float
    """How long a job is kept once it has ended; without it as the operator has it."""
    keep_results_seconds: float
    """How long its results are, if that is less: of what is large, or nobody's business for longer."""
    keep_log_seconds: float
    """How long its log is, if that is less."""
    keep_inputs: bool
    """Whether its inputs are kept as long as the job, at `/jobs/{id}/inputs`."""


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
        description=str(declaration.get("description") or "") or text or f"{title}.",
        keywords=list(declaration.get("keywords", ())),
        metadata=[dict(each) for each in declaration.get("metadata", ())],
        language=declaration.get("language") or UNSET,
        translations=dict(declaration.get("translations", {})) or UNSET,
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
        keep_job_seconds=declaration.get("keep_job_seconds"),
        keep_results_seconds=declaration.get("keep_results_seconds"),
        keep_log_seconds=declaration.get("keep_log_seconds"),
        keep_inputs=declaration.get("keep_inputs"),
    )


def _is_positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def _is_list_of(kind: Any) -> Callable[[Any], bool]:
    def is_fine(value: Any) -> bool:
        is_one = isinstance(value, str | Mapping) or not isinstance(value, Collection)
        return not is_one and all(isinstance(each, kind) for each in value)

    return is_fine


_KINDS: list[tuple[tuple[str, ...], Callable[[Any], bool], str]] = [
    (
        ("timeout_seconds", "keep_job_seconds", "keep_results_seconds", "keep_log_seconds"),
        _is_positive,
        "a number above 0",
    ),
    (
        ("memory_mb", "max_attempts", "max_concurrent"),
        lambda value: _is_positive(value) and isinstance(value, int),
        "a whole number above 0",
    ),
    (("id", "title", "version", "language"), lambda value: isinstance(value, str), "a text"),
    (
        ("queue",),
        lambda value: isinstance(value, str) and bool(_QUEUE.fullmatch(value)) and value != "sync",
        "a name of letters, digits, '_' and '-', other than 'sync'",
    ),
    (("retryable", "deterministic", "keep_inputs"), lambda value: isinstance(value, bool), "True or False"),
    (("keywords",), _is_list_of(str), "a list of texts"),
    (("metadata",), _is_list_of(Mapping), "a list of objects, [{...}]"),
]
"""Keywords, what they may be, and how that is told."""


def check_declaration(declaration: Declaration) -> None:
    """Raise DeclarationError for keywords that are unknown or make no sense."""
    known = tuple(Declaration.__annotations__)
    for name in declaration:
        if name not in known:
            raise DeclarationError(f"@process knows no {name}=; it knows {', '.join(known)}")
    for names, is_fine, wanted in _KINDS:
        for name in names:
            value = declaration.get(name)
            if value is not None and not is_fine(value):
                raise DeclarationError(f"{name}= takes {wanted}, not {value!r}")
    modes = declaration.get("modes", ("sync",))
    if isinstance(modes, str) or not modes or any(mode not in _MODES for mode in modes):
        raise DeclarationError(f"modes= takes some of ('sync', 'async'), not {modes!r}")
    if declaration.get("max_attempts", 1) > 1 and not declaration.get("retryable"):
        raise DeclarationError(
            "max_attempts= is for a process that may be run again; write retryable=True beside it"
        )
