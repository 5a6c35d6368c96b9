"""GET `/jobs/{id}/log`: what a job's process wrote, for whoever may see the job."""

from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from fastprocesses_host.ogc.exceptions import InvalidQueryParameter, NotAcceptable, NotFound
from fastprocesses_host.ogc.job_log import TEXT, as_text, job_log, log_lines
from fastprocesses_host.ogc.links import HTML, JSON
from fastprocesses_host.ogc.negotiation import choose_media_type
from fastprocesses_host.web.base_url import urls_of
from fastprocesses_host.web.pages import page_of
from fastprocesses_host.web.query import accept_of, limit_of, one_value
from fastprocesses_host.web.render import respond
from fastprocesses_host.web.resource import Handler, resource

DEFAULT_LIMIT: Final = 1000

_HEADERS: Final = {"Cache-Control": "no-store", "Vary": "Accept"}


async def log(request: Request) -> Response:
    """Answer the newest lines of a job's log, at most `limit`, as JSON or as plain text.

    Raises:
        NoSuchJob: 404. NotFound: 404, logs are not shown here. NotAcceptable: 406.
        InvalidQueryParameter: 400, `limit` or `f` cannot be used.
    """
    return await _answer(request, _media_type(request))


async def _answer(request: Request, media_type: str) -> Response:
    if not request.app.state.settings.show_job_logs:
        raise NotFound("This server does not show the logs of jobs.")
    limit, urls = limit_of(request, DEFAULT_LIMIT), urls_of(request)
    found = await request.app.state.host.log(request.path_params["job_id"], limit=limit)
    lines = log_lines(found.lines)
    if media_type == TEXT:
        return Response(as_text(lines).encode(errors="replace"), 200, _HEADERS, TEXT)
    return respond(request, job_log(found.job, lines, found.count, urls), headers=_HEADERS)


_show: Final = page_of("log.html", "Log of a job")


async def page(request: Request, _handler: Handler) -> Response:
    """Answer the same as a page; whatever else the client takes, it is made from the JSON."""
    return await _show(request, partial(_answer, media_type=JSON))


def _media_type(request: Request) -> str:
    f = one_value(request, "f").lower()
    if f:
        if f not in ("json", "text"):
            raise InvalidQueryParameter("f can be html, json or text.")
        return JSON if f == "json" else TEXT
    chosen = choose_media_type(accept_of(request), [JSON, TEXT])
    if chosen is None:
        raise NotAcceptable([JSON, TEXT, HTML], what="The log")
    return chosen


ROUTES: Final = (resource("/jobs/{job_id}/log", get=log, negotiated=False, page=page),)
CONFORMANCE: Final[tuple[str, ...]] = ()
