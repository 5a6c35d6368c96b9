"""Fill a store with jobs that have ended: `uv run python -m tests.bench.seed --url redis://127.0.0.1 --jobs 1000000`.

For each kind of job one is really brought to its end, by the operations of hosts and workers; what that left in
the store is copied under other ids and times. So the copies are what the scripts write, whatever they write.
"""

import argparse
import os
import random
import re
import time
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, cast

import msgspec
import redis
from fastprocesses_host.ogc.jobs import AskedResults, Job, JobProblem, OutputValue, Status
from fastprocesses_host.settings import Settings
from fastprocesses_host.store import operations
from fastprocesses_host.store.client import Store
from fastprocesses_host.store.ids import JobIds
from fastprocesses_host.store.keys import Keys
from fastprocesses_host.store.records import Limits, NewJob, StoredInput, Told, told_field

ENDS = (("successful", 80), ("failed", 15), ("dismissed", 5))
"""How jobs end, and how many in a hundred."""
PROCESSES = ("echo", "buffer", "simplify", "rare")
"""The last one is one in ten thousand."""
OWNERS = ("", "ann", "bob")
RESULT = {"message": b'"hello"', "pause": b"0", "numbers": b"[1,2,3]"}

_AT_ONCE = 1000
_TIME = re.compile(rb"(?<!\d)\d{13}(?!\d)")
_SLOTS = {
    name: b"<" + name.encode().ljust(11, b"_") + b">"
    for name in ("created", "started", "finished", "expires")
}
"""What stands for a time in a shape: as long as a time in milliseconds, so that no length changes."""

Member = tuple[bytes, bytes]
Found = dict[bytes, tuple[bytes, dict[bytes, bytes]]]
"""Keys with their type and what they hold: members, or fields and values."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs a store is filled with."""

    jobs: int
    processes: Sequence[str] = PROCESSES
    owners: Sequence[str] = OWNERS
    ends: Sequence[tuple[str, int]] = ENDS
    span_seconds: float = 3 * 86_400.0
    """How long ago the oldest was created."""
    longest_run_seconds: float = 600.0
    ttl_seconds: float = 604_800.0
    expire_after_seconds: float | None = None
    """When all of them expire, from now; None: `ttl_seconds` after each one's end."""
    seed: int = 1


class Seeded(msgspec.Struct, frozen=True):
    """What it took."""

    jobs: int
    seconds: float
    store_bytes: int
    """By how much the store's memory grew."""


class Kind(msgspec.Struct, frozen=True):
    """What jobs of one shape have in common."""

    process_id: str
    owner: str
    end: str


class Shape(msgspec.Struct, frozen=True):
    """The commands that write one job of a kind, its id and times left open."""

    commands: bytes
    count: int
    keys: int
    """How many of the keys are the job's own."""
    id: bytes

    def of(self, job_id: str, times: dict[str, int]) -> bytes:
        """Give the commands for one job."""
        commands = self.commands.replace(self.id, job_id.encode())
        for name, slot in _SLOTS.items():
            commands = commands.replace(slot, b"%013d" % times[name])
        return commands


def seed(url: str, wanted: Wanted, *, key_prefix: str = "fp") -> Seeded:
    """Write jobs that have ended, the oldest first.

    Raises:
        LookupError: the scripts keep something of a job that cannot be copied.
    """
    keys = Keys.of(key_prefix)
    with redis.Redis.from_url(url) as client:
        shapes = {kind: shape_of(client, url, kind, keys, wanted.ttl_seconds) for kind in kinds(wanted)}
        opened = Store(url, keys)
        now_ms = opened.check()
        opened.close()
        bytes_before, keys_before = used_bytes(client), client.dbsize()
        began = time.perf_counter()
        own_keys = _write(client, _jobs(wanted, shapes, now_ms))
        seconds = time.perf_counter() - began
        shared = 2 * len(shapes) + 20
        written = client.dbsize() - keys_before
        if not own_keys <= written <= own_keys + shared:
            raise LookupError(f"{written} keys were written, not {own_keys}: is the store full?")
        return Seeded(wanted.jobs, seconds, used_bytes(client) - bytes_before)


def used_bytes(client: redis.Redis) -> int:
    """Give the memory that the store uses, what it has under way to clients and to the disk aside."""
    info = client.info("memory")
    return int(info["used_memory"] - info["mem_clients_normal"] - info.get("mem_aof_buffer", 0))


def kinds(wanted: Wanted) -> list[Kind]:
    """Give every kind of job that is wanted."""
    return [Kind(*parts) for parts in product(wanted.processes, wanted.owners, dict(wanted.ends))]


def _jobs(wanted: Wanted, shapes: dict[Kind, Shape], now_ms: int) -> Iterator[tuple[Shape, bytes]]:
    chance = random.Random(wanted.seed)
    ids = JobIds()
    *common, rare = wanted.processes
    ends, weights = zip(*wanted.ends, strict=True)
    step_ms = wanted.span_seconds * 1000 / max(wanted.jobs, 1)
    for number in range(wanted.jobs):
        created = round(now_ms - wanted.span_seconds * 1000 + number * step_ms)
        started = created + chance.randrange(5, 500)
        run_ms = int(wanted.longest_run_seconds * 1000 * chance.random() ** 4)
        finished = min(started + run_ms, now_ms)
        expires = (
            finished + wanted.ttl_seconds * 1000
            if wanted.expire_after_seconds is None
            else now_ms + wanted.expire_after_seconds * 1000
        )
        process_id = rare if number % 10_000 == 77 or not common else chance.choice(common)
        kind = Kind(process_id, chance.choice(wanted.owners), chance.choices(ends, weights)[0])
        times = {"created": created, "started": started, "finished": finished, "expires": round(expires)}
        yield shapes[kind], shapes[kind].of(ids.make(created), times)


def _write(client: redis.Redis, jobs: Iterator[tuple[Shape, bytes]]) -> int:
    """Send the commands of all jobs, unanswered; give how many keys of their own they have."""
    connection: Any = client.connection_pool.make_connection()
    own_keys, batch = 0, []
    try:
        connection.send_command("CLIENT", "REPLY", "OFF")
        for shape, commands in jobs:
            own_keys += shape.keys
            batch.append(commands)
            if len(batch) == _AT_ONCE:
                connection.send_packed_command([b"".join(batch)])
                batch.clear()
        connection.send_packed_command([b"".join(batch), *connection.pack_command("CLIENT", "REPLY", "ON")])
        connection.read_response()  # everything before it has been done
    finally:
        connection.disconnect()
    return own_keys


# Shapes


def shape_of(client: redis.Redis, url: str, kind: Kind, keys: Keys, ttl_seconds: float) -> Shape:
    """Bring two jobs of a kind to their ends under a prefix of their own: what the second one added is its shape.

    Raises:
        LookupError: something cannot be copied.
    """
    scratch = Store(url, Keys.of(f"seed-{os.getpid()}-{time.time_ns()}"))
    prefix = scratch.keys.prefix.encode()
    try:
        _run_one(scratch, kind, ttl_seconds)
        before = _found(client, prefix)
        job = _run_one(scratch, kind, ttl_seconds)
        after = _found(client, prefix)
    finally:
        if left := client.keys(_pattern(prefix)):
            client.delete(*left)
        scratch.close()
    return _shape(job, before, after, prefix, keys.prefix.encode())


def _run_one(store: Store, kind: Kind, ttl_seconds: float) -> Job:
    """Bring one job to its end as host and worker do; its times are all different."""
    settings = Settings(job_ttl_seconds=ttl_seconds)
    new = NewJob(
        id=JobIds().make(store.check()),
        process_id=kind.process_id,
        process_version="0.1.0",
        description_digest="80d1ba61fab252c0",
        environment=settings.environment,
        queue=settings.environment,
        mode="async",
        listed=True,
        owner=kind.owner,
        limits=Limits(
            timeout_seconds=settings.timeout_seconds,
            memory_mb=0,
            retryable=True,
            max_attempts=2,
            max_queue_seconds=settings.max_queue_seconds,
            max_run_seconds=settings.max_run_seconds,
            ttl_seconds=ttl_seconds,
        ),
        asked=AskedResults(),
    )
    claim = "host-1234-69e0fd71.96c9ca64f3b4a6c8"
    inputs = {"message": StoredInput(b'"hello"'), "numbers": StoredInput(b"[1,2,3]")}
    limits = operations.QueueLimits(
        jobs=settings.max_queued_jobs,
        of_caller=settings.max_queued_jobs_per_caller,
        of_process=settings.max_queued_jobs_per_process,
    )
    accepted = store.run(operations.accept(new, inputs, limits=limits))
    _pass_ms()
    slot = operations.Slot(queues=(new.queue,), lease_seconds=6)
    claimed = store.run(operations.take(slot, claim))
    _pass_ms()
    if kind.end == "dismissed":
        store.run(operations.dismiss(new.id, "96c9ca64f3b4a6c8", tombstone_seconds=60))
    store.run(_finish(new.id, claim, kind.end))
    job = store.run(operations.job(new.id))
    if claimed is None or claimed.job_id != new.id or isinstance(job, str) or job.status != kind.end:
        raise LookupError(f"no job of the kind {kind} could be run: {accepted}, {claimed}, {job}")
    return job


def _finish(job_id: str, claim: str, end: str) -> operations.Operation[operations.Finished]:
    """Give the end of a run as a worker writes it."""
    fields: dict[str, operations.Argument] = {}
    if end == "failed":
        problem = JobProblem(detail="The process exited with code 3.")
        fields = {"rc": "crashed", "pb": msgspec.json.encode(problem)}
    elif end == "successful":
        outputs = {
            name: OutputValue(form="json", media_type="application/json", length=len(value))
            for name, value in RESULT.items()
        }
        told = told_field(Told(Status.SUCCESSFUL, outputs, RESULT), listed=True)
        assert told is not None, "so little is in the record"
        fields = {"res": told, "pr": 100}
    status = cast("operations.Final", end)
    return operations.finish(job_id, claim, status, fields=fields, max_log_lines=1000)


def _pass_ms() -> None:
    time.sleep(0.003)  # the next time of the store's clock is another one


def _pattern(prefix: bytes) -> bytes:
    return prefix.replace(b"{", b"[{]").replace(b"}", b"[}]") + b"*"


def _found(client: Any, prefix: bytes) -> Found:
    """Give what lies under a prefix."""
    found: Found = {}
    for key in client.keys(_pattern(prefix)):
        kind = client.type(key)
        if kind == b"hash":
            found[key] = kind, client.hgetall(key)
        elif kind == b"zset":
            scores = client.zrange(key, 0, -1, withscores=True)
            found[key] = kind, {member: b"%d" % score for member, score in scores}
        elif kind == b"set":
            found[key] = kind, dict.fromkeys(client.smembers(key), b"")
        elif kind == b"string":
            found[key] = kind, {b"": client.get(key) or b""}
        elif kind == b"list":
            found[key] = kind, {b"%06d" % place: item for place, item in enumerate(client.lrange(key, 0, -1))}
        else:
            raise LookupError(f"{key!r} is a {kind!r}; no shape can be made of it")
    return found


def _shape(job: Job, before: Found, after: Found, prefix: bytes, new_prefix: bytes) -> Shape:
    commands: list[bytes] = []
    own_keys = 0
    for key, (kind, members) in sorted(after.items()):
        held = before.get(key, (kind, {}))[1]
        added = [pair for pair in members.items() if held.get(pair[0]) != pair[1]]
        is_own = job.id.encode() in key
        own_keys += is_own
        if not is_own and any(job.id.encode() not in member for member, _ in added):
            if _is_clockwork(key, prefix):
                continue
            raise LookupError(f"a job changes {added!r} in {key!r}, which no copy of it would do")
        if added:
            commands.append(_command(new_prefix + key.removeprefix(prefix), kind, added))
    text = b"".join(commands)
    for name, ms in (("started", job.started), ("finished", job.finished), ("expires", job.expires)):
        text = text.replace(b"%d" % (ms or 0), _SLOTS[name])
    if strange := _TIME.findall(text):
        raise LookupError(f"what are the times {strange!r} of {job}?")
    if prefix in text:
        raise LookupError(f"a value has the prefix {prefix!r} in it")
    return Shape(text, len(commands), own_keys, job.id.encode())


def _is_clockwork(key: bytes, prefix: bytes) -> bool:
    """Whether it is about workers and the store's clock, not about jobs."""
    return key.removeprefix(prefix) in (b":workers", b":ticks")


def _command(key: bytes, kind: bytes, added: list[Member]) -> bytes:
    words = {
        b"hash": lambda: [b"HSET", key, *(part for pair in added for part in pair)],
        b"zset": lambda: [b"ZADD", key, *(part for member, score in added for part in (score, member))],
        b"set": lambda: [b"SADD", key, *(member for member, _ in added)],
        b"string": lambda: [b"SET", key, added[0][1]],
        b"list": lambda: [b"RPUSH", key, *(item for _, item in sorted(added))],
    }[kind]()
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.seed", description=__doc__)
    parser.add_argument("--url", required=True, help="the store, for instance redis://127.0.0.1:6379/0")
    parser.add_argument("--jobs", type=int, default=1_000_000, help="how many (default 1000000)")
    parser.add_argument("--prefix", default="fp", help="key_prefix of the installation (default fp)")
    parser.add_argument("--processes", default=",".join(PROCESSES), help=f"default {','.join(PROCESSES)}")
    parser.add_argument(
        "--days", type=float, default=3, help="how long ago the first was created (default 3)"
    )
    parser.add_argument("--expire-after", type=float, metavar="SECONDS", help="all of them, from now")
    parser.add_argument("--seed", type=int, default=1, help="of what is left to chance (default 1)")
    options = parser.parse_args()
    wanted = Wanted(
        jobs=options.jobs,
        processes=options.processes.split(","),
        span_seconds=options.days * 86_400,
        expire_after_seconds=options.expire_after,
        seed=options.seed,
    )
    done = seed(options.url, wanted, key_prefix=options.prefix)
    print(
        f"{done.jobs} jobs in {done.seconds:.1f} s ({done.jobs / done.seconds:.0f} /s), "
        f"{done.store_bytes / max(done.jobs, 1) / 1000:.2f} kB each"
    )


if __name__ == "__main__":
    main()
