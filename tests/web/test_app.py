"""The application by itself: where its links lead, what it says when something is missing or broken."""

import pytest
from fastprocesses_host.app import create_app
from fastprocesses_host.host import Host
from fastprocesses_host.settings import Settings
from starlette.testclient import TestClient


def landing_of(headers: dict[str, str], root_path: str = "", path: str = "/", **settings: str):
    chosen = Settings(redis_url="unix:///nowhere", **settings)
    client = TestClient(create_app(chosen, host=Host(chosen)), root_path=root_path)
    return client.get(path, headers=headers)


def self_link(answer) -> str:
    return next(link["href"] for link in answer.json()["links"] if link["rel"] == "self")


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8080", "example.org", "192.0.2.1:80", "[::1]:8080", "a_b.example."]
)
def test_links_start_with_the_host_that_was_asked(host):
    assert self_link(landing_of({"host": host})) == f"http://{host}/"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example/path",
        'a"b',
        "a b",
        "a<script>",
        "user@evil.example",
        "a:b",
        "a:1234567",
        "[::1",
        "a?b",
        "a#b",
        "a,b",
        "-",
    ],
)
def test_a_host_that_is_none_is_a_problem_and_in_no_link(host):
    answer = landing_of({"host": host})

    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert "links" not in answer.json()


@pytest.mark.parametrize("public_url", ["https://example.org/ogcapi", "https://example.org/ogcapi/"])
def test_the_public_url_wins(public_url):
    answer = landing_of({"host": 'a"b'}, root_path="/internal", path="/internal/", public_url=public_url)
    assert self_link(answer) == "https://example.org/ogcapi/"


@pytest.mark.parametrize("path", ["/ogc api", "/ogc api/", "/ogc api//"])
def test_a_path_before_ours_is_part_of_every_link(path):
    answer = landing_of({"host": "example.org"}, root_path="/ogc api", path=path)

    assert answer.status_code == 200
    assert self_link(answer) == "http://example.org/ogc%20api/"
    assert "http://example.org/ogc%20api/processes" in {link["href"] for link in answer.json()["links"]}


def test_a_bug_is_a_problem_without_its_traceback_and_logged(caplog):
    settings = Settings(redis_url="unix:///nowhere")
    app = create_app(settings, host=Host(settings))
    app.state.host = None
    answer = TestClient(app).get("/processes", headers={"origin": "https://maps.example"})

    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "NoneType" not in answer.text
    incident = answer.json()["detail"].rstrip(".").rsplit(" ", 1)[1]
    assert any(incident in record.getMessage() and record.exc_info for record in caplog.records)


def test_a_service_without_store_says_so_and_answers_what_needs_none():
    settings = Settings(redis_url="unix:///nowhere")
    client = TestClient(create_app(settings, host=Host(settings)))

    assert client.get("/health/live").status_code == 200
    ready = client.get("/health/ready")
    assert (ready.status_code, "retry-after" in ready.headers) == (503, True)
    assert client.get("/").status_code == client.get("/conformance").status_code == 200
    for path in ("/jobs", "/processes", "/processes/echo", "/api"):  # not 404: it is not known yet
        answer = client.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
        assert "retry-after" in answer.headers


def test_an_application_without_a_host_opens_its_own(store_url, key_prefix):
    settings = Settings(redis_url=store_url, key_prefix=key_prefix)
    with TestClient(create_app(settings)) as client:
        assert client.get("/jobs").json()["jobs"] == []
        assert "No worker" in client.get("/health/ready").json()["detail"]
