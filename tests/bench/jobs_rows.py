"""Workloads with very many jobs in the store: lists, filters, memory, expiry."""

import os
import statistics
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from io import FileIO
from pathlib import Path
from socket import AF_UNIX, socket
from typing import NamedTuple

import msgspec
import redis
from fastprocesses_host.store.keys import Keys

from tests.acceptance.service import Service
from tests.bench.bench import Bench
from tests.bench.client import asks, connections, p50, percentile, request
from tests.bench.rows import Budget, Row
from tests.bench.seed import Wanted, seed
from tests.bench.services import private_store_url, shipped_store
from tests.support import wait_until

FEW = 100
EXPIRING_A_ROUND = 20_000
SPAN_SECONDS = 3 * 86_400.0


def _single_filters() -> dict[str, str]:
    begin, end = (datetime.now(UTC) - timedelta(seconds=SPAN_SECONDS * share) for share in (0.7, 0.3))
    interval = f"{begin:%Y-%m-%dT%H:%M:%SZ}/{end:%Y-%m-%dT%H:%M:%SZ}"
    return {
        "GET /jobs": "/jobs",
        "GET /jobs?status=failed": "/jobs?status=failed",
        "GET /jobs?processID=echo": "/jobs?processID=echo",
        "GET /jobs?datetime=…/…": f"/jobs?datetime={interval}",
        "GET /jobs?minDuration=10": "/jobs?minDuration=10",
    }


RARE = {
    "GET /jobs?minDuration=599": "/jobs?minDuration=599",
    "GET /jobs?processID=echo&status=dismissed&minDuration=599": (
        "/jobs?processID=echo&status=dismissed&minDuration=599"
    ),
    "GET /jobs?processID=rare&status=failed&maxDuration=0": "/jobs?processID=rare&status=failed&maxDuration=0",
}
"""Filters of which no index knows the whole: hardly any job fits them."""


async def lists(bench: Bench) -> None:
    """Pages of the job list, whole and filtered, of many jobs against those of a hundred; rare combinations."""
    with ExitStack() as stack:
        few = _seeded(bench, stack, FEW)
        many = _seeded(bench, stack, bench.jobs)
        for name, path in _single_filters().items():
            await bench.versus(
                f"{name}, p50, {bench.jobs:,} jobs against {FEW}",
                partial(p50, few.url, asks("GET", path), bench.count(300)),
                partial(p50, many.url, asks("GET", path), bench.count(300)),
                Budget(1.5, 1.0),
                unit="ms",
            )
        for name, path in RARE.items():
            found = await _first_page(many.url, path)
            await bench.versus(
                f"{name}: {found}, against an unfiltered page",
                partial(p50, many.url, asks("GET", "/jobs"), bench.count(300)),
                partial(p50, many.url, asks("GET", path), bench.count(100)),
                Budget(20, 10),
                unit="ms",
            )


def _seeded(bench: Bench, stack: ExitStack, jobs: int) -> Service:
    """Start a host on a store with so many jobs. Nothing is written to the disk: it is only read."""
    url = stack.enter_context(shipped_store(bench.new_folder("store"), "--appendonly", "no"))
    seeded = seed(url, Wanted(jobs=jobs, span_seconds=SPAN_SECONDS))
    if jobs >= 10_000:
        bench.remark(
            f"{jobs:,} jobs were seeded in {seeded.seconds:.1f} s and take "
            f"{seeded.store_bytes / jobs / 1000:.3f} kB of the store each."
        )
    return bench.start(stack, "--redis-url", url, "--with-worker")


async def _first_page(url: str, path: str) -> str:
    """Tell how many jobs the first page has, and whether another one follows."""
    async with connections(url, 1) as (connection,):
        page = (await connection.ask(request("GET", path))).json
    follows = any(link["rel"] == "next" for link in page["links"])
    return f"{len(page['jobs'])} jobs" + (" and a next one" if follows else "")


async def store_memory(bench: Bench) -> None:
    """What the store needs for each job that ended, measured on very many of them."""
    count = max(bench.count(100_000), 10_000)
    with ExitStack() as stack:
        url = stack.enter_context(shipped_store(bench.new_folder("store"), "--appendonly", "no"))
        wanted = Wanted(jobs=count, processes=("echo",), owners=("",), ends=(("successful", 1),))
        each = seed(url, wanted).store_bytes / count / 1000
    bench.note(
        Row(
            name="store memory of a finished echo, its result included",
            measured=f"{each:.3f} kB",
            value=each,
            unit="kB",
            budget=Budget(1.2, 0.8),
        )
    )


class _Expiry(msgspec.Struct, frozen=True, kw_only=True):
    """What one round told; calm is as long a time in which nothing expired."""

    seconds: float
    p50_ms: float
    """Of a PING in the calm time."""
    longest_ms: float
    longest_of_store_ms: float
    """Without the time in which store or client waited for a core."""
    p99_ms: float
    calm_longest_ms: float
    calm_longest_of_store_ms: float


async def expiry(bench: Bench) -> None:
    """The longest that anybody waits for the store while worker and host remove 100,000 jobs, in five rounds."""
    count = bench.count(EXPIRING_A_ROUND)
    with ExitStack() as stack:
        url = private_store_url(bench.start(stack))
        rounds = [_expire(url, count) for _ in range(bench.rounds)]
    middle = {
        name: statistics.median(getattr(a_round, name) for a_round in rounds)
        for name in _Expiry.__struct_fields__
    }
    bench.note(
        Row(
            name=f"expiry of {bench.rounds} x {count:,} jobs, longest PING against PING p50",
            limit=f"{middle['p50_ms']:.3g} ms",
            measured=f"{middle['longest_ms']:.3g} ms",
            value=statistics.median(a_round.longest_ms / a_round.p50_ms for a_round in rounds),
            budget=Budget(100, 50),
        )
    )
    bench.remark(
        f"Expiry of {count:,} jobs took {middle['seconds']:.1f} s; 99 % of the PINGs meanwhile were answered within "
        f"{middle['p99_ms']:.3g} ms. The longest of as long a calm time in the same rounds was "
        f"{middle['calm_longest_ms']:.3g} ms. Without the time in which the store or the client of the PINGs waited "
        f"for a core, the longest was {middle['longest_of_store_ms']:.3g} ms, and "
        f"{middle['calm_longest_of_store_ms']:.3g} ms when calm."
    )


def _expire(url: str, count: int) -> _Expiry:
    """Have jobs expire, and measure as long a calm time behind it."""
    expiring = Keys.of("fp").prefix + ":exp"
    with redis.Redis.from_url(url) as client, socket(AF_UNIX) as connection:
        connection.connect(url.removeprefix("unix://"))
        seed(url, Wanted(jobs=count, expire_after_seconds=10 + count / 2500))
        _await_calm(client)
        due_seconds = client.zrange(expiring, 0, 0, withscores=True)[0][1] / 1000
        assert due_seconds > time.time(), "seeding took longer than the jobs were to live"
        time.sleep(due_seconds - time.time())
        pid = client.info("server")["process_id"]
        began, busy = time.monotonic(), []
        while client.zcount(expiring, "-inf", "+inf"):
            busy += _pings(connection, pid, 0.5)
            assert time.monotonic() < began + 300, "the jobs do not expire"
        seconds = time.monotonic() - began
        _await_calm(client)
        calm = _pings(connection, pid, seconds)
        took = sorted(ping.took_ms for ping in busy)
        return _Expiry(
            seconds=seconds,
            p50_ms=statistics.median(ping.took_ms for ping in calm),
            longest_ms=took[-1],
            longest_of_store_ms=max(ping.of_store_ms for ping in busy),
            p99_ms=percentile(took, 0.99),
            calm_longest_ms=max(ping.took_ms for ping in calm),
            calm_longest_of_store_ms=max(ping.of_store_ms for ping in calm),
        )


def _await_calm(client: redis.Redis) -> None:
    """Wait until the store rewrites its file no more."""
    wait_until(
        lambda: not client.info("persistence")["aof_rewrite_in_progress"], 60, "the end of the rewrite"
    )


class _Ping(NamedTuple):
    took_ms: float
    of_store_ms: float


def _pings(connection: socket, pid: int, seconds: float) -> list[_Ping]:
    """Ask the store, a process, again and again for so long; tell of each answer."""
    pings, until = [], time.monotonic() + seconds
    with ExitStack() as stack:
        accounts = [
            stack.enter_context(Path(path).open("rb", buffering=0))
            for path in (f"/proc/{pid}/schedstat", "/proc/thread-self/schedstat")
        ]
        waited_ns = _waited_ns(accounts)
        while (began := time.monotonic()) < until:
            connection.sendall(b"PING\r\n")
            connection.recv(64)
            took_ms = (time.monotonic() - began) * 1000
            before_ns, waited_ns = waited_ns, _waited_ns(accounts)
            pings.append(_Ping(took_ms, max(took_ms - (waited_ns - before_ns) / 1e6, 0)))
    return pings


def _waited_ns(accounts: Sequence[FileIO]) -> int:
    """Give how long these were ready to run and had no core, by the kernel's account."""
    return sum(int(os.pread(account.fileno(), 64, 0).split()[1]) for account in accounts)
