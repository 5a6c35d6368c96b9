"""The record of a job ⇄ `Job`. Field names are short because a million records repeat them."""

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from fastprocesses_host.ogc.jobs import AskedResults, Job, JobProblem, OutputValue, Status
from fastprocesses_host.ogc.subscribers import Step, Subscriber
from fastprocesses_host.store.ids import ms_in

_asked_decoder = msgspec.json.Decoder(AskedResults)
_problem_decoder = msgspec.json.Decoder(JobProblem)
_outputs_decoder = msgspec.json.Decoder(dict[str, OutputValue])

STEP_LETTERS: dict[Step, str] = {"progress": "p", "success": "s", "failure": "f"}
"""What the scripts call the steps that subscribers are told of."""
ANYBODY = "-"
"""The caller of jobs whose caller is not known."""


class Limits(Struct, frozen=True, kw_only=True, dict=True):
    """What a job may use, as decided when it was accepted."""

    timeout_seconds: float
    memory_mb: int
    retryable: bool = False
    max_attempts: int = 1
    max_concurrent: int = 0
    """Most jobs of the process that run at a time, on all workers; 0: any number."""
    max_queue_seconds: float = 86_400.0
    max_run_seconds: float = 604_800.0
    ttl_seconds: float = 604_800.0
    results_ttl_seconds: float = 0.0
    """How long the results are kept; 0: as long as the job."""
    log_ttl_seconds: float = 0.0
    """The same of the log."""

    @cached_property
    def terms(self) -> "Terms":
        """What follows from them alone of the terms of a job; many jobs have the same limits."""
        return Terms(
            process_id="",
            ttl_ms=round(self.ttl_seconds * 1000),
            max_concurrent=self.max_concurrent,
            retryable=self.retryable,
            max_attempts=self.max_attempts,
            max_queue_ms=round(self.max_queue_seconds * 1000),
            results_ttl_ms=round(self.results_ttl_seconds * 1000),
            log_ttl_ms=round(self.log_ttl_seconds * 1000),
            max_run_ms=round(self.max_run_seconds * 1000),
        )

    @cached_property
    def timeout_ms(self) -> int:
        """How long a run may take, in milliseconds."""
        return round(self.timeout_seconds * 1000)


class NewJob(Struct, frozen=True, kw_only=True):
    """A job about to be accepted."""

    id: str
    process_id: str
    process_version: str
    description_digest: str
    environment: str
    queue: str
    mode: str
    listed: bool
    limits: Limits
    asked: AskedResults
    owner: str = ""
    caller: str = ANYBODY
    """Whose turn it takes in the queue; callers take turns."""
    waiting_host: str = ""
    """The host that waits for the end, if one does."""
    deadline_ms: int | None = None
    """Nobody waits for the job after this time of the store's clock."""
    keep_inputs: bool = False
    trace: str = ""
    origin: str = ""
    """The job that this one is a part of."""
    idempotency_key: str = ""
    subscriber: Subscriber | None = None
    """Who is called; such a job is listed."""
    callback_progress_seconds: float = 0.0
    """Calls about the progress of the job are so far apart."""
    shared_as: str = ""
    """What the requests have in common that may share this run; only of runs, which are jobs of nobody."""


class Terms(Struct, frozen=True, array_like=True, kw_only=True):
    """What is decided of a job when it is accepted, as the scripts read it: by position, see `job_with` there.

    Nothing of it is ever None: the scripts' own arrays have no holes.
    """

    process_id: str
    queue: str = ""
    listed: bool = True
    has_subscriber: bool = False
    ttl_ms: int = 0
    max_concurrent: int = 0
    is_counted: bool = False
    keeps_inputs: bool = False
    retryable: bool = False
    max_attempts: int = 1
    max_queue_ms: int = 0
    deadline_ms: int = 0
    results_ttl_ms: int = 0
    log_ttl_ms: int = 0
    shared_as: str = ""
    max_run_ms: int = 0
    is_sync: bool = False
    owner: str = ""
    has_inputs_at_hand: bool = False
    """They are in the record."""
    has_more: bool = False
    """Its record has fields that few jobs have before they end."""


class Details(Struct, frozen=True, array_like=True, kw_only=True):
    """What else is known of a job from the first, which the scripts do not read."""

    process_version: str = ""
    description_digest: str = ""
    environment: str = "default"
    timeout_ms: int = 0
    memory_mb: int = 0
    asked: AskedResults = AskedResults()
    inputs: dict[str, "StoredInput"] | None = None
    """Small ones of a job that is in no list: its run alone reads them."""
    trace: str = ""
    origin: str = ""


def terms_of(
    job: NewJob, *, is_counted: bool = False, has_inputs_at_hand: bool = False, has_more: bool = False
) -> Terms:
    """Give what is decided of a new job.

    Args:
        job: The job.
        is_counted: Those of its process that wait are counted.
        has_inputs_at_hand: They are in its record.
        has_more: Some of them lie in the value store, or it follows a run.
    """
    return replace(
        job.limits.terms,
        process_id=job.process_id,
        queue=job.queue,
        listed=job.listed,
        has_subscriber=job.subscriber is not None,
        is_counted=is_counted,
        keeps_inputs=job.keep_inputs,
        deadline_ms=job.deadline_ms or 0,
        shared_as=job.shared_as,
        is_sync=job.mode == "sync",
        owner=job.owner,
        has_inputs_at_hand=has_inputs_at_hand,
        has_more=has_more,
    )


def details_of(job: NewJob, inputs: "dict[str, StoredInput] | None" = None) -> Details:
    """Give what else is known of a new job, with the inputs that go into its record."""
    return Details(
        process_version=job.process_version,
        description_digest=job.description_digest,
        environment=job.environment,
        timeout_ms=job.limits.timeout_ms,
        memory_mb=job.limits.memory_mb,
        asked=job.asked,
        inputs=inputs,
        trace=job.trace,
        origin=job.origin,
    )


def more_fields(job: NewJob) -> list[str | int | bytes]:
    """Give the fields of a new record that few jobs have."""
    fields: list[str | int | bytes] = []
    if job.waiting_host:
        fields += ["wh", job.waiting_host]
    if job.idempotency_key:
        fields += ["ik", job.idempotency_key]
    if job.subscriber:
        fields += _subscriber_fields(job.subscriber, job.callback_progress_seconds)
    return fields


def _subscriber_fields(subscriber: Subscriber, progress_seconds: float) -> list[str | int | bytes]:
    letters = "".join(letter for step, letter in STEP_LETTERS.items() if subscriber.uri(step))
    encoded = msgspec.json.encode(subscriber)
    return ["sb", encoded, "sl", subscriber.lane, "sk", letters, "si", round(progress_seconds * 1000)]


def follower_fields(job: NewJob) -> list[str | int | bytes]:
    """Give the fields of a job that follows a run, which has all that a worker needs to know."""
    terms = replace(
        terms_of(job, has_more=True),
        queue="",
        max_concurrent=0,
        retryable=False,
        max_queue_ms=0,
        deadline_ms=0,
        max_run_ms=0,
    )
    details = replace(details_of(job), timeout_ms=0, memory_mb=0)
    return ["t", encode_record(terms), "d", encode_record(details), *more_fields(job)]


def locations_field(lengths: Mapping[str, int]) -> str:
    """Give the text that tells what of a job lies in the value store: lengths in bytes by location."""
    return "\n".join(f"{location}\t{length}" for location, length in lengths.items())


def locations_in(field: bytes) -> list[str]:
    """Read the locations of such a text."""
    return [line.partition("\t")[0] for line in field.decode().split("\n") if line]


def pairs(flat: Sequence[bytes]) -> dict[str, bytes]:
    """Give the mapping that a flat reply of names and values stands for."""
    return dict(zip(map(bytes.decode, flat[::2]), flat[1::2], strict=True))


def job_of(job_id: str, record: Mapping[str, bytes]) -> Job:
    """Read the record of a job."""
    if "t" in record and len(record["d"]) <= _LONGEST_ALIKE:
        job, log_ttl_ms = _job_of_parts(record["t"], record["d"])
    else:
        job, log_ttl_ms = _begun(*parts_of(record))
    later = {} if _LATER.isdisjoint(record) else _told_later(record, log_ttl_ms)
    return replace(job, id=job_id, created=ms_in(job_id), status=_STATUSES[record["s"]], **later)


_LATER = frozenset(
    {"st", "fi", "up", "ex", "rx", "pr", "m", "fr", "jo", "fc", "at", "out", "res", "rc", "pb"}
)
"""The fields of a job that it has not yet when it waits for its turn."""
_LONGEST_ALIKE = 1024


@lru_cache(maxsize=256)
def _job_of_parts(terms: bytes, details: bytes) -> tuple[Job, int]:
    """Read what was known from the first, which many jobs have in common."""
    return _begun(decode_terms(terms), decode_details(details))


def _begun(terms: Terms, details: Details) -> tuple[Job, int]:
    """Give what is known of a job from the first, and for how many milliseconds its log is kept."""
    job = Job(
        id="",
        process_id=terms.process_id,
        process_version=details.process_version,
        description_digest=details.description_digest,
        environment=details.environment,
        status=Status.ACCEPTED,
        created=0,
        keeps_inputs=terms.keeps_inputs,
        mode="sync" if terms.is_sync else "async",
        listed=terms.listed,
        owner=terms.owner,
        max_attempts=terms.max_attempts,
        asked=details.asked,
    )
    return job, terms.log_ttl_ms


def _told_later(record: Mapping[str, bytes], log_ttl_ms: int) -> dict[str, Any]:
    """Read what became of a job, as far as there is anything."""
    later: dict[str, Any] = {}
    names = record.keys()
    for name in names & _NUMBERS.keys():
        if value := record[name]:
            later[_NUMBERS[name]] = int(value)
    for name in names & _TEXTS.keys():
        later[_TEXTS[name]] = record[name].decode()
    finished = later.get("finished")
    changed = max(later.get("updated", 0), later.get("started", 0), finished or 0)
    if changed:
        later["updated"] = changed
    if log_ttl_ms and finished:
        later["log_expires"] = finished + log_ttl_ms
    if "jo" in names:
        later["is_joined"] = True
    if "rx" in record and "out" not in record:
        later["has_results"] = False
    if "res" in record:
        told = decode_told(record["res"])
        later |= {"outputs": told.outputs, "values": told.values, "problem": told.problem}
    else:
        later |= {"outputs": outputs_of(record.get("out")), "problem": problem_of(record.get("pb"))}
    return later


_NUMBERS = {
    "st": "started",
    "fi": "finished",
    "up": "updated",
    "ex": "expires",
    "rx": "results_expire",
    "pr": "progress",
    "fc": "results_age_ms",
    "at": "attempt",
}
_TEXTS = {"m": "message", "fr": "run_id", "rc": "reason"}
_STATUSES = {status.encode(): status for status in Status}


def parts_of(record: Mapping[str, bytes]) -> tuple[Terms, Details]:
    """Read what was known of a job from the first."""
    if "t" in record:
        return decode_terms(record["t"]), decode_details(record["d"])
    return _parts_before(record)


def _parts_before(record: Mapping[str, bytes]) -> tuple[Terms, Details]:
    """Read the same from a record of the version before this one, which had a field for each."""

    def number(name: str) -> int:
        return int(record.get(name, 0))

    terms = Terms(
        process_id=_text(record, "p"),
        queue=_text(record, "q"),
        listed=record.get("li") != b"0",
        has_subscriber=record.get("li") == b"c",
        ttl_ms=number("tt"),
        max_concurrent=number("mc"),
        keeps_inputs="ki" in record,
        retryable="rt" in record,
        max_attempts=number("ma") or 1,
        log_ttl_ms=number("kl"),
        shared_as=_text(record, "sd"),
        max_run_ms=number("mr"),
        is_sync=record.get("mo") == b"s",
        owner=_text(record, "ow"),
    )
    details = Details(
        process_version=_text(record, "pv"),
        description_digest=_text(record, "pd"),
        environment=_text(record, "e") or "default",
        timeout_ms=number("ti"),
        memory_mb=number("me"),
        asked=asked_of(record.get("as")),
        inputs=decode_inputs(record["in"]) if "in" in record else None,
    )
    return terms, details


def asked_of(data: bytes | None) -> AskedResults:
    """Read what a caller asked for; nothing is written where that is the usual."""
    return _asked_decoder.decode(data) if data else AskedResults()


def _text(record: Mapping[str, bytes], name: str) -> str:
    return record[name].decode() if name in record else ""


def outputs_of(data: bytes | None) -> dict[str, OutputValue]:
    """Read which outputs a job has."""
    return _outputs_decoder.decode(data) if data else {}


def problem_of(data: bytes | None) -> JobProblem | None:
    """Read why a job failed."""
    return _problem_decoder.decode(data) if data else None


class Told(Struct, frozen=True, array_like=True):
    """The end of a job as the host that waits for it is told, and as the record of an unlisted job keeps it."""

    status: Status
    outputs: dict[str, OutputValue] = {}
    values: dict[str, bytes] = {}
    problem: JobProblem | None = None


def job_as_accepted(job: NewJob) -> Job:
    """Give the job as its record reads right after it was accepted."""
    return job_as_told(job, Told(status=Status.ACCEPTED))


def job_as_told(job: NewJob, told: Told) -> Job:
    """Give a job with the state that its host knows it to have."""
    return Job(
        id=job.id,
        process_id=job.process_id,
        process_version=job.process_version,
        environment=job.environment,
        status=told.status,
        created=ms_in(job.id),
        listed=job.listed,
        asked=job.asked,
        max_attempts=job.limits.max_attempts,
        outputs=told.outputs,
        values=told.values,
        problem=told.problem,
    )


_told_encoder = msgspec.msgpack.Encoder()
_told_decoder = msgspec.msgpack.Decoder(Told)


def encode_told(told: Told) -> bytes:
    """Give the bytes of what a waiting host is told."""
    return _told_encoder.encode(told)


def decode_told(data: bytes) -> Told:
    """Read what a waiting host is told."""
    return _told_decoder.decode(data)


class StoredInput(Struct, frozen=True, array_like=True):
    """One input value in the store: its JSON document, or where in the value store that lies."""

    data: bytes = b""
    media_type: str = ""
    location: str = ""


class PinnedInput(StoredInput, frozen=True, array_like=True):
    """An input whose document names what was uploaded."""

    pinned: dict[str, int] = {}
    """The places of that in the value store which belong to the job alone, and how many bytes each has."""


def lengths_elsewhere(value: StoredInput, length: int = 0) -> dict[str, int]:
    """Give where in the value store an input lies, and how many bytes there.

    Args:
        value: The input.
        length: Of its document.
    """
    lengths = {value.location: length} if value.location else {}
    return {**lengths, **value.pinned} if isinstance(value, PinnedInput) else lengths


_encoder = msgspec.msgpack.Encoder()
_input_decoder = msgspec.msgpack.Decoder(StoredInput)
_inputs_decoder = msgspec.msgpack.Decoder(dict[str, StoredInput])
_IN_RECORD_BYTES = 16 * 1024
"""Of all inputs, or all values, of a job that is in no list."""
_IN_LISTED_RECORD_BYTES = 250
"""Of all inputs, or of all that is told of its end.

A store keeps a record close together while no field has more than 256 bytes.
"""


def encode_input(value: StoredInput) -> bytes:
    """Give the bytes of one input as the store keeps it."""
    return _encoder.encode(value)


def encode_inputs(inputs: Mapping[str, StoredInput]) -> bytes:
    """Give the bytes of inputs that are one field of a record, or a part of its details."""
    return _encoder.encode(inputs)


def encode_number(number: int) -> bytes:
    """Give the bytes of a number in a field of a record."""
    return _encoder.encode(number)


def decode_input(data: bytes) -> StoredInput:
    """Read one input as the store keeps it."""
    return _input_decoder.decode(data)


def decode_inputs(data: bytes) -> dict[str, StoredInput]:
    """Read inputs that are one field of a record."""
    return _inputs_decoder.decode(data)


def inputs_field(job: NewJob, inputs: Mapping[str, StoredInput]) -> bytes | None:
    """Give the field that small inputs of a listed job are in its record until it ends; None: they are not."""
    if not job.listed or job.keep_inputs or _length(inputs) > _IN_LISTED_RECORD_BYTES:
        return None
    encoded = encode_inputs(inputs)
    return encoded if len(encoded) <= _IN_LISTED_RECORD_BYTES else None


def told_field(told: Told, *, listed: bool) -> bytes | None:
    """Give the field that the end of a job is in its record, with its small values; None: they are larger."""
    most_bytes = _IN_LISTED_RECORD_BYTES if listed else _IN_RECORD_BYTES
    if sum([len(value) for value in told.values.values()]) > most_bytes:
        return None
    encoded = encode_told(told)
    return encoded if not listed or len(encoded) <= most_bytes else None


def are_details(job: NewJob, inputs: Mapping[str, StoredInput]) -> bool:
    """Whether inputs are among the details: of an unlisted job, which is short-lived, also longer ones."""
    return not job.listed and not job.keep_inputs and _length(inputs) <= _IN_RECORD_BYTES


def _length(inputs: Mapping[str, StoredInput]) -> int:
    return sum([len(value.data) for value in inputs.values()])


class Taken(Struct, frozen=True, array_like=True):
    """A job as its runner is told of it where that is one answer."""

    job_id: str
    attempt: int
    terms: Terms
    details: Details
    inputs: dict[str, StoredInput]


_terms_decoder = msgspec.msgpack.Decoder(Terms)
_details_decoder = msgspec.msgpack.Decoder(Details)
_taken_decoder = msgspec.msgpack.Decoder(Taken)


def encode_record(part: Terms | Details) -> bytes:
    """Give the bytes of what a record has of a job from the first."""
    return _encoder.encode(part)


def decode_terms(data: bytes) -> Terms:
    """Read what was decided of a job."""
    return _terms_decoder.decode(data)


def decode_details(data: bytes) -> Details:
    """Read what else was known of a job from the first."""
    return _details_decoder.decode(data)


def decode_taken(data: bytes) -> Taken:
    """Read what a runner is told of a job."""
    return _taken_decoder.decode(data)


def pack(items: Sequence[str | int]) -> bytes:
    """Give small values as one argument of a script, which `cmsgpack.unpack` gives back one by one.

    What follows one another so is unpacked together.
    """
    return _encoder.encode(items)[1 if len(items) < 16 else 3 :]  # without the head of an array
