"""The programs that speak HTTP for the application: each serves from a socket that already listens."""

import asyncio
import logging
import math
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from starlette.types import ASGIApp

from fastprocesses_host.draining import FAREWELL_SECONDS, Drain
from fastprocesses_host.settings import ServerName

if TYPE_CHECKING:
    import uvicorn
    from hypercorn.config import Config

BACKLOG = 1024
KEEP_ALIVE_SECONDS = 65
"""A little longer than most proxies keep a connection."""


async def serve(name: ServerName, app: ASGIApp, *, listen_fd: int, drain: Drain) -> None:
    """Serve until the drain has begun, and end as it says.

    Args:
        name: The server: `hypercorn` or `uvicorn`.
        app: What to serve.
        listen_fd: The descriptor of the listening socket.
        drain: When to stop, and what is to be finished before.
    """
    run = _serve_uvicorn if name == "uvicorn" else _serve_hypercorn
    await run(app, listen_fd, drain)


async def _serve_hypercorn(app: ASGIApp, listen_fd: int, drain: Drain) -> None:
    from fastprocesses_host.hypercorn_server import Server

    config = hypercorn_config(listen_fd)

    def ask_to_close() -> None:
        config.keep_alive_max_requests = 0

    await Server(app, config).serve(
        socket.socket(fileno=listen_fd), until=lambda: drain.last_requests(ask_to_close)
    )


def hypercorn_config(listen_fd: int) -> "Config":
    """Give the configuration of one host process on a socket that already listens."""
    from hypercorn.config import Config

    class DatedOnce(Config):
        _kept: tuple[int, list[tuple[bytes, bytes]]] = (0, [])

        def response_headers(self, protocol: str) -> list[tuple[bytes, bytes]]:
            """Give what every answer has, written once for all answers of a second."""
            second = int(time.time())
            if second != self._kept[0]:
                self._kept = second, super().response_headers(protocol)
            return self._kept[1]

    config = DatedOnce()
    config.bind = [f"fd://{listen_fd}"]
    config.backlog = BACKLOG
    config.accesslog = None
    config.errorlog = logging.getLogger("hypercorn.error")
    config.include_server_header = False
    config.keep_alive_timeout = KEEP_ALIVE_SECONDS
    config.shutdown_timeout = FAREWELL_SECONDS
    config.keep_alive_max_requests = 100_000
    return config


async def _serve_uvicorn(app: ASGIApp, listen_fd: int, drain: Drain) -> None:
    import uvicorn

    class Server(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            """Leave signals alone: they are heard by the drain."""
            yield

    server = Server(uvicorn_config(app))
    stopping = asyncio.create_task(_tell_when(drain, server))
    try:
        await server.serve(sockets=[socket.socket(fileno=listen_fd)])
    finally:
        stopping.cancel()


def uvicorn_config(app: ASGIApp) -> "uvicorn.Config":
    """Give the configuration of one host process; its listening socket is given when it serves."""
    import uvicorn

    from fastprocesses_host.uvicorn_protocol import BoundedHead

    return uvicorn.Config(
        app,
        http=BoundedHead,
        ws="none",
        lifespan="on",
        backlog=BACKLOG,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )


async def _tell_when(drain: Drain, server: "uvicorn.Server") -> None:
    def ask_to_close() -> None:
        for headers in (server.config.encoded_headers, server.server_state.default_headers):
            headers.append((b"connection", b"close"))

    server.config.timeout_graceful_shutdown = math.ceil(await drain.last_requests(ask_to_close))
    server.should_exit = True  # uvicorn looks ten times a second
