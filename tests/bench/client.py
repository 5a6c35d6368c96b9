"""A load client that costs little: HTTP/1.1 over kept connections, bounded in count and in time."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast
from urllib.parse import urlsplit

import msgspec

ROUND_SECONDS = 60.0
CONCURRENCY = 16


class Response(msgspec.Struct, frozen=True):
    status: int
    head: bytes
    body: bytes

    def header(self, name: str) -> str:
        start = f"\r\n{name.lower()}: ".encode()
        at = self.head.lower().find(start)
        if at < 0:
            raise KeyError(name)
        return self.head[at + len(start) :].split(b"\r\n", 1)[0].decode()

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class Connection(asyncio.Protocol):
    """One connection; one request at a time."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._answer: asyncio.Future[Response] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by class

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error or ConnectionResetError("closed before the answer"))

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._answer is not None and not self._answer.done() and (response := _parsed(self._received)):
            self._received.clear()
            self._answer.set_result(response)

    async def ask(self, request: bytes) -> Response:
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def _parsed(received: bytearray) -> Response | None:
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = bytes(received[: end + 2])
    lower = head.lower()
    status = int(head[9:12])
    at = lower.find(b"\r\ncontent-length:")
    if at >= 0:
        length = int(lower[at + 17 : lower.index(b"\r\n", at + 17)])
        if len(received) < end + 4 + length:
            return None
        return Response(status, head, bytes(memoryview(received)[end + 4 : end + 4 + length]))
    if b"\r\ntransfer-encoding: chunked" in lower:
        if not received.endswith(b"0\r\n\r\n"):
            return None
        return _unchunked(status, head, bytes(memoryview(received)[end + 4 :]))
    return Response(status, head, b"")


def _unchunked(status: int, head: bytes, data: bytes) -> Response | None:
    chunks: list[bytes] = []
    position = 0
    while True:
        line = data.find(b"\r\n", position)
        size = int(data[position:line].split(b";")[0], 16) if line >= 0 else -1
        if size == 0:
            return Response(status, head, b"".join(chunks))
        if size < 0 or line + 4 + size > len(data):
            return None
        chunks.append(data[line + 2 : line + 2 + size])
        position = line + 4 + size


def request(method: str, path: str, body: bytes = b"", *headers: str) -> bytes:
    """Give the bytes of a request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: bench", *headers]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@asynccontextmanager
async def connections(url: str, count: int) -> AsyncIterator[list[Connection]]:
    """Open so many connections."""
    parts = urlsplit(url)
    loop = asyncio.get_running_loop()
    host, port = parts.hostname or "", parts.port or 80
    opened = [(await loop.create_connection(Connection, host, port))[1] for _ in range(count)]
    try:
        yield opened
    finally:
        for connection in opened:
            connection.close()


Work = Callable[[Connection], Awaitable[None]]


async def rate(url: str, work: Work, *, count: int, concurrency: int = CONCURRENCY) -> float:
    """Do `work` so many times on so many connections; give how many a second."""
    async with connections(url, concurrency) as opened:
        left = iter(range(count))
        began = time.perf_counter()
        async with asyncio.timeout(ROUND_SECONDS):
            await asyncio.gather(*(_each(connection, work, left) for connection in opened))
        return count / (time.perf_counter() - began)


async def _each(connection: Connection, work: Work, left: Iterator[int]) -> None:
    for _ in left:
        await work(connection)


async def times(url: str, work: Work, *, count: int) -> list[float]:
    """Do `work` so many times on one connection; give the milliseconds each took, sorted."""
    took = []
    async with connections(url, 1) as (connection,), asyncio.timeout(ROUND_SECONDS):
        for _ in range(count):
            began = time.perf_counter()
            await work(connection)
            took.append((time.perf_counter() - began) * 1000)
    return sorted(took)


def asks(method: str, path: str, body: bytes = b"") -> Work:
    """Give the work of one request that must succeed."""
    data = request(method, path, body)

    async def work(connection: Connection) -> None:
        answer = await connection.ask(data)
        assert answer.status == 200, answer

    return work


async def p50(url: str, work: Work, count: int) -> float:
    """Give the median of the milliseconds, after a few to warm up."""
    await times(url, work, count=3)
    return percentile(await times(url, work, count=count), 0.5)


def percentile(ordered: Sequence[float], share: float) -> float:
    """Give the value below which so much of the sorted values lies."""
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]
