"""How a run can end, and what the caller of a failed job is told."""

import signal
from typing import Literal

import msgspec
from fastprocesses_sdk.executor.protocol import Output, Problem
from msgspec import Struct

from fastprocesses_host.ogc.exceptions import InvalidParameterValue, OGCException
from fastprocesses_host.ogc.execute import pointer
from fastprocesses_host.ogc.jobs import JobProblem
from fastprocesses_host.store.records import Limits

BYTES_PER_MB = 1024 * 1024
BY_CHANCE = frozenset({"crashed", "error", "inputs-away", "results-not-stored"})
"""Reasons of failures that another attempt may not meet."""
MOST_CHARACTERS = 4000
"""Longer texts of processes are cut before they reach a record."""

_REFUSED = "The process refused"


class Succeeded(Struct, frozen=True):
    """The process returned."""

    outputs: dict[str, Output]


class Failed(Struct, frozen=True):
    """The job is failed, for a reason a machine can read and a problem its caller is told."""

    reason: str
    problem: JobProblem


class Stopped(Struct, frozen=True):
    """The run gave way: its job was dismissed, is somebody else's, waits for another attempt, or the worker stops."""

    why: Literal["dismissed", "superseded", "gone", "drained", "repeated"]


Ending = Succeeded | Failed | Stopped


def failed(reason: str, detail: str, *, title: str = "The process failed", status: int = 500) -> Failed:
    """Give the ending of a job that failed through no word of its process."""
    return Failed(reason, JobProblem(title=title, status=status, detail=detail))


def raised(problem: Problem, job_id: str) -> Failed:
    """Give the ending for what a process raised; in its own words only where it chose them for the caller."""
    if problem.kind == "declared":
        detail = problem.detail[:MOST_CHARACTERS]
        errors = [{"pointer": pointer(("inputs", problem.input)), "detail": detail}] if problem.input else []
        return Failed(
            "declared",
            JobProblem(
                type=problem.type or "about:blank",
                title=problem.title[:MOST_CHARACTERS] or _REFUSED,
                status=problem.status,
                detail=detail,
                errors=errors,
            ),
        )
    if problem.kind == "plugin":
        return failed("plugin", f"The plugin of the process could not be loaded. {_ask_operator(job_id)}")
    return failed("error", f"The process ended in an error of its own. {_ask_operator(job_id)}")


def died(returncode: int | None, *, while_loading: bool) -> Failed:
    """Give the ending of a job whose executor ended by itself."""
    if while_loading:
        return failed("plugin", f"The plugin of the process {_how(returncode)} while it was loaded.")
    return failed("crashed", f"The process {_how(returncode)}.")


def timed_out(limits: Limits) -> Failed:
    """Give the ending of a job that ran too long."""
    seconds = min(limits.timeout_seconds, limits.max_run_seconds)
    detail = f"The process was stopped after {seconds:g} s, the longest it may run."
    return failed("timeout", detail, title="Time limit exceeded", status=504)


def too_much_memory(used_bytes: int, limit_bytes: int) -> Failed:
    """Give the ending of a job that used too much memory."""
    used, limit = used_bytes // BYTES_PER_MB, limit_bytes // BYTES_PER_MB
    return failed("memory", f"The process used {used} MB of memory; {limit} MB is the most it may use.")


def too_much_disk(used_bytes: int, limit_bytes: int) -> Failed:
    """Give the ending of a job that wrote too much into its folder."""
    used, limit = used_bytes // BYTES_PER_MB, limit_bytes // BYTES_PER_MB
    detail = f"The process wrote {used} MB into its folder; {limit} MB is the most it may write."
    return failed("disk", detail, title="Disk limit exceeded")


def disk_full() -> Failed:
    """Give the ending of a job that a full disk ended."""
    detail = "The disk of the server is nearly full, so the process was stopped. Try again later."
    return failed("disk-full", detail, title="Insufficient Storage", status=507)


def no_room(refusal: OGCException) -> Failed:
    """Give the ending of a job for whose results there is no room; the caller of the results cannot send less."""
    detail = f"The results could not be kept. {refusal.detail}"
    return failed("no-room", detail, title="Insufficient Storage", status=507)


def too_large(output: str, length: int, limit: int) -> Failed:
    """Give the ending of a job with a result larger than allowed."""
    detail = f"The output {output!r} has {length} bytes; {limit} is the most a value may have."
    return failed("too-large", detail, title="Result too large")


def not_fetched(place: str, where: str, detail: str, status: int) -> Failed:
    """Give the ending of a job that could not have an input that it was given by reference.

    Args:
        place: The input, for people.
        where: Its JSON pointer.
        detail: Why.
        status: Whose fault it is: 502 the other host's, 504 it was too slow, 413 what it has is too large, 507 ours:
            there is no room for it.
    """
    titles = {413: "Input too large", 504: "Time limit exceeded", 507: "Insufficient Storage"}
    title = titles.get(status, "Input not fetched")
    errors = [{"pointer": where, "detail": detail}]
    detail = f"Input {place} could not be fetched. {detail}"
    reason = "disk-full" if status == 507 else "reference"
    return Failed(reason, JobProblem(title=title, status=status, detail=detail, errors=errors))


def not_fetched_by_plugin(place: str, where: str, told: JobProblem) -> Failed:
    """Give the ending of a job that could not have an input by reference, in the words of the plugin that fetches it.

    Args:
        place: The input, for people.
        where: Its JSON pointer.
        told: What the plugin says.
    """
    errors = [{"pointer": where, "detail": told.detail}]
    detail = f"Input {place} could not be fetched. {told.detail}"
    title = "Input not fetched" if told.title == _REFUSED else told.title
    return Failed("reference", msgspec.structs.replace(told, title=title, detail=detail, errors=errors))


def input_refused(place: str, errors: list[dict[str, str]]) -> Failed:
    """Give the ending of a job whose input by reference must not be fetched, or is not what it has to be."""
    refusal = InvalidParameterValue
    more = f" Look into errors for {len(errors) - 1} more." if len(errors) > 1 else ""
    return Failed(
        "input",
        JobProblem(
            type=refusal.type,
            title=refusal.title,
            status=refusal.status,
            detail=f"Input {place}: {errors[0]['detail']}{more}",
            errors=errors,
        ),
    )


def input_gone() -> Failed:
    """Give the ending of a job with an input that is in the value store no more."""
    return failed(
        "input-gone",
        "An input of the job is in the value store no more. Submit the job again.",
        title="Input gone",
    )


def inputs_away() -> Failed:
    """Give the ending of a job whose inputs the value store did not give in time."""
    detail = "The inputs could not be fetched: the value store does not answer. Submit the job again later."
    return failed("inputs-away", detail, title="Value store away", status=503)


def results_not_stored() -> Failed:
    """Give the ending of a job whose results the value store did not take in time."""
    detail = "The results could not be stored: the value store does not answer. Submit the job again later."
    return failed("results-not-stored", detail, title="Results not stored", status=503)


def process_missing(process_id: str) -> Failed:
    """Give the ending of a job whose process is not installed where it was to run."""
    return failed(
        "process-missing", f"The process {process_id!r} is no longer offered by the workers. Submit it again."
    )


def process_changed(process_id: str) -> Failed:
    """Give the ending of a job whose inputs were checked against another description than the installed one."""
    detail = f"The process {process_id!r} was changed after the job was accepted. Submit it again."
    return failed("process-changed", detail, title="Process changed", status=503)


def worker_lost() -> bytes:
    """Give the problem, encoded, of a job whose worker went silent."""
    detail = "The worker that ran the job went away. Submit it again."
    return msgspec.json.encode(JobProblem(title="Worker lost", detail=detail))


def no_worker() -> bytes:
    """Give the problem, encoded, of a job that no worker took in time."""
    detail = "No worker took the job in time. Submit it again later."
    return msgspec.json.encode(JobProblem(title="No worker", status=503, detail=detail))


def server_stopped() -> bytes:
    """Give the problem, encoded, of a job that ran when the server was stopped."""
    detail = "The server was stopped while the job ran. Submit it again."
    return msgspec.json.encode(JobProblem(title="Server stopped", status=503, detail=detail))


def _how(returncode: int | None) -> str:
    if returncode is None:
        return "ended without a word"
    if returncode < 0:
        return f"was ended by {_signal_name(returncode)}"
    return f"exited with code {returncode}"


def _ask_operator(job_id: str) -> str:
    return f"The operator finds it in the log under the job {job_id}."


def _signal_name(returncode: int) -> str:
    try:
        return signal.Signals(-returncode).name
    except ValueError:
        return f"signal {-returncode}"
