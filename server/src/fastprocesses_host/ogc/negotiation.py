"""Media types and profiles: what a client accepts against what there is (RFC 9110 section 12, S2.3)."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Literal

from msgspec import Struct

from fastprocesses_host.ogc.exceptions import InvalidQueryParameter, NotAcceptable
from fastprocesses_host.ogc.preferences import Preferences

PROBLEM = "application/problem+json"
RESULTS = "ogc-results"
"""The profile of a results document (S2.3)."""

_PIECES = re.compile(r'(?:"(?:[^"\\]|\\.)*"?|[^",;])+|[,;]', re.DOTALL)
_TYPE = re.compile(r"([\w!#$&^.+*-]+)/([\w!#$&^.+*-]+)", re.ASCII)
_QUALITY = re.compile(r"(?:[0-9]{1,3}(?:\.[0-9]*)?|\.[0-9]+)")
_LINK = re.compile(r"<([^<>]*)>([^<]*)")
_REL = re.compile(r';\s*rel\s*=\s*"?([^";,]*)', re.IGNORECASE)
_MEANINGLESS = frozenset({"charset", "profile"})
"""Parameters that do not tell one of our media types from another."""


class MediaType(Struct, frozen=True):
    """A media type or range, in lower case; its parameters are compared as a set."""

    type: str
    subtype: str
    parameters: frozenset[tuple[str, str]] = frozenset()

    def covers(self, other: "MediaType") -> bool:
        """Tell whether `other` lies in this range; a parameter that `other` does not have does not count."""
        if self.type not in ("*", other.type) or self.subtype not in ("*", other.subtype):
            return False
        theirs = dict(other.parameters)
        return all(
            theirs.get(name, value) == value for name, value in self.parameters if name not in _MEANINGLESS
        )

    @property
    def is_json(self) -> bool:
        """Whether a value of this type is a JSON document."""
        return self.type == "application" and (self.subtype == "json" or self.subtype.endswith("+json"))

    @property
    def specificity(self) -> tuple[bool, bool, int]:
        """How much this range says; the greater one takes precedence."""
        return self.type != "*", self.subtype != "*", len(self.parameters)


class AcceptedRange(Struct, frozen=True):
    """One member of an Accept header."""

    media_type: MediaType
    quality: float


def parse_media_type(text: str) -> MediaType | None:
    """Read a media type; None where it is none."""
    name, _, rest = text.partition(";")
    match = _TYPE.fullmatch(name.strip().lower())
    if match is None:
        return None
    parameters = (_parameter(piece) for piece in _PIECES.findall(rest) if piece not in ",;")
    return MediaType(match[1], match[2], frozenset(parameter for parameter in parameters if parameter[0]))


def same_media_type(one: str, other: str) -> bool:
    """Compare two media types without regard to case and the order of parameters (S1.3 rule 9)."""
    parsed = parse_media_type(one)
    return parsed is not None and parsed == parse_media_type(other)


def parse_accept(header: str) -> list[AcceptedRange]:
    """Read an Accept header; never raises.

    What clients really send is understood: `*` and `/*` for `*/*`, `q=.2`. A weight that is none counts as 1.
    """
    ranges: list[AcceptedRange] = []
    for text in _members(header):
        name, _, rest = text.partition(";")
        if name.strip() in ("*", "/*", "*/"):
            name = "*/*"
        media_type = parse_media_type(f"{name};{rest}")
        if media_type is not None:
            weights = [value for key, value in media_type.parameters if key == "q"]
            kept = frozenset(parameter for parameter in media_type.parameters if parameter[0] != "q")
            ranges.append(
                AcceptedRange(MediaType(media_type.type, media_type.subtype, kept), _quality(weights))
            )
    return ranges


def weighted(header: str) -> list[tuple[str, float]]:
    """Read a header of names with weights, such as Accept-Language, in lower case; never raises."""
    found: list[tuple[str, float]] = []
    for text in _members(header):
        name, _, rest = text.partition(";")
        weights = [value for key, value in map(_parameter, rest.split(";")) if key == "q"]
        if name.strip():
            found.append((name.strip().lower(), _quality(weights)))
    return found


def choose_media_type(accept: str, offered: Sequence[str]) -> str | None:
    """Choose what the client likes best; of equals the one it names most exactly, then the first offered.

    Args:
        accept: The Accept header; empty: everything is welcome.
        offered: Media types, the default first.

    Returns:
        One of `offered`, None when nothing is acceptable.
    """
    if not accept:
        return offered[0] if offered else None
    return _chosen(accept, tuple(offered))


@lru_cache(maxsize=128)
def _chosen(accept: str, offered: tuple[str, ...]) -> str | None:
    ranges = parse_accept(accept)
    if not ranges:
        return offered[0] if offered else None
    rated = [(_rating(text, ranges), -place, text) for place, text in enumerate(offered)]
    best = max(rated, default=None)
    return best[2] if best and best[0][0] > 0 else None


@lru_cache(maxsize=128)
def names(accept: str, media_type: str) -> bool:
    """Tell whether an Accept header names a media type (or all of its subtypes) itself, not by `*/*`."""
    wanted = parse_media_type(media_type)
    return wanted is not None and any(
        accepted.quality > 0 and accepted.media_type.type != "*" and wanted.covers(accepted.media_type)
        for accepted in parse_accept(accept)
    )


@lru_cache(maxsize=128)
def accepts_only_json(accept: str) -> bool:
    """Tell whether a client accepts JSON and nothing besides (S2.5)."""
    welcome = [accepted.media_type for accepted in parse_accept(accept) if accepted.quality > 0]
    return bool(welcome) and all(media_type.is_json for media_type in welcome)


def choose_representation(accept: str, f: str | None = None, *, html: bool = True) -> Literal["json", "html"]:
    """Choose JSON unless HTML is asked for (/req/html/definition, /req/json/definition).

    Args:
        accept: The Accept header.
        f: The query parameter `f`, which wins.
        html: The resource has a page.

    Raises:
        InvalidQueryParameter: `f` names neither.
        NotAcceptable: the client accepts neither.
    """
    offered = {"json": "application/json", "html": "text/html"} if html else {"json": "application/json"}
    if f:
        if f.lower() not in offered:
            raise InvalidQueryParameter(f"f can be {' or '.join(offered)}.")
        return "html" if f.lower() == "html" else "json"
    chosen = choose_media_type(accept, list(offered.values()))
    if chosen is None and any(
        accepted.media_type.is_json and accepted.quality for accepted in parse_accept(accept)
    ):
        return "json"
    if chosen is None:
        raise NotAcceptable(list(offered.values()))
    return "html" if chosen == "text/html" else "json"


def problem_media_type(accept: str) -> Literal["application/problem+json", "application/json", "text/html"]:
    """Choose how a problem is written; there is always an answer (S1.6)."""
    if names(accept, PROBLEM):
        return "application/problem+json"
    if names(accept, "application/json"):
        return "application/json"
    return "application/problem+json"


@lru_cache(maxsize=128)
def profile_asked(
    profile: str,
    *,
    accept: str = "",
    accept_profile: str = "",
    preferences: Preferences | None = None,
    link: str = "",
    query: str = "",
) -> bool:
    """Tell whether a profile is asked for in any of the ways of version 2.0; it is never an error (S2.3).

    Args:
        profile: Its bare id, for instance `ogc-results`.
        accept: The Accept header; a media type may have a parameter `profile`.
        accept_profile: The Accept-Profile header.
        preferences: Of the Prefer header.
        link: The Link header of the request.
        query: The query parameter `profile`.
    """
    asked = [value for item in _members(accept) for name, value in _all_parameters(item) if name == "profile"]
    asked += [item.partition(";")[0] for item in _members(accept_profile)]
    asked += [query, preferences.profile if preferences else ""]
    asked += [target for target, rest in _LINK.findall(link) if "profile" in _relations(rest)]
    return any(_profile_id(item) == profile for text in asked for item in re.split(r"[\s,]+", text))


def _profile_id(text: str) -> str:
    """Give the bare id of a profile named by URI, safe CURIE or id."""
    text = text.strip().strip("<>\"'").removeprefix("[").removesuffix("]")
    text = re.sub(r"^https?://www\.opengis\.net/def/profile/OGC/0/", "", text)
    return text.removeprefix("ogc-profile:")


def _relations(parameters: str) -> list[str]:
    return [rel for text in _REL.findall(parameters) for rel in text.lower().split()]


def _members(header: str) -> list[str]:
    """Split a header at its commas, those in quotes excepted."""
    members = [""]
    for piece in _PIECES.findall(header):
        if piece == ",":
            members.append("")
        else:
            members[-1] += piece
    return [member.strip() for member in members if member.strip()]


def _all_parameters(member: str) -> Iterable[tuple[str, str]]:
    pieces = [piece for piece in _PIECES.findall(member) if piece not in ",;"]
    return (_parameter(piece) for piece in pieces[1:])


def _parameter(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    name = name.strip().lower()
    value = value.strip().strip('"')
    return name, value if name == "profile" else value.lower()


def _quality(weights: Sequence[str]) -> float:
    if not weights or not _QUALITY.fullmatch(weights[0]):
        return 1.0
    return min(1.0, float(weights[0]))


def _rating(text: str, ranges: Sequence[AcceptedRange]) -> tuple[float, tuple[bool, bool, int]]:
    """Rate an offered type by the most exact range that covers it."""
    media_type = parse_media_type(text)
    covering = [
        accepted for accepted in ranges if media_type is not None and accepted.media_type.covers(media_type)
    ]
    if not covering:
        return 0.0, (False, False, 0)
    exact = max(covering, key=lambda accepted: accepted.media_type.specificity)
    return exact.quality, exact.media_type.specificity
