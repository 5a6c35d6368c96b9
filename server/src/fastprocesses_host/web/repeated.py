"""Answers given again as they are: the documents that stay the same until what is offered changes."""

from collections.abc import Awaitable
from typing import Final

from msgspec import Struct
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastprocesses_host.catalog import Catalog

_KEPT_BYTES: Final = 4 * 1024 * 1024
_LARGEST_SHARE: Final = 16
"""No answer may take more than this part of what is kept."""
_EACH_BYTES: Final = 1000
"""What an answer takes besides its body and the words it was asked for in."""
_MARK: Final = "fastprocesses_host.repeatable"

_READ: Final = frozenset({b"host", b"accept", b"accept-encoding", b"accept-language"})
"""The header fields that such an answer can depend on."""
_UNALIKE: Final = frozenset(
    {b"origin", b"if-none-match", b"range", b"content-length", b"transfer-encoding", b"authorization"}
)
"""Requests with one of these go the whole way: they are about more than the document."""

_CHANGING: Final = "/jobs"
"""What no answer is repeated of: recording it would be in vain."""

_Words = tuple[str | bytes, ...]


class _Answer(Struct, frozen=True):
    headers: list[tuple[bytes, bytes]]
    body: bytes


class RepeatedAnswers:
    """Answer a GET in the words of one before like that one, as long as the same is offered.

    For what was marked with `mark_repeatable` and answered 200, and for HTTP/1 alone, where a request without
    a body can be told by its header. Everything else goes its way untouched.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._answers: dict[_Words, _Answer] = {}
        self._bytes = 0
        self._catalog: Catalog | None = None

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Repeat an answer, or pass the request on and keep what is answered."""
        words = _words(scope)
        if words is None or (catalog := _offered(scope)) is None:
            return self.app(scope, receive, send)
        if catalog is self._catalog and (answer := self._answers.get(words)):
            return _repeat(answer, send)
        return self._record(catalog, words, scope, receive, send)

    async def _record(
        self, catalog: Catalog, words: _Words, scope: Scope, receive: Receive, send: Send
    ) -> None:
        recorded = _Recorded(send)
        await self.app({**scope, _MARK: recorded}, receive, recorded.send)
        if recorded.is_whole:  # kept for what was offered before it was made, which never comes again
            self._keep(catalog, words, _Answer(recorded.headers, recorded.body))

    def _keep(self, catalog: Catalog, words: _Words, answer: _Answer) -> None:
        """Keep an answer. Of another catalogue, or too many bytes: all others are forgotten."""
        size = len(answer.body) + sum(map(len, words)) + _EACH_BYTES
        if size > _KEPT_BYTES // _LARGEST_SHARE:
            return
        if catalog is not self._catalog or self._bytes + size > _KEPT_BYTES:
            self._answers, self._bytes, self._catalog = {}, 0, catalog
        if words not in self._answers:
            self._answers[words] = answer
            self._bytes += size


async def _repeat(answer: _Answer, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": answer.headers.copy()})
    await send({"type": "http.response.body", "body": answer.body})


def mark_repeatable(request: Request) -> None:
    """Tell that the answer to a request depends on nothing but its words, what is offered, and the settings."""
    recorded = request.scope.get(_MARK)
    if recorded is not None:
        recorded.is_repeatable = True


class _Recorded:
    """Sends an answer on, and knows afterwards what it was."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._starts: list[Message] = []
        self._body: Message | None = None
        self._is_streamed = False
        self.is_repeatable = False

    def send(self, message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            self._starts.append(message)
        elif self._body is not None or message.get("more_body", False):
            self._is_streamed, self._body = True, None  # it may be very long
        elif not self._is_streamed:
            self._body = message
        return self._send(message)

    @property
    def is_whole(self) -> bool:
        """Whether it can be given again: marked, successful, in one piece."""
        return (
            self.is_repeatable
            and [start["status"] for start in self._starts] == [200]
            and self._body is not None
        )

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        return list(self._starts[0]["headers"])

    @property
    def body(self) -> bytes:
        return bytes(self._body.get("body", b"")) if self._body is not None else b""


def _words(scope: Scope) -> _Words | None:
    """Give all of a request that can make a difference; None: it is none that can be like another."""
    if scope["type"] != "http" or scope["method"] != "GET" or not scope["http_version"].startswith("1"):
        return None
    if scope["path"].startswith(_CHANGING):
        return None
    words = [scope.get("scheme", ""), scope.get("root_path", ""), scope["path"], scope.get("raw_path") or b""]
    words.append(scope["query_string"])
    names_host = False
    for name, value in scope["headers"]:
        if name in _READ:
            words += (name, value)
            names_host = names_host or name == b"host"
        elif name in _UNALIKE:
            return None
    return tuple(words) if names_host else None


def _offered(scope: Scope) -> Catalog | None:
    try:
        catalog: Catalog = scope["app"].state.host.catalog
    except Exception:  # whatever it is, the whole way tells it
        return None
    return catalog
