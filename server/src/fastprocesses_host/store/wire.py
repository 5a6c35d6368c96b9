"""Connections to the store: of a host, shared by all who ask at the same time, and of a thread of a worker.

The client library opens them, with everything a URL can say of passwords and encryption; from then on commands and
answers go through hiredis without the library's streams, tasks and time-outs for each command.
"""

import asyncio
import contextlib
import select
import socket
import ssl
import struct
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import hiredis
import redis
import redis.asyncio
from redis.asyncio.connection import ConnectionPool

_NOTHING = object()
_RECEIVE_BYTES = 64 * 1024


def packed(*command: str | bytes | float) -> bytes:
    """Give the bytes of a command."""
    data: bytes = hiredis.pack_command(command)  # type: ignore[arg-type]
    return data


class Asker(Protocol):
    """Who is told the answer to a command; futures are such."""

    def done(self) -> bool:
        """Tell whether the answer is not wanted any more."""

    def set_result(self, result: Any, /) -> None:
        """Hear the answer."""

    def set_exception(self, exception: Exception, /) -> None:
        """Hear an error of the store as `redis.ResponseError`, a lost connection as `redis.ConnectionError`."""


class Wire(asyncio.Protocol):
    """Commands out, answers back in their order.

    Args:
        answer_seconds: After so long in which nothing came though something was asked, all of it fails with
            `TimeoutError`. A store that is busy and goes on answering may take longer for the last of many.
        on_push: Gets every answer, where the connection is subscribed to channels.
    """

    def __init__(self, answer_seconds: float, on_push: Callable[[Any], None] | None = None) -> None:
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._loop = asyncio.get_running_loop()
        self._answer_seconds = answer_seconds
        self._on_push = on_push
        self._reader = hiredis.Reader(replyError=redis.ResponseError, notEnoughData=_NOTHING)
        self._asked: deque[Asker] = deque()
        self._outgoing: list[bytes] = []
        self._silent_since_seconds = 0.0
        """When the last bytes came, or the first command was sent that waits for an answer."""
        self._watch: asyncio.TimerHandle | None = None
        self._writer: asyncio.StreamWriter | None = None
        """Held because it would close the transport when nobody holds it."""
        self._transport: asyncio.Transport | None = None

    async def open(self, pool: ConnectionPool) -> None:
        """Connect as the pool's URL says.

        Raises:
            redis.RedisError, OSError: the store is not there, or does not want us.
        """
        connection = pool.make_connection()  # type: ignore[no-untyped-call]
        await connection.connect()
        self._writer, connection._reader, connection._writer = connection._writer, None, None
        transport: Any = self._writer.transport
        transport.set_protocol(self)
        self._transport = transport

    def ask(self, *command: str | bytes | float) -> asyncio.Future[Any]:
        """Send a command; what is asked in one turn of the loop goes out together.

        Returns:
            The answer to come: an error of the store as `redis.ResponseError`, a lost connection as
            `redis.ConnectionError`.
        """
        return self.ask_packed(packed(*command))

    def ask_packed(self, command: bytes) -> asyncio.Future[Any]:
        """Send a command as `ask` does that is in bytes already."""
        future: asyncio.Future[Any] = self._loop.create_future()
        self.ask_for(future, command)
        return future

    def ask_for(self, asker: Asker, command: bytes) -> None:
        """Send the bytes of a command; its answer is told where it comes in, without a turn of the loop for it."""
        if self._transport is None or self.lost.done():
            asker.set_exception(redis.ConnectionError("not connected"))
            return
        self._asked.append(asker)
        if not self._outgoing:
            self._loop.call_soon(self._send)
        self._outgoing.append(command)

    def tell(self, *command: str | bytes | float) -> None:
        """Send a command whose answers go to `on_push`."""
        if self._transport is not None and not self.lost.done():
            self._transport.write(packed(*command))

    def close(self) -> None:
        """Close the connection; what was asked fails."""
        if self._transport is not None:
            self._transport.abort()
        self._fail(redis.ConnectionError("closed"))

    def data_received(self, data: bytes) -> None:
        """Hand out the answers that are complete."""
        self._silent_since_seconds = self._loop.time()
        self._reader.feed(data)
        while (answer := self._reader.gets()) is not _NOTHING:
            if self._on_push is not None:
                self._on_push(answer)
                continue
            asker = self._asked.popleft()
            if asker.done():  # who asked has gone
                continue
            if isinstance(answer, Exception):
                asker.set_exception(answer)
            else:
                asker.set_result(answer)

    def connection_lost(self, error: Exception | None) -> None:
        """Tell all who wait."""
        self._fail(redis.ConnectionError(str(error or "the store hung up")))

    def _send(self) -> None:
        outgoing, self._outgoing = self._outgoing, []
        if self._transport is None or self.lost.done():
            return
        if len(outgoing) == len(
            self._asked
        ):  # only now: a busy loop comes here late, and the store knew of nothing
            self._silent_since_seconds = self._loop.time()
        if self._watch is None:
            self._watch = self._loop.call_later(self._answer_seconds, self._look)
        self._transport.write(b"".join(outgoing))

    def _look(self) -> None:
        """See whether the store is silent though it was asked."""
        self._watch = None
        if not self._asked or self.lost.done():
            return
        due = self._silent_since_seconds + self._answer_seconds
        if self._loop.time() < due:
            self._watch = self._loop.call_at(due, self._look)
            return
        if self._transport is not None:
            self._transport.abort()
        self._fail(TimeoutError("the store is silent"))

    def _fail(self, error: Exception) -> None:
        if not self.lost.done():
            self.lost.set_result(None)
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        asked, self._asked = self._asked, deque()
        for asker in asked:
            if not asker.done():
                asker.set_exception(error)


class PackedStart:
    """A command whose first words are the same each time, for words behind them that are packed already.

    Args:
        words: Those it begins with.
    """

    def __init__(self, *words: str | bytes | float) -> None:
        self._count = len(words)
        self._packed = _without_count(packed(*words))

    def with_packed(self, words: bytes, count: int) -> bytes:
        """Give the command with so many words behind that are packed already."""
        return b"*%d\r\n%b%b" % (self._count + count, self._packed, words)


def _without_count(command: bytes) -> bytes:
    return command[command.index(b"\n") + 1 :]


class ThreadWire:
    """A connection of one thread: a command out, its answer back."""

    def __init__(self, pool: redis.ConnectionPool) -> None:
        self._pool = pool
        self._reader = hiredis.Reader(replyError=redis.ResponseError, notEnoughData=_NOTHING)
        self._connection: Any = None
        self._socket: socket.socket | None = None
        self._poll: select.poll | None = None
        """On Unix sockets: the system wakes who is in `recv` there also when the peer reads what was sent."""
        self._silent_ms: float | None = None

    def ask(self, *command: str | bytes | float) -> Any:
        """Send a command and give its answer; connects when that is needed.

        Raises:
            redis.RedisError, OSError: no answer, or an error for one.
        """
        return self.ask_packed(packed(*command))

    def ask_packed(self, command: bytes, meanwhile: Callable[[], object] | None = None) -> Any:
        """Do as `ask` does, with a command as it is sent.

        Args:
            command: The command.
            meanwhile: Called once it was sent, before the answer is waited for; what it raises loses the answer.

        Raises:
            redis.RedisError, OSError: no answer, or an error for one.
        """
        try:
            connection = self._socket or self._open()
            connection.sendall(command)
            if meanwhile is not None:
                meanwhile()
            answer = _NOTHING
            while answer is _NOTHING:
                if self._poll is not None and not self._poll.poll(self._silent_ms):
                    raise BlockingIOError
                data = connection.recv(_RECEIVE_BYTES)
                if not data:
                    raise redis.ConnectionError("the store hung up")
                self._reader.feed(data)
                answer = self._reader.gets()
        except BlockingIOError as error:
            self.close()
            raise redis.TimeoutError("the store is silent") from error
        except BaseException:  # an answer may still come, and would be taken for that of the next command
            self.close()
            raise
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        """Close the connection; the next command opens another one."""
        if self._connection is not None:
            with contextlib.suppress(OSError, redis.RedisError):
                self._connection.disconnect()
        self._socket = None

    def _open(self) -> socket.socket:
        if self._connection is None:  # only one: the pool counts what it ever made, and refuses the hundredth
            self._connection = self._pool.make_connection()
        self._connection.connect()
        connection: socket.socket = self._connection._sock
        self._socket = connection
        self._reader = hiredis.Reader(replyError=redis.ResponseError, notEnoughData=_NOTHING)
        seconds = connection.gettimeout()
        if seconds is not None and not isinstance(connection, ssl.SSLSocket):
            # The system's time-outs: with Python's, each call is two, as it waits before it sends or receives.
            limit = struct.pack("ll", int(seconds), int(seconds % 1 * 1e6))
            for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
                connection.setsockopt(socket.SOL_SOCKET, option, limit)
            connection.setblocking(True)
        self._poll = None
        if connection.family == socket.AF_UNIX:
            self._poll = select.poll()
            self._poll.register(connection, select.POLLIN)
            self._silent_ms = None if seconds is None else seconds * 1000
        return connection
