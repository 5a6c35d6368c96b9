"""The service as an ASGI application: every resource, what stands around them, and the host they ask."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from anyio import CapacityLimiter
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from fastprocesses_host.host import Host
from fastprocesses_host.ogc.conformance import conformance_classes
from fastprocesses_host.ogc.exceptions import OGCException
from fastprocesses_host.settings import Settings
from fastprocesses_host.web import api, conformance, execution, health, jobs, landing, processes, results
from fastprocesses_host.web.body import BodyLimits
from fastprocesses_host.web.paths import TrailingSlashes
from fastprocesses_host.web.problems import Problems, render_problem
from fastprocesses_host.web.render import RenderedDocuments

RESOURCES = (landing, conformance, api, processes, execution, jobs, results, health)
"""Each lists its `ROUTES` and, in `CONFORMANCE`, the classes they earn; `/conformance` declares these."""

EXCEPTION_HANDLERS = {OGCException: render_problem, HTTPException: render_problem}

EXPOSED_HEADERS = ("Location", "Link", "Preference-Applied", "Content-Location", "OGC-Output-Values-Count")
"""What scripts of other sites may read besides the basics (/rec/core/access-control-expose-headers)."""

_PARSING_THREADS = 2


def create_app(settings: Settings, *, host: Host | None = None) -> Starlette:
    """Make the application.

    Args:
        settings: Of the service.
        host: An open host to use. Without one the application opens its own when it starts, and closes it.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            app.state.host = host or await stack.enter_async_context(Host(settings))
            yield

    app = Starlette(
        routes=[route for resource in RESOURCES for route in resource.ROUTES],
        exception_handlers=EXCEPTION_HANDLERS,
        middleware=[
            Middleware(
                CORSMiddleware,
                allow_origins=["*"],
                allow_methods=["*"],
                allow_headers=["*"],
                expose_headers=EXPOSED_HEADERS,
            ),
            Middleware(BodyLimits, max_bytes=settings.max_body_bytes),
            Middleware(TrailingSlashes),
            Middleware(Problems),
        ],
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.settings = settings
    app.state.host = host
    app.state.conformance = conformance_classes(resource.CONFORMANCE for resource in RESOURCES)
    app.state.rendered = RenderedDocuments()
    app.state.parsing = CapacityLimiter(_PARSING_THREADS)
    return app
