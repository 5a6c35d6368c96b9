"""Conformance classes, and the declaration computed from what resources earn (S1.1, S2.1)."""

from collections.abc import Iterable

from msgspec import Struct, field

_PART1_V10 = "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/"
_PART1_V20 = "http://www.opengis.net/spec/ogcapi-processes-1/2.0/conf/"
_COMMON = "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/"


class ConformanceClasses(Struct, frozen=True, kw_only=True):
    """The conformance declaration (confClasses.yaml)."""

    conforms_to: list[str] = field(name="conformsTo")


def part1_v10(*names: str) -> tuple[str, ...]:
    """Give the URIs of classes of Part 1 version 1.0."""
    return tuple(_PART1_V10 + name for name in names)


def part1_v20(*names: str) -> tuple[str, ...]:
    """Give the URIs of classes of Part 1 version 2.0, with http and with https as long as it is a draft."""
    with_http = [_PART1_V20 + name for name in names]
    return tuple(uri for http in with_http for uri in (http, http.replace("http:", "https:", 1)))


def common(*names: str) -> tuple[str, ...]:
    """Give the URIs of classes of OGC API - Common Part 1."""
    return tuple(_COMMON + name for name in names)


def conformance_classes(earned: Iterable[Iterable[str]]) -> ConformanceClasses:
    """Give the declaration of a server (/req/core/conformance-success).

    Args:
        earned: The classes each mounted resource declares; equal ones count once.
    """
    return ConformanceClasses(conforms_to=list(dict.fromkeys(uri for uris in earned for uri in uris)))
