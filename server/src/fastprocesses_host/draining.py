"""How a host stops serving without failing anybody: it accepts no more, answers what it has, and says good-bye."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

try:
    from uvloop import Loop as _BaseLoop
except ImportError:
    from asyncio import SelectorEventLoop as _BaseLoop  # type: ignore[assignment]

from fastprocesses_host.gathering import gathered

LAST_REQUEST_SECONDS = 1.0
"""How long connections on which nothing is asked stay open: a request may be on its way, and is to be answered."""
FAREWELL_SECONDS = 1.0
"""How long the last answers may take to be written."""


class ServingLoop(_BaseLoop):
    """An event loop whose servers can be told to accept no more while their connections go on."""

    def __init__(self) -> None:
        super().__init__()
        self._accepting: list[Any] = []

    async def create_server(self, protocol_factory: Any, *arguments: Any, **options: Any) -> Any:
        """Create a server, and remember it."""
        server = await super().create_server(gathered(protocol_factory, self), *arguments, **options)
        self._accepting.append(server)
        return server

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
