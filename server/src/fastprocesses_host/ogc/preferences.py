"""What a client prefers, by the Prefer header, and the execution mode that follows (RFC 7240, S1.3)."""

import re
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from typing import Literal

from msgspec import Struct, field

_PIECES = re.compile(r'(?:"(?:[^"\\]|\\.)*"?|[^",;])+|[,;]', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_SECONDS = re.compile(r"[0-9]{1,9}")
_KNOWN = frozenset({"respond-async", "wait", "return", "handling", "profile"})


class Preferences(Struct, frozen=True, kw_only=True):
    """The preferences this server knows; everything else in the header is ignored."""

    respond_async: bool = False
    wait_seconds: int | None = None
    return_preference: Literal["", "minimal", "representation"] = ""
    profile: str = ""
    """What `profile=` named, as written."""


_NONE = Preferences()


class ModeChoice(Struct, frozen=True, kw_only=True):
    """How an execute request is run."""

    mode: Literal["sync", "async", "wait"]
    """`wait`: synchronous for `wait_seconds`, then the job goes on and its status is the answer."""
    wait_seconds: float | None = None
    applied: list[str] = field(default_factory=list)
    """What Preference-Applied says."""


def parse_prefer(headers: Sequence[str]) -> Preferences:
    """Read the values of all Prefer header fields; never raises (RFC 7240 section 2).

    Of a preference that is given twice the first counts. A `;` after a preference that has no parameters is
    read as the comma it was meant to be.

    Args:
        headers: The field values in the order they were sent.
    """
    return _parsed(", ".join(headers)) if headers else _NONE


@lru_cache(maxsize=128)
def _parsed(header: str) -> Preferences:
    given: dict[str, str] = {}
    for name, value in _preferences(header):
        given.setdefault(name, value)
    returned = given.get("return", "").lower()
    return Preferences(
        respond_async=given.get("respond-async", "false").lower() in ("", "true"),
        wait_seconds=int(given["wait"]) if _SECONDS.fullmatch(given.get("wait", "")) else None,
        return_preference="minimal"
        if returned == "minimal"
        else "representation"
        if returned == "representation"
        else "",
        profile=given.get("profile", ""),
    )


def choose_mode(
    job_control_options: Collection[str], preferences: Preferences, *, max_wait_seconds: float = 60.0
) -> ModeChoice:
    """Choose as /req/core/process-execute-default-execution-mode and -auto-execution-mode say.

    Args:
        job_control_options: Of the process.
        preferences: Of the request.
        max_wait_seconds: The longest time a request may wait.
    """
    asynchronous = "async-execute" in job_control_options
    if not asynchronous:
        return ModeChoice(mode="sync")
    applied = ["respond-async"] if preferences.respond_async else []
    if "sync-execute" not in job_control_options:
        return ModeChoice(mode="async", applied=applied)
    if preferences.wait_seconds is None:
        return ModeChoice(mode="async" if applied else "sync", applied=applied)
    seconds = min(float(preferences.wait_seconds), max_wait_seconds)
    applied.append(f"wait={int(seconds)}")
    if seconds <= 0:
        return ModeChoice(mode="async", applied=applied)
    return ModeChoice(mode="wait", wait_seconds=seconds, applied=applied)


def _preferences(header: str) -> Iterator[tuple[str, str]]:
    """Give name and value of every preference; parameters of unknown preferences are left out."""
    is_parameter = False
    for piece in _PIECES.findall(header):
        if piece == ",":
            is_parameter = False
        elif piece != ";" and not is_parameter and piece.strip():
            name, _, value = piece.partition("=")
            name = name.strip().lower()
            is_parameter = name not in _KNOWN
            yield name, _unquoted(value.strip())


def _unquoted(word: str) -> str:
    if not word.startswith('"'):
        return word
    return _ESCAPED.sub(r"\1", word[1:].removesuffix('"')).strip()
