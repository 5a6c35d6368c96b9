"""The record of a job ⇄ `Job`. Field names are short because a million records repeat them."""

from collections.abc import Iterable, Mapping

import msgspec
from msgspec import Struct

from fastprocesses_host.ogc.jobs import AskedResults, Job, JobProblem, OutputValue, Status
from fastprocesses_host.store.ids import created_ms

_asked_decoder = msgspec.json.Decoder(AskedResults)
_problem_decoder = msgspec.json.Decoder(JobProblem)
_outputs_decoder = msgspec.json.Decoder(dict[str, OutputValue])


class Limits(Struct, frozen=True, kw_only=True):
    """What a job may use, as decided when it was accepted."""

    timeout_seconds: float
    memory_mb: int
    retryable: bool = False
    max_attempts: int = 1
    max_queue_seconds: float = 86_400.0
    max_run_seconds: float = 604_800.0
    ttl_seconds: float = 604_800.0


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
    deadline_ms: int | None = None
    """Nobody waits for the job after this time of the store's clock."""
    keep_inputs: bool = False
    trace: str = ""
    origin: str = ""
    """The job that this one is a part of."""
    idempotency_key: str = ""


def record_fields(job: NewJob) -> list[str | int]:
    """Give the fields of a new record beside those of the accept script; what is empty is left out."""
    limits = job.limits
    fields: dict[str, str | int | None] = {
        "v": 1,
        "pv": job.process_version,
        "pd": job.description_digest,
        "e": job.environment if job.environment != "default" else None,
        "mo": "s" if job.mode == "sync" else None,
        "li": None if job.listed else "0",
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
        "tr": job.trace,
        "or": job.origin,
        "ik": job.idempotency_key,
    }
    return [part for name, value in fields.items() if value not in (None, "") for part in (name, value)]


def pairs(flat: Iterable[bytes]) -> dict[str, bytes]:
    """Give the mapping that a flat reply of names and values stands for."""
    items = iter(flat)
    return {name.decode(): value for name, value in zip(items, items, strict=True)}


def job_of(job_id: str, record: Mapping[str, bytes]) -> Job:
    """Read the record of a job."""

    def number(name: str) -> int | None:
        value = record.get(name)
        return None if value is None else int(value)

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
        progress=number("pr"),
        message=_text(record, "m"),
        mode="sync" if record.get("mo") == b"s" else "async",
        listed=record.get("li") != b"0",
        owner=_text(record, "ow"),
        attempt=number("at") or 0,
        max_attempts=number("ma") or 1,
        asked=_asked_decoder.decode(record["as"]) if "as" in record else AskedResults(),
        outputs=_outputs_decoder.decode(record["out"]) if "out" in record else {},
        reason=_text(record, "rc"),
        problem=_problem_decoder.decode(record["pb"]) if "pb" in record else None,
    )


def limits_of(record: Mapping[str, bytes]) -> Limits:
    """Read what a job may use from its record."""
    return Limits(
        timeout_seconds=int(record["ti"]) / 1000,
        max_run_seconds=int(record["mr"]) / 1000,
        memory_mb=int(record.get("me", 0)),
        retryable=record.get("rt") == b"1",
        max_attempts=int(record.get("ma", 1)),
    )


def _text(record: Mapping[str, bytes], name: str) -> str:
    return record.get(name, b"").decode()


class StoredInput(Struct, frozen=True, array_like=True):
    """One input value in the store: its JSON document, or where in the value store that lies."""

    data: bytes = b""
    media_type: str = ""
    location: str = ""


_input_encoder = msgspec.msgpack.Encoder()
_input_decoder = msgspec.msgpack.Decoder(StoredInput)


def encode_input(value: StoredInput) -> bytes:
    """Give the bytes of one input as the store keeps it."""
    return _input_encoder.encode(value)


def decode_input(data: bytes) -> StoredInput:
    """Read one input as the store keeps it."""
    return _input_decoder.decode(data)
