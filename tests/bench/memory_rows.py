"""Workloads whose measure is the memory of processes."""

import asyncio
import base64
import http.client
import os
import statistics
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from tests.acceptance.service import Service
from tests.bench.bench import Bench
from tests.bench.rows import Budget, Row
from tests.bench.services import parts_of

MEGABYTES = 100
IDLE_SECONDS = 2.0


async def idle(bench: Bench) -> None:
    """What host, worker and executor hold on their own, after one job."""
    with ExitStack() as stack:
        folder = bench.new_folder("idle")
        service = stack.enter_context(
            Service(folder, "--data-dir", str(folder / "data"), environ={"FASTPROCESSES_SLOTS": "1"})
        )
        assert service.execute("echo", {"message": "one"}).status == 200
        await asyncio.sleep(IDLE_SECONDS)
        parts = {part: _pss_mb(found) for part, found in parts_of(service).items()}
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


def _pss_mb(processes: list[psutil.Process]) -> float:
    return sum(process.memory_full_info().pss for process in processes) / 2**20


async def streamed(bench: Bench) -> None:
    """100 MB of bytes out of a process and into one: what host and worker hold more than when idle, at most."""
    with ExitStack() as stack:
        service = bench.start(stack, slots="1", max_body_bytes=str(200 * 2**20))
        body = b'{"inputs":{"data":"' + base64.b64encode(os.urandom(MEGABYTES * 1_000_000)) + b'"}}'
        for name, work in (("out", _out), ("in, base64 in the body", lambda service: _in(service, body))):
            work(service)  # what is imported and allocated once is not counted
            rounds = [_extra_mb(service, work) for _ in range(bench.rounds)]
            for part in ("host", "worker"):
                extra = statistics.median(found[part] for found in rounds)
                bench.note(
                    Row(
                        name=f"{MEGABYTES} MB binary {name}: extra memory of the {part}",
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


def _out(service: Service) -> None:
    accepted = service.execute("blob", {"megabytes": MEGABYTES}, asynchronous=True)
    service.await_status(accepted.headers["Location"], "successful", seconds=60)
    path = urlsplit(accepted.headers["Location"]).path + "/results/result"
    address = urlsplit(service.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        length = 0
        while chunk := answer.read(1_000_000):
            length += len(chunk)
    finally:
        connection.close()
    assert length == MEGABYTES * 1_000_000, length
    service.ask("DELETE", accepted.headers["Location"])


def _in(service: Service, body: bytes) -> None:
    answer = service.ask("POST", "/processes/size/execution", body, seconds=120)
    assert answer.status == 200, answer.body[:500]
    assert answer.json == MEGABYTES * 1_000_000, answer.body[:200]
