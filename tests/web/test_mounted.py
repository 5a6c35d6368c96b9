"""The application in another one, and requests whose target or Host is unusual."""

import re
import socket
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastprocesses_host.app import create_app, started
from fastprocesses_host.host import Host
from fastprocesses_host.settings import Settings, SettingsError
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient


def outer_app(inner, *, path="/ogc", starts=True):
    @asynccontextmanager
    async def lifespan(_app):
        if not starts:
            yield
            return
        async with started(inner):
            yield

    home = Route("/", lambda _request: PlainTextResponse("outer"))
    return Starlette(routes=[home, Mount(path, app=inner)], lifespan=lifespan)


def test_mounted_in_another_application_it_works_and_its_links_do(store_url, key_prefix):
    app = create_app(Settings(redis_url=store_url, key_prefix=key_prefix))
    with TestClient(outer_app(app), "http://example.org") as client:
        landing = client.get("/ogc/").json()
        page = client.get("/ogc/", headers={"accept": "text/html"})
        jobs = client.get("/ogc/jobs/")

        assert client.get("/").text == "outer"
        assert jobs.json()["jobs"] == []
        assert {link["href"] for link in landing["links"]} >= {
            "http://example.org/ogc/",
            "http://example.org/ogc/conformance",
            "http://example.org/ogc/jobs",
        }
        assert 'href="http://example.org/ogc/static/pages.css"' in page.text
        assert client.get("/ogc/static/pages.css").status_code == 200
        assert client.get("/ogc/nothing").json()["instance"] == "/ogc/nothing"


def test_the_readme_shows_how(store_url, key_prefix):
    readme = (Path(__file__).parents[2] / "server" / "README.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", readme.split("## In an application of yours")[1], re.DOTALL)
    told = f'redis_url="{store_url}", key_prefix="{key_prefix}"'
    namespace: dict[str, Any] = {}
    exec(code.replace('redis_url="redis://store:6379/0"', told), namespace)

    with TestClient(namespace["app"]) as client:
        assert client.get("/ogcapi/jobs").json()["jobs"] == []


def test_two_may_be_mounted_side_by_side(store_url, key_prefix):
    one = create_app(Settings(redis_url=store_url, key_prefix=key_prefix, title="one"))
    other = create_app(Settings(redis_url=store_url, key_prefix=f"{key_prefix}b", title="other"))
    outer = outer_app(outer_app(one, path="/one"), path="/a")
    outer.router.routes.append(Mount("/other", app=other))
    with TestClient(outer) as client:  # neither is started: what needs no store is answered
        assert client.get("/a/one/").json()["title"] == "one"
        assert client.get("/other/").json()["title"] == "other"


def test_behind_a_proxy_that_cuts_a_path_off_the_mounted_one_knows_it(store_url, key_prefix):
    settings = Settings(redis_url=store_url, key_prefix=key_prefix, trusted_proxies="*")
    with TestClient(outer_app(create_app(settings)), "http://inner", client=("192.0.2.1", 1)) as client:
        landing = client.get("/ogc/", headers={"x-forwarded-prefix": "/api"}).json()
    assert landing["links"][0]["href"] == "http://inner/api/ogc/"


def test_without_its_lifespan_it_says_what_is_missing(store_url, key_prefix):
    app = create_app(Settings(redis_url=store_url, key_prefix=key_prefix))
    with TestClient(outer_app(app, starts=False)) as client:
        answer = client.get("/ogc/jobs")
    assert answer.status_code == 503
    assert "started(app)" in answer.json()["detail"]


def test_an_application_without_a_store_does_not_start():
    with pytest.raises(SettingsError, match="redis_url"), TestClient(create_app(Settings())):
        pass


def raw_answer(address: tuple[str, int], request: str) -> str:
    with socket.create_connection(address, timeout=40) as connection:
        connection.sendall(request.encode("latin-1"))
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b"")).decode()


@pytest.mark.parametrize(
    ("target", "headers", "status", "expected"),
    [
        ("http://example.org/", "Host: other.example\r\n", 200, "http://example.org/conformance"),
        ("HTTP://example.org:81", "Host: other.example\r\n", 200, "http://example.org:81/conformance"),
        ("http://example.org/?f=json", "Host: a\r\n", 200, "http://example.org/conformance"),
        ("http://a%22b/", "Host: other.example\r\n", 400, "Host header"),
        ("ftp://example.org/", "Host: other.example\r\n", 404, "There is nothing"),
        ("*", "Host: other.example\r\n", 404, "There is nothing"),
        ("//evil.example/", "Host: other.example\r\n", 404, "There is nothing"),
        ("/", "Host: a b\r\n", 400, ""),
        ("/", "Host: \r\n", 200, "http://127.0.0.1:"),
        ("/", "", 400, ""),
        ("/", "Host: a\r\nHost: b\r\n", 400, ""),
    ],
)
def test_targets_and_hosts_of_all_kinds(serve, target, headers, status, expected):
    settings = Settings(redis_url="unix:///nowhere")
    address = serve(create_app(settings, host=Host(settings)))
    answer = raw_answer(address, f"GET {target} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n")

    assert answer.startswith(f"HTTP/1.1 {status}"), answer
    assert expected in answer
    assert "evil.example/conf" not in answer


def test_a_request_of_http_1_0_without_a_host_gets_links_by_its_socket(serve):
    settings = Settings(redis_url="unix:///nowhere")
    host, port = serve(create_app(settings, host=Host(settings)))
    assert f"http://{host}:{port}/conformance" in raw_answer((host, port), "GET / HTTP/1.0\r\n\r\n")
