"""Workloads that compare the servers that can speak HTTP for us: how much of the wall hypercorn is."""

import importlib.util
from contextlib import ExitStack
from functools import partial
from typing import get_args

from fastprocesses_host.settings import ServerName

from tests.bench.bench import Bench
from tests.bench.client import asks, rate
from tests.bench.execution_rows import EXECUTION, SMALL
from tests.bench.rows import Budget
from tests.bench.services import bare_server


async def servers(bench: Bench) -> None:
    """Synchronous echoes and a description behind each other server, against hypercorn; the bare application too."""
    for name in get_args(ServerName):
        if name != "hypercorn" and importlib.util.find_spec(name):
            with ExitStack() as stack:
                await _against_hypercorn(bench, stack, name)


async def _against_hypercorn(bench: Bench, stack: ExitStack, name: ServerName) -> None:
    bare_url = stack.enter_context(bare_server(bench.new_folder("bytes"), name))
    service = bench.start(stack, "--server", name)
    for told, path, body, urls, count in (
        ("bare echo", "/echo", SMALL, (bench.bare_url, bare_url), 3000),
        ("sync echo", EXECUTION, SMALL, (bench.service.url, service.url), 1500),
        ("GET /processes/echo", "/processes/echo", b"", (bench.service.url, service.url), 3000),
    ):
        ask = asks("POST" if body else "GET", path, body)
        await bench.versus(
            f"{told}, 16 connections, --server {name} against hypercorn",
            partial(rate, urls[0], ask, count=bench.count(count)),
            partial(rate, urls[1], ask, count=bench.count(count)),
            Budget(at_least=True),
            unit="/s",
        )
