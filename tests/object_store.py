"""An S3 server in a process of its own, and a proxy before it that holds and cuts."""

import asyncio
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fastprocesses_host.settings import ObjectStoreOptions

from tests.chaos.proxy import StoreProxy

BUCKET = "values"
OPTIONS = {"access_key_id": "operator", "secret_access_key": "operators-secret", "region": "us-east-1"}

_SERVER = """
import logging, sys
from moto.server import ThreadedMotoServer
logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""


class S3:
    """Where a server is, and what it has."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def uploads(self) -> str:
        """Give the list of half-written uploads as the server tells it."""
        with urllib.request.urlopen(f"{self.url}/{BUCKET}?uploads", timeout=60) as answer:
            return answer.read().decode()

    def keys(self, prefix: str = "") -> list[str]:
        """Give the keys of all objects below a prefix."""
        with urllib.request.urlopen(f"{self.url}/{BUCKET}?list-type=2&prefix={prefix}", timeout=60) as answer:
            listed = answer.read().decode()
        return [part.partition("</Key>")[0] for part in listed.split("<Key>")[1:]]


@contextmanager
def s3_server() -> Iterator[S3]:
    """Run a server with one empty bucket; it ends with us, however we end."""
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", _SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            server = S3(int(process.stdout.readline()))
            ask = urllib.request.Request(f"{server.url}/{BUCKET}", method="PUT")
            urllib.request.urlopen(ask, timeout=60).close()
            yield server
        finally:
            process.kill()


class S3Proxy(StoreProxy):
    """A proxy before an S3 server: holds, delays and cuts what passes."""

    def __init__(self, server: S3) -> None:
        self._target_port = server.port
        super().__init__(Path(), Path(), "s3")
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    @property
    def connections(self) -> int:
        """How many there are, on either side."""
        return len(self._writers)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self._target_port)


def options(endpoint: str) -> ObjectStoreOptions:
    """Give the options of an object store at a URL."""
    return ObjectStoreOptions({**OPTIONS, "endpoint": endpoint})
