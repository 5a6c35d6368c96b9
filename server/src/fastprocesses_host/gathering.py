"""Connections of a server as our event loop has them: answers leave in one piece, and idle ones are closed.

Servers write the head of an answer and its body one by one. Each write is a call of the system, a packet and a
wake-up of the client; for a short answer that is a good part of all its work. And they keep a timer, or a task, for
each connection on which nothing is asked, made anew after each answer; one look at all of them now and then will do.
"""

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from types import CoroutineType
from typing import Any, Final
from weakref import ref

_MOST_BYTES = 64 * 1024


class Gathering:
    """A transport whose writes wait for the end of the turn; all else is the transport's own."""

    def __init__(self, transport: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._waiting: list[bytes] = []
        self._length = 0
        self._rest = Rest(loop)
        self._server: Callable[[], Any] | None = None
        self.is_closing = transport.is_closing  # asked for with every write

    def rest(self, wait: "CoroutineType[Any, Any, None]") -> "Rest":
        """Be idle until the rest that is given is cancelled.

        Args:
            wait: The method of the server in which it would wait meanwhile.
        """
        if self._server is None and wait.cr_frame is not None:
            self._server = ref(wait.cr_frame.f_locals["self"])
        self._rest.since = self._loop.time()
        return self._rest

    def is_idle(self, seconds: float) -> bool:
        """Tell whether nothing was asked for so long."""
        rest, now = self._rest, self._loop.time()
        is_idle = self._is_idle_by_http2()
        if is_idle is False:
            rest.since = None
        elif is_idle and rest.since is None:
            rest.since = now
        return rest.since is not None and now - rest.since >= seconds

    def _is_idle_by_http2(self) -> bool | None:
        """Ask the server about a connection by HTTP/2, which it tells to rest only after an answer; None: it is none.

        So it says nothing before the first request, nor when the client takes its request back. Not public.
        """
        server = None if self._server is None else self._server()
        protocol = getattr(getattr(server, "protocol", None), "protocol", None)
        return getattr(protocol, "idle", None)

    def write(self, data: bytes) -> None:
        """Write with what else is written in this turn; at once when it gets long, so that senders are slowed down."""
        if not data:
            return
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append(data)
        self._length += len(data)
        if self._length > _MOST_BYTES:
            self._flush()

    def writelines(self, pieces: Any) -> None:
        """Write all pieces."""
        self.write(b"".join(pieces))

    def write_eof(self) -> None:
        """Write what waits, and that nothing follows."""
        self._flush()
        self._transport.write_eof()

    def close(self) -> None:
        """Write what waits, and close."""
        self._flush()
        self._transport.close()

    def get_write_buffer_size(self) -> int:
        """Give how many bytes have not left yet."""
        return self._length + int(self._transport.get_write_buffer_size())

    def __getattr__(self, name: str) -> Any:
        """Give the rest of the transport."""
        return getattr(self._transport, name)

    def _flush(self) -> None:
        if self._waiting:
            waiting, self._waiting, self._length = self._waiting, [], 0
            if self.is_closing():  # lost in this turn: nobody is there to be told
                return
            self._transport.write(waiting[0] if len(waiting) == 1 else b"".join(waiting))


class Rest(asyncio.Future[None]):
    """Stands for the task in which a server waits to close an idle connection: done, so that nobody waits for it.

    Attributes:
        since: When the connection got idle, by the clock of the loop; None: it is not.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self.since: float | None = None
        self.set_result(None)

    def cancel(self, _msg: Any = None) -> bool:
        """Take note that something is asked."""
        self.since = None
        return False


def gathered(
    make_protocol: Callable[[], Any], loop: asyncio.AbstractEventLoop, opened: set[Gathering]
) -> Callable[[], Any]:
    """Have the protocols of a server write through a `Gathering`; those of open connections are in `opened`."""

    def make() -> Any:
        protocol = make_protocol()
        connection_made, connection_lost = protocol.connection_made, protocol.connection_lost

        def made(transport: Any) -> None:
            connection = Gathering(transport, loop)
            opened.add(connection)
            _connection.set(connection)  # the tasks that the server makes for the connection inherit it

            def lost(error: Exception | None) -> None:
                opened.discard(connection)
                connection_lost(error)

            protocol.connection_lost = lost
            connection_made(connection)

        protocol.connection_made = made
        return protocol

    return make


_connection: Final[ContextVar[Gathering | None]] = ContextVar("connection", default=None)


def current_connection() -> Gathering | None:
    """Give the connection for which the running task works; None: for none."""
    return _connection.get()
