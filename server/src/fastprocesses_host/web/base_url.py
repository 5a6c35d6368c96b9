"""Where the service is, as its client sees it."""

import re
from typing import Final
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request

from fastprocesses_host.ogc.links import Urls

HOST: Final = re.compile(
    r"([a-z0-9]([a-z0-9._-]{0,253}[a-z0-9.])?|\[[0-9a-f:.]{2,45}\])(:[0-9]{1,5})?", re.IGNORECASE | re.ASCII
)
"""A host name or address, with or without a port: nothing that could break out of a link."""


def urls_of(request: Request) -> Urls:
    """Give the URLs of the service for links in the answer: by `public_url`, else by the request itself.

    Raises:
        HTTPException: 400, the Host header is no host (RFC 9112, section 3.2).
    """
    return Urls(base=request.app.state.settings.public_url.rstrip("/") or _requested_base(request))


def _requested_base(request: Request) -> str:
    scope = request.scope
    host = request.headers.get("host") or _socket(scope.get("server"))
    if not HOST.fullmatch(host):
        raise HTTPException(400, "The Host header is not a host name with an optional port.")
    return f"{scope.get('scheme', 'http')}://{host}{quote(scope.get('root_path', '').rstrip('/'))}"


def _socket(server: tuple[str, int | None] | None) -> str:
    """Name the socket the request came in by, for HTTP/1.0 requests without a Host."""
    if server is None or server[1] is None:
        return "localhost"
    host, port = server
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
