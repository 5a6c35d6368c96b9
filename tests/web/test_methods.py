"""HEAD, OPTIONS, 405, CORS, trailing slashes: what holds for every resource."""

import httpx2
import pytest

READABLE = [
    "/",
    "/conformance",
    "/api",
    "/processes",
    "/processes/echo",
    "/jobs",
    "/health/live",
    "/health/ready",
]
ALLOW = {
    **dict.fromkeys(READABLE, "GET, HEAD, OPTIONS"),
    "/processes/echo/execution": "OPTIONS, POST",
    "/jobs/x": "DELETE, GET, HEAD, OPTIONS",
    "/jobs/x/results": "GET, HEAD, OPTIONS",
    "/jobs/x/results/y": "GET, HEAD, OPTIONS",
}


def told(answer: httpx2.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name != "date"}


@pytest.mark.parametrize("path", READABLE)
def test_head_is_get_without_the_body(client, path):
    plain = {"accept-encoding": "identity"}
    got, head = client.get(path, headers=plain), client.head(path, headers=plain)

    assert head.status_code == got.status_code == 200
    assert told(head) == told(got)
    assert told(client.head(path)) == told(client.get(path))
    assert int(head.headers["content-length"]) == len(got.content)
    assert head.content == b""


@pytest.mark.parametrize("path", ["/nothing", "/jobs/x", "/processes?limit=0"])
def test_head_of_an_error_has_its_status_and_no_body(client, path):
    got, head = client.get(path), client.head(path)

    assert head.status_code == got.status_code
    assert told(head) == told(got)
    assert head.content == b""


@pytest.mark.parametrize(("path", "allow"), ALLOW.items())
def test_options_and_405_name_all_methods_of_the_resource(client, path, allow):
    options, refused = client.options(path), client.put(path, content=b"x" * 100_000)

    assert options.status_code == 204
    assert options.headers["allow"] == allow
    assert refused.status_code == 405
    assert refused.headers["allow"] == allow


@pytest.mark.parametrize("path", [*READABLE[1:], "/jobs/x"])
def test_a_trailing_slash_makes_no_difference(client, path):
    plain, slashed = client.get(path), client.get(path + "/", follow_redirects=False)

    assert slashed.status_code == plain.status_code
    if plain.status_code == 200:
        assert slashed.content == plain.content


@pytest.mark.parametrize("path", ["//processes", "//processes/echo", "//processes//echo//"])
def test_slashes_that_come_of_a_base_url_with_a_slash_make_no_difference(running, client, path):
    plain = client.get(path.replace("//", "/"))
    doubled = httpx2.get(running.url.rstrip("/") + path)

    assert doubled.status_code == 200
    assert doubled.content == plain.content


@pytest.mark.parametrize("path", ["/processes/greet/execution/", "//processes/greet/execution"])
def test_a_post_with_a_slash_too_many_is_executed(running, path):
    answer = httpx2.post(running.url.rstrip("/") + path, json={"inputs": {"name": "you"}})
    assert answer.text == "Hello you"


def test_the_body_of_a_get_is_ignored(client):
    answer = client.request(
        "GET", "/processes", content=b"x" * 2_000_000, headers={"content-type": "text/plain"}
    )
    assert answer.status_code == 200


def test_scripts_of_other_sites_may_ask_and_read_what_they_need(client):
    origin = {"origin": "https://maps.example"}
    asked = {
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type, prefer",
    }
    preflight = client.options("/processes/greet/execution", headers=origin | asked)
    answer = client.post("/processes/greet/execution", json={"inputs": {"name": "x"}}, headers=origin)

    assert preflight.is_success
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert preflight.headers["access-control-allow-headers"] == "content-type, prefer"
    exposed = {name.strip() for name in answer.headers["access-control-expose-headers"].split(",")}
    assert exposed >= {"Location", "Link", "Preference-Applied", "Content-Location"}


@pytest.mark.parametrize("path", ["/nothing", "/processes/nothing", "/jobs?limit=0"])
def test_scripts_of_other_sites_may_read_errors(client, path):
    assert client.get(path, headers={"origin": "https://maps.example"}).is_client_error


def test_the_service_says_that_it_lives_and_is_ready(client):
    assert client.get("/health/live").json() == {"status": "live"}
    assert client.get("/health/ready").json() == {"status": "ready"}
