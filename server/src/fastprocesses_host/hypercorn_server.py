"""hypercorn as our hosts run it: its protocols and streams, on connections that cost less than its own.

hypercorn reads a connection by a stream of asyncio, and keeps a task with a timer for each idle one. Here it is one
protocol of the loop: plain requests go by `PlainProtocol`, all others by hypercorn's `ProtocolWrapper`, and one look at
all connections now and then finds the idle ones.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import cast

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
from fastprocesses_host.plain_http import Address, NotPlainError, PlainProtocol

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
        self.app = app
        self.wrapped_app = ASGIWrapper(cast("ASGIFramework", app))
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
        lifespan = Lifespan(self.wrapped_app, self.config, self._loop, self.state)
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
    """One connection of a client: what comes is read in order, and written as fast as the client takes it.

    Attributes:
        waiting_bytes: How much came that is not read yet.
        has_ended: Nothing more comes.
        is_lost: Nothing more goes either.
        is_full: The client does not take what is written.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._write_last: Callable[[bytes], None]
        self._plain: PlainProtocol | None = None
        self._careful: ProtocolWrapper | None = None
        self._received: list[bytes] = []
        self.waiting_bytes = 0
        self.has_ended = self.is_lost = False
        self.is_full = False
        self._is_paused = False
        self._reader: asyncio.Future[None] | None = None
        self._may_write = asyncio.Event()
        self._lost = asyncio.Event()
        self._idle_since: float | None = self._loop.time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to read."""
        self._transport = cast("asyncio.Transport", transport)
        self._write_last = getattr(transport, "write_last", self._transport.write)
        self._server.connections[self] = self._loop.create_task(self._serve())

    def data_received(self, data: bytes) -> None:
        """Keep what came until it is read, and let the client wait when that is much."""
        self._received.append(data)
        self.waiting_bytes += len(data)
        if self.waiting_bytes > _MOST_WAITING_BYTES and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        """Keep the connection open for what is still to be answered."""
        self._end()
        return True

    def connection_lost(self, error: Exception | None) -> None:
        """End."""
        self.is_lost = True
        self._lost.set()
        self.resume_writing()
        self._end()

    def pause_writing(self) -> None:
        """Have senders wait."""
        self.is_full = not self.is_lost
        self._may_write.clear()

    def resume_writing(self) -> None:
        """Have senders go on."""
        self.is_full = False
        self._may_write.set()

    def is_idle(self, seconds: float) -> bool:
        """Tell whether nothing was asked for so long."""
        now = self._loop.time()
        if self._careful is not None and isinstance(self._careful.protocol, H2Protocol):
            # It says nothing before the first request, nor when the client takes its request back.
            self._idle_since = (self._idle_since or now) if self._careful.protocol.idle else None
        if self._plain is not None and self._plain.is_busy:
            return False
        return self._idle_since is not None and now - self._idle_since >= seconds

    async def next(self) -> bytes:
        """Give what came next; nothing at the end."""
        while not self._received:
            if self.has_ended:
                return b""
            self._reader = self._loop.create_future()
            await self._reader
        received = self._received[0] if len(self._received) == 1 else b"".join(self._received)
        if len(received) <= _MOST_BYTES_AT_ONCE and not self._is_paused:
            self._received, self.waiting_bytes = [], 0
            return received
        given, left = received[:_MOST_BYTES_AT_ONCE], received[_MOST_BYTES_AT_ONCE:]
        self._received, self.waiting_bytes = [left] if left else [], len(left)
        if self._is_paused and self.waiting_bytes <= _MOST_WAITING_BYTES:
            self._is_paused = False
            self._transport.resume_reading()
        return given

    def write(self, data: bytes) -> None:
        """Write with what else is written in this turn."""
        if not self.is_lost:
            self._transport.write(data)

    def write_last(self, data: bytes) -> None:
        """Write at once, since nothing else will be in this turn."""
        if not self.is_lost:
            self._write_last(data)

    async def emptied(self) -> None:
        """Wait until the client takes more."""
        await self._may_write.wait()

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
            try:
                await self._serve_plainly()
            except NotPlainError as error:
                await self._serve_carefully(error.data)
            self.close()
            await self._lost.wait()
        except asyncio.CancelledError:
            self.abort()
        except Exception:
            log.exception("a connection was given up")
            self.abort()
        finally:
            del self._server.connections[self]

    async def _serve_plainly(self) -> None:
        """Answer what is plain, until something comes that is not.

        Raises:
            NotPlainError: that.
        """
        server = self._server
        self._plain = plain = PlainProtocol(
            server.app, server.config, server.context, *self._state_and_addresses(), self
        )
        left: bytes | None = b""
        while data := left or await self.next():
            left = await plain.answer(data)
            if left:
                await asyncio.sleep(0)  # who sends requests ahead of their answers keeps nobody else waiting
            if left is None or self.is_lost:
                return
            self._idle_since = self._loop.time()

    async def _serve_carefully(self, data: bytes) -> None:
        """Have hypercorn's protocol read what came, and all that comes."""
        server = self._server
        state, client, local = self._state_and_addresses()
        async with TaskGroup(self._loop) as tasks:
            self._careful = careful = ProtocolWrapper(
                server.wrapped_app,
                server.config,
                server.context,
                tasks,
                state,
                False,
                client,
                local,
                self._send,
            )
            if self._plain is not None:
                careful.protocol.keep_alive_requests = self._plain.keep_alive_requests
            while data:
                await careful.handle(RawData(data))
                data = await self.next()
            await careful.handle(RawData(b""))
            await careful.handle(Closed())

    def _state_and_addresses(self) -> tuple[ConnectionState, Address | None, Address | None]:
        """Give what a request tells of its connection: the state of the server, the client's address and our own."""
        family = self._transport.get_extra_info("socket").family
        client, local = (
            parse_socket_addr(family, address) if address else None
            for address in map(self._transport.get_extra_info, ("peername", "sockname"))
        )
        return ConnectionState(self._server.state), client, local

    def _end(self) -> None:
        self.has_ended = True
        if self._plain is not None:
            self._plain.see_end()
        self._wake()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def _send(self, event: Event) -> None:
        """Do what hypercorn's protocol asks for."""
        if isinstance(event, RawData):
            self.write(event.data)
            if self.is_full:
                await self.emptied()
            if self.is_lost and self._careful is not None:
                await self._careful.handle(Closed())
        elif isinstance(event, Updated):
            self._idle_since = self._loop.time() if event.idle else None
        elif isinstance(event, Closed):
            self.close()
