"""How a host stops serving without failing anybody: it accepts no more, answers what it has, and says good-bye."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from types import CodeType
from typing import Any

try:
    from uvloop import Loop as _BaseLoop
except ImportError:
    from asyncio import SelectorEventLoop as _BaseLoop  # type: ignore[assignment]

from fastprocesses_host.gathering import Gathering, current_connection, gathered

LAST_REQUEST_SECONDS = 1.0
"""How long connections on which nothing is asked stay open: a request may be on its way, and is to be answered."""
_LONGEST_LOOK_SECONDS = 5.0
"""Idle connections are looked for so often; more often, where they are not to be idle for as long."""
_SHORTEST_LOOK_SECONDS = 0.05
FAREWELL_SECONDS = 1.0
"""How long the last answers may take to be written."""


class ServingLoop(_BaseLoop):
    """An event loop whose servers can be told to accept no more while their connections go on."""

    def __init__(self) -> None:
        super().__init__()
        self._accepting: list[Any] = []
        self._opened: set[Gathering] = set()
        self._next_look: asyncio.TimerHandle | None = None
        self._wait: CodeType | None = None

    async def create_server(self, protocol_factory: Any, *arguments: Any, **options: Any) -> Any:
        """Create a server, and remember it."""
        server = await super().create_server(
            gathered(protocol_factory, self, self._opened), *arguments, **options
        )
        self._accepting.append(server)
        return server

    def close_idle_connections(self, seconds: float) -> None:
        """Close connections by which no request came for so long, from now on; see `rest_instead_of`."""
        if self._next_look is not None:
            self._next_look.cancel()
        for connection in [each for each in self._opened if each.is_idle(seconds)]:
            connection.close()
        look_seconds = min(_LONGEST_LOOK_SECONDS, max(_SHORTEST_LOOK_SECONDS, seconds / 4))
        self._next_look = self.call_later(look_seconds, self.close_idle_connections, seconds)

    def rest_instead_of(self, wait: Callable[..., Coroutine[Any, Any, None]]) -> None:
        """Make no tasks of the coroutine in which a server waits to close a connection; this tells which are idle.

        The server begins one after each answer and ends it with the next request: two turns of the loop.
        """
        self._wait = wait.__code__

    def create_task(self, coro: Any, **options: Any) -> Any:
        """Create a task; give the rest of a connection for the coroutine that is named above."""
        if self._wait is not None and getattr(coro, "cr_code", None) is self._wait:
            connection = current_connection()
            if connection is not None:
                rest = connection.rest(coro)
                coro.close()
                return rest
        return _BaseLoop.create_task(self, coro, **options)

    async def accept_no_more(self) -> None:
        """Close what listens; connections made before are served on."""
        for server in self._accepting:
            for listener in server.sockets:
                self.remove_reader(listener.fileno())
        for _ in range(3):  # what was taken from the queue becomes a connection in the next turns
            await asyncio.sleep(0)
        for server in self._accepting:
            server.close()


class Drain:
    """The end of a host: by SIGTERM, which leaves it little time, or by SIGUSR1, since its successor serves already.

    Attributes:
        begun: Set by the first of these signals.
    """

    def __init__(self, listen_fd: int, *, stop_seconds: float, retire_seconds: float) -> None:
        """Make it, and listen to the signals from now on.

        Args:
            listen_fd: The listening socket.
            stop_seconds: How long requests under way may take from SIGTERM on.
            retire_seconds: The same from SIGUSR1 on.
        """
        self.begun = asyncio.Event()
        self._listen_fd = listen_fd
        self._stop_seconds = stop_seconds
        self._retire_seconds = retire_seconds
        self._hurried = asyncio.Event()
        self._ends_at = 0.0
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGUSR1, self._retire)

    async def last_requests(self, ask_to_close: Callable[[], None]) -> float:
        """Accept no more once told; return when connections on which nothing is asked may be closed.

        Args:
            ask_to_close: Has every answer from now on ask its client to close the connection.

        Returns:
            How many seconds the requests still under way may take.
        """
        await self.begun.wait()
        ask_to_close()
        loop = asyncio.get_running_loop()
        if isinstance(loop, ServingLoop):
            await loop.accept_no_more()
        await self._until_over(at_most_seconds=LAST_REQUEST_SECONDS)
        return self._left_seconds() + 2 * FAREWELL_SECONDS

    async def over(self) -> None:
        """Return when requests still under way are to be sent away."""
        await self.begun.wait()
        await self._until_over()

    async def _until_over(self, *, at_most_seconds: float = float("inf")) -> None:
        ends_at = time.monotonic() + at_most_seconds
        while (left_seconds := min(self._left_seconds(), ends_at - time.monotonic())) > 0:
            if self._hurried.is_set():
                await asyncio.sleep(left_seconds)
            else:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._hurried.wait(), left_seconds)

    def _left_seconds(self) -> float:
        return max(self._ends_at - time.monotonic(), 0.0)

    def _retire(self) -> None:
        if not self.begun.is_set():
            self._ends_at = time.monotonic() + self._retire_seconds
            self.begun.set()

    def _stop(self) -> None:
        if self._hurried.is_set():
            return
        with suppress(OSError), socket.socket(fileno=os.dup(self._listen_fd)) as listener:
            listener.listen(0)  # nobody will serve here any more; who comes now is to be refused, not cut off
        ends_at = time.monotonic() + self._stop_seconds
        self._ends_at = min(self._ends_at, ends_at) if self.begun.is_set() else ends_at
        self._hurried.set()
        self.begun.set()
