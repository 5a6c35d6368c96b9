"""Discovery: `python -P -m fastprocesses_sdk.describe` prints what the plugins of this environment offer.

It loads them in a child of its own, each under a time limit: one that hangs or crashes while it is imported
is tried once more alone, so that it is not blamed for another's doing, and then left out with the reason,
while the
rest goes on. Only the document reaches standard output, whatever plugins print.
"""

import argparse
import contextlib
import os
import platform
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import IO, Self

import msgspec

from fastprocesses_sdk import __version__
from fastprocesses_sdk.description import Discovery, PluginRecord
from fastprocesses_sdk.lifeline import end_with_parent
from fastprocesses_sdk.plugins import InstalledPlugin, describe_plugin, installed_plugins

LOAD_SECONDS = 30.0
START_SECONDS = 30.0
_TOO_SLOW = "it was not loaded within"
"""How long an interpreter may take to come up."""


def discover(
    *,
    load_seconds: float = LOAD_SECONDS,
    python: str = sys.executable,
    environ: Mapping[str, str] | None = None,
) -> Discovery:
    """Return what the plugins of an environment offer. Imports none of them in this process.

    Args:
        load_seconds: How long loading one plugin may take.
        python: The environment's interpreter.
        environ: Environment variables of the child; None: those of this process.

    Raises:
        RuntimeError: The interpreter does not start, or has no fastprocesses-sdk.
    """
    command = [python, "-P", "-m", __name__, "--load-seconds", str(load_seconds)]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env=None if environ is None else dict(environ),
        check=False,
    )
    try:
        return msgspec.json.decode(done.stdout, type=Discovery)
    except msgspec.DecodeError as error:
        raise RuntimeError(
            f"{python} could not describe its plugins (exit code {done.returncode}); "
            "is fastprocesses-sdk installed there?"
        ) from error


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m fastprocesses_sdk.describe",
        description="Print, as one JSON document, the processes that the plugins of this environment offer.",
    )
    parser.add_argument(
        "--load-seconds",
        type=float,
        default=LOAD_SECONDS,
        help="how long loading one plugin may take (default: %(default)s)",
    )
    parser.add_argument("--loader", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    end_with_parent()
    if asked.loader:
        _load(sys.stdin.buffer)
        return
    document = msgspec.json.encode(_describe(installed_plugins(), asked.load_seconds))
    sys.stdout.buffer.write(document + b"\n")
    sys.stdout.buffer.flush()


# The parent


def _describe(plugins: list[InstalledPlugin], load_seconds: float) -> Discovery:
    return Discovery(
        sdk_version=__version__,
        python_version=platform.python_version(),
        plugins=_without_conflicts(_load_all(plugins, load_seconds)),
    )


def _load_all(plugins: list[InstalledPlugin], load_seconds: float) -> list[PluginRecord]:
    records: list[PluginRecord] = []
    left = plugins
    while left:
        loaded, reason = _load_in_child(left, load_seconds)
        left = left[len(loaded) :]
        records += loaded
        if left and reason:
            alone: list[PluginRecord] = []
            if not reason.startswith(_TOO_SLOW):  # another try would take as long again
                alone, reason = _load_in_child(left[:1], load_seconds)
            records += alone or [left[0].record("quarantined", reason=reason)]
            left = left[1:]
    return records


def _load_in_child(plugins: list[InstalledPlugin], load_seconds: float) -> tuple[list[PluginRecord], str]:
    """Load plugins one after the other in one child.

    Returns:
        The records up to the plugin that ended the child, and why it ended; empty when it loaded all.
    """
    with _Loader(plugins) as loader:
        if not loader.started():
            return [], "the program that loads plugins did not start"
        records: list[PluginRecord] = []
        while len(records) < len(plugins):
            try:
                line = loader.line(load_seconds)
            except TimeoutError:
                return records, f"{_TOO_SLOW} {load_seconds:g} seconds"
            if line is None:
                return records, f"loading it {loader.end()}"
            try:
                records.append(msgspec.json.decode(line, type=PluginRecord))
            except msgspec.DecodeError:
                return records, "loading it disturbed the program that loads plugins"
        return records, ""


class _Loader:
    """The child that imports plugins and tells of each in a line."""

    def __init__(self, plugins: list[InstalledPlugin]) -> None:
        command = [sys.executable, "-P", "-m", __spec__.name, "--loader"]
        self._child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=os.name == "posix"
        )
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        stdin, stdout = self._child.stdin, self._child.stdout
        assert stdin is not None
        assert stdout is not None
        threading.Thread(target=self._read, args=(stdout,), daemon=True).start()
        with contextlib.suppress(OSError), stdin:
            stdin.write(msgspec.json.encode(plugins))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End the child and what it started."""
        with contextlib.suppress(OSError):
            if os.name == "posix":
                os.killpg(self._child.pid, signal.SIGKILL)
            else:
                self._child.kill()
        self._child.wait()

    def started(self) -> bool:
        """Wait until the interpreter is up."""
        try:
            return self.line(START_SECONDS) is not None
        except TimeoutError:
            return False

    def line(self, seconds: float) -> bytes | None:
        """Wait for the next line; None: the child has closed its end."""
        try:
            return self._lines.get(timeout=seconds)
        except queue.Empty:
            raise TimeoutError from None

    def end(self) -> str:
        """Tell how the child ended."""
        try:
            code = self._child.wait(timeout=1)
        except subprocess.TimeoutExpired:
            return "cut the connection to the program that loads plugins"
        if code >= 0:
            return f"ended the process with exit code {code}"
        return f"crashed the process ({signal.Signals(-code).name})"

    def _read(self, stdout: IO[bytes]) -> None:
        with stdout:
            for line in stdout:
                self._lines.put(line)
        self._lines.put(None)


def _without_conflicts(records: list[PluginRecord]) -> list[PluginRecord]:
    """Quarantine each plugin that offers an id which one before it offers."""
    owners: dict[str, PluginRecord] = {}
    kept = []
    for record in records:
        ids = [process.description.id for process in record.processes]
        taken = next((process_id for process_id in ids if process_id in owners), None)
        if taken is not None:
            owner = owners[taken]
            reason = (
                f"the process id {taken!r} is taken by {owner.distribution} ({owner.name}); choose another"
            )
            kept.append(msgspec.structs.replace(record, state="quarantined", reason=reason, processes=[]))
            continue
        owners |= dict.fromkeys(ids, record)
        kept.append(record)
    return kept


# The child


def _load(stdin: IO[bytes]) -> None:
    """Load the plugins told on standard input and tell of each in a line. Does not return."""
    plugins = msgspec.json.decode(stdin.read(), type=list[InstalledPlugin])
    told = os.dup(1)
    os.dup2(2, 1)
    os.write(told, b"\n")
    for plugin in plugins:
        line = msgspec.json.encode(describe_plugin(plugin)) + b"\n"
        while line:
            line = line[os.write(told, line) :]
    os._exit(0)  # a plugin's threads and exit handlers have no say


if __name__ == "__main__":
    main()
