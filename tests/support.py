"""What tests of several folders use: a store server to do harm to, a short folder, waiting for an event."""

import contextlib
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path


class StoreServer:
    """A store server of the test's own, that can be killed, stopped, continued and started again on its data.

    It writes before it answers, so what it loses when it is killed is nothing that anybody was told.
    """

    def __init__(self, binary: str, folder: Path, *options: str) -> None:
        self._command = [
            *(binary, "--port", "0", "--unixsocket", str(folder / "s"), "--dir", str(folder), "--save", ""),
            *(
                "--appendonly",
                "yes",
                "--appendfsync",
                "no",
                "--maxmemory-policy",
                "noeviction",
                *options,
            ),
        ]
        self._socket = folder / "s"
        self.url = f"unix://{folder / 's'}"
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, process_group=0)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(self._socket))
                connection.sendall(b"PING\r\n")
                if connection.recv(16).startswith(b"+PONG"):
                    return
            time.sleep(0.005)
        raise TimeoutError("the store did not start")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def short_folder() -> Iterator[Path]:
    """Give a folder whose path is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="fp", dir="/tmp", ignore_cleanup_errors=True) as name:
        yield Path(name)


def wait_until(is_true: Callable[[], object], seconds: float = 30.0, what: str = "it") -> None:
    """Ask until the answer is yes."""
    deadline = time.monotonic() + seconds
    while not is_true():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {seconds} s")
        time.sleep(0.02)


def content_of(path: Path) -> bytes:
    """What is in a file; nothing where it, or the process that it tells of, has ended meanwhile."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def files_under(folder: Path) -> list[Path]:
    """Every file below a folder; files and folders may be removed meanwhile, which rglob does not bear everywhere."""
    return [Path(place, name) for place, _, names in os.walk(folder) for name in names]
