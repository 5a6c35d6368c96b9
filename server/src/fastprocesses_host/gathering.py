"""Connections of a server as our event loop has them: what is written in one turn leaves in one piece.

Servers write the head of an answer and its body one by one. Each write is a call of the system, a packet and a
wake-up of the client; for a short answer that is a good part of all its work.
"""

import asyncio
from collections.abc import Callable
from typing import Any

_MOST_BYTES = 64 * 1024


class Gathering:
    """A transport whose writes wait for the end of the turn; all else is the transport's own."""

    def __init__(self, transport: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._waiting: list[bytes] = []
        self._length = 0
        self.is_closing = transport.is_closing  # asked for with every write

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

    def write_last(self, data: bytes) -> None:
        """Write with what waits, at once."""
        if self._waiting:
            self.write(data)
            self._flush()
        elif data and not self.is_closing():
            self._transport.write(data)

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


def gathered(make_protocol: Callable[[], Any], loop: asyncio.AbstractEventLoop) -> Callable[[], Any]:
    """Have the protocols of a server write through a `Gathering`."""

    def make() -> Any:
        protocol = make_protocol()
        connection_made = protocol.connection_made
        protocol.connection_made = lambda transport: connection_made(Gathering(transport, loop))
        return protocol

    return make
