"""Who a request comes from, as far as callers take turns and have limits."""

from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

from starlette.requests import Request

from fastprocesses_host.store.records import ANYBODY

_ONE_SITE = 64
"""Bits of an IPv6 address that one subscriber is given; the others are its own to choose."""


def caller_of(request: Request) -> str:
    """Give who asks: the address of the client, as proxies that are believed tell it."""
    client = request.scope.get("client")
    return caller_at(client[0]) if client else ANYBODY


@lru_cache(maxsize=4096)
def caller_at(address: str) -> str:
    """Give the caller at an address: of IPv6 its network of 64 bits; one for all that are no addresses."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return ANYBODY
    if not isinstance(found, IPv6Address):
        return str(found)
    return str(found.ipv4_mapped or ip_network((found, _ONE_SITE), strict=False))
