"""What every resource has: its methods, HEAD, OPTIONS, and a choice of representations."""

from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from fastprocesses_host.ogc.exceptions import MethodNotAllowed
from fastprocesses_host.ogc.links import JSON
from fastprocesses_host.web.coding import choice_of, encode_answer, is_long
from fastprocesses_host.web.problems import Problems, note_departure, render_problem
from fastprocesses_host.web.render import KeptResponse, Written, bodiless
from fastprocesses_host.web.representation import prefers_page, representation_of

Handler = Callable[[Request], Awaitable[Response]]

Page = Callable[[Request, Handler], Awaitable[Response]]
"""Answers with the HTML page of a resource; the handler gives the JSON."""


def resource(
    path: str,
    *,
    get: Handler | None = None,
    post: Handler | None = None,
    delete: Handler | None = None,
    negotiated: bool = True,
    page: Page | None = None,
) -> Route:
    """Make the route of one resource.

    Args:
        path: Its path, with parameters in braces.
        get: Answers GET and HEAD.
        post: Answers POST.
        delete: Answers DELETE.
        negotiated: Refuse clients that accept none of our representations, before anything is done for them.
            Not for answers in media types of their own: results, the API definition.
        page: Answers clients that want HTML.
    """
    handlers = {"GET": get, "HEAD": get, "POST": post, "DELETE": delete}
    given = {method: handler for method, handler in handlers.items() if handler}
    return Route(path, Resource(given, negotiated=negotiated, page=page))


_WHOLE: Final = frozenset({Response, Written, KeptResponse})
"""Nothing of such an answer is made, and could fail, while it is sent."""


class Resource:
    """One resource as an ASGI application.

    One for all its methods, so that 405 and OPTIONS name them all (RFC 9110, section 15.5.6).
    """

    def __init__(self, handlers: dict[str, Handler], *, negotiated: bool, page: Page | None = None) -> None:
        self.handlers = handlers
        self.negotiated = negotiated
        self.page = page
        self.allowed = (*handlers, "OPTIONS")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, with a problem document whatever goes wrong."""
        request = Request(scope, receive, send)
        try:
            choice = choice_of(request)
            response = await self.respond(request)
            if is_long(response) or choice.must:
                response = await encode_answer(request, response, choice)
            if scope["method"] == "HEAD":
                response = bodiless(response)
        except ClientDisconnect:
            note_departure()
            return
        except Exception as error:
            response = await render_problem(request, error)
        if type(response) in _WHOLE:
            await response(scope, receive, send)
        else:
            await Problems(response)(scope, receive, send)

    def respond(self, request: Request) -> Awaitable[Response]:
        """Answer with the handler of the method.

        Raises:
            MethodNotAllowed: 405, the resource has no such method.
            NotAcceptable: 406, see `representation_of`.
        """
        method = request.scope["method"]
        if method == "OPTIONS":
            return self._tell_allowed()
        handler = self.handlers.get(method)
        if handler is None:
            raise MethodNotAllowed(method, self.allowed)
        if self.page is not None and self._wants_page(request):
            return self.page(request, handler)
        if self.negotiated and self.page is None:
            representation_of(request, has_page=False)
        return handler(request)

    async def _tell_allowed(self) -> Response:
        return Response(status_code=204, headers={"Allow": ", ".join(sorted(self.allowed))})

    def _wants_page(self, request: Request) -> bool:
        if self.negotiated:
            return representation_of(request, has_page=True) == "html"
        return prefers_page(request, JSON)
