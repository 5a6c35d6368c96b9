"""The steps of a job's life in the store, one operation each, as its tests take them."""

import itertools
from typing import Any

from fastprocesses_host.ogc.jobs import AskedResults, Job
from fastprocesses_host.ogc.subscribers import Subscriber
from fastprocesses_host.store import operations
from fastprocesses_host.store.client import Store
from fastprocesses_host.store.ids import JobIds
from fastprocesses_host.store.operations import Claimed, QueueLimits, Slot
from fastprocesses_host.store.records import Limits, NewJob, StoredInput, Terms, decode_terms, encode_record
from msgspec.structs import replace

IDS = JobIds()
QUEUE = "default"
MANY = QueueLimits(jobs=1000, of_caller=1000, of_process=0)


def new_job(
    store: Store,
    *,
    queue: str = QUEUE,
    process_id: str = "echo",
    listed: bool = True,
    deadline_ms: int | None = None,
    caller: str = "somebody",
    waiting_host: str = "",
    mode: str = "async",
    keep_inputs: bool = False,
    subscriber: Subscriber | None = None,
    callback_progress_seconds: float = 0.0,
    **limits: float,
) -> NewJob:
    now_ms = store.check()
    return NewJob(
        id=IDS.make(now_ms),
        process_id=process_id,
        process_version="1.0.0",
        description_digest="abc",
        environment="default",
        queue=queue,
        mode=mode,
        listed=listed,
        caller=caller,
        waiting_host=waiting_host,
        limits=Limits(**{"timeout_seconds": 10, "memory_mb": 0, **limits}),
        asked=AskedResults(response="raw"),
        deadline_ms=deadline_ms,
        keep_inputs=keep_inputs,
        subscriber=subscriber,
        callback_progress_seconds=callback_progress_seconds,
    )


def accept(store: Store, *, limits_of_queue: QueueLimits = MANY, **options: Any) -> str:
    job = new_job(store, **options)
    answer = store.run(operations.accept(job, {"message": StoredInput(b'"hi"')}, limits=limits_of_queue))
    assert answer.outcome == "ok"
    return job.id


def slot(queues: tuple[str, ...] = (QUEUE,), lease_seconds: float = 6) -> Slot:
    return Slot(queues=queues, lease_seconds=lease_seconds)


def take(
    store: Store,
    claim: str = "c1",
    *,
    queues: tuple[str, ...] = (QUEUE,),
    lease_seconds: float = 6,
    is_again: bool = False,
) -> Claimed | None:
    return store.run(operations.take(slot(queues, lease_seconds), claim, is_again=is_again))


def taken(store: Store, claim: str = "c1", **options: Any) -> str | None:
    claimed = take(store, claim, **options)
    return claimed and claimed.job_id


def finish(store: Store, job_id: str, claim_id: str = "c1", status="successful", **more):
    return store.run(
        operations.finish(job_id, claim_id, status, fields={"rc": "x"}, max_log_lines=10, **more)
    ).outcome


def read(store: Store, job_id: str) -> Job:
    job = store.run(operations.job(job_id))
    assert isinstance(job, Job), job
    return job


def dismiss(store: Store, job_id: str, token: str):
    return store.run(operations.dismiss(job_id, token, tombstone_seconds=60))


def recover(store: Store, lease_seconds: float = 6, retry_seconds: float = 0) -> int:
    return store.run(
        operations.recover(
            lease_seconds=lease_seconds, retry_seconds=retry_seconds, worker_lost=b"{}", no_worker=b"{}"
        )
    )


def expire(store: Store) -> None:
    """Remove all that is past its time."""
    while store.run(operations.expire()):
        pass


def release(store: Store, job_id: str, claim: str = "c1", *, untouched: bool = False) -> str:
    return store.run(operations.release(job_id, claim, untouched=untouched, reason="stopped", problem=b"{}"))


def terms(store: Store, job_id: str) -> Terms:
    """What was decided of a job when it was accepted."""
    data = store.redis.hget(store.keys.job(job_id), "t")
    assert data is not None
    return decode_terms(data)


def change_terms(store: Store, job_id: str, **changes: Any) -> None:
    """Decide otherwise of a job that was accepted already."""
    changed = encode_record(replace(terms(store, job_id), **changes))
    store.redis.hset(store.keys.job(job_id), "t", changed)


def let_pass(store: Store, seconds: float) -> None:
    """Have end at once what ends within so long: what the store forgets by itself, and jobs that expire."""
    for name in all_keys(store):
        if 0 <= store.redis.pttl(store.keys.prefix + name) <= seconds * 1000:
            store.redis.pexpire(store.keys.prefix + name, 1)
    expiring, until_ms = store.keys.prefix + ":exp", store.check() + seconds * 1000
    for job_id in store.redis.zrangebyscore(expiring, 0, until_ms):
        store.redis.zadd(expiring, {job_id: 0}, xx=True)


def all_keys(store: Store) -> dict[str, bytes]:
    """Every key under the prefix, without the prefix, and of what type it is."""
    prefix = store.keys.prefix
    found = store.redis.scan_iter(prefix.replace("{", "\\{") + "*")
    return {key.decode().removeprefix(prefix): store.redis.type(key) for key in found}


def traces(store: Store, job_id: str) -> list[str]:
    """Where anything of a job is."""
    found = []
    for name, kind in all_keys(store).items():
        key = store.keys.prefix + name
        read = {
            b"zset": lambda key: store.redis.zrange(key, 0, -1),
            b"list": lambda key: store.redis.lrange(key, 0, -1),
            b"set": lambda key: store.redis.smembers(key),
            b"hash": lambda key: itertools.chain(*store.redis.hgetall(key).items()),
        }.get(kind, lambda _key: [])
        if job_id in name or any(job_id.encode() in member for member in read(key)):
            found.append(name)
    return found


STANDING = {":meta", ":ticks", ":workers", ":hosts"}
"""What is there whether or not there are jobs."""


def left_behind(store: Store) -> set[str]:
    """Keys that are there although no job is, but for tombstones, which expire."""
    return {name for name in all_keys(store) if name not in STANDING and not name.startswith(":t:")}
