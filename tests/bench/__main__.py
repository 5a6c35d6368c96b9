"""The budgets measured: `uv run python -m tests.bench`. Every figure is a ratio to a limit of the same run.

Rounds are interleaved, limit and host in turn; a ratio is the median of the rounds' ratios. The share of CPU
that the machine gave to others stands below the table: above a few per cent, measure again.
"""

import argparse
import asyncio
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
import psutil
import redis
import uvloop

from tests.acceptance.service import Service, clean_environ
from tests.bench.client import Connection, connections, percentile, rate, request, times
from tests.support import wait_until

SMALL = b'{"inputs":{"message":"hello","numbers":[1,2,3]}}'
ASYNC = "Prefer: respond-async"
CONCURRENCY = 16

PLUGIN = '''
"""Processes for measuring only."""
import time
import fastprocesses_sdk as fp

@fp.process
def features_back(features: fp.FeatureCollection) -> fp.FeatureCollection:
    """Return a collection as it came."""
    return features

@fp.process
def burn(seconds: float) -> float:
    """Use a whole core for so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(1000))
    return seconds
'''


class Row(msgspec.Struct):
    """One budget: what was measured, and what it must and should be."""

    name: str
    limit: str
    ours: str
    ratio: float
    must: float
    goal: float
    at_least: bool
    unit: str = "x"

    @property
    def verdict(self) -> str:
        def reached(bound: float) -> bool:
            return self.ratio >= bound if self.at_least else self.ratio <= bound

        return "goal" if reached(self.goal) else "must" if reached(self.must) else "MISSED"


class Bench:
    """A host and a bare server, and the rounds between them."""

    def __init__(self, service: Service, bare_url: str, store_url: str, rounds: int, scale: float) -> None:
        self.service, self.url, self.bare_url, self.store_url = service, service.url, bare_url, store_url
        self.rounds, self.scale = rounds, scale
        self.rows: list[Row] = []

    def count(self, normal: int) -> int:
        return max(int(normal * self.scale), CONCURRENCY)

    async def versus(
        self,
        name: str,
        limit: Callable[[], Awaitable[float]],
        ours: Callable[[], Awaitable[float]],
        *,
        must: float,
        goal: float,
        at_least: bool,
        unit: str,
    ) -> None:
        """Measure limit and host in turn, and note the median of the ratios."""
        await limit()
        await ours()
        pairs = [(await limit(), await ours()) for _ in range(self.rounds)]
        self.note(
            name,
            statistics.median(pair[0] for pair in pairs),
            statistics.median(pair[1] for pair in pairs),
            statistics.median(pair[1] / pair[0] for pair in pairs),
            must=must,
            goal=goal,
            at_least=at_least,
            unit=unit,
        )

    def note(
        self,
        name: str,
        limit: float | None,
        ours: float,
        ratio: float,
        *,
        must: float,
        goal: float,
        at_least: bool,
        unit: str,
    ) -> None:
        shown = "-" if limit is None else f"{limit:.4g} {unit}"
        row = Row(name, shown, f"{ours:.4g} {unit}", ratio, must, goal, at_least, "x" if limit else unit)
        self.rows.append(row)
        print(f"{name}: {row.limit} | {row.ours} | {ratio:.3g}", file=sys.stderr, flush=True)

    async def sync_rows(self) -> None:
        bare, ours = asks("POST", "/echo", SMALL), asks("POST", "/processes/echo/execution", SMALL)
        await self.versus(
            "sync echo, 16 connections",
            lambda: rate(self.bare_url, bare, count=self.count(3000), concurrency=CONCURRENCY),
            lambda: rate(self.url, ours, count=self.count(1500), concurrency=CONCURRENCY),
            must=0.45,
            goal=0.50,
            at_least=True,
            unit="/s",
        )
        await self.versus(
            "sync echo one at a time, p50",
            lambda: p50(self.bare_url, bare, self.count(1000)),
            lambda: p50(self.url, ours, self.count(400)),
            must=8,
            goal=6,
            at_least=False,
            unit="ms",
        )

    async def async_rows(self) -> None:
        bare = asks("POST", "/echo", SMALL)
        for name, ask_status, must, goal in (
            ("async accept to final, no polls", False, 0.50, 0.65),
            ("async with one status request", True, 0.33, 0.42),
        ):
            await self.versus(
                name,
                lambda: rate(self.bare_url, bare, count=self.count(3000), concurrency=CONCURRENCY),
                lambda ask_status=ask_status: self.async_rate(self.count(1500), ask_status),
                must=must,
                goal=goal,
                at_least=True,
                unit="/s",
            )
        await self.versus(
            "submit to successful, idle, p50",
            lambda: p50(self.bare_url, bare, self.count(1000)),
            lambda: p50(self.url, self.to_its_end, self.count(200)),
            must=12,
            goal=9,
            at_least=False,
            unit="ms",
        )

    async def async_rate(self, count: int, ask_status: bool) -> float:
        """Submit so many jobs; give how many a second became final."""
        submitted: list[str] = []
        submit = request("POST", "/processes/echo/execution", SMALL, ASYNC)

        async def work(connection: Connection) -> None:
            accepted = await connection.ask(submit)
            assert accepted.status == 201, accepted
            path = "/jobs/" + accepted.header("Location").rsplit("/", 1)[1]
            submitted.append(path)
            if ask_status:
                assert (await connection.ask(request("GET", path))).status == 200

        began = time.perf_counter()
        await rate(self.url, work, count=count, concurrency=CONCURRENCY)
        async with connections(self.url, 1) as (connection,):
            for path in submitted[-2 * CONCURRENCY :]:
                while (await connection.ask(request("GET", path))).json["status"] != "successful":
                    await asyncio.sleep(0.005)
            took = time.perf_counter() - began
            for path in submitted[:: max(len(submitted) // 50, 1)]:
                assert (await connection.ask(request("GET", path))).json["status"] == "successful"
        return count / took

    async def to_its_end(self, connection: Connection) -> None:
        """Submit one job and ask until it is successful."""
        accepted = await connection.ask(request("POST", "/processes/echo/execution", SMALL, ASYNC))
        ask = request("GET", "/jobs/" + accepted.header("Location").rsplit("/", 1)[1])
        while (await connection.ask(ask)).json["status"] != "successful":
            pass

    async def description_rows(self) -> None:
        for path, file in (("/processes", "processes"), ("/processes/echo", "process")):
            await self.versus(
                f"GET {path}",
                lambda file=file: rate(self.bare_url, asks("GET", f"/{file}"), count=self.count(3000)),
                lambda path=path: rate(self.url, asks("GET", path), count=self.count(3000)),
                must=0.85,
                goal=0.95,
                at_least=True,
                unit="/s",
            )

    async def large_row(self) -> None:
        features = large_collection(5_000_000)
        body = b'{"inputs":{"features":' + features + b"}}"
        await self.versus(
            f"{len(body) / 1e6:.1f} MB GeoJSON sync echo, p50",
            lambda: p50(self.bare_url, asks("POST", "/echo", body), 5),
            lambda: p50(self.url, asks("POST", "/processes/features-back/execution", body), 5),
            must=1.5,
            goal=1.0,
            at_least=False,
            unit="ms",
        )

    async def busy_row(self, slots: int) -> None:
        ask = asks("GET", "/processes/echo")

        async def p99() -> float:
            return percentile(await times(self.url, ask, count=self.count(500)), 0.99)

        async def p99_busy() -> float:
            body = b'{"inputs":{"seconds":4}}'
            async with connections(self.url, 1) as (connection,):
                paths = []
                for _ in range(slots):
                    accepted = await connection.ask(request("POST", "/processes/burn/execution", body, ASYNC))
                    paths.append("/jobs/" + accepted.header("Location").rsplit("/", 1)[1])
                for path in paths:
                    while (await connection.ask(request("GET", path))).json["status"] == "accepted":
                        await asyncio.sleep(0.02)
                found = await p99()
                for path in paths:
                    await connection.ask(request("DELETE", path))
            return found

        await self.versus(
            "GET p99 while CPU-bound jobs fill all slots",
            p99,
            p99_busy,
            must=5,
            goal=3,
            at_least=False,
            unit="ms",
        )

    async def store_memory_row(self) -> None:
        count = self.count(2000)
        with redis.Redis.from_url(self.store_url) as client:
            await self.async_rate(count, ask_status=False)
            before = client.info("memory")["used_memory"]
            await self.async_rate(count, ask_status=False)
            each = (client.info("memory")["used_memory"] - before) / count / 1000
        self.note(
            "store memory of a finished job, its result included",
            None,
            each,
            each,
            must=1.2,
            goal=0.8,
            at_least=False,
            unit="kB",
        )


def asks(method: str, path: str, body: bytes = b"") -> Callable[[Connection], Awaitable[None]]:
    """Give the work of one request that must succeed."""
    data = request(method, path, body)

    async def work(connection: Connection) -> None:
        answer = await connection.ask(data)
        assert answer.status == 200, answer

    return work


async def p50(url: str, work: Callable[[Connection], Awaitable[None]], count: int) -> float:
    """Give the median of the milliseconds, after a few to warm up."""
    await times(url, work, count=3)
    return percentile(await times(url, work, count=count), 0.5)


def large_collection(size: int) -> bytes:
    """Give a FeatureCollection of about so many bytes: polygons of 100 positions."""
    features, length = [], 0
    while length < size:
        number = len(features)
        ring = [
            [(number % 360) - 180 + i * 0.01234567, (number % 170) - 85 + i * 0.00765432] for i in range(100)
        ]
        feature = {
            "type": "Feature",
            "properties": {"name": f"place {number}"},
            "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]},
        }
        features.append(feature)
        length += len(msgspec.json.encode(feature)) + 1
    return msgspec.json.encode({"type": "FeatureCollection", "features": features})


def idle_memory_row(folder: Path) -> Row:
    """Start a host of one slot, run one job, and add up what host, worker and executor hold on their own."""
    with Service(folder, "--data-dir", str(folder / "data"), environ={"FASTPROCESSES_SLOTS": "1"}) as service:
        assert service.execute("echo", {"message": "one"}).status == 200
        time.sleep(2)
        parts = {
            process: " ".join(process.cmdline())
            for process in service.tree()
            if process.pid != service.process.pid
        }
        held = [
            (line.split("fastprocesses_")[-1][:40], process.memory_full_info().pss / 2**20)
            for process, line in parts.items()
            if "-server " not in line
        ]
    print("idle PSS: " + ", ".join(f"{name} {size:.1f} MB" for name, size in held), file=sys.stderr)
    total = sum(size for _, size in held)
    shown = f"{total:.4g} MB"
    return Row("idle PSS: host, worker, executor", "-", shown, total, 110, 90, at_least=False, unit="MB")


def cold_start_row(folder: Path, rounds: int) -> Row:
    """Start from nothing to the answer of the first job, against importing what the host imports."""
    code = (
        "import sys; before = set(sys.modules); import fastprocesses_host.serving\n"
        "names = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "names = {name for name in names if not name.startswith(('_', 'fastprocesses'))}\n"
        "print(','.join(sorted(names - set(sys.stdlib_module_names))))"
    )
    listed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    statement = "import " + listed.stdout.strip()
    pairs = []
    for number in range(rounds):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", statement], check=True)
        imported = time.perf_counter() - began
        pairs.append((imported, first_job_seconds(folder / f"cold{number}")))
    ratio = statistics.median(ours / limit for limit, ours in pairs)
    limit, ours = (statistics.median(values) for values in zip(*pairs, strict=True))
    return Row(
        "cold start to the first job's answer", f"{limit:.4g} s", f"{ours:.4g} s", ratio, 4, 3, at_least=False
    )


def first_job_seconds(folder: Path) -> float:
    folder.mkdir()
    port = free_port()
    began = time.perf_counter()
    with Service(folder, "--port", str(port), "--data-dir", str(folder / "data"), wait=False) as service:
        service.url = f"http://127.0.0.1:{port}"

        def is_done() -> bool:
            try:
                return service.execute("echo", {"message": "first"}).status == 200
            except OSError:
                return False

        wait_until(is_done, 60, "the first job")
        return time.perf_counter() - began


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def bare_server(folder: Path) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "tests.bench.bare", str(port), str(folder)]
    process = subprocess.Popen(command, env=clean_environ())

    def answers() -> bool:
        with socket.socket() as connection:
            return connection.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_until(answers, 30, "the bare server")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def plugin_folder(folder: Path) -> Path:
    """Install the measuring processes into a folder for PYTHONPATH."""
    info = folder / "measuring-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "measuring.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: measuring\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[fastprocesses.processes]\nmeasuring = measuring\n")
    return folder


def cpu_ticks() -> tuple[int, int]:
    """Give the machine's stolen and all CPU ticks so far."""
    ticks = [int(number) for number in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return ticks[7], sum(ticks)


def table(rows: list[Row]) -> str:
    cells = [("workload", "limit", "measured", "ratio", "must", "goal", "reached")]
    for row in rows:
        sign = ">=" if row.at_least else "<="
        ratio = f"{row.ratio:.2f}" + ("" if row.unit == "x" else f" {row.unit}")
        cells.append(
            (
                row.name,
                row.limit,
                row.ours,
                ratio,
                f"{sign} {row.must:g}",
                f"{sign} {row.goal:g}",
                row.verdict,
            )
        )
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    lines = [
        " | ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)) for line in cells
    ]
    return "\n".join([lines[0], "-+-".join("-" * width for width in widths), *lines[1:]])


async def measured(bench: Bench, slots: int) -> list[Row]:
    await bench.sync_rows()
    await bench.async_rows()
    await bench.description_rows()
    await bench.large_row()
    await bench.busy_row(slots)
    await bench.store_memory_row()
    return bench.rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each row (default 5)")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the usual number of requests")
    options = parser.parse_args()
    stolen, ticks = cpu_ticks()
    with tempfile.TemporaryDirectory(prefix="fpbench") as name, ExitStack() as stack:
        folder = Path(name)
        for part in ("host", "bytes", "idle", "cold"):
            (folder / part).mkdir()
        environ = {"PYTHONPATH": str(plugin_folder(folder / "plugins"))}
        service = stack.enter_context(
            Service(folder / "host", "--data-dir", str(folder / "host" / "data"), environ=environ)
        )
        for path, file in (("/processes", "processes"), ("/processes/echo", "process")):
            (folder / "bytes" / file).write_bytes(service.ask("GET", path).body)
        title = " ".join(service.child("valkey-server").cmdline())
        store_url = "unix://" + title.split("unixsocket:")[1].split()[0]
        with (
            bare_server(folder / "bytes") as bare_url,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            slots = psutil.cpu_count() or 1
            rows = runner.run(
                measured(Bench(service, bare_url, store_url, options.rounds, options.scale), slots)
            )
        stack.pop_all().close()
        rows.append(idle_memory_row(folder / "idle"))
        rows.append(cold_start_row(folder / "cold", max(options.rounds, 1)))
    now_stolen, now_ticks = cpu_ticks()
    print(table(rows))
    print(
        f"\nStolen CPU: {100 * (now_stolen - stolen) / max(now_ticks - ticks, 1):.1f} % of the time measured."
    )


if __name__ == "__main__":
    main()
