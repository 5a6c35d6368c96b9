"""GET `/api`: the API definition, as OpenAPI 3.0, as OpenAPI 3.1, and as an interactive page."""

from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from fastprocesses_host.ogc.conformance import common, part1_v10
from fastprocesses_host.ogc.links import JSON, OPENAPI_30, OPENAPI_31
from fastprocesses_host.ogc.negotiation import choose_media_type
from fastprocesses_host.ogc.openapi import openapi_30, openapi_31
from fastprocesses_host.web.base_url import urls_of
from fastprocesses_host.web.pages import INTERACTIVE_HEADERS, respond_page, unconditional
from fastprocesses_host.web.query import accept_of
from fastprocesses_host.web.render import render, respond_rendered
from fastprocesses_host.web.representation import representation_of
from fastprocesses_host.web.resource import Handler, resource


async def api(request: Request) -> Response:
    """Answer the API definition as OpenAPI 3.0, or as 3.1 when that is what is accepted.

    /req/core/api-definition-success, /req/oas30/oas-definition-1.
    """
    if "f" in request.query_params:
        representation_of(request, has_page=True)
        return await _definition(request, OPENAPI_30, openapi_30)
    chosen = choose_media_type(accept_of(request), _OFFERED)
    return await (api_31(request) if chosen == OPENAPI_31 else _definition(request, OPENAPI_30, openapi_30))


async def api_31(request: Request) -> Response:
    """Answer the API definition as OpenAPI 3.1."""
    return await _definition(request, OPENAPI_31, openapi_31)


_OFFERED: Final = (OPENAPI_30, OPENAPI_31, JSON)


async def api_page(request: Request, handler: Handler) -> Response:
    """Answer the interactive page (link `service-doc`)."""
    told = await _definition(unconditional(request), OPENAPI_30, openapi_30)
    return await respond_page(request, "api.html", "API", {}, told, INTERACTIVE_HEADERS)


async def _definition(request: Request, media_type: str, make: Callable[..., dict[str, Any]]) -> Response:
    state, urls = request.app.state, urls_of(request)
    catalog, settings = state.host.catalog, state.settings
    made = partial(
        make,
        (process.description for process in catalog.processes.values()),
        urls,
        title=settings.title,
        description=settings.description,
        version=version("fastprocesses-host"),
    )
    rendered = state.rendered.get(
        catalog.etag, (urls.base, media_type), lambda: render(made(), media_type=media_type)
    )
    return respond_rendered(request, rendered)


ROUTES: Final = (
    resource("/api", get=api, negotiated=False, page=api_page),
    resource("/api/3.1", get=api_31, negotiated=False),
)
CONFORMANCE: Final = (*part1_v10("oas30"), *common("oas30"))
