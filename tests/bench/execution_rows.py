"""Workloads over HTTP: executions, descriptions, and reading while every slot is busy."""

import asyncio
import time
from functools import partial
from typing import Any

import msgspec
from fastprocesses_host.settings import Settings

from tests.bench.bench import Bench, Measure
from tests.bench.client import Connection, Work, asks, connections, p50, percentile, rate, request, times
from tests.bench.rows import Budget

SMALL = b'{"inputs":{"message":"hello","numbers":[1,2,3]}}'
ASYNC = "Prefer: respond-async"
EXECUTION = "/processes/echo/execution"


async def sync_rate(bench: Bench) -> None:
    """Synchronous echoes on 16 connections, against the bare server's answers to the same body."""
    await bench.versus(
        "sync echo, 16 connections",
        lambda: rate(bench.bare_url, asks("POST", "/echo", SMALL), count=bench.count(3000)),
        lambda: rate(bench.service.url, asks("POST", EXECUTION, SMALL), count=bench.count(1500)),
        Budget(0.45, 0.50, at_least=True),
        unit="/s",
    )


async def sync_p50(bench: Bench) -> None:
    """Synchronous echoes one at a time."""
    await bench.versus(
        "sync echo one at a time, p50",
        lambda: p50(bench.bare_url, asks("POST", "/echo", SMALL), bench.count(1000)),
        lambda: p50(bench.service.url, asks("POST", EXECUTION, SMALL), bench.count(400)),
        Budget(8, 6),
        unit="ms",
    )


async def async_rate(bench: Bench) -> None:
    """Asynchronous jobs from accept to final, nobody asking meanwhile."""
    await _async_row(bench, "async accept to final, no polls", Budget(0.50, 0.65, at_least=True))


async def async_rate_asked(bench: Bench) -> None:
    """The same, with one status request a job."""
    await _async_row(
        bench, "async with one status request", Budget(0.33, 0.42, at_least=True), ask_status=True
    )


async def submit_to_end(bench: Bench) -> None:
    """One job at a time, from its submission until its status is successful."""
    await bench.versus(
        "submit to successful, idle, p50",
        lambda: p50(bench.bare_url, asks("POST", "/echo", SMALL), bench.count(1000)),
        lambda: p50(bench.service.url, _to_its_end, bench.count(200)),
        Budget(12, 9),
        unit="ms",
    )


async def descriptions(bench: Bench) -> None:
    """The process list and a description, against the same bytes from the bare server."""
    for path, file in (("/processes", "processes"), ("/processes/echo", "process")):
        await bench.versus(
            f"GET {path}",
            partial(rate, bench.bare_url, asks("GET", f"/{file}"), count=bench.count(3000)),
            partial(rate, bench.service.url, asks("GET", path), count=bench.count(3000)),
            Budget(0.85, 0.95, at_least=True),
            unit="/s",
        )


async def large_echo(bench: Bench) -> None:
    """5 MB of GeoJSON, there and back."""
    body = b'{"inputs":{"features":' + large_collection(5_000_000) + b"}}"
    await bench.versus(
        "5 MB GeoJSON sync echo, p50",
        lambda: p50(bench.bare_url, asks("POST", "/echo", body), 5),
        lambda: p50(bench.service.url, asks("POST", "/processes/features-back/execution", body), 5),
        Budget(1.5, 1.0),
        unit="ms",
    )


async def busy_get(bench: Bench) -> None:
    """A description while CPU-bound jobs fill every slot, against the same when idle."""
    ask = asks("GET", "/processes/echo")
    await bench.versus(
        "GET p99 while CPU-bound jobs fill all slots",
        lambda: _p99(bench, ask),
        lambda: _while_busy(bench, lambda: _p99(bench, ask)),
        Budget(5, 3),
        unit="ms",
    )


async def run_jobs(bench: Bench, count: int, *, ask_status: bool = False) -> float:
    """Submit so many jobs; give how many a second became final."""
    submitted: list[str] = []
    submit = request("POST", EXECUTION, SMALL, ASYNC)

    async def work(connection: Connection) -> None:
        accepted = await connection.ask(submit)
        assert accepted.status == 201, accepted
        path = _path_of(accepted.header("Location"))
        submitted.append(path)
        if ask_status:
            assert (await connection.ask(request("GET", path))).status == 200

    began = time.perf_counter()
    await rate(bench.service.url, work, count=count)
    async with connections(bench.service.url, 1) as (connection,):
        for path in submitted[-32:]:
            while await _status(connection, path) != "successful":
                await asyncio.sleep(0.005)
        took = time.perf_counter() - began
        for path in submitted[:: max(len(submitted) // 50, 1)]:
            assert await _status(connection, path) == "successful"
    return count / took


async def _async_row(bench: Bench, name: str, budget: Budget, *, ask_status: bool = False) -> None:
    await bench.versus(
        name,
        lambda: rate(bench.bare_url, asks("POST", "/echo", SMALL), count=bench.count(3000)),
        lambda: run_jobs(bench, bench.count(1500), ask_status=ask_status),
        budget,
        unit="/s",
    )


async def _to_its_end(connection: Connection) -> None:
    accepted = await connection.ask(request("POST", EXECUTION, SMALL, ASYNC))
    path = _path_of(accepted.header("Location"))
    while await _status(connection, path) != "successful":
        pass


async def _p99(bench: Bench, ask: Work) -> float:
    return percentile(await times(bench.service.url, ask, count=bench.count(500)), 0.99)


async def _while_busy(bench: Bench, measure: Measure) -> float:
    body = b'{"inputs":{"seconds":4}}'
    async with connections(bench.service.url, 1) as (connection,):
        paths = []
        for _ in range(Settings().slot_count):
            accepted = await connection.ask(request("POST", "/processes/burn/execution", body, ASYNC))
            paths.append(_path_of(accepted.header("Location")))
        for path in paths:
            while await _status(connection, path) == "accepted":
                await asyncio.sleep(0.02)
        found = await measure()
        for path in paths:
            await connection.ask(request("DELETE", path))
    return found


async def _status(connection: Connection, path: str) -> str:
    return str((await connection.ask(request("GET", path))).json["status"])


def _path_of(location: str) -> str:
    return "/jobs/" + location.rsplit("/", 1)[1]


def large_collection(size: int) -> bytes:
    """Give a FeatureCollection of about so many bytes: polygons of 100 positions."""
    features: list[dict[str, Any]] = []
    length = 0
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
