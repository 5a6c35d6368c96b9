"""Host and workers apart, on a store of the user's; the same code as embedded."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from fastprocesses_host.exits import Exit
from fastprocesses_host.private_store import find_program

from tests.acceptance.service import COMMAND, DRAIN_SECONDS, Command, Service, survivors
from tests.support import StoreServer, short_folder

DRAMATIQ = str(Path(sys.executable).parent / "dramatiq")


@pytest.fixture(scope="module")
def users_store() -> Iterator[StoreServer]:
    """The system's Redis where it is installed, else the program that we bring."""
    with short_folder() as folder:
        server = StoreServer(shutil.which("redis-server") or str(find_program()), folder)
        yield server
        server.kill()


def test_host_worker_and_bare_dramatiq_share_a_store(users_store: StoreServer, key_prefix: str, folder: Path):
    url = users_store.url
    environ = {"FASTPROCESSES_KEY_PREFIX": key_prefix, "FASTPROCESSES_SLOTS": "1"}
    settings = environ | {"FASTPROCESSES_REDIS_URL": url}
    bare = (DRAMATIQ, "--processes", "1", "--threads", "1", "fastprocesses_host.actors")
    with (
        Service(folder, "--redis-url", url, environ=environ, wait=False) as host,
        Command(COMMAND, "worker", "--redis-url", url, log=folder / "worker", environ=environ) as worker,
    ):
        host.await_ready()
        assert host.execute("echo", {"message": "by our command"}).json["message"] == "by our command"
        tree = worker.tree()
        worker.process.terminate()
        with Command(*bare, log=folder / "bare", environ=settings) as dramatiq:
            assert worker.process.wait(DRAIN_SECONDS + 5) == Exit.OK
            assert survivors(tree, 3) == []
            waiting = host.execute("echo", {"message": "by Dramatiq's"}, asynchronous=True)
            host.await_status(waiting.headers["Location"], "successful")
            tree = dramatiq.tree()
            assert dramatiq.stop() == 0
            assert survivors(tree, 3) == []


def test_with_worker_everything_but_the_store_is_here(
    embedded_store: StoreServer, key_prefix: str, folder: Path
):
    environ = {"FASTPROCESSES_KEY_PREFIX": key_prefix, "FASTPROCESSES_SLOTS": "1"}
    with Service(folder, "--redis-url", embedded_store.url, "--with-worker", environ=environ) as host:
        assert host.execute("echo", {"message": "here"}).json["message"] == "here"
        assert [line for line in host.lines if "Data" in line] == [
            "  Data       in the store that --redis-url names"
        ]
        host.child("worker")


def test_a_store_that_would_throw_jobs_away_is_refused(own_store: StoreServer):
    _configure(own_store, "maxmemory", "100mb")
    _configure(own_store, "maxmemory-policy", "allkeys-lru")
    done = subprocess.run(
        [COMMAND, "worker", "--redis-url", own_store.url], capture_output=True, text=True, timeout=20
    )

    assert done.returncode == Exit.SETTINGS
    assert "Set maxmemory-policy to noeviction" in done.stderr


def _configure(store: StoreServer, name: str, value: str) -> None:
    with redis.Redis.from_url(store.url) as client:
        client.config_set(name, value)
