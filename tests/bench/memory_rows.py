"""Workloads whose measure is the memory of processes."""

import asyncio
import base64
import http.client
import os
import statistics
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import chain, repeat
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from tests.acceptance.service import Service
from tests.bench.bench import Bench
from tests.bench.rows import Budget, Row
from tests.bench.services import parts_of
from tests.object_store import BUCKET, OPTIONS, s3_server

WARM_MEGABYTES = 20
IDLE_SECONDS = 2.0


async def idle(bench: Bench) -> None:
    """What host, worker and executor hold on their own, after one job."""
    for _ in range(2):  # as it is from the second start on: the first one may have to compile modules
        parts = await _idle_parts(bench)
    counted = {part: parts[part] for part in ("host", "worker", "executor")}
    total = sum(counted.values())
    bench.note(
        Row(
            name="idle PSS: host, worker, executor",
            measured=f"{total:.4g} MB",
            value=total,
            unit="MB",
            budget=Budget(110, 90),
        )
    )
    bench.remark("Idle PSS: " + ", ".join(f"{part} {held:.1f} MB" for part, held in parts.items()) + ".")


async def _idle_parts(bench: Bench) -> dict[str, float]:
    with ExitStack() as stack:
        folder = bench.new_folder("idle")
        service = stack.enter_context(
            Service(folder, "--data-dir", str(folder / "data"), environ={"FASTPROCESSES_SLOTS": "1"})
        )
        assert service.execute("echo", {"message": "one"}).status == 200
        await asyncio.sleep(IDLE_SECONDS)
        return {part: _pss_mb(found) for part, found in parts_of(service).items()}


def _pss_mb(processes: list[psutil.Process]) -> float:
    return sum(process.memory_full_info().pss for process in processes) / 2**20


async def streamed(bench: Bench) -> None:
    """100 MB of bytes out of a process and into one: what host and worker hold more than when idle, at most."""
    with ExitStack() as stack:
        _stream(bench, bench.start(stack, **_limits(bench)), "")


async def streamed_s3(bench: Bench) -> None:
    """The same with an object store as the value store."""
    with ExitStack() as stack:
        url = bench.s3_url or stack.enter_context(s3_server()).url
        options = {f"value_store__{name}": text for name, text in OPTIONS.items()}
        service = bench.start(
            stack,
            value_store_url=f"s3://{BUCKET}/bench",
            value_store__endpoint=url,
            value_store_timeout_seconds="300",  # the server of the tests puts parts together without a sign of life
            **options,
            **_limits(bench),
        )
        _stream(bench, service, ", S3")


def _limits(bench: Bench) -> dict[str, str]:
    most = str(2 * bench.megabytes * 1_000_000)
    return {"slots": "1", "max_body_bytes": most, "max_value_bytes": most}


def _stream(bench: Bench, service: Service, where: str) -> None:
    for name, work in (("out", _out), ("in, base64 in the body", _in)):
        work(service, WARM_MEGABYTES)  # what is imported and allocated once is not counted
        rounds = [_extra_mb(service, partial(work, megabytes=bench.megabytes)) for _ in range(bench.rounds)]
        for part in ("host", "worker"):
            extra = statistics.median(found[part] for found in rounds)
            bench.note(
                Row(
                    name=f"{bench.megabytes} MB binary {name}{where}: extra memory of the {part}",
                    measured=f"{extra:.3g} MB",
                    value=extra,
                    unit="MB",
                    budget=Budget(16),
                )
            )


def _extra_mb(service: Service, work: Callable[[Service], None]) -> dict[str, float]:
    """Give the peak of each part's resident memory above what it held before."""
    parts = {part: found for part, found in parts_of(service).items() if part in ("host", "worker")}
    before = {process.pid: process.memory_info().rss for found in parts.values() for process in found}
    for pid in before:
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak begins anew
    work(service)
    return {
        part: sum(_peak_bytes(process.pid) - before[process.pid] for process in found) / 1e6
        for part, found in parts.items()
    }


def _peak_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def _out(service: Service, megabytes: int) -> None:
    accepted = service.execute("blob", {"megabytes": megabytes}, asynchronous=True)
    service.await_status(accepted.headers["Location"], "successful", seconds=600)
    with _connection(service) as connection:
        connection.request("GET", urlsplit(accepted.headers["Location"]).path + "/results/result")
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        length = 0
        while chunk := answer.read(1_000_000):
            length += len(chunk)
    assert length == megabytes * 1_000_000, length
    service.ask("DELETE", accepted.headers["Location"])


def _in(service: Service, megabytes: int) -> None:
    before, piece, after = b'{"inputs":{"data":"', base64.b64encode(os.urandom(999_999)), b'"}}'
    length = len(before) + megabytes * len(piece) + len(after)
    with _connection(service) as connection:
        connection.request(
            "POST",
            "/processes/size/execution",
            chain([before], repeat(piece, megabytes), [after]),
            {"Content-Type": "application/json", "Content-Length": str(length), "Prefer": "respond-async"},
        )
        answer = connection.getresponse()
        told = answer.read()
        assert answer.status == 201, told
        job = answer.headers["Location"]
    service.await_status(job, "successful", seconds=600)
    counted = service.ask("GET", job + "/results/result")
    assert counted.json == megabytes * 999_999, counted.body[:200]
    service.ask("DELETE", job)


@contextmanager
def _connection(service: Service) -> Iterator[http.client.HTTPConnection]:
    address = urlsplit(service.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=600)
    try:
        yield connection
    finally:
        connection.close()
