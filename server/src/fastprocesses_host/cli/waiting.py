"""Waiting for a job before the caller's eyes."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from msgspec import UNSET

from fastprocesses_host.cli.caller import Caller, JobPlace, problem_sentence
from fastprocesses_host.cli.following import follow
from fastprocesses_host.cli.tables import shortened
from fastprocesses_host.cli.told import CallError, tell
from fastprocesses_host.exits import Exit
from fastprocesses_host.ogc.job_log import LogLine, as_text


class Display(Protocol):
    """Shows how far a job is."""

    def show(self, info: Mapping[str, Any]) -> None:
        """Show the latest status."""

    def show_line(self, text: str) -> None:
        """Show a line of the log."""


def wait(caller: Caller, place: JobPlace, *, quiet: bool = False, log: bool | None = None) -> dict[str, Any]:
    """Wait until a job's state is final, showing its progress, and give its last status.

    Args:
        caller: The connection to the server.
        place: Where the job is.
        quiet: Show nothing.
        log: Show the lines of its log; None: on a terminal.

    Raises:
        CallError: the server is lost, or knows the job no more.
    """
    info: dict[str, Any] = {}
    is_shown = sys.stderr.isatty() if log is None else log
    with _display(quiet=quiet) as display:
        for news in follow(caller, place):
            info = news.info
            display.show(info)
            if news.line is not None and is_shown and not quiet:
                display.show_line(_line_text(news.line))
    return info


def _line_text(line: Mapping[str, Any]) -> str:
    fields = line.get("fields")
    told = LogLine(
        level=str(line.get("level") or "info"),
        text=str(line.get("text") or ""),
        fields=fields if isinstance(fields, dict) else UNSET,
    )
    return as_text([told]).rstrip("\n")


def require_success(caller: Caller, info: Mapping[str, Any], place: JobPlace) -> None:
    """Go on only if the job is successful.

    Raises:
        CallError: it failed or was dismissed; with the server's reason.
    """
    state = info.get("status")
    if state == "successful":
        return
    if state == "failed":
        raise CallError(f"The job {place.job_id} failed: {_reason(caller, info, place)}", Exit.JOB)
    raise CallError(f"The job {place.job_id} is {state}: it has no results.", Exit.JOB)


def _reason(caller: Caller, info: Mapping[str, Any], place: JobPlace) -> str:
    """Give why a job failed: from its status, else from what stands in place of its results."""
    problem = info.get("exception") or info.get("problem")
    if isinstance(problem, dict):
        return problem_sentence(problem)
    try:
        caller.results(info, place).close()
    except CallError as error:
        return str(error)
    return str(info.get("message") or "no reason is given")


@contextmanager
def _display(*, quiet: bool) -> Iterator[Display]:
    if quiet or not sys.stderr.isatty():
        yield _Nothing()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.fields[state]}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[percent]}", markup=False),
        TimeElapsedColumn(),
        TextColumn("{task.fields[message]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield _Bar(progress)


class _Nothing:
    def show(self, info: Mapping[str, Any]) -> None: ...

    def show_line(self, text: str) -> None:
        tell(text)


class _Bar:
    def __init__(self, progress: Any) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=None, state="sent", percent="", message="")

    def show(self, info: Mapping[str, Any]) -> None:
        percent = info.get("progress")
        known = isinstance(percent, int | float) and (percent > 0 or info.get("status") != "accepted")
        self._progress.update(
            self._task,
            total=100 if known else None,
            completed=percent if known else 0,
            state=shortened(str(info.get("status", "")), 12),
            percent=f"{percent:3.0f} %" if known else "",
            message=shortened(str(info.get("message") or ""), 60),
        )

    def show_line(self, text: str) -> None:
        self._progress.console.print(text, markup=False, highlight=False, emoji=False, soft_wrap=True)
