"""Loading of plugins in children, each under a time limit: one that hangs or crashes harms no other.

`python -P -m fastprocesses_sdk.loading` is such a child.
"""

import contextlib
import os
import queue
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import IO

import msgspec
from msgspec import Struct

from fastprocesses_sdk.children import HAS_GROUPS, THREAD_VARIABLES, end_family, how_it_ended
from fastprocesses_sdk.configured import GivenSettings, OperatorSettings
from fastprocesses_sdk.description import PluginRecord
from fastprocesses_sdk.installed import InstalledPlugin
from fastprocesses_sdk.lifeline import end_with_parent

START_SECONDS = 30.0
"""How long an interpreter may take to come up."""
_SLOW_SECONDS = 1.0
"""When no plugin was loaded for so long, another child goes on with the next ones."""
_MOST_CHILDREN = 8
_LENGTH = struct.Struct("<I")
_ONE_THREAD = dict.fromkeys(THREAD_VARIABLES, "1")
"""What libraries start for computing waits busily, on cores that others need while a service starts."""
_WHERE = "`python -X faulthandler -c 'import ...'` shows where"


# The parent


class Loading:
    """Loads plugins one after the other in a child; while one takes long, another child goes on with the next.

    One child for all is the fastest way where all goes well: plugins import the same large libraries.
    """

    def __init__(
        self,
        plugins: list[InstalledPlugin],
        load_seconds: float,
        settings: OperatorSettings,
        environ: Mapping[str, str],
    ) -> None:
        self._plugins = plugins
        self._load_seconds = load_seconds
        self._settings = settings
        self._environ = _ONE_THREAD | dict(environ)
        self._changed = threading.Condition()
        self._next = 0
        self._records: dict[int, PluginRecord] = {}
        self._children = 0

    def records(self) -> list[PluginRecord]:
        """Load all; return what became of each, in the order of the plugins."""
        with self._changed:
            while len(self._records) < len(self._plugins):
                if self._next < len(self._plugins) and self._children < _MOST_CHILDREN:
                    self._children += 1
                    threading.Thread(target=self._load_what_is_left, daemon=True).start()
                self._wait_until_it_stalls()
            return [self._records[number] for number in range(len(self._plugins))]

    def _wait_until_it_stalls(self) -> None:
        """Wait until all plugins are loaded, or none has come for a while."""
        while (known := len(self._records)) < len(self._plugins):
            if not self._changed.wait_for(lambda: len(self._records) > known, timeout=_SLOW_SECONDS):
                return

    def _load_what_is_left(self) -> None:
        child: _Child | None = None
        try:
            while (number := self._taken()) is not None:
                record, child = self._load(self._plugins[number], child)
                with self._changed:
                    self._records[number] = record
                    self._changed.notify_all()
        finally:
            if child is not None:
                child.end()
            with self._changed:
                self._children -= 1

    def _taken(self) -> int | None:
        with self._changed:
            number = self._next
            self._next += 1
            return number if number < len(self._plugins) else None

    def _load(self, plugin: InstalledPlugin, child: "_Child | None") -> tuple[PluginRecord, "_Child | None"]:
        """Load one plugin, in a child that is there or a new one; give the child if it can be used again.

        One that ends a child in which others were loaded is tried once more alone: it may be another's doing.
        """
        while True:
            is_alone = child is None
            try:
                child = child or _Child(self._environ)
                record = child.load(_Order(plugin, self._settings.of(plugin.name)), self._load_seconds)
            except OSError as error:
                if child is not None:
                    child.end()
                return plugin.record(
                    "quarantined", reason=f"no program to load it could be started: {error}"
                ), None
            except _LoadingError as error:
                assert child is not None
                child.end()
                child = None
                if is_alone or error.is_slow:  # another try would take as long again
                    return plugin.record("quarantined", reason=str(error)), None
            else:
                return record, child


class _LoadingError(Exception):
    """A plugin was not loaded, and its child is of no more use; the text is the reason."""

    def __init__(self, reason: str, *, is_slow: bool = False) -> None:
        super().__init__(reason)
        self.is_slow = is_slow


class _Order(Struct, frozen=True):
    """What a child is told to import."""

    plugin: InstalledPlugin
    settings: GivenSettings


class _Child:
    """A child that imports plugins and tells of each in a line."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        command = [sys.executable, "-P", "-m", "fastprocesses_sdk.loading"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ, start_new_session=HAS_GROUPS
        )
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        assert self._process.stdout is not None
        threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True).start()
        self._is_started = False

    def load(self, order: _Order, load_seconds: float) -> PluginRecord:
        """Have a plugin loaded.

        Raises:
            _LoadingError: It was not loaded in time, or it ended the child.
        """
        if not self._is_started:
            self._start()
        self._write(msgspec.msgpack.encode(order))
        try:
            line = self._lines.get(timeout=load_seconds)
        except queue.Empty:
            reason = (
                f"it was not loaded within {load_seconds:g} seconds; "
                "what takes long belongs into a process or into @fp.on_start, not into its import"
            )
            raise _LoadingError(reason, is_slow=True) from None
        if line is None:
            raise _LoadingError(f"loading it {self._how_it_ended()}; {_WHERE}")
        try:
            return msgspec.json.decode(line, type=PluginRecord)
        except msgspec.DecodeError:
            raise _LoadingError("loading it disturbed the program that loads plugins") from None

    def end(self) -> None:
        """End the child and what it started."""
        end_family(self._process)
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def _start(self) -> None:
        """Wait until the interpreter is up."""
        with contextlib.suppress(queue.Empty):
            self._is_started = self._lines.get(timeout=START_SECONDS) is not None
        if not self._is_started:
            raise _LoadingError("the program that loads plugins did not start")

    def _write(self, message: bytes) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        with contextlib.suppress(OSError):  # it is gone, which is noticed where its answer is awaited
            stdin.write(_LENGTH.pack(len(message)) + message)
            stdin.flush()

    def _how_it_ended(self) -> str:
        try:
            return how_it_ended(self._process.wait(timeout=1))
        except subprocess.TimeoutExpired:
            return "cut the connection to the program that loads plugins"

    def _read(self, stdout: IO[bytes]) -> None:
        with stdout:
            for line in stdout:
                self._lines.put(line)
        self._lines.put(None)


# The child


def main() -> None:
    """Load the plugins told on standard input and tell of each in a line. Does not return."""
    end_with_parent()
    from fastprocesses_sdk.plugins import describe_plugin  # nothing that the parent needs

    orders, told = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    told.write(b"\n")
    told.flush()
    while length := orders.read(_LENGTH.size):
        order = msgspec.msgpack.decode(orders.read(*_LENGTH.unpack(length)), type=_Order)
        told.write(msgspec.json.encode(describe_plugin(order.plugin, order.settings)) + b"\n")
        told.flush()
    os._exit(0)  # a plugin's threads and exit handlers have no say


if __name__ == "__main__":
    main()
