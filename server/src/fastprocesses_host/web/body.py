"""Request bodies: how large and how slow they may be, in which media type they come."""

import asyncio
from collections.abc import Awaitable, Iterable
from functools import partial
from typing import Any, Final, NamedTuple
from weakref import ref

from anyio import to_thread
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastprocesses_host.ogc.exceptions import BodyTooLarge, UnsupportedMediaType
from fastprocesses_host.web.coding import Coding, coding_of_body, decode
from fastprocesses_host.web.head import Head, head_of
from fastprocesses_host.web.long_strings import BodyInParts

BODY_SECONDS: Final = 30.0
"""How long any body may take; larger ones get time by `SLOWEST_BYTES_PER_SECOND`."""
SLOWEST_BYTES_PER_SECOND: Final = 16_384
SLOWEST_UPLOAD_BYTES_PER_SECOND: Final = 1024
"""Uploads are for slow connections too; what came of one that was cut is not lost."""
LINGER_SECONDS: Final = 5.0
"""How long the rest of a body that nobody wants is still taken off the line after the answer."""
WHOLE_BODY: Final = "fastprocesses_host.whole_body"
"""An extension of ASGI, by which our server tells of bodies that are there with their heads how long they are.

What of one is not read goes away by itself.
"""
_LOOK_SECONDS: Final = 0.5
"""Whether a body is too slow is looked at so often, for all at once: a timer for each part costs more than the part."""


class BodyLimits:
    """Let no body be larger or slower than allowed, and take every body off the line to its end.

    A server that closes while its client still writes resets the connection, and the client never sees the
    answer that tells why. So what the application leaves unread is read after the answer and thrown away.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_bytes: int,
        seconds: float = BODY_SECONDS,
        linger_seconds: float = LINGER_SECONDS,
    ) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.seconds = seconds
        self.linger_seconds = linger_seconds
        self._awaited: set[_Body] = set()
        self._is_looking = False

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass a request on, its body watched."""
        if scope["type"] != "http" or self._is_here(scope) or (length := _told_length(scope)) is None:
            return self.app(scope, receive, send)
        body = _Body(self, length, receive, send)
        # It knows the server's stream, which has the scope: no circle for the collector.
        scope[_BODY] = ref(body)
        return self.app(scope, body.receive, body.send)

    def _is_here(self, scope: Scope) -> bool:
        """Whether the server has all of a body, which nobody waits for then, and it is not too large."""
        extensions = scope.get("extensions")
        whole = extensions.get(WHOLE_BODY) if extensions else None
        return whole is not None and whole["bytes"] <= self.max_bytes

    def watch(self, body: "_Body") -> None:
        """Look at a body that is waited for, now and then, until `unwatch`."""
        self._awaited.add(body)
        if not self._is_looking:
            self._is_looking = True
            self._look_later()

    def unwatch(self, body: "_Body") -> None:
        """Look at a body no more."""
        self._awaited.discard(body)

    def _look_later(self) -> None:
        asyncio.get_running_loop().call_later(min(_LOOK_SECONDS, self.seconds / 4), self._look)

    def _look(self) -> None:
        now = asyncio.get_running_loop().time()
        for body in self._awaited:
            body.look(now)
        self._is_looking = bool(self._awaited)
        if self._is_looking:
            self._look_later()


_BODY: Final = "fastprocesses_host.body"


def take_larger_body(request: Request, max_bytes: int) -> None:
    """Let the body of a request be larger than others, and slower; it is read as a stream afterwards."""
    found: ref[_Body] | None = request.scope.get(_BODY)
    if found is not None and (body := found()) is not None:
        body.max_bytes, body.slowest_bytes_per_second = max_bytes, SLOWEST_UPLOAD_BYTES_PER_SECOND


class _Body:
    """The body of one request, on its way in."""

    slowest_bytes_per_second = SLOWEST_BYTES_PER_SECOND
    _length = 0
    _ended = False
    _waiter: asyncio.Task[Any] | None = None
    _is_late = False

    def __init__(self, limits: BodyLimits, told: "_Length", receive: Receive, send: Send) -> None:
        self._limits = limits
        self.max_bytes = limits.max_bytes
        self._told = told
        self._receive = receive
        self._send = send
        # Kept: it asks the system each time whether the process was forked.
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()

    async def receive(self) -> Message:
        """Give the next part of the body.

        Raises:
            BodyTooLarge: the declared length, or what came already, is too much.
            HTTPException: 408, the body comes too slowly.
        """
        if self._ended:
            return await self._receive()
        self._check(self._told.bytes)
        self._waiter = waiter = asyncio.current_task(self._loop)
        self._limits.watch(self)
        try:
            message = await self._receive()
        except asyncio.CancelledError:
            # As asyncio.timeout has it: ours becomes an error, unless somebody else cancels too.
            if not self._is_late or waiter is None or waiter.uncancel() > 0:
                raise
            self._is_late = False
            raise HTTPException(
                408, "The body of the request came too slowly. Send it again, over a faster connection."
            ) from None
        finally:
            self._waiter = None
            self._limits.unwatch(self)
        self._count(message)
        self._check(self._length)
        return message

    def look(self, now: float) -> None:
        """Have `receive` fail if it waits although the time is over."""
        if now >= self._deadline and self._waiter is not None and not self._is_late:
            self._is_late = True
            self._waiter.cancel()

    def send(self, message: Message) -> Awaitable[None]:
        """Pass a part of the answer on; the last one once the body is off the line."""
        if self._ended or message["type"] != "http.response.body" or message.get("more_body"):
            return self._send(message)
        return self._send_last(message)

    async def _send_last(self, message: Message) -> None:
        # The answer goes out before the rest of the body is read: many clients stop sending when they see it.
        await self._send({**message, "more_body": True})
        discarding = asyncio.create_task(self._discard())
        try:
            await asyncio.wait({discarding}, timeout=self._limits.linger_seconds)
            # Still discarding: the server may be waiting for us to take a part before it can close.
            await self._send({"type": "http.response.body", "body": b""})
        finally:
            discarding.cancel()

    async def _discard(self) -> None:
        while not self._ended:
            self._count(await self._receive())

    def _count(self, message: Message) -> None:
        self._length += len(message.get("body", b""))
        if message["type"] != "http.request":
            self._ended = True
            return
        if self._told.is_exact and self._length == self._told.bytes:
            message["more_body"] = False  # so that nobody waits for an empty part which tells just that
        self._ended = not message.get("more_body", False)

    def _check(self, length: int) -> None:
        if length > self.max_bytes:
            raise BodyTooLarge(
                f"The body is larger than the {self.max_bytes} bytes this server takes. "
                "Send less, or have the operator raise max_body_bytes."
            )

    @property
    def _deadline(self) -> float:
        return self._started + self._limits.seconds + self._length / self.slowest_bytes_per_second


class _Length(NamedTuple):
    """What the header tells of the length of a body."""

    bytes: int
    """By Content-Length; 0 without one or with one that is no number: the bytes are counted anyway."""
    is_exact: bool
    """The body is certainly as long."""


def _told_length(scope: Scope) -> _Length | None:
    """Give what is told of a body; None: there is none, as HTTP/1.1 says in a header and later versions do not."""
    is_http1 = scope["http_version"].startswith("1") if "http_version" in scope else True
    fields = dict(scope["headers"])
    is_chunked = b"transfer-encoding" in fields
    if b"content-length" not in fields:
        return None if is_http1 and not is_chunked else _Length(0, is_exact=False)
    told = fields[b"content-length"]
    if len(fields) < len(scope["headers"]):
        told = _first_number(value for name, value in scope["headers"] if name == b"content-length")
    is_number = told.isdigit() and len(told) < 20
    return _Length(int(told) if is_number else 0, is_number and is_http1 and not is_chunked)


def _first_number(values: Iterable[bytes]) -> bytes:
    return next((value for value in values if value.isdigit() and len(value) < 20), b"")


async def read_json_body(request: Request, parts: BodyInParts | None = None) -> bytes:
    """Read the body of a request that must be JSON in UTF-8 (RFC 8259, section 8.1).

    Args:
        request: Whose body.
        parts: Where its long strings go as they arrive; then their place-holders are in what is returned. Those of
            compressed bodies stay where they are.

    Raises:
        UnsupportedMediaType: 415, the headers say that it is something else.
        BodyTooLarge: 413. InvalidParameterValue: 400, it is not compressed as the headers say.
    """
    coding = head_of(request).once(_coding)
    if coding is None and parts is not None:
        return await _read_into(parts, request)
    body = await _whole(request)
    if coding is None:
        return body
    state = request.app.state
    decoding = partial(decode, body, coding, max_bytes=state.settings.max_body_bytes)
    return await to_thread.run_sync(decoding, limiter=state.parsing)


def _coding(head: Head) -> Coding | None:
    coding = coding_of_body(head.values(b"content-encoding"))
    check_content_type(head.first(b"content-type"))
    return coding


async def _whole(request: Request) -> bytes:
    """Give all of a body, as `Request.body` does, without a generator."""
    parts = []
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


async def _read_into(parts: BodyInParts, request: Request) -> bytes:
    async for chunk in request.stream():
        if parts.feed(chunk):
            await parts.make_room()
            await to_thread.run_sync(parts.work)
    if parts.has_work:
        await parts.make_room()
        await to_thread.run_sync(parts.end)
    else:
        parts.end()
    return parts.text


def check_content_type(content_type: str) -> None:
    """Refuse what is not JSON, and JSON in anything but UTF-8. No Content-Type at all is read as JSON."""
    media_type, *parameters = [part.strip().lower() for part in content_type.split(";")]
    if media_type and media_type != "application/json" and not media_type.endswith("+json"):
        raise UnsupportedMediaType(
            f"The Content-Type is {media_type!r}; send application/json.",
            headers={"Accept-Post": "application/json"},
        )
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip(' "') not in ("utf-8", "utf8", "us-ascii"):
            raise UnsupportedMediaType(f"The charset is {value.strip()}; JSON is sent in UTF-8.")
