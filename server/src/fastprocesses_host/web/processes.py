"""GET `/processes` and `/processes/{id}`: what is offered."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from fastprocesses_host.catalog import Catalog
from fastprocesses_host.ogc.conformance import part1_v10
from fastprocesses_host.ogc.languages import (
    ASSUMED,
    choose_language,
    in_language,
    languages_of,
    rank_languages,
)
from fastprocesses_host.ogc.links import Urls
from fastprocesses_host.ogc.processes import process_description, process_list
from fastprocesses_host.ogc.search import is_found, parse_query
from fastprocesses_host.web.base_url import urls_of
from fastprocesses_host.web.pages import page_of
from fastprocesses_host.web.paging import cursor_of, page_url, self_url
from fastprocesses_host.web.query import limit_of, one_value
from fastprocesses_host.web.render import Rendered, render, respond_rendered
from fastprocesses_host.web.resource import resource

DEFAULT_LIMIT: Final = 1000
"""Generous: some clients never follow `next`."""


async def processes(request: Request) -> Response:
    """Answer a page of the process list (/req/core/process-list-success), ordered by id.

    Raises:
        InvalidQueryParameter: 400, `limit`, `q` or `cursor` cannot be used.
    """
    urls, catalog = urls_of(request), request.app.state.host.catalog
    ranked = _ranked(request, catalog.languages)
    key = (urls.base, "processes", ",".join(ranked), request.scope["query_string"].decode("latin-1"))
    rendered = request.app.state.rendered.get(
        catalog.etag, key, lambda: _page(request, catalog, urls, ranked)
    )
    return respond_rendered(request, rendered)


async def process(request: Request) -> Response:
    """Answer a process description (/req/core/process-success).

    Raises:
        NoSuchProcess: 404.
    """
    urls, catalog = urls_of(request), request.app.state.host.catalog
    description = catalog.get(request.path_params["process_id"]).description
    offered = languages_of(description)
    language = choose_language(_ranked(request, offered), offered)
    key = (urls.base, "process", language, description.id)

    def make() -> Rendered:
        told = process_description(in_language(description, language), urls)
        return render(told, headers=_language_headers([language]) if language else None)

    return respond_rendered(request, request.app.state.rendered.get(catalog.etag, key, make))


def _ranked(request: Request, offered: Sequence[str]) -> tuple[str, ...]:
    """Order languages as the client likes them; nothing is read where there is no choice."""
    if not offered:
        return ()
    return rank_languages(",".join(request.headers.getlist("accept-language")), offered)


def _language_headers(languages: Iterable[str]) -> dict[str, str]:
    return {"Content-Language": ", ".join(dict.fromkeys(languages)), "Vary": "Accept, Accept-Language"}


def _page(request: Request, catalog: Catalog, urls: Urls, ranked: Sequence[str]) -> Rendered:
    limit, place = limit_of(request, DEFAULT_LIMIT), cursor_of(request, "processes")
    query = parse_query(one_value(request, "q"))
    found = [
        offered for offered in catalog.processes.values() if not query or is_found(query, offered.search_text)
    ]
    ids = [offered.description.id for offered in found]
    start = bisect_right(ids, place) if place else 0
    stop, before = start + limit, start - limit
    neighbour = partial(page_url, request, urls.processes(), kind="processes", carried=("q",))
    descriptions = [offered.description for offered in found[start:stop]]
    languages = [choose_language(ranked, languages_of(description)) for description in descriptions]
    page = process_list(
        map(in_language, descriptions, languages),
        urls,
        self_url=self_url(request, urls.processes()),
        next_url=neighbour(ids[stop - 1]) if stop < len(ids) else "",
        prev_url=neighbour(ids[before - 1] if before > 0 else "") if start else "",
    )
    headers = _language_headers(language or ASSUMED for language in languages) if catalog.languages else None
    return render(page, page.links, headers=headers if languages else None)


def _title(document: dict[str, Any]) -> str:
    return str(document.get("title") or document["id"])


ROUTES: Final = (
    resource("/processes", get=processes, page=page_of("processes.html", "Processes")),
    resource("/processes/{process_id}", get=process, page=page_of("process.html", _title)),
)
CONFORMANCE: Final = part1_v10("ogc-process-description")
