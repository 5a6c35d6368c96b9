"""POST `/processes/{id}/execution`: run a process, now or as a job."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from anyio import to_thread
from msgspec import Struct
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from fastprocesses_host.catalog import OfferedProcess
from fastprocesses_host.encodings import offered_outputs
from fastprocesses_host.inputs import CheckedInput, check_request, has_references
from fastprocesses_host.ogc.conformance import part1_v10, part1_v20
from fastprocesses_host.ogc.exceptions import InvalidParameterValue
from fastprocesses_host.ogc.execute import ExecuteRequest, parse_execute_request, says_nothing
from fastprocesses_host.ogc.jobs import (
    AskedResults,
    Job,
    Status,
    accepted_document,
    is_untouched,
    status_and_link,
)
from fastprocesses_host.ogc.links import Urls
from fastprocesses_host.ogc.preferences import ModeChoice, choose_mode
from fastprocesses_host.ogc.processes import control_options
from fastprocesses_host.ogc.repeats import PLAIN, Repeats, read_repeats
from fastprocesses_host.ogc.results import Answer, Wish, plan_answer, plan_formats, require_results
from fastprocesses_host.ogc.subscribers import Subscriber
from fastprocesses_host.settings import Settings
from fastprocesses_host.store.values import Values
from fastprocesses_host.subscribers import check_subscriber
from fastprocesses_host.uploaded import with_uploads
from fastprocesses_host.web.answers import answer
from fastprocesses_host.web.base_url import urls_of
from fastprocesses_host.web.body import read_json_body
from fastprocesses_host.web.callers import caller_of
from fastprocesses_host.web.head import Head, head_of, names_in
from fastprocesses_host.web.long_strings import BodyInParts
from fastprocesses_host.web.query import preferences_of, wish_of
from fastprocesses_host.web.render import VARY, Written, respond_written
from fastprocesses_host.web.resource import resource

_REPEATS: Final = frozenset({b"cache-control", b"idempotency-key"})
_NO_FILES: Final[Mapping[bytes, Path]] = MappingProxyType({})
_NO_PARTS: Final = nullcontext(None)
_MOST_PLANS: Final = 256
_LARGE_BYTES: Final = 64 * 1024
"""Larger bodies are read and checked in a thread, so that other requests go on.

Strings up to this size stay in them in any case, so that no body makes a great number of files.
"""


async def execute(request: Request) -> Response:
    """Execute a process (/req/core/process-execute-op): answer results, or 201 with the status of a job.

    Raises:
        NoSuchProcess: 404. InvalidParameterValue: 400, the request or an input does not fit.
        UnsupportedMediaType: 415. BodyTooLarge: 413. NotAcceptable: 406, before anything is run.
        InvalidHeader: 400. KeyReused: 422. JobGone: 410. NothingStored: 504. InsufficientStorage: 507.
        ProcessFailed: the reason's own status. SyncTimeout: 504. TooManyRequests: 429. ServiceUnavailable: 503.
    """
    urls = urls_of(request)  # a bad Host header is refused before anything runs
    state = request.app.state
    process = state.host.catalog.get(request.path_params["process_id"])
    repeats = _repeats_of(request)
    with _parts_of(request, process) as parts:
        execute_request, inputs = await _read(request, process, parts)
        wish = wish_of(request)
        inputs = await _with_uploads(request, process, inputs) if has_references(inputs) else inputs
        way = state.plans.way(request, process, execute_request, wish)
        job = await state.host.execute(
            process.description.id,
            execute_request.asking(way.asked),
            way.choice,
            inputs=inputs,
            caller=caller_of(request),
            disconnected=partial(_left, request),
            repeats=repeats,
        )
    if way.choice.mode == "async" or not job.status.is_final:
        response = _accepted(job, urls, way.choice)
    else:
        response = await _answer(request, process, job, way.choice)
    if job.run_id:
        response.headers.update(_cache_headers(job))
    return response


def _repeats_of(request: Request) -> Repeats:
    if _REPEATS.isdisjoint(names_in(request.scope)):
        return PLAIN
    headers = request.headers
    return read_repeats(headers.getlist("cache-control"), headers.getlist("idempotency-key"))


def _cache_headers(job: Job) -> dict[str, str]:
    """Tell where results come from that may be shared (RFC 9111, section 5.1; RFC 9211)."""
    if job.results_age_ms is not None:
        return {"Age": str(job.results_age_ms // 1000), "Cache-Status": "fastprocesses; hit"}
    return {"Cache-Status": f"fastprocesses; fwd=miss{'; collapsed' if job.is_joined else ''}"}


def _parts_of(request: Request, process: OfferedProcess) -> AbstractContextManager[BodyInParts | None]:
    """Give where long strings of the body go, if any could be an input as they are; they are gone at the end."""
    values = request.app.state.host.values if process.takes_base64 else None
    return _NO_PARTS if values is None else _parts_in(values, request)


@contextmanager
def _parts_in(values: Values, request: Request) -> Iterator[BodyInParts]:
    state = request.app.state
    room = state.host.room(caller_of(request))
    longest_bytes = max(_LARGE_BYTES, state.settings.max_inline_bytes)
    parts = BodyInParts(values, longest_bytes=longest_bytes, room=room)
    try:
        yield parts
    finally:
        parts.discard()
        state.host.give_back_later(room)


async def _read(
    request: Request, process: OfferedProcess, parts: BodyInParts | None
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
    if execute_request.subscriber is not None:
        execute_request = _with_subscriber(request, execute_request, execute_request.subscriber)
    return execute_request, inputs


async def _with_uploads(
    request: Request, process: OfferedProcess, inputs: Mapping[str, CheckedInput]
) -> Mapping[str, CheckedInput]:
    """Put in what was uploaded before, where the request names some."""
    uploads = request.app.state.host.uploads
    if uploads is None:
        return inputs
    return await with_uploads(uploads, process, inputs, base=urls_of(request).base)


def _with_subscriber(
    request: Request, execute_request: ExecuteRequest, subscriber: Subscriber
) -> ExecuteRequest:
    """Check whether a subscriber may be called, and keep with it where the service is for the client."""
    check_subscriber(subscriber, request.app.state.settings.callback_rules)
    return replace(execute_request, subscriber=replace(subscriber, base_url=urls_of(request).base))


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


async def _left(request: Request) -> None:
    """Return when the client is gone; its body has been read to the end before."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _answer(request: Request, process: OfferedProcess, job: Job, choice: ModeChoice) -> Response:
    if job.status is not Status.SUCCESSFUL:
        require_results(job)
    state = request.app.state
    planned = state.plans.of(process, job, state.settings.max_inline_bytes)
    return await answer(request, job, planned.plan, planned.offered, choice.applied)


class _Way(Struct, frozen=True):
    """How a request is executed."""

    asked: AskedResults
    """How its results are wanted, by its header and its body."""
    choice: ModeChoice


def _way(request: Request, process: OfferedProcess, execute_request: ExecuteRequest, wish: Wish) -> _Way:
    """Choose the mode, and refuse before anything runs what the client would not accept afterwards."""
    preferences = preferences_of(request)
    choice = choose_mode(
        control_options(process.description),
        preferences,
        max_wait_seconds=request.app.state.settings.sync_timeout_seconds,
    )
    asked = execute_request.with_headers(
        accept=wish.accept, preferences=preferences, profile=wish.profile
    ).asked
    plan_formats(process.description, asked, negotiate=choice.mode == "sync")
    return _Way(asked, choice)


class _Planned(Struct, frozen=True):
    plan: Answer
    offered: Mapping[str, Sequence[str]]


class Plans:
    """How processes are executed and results answered, once for all requests and jobs alike in what it depends on."""

    def __init__(self) -> None:
        self._ways: dict[tuple[Head, str, str], _Way] = {}
        self._plans: dict[tuple[Any, ...], _Planned] = {}

    def way(
        self, request: Request, process: OfferedProcess, execute_request: ExecuteRequest, wish: Wish
    ) -> _Way:
        """Tell how a request is executed: by its header alone, where its body and its query say nothing of that.

        Raises:
            NotAcceptable: 406, its results can be given in nothing the client accepts.
        """
        asked = execute_request.asked
        if request.scope["query_string"] or not says_nothing(asked):
            return _way(request, process, execute_request, wish)
        key = (head_of(request), process.digest, asked.dialect)
        way = self._ways.get(key)
        if way is None:
            if len(self._ways) >= _MOST_PLANS:
                self._ways.clear()
            way = self._ways[key] = _way(request, process, execute_request, wish)
        return way

    def of(self, process: OfferedProcess, job: Job, inline_bytes: int) -> _Planned:
        """Plan the answer of a job of a process; see `plan_answer`."""
        depends_on_more = job.listed or job.asked.outputs is not None  # on sizes, or on what cannot be a key
        if depends_on_more:
            return _plan(process, job, inline_bytes)
        forms = [(name, value.form, value.media_type) for name, value in job.outputs.items()]
        key = (process.digest, job.asked, *forms)
        planned = self._plans.get(key)
        if planned is None:
            if len(self._plans) >= _MOST_PLANS:
                self._plans.clear()
            planned = self._plans[key] = _plan(process, job, inline_bytes)
        return planned


def _plan(process: OfferedProcess, job: Job, inline_bytes: int) -> _Planned:
    offered = offered_outputs(job.outputs, process.description)
    plan = plan_answer(
        job.asked,
        job.outputs,
        offered,
        resource="execution",
        described=process.description.outputs,
        inline_bytes=inline_bytes,
        references=job.listed,
    )
    return _Planned(plan, offered)


def _accepted(job: Job, urls: Urls, choice: ModeChoice) -> Response:
    """Answer 201 with the place of the job (/req/core/process-execute-success-async)."""
    applied = [(b"preference-applied", ", ".join(choice.applied).encode("latin-1"))] if choice.applied else []
    if is_untouched(job):
        document, url = accepted_document(job, urls)
        return Written(document, 201, [VARY, (b"location", url), *applied])
    headers = [(b"location", urls.job(job.id).encode("latin-1")), *applied]
    return respond_written(status_and_link(job, urls)[0], headers, status=201)


ROUTES: Final = (resource("/processes/{process_id}/execution", post=execute, negotiated=False),)
CONFORMANCE: Final = (*part1_v10("core", "json", "callback"), *part1_v20("callback"))
