"""What every resource has: its methods, HEAD, OPTIONS, and a choice of representations."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from fastprocesses_host.ogc.exceptions import MethodNotAllowed
from fastprocesses_host.web.query import check_representation
from fastprocesses_host.web.render import bodiless

Handler = Callable[[Request], Awaitable[Response]]


def resource(
    path: str,
    *,
    get: Handler | None = None,
    post: Handler | None = None,
    delete: Handler | None = None,
    negotiated: bool = True,
) -> Route:
    """Make the route of one resource.

    Args:
        path: Its path, with parameters in braces.
        get: Answers GET and HEAD.
        post: Answers POST.
        delete: Answers DELETE.
        negotiated: Refuse clients that accept none of our representations, before anything is done for them.
            Not for answers in media types of their own: results, the API definition.
    """
    handlers = {"GET": get, "HEAD": get, "POST": post, "DELETE": delete}
    return Route(path, Resource({method: h for method, h in handlers.items() if h}, negotiated=negotiated))


class Resource:
    """One resource as an ASGI application.

    One for all its methods, so that 405 and OPTIONS name them all (RFC 9110, section 15.5.6).
    """

    def __init__(self, handlers: dict[str, Handler], *, negotiated: bool) -> None:
        self.handlers = handlers
        self.negotiated = negotiated
        self.allowed = (*handlers, "OPTIONS")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        response = await self.respond(Request(scope, receive, send))
        if scope["method"] == "HEAD":
            response = bodiless(response)
        await response(scope, receive, send)

    async def respond(self, request: Request) -> Response:
        """Answer with the handler of the method.

        Raises:
            MethodNotAllowed: 405, the resource has no such method.
            NotAcceptable: 406, see `check_representation`.
        """
        if request.method == "OPTIONS":
            return Response(status_code=204, headers={"Allow": ", ".join(sorted(self.allowed))})
        handler = self.handlers.get(request.method)
        if handler is None:
            raise MethodNotAllowed(request.method, self.allowed)
        if self.negotiated:
            check_representation(request)
        return await handler(request)
