"""GET `/`: what this service is and where everything is."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from fastprocesses_host.ogc.conformance import common
from fastprocesses_host.ogc.links import landing_links
from fastprocesses_host.web.base_url import urls_of
from fastprocesses_host.web.pages import page_of
from fastprocesses_host.web.render import render, respond_rendered
from fastprocesses_host.web.resource import resource


async def landing(request: Request) -> Response:
    """Answer the landing page (/req/core/landingpage-success)."""
    settings, links = request.app.state.settings, landing_links(urls_of(request))
    document = {"title": settings.title, "description": settings.description, "links": links}
    return respond_rendered(request, render(document, links))


ROUTES: Final = (resource("/", get=landing, page=page_of("landing.html", "Start")),)
CONFORMANCE: Final = common("core", "landing-page", "json")
