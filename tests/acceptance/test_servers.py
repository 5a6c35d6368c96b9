"""Every server that can speak HTTP for us does it alike: executions, callers that go, bodies, an orderly stop."""

import asyncio
import http.client
import importlib.util
import json
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import get_args
from urllib.parse import urlsplit

import pytest
from fastprocesses_host.asgi_servers import uvicorn_config
from fastprocesses_host.exits import Exit, StartError
from fastprocesses_host.installed_servers import require_server
from fastprocesses_host.settings import ServerName
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from tests.acceptance.service import Service, service, survivors
from tests.support import wait_until

MAX_BODY_BYTES = 300_000


@pytest.fixture(scope="module", params=get_args(ServerName))
def server(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    return name


@pytest.fixture(scope="module")
def running(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    environ = {
        "FASTPROCESSES_RECORD_SYNC_JOBS": "true",
        "FASTPROCESSES_MAX_BODY_BYTES": str(MAX_BODY_BYTES),
        "FASTPROCESSES_HTTP_SERVER": server,
    }
    with service(tmp_path_factory.mktemp(server), environ=environ) as started:
        yield started


def test_now_and_later(running: Service) -> None:
    assert running.execute("echo", {"message": "now"}).json["message"] == "now"
    accepted = running.execute("echo", {"message": "later"}, asynchronous=True)
    assert accepted.status == 201
    location = accepted.headers["Location"]
    running.await_status(location, "successful")
    assert running.ask("GET", location + "/results").json["message"] == "later"
    head = running.ask("HEAD", "/processes")
    assert (head.status, head.body) == (200, b"")
    assert "server" not in head.headers


def test_many_requests_on_one_connection(running: Service) -> None:
    address = urlsplit(running.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
    for number in range(20):
        body = json.dumps({"inputs": {"message": f"{number} " + "x" * 3000 * number}})
        connection.request("POST", "/processes/echo/execution", body, {"Content-Type": "application/json"})
        answer = json.load(connection.getresponse())
        assert answer["message"].startswith(f"{number} ")
        assert len(answer["message"]) == len(f"{number} ") + 3000 * number
    connection.close()


def test_a_caller_that_goes_dismisses_its_job(running: Service) -> None:
    body = json.dumps({"inputs": {"message": "nobody waits", "pause": 60}}).encode()
    address = urlsplit(running.url)
    with socket.create_connection((address.hostname, address.port or 0)) as caller:
        caller.sendall(
            b"POST /processes/echo/execution HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        )
        job = running.url + "/jobs/" + _running_job(running)
    ended = running.await_status(job, "successful", "failed", "dismissed", seconds=10)
    assert ended["status"] == "dismissed"


def test_a_body_that_is_too_large_is_answered(running: Service) -> None:
    body = json.dumps({"inputs": {"message": "x" * 5_000_000}}).encode()
    answer = running.ask("POST", "/processes/echo/execution", body)
    assert answer.status == 413
    assert str(MAX_BODY_BYTES) in answer.json["detail"]
    assert running.execute("echo", {"message": "goes on"}).status == 200


def test_a_head_that_does_not_end_is_refused(running: Service) -> None:
    address = urlsplit(running.url)
    with socket.create_connection((address.hostname, address.port or 0), timeout=20) as caller:
        caller.sendall(b"GET /conformance HTTP/1.1\r\nHost: here\r\nX-Long: ")
        sent, answer = 0, b""
        with suppress(OSError):
            while sent < 50_000_000:
                sent += caller.send(b"x" * 10_000)
        with suppress(OSError):
            answer = caller.recv(100)
    assert sent < 50_000_000
    assert answer == b"" or answer.startswith(b"HTTP/1.1 431")
    assert running.ask("GET", "/conformance").status == 200


def test_uvicorn_closes_a_connection_whose_head_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("uvicorn")
    import uvicorn
    from fastprocesses_host import uvicorn_protocol

    async def answered() -> tuple[bytes, bytes]:
        config = uvicorn_config(Starlette(routes=[Route("/", lambda _: PlainTextResponse("here"))]))
        config.host, config.port = "127.0.0.1", 0
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        silent, unused = await asyncio.open_connection("127.0.0.1", port)
        reading, writing = await asyncio.open_connection("127.0.0.1", port)
        writing.write(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n" + b"GET / HTTP/1.1\r\nHost: he")
        try:
            return await silent.read(), await reading.read()
        finally:
            server.should_exit = True
            await serving
            for writer in (unused, writing):
                writer.close()
                await writer.wait_closed()

    monkeypatch.setattr(uvicorn_protocol, "HEAD_SECONDS", 0.5)
    nothing, one = asyncio.run(asyncio.wait_for(answered(), 20))
    assert nothing == b""
    assert one.startswith(b"HTTP/1.1 200")
    assert one.count(b"here") == 1


def test_stopping_tells_who_waits_to_come_back(server: str, tmp_path: Path) -> None:
    environ = {"FASTPROCESSES_DRAIN_SECONDS": "4", "FASTPROCESSES_RECORD_SYNC_JOBS": "true"}
    with service(tmp_path, "--server", server, environ=environ) as stopping, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(stopping.execute, "echo", {"message": "busy", "pause": 60})
        address, job_id = urlsplit(stopping.url), _running_job(stopping)
        followed = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
        followed.request("GET", f"/jobs/{job_id}/events")
        events = followed.getresponse()
        assert events.readline().startswith(b"retry: ")
        tree = stopping.tree()
        began = time.monotonic()
        assert stopping.stop(signal.SIGTERM) == Exit.OK
        assert time.monotonic() - began < 4 + 7
        answer = waiting.result()
        assert survivors(tree, 3) == []
        with closing(followed):
            assert b"being stopped" in events.read(), "who follows a job is sent to the next host"
    assert answer.status == 503
    assert answer.headers["Retry-After"]


def test_a_host_that_dies_loses_no_connection_that_waits(running: Service) -> None:
    """The listening socket is the supervisor's: who connects while the host is started again is answered."""
    host = running.child("host")
    host.kill()
    assert survivors([host]) == []
    assert running.ask("GET", "/conformance").status == 200


def test_a_server_that_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(StartError, match=r"pip install 'fastprocesses-host\[uvicorn\]'") as caught:
        require_server("uvicorn")
    assert caught.value.code == Exit.SETTINGS


def _running_job(running: Service) -> str:
    """Wait until a job runs; give its id."""
    found: list[str] = []

    def runs() -> bool:
        found[:] = [
            job["id"] for job in running.ask("GET", "/jobs").json["jobs"] if job["status"] == "running"
        ]
        return bool(found)

    wait_until(runs, 40, "a running job")
    return found[0]
