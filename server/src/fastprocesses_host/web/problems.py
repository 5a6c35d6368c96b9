"""The one place where errors become answers: problem documents (RFC 9457) on every path."""

import logging
import uuid
from collections.abc import Awaitable
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastprocesses_host.ogc.exceptions import InternalError, NotFound, OGCException, problem
from fastprocesses_host.ogc.negotiation import problem_media_type
from fastprocesses_host.store.rooms import DISK_FULL, disk_full
from fastprocesses_host.store.values import ValuesAway
from fastprocesses_host.web.pages import render_problem_page
from fastprocesses_host.web.paths import loggable
from fastprocesses_host.web.query import accept_of
from fastprocesses_host.web.render import bodiless
from fastprocesses_host.web.representation import wants_problem_page

_log = logging.getLogger(__name__)


class Problems:
    """Render whatever comes out of the application, so that no error leaves the server in another form."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and answer for what is raised."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        def watch(message: Message) -> Awaitable[None]:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            return send(message)

        try:
            await self.app(scope, receive, watch)
        except ClientDisconnect:
            note_departure()
        except Exception as error:
            if (
                started
            ):  # Too late for a status: the server cuts the answer off, so that it is not taken for whole.
                raise
            response = await render_problem(Request(scope), error)
            await response(scope, receive, send)


def note_departure() -> None:
    """Note that a client left; nobody is there to be answered."""
    _log.debug("The client left before its request was complete.")


async def render_problem(request: Request, error: Exception) -> Response:
    """Give the problem document of any exception."""
    told = as_ogc_exception(request, error)
    document = problem(told, quote(request.scope["path"]))
    headers = {"Vary": "Accept", **told.headers}
    response = _rendered(request, document, headers)
    return bodiless(response) if request.method == "HEAD" else response


def _rendered(request: Request, document: dict[str, Any], headers: dict[str, str]) -> Response:
    if wants_problem_page(request):
        return render_problem_page(request, document, headers)
    media_type = problem_media_type(accept_of(request))
    return Response(msgspec.json.encode(document), document["status"], headers, media_type)


def as_ogc_exception(request: Request, error: Exception) -> OGCException:
    """Give the exception as the client is told it; what is no news of ours is logged and told as 500."""
    if isinstance(error, ValuesAway):
        _log.warning("The value store does not answer: %s", error.reason)
    if isinstance(error, OGCException):
        return error
    if isinstance(error, HTTPException):
        return _from_http(request, error)
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        _log.error("The disk is full: %s %s", request.method, loggable(request.scope["path"]))
        return disk_full()
    incident = uuid.uuid4().hex[:12]
    _log.error(
        "Request failed, incident %s: %s %s",
        incident,
        request.method,
        loggable(request.scope["path"]),
        exc_info=error,
    )
    return InternalError(
        f"Something went wrong in the server. Its log has the reason, under the incident {incident}."
    )


def _from_http(request: Request, error: HTTPException) -> OGCException:
    """Translate what the router and the reading of requests raise."""
    if error.status_code == 404:
        return NotFound()
    return StatusOnly(error)


class StatusOnly(OGCException):
    """A problem of HTTP itself, told by its status alone (RFC 9457, section 4.2.1)."""

    def __init__(self, error: HTTPException) -> None:
        self.status, self.title = error.status_code, HTTPStatus(error.status_code).phrase
        super().__init__(error.detail, headers=error.headers)
