"""Paths as clients write them."""

import re
from collections.abc import Awaitable
from typing import Final
from urllib.parse import unquote

from starlette.types import ASGIApp, Receive, Scope, Send

_ABSOLUTE: Final = re.compile(r"https?://([^/]*)(.*)", re.IGNORECASE | re.DOTALL)

_SLASHES: Final = re.compile("/{2,}")

ESCAPED_SLASH: Final = "%2F"
"""How a slash within an id reads in the parameters of a path."""


_UPLOAD: Final = re.compile(r"(/uploads/[^/]{4})[^/]+")


def loggable(path: str) -> str:
    """Give a path as it may stand in a log: the id of an upload is the right to it, so most of it is left out."""
    return _UPLOAD.sub(r"\1…", path)


class ExtraSlashes:
    """Answer a path with trailing or doubled slashes like the same path without.

    Clients put paths behind a base URL that ends in a slash itself. A redirect would cost a round trip, and
    many clients do not send a POST again. A slash that is escaped belongs to an id, so it parts no segments
    (RFC 3986, section 2.2).
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass a request on without the slashes."""
        if scope["type"] == "http" and not _is_plain(scope):
            scope = origin_form(scope)
            root = scope.get("root_path", "").rstrip("/")
            path = _SLASHES.sub("/", _path(scope)).rstrip("/")
            if path == root:
                path += "/"  # the landing page of a service under a path is the one that has the slash
            if path != scope["path"]:
                scope = {**scope, "path": path}
        return self.app(scope, receive, send)


def _is_plain(scope: Scope) -> bool:
    """Tell whether a path certainly has nothing to be changed, as most have not."""
    path: str = scope["path"]
    return (
        path.startswith("/")
        and not path.endswith("/")
        and "//" not in path
        and scope.get("raw_path") == path.encode()
        and not scope.get("root_path")
    )


def _path(scope: Scope) -> str:
    raw: bytes = scope.get("raw_path") or b""
    if not raw.startswith(b"/") or b"%2f" not in raw.lower():
        path: str = scope["path"]
        return path
    segments = raw.decode("latin-1").split("/")
    return "/".join(unquote(segment).replace("/", ESCAPED_SLASH) for segment in segments)


def origin_form(scope: Scope) -> Scope:
    """Give a request whose target is a whole URL as if it named the path alone (RFC 9112, section 3.2.2).

    The host in the target goes before the Host header.
    """
    if scope["path"].startswith("/") or not (match := _ABSOLUTE.fullmatch(scope["path"])):
        return scope
    host = (b"host", match[1].encode("latin-1", "replace"))
    others = [header for header in scope["headers"] if header[0] != b"host"]
    raw = b"/".join([b"", *scope.get("raw_path", b"").split(b"/")[3:]])
    return {**scope, "path": match[2] or "/", "raw_path": raw or b"/", "headers": [host, *others]}
