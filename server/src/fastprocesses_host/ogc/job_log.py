"""The log of a job as its owner sees it: what its process wrote, as JSON or as plain text."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from fastprocesses_sdk.description import Link
from msgspec import UNSET, Struct, UnsetType

from fastprocesses_host.ogc.jobs import Job, timestamp
from fastprocesses_host.ogc.links import JSON, Urls

TEXT = "text/plain"
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")


class LogLine(Struct, frozen=True, kw_only=True):
    """One line, as the process wrote it by its job, or on its standard output (`info`) or error (`warning`)."""

    time: str | UnsetType = UNSET
    level: str
    text: str
    fields: dict[str, Any] | UnsetType = UNSET


class JobLog(
    Struct, frozen=True, kw_only=True, rename={"job_id": "jobID", "number_of_lines": "numberOfLines"}
):
    """The newest lines of a job's log, oldest first."""

    job_id: str
    number_of_lines: int
    """How many lines are kept; more than are here where `limit`, or their size, cut the older ones off."""
    lines: list[LogLine]
    links: list[Link]


class _StoredLine(Struct):
    level: str = "info"
    text: str = ""
    time: int | None = None
    fields: dict[str, Any] | UnsetType = UNSET


_decode = msgspec.json.Decoder(_StoredLine).decode


def log_lines(stored: Iterable[bytes]) -> list[LogLine]:
    """Read lines as the store keeps them."""
    return [
        LogLine(
            time=UNSET if line.time is None else timestamp(line.time),
            level=line.level,
            text=line.text,
            fields=line.fields,
        )
        for line in map(_decode, stored)
    ]


def job_log(job: Job, lines: Sequence[LogLine], count: int, urls: Urls) -> JobLog:
    """Give the log of a job.

    Args:
        job: The job.
        lines: Its newest lines, oldest first.
        count: How many lines there are.
        urls: Where things are.
    """
    url = urls.log(job.id)
    links = urls.representations(url, "This document")
    links += [
        Link(href=f"{url}?f=text", rel="alternate", type=TEXT, title="The log as plain text"),
        Link(href=urls.job(job.id), rel="up", type=JSON, title="Status of the job"),
    ]
    return JobLog(job_id=job.id, number_of_lines=count, lines=list(lines), links=links)


def as_text(lines: Iterable[LogLine]) -> str:
    """Write lines as plain text; what would move a terminal's cursor is escaped."""
    return "".join(map(_text_line, lines))


def _text_line(line: LogLine) -> str:
    fields = "" if line.fields is UNSET else f" {msgspec.json.encode(line.fields).decode()}"
    time = "" if line.time is UNSET else f"{line.time} "
    return f"{time}{line.level:<7} {visible(line.text + fields)}\n"


def visible(text: str) -> str:
    """Write what would move a terminal's cursor, or may not stand in a page, as an escape."""
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)
