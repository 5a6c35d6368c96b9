"""The page of `/jobs/{id}/results`: every output, small ones with their value, all with a link to it."""

from typing import Any, Final

import msgspec
from fastprocesses_sdk.description import Link, ProcessDescription
from starlette.requests import Request
from starlette.responses import Response

from fastprocesses_host.encodings import offered_outputs
from fastprocesses_host.ogc.exceptions import ResultNotAvailable
from fastprocesses_host.ogc.jobs import Job, OutputValue
from fastprocesses_host.ogc.links import HTML, JSON, Urls
from fastprocesses_host.ogc.negotiation import parse_media_type
from fastprocesses_host.ogc.results import require_results, select_outputs
from fastprocesses_host.web.base_url import urls_of
from fastprocesses_host.web.pages import respond_page
from fastprocesses_host.web.query import list_of
from fastprocesses_host.web.resource import Handler

_SHOWN_BYTES: Final = 16 * 1024
"""Larger values are linked to; a page is for reading."""


async def results_page(request: Request, handler: Handler) -> Response:
    """Answer the page of a job's results; no value is read that is not shown.

    Raises:
        NoSuchJob, ResultNotReady, ResultNotAvailable: 404. ProcessFailed: the reason's own status.
    """
    urls, host = urls_of(request), request.app.state.host
    job = await host.job(request.path_params["job_id"])
    require_results(job)
    process = host.catalog.processes.get(job.process_id)
    description = process.description if process else None
    offered = offered_outputs(job.outputs, description)
    wanted = _wanted(request, job, description)
    if "f" not in request.query_params and _is_a_page_itself(job, wanted, offered):
        return await handler(request)
    outputs = [
        await _told(request, job, output_id, description, urls, offered[output_id][0]) for output_id in wanted
    ]
    document = {"outputs": outputs, "links": [*map(msgspec.to_builtins, _links(job, urls))]}
    told = Response(None, 200, {"Content-Type": JSON, "Vary": _VARY, "Cache-Control": "private, no-cache"})
    return await respond_page(request, "results.html", "Results", document, told)


_VARY: Final = "Accept, Accept-Profile, Prefer"


def _wanted(request: Request, job: Job, description: ProcessDescription | None) -> list[str]:
    if job.asked.outputs == {}:
        raise ResultNotAvailable("The execute request asked for no outputs, so the job has no results.")
    asked = list(job.asked.outputs if job.asked.outputs is not None else job.outputs)
    if selected := list_of(request, "outputs"):
        asked = list(select_outputs(job, selected, description.outputs if description else ()))
    return [output_id for output_id in asked if output_id in job.outputs]


def _is_a_page_itself(job: Job, wanted: list[str], offered: dict[str, list[str]]) -> bool:
    """Tell whether the client gets a value that is HTML: one output, asked for raw (/req/html/definition)."""
    return job.asked.response == "raw" and len(wanted) == 1 and HTML in offered[wanted[0]]


async def _told(
    request: Request,
    job: Job,
    output_id: str,
    description: ProcessDescription | None,
    urls: Urls,
    media_type: str,
) -> dict[str, Any]:
    value = job.outputs[output_id]
    told: dict[str, Any] = {
        "id": output_id,
        "mediaType": media_type,
        "length": value.length,
        "href": urls.output(job.id, output_id),
    }
    if description and output_id in description.outputs:
        described = description.outputs[output_id]
        told |= {"title": described.title, "description": described.description}
    if _is_shown(value):
        data = await request.app.state.host.output_bytes(job, output_id)
        told["value"] = data.decode() if value.form == "text" else msgspec.json.decode(data)
    return told


def _is_shown(value: OutputValue) -> bool:
    parsed = parse_media_type(value.media_type)
    return value.length <= _SHOWN_BYTES and value.form in ("json", "text") and parsed is not None


def _links(job: Job, urls: Urls) -> list[Link]:
    return [
        Link(href=urls.results(job.id), rel="self", type=JSON, title="Results"),
        Link(href=urls.job(job.id), rel="up", type=JSON, title="The job"),
        Link(href=urls.process(job.process_id), rel="related", type=JSON, title="The process"),
        Link(href=urls.jobs(), rel="collection", type=JSON, title="Jobs"),
    ]
