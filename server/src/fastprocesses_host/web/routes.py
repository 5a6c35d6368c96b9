"""Which resource a request is for."""

from collections.abc import Awaitable
from itertools import takewhile

from starlette.convertors import StringConvertor
from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send


class Routes:
    """Pass a request on to its resource, the first whose path fits, as the router would in more steps.

    What needs more than that goes another way: a service under a path, a path that no resource has or that has
    something escaped, routes for some methods only, or with parameters that are no text, and those after them.

    Args:
        router: Has the routes.
        otherwise: That way; without it straight to the router.
    """

    def __init__(self, router: Router, otherwise: ASGIApp | None = None) -> None:
        self._otherwise = otherwise or router.app
        self._resources = [
            (route.path_regex.match, route.app)
            for route in takewhile(_is_resource, router.routes)
            if isinstance(route, Route)
        ]

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass a request on, with the parameters of its path."""
        if scope["type"] == "http" and not scope.get("root_path") and _is_plain(scope):
            path = scope["path"]
            for match, resource in self._resources:
                if found := match(path):
                    scope["path_params"] = found.groupdict()
                    return resource(scope, receive, send)
        return self._otherwise(scope, receive, send)


def _is_plain(scope: Scope) -> bool:
    raw: bytes | None = scope.get("raw_path")
    return raw is None or raw == scope["path"].encode()


def _is_resource(route: BaseRoute) -> bool:
    return (
        isinstance(route, Route)
        and route.methods is None
        and all(isinstance(convertor, StringConvertor) for convertor in route.param_convertors.values())
    )
