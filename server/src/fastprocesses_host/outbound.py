"""Whom the server may speak to of its own accord, to fetch inputs and to call back (design, section 9)."""

import re
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Self

from msgspec import Struct

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_HOST = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?\.?|\*|\[?[0-9a-f:.]+\]?")
_PORTS = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")
_ORIGIN = re.compile(r"(https?)://([a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::(\d{1,5}))?/?")
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[!-~\xa1-\xff]([ \t!-~\xa1-\xff]*[!-~\xa1-\xff])?")
_OWN_HEADERS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "accept-encoding", "te", "upgrade"}
)
_NUMERIC_LABEL = re.compile(r"\d+|0x[0-9a-f]*")
_SPECIAL_V4 = tuple(
    map(
        IPv4Network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
            *("192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24"),
            *("192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
            *("224.0.0.0/4", "240.0.0.0/4"),
            "168.63.129.16/32",  # metadata of machines at Azure, public by its number alone
        ),
    )
)
"""Of no host on the public Internet (IANA's registry of special-purpose addresses)."""
_PUBLIC_V6 = IPv6Network("2000::/3")
_SPECIAL_V6 = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))
_TRANSLATED_V4 = (IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"))
"""Their last four bytes are the address that is meant: mapped ones, and those of NAT64 (RFC 6052)."""


class OutboundRules(Struct, frozen=True, kw_only=True):
    """Which URLs are spoken to, and how patiently."""

    schemes: frozenset[str] = frozenset({"http", "https"})
    hosts: tuple[str, ...] = ("*",)
    """Names, `*.` with a domain, or `*` for all."""
    private_hosts: tuple[str, ...] = ()
    """Names whose addresses may be any."""
    private_networks: tuple[Network, ...] = ()
    """Networks that are spoken to though they are not public."""
    ports: tuple[tuple[int, int], ...] = ((80, 80), (443, 443), (1024, 65_535))
    """First and last port of each range."""
    max_redirects: int = 5
    connect_seconds: float = 10.0
    stall_seconds: float = 30.0
    """Within any such time 1 KiB at least has to come, unless less is left."""

    @classmethod
    def parse(
        cls, *, schemes: str, hosts: str, private: str, ports: str, max_redirects: int, stall_seconds: float
    ) -> Self:
        """Read the rules as settings have them, lists with commas between.

        Raises:
            ValueError: one is not understood; the sentence names it, as the setting is called.
        """
        named = list(_private_parts(private))
        return cls(
            schemes=frozenset(_schemes(schemes)),
            hosts=tuple(_host(part, "outbound_hosts") for part in _parts(hosts)),
            private_hosts=tuple(part for part in named if isinstance(part, str)),
            private_networks=tuple(part for part in named if not isinstance(part, str)),
            ports=tuple(map(_port_range, _parts(ports))),
            max_redirects=max_redirects,
            stall_seconds=stall_seconds,
        )

    def objection_to_url(self, scheme: str, host: str, port: int) -> str:
        """Give the sentence why a URL is not spoken to, whatever its addresses; empty: it may be."""
        if scheme not in self.schemes:
            known = ", ".join(sorted(self.schemes)) or "none"
            return f"URLs of the scheme {scheme[:40] or '(none)'} are not spoken to. Possible: {known}."
        if not host:
            return "The URL has no host."
        if is_misleading(host):
            return f"The host {host[:100]} is written in a way that is not accepted. Write a name, or a plain address."
        if not _matches(host, self.hosts) and not _matches(host, self.private_hosts):
            if not self.hosts:
                return "This server speaks to no other hosts."
            return f"This server does not speak to the host {host[:100]}."
        if not any(first <= port <= last for first, last in self.ports):
            return f"This server does not speak to port {port} of other hosts."
        return ""

    def allows_address(self, host: str, address: Address) -> bool:
        """Tell whether an address of a host may be connected to."""
        if _matches(host, self.private_hosts):
            return True
        meant = meant_address(address)
        if any(one in network for one in (address, meant) for network in self.private_networks):
            return True
        return is_public(meant)


NO_RULES = OutboundRules()
"""What holds where nothing is set."""


def is_public(address: Address) -> bool:
    """Tell whether an address is one of a host on the public Internet."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _SPECIAL_V4)
    if address.scope_id is not None or address not in _PUBLIC_V6:
        return False
    return not any(address in network for network in _SPECIAL_V6)


def meant_address(address: Address) -> Address:
    """Give the IPv4 address that an IPv6 one is another spelling of, else the address itself."""
    if isinstance(address, IPv6Address) and any(address in network for network in _TRANSLATED_V4):
        return IPv4Address(address.packed[-4:])
    return address


def is_misleading(host: str) -> bool:
    """Tell whether a host looks like one thing and is another: numbers that stand for an address, zones, escapes."""
    if ":" in host:
        return _is_no_address(host) or "%" in host
    labels = host.lower().removesuffix(".").split(".")
    if all(_NUMERIC_LABEL.fullmatch(label) for label in labels[-1:]):  # 127.1, 0x7f000001, 2130706433
        return _is_no_address(host)
    return re.fullmatch(r"[A-Za-z0-9_.-]+", host) is None or ".." in host


def _is_no_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return True
    return False


def _matches(host: str, patterns: Iterable[str]) -> bool:
    name = host.lower().removesuffix(".")
    return any(
        pattern == "*" or name == pattern or (pattern.startswith("*.") and name.endswith(pattern[1:]))
        for pattern in patterns
    )


def _parts(text: str) -> list[str]:
    return [part.strip().lower() for part in text.split(",") if part.strip()]


def _schemes(text: str) -> Iterator[str]:
    for part in _parts(text):
        if part not in ("http", "https"):
            raise ValueError(f"outbound_schemes may have http and https, not {part!r}")
        yield part


def _host(part: str, setting: str) -> str:
    if not _HOST.fullmatch(part):
        raise ValueError(f"{setting} must be names of hosts such as data.example.org, not {part!r}")
    return part.removesuffix(".").strip("[]")


def _private_parts(text: str) -> Iterator[str | Network]:
    for part in _parts(text):
        try:
            yield ip_network(part.strip("[]"), strict=False)
        except ValueError:
            if part == "*" or "/" in part:
                raise ValueError(
                    f"outbound_private must be networks such as 10.1.0.0/16, or names of hosts, not {part!r}"
                ) from None
            yield _host(part, "outbound_private")


def _port_range(part: str) -> tuple[int, int]:
    found = _PORTS.fullmatch(part)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 0 < first <= last < 65_536:
        raise ValueError(f"outbound_ports must be ports and ranges such as 443,8000-8999, not {part!r}")
    return first, last


# Headers that the operator set


def read_headers(path: Path) -> dict[str, dict[str, str]]:
    """Read the headers that hosts are sent, each origin's in a table of a TOML file.

    Returns:
        By origin, `https://data.example.org`, the headers by name.

    Raises:
        ValueError: the file cannot be read, or has something else in it; values are not told.
    """
    import tomllib  # most services have no such file

    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:  # its text may have a value in it
        raise ValueError(f"{path} is not valid TOML") from None
    return {_origin(name): _header_table(name, table) for name, table in tables.items()}


def _origin(name: str) -> str:
    found = _ORIGIN.fullmatch(name.lower())
    if found is None:
        raise ValueError(
            f'{name!r} is no origin: write scheme and host, such as ["https://data.example.org"]'
        )
    scheme, host, port = found.groups()
    return f"{scheme}://{host}" if port in (None, _DEFAULT_PORTS[scheme]) else f"{scheme}://{host}:{port}"


def _header_table(origin: str, table: object) -> dict[str, str]:
    if not isinstance(table, dict):
        raise ValueError(f"{origin} must be a table of headers")  # noqa: TRY004 - of a file, not of a caller
    for name, value in table.items():
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _OWN_HEADERS:
            raise ValueError(f"{name!r} of {origin} is no header that can be set")
        if not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
            raise ValueError(f"the value of {name} of {origin} must be text in one line")
    return dict(table)
