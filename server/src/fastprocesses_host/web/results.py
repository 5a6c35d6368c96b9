"""GET `/jobs/{id}/results` and `/jobs/{id}/results/{outputID}`: what a job gave."""

from typing import Final

from fastprocesses_sdk.description import ProcessDescription
from starlette.requests import Request
from starlette.responses import Response

from fastprocesses_host.encodings import offered_outputs
from fastprocesses_host.ogc.jobs import Job
from fastprocesses_host.ogc.results import (
    choose_output,
    plan_answer,
    plan_output,
    require_results,
    select_outputs,
)
from fastprocesses_host.web.answers import answer, raw
from fastprocesses_host.web.query import list_of, wish_of
from fastprocesses_host.web.resource import resource


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
    job, description = await _successful(request)
    output_id = request.path_params["output_id"]
    choose_output(job, output_id, description.outputs if description else ())
    offered = offered_outputs(job.outputs, description)[output_id]
    plan = plan_output(job.outputs[output_id], offered, output_id, accept=wish_of(request).accept)
    return _private(await raw(request, job, plan, {}))


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
    return response


ROUTES: Final = (
    resource("/jobs/{job_id}/results", get=results, negotiated=False),
    resource("/jobs/{job_id}/results/{output_id}", get=output, negotiated=False),
)
CONFORMANCE: Final[tuple[str, ...]] = ()
