"""Executor children for tests: started as a worker would, kept for the next test, ended with this process."""

import atexit
import contextlib
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import msgspec

from fastprocesses_sdk.children import HAS_GROUPS, end_family, how_it_ended
from fastprocesses_sdk.configured import GivenSettings
from fastprocesses_sdk.executor import protocol
from fastprocesses_sdk.executor.piped import Module, Start
from fastprocesses_sdk.executor.protocol import AnyFrame

_KEPT = 2
_PER_TEST = "PYTEST_CURRENT_TEST"


class ChildEnded(Exception):
    """The child ended by itself; the text says how."""

    def __init__(self, how: str, trace: str) -> None:
        super().__init__(how)
        self.trace = trace


class Child:
    """One executor and the pipes to it."""

    def __init__(self, start: Start, environ: Mapping[str, str], folder: Path) -> None:
        self.folder = folder
        self._crash_file = Path(start.crash_file)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-u", "-m", "fastprocesses_sdk.executor.piped"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=dict(environ),
            cwd=folder,
            start_new_session=HAS_GROUPS,
        )
        self._frames: queue.SimpleQueue[AnyFrame | None] = queue.SimpleQueue()
        assert self._process.stdout is not None
        threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True).start()
        self._write(msgspec.json.encode(start) + b"\n")

    def send(self, frame: protocol.Frame) -> None:
        """Send a frame; a child that is gone is noticed by `receive`."""
        self._write(protocol.encode_frame(frame))

    def receive(self, timeout_seconds: float) -> AnyFrame:
        """Wait for the next frame.

        Raises:
            TimeoutError: None came.
            ChildEnded: None will come.
        """
        try:
            frame = self._frames.get(timeout=max(timeout_seconds, 0.0))
        except queue.Empty:
            raise TimeoutError from None
        if frame is None:
            raise ChildEnded(how_it_ended(self._returncode()), self._trace())
        return frame

    def end(self) -> None:
        """Kill it with everything it started, and remove its folder."""
        end_family(self._process)
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write(self, data: bytes) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        with contextlib.suppress(OSError):
            stdin.write(data)
            stdin.flush()

    def _read(self, stdout: IO[bytes]) -> None:
        reader = protocol.FrameReader()
        with stdout, contextlib.suppress(protocol.ProtocolError):
            while data := stdout.read1():  # type: ignore[attr-defined]
                for frame in reader.feed(data):
                    self._frames.put(frame)
        self._frames.put(None)

    def _returncode(self) -> int:
        try:
            return self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            end_family(self._process)
            return self._process.returncode

    def _trace(self) -> str:
        with contextlib.suppress(OSError):
            return self._crash_file.read_text("utf-8", "replace").strip()
        return ""


_lock = threading.Lock()
_kept: list[tuple[int, bytes, Child]] = []


def take_child(modules: list[Module], settings: GivenSettings) -> tuple[bytes, Child]:
    """Give a child that finds modules as this process does, and the key under which it can be kept.

    A plugin starts once in a child, with its settings: other settings, another child.
    """
    environ = {name: value for name, value in os.environ.items() if name != _PER_TEST}
    path = [os.path.abspath(entry) for entry in sys.path]  # noqa: PTH100 - '' is the working directory
    written = [Path(module.file).stat().st_mtime_ns for module in modules if module.file]
    key = msgspec.json.encode([path, modules, written, sorted(environ.items()), settings])
    with _lock:
        found = next((each for each in _kept if each[:2] == (os.getpid(), key)), None)
        if found is not None:
            _kept.remove(found)
            return key, found[2]
    folder = Path(tempfile.mkdtemp(prefix="fastprocesses-test-"))
    start = Start(path, modules, str(folder / "crash"), os.getpid() if _binds_children() else 0)
    return key, Child(start, environ, folder)


def _binds_children() -> bool:
    """Whether a child can be bound to this process: it would end with the thread that starts it.

    On Windows the parent of a child is the launcher of its virtual environment.
    """
    return HAS_GROUPS and threading.current_thread() is threading.main_thread()


def keep_child(key: bytes, child: Child) -> None:
    """Keep a child that is ready for another job; the one unused longest is ended."""
    if not _kept:
        atexit.register(_end_all)
    with _lock:
        _kept.append((os.getpid(), key, child))
        surplus = _kept[:-_KEPT]
        del _kept[:-_KEPT]
    for _, _, one in surplus:
        one.end()


def _end_all() -> None:
    with _lock:
        ours = [child for pid, _, child in _kept if pid == os.getpid()]
        _kept.clear()
    for child in ours:
        child.end()
