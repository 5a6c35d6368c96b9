"""The record of a job ⇄ `Job`. Field names are short because a million records repeat them."""

from collections.abc import Iterable, Mapping

import msgspec
from msgspec import Struct

from fastprocesses_host.ogc.jobs import AskedResults, Job, JobProblem, OutputValue, Status
from fastprocesses_host.ogc.subscribers import Step, Subscriber
from fastprocesses_host.store.ids import created_ms

_asked_decoder = msgspec.json.Decoder(AskedResults)
_problem_decoder = msgspec.json.Decoder(JobProblem)
_outputs_decoder = msgspec.json.Decoder(dict[str, OutputValue])

STEP_LETTERS: dict[Step, str] = {"progress": "p", "success": "s", "failure": "f"}
"""What the scripts call the steps that subscribers are told of."""
ANYBODY = "-"
"""The caller of jobs whose caller is not known."""


class Limits(Struct, frozen=True, kw_only=True):
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


def record_fields(job: NewJob) -> list[str | int | bytes]:
    """Give the fields of a new record beside its state; what is empty is left out."""
    limits = job.limits
    fields: dict[str, str | int | bytes | None] = {
        "v": 1,
        "p": job.process_id,
        "q": job.queue,
        "cl": job.caller,
        "wh": job.waiting_host,
        "mc": limits.max_concurrent or None,
        "mq": round(limits.max_queue_seconds * 1000),
        "pv": job.process_version,
        "pd": job.description_digest,
        "e": job.environment if job.environment != "default" else None,
        "mo": "s" if job.mode == "sync" else None,
        "li": "c" if job.subscriber else None if job.listed else "0",
        "ow": job.owner,
        "tt": round(limits.ttl_seconds * 1000),
        "ti": round(limits.timeout_seconds * 1000),
        "mr": round(limits.max_run_seconds * 1000),
        "me": limits.memory_mb or None,
        "rt": "1" if limits.retryable else None,
        "ma": limits.max_attempts if limits.max_attempts > 1 else None,
        "dl": job.deadline_ms,
        "as": None if job.asked == AskedResults() else msgspec.json.encode(job.asked).decode(),
        "ki": "1" if job.keep_inputs else None,
        "kr": round(limits.results_ttl_seconds * 1000) or None,
        "kl": round(limits.log_ttl_seconds * 1000) or None,
        "tr": job.trace,
        "or": job.origin,
        "ik": job.idempotency_key,
        "sd": job.shared_as,
    }
    if job.subscriber:
        fields |= _subscriber_fields(job.subscriber, job.callback_progress_seconds)
    return [part for name, value in fields.items() if value not in (None, "") for part in (name, value)]


def _subscriber_fields(subscriber: Subscriber, progress_seconds: float) -> dict[str, str | int | bytes]:
    letters = "".join(letter for step, letter in STEP_LETTERS.items() if subscriber.uri(step))
    encoded = msgspec.json.encode(subscriber)
    return {"sb": encoded, "sl": subscriber.lane, "sk": letters, "si": round(progress_seconds * 1000)}


_OF_RUNS = frozenset(("q", "cl", "mc", "mq", "ti", "mr", "me", "rt", "dl"))


def follower_fields(job: NewJob) -> list[str | int | bytes]:
    """Give the fields of a job that follows a run, which has all that a worker needs to know."""
    fields = record_fields(job)
    names = zip(fields[::2], fields[1::2], strict=True)
    return [part for name, value in names if name not in _OF_RUNS for part in (name, value)]


def locations_field(lengths: Mapping[str, int]) -> str:
    """Give the text that tells what of a job lies in the value store: lengths in bytes by location."""
    return "\n".join(f"{location}\t{length}" for location, length in lengths.items())


def locations_in(field: bytes) -> list[str]:
    """Read the locations of such a text."""
    return [line.partition("\t")[0] for line in field.decode().split("\n") if line]


def pairs(flat: Iterable[bytes]) -> dict[str, bytes]:
    """Give the mapping that a flat reply of names and values stands for."""
    items = iter(flat)
    return {name.decode(): value for name, value in zip(items, items, strict=True)}


def job_of(job_id: str, record: Mapping[str, bytes]) -> Job:
    """Read the record of a job."""

    def number(name: str) -> int | None:
        value = record.get(name)
        return None if value is None else int(value)

    told = decode_told(record["res"]) if "res" in record else None
    return Job(
        id=job_id,
        process_id=_text(record, "p"),
        process_version=_text(record, "pv"),
        description_digest=_text(record, "pd"),
        environment=_text(record, "e") or "default",
        status=Status(_text(record, "s")),
        created=created_ms(job_id),
        started=number("st"),
        finished=number("fi"),
        updated=number("up"),
        expires=number("ex"),
        results_expire=number("rx"),
        has_results="rx" not in record or "out" in record,
        log_expires=None
        if "kl" not in record or "fi" not in record
        else int(record["fi"]) + int(record["kl"]),
        keeps_inputs="ki" in record,
        progress=number("pr"),
        message=_text(record, "m"),
        run_id=_text(record, "fr"),
        is_joined="jo" in record,
        results_age_ms=number("fc"),
        mode="sync" if record.get("mo") == b"s" else "async",
        listed=record.get("li") != b"0",
        owner=_text(record, "ow"),
        attempt=number("at") or 0,
        max_attempts=number("ma") or 1,
        asked=asked_of(record.get("as")),
        outputs=told.outputs if told else outputs_of(record.get("out")),
        values=told.values if told else {},
        reason=_text(record, "rc"),
        problem=told.problem if told else problem_of(record.get("pb")),
    )


def asked_of(data: bytes | None) -> AskedResults:
    """Read what a caller asked for; nothing is written where that is the usual."""
    return _asked_decoder.decode(data) if data else AskedResults()


def _text(record: Mapping[str, bytes], name: str) -> str:
    return record.get(name, b"").decode()


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
        created=created_ms(job.id),
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


_input_encoder = msgspec.msgpack.Encoder()
_input_decoder = msgspec.msgpack.Decoder(StoredInput)
_inputs_decoder = msgspec.msgpack.Decoder(dict[str, StoredInput])
_IN_RECORD_BYTES = 16 * 1024


def encode_input(value: StoredInput) -> bytes:
    """Give the bytes of one input as the store keeps it."""
    return _input_encoder.encode(value)


def decode_input(data: bytes) -> StoredInput:
    """Read one input as the store keeps it."""
    return _input_decoder.decode(data)


def is_small(job: NewJob, inputs: Mapping[str, StoredInput]) -> bool:
    """Whether the inputs go into the record: that of an unlisted job is short-lived, and its run alone reads it."""
    size = sum(len(value.data) for value in inputs.values())
    return not job.listed and not job.keep_inputs and size <= _IN_RECORD_BYTES


def encode_inputs(values: Mapping[str, StoredInput]) -> bytes:
    """Give the bytes of all inputs as a record keeps them."""
    return _input_encoder.encode(values)


def decode_inputs(data: bytes) -> dict[str, StoredInput]:
    """Read all inputs as a record keeps them."""
    return _inputs_decoder.decode(data)
