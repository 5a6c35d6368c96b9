"""hypercorn as our hosts run it: its protocols and streams, on connections that cost less than its own.

hypercorn reads a connection by a stream of asyncio, and keeps a task with a timer for each idle one. Here it is one
protocol of the loop: plain requests go by `PlainProtocol`, all others by hypercorn's `ProtocolWrapper`, and one look at
all connections now and then finds the idle ones.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, cast

from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.lifespan import Lifespan
from hypercorn.asyncio.task_group import TaskGroup
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol import ProtocolWrapper
from hypercorn.protocol.h2 import H2Protocol
from hypercorn.typing import ASGIFramework, ConnectionState, LifespanState
from hypercorn.utils import parse_socket_addr
from starlette.types import ASGIApp

from fastprocesses_host.logs import get_logger
from fastprocesses_host.plain_http import NotPlainError, PlainProtocol

_MOST_WAITING_BYTES = 65_536
_MOST_BYTES_AT_ONCE = 65_536
"""What is read in one step, as hypercorn has it: a head that takes more is refused, however fast it comes."""
_LONGEST_LOOK_SECONDS = 5.0
"""Idle connections are looked for so often; more often, where they are not to be idle for as long."""
_SHORTEST_LOOK_SECONDS = 0.05

log = get_logger()


class Server:
    """Serves an application on a socket that listens."""

    def __init__(self, app: ASGIApp, config: Config) -> None:
        self.app = ASGIWrapper(cast("ASGIFramework", app))
        self.config = config
        self.context = WorkerContext(None)
        self.state: LifespanState = {}
        self.connections: dict[Connection, asyncio.Task[None]] = {}
        self._loop = asyncio.get_running_loop()
        self._next_look: asyncio.TimerHandle | None = None

    async def serve(self, listener: socket.socket, until: Callable[[], Awaitable[float]]) -> None:
        """Serve until told, and end when all that was asked is answered.

        Args:
            listener: The listening socket.
            until: Returns when to end, with how many seconds the last answers may take.
        """
        lifespan = Lifespan(self.app, self.config, self._loop, self.state)
        living = self._loop.create_task(lifespan.handle_lifespan())
        await lifespan.wait_for_startup()
        if living.done():
            living.result()
        server = await self._loop.create_server(
            lambda: Connection(self), sock=listener, backlog=self.config.backlog
        )
        self._close_idle_connections(self.config.keep_alive_timeout)
        last_answers_seconds = await until()
        await self.context.terminated.set()
        self._close_idle_connections(0.0)
        server.close()
        await self._last_answers(last_answers_seconds)
        await lifespan.wait_for_shutdown()
        await living

    def _close_idle_connections(self, seconds: float) -> None:
        """Close connections by which no request came for so long, from now on."""
        if self._next_look is not None:
            self._next_look.cancel()
        for connection in [each for each in self.connections if each.is_idle(seconds)]:
            connection.close()
        look_seconds = min(_LONGEST_LOOK_SECONDS, max(_SHORTEST_LOOK_SECONDS, seconds / 4))
        self._next_look = self._loop.call_later(look_seconds, self._close_idle_connections, seconds)

    async def _last_answers(self, seconds: float) -> None:
        if self.connections:
            _, late = await asyncio.wait(self.connections.values(), timeout=seconds)
            for connection, task in self.connections.items():
                connection.abort()  # hypercorn answers for an application that is cancelled: that must not wait either
                task.cancel()
            if late:
                log.warning("answers were cut off", reason="their clients did not take them in time")
                await asyncio.wait(late)
        if self._next_look is not None:
            self._next_look.cancel()


class Connection(asyncio.Protocol):
    """One connection of a client: what comes is read in order, and written as fast as the client takes it."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._protocol: PlainProtocol | ProtocolWrapper | None = None
        self._received: list[bytes] = []
        self._received_bytes = 0
        self._has_ended = False
        self._is_paused = False
        self._reader: asyncio.Future[None] | None = None
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._lost = asyncio.Event()
        self._idle_since: float | None = self._loop.time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to read."""
        self._transport = cast("asyncio.Transport", transport)
        self._server.connections[self] = self._loop.create_task(self._serve())

    def data_received(self, data: bytes) -> None:
        """Keep what came until it is read, and let the client wait when that is much."""
        self._received.append(data)
        self._received_bytes += len(data)
        if self._received_bytes > _MOST_WAITING_BYTES and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        """Keep the connection open for what is still to be answered."""
        self._has_ended = True
        self._wake()
        return True

    def connection_lost(self, error: Exception | None) -> None:
        """End."""
        self._has_ended = True
        self._lost.set()
        self._may_write.set()
        self._wake()

    def pause_writing(self) -> None:
        """Have senders wait."""
        self._may_write.clear()

    def resume_writing(self) -> None:
        """Have senders go on."""
        self._may_write.set()

    def is_idle(self, seconds: float) -> bool:
        """Tell whether nothing was asked for so long."""
        now = self._loop.time()
        if isinstance(self._protocol, ProtocolWrapper) and isinstance(self._protocol.protocol, H2Protocol):
            # It says nothing before the first request, nor when the client takes its request back.
            self._idle_since = (self._idle_since or now) if self._protocol.protocol.idle else None
        return self._idle_since is not None and now - self._idle_since >= seconds

    def close(self) -> None:
        """Write what is still to be written, and close."""
        if not self._transport.is_closing():
            with suppress(OSError, RuntimeError):  # the client was faster
                self._transport.write_eof()
            self._transport.close()

    def abort(self) -> None:
        """Close, whatever is still to be written."""
        self._transport.abort()

    async def _serve(self) -> None:
        try:
            async with TaskGroup(self._loop) as tasks:
                parts = self._parts(tasks)
                self._protocol = plain = PlainProtocol(*parts)
                if left := await self._read_by(plain):
                    self._protocol = careful = ProtocolWrapper(*parts)
                    careful.protocol.keep_alive_requests = plain.keep_alive_requests
                    await careful.handle(RawData(left))
                    await self._read_by(careful)
            self.close()
            await self._lost.wait()
        except asyncio.CancelledError:
            self.abort()
        except Exception:
            log.exception("a connection was given up")
            self.abort()
        finally:
            del self._server.connections[self]

    async def _read_by(self, protocol: PlainProtocol | ProtocolWrapper) -> bytes:
        """Have all that comes read, and give what is left to another protocol."""
        try:
            while data := await self._next():
                await protocol.handle(RawData(data))
        except NotPlainError as error:
            return error.data
        await protocol.handle(RawData(b""))
        await protocol.handle(Closed())
        return b""

    def _parts(self, tasks: TaskGroup) -> tuple[Any, ...]:
        """Give what hypercorn's protocols are made of."""
        server, family = self._server, self._transport.get_extra_info("socket").family
        client, local = (
            parse_socket_addr(family, address) if address else None
            for address in map(self._transport.get_extra_info, ("peername", "sockname"))
        )
        state = ConnectionState(server.state)
        return server.app, server.config, server.context, tasks, state, False, client, local, self._send

    async def _next(self) -> bytes:
        """Give what came next; nothing at the end."""
        while not self._received:
            if self._has_ended:
                return b""
            self._reader = self._loop.create_future()
            await self._reader
        received = self._received[0] if len(self._received) == 1 else b"".join(self._received)
        given, left = received[:_MOST_BYTES_AT_ONCE], received[_MOST_BYTES_AT_ONCE:]
        self._received, self._received_bytes = [left] if left else [], len(left)
        if self._is_paused and self._received_bytes <= _MOST_WAITING_BYTES:
            self._is_paused = False
            self._transport.resume_reading()
        return given

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def _send(self, event: Event) -> None:
        if isinstance(event, RawData):
            if not self._lost.is_set():
                self._transport.write(event.data)
            if not self._may_write.is_set():
                await self._may_write.wait()
            if self._lost.is_set() and self._protocol is not None:
                await self._protocol.handle(Closed())
        elif isinstance(event, Updated):
            self._idle_since = self._loop.time() if event.idle else None
        elif isinstance(event, Closed):
            self.close()
