"""Which jobs a list shows: the query parameters of the job list, read and checked (S1.5, job-list)."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from fastprocesses_host.ogc.exceptions import InvalidQueryParameter
from fastprocesses_host.ogc.jobs import Status

NAMES = ("type", "processID", "status", "datetime", "minDuration", "maxDuration")
"""The query parameters that filter; links to other pages carry them on."""

MOST_PROCESSES = 100
"""How many processes one request may name."""

_MOST_SECONDS = 10**11
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FOUR_CENTURIES_MS = 146_097 * 86_400_000
_INTEGER = re.compile(r"[0-9]+", re.ASCII)
_DATE_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+ -])(\d\d):(\d\d))", re.ASCII
)
_COULD_HAVE_RUN = (Status.RUNNING, Status.SUCCESSFUL, Status.FAILED, Status.DISMISSED)


class JobFilters(Struct, frozen=True, kw_only=True):
    """What the jobs of a list have in common. Absent: it does not matter."""

    process_ids: tuple[str, ...] = ()
    """One of these."""
    statuses: tuple[str, ...] = ()
    """One of these."""
    created_from_ms: int | None = None
    """Not created before; milliseconds since 1970."""
    created_to_ms: int | None = None
    """Not created after."""
    min_seconds: int | None = None
    """Ran, or runs, at least so long."""
    max_seconds: int | None = None
    """Ran, or runs, at most so long."""


def job_filters(
    *,
    types: Sequence[str] = (),
    process_ids: Sequence[str] = (),
    statuses: Sequence[str] = (),
    interval: str = "",
    min_durations: Sequence[str] = (),
    max_durations: Sequence[str] = (),
) -> JobFilters:
    """Read the filters of the job list (/req/job-list/type-response to max-duration-response).

    Several values of one filter are alternatives: of several durations the loosest counts. A filter for
    durations leaves out the jobs that have not started, and those are never meant where no status is named.

    Args:
        types: `type`; all jobs are of the type `process`.
        process_ids: `processID`.
        statuses: `status`.
        interval: `datetime`; empty: not given.
        min_durations: `minDuration`, whole seconds.
        max_durations: `maxDuration`, whole seconds.

    Raises:
        InvalidQueryParameter: a value cannot be used.
    """
    for name in types:
        if name != "process":
            raise InvalidQueryParameter(f"type can be process, not {name[:50]!r}.")
    if len(set(process_ids)) > MOST_PROCESSES:
        raise InvalidQueryParameter(f"processID can name at most {MOST_PROCESSES} processes.")
    created_from_ms, created_to_ms = parse_interval(interval) if interval else (None, None)
    has_durations = bool(min_durations or max_durations)
    return JobFilters(
        process_ids=tuple(dict.fromkeys(process_ids)),
        statuses=_statuses(statuses) or (tuple(map(str, _COULD_HAVE_RUN)) if has_durations else ()),
        created_from_ms=created_from_ms,
        created_to_ms=created_to_ms,
        min_seconds=min(_seconds("minDuration", min_durations), default=None),
        max_seconds=max(_seconds("maxDuration", max_durations), default=None),
    )


def parse_interval(text: str) -> tuple[int | None, int | None]:
    """Read `datetime`: an instant, or an interval whose ends may be open (/req/job-list/datetime-definition).

    An instant without a fraction of a second means that whole second, since few clients know the milliseconds
    of a job. The ends of an interval belong to it.

    Returns:
        First and last millisecond since 1970; None: open.

    Raises:
        InvalidQueryParameter: it is neither, or it ends before it begins.
    """
    start, slash, end = text.strip().partition("/")
    if not slash:
        return _instant(start)
    begin = None if start.strip() in ("", "..") else _moment(start)[0]
    until = None if end.strip() in ("", "..") else _moment(end)[1]
    if begin is not None and until is not None and begin > until:
        raise InvalidQueryParameter("datetime is an interval that ends before it begins.")
    return begin, until


def _instant(text: str) -> tuple[int, int]:
    first, last = _moment(text)
    return first, (first + 999 if "." not in text else last)


def _moment(text: str) -> tuple[int, int]:
    """Give the first millisecond not before a moment, and the last one not after it."""
    match = _DATE_TIME.fullmatch(text.strip())
    if match is None:
        raise _no_date_time(text)
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    is_leap_second = second == 60
    try:
        offset = _offset(match[8], match[9], match[10])
        # Years before 1 are read as those 400 years later, which have the same days.
        clock = (hour, minute, 59 if is_leap_second else second)
        moment = datetime(year or 400, month, day, *clock, tzinfo=UTC) - _EPOCH
    except (ValueError, OverflowError):
        raise _no_date_time(text) from None
    seconds = moment // timedelta(seconds=1) - offset
    if is_leap_second:
        if seconds % 86_400 != 86_399:
            raise _no_date_time(text)
        seconds += 1
    milliseconds = seconds * 1000 - (0 if year else _FOUR_CENTURIES_MS)
    digits = match[7] or ""
    whole = int(digits[:3].ljust(3, "0"))
    beyond = 1 if digits[3:].strip("0") else 0
    return milliseconds + whole + beyond, milliseconds + whole


def _offset(sign: str | None, hours: str | None, minutes: str | None) -> int:
    """Give the seconds of an offset; a `+` that was not escaped in a URL arrives as a blank."""
    if sign is None or hours is None or minutes is None:
        return 0
    if int(hours) > 23 or int(minutes) > 59:
        raise ValueError("no offset")
    seconds = int(hours) * 3600 + int(minutes) * 60
    return -seconds if sign == "-" else seconds


def _no_date_time(text: str) -> InvalidQueryParameter:
    return InvalidQueryParameter(
        f"datetime has {text.strip()[:50]!r}, which is no date and time. Write an instant like "
        "2026-05-17T12:00:00Z, or an interval like 2026-05-17T12:00:00Z/.. with one or two ends."
    )


def _statuses(names: Sequence[str]) -> tuple[str, ...]:
    known = [str(status) for status in Status]
    for name in names:
        if name not in known:
            raise InvalidQueryParameter(f"status can be {', '.join(known)}, not {name[:50]!r}.")
    return tuple(dict.fromkeys(names))


def _seconds(name: str, texts: Sequence[str]) -> list[int]:
    for text in texts:
        if not _INTEGER.fullmatch(text.removeprefix("+")):
            raise InvalidQueryParameter(f"{name} must be a number of whole seconds, not {text[:50]!r}.")
    digits = [text.removeprefix("+").lstrip("0") or "0" for text in texts]
    # Python refuses to read thousands of digits, and there is no need to.
    return [_MOST_SECONDS if len(told) > 11 else int(told) for told in digits]
