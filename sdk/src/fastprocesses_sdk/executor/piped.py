"""An executor that talks through its standard input and output: `python -P -m fastprocesses_sdk.executor.piped`.

Workers hand their executors a socket. Tests start this one, on every system alike: a pipe is the only
connection that a child can be given on Windows too. Its first line is a `Start`, frames follow; when standard
input closes, it ends.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from types import ModuleType
from typing import Any, BinaryIO

import msgspec
from msgspec import Struct

from fastprocesses_sdk.executor.__main__ import Executor
from fastprocesses_sdk.lifeline import end_with_parent

_PIPE_BYTES = 256 * 1024


class Module(Struct, frozen=True):
    """A module that may not be found by its name, and where it was found by whoever starts us."""

    name: str
    file: str = ""
    folders: list[str] = []
    """Of a package: where its modules lie."""


class Start(Struct, frozen=True):
    """The first line: how the child finds what its parent has imported."""

    path: list[str]
    """`sys.path`."""
    modules: list[Module]
    crash_file: str
    """Where the line is written at which the interpreter crashed."""
    parent: int
    """The process whose end ends us; 0: none."""


def main() -> None:
    """Serve one parent until standard input closes or a job was cancelled."""
    incoming, outgoing = _private_streams()
    start = msgspec.json.decode(incoming.readline(), type=Start)
    if start.parent:
        end_with_parent(start.parent)
    sys.path[:] = start.path
    sys.meta_path.insert(0, _Finder(start.modules))
    _tell_crashes(start.crash_file)
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # how a job is cancelled; it may have been ignored
    ours, theirs = socket.socketpair()
    threading.Thread(target=_pump_in, args=(incoming, ours), name="pipe", daemon=True).start()
    Executor(_Connection(theirs, outgoing), min_progress_seconds=0.0).serve()  # tests want to see all of it


def _private_streams() -> tuple[BinaryIO, BinaryIO]:
    """Take standard input and output away from process code, whose prints go to standard error."""
    incoming = os.fdopen(os.dup(0), "rb")
    outgoing = os.fdopen(os.dup(1), "wb", buffering=0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return incoming, outgoing


def _tell_crashes(file: str) -> None:
    import faulthandler

    faulthandler.enable(open(file, "w"), all_threads=False)  # noqa: SIM115, PTH123 - open as long as we live


def _pump_in(incoming: BinaryIO, connection: socket.socket) -> None:
    while data := incoming.read1(_PIPE_BYTES):  # type: ignore[attr-defined]
        connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)


class _Connection(socket.socket):
    """The executor's end: what it sends goes down the pipe at once, and is not lost when it crashes."""

    def __init__(self, end: socket.socket, outgoing: BinaryIO) -> None:
        super().__init__(fileno=end.detach())
        self._outgoing = outgoing

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        left = memoryview(data)
        while left:
            left = left[self._outgoing.write(left) :]


class _Finder(importlib.abc.MetaPathFinder):
    """Finds modules where the parent had found them: test files are often on no path."""

    def __init__(self, modules: list[Module]) -> None:
        self._modules = {module.name: module for module in modules}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        module = self._modules.get(fullname)
        if module is None:
            return None
        folders = module.folders or None
        if module.file:
            return importlib.util.spec_from_file_location(
                fullname, module.file, submodule_search_locations=folders
            )
        spec = importlib.machinery.ModuleSpec(fullname, None, is_package=True)
        spec.submodule_search_locations = folders
        return spec


if __name__ == "__main__":
    main()
