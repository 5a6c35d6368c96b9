"""Answers: documents in the representation the client takes, with the headers that belong to them."""

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final

import msgspec
from fastprocesses_sdk.description import Link
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from fastprocesses_host.ogc.links import JSON, link_header
from fastprocesses_host.web.repeated import mark_repeatable

MAX_LINK_HEADERS: Final = 20
"""Documents with more links than this have them in the body alone (Part 1, /rec/core/link-header)."""

_encode: Final = msgspec.json.Encoder().encode


def respond(
    request: Request, document: Any, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Answer with a document in the representation the client asked for.

    Args:
        request: Which tells the representation; `Resource` has checked that there is one.
        document: Struct or dict; absent members are absent, never null.
        status: Status code.
        headers: Further headers.
    """
    return Response(_encode(document), status, {"Vary": "Accept", **(headers or {})}, JSON)


class Written(Response):
    """An answer whose header is written already."""

    def __init__(self, body: bytes, status: int, raw_headers: list[tuple[bytes, bytes]]) -> None:
        self.status_code, self.body, self.background = status, body, None
        self.raw_headers = [*raw_headers, (b"content-length", b"%d" % len(body)), _JSON_TYPE]

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send it."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body})


_JSON_TYPE: Final = (b"content-type", JSON.encode())


def respond_written(document: Any, raw_headers: list[tuple[bytes, bytes]], *, status: int = 200) -> Response:
    """Answer with a document as `respond` does, its further headers being bytes, their names in lower case."""
    return Written(_encode(document), status, [VARY, *raw_headers])


VARY: Final = (b"vary", b"Accept")


class Rendered(msgspec.Struct, frozen=True):
    """A document that is the same for every client until something changes, with the headers it goes with."""

    body: bytes
    etag: str
    raw_headers: list[tuple[bytes, bytes]]
    encoded: dict[str, bytes] = msgspec.field(default_factory=dict)
    """The body by content coding, compressed when it is first asked for."""


class KeptResponse(Response):
    """An answer whose body is kept for other clients; what it is compressed to is kept too."""

    encoded: dict[str, bytes]


def render(
    document: Any,
    links: Sequence[Link] = (),
    *,
    media_type: str = JSON,
    headers: Mapping[str, str] | None = None,
) -> Rendered:
    """Encode a document once for many answers; its links are headers too, unless they are many.

    Args:
        document: Struct or dict.
        links: Of it.
        media_type: What it is.
        headers: Further headers.
    """
    body = _encode(document)
    etag = f'W/"{blake2b(body, digest_size=12).hexdigest()}"'
    told = {"Vary": "Accept", "Cache-Control": "no-cache", "ETag": etag, **links_as_header(links)}
    return Rendered(body, etag, Response(body, 200, {**told, **(headers or {})}, media_type).raw_headers)


class RenderedDocuments:
    """Rendered documents of one version of the catalogue, by whatever their bytes depend on."""

    def __init__(self, max_bytes: int = 4 * 1024 * 1024) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._version = ""
        self._documents: dict[tuple[str, ...], Rendered] = {}

    def get(self, version: str, key: tuple[str, ...], make: Callable[[], Rendered]) -> Rendered:
        """Give a document, made if it is not here. A new version, or too many bytes: all are forgotten."""
        found = self._documents.get(key) if version == self._version else None
        if found is None:
            found = make()
            size = len(found.body) + sum(map(len, key))
            if version != self._version or self._bytes + size > self._max_bytes:
                self._documents, self._bytes, self._version = {}, 0, version
            self._documents[key] = found
            self._bytes += size
        return found


def respond_rendered(request: Request, rendered: Rendered) -> Response:
    """Answer with a rendered document, or 304 when the client has it already (RFC 9110, section 13.1.2)."""
    mark_repeatable(request)
    response = KeptResponse()
    response.raw_headers, response.encoded = rendered.raw_headers.copy(), rendered.encoded
    if etag_matches(request.headers.get("if-none-match", ""), rendered.etag):
        response.status_code = 304
        del response.headers["Content-Type"], response.headers["Content-Length"]
        return response
    response.body = rendered.body
    return response


def etag_matches(if_none_match: str, etag: str) -> bool:
    """Compare weakly, as If-None-Match does."""
    if not if_none_match:
        return False
    known = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in known or etag.removeprefix("W/") in known


def strong_etag(*parts: Any) -> str:
    """Give the entity tag of an answer that is the same, byte for byte, whenever these parts are."""
    return f'"{blake2b(_encode(parts), digest_size=16).hexdigest()}"'


def is_known(request: Request, etag: str) -> bool:
    """Tell whether the client has what it asks for already; not where `etag` is empty."""
    return bool(etag) and etag_matches(request.headers.get("if-none-match", ""), etag)


def not_modified(etag: str) -> Response:
    """Answer that the client has it already (RFC 9110, section 15.4.5)."""
    return Response(status_code=304, headers={"ETag": etag})


def links_as_header(links: Sequence[Link]) -> dict[str, str]:
    """Give the links of a body as a header too, unless they are many (Part 1, /rec/core/link-header)."""
    return {"Link": link_header(links)} if 0 < len(links) <= MAX_LINK_HEADERS else {}


def contained(response: Response) -> Response:
    """Let a browser take a value for what it is said to be, and keep scripts in it away from our origin."""
    response.headers["X-Content-Type-Options"] = "nosniff"
    media_type = response.headers.get("content-type", "").partition(";")[0]
    if media_type in _SCRIPTED:
        response.headers["Content-Security-Policy"] = "sandbox allow-scripts allow-popups allow-forms"
    return response


_SCRIPTED: Final = frozenset(
    {"text/html", "application/xhtml+xml", "image/svg+xml", "application/xml", "text/xml"}
)


def bodiless(response: Response) -> Response:
    """Give the answer to HEAD: the same headers, Content-Length included, and no body."""
    head = Response(status_code=response.status_code)
    head.raw_headers = response.raw_headers
    return head
