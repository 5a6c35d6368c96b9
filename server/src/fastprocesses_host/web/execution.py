"""POST `/processes/{id}/execution`: run a process, now or as a job."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Final

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response

from fastprocesses_host.catalog import OfferedProcess
from fastprocesses_host.encodings import offered_outputs
from fastprocesses_host.inputs import CheckedInput, check_request
from fastprocesses_host.ogc.conformance import part1_v10
from fastprocesses_host.ogc.exceptions import InvalidParameterValue
from fastprocesses_host.ogc.execute import ExecuteRequest, parse_execute_request
from fastprocesses_host.ogc.jobs import Job, Status, status_info
from fastprocesses_host.ogc.preferences import ModeChoice, Preferences, choose_mode
from fastprocesses_host.ogc.processes import control_options
from fastprocesses_host.ogc.results import plan_answer, plan_formats, require_results
from fastprocesses_host.settings import Settings
from fastprocesses_host.web.answers import answer
from fastprocesses_host.web.base_url import urls_of
from fastprocesses_host.web.body import read_json_body
from fastprocesses_host.web.callers import caller_of
from fastprocesses_host.web.long_strings import BodyInParts
from fastprocesses_host.web.query import preferences_of, wish_of
from fastprocesses_host.web.render import respond
from fastprocesses_host.web.resource import resource

_NO_FILES: Final[Mapping[bytes, Path]] = MappingProxyType({})
_LARGE_BYTES: Final = 64 * 1024
"""Larger bodies are read and checked in a thread, so that other requests go on.

Strings up to this size stay in them in any case, so that no body makes a great number of files.
"""


async def execute(request: Request) -> Response:
    """Execute a process (/req/core/process-execute-op): answer results, or 201 with the status of a job.

    Raises:
        NoSuchProcess: 404. InvalidParameterValue: 400, the request or an input does not fit.
        UnsupportedMediaType: 415. BodyTooLarge: 413. NotAcceptable: 406, before anything is run.
        ProcessFailed: the reason's own status. SyncTimeout: 504. TooManyRequests: 429. ServiceUnavailable: 503.
    """
    urls_of(request)  # a bad Host header is refused before anything runs
    process = request.app.state.host.catalog.get(request.path_params["process_id"])
    preferences = preferences_of(request)
    with _parts_of(request, process) as parts:
        execute_request, inputs = await _read(request, process, preferences, parts)
        choice = _choose_mode(request, process, execute_request, preferences)
        job = await request.app.state.host.execute(
            process.description.id,
            execute_request,
            choice,
            inputs=inputs,
            caller=caller_of(request),
            disconnected=partial(_left, request),
        )
    return await _answer(request, process, job, choice)


@contextmanager
def _parts_of(request: Request, process: OfferedProcess) -> Iterator[BodyInParts | None]:
    """Give where long strings of the body go, if any could be an input as they are; they are gone at the end."""
    state = request.app.state
    values = state.host.values if process.takes_base64 else None
    if values is None:
        yield None
        return
    parts = BodyInParts(values, longest_bytes=max(_LARGE_BYTES, state.settings.max_inline_bytes))
    try:
        yield parts
    finally:
        parts.discard()


async def _read(
    request: Request, process: OfferedProcess, preferences: Preferences, parts: BodyInParts | None
) -> tuple[ExecuteRequest, Mapping[str, CheckedInput]]:
    """Read and check the body, off the event loop when it is large."""
    body = await read_json_body(request, parts)
    state = request.app.state
    files = parts.files if parts is not None else _NO_FILES
    if parts is not None and files:
        checking = partial(_check_parts, body, parts, files, process, state.settings)
        execute_request, inputs = await to_thread.run_sync(checking, limiter=state.parsing)
    elif len(body) <= _LARGE_BYTES:
        execute_request, inputs = _check(body, process, state.settings)
    else:
        execute_request, inputs = await to_thread.run_sync(
            _check, body, process, state.settings, limiter=state.parsing
        )
    wish = wish_of(request, preferences)
    return execute_request.with_headers(
        accept=wish.accept, preferences=preferences, profile=wish.profile
    ), inputs


def _check_parts(
    text: bytes,
    parts: BodyInParts,
    files: Mapping[bytes, Path],
    process: OfferedProcess,
    settings: Settings,
) -> tuple[ExecuteRequest, Mapping[str, CheckedInput]]:
    """Check a body whose long strings are in files; unless each of them is an input, it is judged as a whole."""
    with suppress(InvalidParameterValue):
        execute_request, inputs = _check(text, process, settings, files)
        if {checked.file for checked in inputs.values()} >= set(files.values()):
            return execute_request, inputs
    return _check(parts.whole(), process, settings)


def _check(
    body: bytes,
    process: OfferedProcess,
    settings: Settings,
    files: Mapping[bytes, Path] = _NO_FILES,
) -> tuple[ExecuteRequest, Mapping[str, CheckedInput]]:
    execute_request = parse_execute_request(
        body,
        max_depth=settings.max_depth,
        max_number_digits=settings.max_number_digits,
        default_dialect=settings.default_dialect,
    )
    return execute_request, check_request(process, execute_request, files=files)


def _choose_mode(
    request: Request, process: OfferedProcess, execute_request: ExecuteRequest, preferences: Preferences
) -> ModeChoice:
    """Choose the mode, and refuse before anything runs what the client would not accept afterwards."""
    choice = choose_mode(
        control_options(process.description),
        preferences,
        max_wait_seconds=request.app.state.settings.sync_timeout_seconds,
    )
    plan_formats(process.description, execute_request.asked, negotiate=choice.mode == "sync")
    return choice


async def _left(request: Request) -> None:
    """Return when the client is gone; its body has been read to the end before."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _answer(request: Request, process: OfferedProcess, job: Job, choice: ModeChoice) -> Response:
    if not job.status.is_final:
        return _accepted(request, job, choice)
    if job.status is not Status.SUCCESSFUL:
        require_results(job)
    offered = offered_outputs(job.outputs, process.description)
    plan = plan_answer(
        job.asked,
        job.outputs,
        offered,
        resource="execution",
        described=process.description.outputs,
        inline_bytes=request.app.state.settings.max_inline_bytes,
        references=job.listed,
    )
    return await answer(request, job, plan, offered, choice.applied)


def _accepted(request: Request, job: Job, choice: ModeChoice) -> Response:
    """Answer 201 with the place of the job (/req/core/process-execute-success-async)."""
    urls = urls_of(request)
    headers = {"Location": urls.job(job.id)}
    if choice.applied:
        headers["Preference-Applied"] = ", ".join(choice.applied)
    return respond(request, status_info(job, urls), status=201, headers=headers)


ROUTES: Final = (resource("/processes/{process_id}/execution", post=execute, negotiated=False),)
CONFORMANCE: Final = part1_v10("core", "json")
