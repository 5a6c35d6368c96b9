"""Jobs that may share the run of an equal request, or whose requests have keys of their own, in the store."""

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from fastprocesses_host.ogc.jobs import Job
from fastprocesses_host.store import operations
from fastprocesses_host.store.operations import Argument, Operation, QueueLimits
from fastprocesses_host.store.records import NewJob, StoredInput, follower_fields, job_of, pairs


class Key(Struct, frozen=True, kw_only=True):
    """What a client calls its request, so that it can send it again."""

    name: str
    """Of the key and of whose it is."""
    request: str
    """Changes with anything of the request that makes a difference."""
    keep_seconds: float
    """How long it is known."""


class Shared(Struct, frozen=True, kw_only=True):
    """A run that equal requests may share."""

    run: NewJob
    """The new one, for the case that there is none yet; `shared_as` says what is equal."""
    max_age_seconds: float | None = None
    """How old values may be; None: as old as there are; 0: the run must not have begun yet."""
    values_only: bool = False
    """Nothing is to be run, nor waited for."""
    urgent_queue: str = ""
    """Where a run goes that somebody waits for; empty: nobody does."""


class Answer(Struct, frozen=True, kw_only=True):
    """What became of a request.

    `same`: its key is known, and `job_id` is the job of it; `other`: with another request. `none`: there are no values.
    Others as `operations.Accepted` has them.
    """

    outcome: Literal["ok", "same", "other", "none", "clock", "full", "caller-full", "process-full"]
    now_ms: int
    job_id: str = ""
    how: Literal["", "run", "joined", "stored"] = ""
    """Whether the job has a run of its own, follows one, or has ended with values that were there."""
    run_id: str = ""
    """The run that the job follows; empty: none."""
    stored: Job | None = None
    """The job, where it has ended; with its small values if it is not listed."""


def share(
    job: NewJob,
    inputs: Mapping[str, StoredInput],
    *,
    limits: QueueLimits,
    lengths: Mapping[str, int],
    host: str,
    key: Key | None = None,
    shared: Shared | None = None,
) -> Operation[Answer]:
    """Accept a job, have it follow a run, or find the one that its key stands for; all or nothing of it is done.

    Args:
        job: Of the request.
        inputs: Of the job, or of the run that it may share.
        limits: On jobs that wait.
        lengths: Of the inputs in the value store, in bytes by location.
        host: Which waits for the end; empty: none does.
        key: That came with the request.
        shared: The run that it may share.
    """
    run = shared.run if shared is not None else job
    accept = operations.accept(run, inputs, limits=limits, lengths=lengths)
    fields = follower_fields(job) if shared is not None else []
    oldest = shared.max_age_seconds if shared is not None else None
    more: tuple[Argument, ...] = (
        job.id,
        key.name if key is not None else "",
        key.request if key is not None else "",
        _milliseconds(key.keep_seconds) if key is not None else 0,
        host,
        shared.run.shared_as if shared is not None else "",
        "" if oldest is None else _milliseconds(oldest),
        "1" if shared is not None and shared.values_only else "0",
        shared.urgent_queue if shared is not None else "",
        "1" if job.listed else "0",
        job.owner,
        *fields,
    )
    return Operation("share", (*accept.arguments, *more, len(more)), lambda answer: _answer(answer, job.id))


def bring() -> Operation[int]:
    """Tell jobs what became of the run that they follow, a bounded number; how many runs have more of them."""
    return Operation("bring", (), int)


def withdraw(run_id: str) -> Operation[bool]:
    """Have no later request share a run; tells whether any could have. What it gives those that do is not touched."""
    return Operation("withdraw", (run_id,), lambda answer: bool(answer[0]))


def _answer(answer: Any, job_id: str) -> Answer:
    outcome = answer[0].decode()
    if outcome == "same":
        return Answer(outcome=outcome, now_ms=answer[1], job_id=answer[2].decode())
    if len(answer) < 3:
        return Answer(outcome=outcome, now_ms=answer[1], job_id=job_id, how="run" if outcome == "ok" else "")
    stored = None
    if len(answer) > 4:
        stored = replace(job_of(job_id, pairs(answer[4])), values=pairs(answer[5]))
    return Answer(
        outcome=outcome,
        now_ms=answer[1],
        job_id=job_id,
        how=answer[2].decode(),
        run_id=answer[3].decode(),
        stored=stored,
    )


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
