"""What happens to a job as server-sent events (HTML standard, 9.2): what somebody who knows so much is told next."""

import re
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Self

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from fastprocesses_host.ogc.job_log import LogLine, log_lines
from fastprocesses_host.ogc.jobs import Job, Status, status_info
from fastprocesses_host.ogc.links import Urls

_ID = re.compile(r"([0-9]{1,15})\.([a-z]{1,16}|-)\.([0-9]{1,9})\.([0-9]{1,3}|-)\.([0-9a-f]{8}|-)")
"""Lines, status, attempt, percentage, digest of the message; `-` for nothing."""
_FINAL = frozenset(status.value for status in Status if status.is_final)
_encode = msgspec.json.Encoder().encode


class Position(Struct, frozen=True):
    """What has been told of a job; without anything: nothing.

    It is all of the record that events are made of, so that no event needs to be kept: whoever has the id of an event
    knows what is new since, in any host and after any restart.
    """

    lines: int = 0
    """How many lines of the log there were behind the last one told."""
    status: str = ""
    attempt: int = 0
    percent: int | None = None
    message: str = ""
    """Digest of it."""

    @classmethod
    def read(cls, text: str) -> Self:
        """Read the id of an event, as `Last-Event-ID` gives it back.

        One that is not of ours says nothing: its client is told everything, as browsers would never come back after an
        error.
        """
        if (match := _ID.fullmatch(text)) is None:
            return cls()
        lines, status, attempt, percent, message = (part if part != "-" else "" for part in match.groups())
        return cls(int(lines), status, int(attempt), int(percent) if percent else None, message)

    @property
    def id(self) -> str:
        """Give the id of the event that tells the last of it."""
        percent = "-" if self.percent is None else self.percent
        return f"{self.lines}.{self.status or '-'}.{self.attempt}.{percent}.{self.message or '-'}"

    @property
    def is_end(self) -> bool:
        """Whether the end of the job was told: nothing follows it."""
        return self.status in _FINAL


class Event(Struct, frozen=True):
    """One event, and what has been told with it."""

    name: str
    data: bytes
    position: Position

    def encode(self) -> bytes:
        """Give the event as it is sent; JSON has no line ends in it."""
        return b"event: %s\nid: %s\ndata: %s\n\n" % (
            self.name.encode(),
            self.position.id.encode(),
            self.data,
        )


class Seen(Struct, frozen=True, kw_only=True):
    """A job as it is now, and lines of its log."""

    job: Job
    lines: Sequence[bytes] = ()
    first: int = 0
    """How many lines there were before the first one here."""
    count: int = 0
    """How many there ever were."""

    @property
    def has_more(self) -> bool:
        """Whether there are more lines than these."""
        return self.first + len(self.lines) < self.count


class _Line(LogLine, frozen=True, kw_only=True):
    number: int
    """Counted from the job's first line, whether or not that is still kept."""


class _Gap(Struct, frozen=True, kw_only=True):
    skipped: int
    level: str = "warning"
    text: str


def news(told: Position, seen: Seen, urls: Urls) -> list[Event]:
    """Give what is new in a job, the end of it last, once all lines of its log are told.

    Progress and messages that are not the newest any more are passed over; each line of the log is told once, and how
    many are not, since they are not kept any more.

    Args:
        told: What the client knows.
        seen: The job, with the lines behind those that the client knows.
        urls: Where things are.
    """
    return list(_news(replace(told, lines=min(told.lines, seen.count)), seen, urls))


def _news(told: Position, seen: Seen, urls: Urls) -> Iterator[Event]:
    job = seen.job
    if not job.status.is_final and (told.status, told.attempt) != (job.status, job.attempt):
        told = Position(lines=told.lines, status=job.status.value, attempt=job.attempt)
        yield Event("status", _encode(status_info(job, urls)), told)
    for event in _log(told, seen):
        told = event.position
        yield event
    for event in _reports(told, job):
        told = event.position
        yield event
    if job.status.is_final and not seen.has_more:
        told = replace(told, status=job.status.value, attempt=job.attempt)
        yield Event("status", _encode(status_info(job, urls)), told)


def _log(told: Position, seen: Seen) -> Iterator[Event]:
    if (skipped := seen.first - told.lines) > 0:
        gap = _Gap(skipped=skipped, text=f"Lines that are not kept any more: {skipped}.")
        yield Event("log", _encode(gap), replace(told, lines=seen.first))
    for number, line in enumerate(log_lines(seen.lines), seen.first + 1):
        numbered = _Line(number=number, time=line.time, level=line.level, text=line.text, fields=line.fields)
        yield Event("log", _encode(numbered), replace(told, lines=number))


def _reports(told: Position, job: Job) -> Iterator[Event]:
    message = _digest(job.message)
    if message and message != told.message:
        told = replace(told, message=message)
        yield Event("message", _encode({"message": job.message}), told)
    percent = None if job.progress is None else min(100, max(0, job.progress))
    if percent is not None and percent != told.percent:
        yield Event("progress", _encode({"progress": percent}), replace(told, percent=percent))


def _digest(message: str) -> str:
    return blake2b(message.encode(errors="replace"), digest_size=4).hexdigest() if message else ""


def ended(told: Position, reason: str) -> Event:
    """Give the event behind which nothing follows: clients need not come back.

    Args:
        told: What the client knows.
        reason: `final`, or `removed` where the job is not there any more.
    """
    return Event("end", _encode({"reason": reason}), told)
