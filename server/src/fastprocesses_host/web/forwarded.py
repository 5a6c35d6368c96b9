"""What proxies say about the request they passed on: believed from those the operator names, and from nobody else."""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final
from urllib.parse import quote, unquote

from msgspec import Struct
from starlette.types import ASGIApp, Receive, Scope, Send

from fastprocesses_host.settings import Network
from fastprocesses_host.web.base_url import is_host
from fastprocesses_host.web.paths import origin_form

_PATH: Final = re.compile(r"(/[\w.~!$&'()*+,;=:@%-]+)+", re.ASCII)
_DOTS: Final = re.compile(r"(^|/)\.\.?(/|$)")
_PAIR: Final = re.compile(r'\s*([\w!#$%&\'*+.^`|~-]+)=("(?:[^"\\]|\\.)*"|[^\s",;]*)\s*')
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class Hop(Struct, frozen=True):
    """What one proxy tells of the request it received; empty: nothing."""

    client: str = ""
    scheme: str = ""
    host: str = ""


class Told(Struct, frozen=True):
    """Where the client sent its request; empty: as the request itself says."""

    scheme: str = ""
    host: str = ""
    prefix: str = ""
    client: str = ""


class Forwarded:
    """Let requests look as their client sent them: scheme, host, and the path before ours.

    A layer of its own only where it is needed: with trusted proxies, or with a path before ours.
    """

    def __init__(self, app: ASGIApp, *, trusted: tuple[Network, ...], root_path: str) -> None:
        self.app = app
        self.trusted = trusted
        self.root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on as its client sent it."""
        if scope["type"] == "http":
            scope = self._as_sent(origin_form(scope))
        await self.app(scope, receive, send)

    def _as_sent(self, scope: Scope) -> Scope:
        told = Told()
        if is_trusted((scope.get("client") or ("",))[0], self.trusted):
            told = told_by_proxies(scope["headers"], self.trusted, scope.get("scheme", "http"))
        prefix = told.prefix or self.root_path
        changed = {**scope, "scheme": told.scheme or scope.get("scheme", "http")}
        if prefix:
            is_stripped = bool(told.prefix) or not f"{scope['path']}/".startswith(f"{prefix}/")
            changed["root_path"] = prefix + scope.get("root_path", "").removeprefix(prefix).rstrip("/")
            if is_stripped:
                changed["path"] = prefix + scope["path"]
                changed["raw_path"] = quote(prefix).encode() + (scope.get("raw_path") or b"")
        if told.client:
            changed["client"] = (told.client, 0)
        if told.host:
            others = [header for header in scope["headers"] if header[0] != b"host"]
            changed["headers"] = [(b"host", told.host.encode()), *others]
        return changed


@lru_cache(maxsize=1024)
def is_trusted(address: str, trusted: tuple[Network, ...]) -> bool:
    """Tell whether an address is one of a trusted proxy."""
    found = _address(address)
    return found is not None and any(
        found.version == network.version and found in network for network in trusted
    )


def told_by_proxies(
    headers: Iterable[tuple[bytes, bytes]], trusted: tuple[Network, ...], scheme: str = "http"
) -> Told:
    """Read what proxies tell; values that cannot be are left out.

    `X-Forwarded-*` goes before `Forwarded` (RFC 7239), because most proxies write the first and pass the other on as
    it came. Of several values the one counts that the outermost trusted proxy wrote: all before it are the client's.

    Args:
        headers: Of the request, names in lower case.
        trusted: The proxies that are believed, the last one among them.
        scheme: Of the request itself.
    """
    values: dict[str, list[str]] = {}
    for name, value in headers:
        if name in (b"forwarded", b"host") or name.startswith(b"x-forwarded-"):
            values.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
    if values.keys() & {"x-forwarded-proto", "x-forwarded-host", "x-forwarded-port"}:
        hop = _of_x_forwarded(values, trusted, scheme)
    else:
        hop = _outermost(_hops(values.get("forwarded", ())), trusted)
    told_scheme = hop.scheme.lower() if hop.scheme.lower() in _DEFAULT_PORTS else ""
    return Told(
        told_scheme,
        hop.host if is_host(hop.host) else "",
        prefix_of(_listed(values, "x-forwarded-prefix")),
        _client_of(values, trusted),
    )


def _client_of(values: Mapping[str, list[str]], trusted: tuple[Network, ...]) -> str:
    """Give the last address before the trusted proxies; empty where they tell none."""
    told = _listed(values, "x-forwarded-for") or [hop.client for hop in _hops(values.get("forwarded", ()))]
    nodes = [_node(text) for text in told]
    while len(nodes) > 1 and is_trusted(nodes[-1], trusted):
        nodes.pop()
    return nodes[-1] if nodes and _address(nodes[-1]) else ""


def prefix_of(values: Sequence[str]) -> str:
    """Give the path before ours, decoded and without a slash at its end; empty where none can be meant."""
    text = values[0].rstrip("/") if values else ""
    decoded = unquote(text)
    if not _PATH.fullmatch(text) or not decoded.isprintable() or "\\" in decoded or "//" in decoded:
        return ""
    return "" if _DOTS.search(decoded) else decoded


def _of_x_forwarded(values: Mapping[str, list[str]], trusted: tuple[Network, ...], own_scheme: str) -> Hop:
    clients = _listed(values, "x-forwarded-for")
    from_the_end = 1
    while from_the_end <= len(clients) and is_trusted(_node(clients[-from_the_end]), trusted):
        from_the_end += 1
    scheme, host, port = (
        _from_the_end(_listed(values, f"x-forwarded-{name}"), from_the_end)
        for name in ("proto", "host", "port")
    )
    if not is_host(host) and port:
        host = _from_the_end(values.get("host", ()), 1)
    return Hop("", scheme, _with_port(host, port, scheme or own_scheme))


def _with_port(host: str, port: str, scheme: str) -> str:
    """Add a port that is not the scheme's own to a host that has none."""
    bare = host.rpartition("]")[2] if host.startswith("[") else host
    if not host or ":" in bare or not (port.isascii() and port.isdigit() and 0 < len(port) < 6):
        return host
    return host if int(port) == _DEFAULT_PORTS.get(scheme.lower()) else f"{host}:{port}"


def _from_the_end(values: Sequence[str], place: int) -> str:
    """Give a value counted from the end; the first one where a proxy wrote none, as those do that replace it."""
    return values[-min(place, len(values))] if values else ""


def _listed(values: Mapping[str, list[str]], name: str) -> list[str]:
    parts = (part.strip() for value in values.get(name, ()) for part in value.split(","))
    return [part for part in parts if part]


def _hops(values: Sequence[str]) -> list[Hop]:
    """Read `Forwarded`; a header that is not written by the rules tells nothing."""
    hops = []
    for element in _split(",".join(values), ","):
        pairs: dict[str, str] = {}
        for text in _split(element, ";"):
            match = _PAIR.fullmatch(text)
            if match is None:
                return []
            pairs[match[1].lower()] = re.sub(r"\\(.)", r"\1", match[2].strip('"'))
        hops.append(Hop(pairs.get("for", ""), pairs.get("proto", ""), pairs.get("host", "")))
    return hops


def _split(text: str, separator: str) -> list[str]:
    """Split where the separator stands outside quotes."""
    pieces = re.findall(rf'((?:"(?:[^"\\]|\\.)*"|[^{separator}])+)', text)
    return [piece for piece in pieces if piece.strip()]


def _outermost(hops: Sequence[Hop], trusted: tuple[Network, ...]) -> Hop:
    place = len(hops) - 1
    while place > 0 and is_trusted(_node(hops[place].client), trusted):
        place -= 1
    return hops[place] if hops else Hop()


def _node(text: str) -> str:
    """Give the address of a node that may have a port (RFC 7239, section 6)."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found
