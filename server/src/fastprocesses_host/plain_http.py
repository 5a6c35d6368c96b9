"""HTTP/1.1 as most clients write it, read and written in a few steps; for all else there is hypercorn's own protocol.

hypercorn leaves HTTP/1.1 to h11, which is careful with every byte, in Python, and gives each request a task and a
queue: more work than all that our application does for a short answer. Most requests need none of that: their head
comes in one piece and matches one expression, which allows less than h11 does. The first request of a connection that
does not match, and all that follow it, are hypercorn's.
"""

import asyncio
import re
from collections.abc import Callable
from enum import Enum, auto
from functools import lru_cache
from typing import Final, NamedTuple, Protocol
from urllib.parse import unquote

from hypercorn.config import Config
from hypercorn.typing import ConnectionState, WorkerContext
from hypercorn.utils import UnexpectedMessageError, suppress_body
from starlette.types import ASGIApp, Message

from fastprocesses_host.web.body import WHOLE_BODY
from fastprocesses_host.web.head import HeaderFields

Address = tuple[str, int]
Headers = list[tuple[bytes, bytes]]

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_HEAD: Final = re.compile(
    rb"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) ([\x21-\x7e]+) HTTP/1\.1\r\n"
    rb"((?:" + _TOKEN + rb"++:[\t\x20-\x7e]*+\r\n)*+)\r\n"
)
_FIELD: Final = re.compile(rb"(" + _TOKEN + rb"+):([\t\x20-\x7e]*)\r\n")
_NAME: Final = re.compile(_TOKEN + rb"+")
_LENGTH: Final = re.compile(rb"[0-9]{1,15}")
_NEEDS_CARE: Final = frozenset({b"transfer-encoding", b"upgrade", b"expect", b"http2-settings"})
_LINE_BREAKERS: Final = b"\0\n\v\f\r"


class Fields(NamedTuple):
    """The header fields of a plain request.

    Attributes:
        headers: Their names in lower case, and their values.
        body_bytes: How long the body is.
    """

    headers: HeaderFields
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
    return Fields(HeaderFields.of(headers), int(length)) if is_plain else None


class Line(Protocol):
    """The connection that requests come by.

    Attributes:
        waiting_bytes: How much came that is not read yet.
        has_ended: Nothing more comes.
        is_lost: Nothing more goes either.
        is_full: The client does not take what is written.
    """

    waiting_bytes: int
    has_ended: bool
    is_lost: bool
    is_full: bool

    async def next(self) -> bytes:
        """Give what came next; nothing at the end."""

    def write(self, data: bytes) -> None:
        """Write with what else is written in this turn."""

    def write_last(self, data: bytes) -> None:
        """Write at once, since nothing else will be in this turn."""

    async def emptied(self) -> None:
        """Wait until the client takes more."""

    def close(self) -> None:
        """Write what is still to be written, and close."""


class PlainProtocol:
    """Reads and answers the requests of one connection, one after the other, until one is not plain.

    The application is called where the connection is read: what it awaits of a body is read from there.
    """

    def __init__(
        self,
        app: ASGIApp,
        config: Config,
        context: WorkerContext,
        state: ConnectionState,
        client: Address | None,
        server: Address | None,
        line: Line,
    ) -> None:
        self._app = app
        self._config = config
        self._context = context
        self._state = state
        self._client = client
        self._server = server
        self._line = line
        self._exchange: _Exchange | None = None
        self.keep_alive_requests = 0
        self._last_fields: tuple[bytes, Fields | None] = (b"", None)

    async def answer(self, data: bytes) -> bytes | None:
        """Answer the request whose head is at the begin of what came.

        Returns:
            What came after it; None where nothing is to follow.

        Raises:
            NotPlainError: it is not plain, and is to be read by hypercorn's protocol.
        """
        head = _HEAD.match(data)
        fields = (
            self._fields(head[3]) if head and head.end() <= self._config.h11_max_incomplete_size else None
        )
        if head is None or fields is None:
            raise NotPlainError(data)
        self.keep_alive_requests += 1
        method = head[1].decode()
        body_bytes, data = fields.body_bytes, data[head.end() :]
        self._exchange = exchange = _Exchange(
            self._line,
            method,
            body_bytes,
            data,
            self._more_headers,
        )
        if self._line.has_ended:
            exchange.see_end()
        path, _, query = head[2].partition(b"?")
        scope = {
            "type": "http",
            "http_version": "1.1",
            "asgi": {"spec_version": "2.1", "version": "3.0"},
            "method": method,
            "scheme": "http",
            "path": unquote(path.decode()),
            "raw_path": path,
            "query_string": query,
            "root_path": self._config.root_path,
            "headers": fields.headers,
            "client": self._client,
            "server": self._server,
            "state": self._state.copy(),
            "extensions": {WHOLE_BODY: {"bytes": body_bytes}} if body_bytes <= len(data) else {},
        }
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) and task.cancelling():
                raise
            # What it awaited was cancelled, not it.
            await self._config.log.exception("Error in ASGI Framework")
        except Exception:
            await self._config.log.exception("Error in ASGI Framework")
        left = await exchange.end()
        self._exchange = None
        return None if self._context.terminated.is_set() else left

    def _more_headers(self) -> Headers:
        """Give what every answer has besides its own; from some moment on that no request may follow."""
        more = self._config.response_headers("h11")
        if self.keep_alive_requests >= self._config.keep_alive_max_requests:
            return [*more, (b"connection", b"close")]
        return more

    @property
    def is_busy(self) -> bool:
        """Whether a request is being answered."""
        return self._exchange is not None

    def see_end(self) -> None:
        """See that nothing more comes."""
        if self._exchange is not None:
            self._exchange.see_end()

    def _fields(self, written: bytes) -> Fields | None:
        """Give the fields of a request, read once for requests in succession that have the same."""
        if written != self._last_fields[0]:
            self._last_fields = written, plain_fields(written)
        return self._last_fields[1]


class NotPlainError(Exception):
    """What came is to be read by hypercorn's protocol.

    Attributes:
        data: What came.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.data = data


class _Stage(Enum):
    BEGUN = auto()
    ANSWERED = auto()
    """The head of the answer is known."""
    ENDED = auto()
    REFUSED = auto()
    """The client ended within the body."""


_BEGUN, _ANSWERED, _ENDED, _REFUSED = _Stage  # in Python 3.11 each look into the class is a call
_OVER: Final = (_ENDED, _REFUSED)


class _Exchange:
    """One request, and its answer put into bytes.

    Args:
        line: Where both go.
        method: Of the request.
        body_bytes: How long its body is.
        data: What came after its head: the begin of the body, and of what follows.
        more_headers: Gives what every answer has besides its own.
    """

    def __init__(
        self,
        line: Line,
        method: str,
        body_bytes: int,
        data: bytes,
        more_headers: Callable[[], Headers],
    ) -> None:
        self._line = line
        self._method = method
        self._unread_bytes = body_bytes
        self._data = data
        self._more_headers = more_headers
        self._is_read = False
        self._stage: _Stage = _BEGUN
        self._head = b""
        self._has_body = self._is_chunked = self._keeps_alive = False
        self._left_bytes = 0
        self._over: asyncio.Event | None = None

    async def receive(self) -> Message:
        """Give the next part of the body, or that nobody is there any more."""
        if self._unread_bytes:
            data = self._data or await self._line.next()
            if data:
                return self._part(data)
        elif not self._is_read:
            self._is_read = True
            return {"type": "http.request", "body": b"", "more_body": False}
        if not self._is_over:
            self._over = self._over or asyncio.Event()
            await self._over.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Write a part of the answer.

        Raises:
            ValueError: the answer is not one of HTTP.
            UnexpectedMessageError: this part's turn is not now.
        """
        if self._stage is _REFUSED:
            return
        kind = message["type"]
        if kind == "http.response.start" and self._stage is _BEGUN:
            self._begin_answer(message["status"], list(message.get("headers", ())))
        elif kind == "http.response.body" and self._stage is _ANSWERED:
            self._write(message.get("body", b""), is_last=not message.get("more_body", False))
        else:
            raise UnexpectedMessageError(self._stage, kind)
        if self._line.is_full:
            await self._line.emptied()

    async def end(self) -> bytes | None:
        """End it, whatever the application left undone.

        Returns:
            What came after it; None where no other request may follow.
        """
        if self._stage is _BEGUN:
            self._begin_answer(500, [(b"content-length", b"0"), (b"connection", b"close")])
            self._write(b"", is_last=True)
        if self._stage is not _ENDED or not self._keeps_alive:
            return None
        while self._unread_bytes and (self._data or self._line.waiting_bytes):
            self._part(self._data or await self._line.next())
        return None if self._unread_bytes else self._data

    def see_end(self) -> None:
        """See that nothing more comes: a client that ended within its body is told so, unless it has an answer."""
        if self._unread_bytes > len(self._data) + self._line.waiting_bytes and self._stage is not _ENDED:
            if self._stage is _BEGUN:
                self._begin_answer(400, [(b"content-length", b"0"), (b"connection", b"close")])
                self._line.write_last(self._taken_head())
            self._stage = _REFUSED
            self._line.close()
        if self._over is not None and self._is_over:
            self._over.set()

    @property
    def _is_over(self) -> bool:
        line = self._line
        has_left = line.has_ended and not line.waiting_bytes and not self._data
        return self._stage in _OVER or has_left or line.is_lost

    def _part(self, data: bytes) -> Message:
        """Give the next part of the body, and keep what follows it."""
        part, self._data = data[: self._unread_bytes], data[self._unread_bytes :]
        self._unread_bytes -= len(part)
        self._is_read = not self._unread_bytes
        return {"type": "http.request", "body": part, "more_body": not self._is_read}

    def _begin_answer(self, status: int, headers: Headers) -> None:
        """Put the head into bytes; it leaves with the first part of the body, unless nobody knows when that comes.

        Raises:
            ValueError: a header would be more than a line, or the length is not told clearly.
        """
        headers += self._more_headers()
        names, told = zip(*headers, strict=True) if headers else ((), ())
        values = tuple(map(bytes.strip, told))
        form = _form(names)
        written = b"".join(values)
        if len(written.translate(None, _LINE_BREAKERS)) != len(written):
            raise ValueError("A header of the answer is not a line.")
        length = None if form.length_at is None else values[form.length_at]
        if length is not None and not _LENGTH.fullmatch(length):
            raise ValueError("The length of the answer is not told clearly.")
        has_body = not suppress_body(self._method, status)
        end = b"\r\n" if length is not None or status in {204, 304} else b"Transfer-Encoding: chunked\r\n\r\n"
        self._head = form.lines % (status, *values) + end
        self._has_body = has_body
        self._left_bytes = int(length or 0) if has_body else 0
        self._is_chunked = has_body and length is None
        self._keeps_alive = form.connection_at is None or b"close" not in values[form.connection_at].lower()
        self._stage = _ANSWERED
        if self._is_chunked:
            self._line.write(self._taken_head())

    def _write(self, data: bytes, *, is_last: bool) -> None:
        """Write a part of the body.

        Raises:
            ValueError: it is more than was told, or ends with less.
        """
        if not self._has_body:
            data = b""
        written = data
        if self._is_chunked:
            written = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
            written += b"0\r\n\r\n" if is_last else b""
        elif len(data) > self._left_bytes:
            raise ValueError("The body of the answer is longer than its content-length.")
        else:
            self._left_bytes -= len(data)
        if self._head and (data or not self._left_bytes):
            written = self._taken_head() + written
        if is_last and not self._left_bytes:
            self._stage = _ENDED
            self._line.write_last(written)
            if self._over is not None:
                self._over.set()
            return
        self._line.write(written)
        if is_last:
            raise ValueError("The body of the answer is shorter than its content-length.")

    def _taken_head(self) -> bytes:
        head, self._head = self._head, b""
        return head


class _Form(NamedTuple):
    """What heads of answers with the same names have in common.

    Attributes:
        lines: All of it but its end, to be filled with the status and the values.
        length_at: Which value is the length of the body.
        connection_at: Which value is that of `Connection`.
    """

    lines: bytes
    length_at: int | None
    connection_at: int | None


@lru_cache(maxsize=256)
def _form(names: tuple[bytes, ...]) -> _Form:
    """Give the form of a head; applications have few.

    Raises:
        ValueError: a name is none, or one that is not the application's to tell.
    """
    stripped = [name.strip() for name in names]
    if not all(map(_NAME.fullmatch, stripped)):
        raise ValueError("A header of the answer has no proper name.")
    lowered = [name.lower() for name in stripped]
    if lowered.count(b"content-length") > 1:
        raise ValueError("The length of the answer is not told clearly.")
    if b"transfer-encoding" in lowered:
        raise ValueError("How the answer is transferred is not the application's to tell.")
    lines = b"".join([b"%b: %%b\r\n" % name.replace(b"%", b"%%") for name in stripped])
    places = {name: place for place, name in enumerate(lowered)}
    return _Form(b"HTTP/1.1 %d \r\n" + lines, places.get(b"content-length"), places.get(b"connection"))
