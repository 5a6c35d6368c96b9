"""GET `/health/live` and `/health/ready`: for whoever runs the service."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from fastprocesses_host.ogc.exceptions import ServiceUnavailable
from fastprocesses_host.web.render import respond
from fastprocesses_host.web.resource import resource

_NOT_STORED: Final = {"Cache-Control": "no-store"}


async def live(request: Request) -> Response:
    """Answer 200 as long as the process answers at all."""
    return respond(request, {"status": "live"}, headers=_NOT_STORED)


async def ready(request: Request) -> Response:
    """Answer 200 when jobs can be accepted, else 503 with the reasons."""
    if reasons := request.app.state.host.readiness():
        raise ServiceUnavailable(" ".join(reasons))
    return respond(request, {"status": "ready"}, headers=_NOT_STORED)


ROUTES: Final = (resource("/health/live", get=live), resource("/health/ready", get=ready))
CONFORMANCE: Final = ()
