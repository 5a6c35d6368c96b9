"""Requests find the same resource, with the same parameters, as the router finds."""

import pytest
from fastprocesses_host.app import RESOURCES
from fastprocesses_host.web.routes import Routes
from starlette.routing import Match, Route, Router

ALL = [route for resource in RESOURCES for route in resource.ROUTES]
PATHS = [
    "/",
    "",
    "/nothing",
    "/processes",
    "/processes/",
    "/processes/echo",
    "/processes/a%2Fb",
    "/processes/über",
    "/processes/echo/execution",
    "/processes/echo/execution\n",
    "/processes//execution",
    "/jobs/1/results/a/2",
    "/jobs/1/results/a/2/3",
    "/uploads/1",
    "/static/pages.css",
]


class Noted:
    """A resource, or a router, that notes what comes to it."""

    def __init__(self, path, found):
        self.path, self.found = path, found

    def __call__(self, scope, _receive, _send):
        self.found.append((self.path, scope.get("path_params")))


def passed_on(path, *first, **scope):
    """Give where requests for a path go, and with which parameters."""
    found = []
    router = Router([*first, *(Route(route.path, Noted(route.path, found)) for route in ALL)])
    router.app = Noted("router", found)
    Routes(router)({"type": "http", "method": "GET", "path": path, **scope}, None, None)
    return found


def by_the_router(path):
    for route in ALL:
        match, more = route.matches({"type": "http", "method": "GET", "path": path})
        if match is Match.FULL:
            return [(route.path, more["path_params"])]
    return [("router", None)]


@pytest.mark.parametrize("path", PATHS)
def test_a_path_leads_where_the_router_finds_it(path):
    assert passed_on(path) == by_the_router(path)


def text(_request):
    """Answers GET alone."""


@pytest.mark.parametrize("route", [Route("/a/{n:int}", Noted("a", [])), Route("/a/{n}", text)])
def test_routes_that_are_no_resources_are_left_to_the_router(route):
    assert passed_on("/jobs", route) == [("router", None)]


def test_a_service_under_a_path_is_left_to_the_router():
    assert passed_on("/ogc/jobs", root_path="/ogc") == [("router", None)]


@pytest.mark.parametrize(("path", "raw"), [("/jobs/a/log", b"/jobs/a%2Flog"), ("/jobs/a b", b"/jobs/a%20b")])
def test_a_path_that_has_something_escaped_is_left_to_the_other_way(path, raw):
    assert passed_on(path, raw_path=raw) == [("router", None)]
    assert passed_on(path, raw_path=path.encode()) == by_the_router(path)
