"""What can be done with the store: each operation is one script, its arguments, and how its answer is read.

Every operation is idempotent by a token its caller made (job id, claim, or a random one), checks state before
it writes, and uses the store's clock; a lost answer and a second try do no harm.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, Literal, TypeVar

from msgspec import Struct

from fastprocesses_host.ogc.job_filters import JobFilters
from fastprocesses_host.ogc.jobs import Job
from fastprocesses_host.store.ids import created_ms, first_id_of
from fastprocesses_host.store.records import (
    Limits,
    NewJob,
    StoredInput,
    decode_input,
    encode_input,
    job_of,
    limits_of,
    pairs,
    record_fields,
)

T = TypeVar("T")
Argument = str | bytes | int | float
Final = Literal["successful", "failed", "dismissed"]
Outcome = Literal["ok", "superseded", "final", "gone"]

RECOVER_AT_ONCE = 100
EXPIRE_AT_ONCE = 250
LIST_BUDGET = 1000
LOG_BYTES = 4 * 1024 * 1024
STAGED_SECONDS = 3600
MAX_CLOCK_SKEW_MS = 5_000
_EVERY_JOB = JobFilters()


class Operation(Struct, Generic[T], frozen=True):
    """One call of one script."""

    script: str
    arguments: tuple[Argument, ...]
    parse: Callable[[Any], T]


class Accepted(Struct, frozen=True):
    """Whether a job was taken; `clock`: its id is of another time than the store's, which `now_ms` tells."""

    outcome: Literal["ok", "clock", "full"]
    now_ms: int


class Claimed(Struct, frozen=True):
    """A job that a runner now owns."""

    job: Job
    limits: Limits
    inputs: dict[str, StoredInput]


class TickAnswer(Struct, frozen=True):
    """What a tick learned."""

    now_ms: int
    may_recover: bool
    stop: dict[str, str]
    """Jobs whose run must end, with the verdict: `final`, `superseded`, `gone` or `overtime`."""
    unknown: list[str]
    """Messages that the store counts as this worker's and it did not name."""
    knows_offer: bool
    """The store has the text of what the worker offers."""


class Dismissed(Struct, frozen=True):
    """What a dismissal met."""

    outcome: Literal["ok", "removed", "tombstone", "gone"]
    job: Job | None = None


class Collected(Struct, frozen=True):
    """A job with the small values of its outputs."""

    job: Job
    values: dict[str, bytes]


class Log(Struct, frozen=True, kw_only=True):
    """A job with the newest lines of its log, oldest first, and how many lines there are."""

    job: Job
    count: int
    lines: list[bytes]


class Page(Struct, frozen=True, kw_only=True):
    """A part of the job list."""

    jobs: list[Job]
    has_more: bool
    last: str
    """Id of the last job that was looked at: what follows begins behind it. Empty: none was."""
    of_processes: int
    """How many jobs there are of the processes that were named, whatever the other filters say."""


def open_store(store_format: str) -> Operation[tuple[str, int]]:
    """Give the format of the store, written if it had none, and its time in milliseconds."""
    return Operation("open", (store_format,), lambda answer: (answer[0].decode(), answer[1]))


def accept(job: NewJob, inputs: Mapping[str, StoredInput], *, max_queued_jobs: int) -> Operation[Accepted]:
    """Write record, indexes, inputs and message of a job together; again with its id changes nothing."""
    fields = record_fields(job)
    values: list[Argument] = [part for name, value in inputs.items() for part in (name, encode_input(value))]
    if locations := [value.location for value in inputs.values() if value.location]:
        fields += ["il", "\n".join(locations)]
    arguments: tuple[Argument, ...] = (
        job.id,
        created_ms(job.id),
        MAX_CLOCK_SKEW_MS,
        max_queued_jobs,
        "1" if job.listed else "0",
        job.process_id,
        job.owner,
        job.queue,
        round(job.limits.max_queue_seconds * 1000),
        len(fields),
        *fields,
        *values,
    )
    return Operation("accept", arguments, lambda answer: Accepted(answer[0].decode(), answer[1]))


def fetch(worker: str, queue: str, count: int) -> Operation[list[bytes]]:
    """Take up to `count` messages from a queue; they are the worker's until claimed or given back."""
    return Operation("fetch", (worker, queue, count), list)


def claim(job_id: str, worker: str, claim_id: str, *, lease_seconds: float) -> Operation[Claimed | Outcome]:
    """Acknowledge a message and own its job: accepted → running. Anything but `Claimed`: leave it alone."""

    def parse(answer: Any) -> Claimed | Outcome:
        if answer[0] != b"ok":
            return answer[0].decode()  # type: ignore[no-any-return]
        record = pairs(answer[1])
        inputs = {name: decode_input(data) for name, data in pairs(answer[2]).items()}
        return Claimed(job_of(job_id, record), limits_of(record), inputs)

    return Operation("claim", (job_id, worker, claim_id, round(lease_seconds * 1000)), parse)


def tick(
    worker: str,
    *,
    lease_seconds: float,
    offer: str = "",
    queues: Sequence[str] = (),
    held: Sequence[str] = (),
    lost: Sequence[str] = (),
    claims: Mapping[str, str] | None = None,
) -> Operation[TickAnswer]:
    """Show a sign of life: renew the leases of `claims` (job id → claim), give `lost` messages back.

    `held` are messages fetched and not claimed yet. A host ticks with an empty worker name.
    """
    arguments: tuple[Argument, ...] = (
        worker,
        round(lease_seconds * 1000),
        offer,
        len(queues),
        *queues,
        len(held),
        *held,
        len(lost),
        *lost,
        *(part for pair in (claims or {}).items() for part in pair),
    )

    def parse(answer: Any) -> TickAnswer:
        stop = {name: verdict.decode() for name, verdict in pairs(answer[2]).items()}
        unknown = [name.decode() for name in answer[3]]
        return TickAnswer(answer[0], answer[1] == 1, stop, unknown, answer[4] == 1)

    return Operation("tick", arguments, parse)


def progress(
    job_id: str,
    claim_id: str,
    *,
    percent: int | None,
    message: str | None,
    lines: Sequence[bytes],
    max_log_lines: int,
) -> Operation[Outcome]:
    """Write progress, message and log lines of a running job; None leaves as it is."""
    arguments = (job_id, claim_id, "" if percent is None else percent, message or "", max_log_lines, *lines)
    return Operation("progress", arguments, _outcome)


def stage(job_id: str, claim_id: str, output: str, value: bytes) -> Operation[Outcome]:
    """Keep one output value under the claim until `finish` takes it over, or an hour."""
    return Operation("stage", (job_id, claim_id, STAGED_SECONDS, output, value), _outcome)


def finish(
    job_id: str,
    claim_id: str,
    status: Final,
    *,
    fields: Mapping[str, Argument],
    values: Mapping[str, bytes] | None = None,
    staged: bool = False,
    lines: Sequence[bytes] = (),
    max_log_lines: int,
) -> Operation[Outcome]:
    """End a run at once: final state, values (given here, or staged before), expiry, event, wake-up."""
    flat = [part for pair in fields.items() for part in pair]
    arguments: tuple[Argument, ...] = (
        job_id,
        claim_id,
        status,
        "1" if staged else "0",
        max_log_lines,
        len(flat),
        *flat,
        len(lines),
        *lines,
        *(part for pair in (values or {}).items() for part in pair),
    )
    return Operation("finish", arguments, _outcome)


def release(
    job_id: str, claim_id: str, *, untouched: bool, reason: str, problem: bytes
) -> Operation[Outcome]:
    """Give up a run: back into the queue, uncounted, if retryable or never begun; else failed."""
    return Operation("release", (job_id, claim_id, "1" if untouched else "0", reason, problem), _outcome)


def giveback(worker: str, queue: str, job_ids: Sequence[str]) -> Operation[int]:
    """Give messages that were fetched and not claimed back to the front of their queue; how many it were."""
    return Operation("giveback", (worker, queue, *job_ids), int)


def leave(worker: str, offer: str) -> Operation[int]:
    """Sign a worker off, and what it offers; what it still held goes back to the queues."""
    return Operation("leave", (worker, offer), int)


def dismiss(job_id: str, token: str, *, tombstone_seconds: float) -> Operation[Dismissed]:
    """Dismiss a job that is not final; remove one that is, with a tombstone (checklist S2.7 row 6)."""

    def parse(answer: Any) -> Dismissed:
        record = pairs(answer[1]) if len(answer) > 1 else None
        return Dismissed(answer[0].decode(), job_of(job_id, record) if record else None)

    return Operation("dismiss", (job_id, token, round(tombstone_seconds)), parse)


def recover(*, lease_seconds: float, worker_lost: bytes, no_worker: bytes) -> Operation[int]:
    """End, or queue again, jobs whose lease is over or that waited too long; how many there were."""
    return Operation("recover", (round(lease_seconds * 1000), RECOVER_AT_ONCE, worker_lost, no_worker), int)


def expire() -> Operation[int]:
    """Remove jobs past their time; how many there were, at most `EXPIRE_AT_ONCE`."""
    return Operation("expire", (EXPIRE_AT_ONCE,), int)


def job(job_id: str) -> Operation[Job | Literal["gone", "tombstone"]]:
    """Read one job."""

    def parse(answer: Any) -> Job | Literal["gone", "tombstone"]:
        if answer[0] != b"ok":
            return answer[0].decode()  # type: ignore[no-any-return]
        return job_of(job_id, pairs(answer[1]))

    return Operation("job", (job_id,), parse)


def collect(job_id: str) -> Operation[Collected | None]:
    """Read a job and its small values for the caller who waited for it; an unlisted final one is removed.

    The only operation whose lost answer loses something: a caller who is told 503 has to execute again.
    """

    def parse(answer: Any) -> Collected | None:
        if answer[0] != b"ok":
            return None
        return Collected(job_of(job_id, pairs(answer[1])), pairs(answer[2]))

    return Operation("collect", (job_id,), parse)


def log(job_id: str, *, limit: int, max_bytes: int = LOG_BYTES) -> Operation[Log | None]:
    """Read a job and the newest lines of its log, no more than `limit` and `max_bytes` allow."""

    def parse(answer: Any) -> Log | None:
        if answer[0] != b"ok":
            return None
        return Log(job=job_of(job_id, pairs(answer[1])), count=answer[2], lines=answer[3][::-1])

    return Operation("log", (job_id, limit, max_bytes), parse)


def jobs(
    *,
    limit: int,
    cursor: str = "",
    backwards: bool = False,
    inclusive: bool = False,
    filters: JobFilters = _EVERY_JOB,
    owner: str = "",
    budget: int = LIST_BUDGET,
) -> Operation[Page]:
    """Read a page of the job list, newest first, through the indexes that fit the filters best.

    Ids tell when jobs were created, so a time of creation is where the walk begins or ends. Filters that no
    index knows are looked up in the records, a bounded number a page: such pages may be short, or empty, and
    still have a next one.

    Args:
        limit: Most jobs.
        cursor: Id from which to go on; empty: from the newest.
        backwards: Go towards newer jobs; the page is newest first all the same.
        inclusive: The job of the cursor itself may be on the page.
        filters: Which jobs.
        owner: Whose jobs; empty: everybody's.
        budget: Most records that are looked into, if the limit is not higher.
    """
    lowest = "-" if filters.created_from_ms is None else f"[{first_id_of(filters.created_from_ms)}"
    highest = "+" if filters.created_to_ms is None else f"({first_id_of(filters.created_to_ms + 1)}"
    if cursor:
        bound = f"{'[' if inclusive else '('}{cursor}"
        if backwards:
            lowest = bound if lowest == "-" else max(lowest, bound, key=_by_id)
        else:
            highest = bound if highest == "+" else min(highest, bound, key=_by_id)
    arguments: tuple[Argument, ...] = (
        lowest,
        highest,
        "1" if backwards else "0",
        limit,
        max(budget, limit),
        owner,
        "" if filters.min_seconds is None else filters.min_seconds * 1000,
        "" if filters.max_seconds is None else filters.max_seconds * 1000,
        len(filters.statuses),
        *filters.statuses,
        *filters.process_ids,
    )

    def parse(answer: Any) -> Page:
        found = [job_of(row[0].decode(), pairs(row[1])) for row in answer[0]]
        return Page(
            jobs=found[::-1] if backwards else found,
            has_more=answer[1] == 1,
            last=answer[2].decode(),
            of_processes=answer[3],
        )

    return Operation("jobs", arguments, parse)


def _by_id(bound: str) -> tuple[str, bool]:
    return bound[1:], bound[0] == "("


def announce(offer: str, text: bytes) -> Operation[int]:
    """Publish what a worker offers under a name that changes with it."""
    return Operation("announce", (offer, text), int)


def _outcome(answer: Any) -> Outcome:
    return answer[0].decode()  # type: ignore[no-any-return]
