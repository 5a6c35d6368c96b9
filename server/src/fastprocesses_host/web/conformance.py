"""GET `/conformance`: which classes of the standard are met."""

from typing import Final, Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fastprocesses_host.web.pages import page_of
from fastprocesses_host.web.render import render, respond_rendered
from fastprocesses_host.web.resource import resource


class WebModule(Protocol):
    """What a module of `web` offers: its resources, and the conformance classes they earn together."""

    ROUTES: tuple[Route, ...]
    CONFORMANCE: tuple[str, ...]


async def conformance(request: Request) -> Response:
    """Answer the conformance declaration (/req/core/conformance-success)."""
    return respond_rendered(request, render(request.app.state.conformance))


ROUTES: Final = (
    resource("/conformance", get=conformance, page=page_of("conformance.html", "Conformance classes")),
)
CONFORMANCE: Final[tuple[str, ...]] = ()
