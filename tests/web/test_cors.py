"""Scripts of other sites: preflights, what they may read, and origins that are not allowed."""

import pytest
from fastprocesses_host.app import create_app
from fastprocesses_host.host import Host
from fastprocesses_host.settings import Settings
from starlette.testclient import TestClient

MAPS = "https://maps.example"


def opened(origins: str) -> TestClient:
    settings = Settings(redis_url="unix:///nowhere", cors_origins=origins)
    return TestClient(create_app(settings, host=Host(settings)))


def preflight(client: TestClient, origin: str, **headers: str):
    asked = {"origin": origin, "access-control-request-method": "POST"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.options("/processes/x/execution", headers=asked | named)


@pytest.mark.parametrize(
    ("origins", "origin", "allowed"),
    [
        ("*", MAPS, "*"),
        ("*", "null", "*"),
        (MAPS, MAPS, MAPS),
        ("https://other.example, https://MAPS.example/", MAPS, MAPS),
        (MAPS, "https://evil.example", None),
        (MAPS, "https://maps.example.evil.example", None),
        (MAPS, "http://maps.example", None),
        (MAPS, "null", None),
        ("", MAPS, None),
    ],
)
def test_an_origin_is_allowed_or_not(origins, origin, allowed):
    client = opened(origins)
    asked = preflight(client, origin)
    answer, error = (client.get(path, headers={"origin": origin}) for path in ("/", "/nothing"))

    assert asked.headers.get("access-control-allow-origin") == allowed
    assert answer.headers.get("access-control-allow-origin") == allowed
    assert error.headers.get("access-control-allow-origin") == allowed
    assert (answer.status_code, error.status_code) == (200, 404)
    assert asked.status_code == (204 if allowed else 403)
    if not allowed:
        assert asked.headers["content-type"] == "application/problem+json"
        assert asked.json()["title"] == "Forbidden"
    assert "access-control-allow-credentials" not in answer.headers


def test_a_preflight_tells_all_that_browsers_want_to_know():
    answer = preflight(opened("*"), MAPS, access_control_request_headers="content-type, prefer,x-own")

    assert answer.headers["access-control-allow-headers"] == "content-type, prefer,x-own"
    assert {"GET", "HEAD", "POST", "DELETE"} <= set(
        answer.headers["access-control-allow-methods"].split(", ")
    )
    assert int(answer.headers["access-control-max-age"]) > 600
    assert "Origin" in answer.headers["vary"]
    assert answer.content == b""


@pytest.mark.parametrize("asked", ["", "a b", "x: y", "a,,b", 'a"b'])
def test_header_names_that_are_none_are_not_sent_back(asked):
    answer = preflight(opened("*"), MAPS, access_control_request_headers=asked)
    assert answer.headers["access-control-allow-headers"] == "*"


@pytest.mark.parametrize(
    ("origins", "headers", "varies"),
    [("*", {}, False), ("*", {"origin": MAPS}, False), (MAPS, {}, True), (MAPS, {"origin": MAPS}, True)],
)
def test_answers_that_differ_by_origin_say_so(origins, headers, varies):
    answer = opened(origins).get("/", headers=headers)
    assert ("Origin" in answer.headers["vary"]) is varies
    assert "Accept" in answer.headers["vary"]


def test_scripts_may_read_what_the_standard_says_in_headers(client):
    answer = client.get("/", headers={"origin": MAPS})
    exposed = {name.strip() for name in answer.headers["access-control-expose-headers"].split(",")}
    assert exposed >= {
        *("Location", "Link", "Preference-Applied", "Content-Location", "OGC-Output-Values-Count"),
        *("Retry-After", "ETag", "Content-Range"),
    }


def test_options_without_an_origin_is_no_preflight():
    answer = opened("*").options("/", headers={"access-control-request-method": "GET"})
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
