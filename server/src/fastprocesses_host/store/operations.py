"""What can be done with the store: each operation is one script, its arguments, and how its answer is read.

Every operation is idempotent by a token its caller made (job id, claim, or a random one), checks state before
it writes, and uses the store's clock; a lost answer and a second try do no harm.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import chain
from types import MappingProxyType
from typing import Any, Generic, Literal, TypeVar

from msgspec import Struct

from fastprocesses_host.ogc.job_filters import JobFilters
from fastprocesses_host.ogc.jobs import AskedResults, Job
from fastprocesses_host.store.ids import first_id_of
from fastprocesses_host.store.records import (
    Limits,
    NewJob,
    PinnedInput,
    StoredInput,
    are_details,
    decode_details,
    decode_input,
    decode_inputs,
    decode_taken,
    decode_terms,
    details_of,
    encode_input,
    encode_record,
    inputs_field,
    job_of,
    lengths_elsewhere,
    locations_field,
    more_fields,
    pack,
    pairs,
    parts_of,
    terms_of,
)

T = TypeVar("T")
Argument = str | bytes | int | float
Final = Literal["successful", "failed", "dismissed"]
Outcome = Literal["ok", "superseded", "final", "gone"]

RECOVER_AT_ONCE = 100
EXPIRE_AT_ONCE = 5
"""Nobody else is answered meanwhile: some 30 µs a job, and twice that in a store of a million."""
PURGE_AT_ONCE = 10
LIST_BUDGET = 500
LOG_BYTES = 4 * 1024 * 1024
STAGED_SECONDS = 3600
UPLOAD_TOMBSTONE_SECONDS = 86_400.0
"""How long it is remembered that there was an upload."""
MAX_CLOCK_SKEW_MS = 5_000
"""So far a job's id may be from the store's time; `_entering.lua` has it too, for ids that come too early."""
MAX_STORING_MS = 6 * 3_600_000
"""So long bringing its inputs to the value store may have taken since a job got its id."""
_EVERY_JOB = JobFilters()
_NONE_ELSEWHERE: Mapping[str, int] = MappingProxyType({})


class Operation(Struct, Generic[T], frozen=True):
    """One call of one script."""

    script: str
    arguments: tuple[Argument, ...]
    parse: Callable[[Any], T]
    again_at: int = -1
    """Where among the arguments it stands whether an answer to the same was lost; negative: nowhere."""

    def again(self) -> "Operation[T]":
        """Give what to send after an answer was lost."""
        if self.again_at < 0:
            return self
        arguments = (*self.arguments[: self.again_at], "1", *self.arguments[self.again_at + 1 :])
        return Operation(self.script, arguments, self.parse, self.again_at)


class Accepted(Struct, frozen=True):
    """Whether a job was taken; if not, which limit is reached.

    `clock`: its id is of another time than the store's, which `now_ms` tells.
    """

    outcome: Literal["ok", "clock", "full", "caller-full", "process-full"]
    now_ms: int


class Claimed(Struct, frozen=True, kw_only=True):
    """A job that a runner now owns."""

    job_id: str
    claim: str
    process_id: str
    description_digest: str
    asked: AskedResults
    attempt: int
    listed: bool
    limits: Limits
    inputs: dict[str, StoredInput]
    has_values_apart: bool = False
    """Its values are read, or expire, without its record."""


class Slot(Struct, frozen=True, kw_only=True, dict=True):
    """Who asks for jobs: a place of a worker, which has one job at a time."""

    queues: tuple[str, ...]
    """The one that is served first, first."""
    lease_seconds: float

    @cached_property
    def packed(self) -> bytes:
        """All of it as the scripts read it; the same slot asks again and again."""
        return pack((_milliseconds(self.lease_seconds), *self.queues))


_FINISH_AGAIN_AT = 0
_NO_SLOT = Slot(queues=(), lease_seconds=0.0)


class Finished(Struct, frozen=True):
    """What became of the end of a run, and the slot's next job if there was one."""

    outcome: Outcome
    next: Claimed | None = None
    has_others: bool = False
    """Other jobs share the run, and have not all been told: see `sharing.bring`."""


class QueueLimits(Struct, frozen=True, kw_only=True):
    """Most jobs that may wait: in all, of one caller in one queue, of one process (0: any number)."""

    jobs: int
    of_caller: int
    of_process: int


class Budgets(Struct, frozen=True, kw_only=True):
    """Most bytes in the value store: of one job, of one caller, in all (0: any number)."""

    of_job: int
    of_caller: int
    in_all: int


RoomOutcome = Literal["ok", "job", "caller", "all"]
"""Whether there is room; if not, whose budget is used up."""


class TickAnswer(Struct, frozen=True):
    """What a tick learned."""

    now_ms: int
    may_recover: bool
    stop: dict[str, str]
    """Jobs whose run must end, with the verdict: `final`, `superseded`, `gone` or `overtime`."""
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


class Look(Struct, frozen=True, kw_only=True):
    """A job with lines of its log from a position on, oldest first."""

    job: Job
    count: int
    """Lines that there ever were; the oldest of them may not be kept any more."""
    first: int
    """How many there were before the first one here."""
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


def accept(
    job: NewJob,
    inputs: Mapping[str, StoredInput],
    *,
    limits: QueueLimits,
    lengths: Mapping[str, int] = _NONE_ELSEWHERE,
) -> Operation[Accepted]:
    """Write record, indexes, inputs and message of a job together; again with its id changes nothing.

    Args:
        job: The job.
        inputs: Its inputs.
        limits: How many may wait.
        lengths: Of inputs in the value store, in bytes, by location; others are not counted there.
    """
    fields, values = more_fields(job), list[Argument]()
    are_in_details, field = are_details(job, inputs), inputs_field(job, inputs)
    if field is not None:
        fields += ["iv", field]
    elif not are_in_details:
        values = [part for name, value in inputs.items() for part in (name, encode_input(value))]
    elsewhere: dict[str, int] = {}
    for value in inputs.values():
        if value.location or isinstance(value, PinnedInput):
            elsewhere |= lengths_elsewhere(value, lengths.get(value.location, 0))
    if elsewhere:
        fields += ["il", locations_field(elsewhere)]
    arguments: tuple[Argument, ...] = (
        job.id,
        _packed_limits(limits, MAX_STORING_MS if lengths else MAX_CLOCK_SKEW_MS),
        encode_record(
            terms_of(
                job,
                is_counted=limits.of_process > 0,
                has_inputs_at_hand=are_in_details or field is not None,
                has_more=bool(elsewhere),
            )
        ),
        encode_record(details_of(job, dict(inputs) if are_in_details else None)),
        job.caller,
        len(fields),
        *fields,
        *values,
    )
    return Operation("accept", arguments, _accepted)


@lru_cache(maxsize=16)
def _packed_limits(limits: QueueLimits, longest_ago_ms: int) -> bytes:
    return pack((longest_ago_ms, limits.jobs, limits.of_caller, limits.of_process))


def _accepted(answer: Any) -> Accepted:
    return Accepted("ok", answer) if isinstance(answer, int) else Accepted(answer[0].decode(), answer[1])


def take(slot: Slot, claim: str, *, is_again: bool = False) -> Operation[Claimed | None]:
    """Own the next job that waits: accepted → running.

    Args:
        slot: Who asks.
        claim: The right to the job, made by whoever asks.
        is_again: The answer to the same was lost: if a job was taken, it is the same one.
    """
    arguments = (claim, "1" if is_again else "0", slot.packed)
    return Operation("take", arguments, lambda answer: _claimed(answer, claim))


def tick(
    worker: str,
    *,
    lease_seconds: float,
    host: str = "",
    offer: str = "",
    claims: Mapping[str, str] | None = None,
) -> Operation[TickAnswer]:
    """Show a sign of life of a worker or a host: renew the leases of `claims` (job id → claim)."""
    arguments: tuple[Argument, ...] = (
        worker,
        host,
        _milliseconds(lease_seconds),
        offer,
        *(part for pair in (claims or {}).items() for part in pair),
    )

    def parse(answer: Any) -> TickAnswer:
        stop = {name: verdict.decode() for name, verdict in pairs(answer[2]).items()}
        return TickAnswer(answer[0], answer[1] == 1, stop, answer[3] == 1)

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
    claim: str,
    status: Final,
    *,
    fields: Mapping[str, Argument],
    values: Mapping[str, bytes] | None = None,
    staged: bool = False,
    lines: Sequence[bytes] = (),
    max_log_lines: int,
    slot: Slot = _NO_SLOT,
    next_claim: str = "",
) -> Operation[Finished]:
    """End a run: final state, values, wake-up; `superseded`, `final` or `gone` if it was not its to end.

    Args:
        job_id: The job.
        claim: The right to it.
        status: Its last.
        fields: More of its record; the host that waits is told `res` beside the end.
        values: Small outputs.
        staged: Larger ones lie under the claim.
        lines: Of its log.
        max_log_lines: Of which the newest are kept.
        slot: Where the next job is to run.
        next_claim: With which it is taken in the same turn; empty: none is.
    """
    arguments: tuple[Argument, ...] = (
        "0",
        pack((next_claim, job_id, claim, status, 2 * len(fields))) + slot.packed,
        *chain.from_iterable(fields.items()),
    )
    if staged or lines or values:
        kept = chain.from_iterable(values.items()) if values else ()
        arguments += ("1" if staged else "0", max_log_lines, len(lines), *lines, *kept)

    def parse(answer: Any) -> Finished:
        if not isinstance(answer, list):  # the usual: it has ended
            return Finished("ok", None if isinstance(answer, int) else _claimed(answer, next_claim))
        return Finished(
            answer[0].decode(), _claimed(answer[1], next_claim), len(answer) > 2 and answer[2] > 0
        )

    return Operation("finish", arguments, parse, _FINISH_AGAIN_AT)


def release(
    job_id: str, claim_id: str, *, untouched: bool, reason: str, problem: bytes
) -> Operation[Outcome]:
    """Give up a run: back into the queue, uncounted, if retryable or never begun; else failed."""
    return Operation("release", (job_id, claim_id, "1" if untouched else "0", reason, problem), _outcome)


def again(
    job_id: str, claim: str, *, retry_seconds: float, reason: str
) -> Operation[Outcome | Literal["spent"]]:
    """Have a run that failed repeated after a while; `spent` if its job may not, or has no attempts left.

    Args:
        job_id: The job.
        claim: The right to it.
        retry_seconds: Wait before the second attempt; doubled before each further one, a minute at most.
        reason: Why it failed.
    """
    return Operation("again", (job_id, claim, _milliseconds(retry_seconds), reason), _outcome)


def leave(worker: str, offer: str, unheard: Collection[str] = ()) -> Operation[int]:
    """Sign a worker off, and what it offers; jobs of claims that it never had an answer to go back."""
    return Operation("leave", (worker, offer, *unheard), int)


def dismiss(job_id: str, token: str, *, tombstone_seconds: float) -> Operation[Dismissed]:
    """Dismiss a job that is not final; remove one that is, with a tombstone (checklist S2.7 row 6)."""

    def parse(answer: Any) -> Dismissed:
        record = pairs(answer[1]) if len(answer) > 1 else None
        return Dismissed(answer[0].decode(), job_of(job_id, record) if record else None)

    return Operation("dismiss", (job_id, token, round(tombstone_seconds)), parse)


def recover(
    *, lease_seconds: float, retry_seconds: float, worker_lost: bytes, no_worker: bytes
) -> Operation[int]:
    """End, or queue again, jobs whose lease is over or that waited too long; how many there were."""
    arguments = (
        _milliseconds(lease_seconds),
        RECOVER_AT_ONCE,
        _milliseconds(retry_seconds),
        worker_lost,
        no_worker,
    )
    return Operation("recover", arguments, int)


def expire() -> Operation[int]:
    """Remove jobs, results and uploads past their time; how many there were, at most `EXPIRE_AT_ONCE` of each."""
    return Operation("expire", (EXPIRE_AT_ONCE, _milliseconds(UPLOAD_TOMBSTONE_SECONDS)), int)


def job(job_id: str) -> Operation[Job | Literal["gone", "tombstone"]]:
    """Read one job."""

    def parse(answer: Any) -> Job | Literal["gone", "tombstone"]:
        if answer[0] != b"ok":
            return answer[0].decode()  # type: ignore[no-any-return]
        return job_of(job_id, pairs(answer[1]))

    return Operation("job", (job_id,), parse)


def collect(job_id: str) -> Operation[Collected | None]:
    """Read a job and its small values for the caller who waited for it."""

    def parse(answer: Any) -> Collected | None:
        if answer[0] != b"ok":
            return None
        job = job_of(job_id, pairs(answer[1]))
        return Collected(job, job.values | pairs(answer[2]))

    return Operation("collect", (job_id,), parse)


def log(job_id: str, *, limit: int, max_bytes: int = LOG_BYTES) -> Operation[Log | None]:
    """Read a job and the newest lines of its log, no more than `limit` and `max_bytes` allow."""

    def parse(answer: Any) -> Log | None:
        if answer[0] != b"ok":
            return None
        return Log(job=job_of(job_id, pairs(answer[1])), count=answer[2], lines=answer[3][::-1])

    return Operation("log", (job_id, limit, max_bytes), parse)


def look(job_id: str, *, lines_from: int, limit: int, max_bytes: int) -> Operation[Look | None]:
    """Read a job and its log from a position on; None where there is no such job.

    Args:
        job_id: The job.
        lines_from: How many lines there were before the first one that is wanted.
        limit: Most lines.
        max_bytes: Of all lines together, but for the first one.
    """

    def parse(answer: Any) -> Look | None:
        if answer[0] != b"ok":
            return None
        job = job_of(job_id, pairs(answer[1]))
        return Look(job=job, count=answer[2], first=answer[3], lines=answer[4])

    return Operation("look", (job_id, lines_from, limit, max_bytes), parse)


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


def forget(job_id: str) -> Operation[bool]:
    """Have a job in no list, whose caller has had its results, expire now; tell whether it does."""
    return Operation("forget", (job_id,), lambda answer: answer == 1)


class Purged(Struct, frozen=True):
    """How many jobs were removed, or would be, and how many were left alone because they have not ended."""

    jobs: int
    under_way: int
    last: str
    """Behind which to go on; empty: there is nothing more."""


def purge(
    *,
    after: str,
    latest_ms: int,
    process_id: str = "",
    statuses: Collection[str] = (),
    is_dry: bool = False,
    dismiss: bool = False,
) -> Operation[Purged]:
    """Remove jobs before their time, oldest first, after a look at no more than `PURGE_AT_ONCE`.

    Args:
        after: The last that was looked at; empty: from the oldest.
        latest_ms: They ended then or before, on the store's clock.
        process_id: Of this process; empty: of any.
        statuses: In one of these states; none: in any.
        is_dry: They are only counted.
        dismiss: Those that have not ended too: they are stopped.
    """
    arguments: tuple[Argument, ...] = (after, PURGE_AT_ONCE, latest_ms, process_id)
    flags = ("1" if is_dry else "0", "1" if dismiss else "0")

    def parse(answer: Any) -> Purged:
        return Purged(answer[0], answer[1], answer[2].decode())

    return Operation("purge", (*arguments, *flags, *statuses), parse)


def unowned(values: Sequence[tuple[str, str]]) -> Operation[list[str]]:
    """Tell which values nobody has any more, or ever had: owners and locations in, locations out."""
    arguments = tuple(part for value in values for part in value)
    return Operation("unowned", arguments, lambda answer: [location.decode() for location in answer])


def hold_room(
    holder: str, *, more_bytes: int, keep_seconds: float, budgets: Budgets, caller: str = "", job_id: str = ""
) -> Operation[RoomOutcome]:
    """Hold room in the value store before it is written to; counted until it is given back, or its time is over.

    Args:
        holder: Who writes; the same one may hold more and more, each time for so long from now on.
        more_bytes: How much more.
        keep_seconds: How long, if it is not held again.
        budgets: How much there may be.
        caller: For whom; empty: for the caller of the job.
        job_id: Of a job that runs; empty: there is none yet.
    """
    arguments = (holder, caller, job_id, more_bytes, _milliseconds(keep_seconds))
    limits = (budgets.of_job, budgets.of_caller, budgets.in_all)
    return Operation("room", (*arguments, *limits), lambda answer: answer.decode())


def give_room_back(holder: str) -> Operation[int]:
    """Give back what was held, once what was written counts for its job, or is deleted."""
    return Operation("unroom", (holder,), int)


def _outcome(answer: Any) -> Outcome:
    return answer[0].decode()  # type: ignore[no-any-return]


def _claimed(answer: Any, claim: str) -> Claimed | None:
    if not answer:
        return None
    is_of_before = False
    if isinstance(answer, bytes):
        taken = decode_taken(answer)
        job_id, terms, details, attempt = taken.job_id, taken.terms, taken.details, taken.attempt
        inputs = details.inputs or taken.inputs
    else:
        job_id, packed_terms, packed_details, attempt, packed_inputs = answer
        job_id = job_id.decode()
        is_of_before = packed_terms is None
        if is_of_before:  # the version before this one wrote it, whose hosts may look for its values apart
            terms, details = parts_of(pairs(packed_details))
        else:
            terms, details = decode_terms(packed_terms), decode_details(packed_details)
        inputs = details.inputs or _inputs(packed_inputs)
    return Claimed(
        job_id=job_id,
        claim=claim,
        process_id=terms.process_id,
        description_digest=details.description_digest,
        asked=details.asked,
        attempt=attempt,
        listed=terms.listed or terms.shared_as != "",  # those that share a run read its values one by one
        limits=Limits(
            timeout_seconds=details.timeout_ms / 1000,
            max_run_seconds=terms.max_run_ms / 1000,
            memory_mb=details.memory_mb,
        ),
        inputs=inputs,
        has_values_apart=is_of_before or terms.shared_as != "" or terms.results_ttl_ms > 0,
    )


def _inputs(told: bytes | list[bytes]) -> dict[str, StoredInput]:
    if isinstance(told, bytes):
        return decode_inputs(told)
    return {name: decode_input(data) for name, data in pairs(told).items()}


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
