"""HTTP/1.1 as most clients write it, read and written in a few steps; for all else there is hypercorn's own protocol.

hypercorn leaves HTTP/1.1 to h11, which is careful with every byte, in Python: more work than all that our application
does for a short answer. Most requests need none of that care: their head comes in one piece and matches one expression,
which allows less than h11 does. The first request of a connection that does not match, and all that follow it, are
h11's.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.events import Body, EndBody, Request, Response, StreamClosed
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.typing import AppWrapper, ConnectionState, TaskGroup, WorkerContext
from hypercorn.utils import suppress_body

Address = tuple[str, int]
Headers = list[tuple[bytes, bytes]]

_STREAM_ID: Final = 1
_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_HEAD: Final = re.compile(
    rb"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) ([\x21-\x7e]+) HTTP/1\.1\r\n"
    rb"((?:" + _TOKEN + rb"++:[\t\x20-\x7e]*+\r\n)*+)\r\n"
)
_FIELD: Final = re.compile(rb"(" + _TOKEN + rb"+):([\t\x20-\x7e]*)\r\n")
_LENGTH: Final = re.compile(rb"[0-9]{1,15}")
_ANSWER_FIELDS: Final = re.compile(rb"(?:" + _TOKEN + rb"++: [^\0\n\v\f\r]*+\r\n)*+")
_NEEDS_CARE: Final = frozenset({b"transfer-encoding", b"upgrade", b"expect", b"http2-settings"})


class Fields(NamedTuple):
    """The header fields of a plain request.

    Attributes:
        headers: Their names in lower case, and their values.
        body_bytes: How long the body is.
    """

    headers: Headers
    body_bytes: int


def plain_fields(written: bytes) -> Fields | None:
    """Give the header fields of a request if they are plain: the body's length is told, and nothing else is asked for.

    Args:
        written: The lines, each with its end.
    """
    headers = [(name.lower(), value.strip(b" \t")) for name, value in _FIELD.findall(written)]
    values = dict(headers)
    length = values.get(b"content-length", b"0")
    is_plain = (
        len(values) == len(headers)
        and b"host" in values
        and _NEEDS_CARE.isdisjoint(values)
        and values.get(b"connection", b"keep-alive").lower() == b"keep-alive"
        and _LENGTH.fullmatch(length)
    )
    return Fields(headers, int(length)) if is_plain else None


class NotPlainError(Exception):
    """What came is to be read by hypercorn's protocol.

    Attributes:
        data: What came.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.data = data


class PlainProtocol:
    """Reads and answers the requests of one connection, one after the other, as hypercorn's protocols do."""

    def __init__(
        self,
        app: AppWrapper,
        config: Config,
        context: WorkerContext,
        task_group: TaskGroup,
        state: ConnectionState,
        ssl: bool,
        client: Address | None,
        server: Address | None,
        send: Callable[[Event], Awaitable[None]],
    ) -> None:
        self._context = context
        self._config = config
        self._send = send
        self._state = state
        self._stream_parts = (
            app,
            config,
            context,
            task_group,
            ssl,
            client,
            server,
            self.stream_send,
            _STREAM_ID,
        )
        self._stream: HTTPStream | None = None
        self.keep_alive_requests = 0
        self._method = ""
        self._unread_bytes = 0
        self._answer: _Answer | None = None
        self._is_over = False
        self._has_left = False
        self._may_read = asyncio.Event()
        self._last_fields: tuple[bytes, Fields | None] = (b"", None)

    async def handle(self, event: Event) -> None:
        """Take what came, or that the connection is lost.

        Raises:
            NotPlainError: what came is the begin of a request that is not plain; the one before it is answered.
        """
        if isinstance(event, RawData):
            if event.data:
                await self._read(event.data)
            elif self._unread_bytes:
                await self._refuse_half_body()
        elif isinstance(event, Closed):
            self._has_left = True
            self._may_read.set()
            await self._close_stream()

    async def stream_send(self, event: StreamEvent) -> None:
        """Write a part of the answer.

        Raises:
            ValueError: the answer is not one of HTTP.
        """
        if isinstance(event, StreamClosed):
            await self._end_exchange()
        elif self._is_over:
            return
        elif isinstance(event, Response):
            self._answer = _Answer(event.status_code, self._answer_headers(event), self._method)
            if self._answer.is_chunked:  # nobody knows when its first part comes
                await self._send(RawData(self._answer.head()))
        elif isinstance(event, Body) and self._answer is not None:
            await self._send(RawData(self._answer.part(event.data)))
        elif isinstance(event, EndBody) and self._answer is not None and (last := self._answer.end()):
            await self._send(RawData(last))

    async def _read(self, data: bytes) -> None:
        while data and not (self._is_over or self._has_left):
            if self._stream is None:
                data = await self._begin_exchange(data)
            elif self._unread_bytes:
                part, data = data[: self._unread_bytes], data[self._unread_bytes :]
                await self._pass_on(part, self._stream)
            else:  # the next request waits until this one is answered
                self._may_read.clear()
                await self._may_read.wait()

    async def _begin_exchange(self, data: bytes) -> bytes:
        """Begin with a request; give what follows its head."""
        head = _HEAD.match(data)
        fields = (
            self._fields(head[3]) if head and head.end() <= self._config.h11_max_incomplete_size else None
        )
        if head is None or fields is None:
            raise NotPlainError(data)
        await self._send(Updated(idle=False))
        self._method, self._unread_bytes = head[1].decode(), fields.body_bytes
        self._stream = stream = HTTPStream(*self._stream_parts)
        await stream.handle(
            Request(_STREAM_ID, fields.headers.copy(), "1.1", self._method, head[2], self._state)
        )
        self.keep_alive_requests += 1
        if not self._unread_bytes:
            await stream.handle(EndBody(_STREAM_ID))
        return data[head.end() :]

    def _fields(self, written: bytes) -> Fields | None:
        """Give the fields of a request, read once for requests in succession that have the same."""
        if written != self._last_fields[0]:
            self._last_fields = written, plain_fields(written)
        return self._last_fields[1]

    async def _pass_on(self, part: bytes, stream: HTTPStream) -> None:
        self._unread_bytes -= len(part)
        await stream.handle(Body(_STREAM_ID, part))
        if not self._unread_bytes:
            await stream.handle(EndBody(_STREAM_ID))

    def _answer_headers(self, event: Response) -> Headers:
        headers = [*event.headers, *self._config.response_headers("h11")]
        if self.keep_alive_requests >= self._config.keep_alive_max_requests:
            headers.append((b"connection", b"close"))
        return headers

    async def _refuse_half_body(self) -> None:
        """Answer a client that ended in the middle of a body, unless it has an answer already, and close."""
        answer, self._is_over = self._answer, True
        if answer is None:
            headers = [
                (b"content-length", b"0"),
                (b"connection", b"close"),
                *self._config.response_headers("h11"),
            ]
            await self._send(RawData(_Answer(400, headers, self._method).end()))
        await self._send(Closed())

    async def _end_exchange(self) -> None:
        answer, self._answer = self._answer, None
        if (
            self._context.terminated.is_set()
            or self._unread_bytes
            or answer is None
            or not answer.leaves_open
        ):
            self._is_over = True
        await self._close_stream()
        self._may_read.set()
        await self._send(Closed() if self._is_over else Updated(idle=True))

    async def _close_stream(self) -> None:
        if self._stream is not None:
            await self._stream.handle(StreamClosed(_STREAM_ID))
            self._stream = None


class _Answer:
    """One answer, put into bytes."""

    def __init__(self, status: int, headers: Headers, method: str) -> None:
        """Begin.

        Raises:
            ValueError: a header would be more than a line, or the length is not told clearly.
        """
        values = {name.lower(): value for name, value in headers}
        length = values.get(b"content-length")
        if length is not None and (
            not _LENGTH.fullmatch(length)
            or (
                len(values) < len(headers)
                and [name.lower() for name, _ in headers].count(b"content-length") > 1
            )
        ):
            raise ValueError("The length of the answer is not told clearly.")
        if b"transfer-encoding" in values:
            raise ValueError("How the answer is transferred is not the application's to tell.")
        has_body = not suppress_body(method, status)
        self._left_bytes = int(length or 0) if has_body else 0
        self.is_chunked = has_body and length is None
        self._keeps_alive = b"close" not in values.get(b"connection", b"").lower()
        if length is None and status not in {204, 304}:
            headers = [*headers, (b"Transfer-Encoding", b"chunked")]
        fields = b"".join([b"%b: %b\r\n" % field for field in headers])
        if fields.count(b"\n") != len(headers) or not _ANSWER_FIELDS.fullmatch(fields):
            raise ValueError("A header of the answer is not a line, or has no proper name.")
        self._head = b"HTTP/1.1 %d \r\n%b\r\n" % (status, fields)
        self._has_ended = False

    @property
    def leaves_open(self) -> bool:
        """Tell whether another request may follow."""
        return self._has_ended and self._keeps_alive

    def head(self) -> bytes:
        """Give the head, once."""
        head, self._head = self._head, b""
        return head

    def part(self, data: bytes) -> bytes:
        """Give what is to be written for a part of the body.

        Raises:
            ValueError: it is more than was told.
        """
        if self.is_chunked:
            return b"%x\r\n%b\r\n" % (len(data), data)
        self._left_bytes -= len(data)
        if self._left_bytes < 0:
            raise ValueError("The body of the answer is longer than its content-length.")
        return self.head() + data

    def end(self) -> bytes:
        """Give what is to be written at the end.

        Raises:
            ValueError: the body is less than was told.
        """
        if self._left_bytes:
            raise ValueError("The body of the answer is shorter than its content-length.")
        self._has_ended = True
        return b"0\r\n\r\n" if self.is_chunked else self.head()
