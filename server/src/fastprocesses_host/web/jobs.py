"""GET `/jobs`; GET and DELETE `/jobs/{id}`: what became of execute requests."""

from collections.abc import Mapping
from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from fastprocesses_host.ogc.conformance import part1_v10
from fastprocesses_host.ogc.job_filters import NAMES as FILTERS
from fastprocesses_host.ogc.jobs import Status, job_list, status_and_link, status_info
from fastprocesses_host.web.base_url import urls_of
from fastprocesses_host.web.pages import INTERACTIVE_HEADERS, PAGE_HEADERS, Document, page_of
from fastprocesses_host.web.paging import cursor_of, page_url, self_url
from fastprocesses_host.web.query import filters_of, limit_of
from fastprocesses_host.web.render import links_as_header, respond, respond_written
from fastprocesses_host.web.resource import resource

DEFAULT_LIMIT: Final = 10

_CHANGES: Final = {"Cache-Control": "no-store"}
_WRITTEN_CHANGES: Final = (b"cache-control", b"no-store")


async def jobs(request: Request) -> Response:
    """Answer a page of the job list, newest first (/req/job-list/job-list-success).

    Raises:
        InvalidQueryParameter: 400, a filter cannot be used. NoSuchProcess: 404, of all the processes named none
            is known.
    """
    limit, cursor, urls = limit_of(request, DEFAULT_LIMIT), cursor_of(request, "jobs"), urls_of(request)
    page = await request.app.state.host.jobs(limit=limit, cursor=cursor, filters=filters_of(request))
    url = urls.jobs()
    neighbour = partial(page_url, request, url, kind="jobs", carried=FILTERS)
    document = job_list(
        page.jobs,
        urls,
        self_url=self_url(request, url),
        next_url=neighbour(page.next) if page.next else "",
        prev_url=neighbour(page.prev) if page.prev else "",
    )
    return respond(request, document, headers=_CHANGES | links_as_header(document.links))


async def status(request: Request) -> Response:
    """Answer the status info of a job (/req/core/job-success).

    Raises:
        NoSuchJob: 404.
    """
    job = await request.app.state.host.job(request.path_params["job_id"])
    document, link = status_and_link(job, urls_of(request))
    return respond_written(document, [_WRITTEN_CHANGES, (b"link", link)])


async def dismiss(request: Request) -> Response:
    """Dismiss a job that has not ended, remove one that has (/req/dismiss/job-dismiss-success).

    Raises:
        NoSuchJob: 404; JobGone: 410, it was removed before; Forbidden: 403, its process cannot be dismissed.
    """
    urls = urls_of(request)  # before anything is changed: a bad Host header is refused
    job = await request.app.state.host.dismiss(request.path_params["job_id"])
    return respond(request, status_info(job, urls), headers=_CHANGES)


def _page_headers(document: Document) -> Mapping[str, str]:
    """Let the page of a job that goes on run our script, which shows what becomes of it; the page works without."""
    return PAGE_HEADERS if Status(document["status"]).is_final else INTERACTIVE_HEADERS


ROUTES: Final = (
    resource("/jobs", get=jobs, page=page_of("jobs.html", "Jobs")),
    resource(
        "/jobs/{job_id}", get=status, delete=dismiss, page=page_of("job.html", "Job", headers=_page_headers)
    ),
)
CONFORMANCE: Final = part1_v10("job-list", "dismiss")
