"""Where the service is, as its client sees it."""

import re
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Final
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request

from fastprocesses_host.ogc.links import Urls
from fastprocesses_host.web.head import Head, head_of

HOST: Final = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9._-]{0,253}[a-z0-9.])?|\[([0-9a-f:.]{2,45})\])(?::([0-9]{1,5}))?",
    re.IGNORECASE | re.ASCII,
)
"""A host name or address, with or without a port: nothing that could break out of a link."""


@lru_cache(maxsize=256)
def is_host(text: str) -> bool:
    """Tell whether a text is a host with an optional port (RFC 9110, section 7.2)."""
    match = HOST.fullmatch(text)
    if match is None or int(match[2] or 1) not in range(1, 65_536):
        return False
    return match[1] is None or _is_ipv6(match[1])


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


def urls_of(request: Request) -> Urls:
    """Give the URLs of the service for links in the answer: by `public_url`, else by the request itself.

    Raises:
        HTTPException: 400, the Host header is no host (RFC 9112, section 3.2).
    """
    settings, scope = request.app.state.settings, request.scope
    if settings.public_url:
        return _urls(settings.public_url.rstrip("/"), settings.show_job_logs, bool(settings.value_store_url))
    host = head_of(request).once(_host) or _checked(_socket(scope.get("server")))
    return _urls_at(
        scope.get("scheme", "http"),
        host,
        scope.get("root_path", ""),
        settings.show_job_logs,
        bool(settings.value_store_url),
    )


def _host(head: Head) -> str:
    host = head.first(b"host")
    return _checked(host) if host else ""


def _checked(host: str) -> str:
    if not is_host(host):
        raise HTTPException(400, "The Host header is not a host name with an optional port.")
    return host


@lru_cache(maxsize=256)
def _urls_at(scheme: str, host: str, root_path: str, logs: bool, takes_uploads: bool) -> Urls:
    return _urls(f"{scheme}://{host}{quote(root_path.rstrip('/'))}", logs, takes_uploads)


@lru_cache(maxsize=256)
def _urls(base: str, logs: bool, takes_uploads: bool) -> Urls:
    return Urls(base=base, html=True, logs=logs, takes_uploads=takes_uploads)


def _socket(server: tuple[str, int | None] | None) -> str:
    """Name the socket the request came in by, for HTTP/1.0 requests without a Host."""
    if server is None or server[1] is None:
        return "localhost"
    host, port = server
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
