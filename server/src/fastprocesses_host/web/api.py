"""GET `/api`: the API definition."""

from importlib.metadata import version
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from fastprocesses_host.ogc.links import OPENAPI_30
from fastprocesses_host.ogc.openapi import openapi_30
from fastprocesses_host.web.base_url import urls_of
from fastprocesses_host.web.render import render, respond_rendered
from fastprocesses_host.web.resource import resource


async def api(request: Request) -> Response:
    """Answer the API definition as OpenAPI 3.0 (/req/core/api-definition-success)."""
    state, urls = request.app.state, urls_of(request)
    catalog, settings = state.host.catalog, state.settings
    rendered = state.rendered.get(
        catalog.etag,
        (urls.base, "api"),
        lambda: render(
            openapi_30(
                (process.description for process in catalog.processes.values()),
                urls,
                title=settings.title,
                description=settings.description,
                version=version("fastprocesses-host"),
            ),
            media_type=OPENAPI_30,
        ),
    )
    return respond_rendered(request, rendered)


ROUTES: Final = (resource("/api", get=api, negotiated=False),)
CONFORMANCE: Final[tuple[str, ...]] = ()
