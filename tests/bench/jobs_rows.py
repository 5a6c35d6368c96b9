"""Workloads with very many jobs in the store: lists, filters, memory, expiry."""

import statistics
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from socket import AF_UNIX, socket

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
EXPIRING = 100_000
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


async def expiry(bench: Bench) -> None:
    """The longest that anybody waits for the store while worker and host remove 100,000 jobs."""
    count = bench.count(EXPIRING)
    with ExitStack() as stack:
        url = private_store_url(bench.start(stack))
        rounds = [_expire(url, count) for _ in range(bench.rounds)]
    calm, pauses, calm_pauses, seconds, usual_worst = zip(*rounds, strict=True)
    bench.note(
        Row(
            name=f"expiry of {count:,} jobs, longest PING against PING p50",
            limit=f"{statistics.median(calm):.3g} ms",
            measured=f"{statistics.median(pauses):.3g} ms",
            value=statistics.median(pause / p50_ms for pause, p50_ms in zip(pauses, calm, strict=True)),
            budget=Budget(100, 50),
        )
    )
    bench.remark(
        f"Expiry of {count:,} jobs took {statistics.median(seconds):.1f} s; 99 % of the PINGs meanwhile were answered "
        f"within {statistics.median(usual_worst):.3g} ms. The longest of as long a calm time before was "
        f"{statistics.median(calm_pauses):.3g} ms."
    )


def _expire(url: str, count: int) -> tuple[float, float, float, float, float]:
    """Give PING p50 when calm, the longest while all expires, the longest when calm, the seconds it took, p99 then."""
    expiring = Keys.of("fp").prefix + ":exp"
    with redis.Redis.from_url(url) as client:
        seed(url, Wanted(jobs=count, expire_after_seconds=30 + count / 10_000))
        _await_calm(client)
        due = client.zrange(expiring, 0, 0, withscores=True)[0][1] / 1000
        path = Path(url.removeprefix("unix://"))
        calm_seconds = min(count / 10_000 + 1, due - time.time() - 1)
        assert calm_seconds > 0, "seeding took longer than the jobs were to live"
        calm = _pings(path, time.monotonic() + calm_seconds)
        time.sleep(max(due - time.time(), 0))
        began, pings = time.monotonic(), []
        while client.zcount(expiring, "-inf", "+inf"):
            pings += _pings(path, time.monotonic() + 0.5)
            assert time.monotonic() < began + 300, "the jobs do not expire"
        seconds = time.monotonic() - began
        return percentile(calm, 0.5), max(pings), calm[-1], seconds, percentile(sorted(pings), 0.99)


def _await_calm(client: redis.Redis) -> None:
    """Wait until the store has written down what was seeded."""
    wait_until(
        lambda: not client.info("persistence")["aof_rewrite_in_progress"], 60, "the end of the rewrite"
    )


def _pings(path: Path, until: float) -> list[float]:
    """Ask again and again; give the milliseconds that each answer took, sorted."""
    took = []
    with socket(AF_UNIX) as connection:
        connection.connect(str(path))
        while (began := time.monotonic()) < until:
            connection.sendall(b"PING\r\n")
            connection.recv(64)
            took.append((time.monotonic() - began) * 1000)
    return sorted(took)
