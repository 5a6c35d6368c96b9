"""The host process: the application served with hypercorn, its readiness reported to the supervisor."""

import asyncio
import gc
import logging
import os
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from typing import cast

import msgspec
from hypercorn.asyncio import serve
from hypercorn.config import Config
from hypercorn.typing import Framework

from fastprocesses_host.app import create_app
from fastprocesses_host.child import HOST_GRACE_SECONDS
from fastprocesses_host.exits import CHILD_CONFIGURATION
from fastprocesses_host.host import Host
from fastprocesses_host.logs import configure_logging, get_logger
from fastprocesses_host.readiness import Readiness
from fastprocesses_host.settings import Settings
from fastprocesses_host.store.client import StoreRefused

_LOOK_EVERY_SECONDS = 0.02
_QUICK_SECONDS = 0.1

log = get_logger()


def run_host(settings: Settings, *, listen_fd: int, report_fd: int) -> int:
    """Serve until SIGTERM; return the exit code."""
    configure_logging(settings, "host")
    gc.set_threshold(50_000, 20, 100)  # decoding large JSON documents takes a third of the time
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(settings, listen_fd, report_fd))
    except StoreRefused as error:
        log.error("the store cannot be used", reason=str(error))  # noqa: TRY400 - no fault of ours
        return CHILD_CONFIGURATION
    return 0


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def _serve(settings: Settings, listen_fd: int, report_fd: int) -> None:
    stop = asyncio.Event()
    async with AsyncExitStack() as opened:
        host = await opened.enter_async_context(Host(settings))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        reporting = asyncio.create_task(_report(host, report_fd))
        letting_go = asyncio.create_task(_let_go(stop, opened))
        app = cast("Framework", create_app(settings, host=host))
        await serve(app, hypercorn_config(listen_fd), shutdown_trigger=stop.wait)
        reporting.cancel()
        await letting_go


async def _let_go(stop: asyncio.Event, opened: AsyncExitStack) -> None:
    """When told to stop, let quick requests finish, then tell those that wait for a job to come back."""
    await stop.wait()
    await asyncio.sleep(_QUICK_SECONDS)
    await opened.aclose()


def hypercorn_config(listen_fd: int) -> Config:
    """Give the configuration of one host process on a socket that already listens."""
    config = Config()
    config.bind = [f"fd://{listen_fd}"]
    config.backlog = 1024
    config.accesslog = None
    config.errorlog = logging.getLogger("hypercorn.error")
    config.include_server_header = False
    config.graceful_timeout = HOST_GRACE_SECONDS
    config.shutdown_timeout = HOST_GRACE_SECONDS
    config.keep_alive_timeout = 65
    config.keep_alive_max_requests = 100_000
    return config


async def _report(host: Host, report_fd: int) -> None:
    """Tell the supervisor what is missing whenever that changes, and the plugins once nothing is."""
    told: list[str] | None = None
    with suppress(OSError):
        while missing := host.readiness():
            if missing != told:
                told = missing
                await asyncio.to_thread(_write, report_fd, Readiness(missing=missing))
            await asyncio.sleep(_LOOK_EVERY_SECONDS)
        await asyncio.to_thread(_write, report_fd, Readiness(plugins=list(host.catalog.plugins)))
    gc.freeze()


def _write(descriptor: int, readiness: Readiness) -> None:
    line = memoryview(msgspec.json.encode(readiness) + b"\n")
    while line:
        line = line[os.write(descriptor, line) :]
