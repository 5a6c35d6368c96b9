"""Scripts of other sites: which may use the service, and what they may read (Fetch standard, section 3.3)."""

import re
from collections.abc import Awaitable, Collection
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastprocesses_host.ogc.exceptions import Forbidden
from fastprocesses_host.web.head import names_in
from fastprocesses_host.web.problems import render_problem

EXPOSED_HEADERS: Final = (
    "Location",
    "Link",
    "Preference-Applied",
    "Content-Location",
    "Content-Range",
    "Accept-Ranges",
    "Content-Disposition",
    "OGC-Output-Values-Count",
    "Retry-After",
    "ETag",
    "Age",
    "Cache-Status",
    "Allow",
    "Tus-Resumable",
    "Tus-Version",
    "Tus-Extension",
    "Tus-Max-Size",
    "Tus-Checksum-Algorithm",
    "Upload-Offset",
    "Upload-Length",
    "Upload-Defer-Length",
    "Upload-Metadata",
    "Upload-Expires",
)
"""What scripts may read besides the basics (/rec/core/access-control-expose-headers)."""

MAX_AGE_SECONDS: Final = 86_400
"""How long a browser need not ask again; each has a limit of its own below this."""

_METHODS: Final = "GET, HEAD, POST, PATCH, DELETE, OPTIONS"
_NAMES: Final = re.compile(r"[\w!#$%&'*+.^`|~-]+(\s*,\s*[\w!#$%&'*+.^`|~-]+)*", re.ASCII)


class CrossOrigin:
    """Tell browsers what scripts of which origins may do; requests without an Origin pass untouched."""

    def __init__(self, app: ASGIApp, *, origins: Collection[str]) -> None:
        self.app = app
        self.origins = frozenset(origin.lower() for origin in origins)
        self.are_all = "*" in self.origins

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer what a browser asks before it sends a request; name the origin in any other answer."""
        if scope["type"] != "http":
            return self.app(scope, receive, send)
        origin = _origin_in(scope) if b"origin" in names_in(scope) else ""
        if not origin and self.are_all:
            return self.app(scope, receive, send)
        if origin and scope["method"] == "OPTIONS" and _is_preflight(scope):
            return self._answer_preflight(origin, scope, receive, send)
        return self._pass_on(origin, scope, receive, send)

    def _allowed(self, origin: str) -> str:
        """Give the value of Access-Control-Allow-Origin; empty: the origin is not allowed."""
        if self.are_all:
            return "*"
        return origin if origin.lower() in self.origins else ""

    async def _answer_preflight(self, origin: str, scope: Scope, receive: Receive, send: Send) -> None:
        await (await self._preflight(Request(scope), origin))(scope, receive, send)

    async def _preflight(self, request: Request, origin: str) -> Response:
        vary = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"
        if not (allowed := self._allowed(origin)):
            refused = Forbidden(
                "Scripts of this origin may not use the service; who runs it decides that (cors_origins).",
                headers={"Vary": vary},
            )
            return await render_problem(request, refused)
        wanted = request.headers.get("access-control-request-headers", "").strip()
        headers = {
            "Access-Control-Allow-Origin": allowed,
            "Access-Control-Allow-Methods": _METHODS,
            "Access-Control-Allow-Headers": wanted if _NAMES.fullmatch(wanted) else "*",
            "Access-Control-Max-Age": str(MAX_AGE_SECONDS),
            "Vary": vary,
        }
        return Response(status_code=204, headers=headers)

    async def _pass_on(self, origin: str, scope: Scope, receive: Receive, send: Send) -> None:
        allowed = self._allowed(origin) if origin else ""

        def send_named(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if allowed:
                    headers["Access-Control-Allow-Origin"] = allowed
                    headers["Access-Control-Expose-Headers"] = ", ".join(EXPOSED_HEADERS)
                if not self.are_all:
                    headers.add_vary_header("Origin")
            return send(message)

        await self.app(scope, receive, send_named)


def _origin_in(scope: Scope) -> str:
    first: bytes = next(value for name, value in scope["headers"] if name == b"origin")
    return first.decode("latin-1")


def _is_preflight(scope: Scope) -> bool:
    return any(name == b"access-control-request-method" for name, _ in scope["headers"])
