"""The host process: the application served over HTTP, its readiness reported to the supervisor."""

import asyncio
import gc
import os
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress

import msgspec
from fastprocesses_sdk.memory import release_unused_memory

from fastprocesses_host.app import create_app, send_away
from fastprocesses_host.asgi_servers import serve
from fastprocesses_host.draining import Drain, ServingLoop
from fastprocesses_host.exits import CHILD_CONFIGURATION
from fastprocesses_host.host import Host
from fastprocesses_host.logs import configure_logging, get_logger
from fastprocesses_host.readiness import Readiness
from fastprocesses_host.settings import Settings
from fastprocesses_host.store.client import StoreRefused

_LOOK_EVERY_SECONDS = 0.02
_SHORT_SECONDS = 0.1
"""In which requests that wait for no job have got what they asked the store for."""

log = get_logger()


def run_host(
    settings: Settings, *, listen_fd: int, report_fd: int, stop_seconds: float, is_successor: bool = False
) -> int:
    """Serve until SIGTERM or SIGUSR1; return the exit code.

    Args:
        settings: Of the service.
        listen_fd: The listening socket.
        report_fd: Where readiness is reported to.
        stop_seconds: How long requests under way may take from SIGTERM on. From SIGUSR1 on, which means that a
            successor serves, they have the time that they may take anyway.
        is_successor: Another host serves until this one is ready.
    """
    configure_logging(settings, "host")
    gc.set_threshold(50_000, 20, 100)  # decoding large JSON documents takes a third of the time
    try:
        with asyncio.Runner(loop_factory=ServingLoop) as runner:
            runner.run(_serve(settings, listen_fd, report_fd, stop_seconds, is_successor))
    except StoreRefused as error:
        log.error("the store cannot be used", reason=str(error))  # noqa: TRY400 - no fault of ours
        return CHILD_CONFIGURATION
    return 0


async def _serve(
    settings: Settings, listen_fd: int, report_fd: int, stop_seconds: float, is_successor: bool
) -> None:
    async with AsyncExitStack() as opened:
        host = await opened.enter_async_context(Host(settings))
        drain = Drain(listen_fd, stop_seconds=stop_seconds, retire_seconds=settings.sync_timeout_seconds)
        app = create_app(settings, host=host)
        ready = asyncio.Event()
        reporting = asyncio.create_task(_report(host, report_fd, ready))
        letting_go = asyncio.create_task(_let_go(lambda: send_away(app), drain, opened))
        ending_streams = asyncio.create_task(_end_streams(host, drain))
        if is_successor:
            await _first_of(ready, drain.begun)
        await serve(settings.http_server, app, listen_fd=listen_fd, drain=drain)
        for task in (reporting, letting_go, ending_streams):
            task.cancel()
        await asyncio.wait([reporting, letting_go, ending_streams])


async def _first_of(*events: asyncio.Event) -> None:
    waiting = [asyncio.create_task(event.wait()) for event in events]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()


async def _end_streams(host: Host, drain: Drain) -> None:
    """Send those that follow jobs to the next host at once: they wait for nothing that this one has begun."""
    await drain.begun.wait()
    host.watched.send_away()


async def _let_go(refuse: Callable[[], None], drain: Drain, opened: AsyncExitStack) -> None:
    """When their time is over, tell those that wait for a job to come back."""
    await drain.over()
    refuse()
    await asyncio.sleep(_SHORT_SECONDS)
    await opened.aclose()


async def _report(host: Host, report_fd: int, ready: asyncio.Event) -> None:
    """Tell the supervisor what is missing whenever that changes, and the plugins once nothing is."""
    told: list[str] | None = None
    with suppress(OSError):
        while missing := host.readiness():
            if missing != told:
                told = missing
                await asyncio.to_thread(_write, report_fd, Readiness(missing=missing))
            await asyncio.sleep(_LOOK_EVERY_SECONDS)
        ready.set()
        await asyncio.to_thread(_write, report_fd, Readiness(plugins=list(host.catalog.plugins)))
    gc.collect()
    gc.freeze()
    release_unused_memory()


def _write(descriptor: int, readiness: Readiness) -> None:
    line = memoryview(msgspec.json.encode(readiness) + b"\n")
    while line:
        line = line[os.write(descriptor, line) :]
