"""The service as an ASGI application: every resource, what stands around them, and the host they ask."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

from anyio import CapacityLimiter
from starlette.applications import Starlette
from starlette.datastructures import State
from starlette.middleware import Middleware
from starlette.types import ASGIApp

from fastprocesses_host.host import Host
from fastprocesses_host.ogc.conformance import conformance_classes
from fastprocesses_host.ogc.exceptions import ServiceUnavailable
from fastprocesses_host.settings import Settings, SettingsError
from fastprocesses_host.web import (
    api,
    conformance,
    events,
    execution,
    health,
    inputs,
    jobs,
    landing,
    log,
    page_files,
    processes,
    results,
    uploads,
)
from fastprocesses_host.web.body import BodyLimits
from fastprocesses_host.web.cors import CrossOrigin
from fastprocesses_host.web.forwarded import Forwarded
from fastprocesses_host.web.paths import ExtraSlashes
from fastprocesses_host.web.problems import Problems
from fastprocesses_host.web.render import RenderedDocuments
from fastprocesses_host.web.repeated import RepeatedAnswers
from fastprocesses_host.web.routes import Routes

RESOURCES = (
    execution,
    jobs,
    results,
    processes,
    landing,
    conformance,
    api,
    log,
    inputs,
    events,
    uploads,
    health,
    page_files,
)
"""Each lists its `ROUTES` and, in `CONFORMANCE`, the classes they earn; `/conformance` declares these.

Routes are tried in this order, so those go first that are asked most often.
"""

_PARSING_THREADS = 2
_NOT_STARTED = (
    "The service has not been started. Where it is mounted in another application, the lifespan of that one "
    "must enter fastprocesses_host.app.started(app)."
)


def create_app(settings: Settings, *, host: Host | None = None) -> Starlette:
    """Make the application.

    Args:
        settings: Of the service.
        host: An open host to use. Without one the application opens its own when it starts, and closes it.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if host is None:
                require_store(settings)
                app.state.host = await stack.enter_async_context(Host(settings))
            try:
                yield
            finally:
                app.state.host = host or NotServing(_NOT_STARTED)

    app = Service(
        routes=[route for resource in RESOURCES for route in resource.ROUTES],
        middleware=[
            *_proxies(settings),
            Middleware(RepeatedAnswers),
            Middleware(CrossOrigin, origins=settings.allowed_origins),
            Middleware(BodyLimits, max_bytes=settings.max_body_bytes),
        ],
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state = cast("State", SimpleNamespace())  # whose attributes are no calls; each request asks for many
    app.state.settings = settings
    app.state.host = host or NotServing(_NOT_STARTED)
    app.state.conformance = conformance_classes(resource.CONFORMANCE for resource in RESOURCES)
    app.state.rendered = RenderedDocuments()
    app.state.plans = execution.Plans()
    app.state.static = {}
    app.state.parsing = CapacityLimiter(_PARSING_THREADS)
    return app


class Service(Starlette):
    """The application, without the layers for errors that Starlette puts around every other: `Problems` is ours."""

    def build_middleware_stack(self) -> ASGIApp:
        """Put the layers together, the first one outermost.

        Resources themselves answer with problems, and most paths are written as they should be.
        """
        otherwise = ExtraSlashes(Problems(self.router.app).__call__).__call__
        app: ASGIApp = Routes(self.router, otherwise).__call__  # which costs less to call than the object
        for layer, arguments, options in reversed(self.user_middleware):
            app = layer(app, *arguments, **options).__call__
        return app


class NotServing:
    """Stands in for the host before the application is started and while it ends: every use is answered with 503."""

    def __init__(self, sentence: str) -> None:
        self._sentence = sentence

    def __getattr__(self, name: str) -> Any:
        """Raise.

        Raises:
            ServiceUnavailable: always.
        """
        raise ServiceUnavailable(self._sentence)


def send_away(app: Starlette) -> None:
    """Answer all further requests of an application with 503, since its host is being closed."""
    app.state.host = NotServing("The server is being stopped. Try again in a moment.")


def require_store(settings: Settings) -> None:
    """Check that there is a store to open: only `fastprocesses-host run` starts one of its own.

    Raises:
        SettingsError: `redis_url` is empty.
    """
    if not settings.redis_url:
        raise SettingsError("An application by itself needs the store's URL: set redis_url.")


@asynccontextmanager
async def started(app: Starlette) -> AsyncIterator[None]:
    """Keep an application open that is mounted in another one, for the lifespan of that one.

    Servers tell start and end to the outermost application alone; what is mounted in it never hears of them.

    Args:
        app: From `create_app`.
    """
    async with app.router.lifespan_context(app):
        yield


def _proxies(settings: Settings) -> list[Middleware]:
    """Give what reads the headers of proxies, where there are proxies to be believed or a path before ours."""
    if not settings.trusted_networks and not settings.root_path:
        return []
    return [Middleware(Forwarded, trusted=settings.trusted_networks, root_path=settings.root_path)]
