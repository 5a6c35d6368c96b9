"""GET `/jobs/{id}/results` and `/jobs/{id}/results/{outputID}`: what a job gave."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from anyio import to_thread
from fastprocesses_sdk.description import ProcessDescription
from starlette.requests import Request
from starlette.responses import Response

from fastprocesses_host.encodings import (
    count_values,
    has_several,
    nth_value,
    offered_media_types,
    offered_outputs,
)
from fastprocesses_host.ogc.exceptions import NotFound, ResultNotAvailable
from fastprocesses_host.ogc.jobs import Job
from fastprocesses_host.ogc.results import (
    choose_output,
    plan_answer,
    plan_output,
    require_results,
    select_outputs,
)
from fastprocesses_host.web.answers import answer, item, raw
from fastprocesses_host.web.paths import ESCAPED_SLASH
from fastprocesses_host.web.query import list_of, wish_of
from fastprocesses_host.web.render import contained
from fastprocesses_host.web.resource import resource
from fastprocesses_host.web.result_pages import results_page

_VALUES_COUNT: Final = "OGC-Output-Values-Count"
_LARGE_BYTES: Final = 64 * 1024
"""Larger arrays are taken apart in a thread, so that other requests go on."""


async def results(request: Request) -> Response:
    """Answer the results in the form the execute request asked for (/req/core/job-results).

    Raises:
        NoSuchJob, ResultNotReady, ResultNotAvailable: 404. ProcessFailed: the reason's own status.
        NoSuchOutput: 400, `outputs` names one that does not exist. NotAcceptable: 406.
    """
    job, description = await _successful(request)
    outputs = description.outputs if description else ()
    offered = offered_outputs(job.outputs, description)
    selected = list_of(request, "outputs")
    plan = plan_answer(
        job.asked,
        job.outputs,
        offered,
        resource="results",
        described=outputs,
        selected=select_outputs(job, selected, outputs) if selected else None,
        wish=wish_of(request),
        inline_bytes=request.app.state.settings.max_inline_bytes,
    )
    return _private(await answer(request, job, plan, offered))


async def output(request: Request) -> Response:
    """Answer the value of one output (version 2.0, /req/core/job-result-op).

    Raises:
        NoSuchOutput: 400. ResultNotAvailable: 404, it was not asked for. Others as `results`.
    """
    job, description, output_id = await _output_of(request)
    offered = offered_outputs(job.outputs, description)[output_id]
    plan = plan_output(job.outputs[output_id], offered, output_id, accept=wish_of(request).accept)
    return _private(await raw(request, job, plan, await _count(request, job, description, output_id)))


async def nth(request: Request) -> Response:
    """Answer one of the values of an output, counted from 0 (version 2.0, /req/core/job-result-op-Nth).

    Of an output that is an array by its schema these are its items, of any other it is the value itself.

    Raises:
        ResultNotAvailable: 404, there are not so many. Others as `output`.
    """
    job, description, output_id = await _output_of(request)
    n = request.path_params["n"]
    if not (n.isascii() and n.isdigit()):
        raise NotFound
    schema = _schema(description, output_id)
    data = await request.app.state.host.output_bytes(job, output_id)
    find = partial(nth_value, job.outputs[output_id], schema, data, int(n[:9]))
    is_large, limiter = len(data) > _LARGE_BYTES, request.app.state.parsing
    one = await to_thread.run_sync(find, limiter=limiter) if is_large else find()
    if one is None:
        raise ResultNotAvailable(f"The output {output_id[:100]} has no value number {n[:9]}, counted from 0.")
    offered = offered_media_types(one.value, one.schema)
    plan = plan_output(one.value, offered, output_id, accept=wish_of(request).accept)
    headers = await _count(request, job, description, output_id)
    return _private(await item(request, job, plan, int(n[:9]), one, headers))


async def _output_of(request: Request) -> tuple[Job, ProcessDescription | None, str]:
    job, description = await _successful(request)
    output_id = request.path_params["output_id"]
    if output_id not in job.outputs:
        output_id = output_id.replace(ESCAPED_SLASH, "/")
    choose_output(job, output_id, description.outputs if description else ())
    return job, description, output_id


def _schema(description: ProcessDescription | None, output_id: str) -> Mapping[str, Any]:
    return description.outputs[output_id].schema if description and output_id in description.outputs else {}


async def _count(
    request: Request, job: Job, description: ProcessDescription | None, output_id: str
) -> dict[str, str]:
    """Tell how many values an output has, unless they would have to be fetched to be counted."""
    value, schema = job.outputs[output_id], _schema(description, output_id)
    if not has_several(value, schema):
        return {_VALUES_COUNT: "1"}
    if value.location:
        return {}
    data = await request.app.state.host.output_bytes(job, output_id)
    return {_VALUES_COUNT: str(count_values(value, schema, data))}


async def _successful(request: Request) -> tuple[Job, ProcessDescription | None]:
    """Give the job and the description of its process, as far as it is still offered."""
    host = request.app.state.host
    job = await host.job(request.path_params["job_id"])
    require_results(job)
    process = host.catalog.processes.get(job.process_id)
    return job, process.description if process else None


def _private(response: Response) -> Response:
    response.headers["Vary"] = "Accept, Accept-Profile, Prefer"
    response.headers["Cache-Control"] = "private, no-cache"
    return contained(response)


ROUTES: Final = (
    resource("/jobs/{job_id}/results", get=results, negotiated=False, page=results_page),
    resource("/jobs/{job_id}/results/{output_id}", get=output, negotiated=False),
    resource("/jobs/{job_id}/results/{output_id}/{n}", get=nth, negotiated=False),
)
CONFORMANCE: Final[tuple[str, ...]] = ()
