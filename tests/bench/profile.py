"""Where an execution goes, by part: `uv run python -m tests.bench.profile`.

CPU is read from the clocks of the processes while a host answers, divided by the executions; parts that have a
function of their own are timed alone, on the same bytes. The limit of a part is the least that does its work:
the bare server, msgspec on the same document, a script that does nothing, a child that sends back what it got.
"""

import argparse
import asyncio
import gc
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import psutil
import redis
import uvloop
from fastprocesses_host.catalog import OfferedProcess
from fastprocesses_host.inputs import check_request
from fastprocesses_host.ogc.execute import parse_execute_request
from fastprocesses_host.settings import Settings
from fastprocesses_host.store import operations
from fastprocesses_host.store.client import AsyncStore
from fastprocesses_host.store.ids import JobIds
from fastprocesses_host.store.keys import Keys
from fastprocesses_sdk.description import Policy, ProcessDescription

from tests.acceptance.service import Service
from tests.bench.bench import Bench
from tests.bench.client import asks, rate
from tests.bench.execution_rows import SMALL, large_collection
from tests.bench.page import PAGE, write_section
from tests.bench.services import parts_of

_ECHOING_CHILD = """
import socket, sys
line = socket.socket(fileno=int(sys.argv[1]))
while True:
    size = line.recv(8, socket.MSG_WAITALL)
    if not size:
        break
    data = line.recv(int.from_bytes(size), socket.MSG_WAITALL)
    line.sendall(size + data)
"""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A part of an execution: how long it takes, and the least that it could."""

    name: str
    ms: float
    limit_ms: float | None = None
    limit: str = ""


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """What is profiled."""

    name: str
    process_id: str
    body: bytes
    count: int
    concurrency: int

    @property
    def path(self) -> str:
        """Where it is posted to."""
        return f"/processes/{self.process_id}/execution"


async def profiled(bench: Bench, execution: Execution) -> list[Part]:
    """Give the parts of one execution: first what whole processes use, then what is in them."""
    service = bench.service
    ask, bare_ask = asks("POST", execution.path, execution.body), asks("POST", "/echo", execution.body)
    several = {"count": execution.count, "concurrency": execution.concurrency}
    bare = _serving(bench.bare_url)
    await rate(service.url, ask, **several)
    await rate(bench.bare_url, bare_ask, **several)
    rounds: list[dict[str, float]] = []
    for _ in range(bench.rounds):
        before, bare_before, commands = cpu_by_part(service), _cpu(bare), script_ms(bench.store_url)
        a_second = await rate(service.url, ask, **several)
        await rate(bench.bare_url, bare_ask, **several)
        used = {
            part: (seconds - before.get(part, 0.0)) * 1000 / execution.count
            for part, seconds in cpu_by_part(service).items()
        }
        calls, spent_ms = (now - then for now, then in zip(script_ms(bench.store_url), commands, strict=True))
        rounds.append(
            used
            | {
                "wall": 1000 / a_second,
                "bare": (_cpu(bare) - bare_before) * 1000 / execution.count,
                "scripts": spent_ms / execution.count,
                "calls": calls / execution.count,
            }
        )
    found = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
    return [
        Part(name="time between answers, on the wall", ms=found["wall"]),
        *_of_host(bench, execution, found),
        *await _of_store(bench, found),
        Part(name="worker: CPU", ms=found["worker"]),
        Part(
            name="executor: CPU",
            ms=found["executor"],
            limit_ms=executor_hop_ms(execution.body),
            limit="a child that sends the same bytes back, wall",
        ),
    ]


def _of_host(bench: Bench, execution: Execution, found: dict[str, float]) -> list[Part]:
    process = offered(bench.service, execution.process_id)
    document = msgspec.json.decode(execution.body)
    limits = Settings()

    def parse() -> Any:
        return parse_execute_request(
            execution.body,
            max_depth=limits.max_depth,
            max_number_digits=limits.max_number_digits,
            default_dialect=limits.default_dialect,
        )

    parsed = parse()
    decode_ms = alone_ms(lambda: msgspec.json.decode(execution.body))
    parse_ms, check_ms = alone_ms(parse), alone_ms(lambda: check_request(process, parsed))
    schemas = [
        (process.input_schemas[name].whole, value)
        for name, value in document["inputs"].items()
        if name in process.input_schemas
    ]
    validate_ms = alone_ms(lambda: [schema.accepts(value) for schema, value in schemas])
    encode_ms = alone_ms(lambda: msgspec.json.encode(document))
    http_ms = found["bare"] - decode_ms - encode_ms
    rest_ms = found["host"] - http_ms - parse_ms - check_ms
    bare_name = "the bare server: hypercorn, Starlette, decoding, encoding"
    return [
        Part(name="host: CPU in all", ms=found["host"], limit_ms=found["bare"], limit=bare_name),
        Part(name="- HTTP: the bare server without decoding and encoding", ms=http_ms),
        Part(name="- reading the request", ms=parse_ms, limit_ms=decode_ms, limit="msgspec decodes the body"),
        Part(name="- checking inputs", ms=check_ms, limit_ms=validate_ms, limit="the schemas alone"),
        Part(name="- the rest: layers, store client, waiting, answering", ms=rest_ms),
    ]


async def _of_store(bench: Bench, found: dict[str, float]) -> list[Part]:
    idle_ms, turn_ms = idle_script_ms(bench.store_url), await store_turn_ms(bench.store_url)
    calls = found["calls"]
    return [
        Part(name="store: CPU in all", ms=found["store"]),
        Part(
            name=f"- inside {calls:.1f} scripts",
            ms=found["scripts"],
            limit_ms=calls * idle_ms,
            limit="as many scripts that do nothing",
        ),
        Part(
            name=f"- a turn to it from the host's client, of {calls:.1f}",
            ms=turn_ms,
            limit_ms=raw_turn_ms(bench.store_url),
            limit="PING on a socket",
        ),
    ]


def cpu_by_part(service: Service) -> dict[str, float]:
    """Give the CPU seconds that host, worker, executors and store have used so far."""
    return {part: sum(map(_cpu, found)) for part, found in parts_of(service).items()}


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _serving(url: str) -> psutil.Process:
    """Find the child of ours that listens on the port of a URL."""
    port = int(url.rsplit(":", 1)[1])
    for child in psutil.Process().children():
        if any(found.laddr and found.laddr.port == port for found in child.net_connections("tcp")):
            return child
    raise LookupError(f"no child of ours serves {url}")


def script_ms(store_url: str) -> tuple[float, float]:
    """Give how many scripts the store has run, and the milliseconds it was in them."""
    with redis.Redis.from_url(store_url) as client:
        stats: dict[str, Any] = client.info("commandstats")
    scripts = [
        stats[f"cmdstat_{name}"] for name in ("eval", "evalsha", "fcall") if f"cmdstat_{name}" in stats
    ]
    return float(sum(one["calls"] for one in scripts)), sum(one["usec"] for one in scripts) / 1000


def idle_script_ms(store_url: str, count: int = 2000) -> float:
    """Give how long the store is in a script that does nothing."""
    with redis.Redis.from_url(store_url) as client:
        sha = client.script_load("return 1")
        calls, before_ms = script_ms(store_url)
        for _ in range(count):
            client.evalsha(sha, 1, "{fp}")
        after_calls, after_ms = script_ms(store_url)
    return (after_ms - before_ms) / (after_calls - calls)


async def store_turn_ms(store_url: str, count: int = 1000) -> float:
    """Give the time of the smallest operation, one after the other, through the host's own client."""
    store = AsyncStore(store_url, Keys.of("fp"))
    ids = JobIds()
    try:
        took = []
        for _ in range(count):
            began = time.perf_counter()
            await store.run(operations.job(ids.make(time.time_ns() // 1_000_000)))
            took.append((time.perf_counter() - began) * 1000)
    finally:
        await store.close()
    return statistics.median(took)


def raw_turn_ms(store_url: str, count: int = 2000) -> float:
    """Give the time of a PING on a socket, one after the other."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(store_url.removeprefix("unix://"))

        def ping() -> None:
            line.sendall(b"PING\r\n")
            line.recv(64)

        return alone_ms(ping, count)


def executor_hop_ms(body: bytes) -> float:
    """Give the time that as many bytes need to a child and back."""
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-c", _ECHOING_CHILD, str(theirs.fileno())]
    with subprocess.Popen(command, pass_fds=[theirs.fileno()]) as child, ours:
        theirs.close()
        frame = len(body).to_bytes(8) + body

        def there_and_back() -> None:
            ours.sendall(frame)
            ours.recv(len(frame), socket.MSG_WAITALL)

        took = alone_ms(there_and_back)
        ours.shutdown(socket.SHUT_WR)
        child.wait(10)
    return took


def alone_ms(work: Callable[[], object], count: int = 500, seconds: float = 2.0) -> float:
    """Give the median of the milliseconds that something takes, done again and again for a bounded time."""
    work()
    took: list[float] = []
    until = time.perf_counter() + seconds
    while len(took) < count and (began := time.perf_counter()) < until:
        work()
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


def offered(service: Service, process_id: str) -> OfferedProcess:
    """Give a process as the host offers it."""
    description = msgspec.json.decode(
        service.ask("GET", f"/processes/{process_id}").body, type=ProcessDescription
    )
    return OfferedProcess(
        description=description, policy=Policy(), digest="", environment="default", plugin="measuring"
    )


def table(parts: list[Part]) -> str:
    """Give a Markdown table of the parts."""
    lines = [("part of one execution", "ms", "limit", "what the limit is")]
    for part in parts:
        limit = "" if part.limit_ms is None else f"{part.limit_ms:.3g}"
        lines.append((part.name, f"{part.ms:.3g}", limit, part.limit))
    widths = [max(len(line[column]) for line in lines) for column in range(4)]
    shown = [
        "| " + " | ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)) + " |"
        for line in lines
    ]
    return "\n".join([shown[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *shown[1:]])


def _small(name: str, count: int, concurrency: int) -> Execution:
    return Execution(name=name, process_id="echo", body=SMALL, count=count, concurrency=concurrency)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.profile", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each (default 5)")
    parser.add_argument("--count", type=int, default=600, help="small executions a round (default 600)")
    parser.add_argument("--write", action="store_true", help=f"write the tables into {PAGE.name}")
    options = parser.parse_args()
    gc.set_threshold(50_000, 20, 100)  # as in the host
    large = b'{"inputs":{"features":' + large_collection(5_000_000) + b"}}"
    executions = [
        _small("A small echo, 16 at a time", options.count, 16),
        _small("A small echo, one at a time", options.count // 2, 1),
        Execution(
            name="5 MB of GeoJSON, one at a time",
            process_id="features-back",
            body=large,
            count=5,
            concurrency=1,
        ),
    ]
    sections = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fpbench")))
        bench = stack.enter_context(Bench(folder, rounds=options.rounds, scale=1.0, jobs=0))
        runner = stack.enter_context(asyncio.Runner(loop_factory=uvloop.new_event_loop))
        for execution in executions:
            sections.append(f"{execution.name}:\n\n" + table(runner.run(profiled(bench, execution))))
            print(sections[-1] + "\n", flush=True)
    if options.write:
        write_section("profiled", "\n\n".join(sections))


if __name__ == "__main__":
    main()
