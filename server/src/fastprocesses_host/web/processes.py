"""GET `/processes` and `/processes/{id}`: what is offered."""

from bisect import bisect_right
from itertools import islice
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from fastprocesses_host.catalog import Catalog
from fastprocesses_host.ogc.conformance import part1_v10
from fastprocesses_host.ogc.links import Urls
from fastprocesses_host.ogc.processes import process_description, process_list
from fastprocesses_host.web.base_url import urls_of
from fastprocesses_host.web.paging import cursor_of, page_url, self_url
from fastprocesses_host.web.query import limit_of
from fastprocesses_host.web.render import Rendered, render, respond_rendered
from fastprocesses_host.web.resource import resource

DEFAULT_LIMIT: Final = 1000
"""Generous: some clients never follow `next`."""


async def processes(request: Request) -> Response:
    """Answer a page of the process list (/req/core/process-list-success), ordered by id."""
    urls, catalog = urls_of(request), request.app.state.host.catalog
    key = (urls.base, "processes", request.scope["query_string"].decode("latin-1"))
    rendered = request.app.state.rendered.get(catalog.etag, key, lambda: _page(request, catalog, urls))
    return respond_rendered(request, rendered)


async def process(request: Request) -> Response:
    """Answer a process description (/req/core/process-success).

    Raises:
        NoSuchProcess: 404.
    """
    urls, catalog = urls_of(request), request.app.state.host.catalog
    offered = catalog.get(request.path_params["process_id"])
    key = (urls.base, "process", offered.description.id)
    rendered = request.app.state.rendered.get(
        catalog.etag, key, lambda: render(process_description(offered.description, urls))
    )
    return respond_rendered(request, rendered)


def _page(request: Request, catalog: Catalog, urls: Urls) -> Rendered:
    limit, place = limit_of(request, DEFAULT_LIMIT), cursor_of(request)
    ids = list(catalog.processes)
    start = bisect_right(ids, place) if place else 0
    stop, before = start + limit, start - limit
    page = process_list(
        (offered.description for offered in islice(catalog.processes.values(), start, stop)),
        urls,
        self_url=self_url(request, urls.processes()),
        next_url=page_url(request, urls.processes(), ids[stop - 1]) if stop < len(ids) else "",
        prev_url=page_url(request, urls.processes(), ids[before - 1] if before > 0 else "") if start else "",
    )
    return render(page, page.links)


ROUTES: Final = (
    resource("/processes", get=processes),
    resource("/processes/{process_id}", get=process),
)
CONFORMANCE: Final = part1_v10("ogc-process-description")
