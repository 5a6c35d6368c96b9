"""Uploads over connections that break, by two at a time, on disks that are full, and from hosts that are killed."""

import contextlib
import errno
import os
import queue
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

import httpx2
import pytest
import redis
from fastprocesses_host.app import create_app
from fastprocesses_host.settings import Settings
from fastprocesses_host.store.upload_files import FileWriter
from fastprocesses_host.web.body import BodyLimits

from tests.support import wait_until
from tests.uploads.conftest import http
from tests.uploads.test_protocol import BYTES, TUS, files_of
from tests.web.conftest import _served

Serve = Callable[..., str]


@pytest.fixture
def serve(settings_of: Callable[..., Settings]) -> Iterator[Serve]:
    """Serve on a loopback socket with these settings until the test ends; give the URL."""
    with contextlib.ExitStack() as stack:

        def start(**told: object) -> str:
            host, port = stack.enter_context(_served(create_app(settings_of(**told))))
            return f"http://{host}:{port}"

        yield start


@contextlib.contextmanager
def request_under_way(url: str, method: str, *headers: str) -> Iterator[socket.socket]:
    """Send the head of a request, and hold the connection."""
    base, _, path = url.removeprefix("http://").partition("/")
    host, _, port = base.partition(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        lines = [f"{method} /{path} HTTP/1.1", f"Host: {base}", *headers, "", ""]
        connection.sendall("\r\n".join(lines).encode())
        yield connection


def patch_under_way(url: str, offset: int, length: int):
    told = [f"{name}: {value}" for name, value in BYTES.items()]
    return request_under_way(url, "PATCH", *told, f"Upload-Offset: {offset}", f"Content-Length: {length}")


def begun(base: str, length: int) -> str:
    return http().post(f"{base}/uploads", headers={**TUS, "Upload-Length": str(length)}).headers["location"]


def offset_of(url: str) -> int:
    return int(http().head(url, headers=TUS).headers["upload-offset"])


def sent(url: str, data: bytes, offset: int) -> httpx2.Response:
    return http().patch(url, content=data, headers={**BYTES, "Upload-Offset": str(offset)}, timeout=60)


def goes_on(url: str, data: bytes) -> None:
    """Go on from where an upload is, as soon as nobody else writes; it is whole then."""
    at: list[int] = []

    def answered() -> bool:
        at[:] = [offset_of(url)]
        return sent(url, data[at[0] :], at[0]).status_code == 204

    wait_until(answered, 60)


def test_what_came_before_a_connection_broke_is_kept(serve, tmp_path):
    url, data = begun(serve(), 3_000_000), os.urandom(3_000_000)
    with patch_under_way(url, 0, len(data)) as connection:
        connection.sendall(data[:2_000_000])
    wait_until(lambda: offset_of(url) == 2_000_000, 60)

    goes_on(url, data)
    assert files_of(tmp_path) == [data]


def test_of_a_whole_file_that_was_cut_nothing_is_kept(serve, tmp_path):
    base = serve()
    with request_under_way(f"{base}/uploads", "POST", "Content-Length: 3000000") as connection:
        connection.sendall(b"x" * 2_000_000)
        wait_until(lambda: files_of(tmp_path), 60)
    wait_until(lambda: not files_of(tmp_path), 60)


@pytest.fixture
def writers(monkeypatch) -> "queue.Queue[FileWriter]":
    """Those who write to an upload, as soon as they do."""
    found: queue.Queue[FileWriter] = queue.Queue()
    lock = FileWriter.__init__

    def locked(self, path):
        lock(self, path)
        found.put(self)

    monkeypatch.setattr(FileWriter, "__init__", locked)
    return found


def test_two_never_write_at_once(serve, tmp_path, writers):
    url, data = begun(serve(), 10), b"1234567890"
    with patch_under_way(url, 0, 10) as connection:
        connection.sendall(b"12345")
        writers.get(timeout=60)
        assert sent(url, b"xxxxxxxxxx", 0).status_code == 423
        connection.sendall(b"67890")
        assert connection.recv(1000).startswith(b"HTTP/1.1 204")

    assert offset_of(url) == 10
    assert files_of(tmp_path) == [data]


def test_another_host_goes_on_with_what_one_began(serve, tmp_path, writers):
    one, other = serve(), serve()
    url, data = begun(one, 10), b"1234567890"
    assert sent(url, data[:4], 0).status_code == 204
    writers.get(timeout=60)
    there = url.replace(one, other)
    with patch_under_way(url, 4, 6):
        writers.get(timeout=60)
        assert sent(there, data[4:], 4).status_code == 423

    goes_on(there, data)
    assert http().get(url).json()["complete"] is True
    assert files_of(tmp_path) == [data]


def test_one_who_sends_nothing_is_let_go_with_what_came(settings_of, monkeypatch, tmp_path):
    monkeypatch.setattr("fastprocesses_host.app.BodyLimits", partial(BodyLimits, seconds=0.5))
    with _served(create_app(settings_of())) as (host, port):
        url = begun(f"http://{host}:{port}", 10)
        with patch_under_way(url, 0, 10) as connection:
            connection.sendall(b"123")
            assert connection.recv(1000).startswith(b"HTTP/1.1 408")
        assert offset_of(url) == 3
        goes_on(url, b"1234567890")
    assert files_of(tmp_path) == [b"1234567890"]


def test_lying_content_lengths(serve, tmp_path):
    url = begun(serve(), 10)
    with patch_under_way(url, 0, 5) as connection:
        connection.sendall(b"12345GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 204")
    assert offset_of(url) == 5
    told = [f"{name}: {value}" for name, value in BYTES.items()]
    for length in ("-5", "5, 6", "99999999999999999999"):
        with request_under_way(
            url, "PATCH", *told, "Upload-Offset: 5", f"Content-Length: {length}"
        ) as connection:
            assert connection.recv(1000).split()[1] in (b"400", b"413")
    assert offset_of(url) == 5
    assert files_of(tmp_path) == [b"12345"]


def test_a_full_disk_keeps_what_came(serve, tmp_path, monkeypatch):
    url, data = begun(serve(), 10), b"1234567890"
    write = FileWriter.write

    def full(self, pieces):
        write(self, [b"".join(pieces)[:4]])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(FileWriter, "write", full)
        refused = sent(url, data, 0)

    assert refused.status_code == 507
    assert refused.json()["status"] == 507
    assert offset_of(url) == 4
    goes_on(url, data)
    assert files_of(tmp_path) == [data]


def test_its_time_over_it_is_gone_with_its_bytes(serve, tmp_path, store_url, key_prefix):
    base = serve(upload_ttl_seconds=0.5)
    half, whole = begun(base, 10), http().post(f"{base}/uploads", content=b"x").headers["location"]
    wait_until(lambda: {http().head(url).status_code for url in (half, whole)} == {410}, 60)

    with redis.Redis.from_url(store_url) as store:
        garbage = f"{{{key_prefix}}}:garbage"
        wait_until(lambda: store.scard(garbage) == 2, 60)
        assert store.hgetall(f"{{{key_prefix}}}:bytes") == {}
        locations = {location.decode() for location in store.smembers(garbage)}
    assert locations == {
        f"file:{file.parent.name}/{file.name}" for file in (tmp_path / "values").rglob("*.*")
    }
    assert sent(half, b"x", 0).status_code == 410


def test_one_that_is_written_to_lives_on(serve, store_url, key_prefix):
    url = begun(serve(), 10)
    with redis.Redis.from_url(store_url) as store:
        (before,) = store.zrange(f"{{{key_prefix}}}:uploads:exp", 0, -1, withscores=True)
        wait_until(lambda: time.time() * 1000 > before[1] - 86_400_000 + 10)
        assert sent(url, b"12345", 0).status_code == 204
        (after,) = store.zrange(f"{{{key_prefix}}}:uploads:exp", 0, -1, withscores=True)
    assert after[1] > before[1]


_ALONE = """
import asyncio, socket, sys
import msgspec
from fastprocesses_host.app import create_app
from fastprocesses_host.settings import Settings
from hypercorn.asyncio import serve
from hypercorn.config import Config
listening = socket.create_server(("127.0.0.1", 0))
print(listening.getsockname()[1], flush=True)
config = Config()
config.bind = [f"fd://{listening.detach()}"]
asyncio.run(serve(create_app(Settings.from_env()), config))
"""


def test_a_host_that_is_killed_has_kept_what_came(serve, settings_of, tmp_path):
    alone = subprocess.Popen(
        [sys.executable, "-c", _ALONE], env={**os.environ, **settings_of().to_env()}, stdout=subprocess.PIPE
    )
    try:
        assert alone.stdout is not None
        base = f"http://127.0.0.1:{int(alone.stdout.readline())}"
        url, data = begun(base, 5_000_000), os.urandom(5_000_000)
        with patch_under_way(url, 0, len(data)) as connection:
            connection.sendall(data[:3_000_000])
            wait_until(lambda: sum(map(len, files_of(tmp_path))) >= 1_000_000, 60)
            alone.kill()
            alone.wait()
    finally:
        alone.kill()
        alone.communicate()

    there = url.replace(base, serve())
    assert 1_000_000 <= offset_of(there) <= 3_000_000
    goes_on(there, data)
    assert files_of(tmp_path) == [data]
    assert http().get(there).json()["complete"] is True
