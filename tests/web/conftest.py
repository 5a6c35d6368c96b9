"""A running service with processes of every kind, and a client that checks every answer it gets."""

import asyncio
import json
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config

from tests.acceptance.service import Service, service

MAX_BODY_BYTES = 3_000_000
SLOTS = 2
PLUGIN = Path(__file__).parent / "plugin"


def install_plugin(folder: Path) -> Path:
    """Lay a plugin with the processes of these tests where Python finds it."""
    shutil.copytree(PLUGIN, folder, ignore=shutil.ignore_patterns("__pycache__"))
    information = folder / "web_tests-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: web-tests\nVersion: 1.0\n")
    entry_points = "[fastprocesses.processes]\nweb-tests = processes_for_web_tests\n"
    (information / "entry_points.txt").write_text(entry_points)
    return folder


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("web")
    environ = {
        "PYTHONPATH": str(install_plugin(folder / "plugin")),
        "FASTPROCESSES_MAX_BODY_BYTES": str(MAX_BODY_BYTES),
        "FASTPROCESSES_SLOTS": str(SLOTS),
        "FASTPROCESSES_MAX_INLINE_BYTES": "65536",
        "FASTPROCESSES_TRUSTED_PROXIES": "127.0.0.1",
        "FASTPROCESSES_OUTBOUND_PRIVATE": "127.0.0.0/8",
    }
    with service(folder, environ=environ) as started:
        yield started


@pytest.fixture(scope="session")
def base_url(running: Service) -> str:
    return running.url


class Client(httpx2.Client):
    """What holds for every answer is checked on every answer."""

    def execute(self, process_id: str, body: Any, **headers: str) -> httpx2.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.post(f"/processes/{process_id}/execution", json=body, headers=named)

    def finished_job(self, process_id: str, body: Any, **headers: str) -> str:
        """Run a job to its end; give its URL."""
        answer = self.execute(process_id, body, prefer="respond-async", **headers)
        assert answer.status_code == 201, answer.text
        return self.await_end(answer.headers["location"])

    def await_end(self, url: str) -> str:
        deadline = time.monotonic() + 40
        while self.get(url).json()["status"] in ("accepted", "running"):
            assert time.monotonic() < deadline
        return url


@pytest.fixture(scope="session")
def client(base_url: str) -> Iterator[Client]:
    with Client(base_url=base_url, event_hooks={"response": [check_any_answer]}, timeout=30) as opened:
        yield opened


ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


def check_any_answer(response: httpx2.Response) -> None:
    """No null, no charset on JSON, errors are problem documents, and scripts of other sites may read it."""
    content_type = response.headers.get("content-type", "")
    body = response.read()
    if response.headers.get("content-encoding") == "zstd" and body.startswith(ZSTD_MAGIC):
        return  # clients decode it only where they find a library for it
    if response.status_code >= 400:
        if "text/html" in response.request.headers.get("accept", "") or "f=html" in str(response.request.url):
            return
        assert content_type in ("application/problem+json", "application/json")
        if response.request.method != "HEAD":
            check_problem(json.loads(body), response.status_code)
    if content_type.startswith("application/") and "json" in content_type and body:
        assert "charset" not in content_type.lower()
        check_no_null(json.loads(body))
    if "origin" in response.request.headers:
        assert response.headers["access-control-allow-origin"] == "*"


def check_problem(problem: Any, status: int) -> None:
    assert isinstance(problem["type"], str)
    assert problem["title"]
    assert problem["status"] == status
    assert "Traceback" not in str(problem)


def check_no_null(value: Any) -> None:
    assert value is not None
    for member in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        check_no_null(member)


@contextmanager
def _served(app: Any) -> Iterator[tuple[str, int]]:
    listening = socket.create_server(("127.0.0.1", 0))
    host, port = listening.getsockname()
    config = Config()
    config.bind = [f"fd://{listening.detach()}"]
    config.graceful_timeout = 1
    config.loglevel = "WARNING"
    loop, stop, ready = asyncio.new_event_loop(), asyncio.Event(), threading.Event()

    async def run() -> None:
        loop.call_soon(ready.set)
        await hypercorn_serve(app, config, shutdown_trigger=stop.wait)

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()), daemon=True)
    thread.start()
    try:
        assert ready.wait(10)
        yield host, port
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


@pytest.fixture
def serve() -> Iterator[Callable[[Any], tuple[str, int]]]:
    """Serve an ASGI application on a loopback socket until the test ends; gives its host and port."""
    with ExitStack() as stack:
        yield lambda app: stack.enter_context(_served(app))
