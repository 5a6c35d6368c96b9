"""Answers: documents in the representation the client takes, with the headers that belong to them."""

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final

import msgspec
from fastprocesses_sdk.description import Link
from starlette.requests import Request
from starlette.responses import Response

from fastprocesses_host.ogc.links import JSON, link_header

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


class Rendered(msgspec.Struct, frozen=True):
    """A document that is the same for every client until something changes, with the headers it goes with."""

    body: bytes
    etag: str
    raw_headers: list[tuple[bytes, bytes]]


def render(document: Any, links: Sequence[Link] = (), *, media_type: str = JSON) -> Rendered:
    """Encode a document once for many answers; its links are headers too, unless they are many."""
    body = _encode(document)
    etag = f'W/"{blake2b(body, digest_size=12).hexdigest()}"'
    headers = {"Vary": "Accept", "Cache-Control": "no-cache", "ETag": etag, **links_as_header(links)}
    return Rendered(body, etag, Response(body, 200, headers, media_type).raw_headers)


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
    response = Response()
    response.raw_headers = rendered.raw_headers.copy()
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


def links_as_header(links: Sequence[Link]) -> dict[str, str]:
    """Give the links of a body as a header too, unless they are many (Part 1, /rec/core/link-header)."""
    return {"Link": link_header(links)} if 0 < len(links) <= MAX_LINK_HEADERS else {}


def bodiless(response: Response) -> Response:
    """Give the answer to HEAD: the same headers, Content-Length included, and no body."""
    head = Response(status_code=response.status_code)
    head.raw_headers = response.raw_headers
    return head
