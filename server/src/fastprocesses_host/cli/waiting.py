"""Waiting for a job before the caller's eyes."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from fastprocesses_host.cli.caller import Caller, JobPlace, problem_sentence
from fastprocesses_host.cli.tables import shortened
from fastprocesses_host.cli.told import CallError
from fastprocesses_host.exits import Exit


class Display(Protocol):
    """Shows how far a job is."""

    def show(self, info: Mapping[str, Any]) -> None:
        """Show the latest status."""


def wait(caller: Caller, place: JobPlace, *, quiet: bool = False) -> dict[str, Any]:
    """Wait until a job's state is final, showing its progress, and give its last status.

    Raises:
        CallError: the server is lost, or knows the job no more.
    """
    info: dict[str, Any] = {}
    with _display(quiet=quiet) as display:
        for info in caller.watch(place):
            display.show(info)
    return info


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
