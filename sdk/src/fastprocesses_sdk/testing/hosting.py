"""A real service for tests: started with all that is installed here, asked over HTTP, stopped in any case."""

import base64
import contextlib
import http.client
import importlib.metadata
import importlib.util
import os
import queue
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import msgspec

from fastprocesses_sdk.installed import GROUP
from fastprocesses_sdk.testing.encoding import sent_value
from fastprocesses_sdk.testing.outcomes import Run

START_SECONDS = 120.0
STOP_SECONDS = 10.0
REQUEST_SECONDS = 120.0
_PLUGIN_SETTINGS = "FASTPROCESSES_PLUGINS__"
_URL = re.compile(r"\s*URL\s+(\S+?)/?\s*")
_LAST_CHARACTERS = 4000


class HostUnavailable(Exception):
    """No service could be started; the sentence says why and what to do."""


class RequestRefused(Exception):
    """The service answered with an error.

    Args:
        status: HTTP status.
        problem: The problem document; empty where the answer had none.
        log: What the service logged last.
    """

    def __init__(self, status: int, problem: dict[str, Any], log: str) -> None:
        told = problem.get("detail") or problem.get("title") or http.client.responses.get(status, "")
        super().__init__(f"{status}: {told}\n\nLast lines of the service's log:\n{log}")
        self.status = status
        self.problem = problem


class RunningHost:
    """A service that runs; `url` is its address, without a slash at the end."""

    def __init__(self, url: str, log: Path) -> None:
        self.url = url
        self._log = log

    def execute(self, process_id: str, inputs: Mapping[str, Any] | None = None) -> Run:
        """Execute a process synchronously, and give its outputs.

        Args:
            process_id: The process.
            inputs: By id, as `run_process` takes them.

        Raises:
            RequestRefused: The service answered with an error.
        """
        path = f"/processes/{process_id}"
        described = self.ask("GET", path)["inputs"] if inputs else {}
        encoded = {
            name: sent_value(described.get(name, {}).get("schema", {}), value)
            for name, value in (inputs or {}).items()
        }
        results = self.ask("POST", f"{path}/execution", {"inputs": encoded, "response": "document"})
        run = Run()
        for name, member in results.items():
            run.outputs[name], run.media_types[name] = _read_member(member)
        return run

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Make one request; give the JSON that is answered.

        Args:
            method: GET, POST, …
            path: After `url`.
            body: Sent as JSON; None: nothing is sent.

        Raises:
            RequestRefused: The service answered with an error.
        """
        request = urllib.request.Request(  # noqa: S310 - our own service
            self.url + path,
            method=method,
            data=None if body is None else msgspec.json.encode(body),
            headers={"Accept": "application/json", "Content-Type": "application/json"},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=REQUEST_SECONDS) as answer:
                data = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                raise RequestRefused(error.code, _problem(error.read()), self.log_tail()) from None
        return msgspec.json.decode(data) if data else None

    def log_tail(self) -> str:
        """Give what the service logged last."""
        return self._log.read_text("utf-8", "replace")[-_LAST_CHARACTERS:]


@contextlib.contextmanager
def running_host(folder: Path, environ: Mapping[str, str] | None = None) -> Iterator[RunningHost]:
    """Start a service with its data in a folder, and stop it in the end.

    Args:
        folder: For data and log.
        environ: Variables of its environment beside those of this process, of which none of its own settings count.

    Raises:
        HostUnavailable: It cannot be started.
    """
    _check_installed()
    log = folder / "log"
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "fastprocesses_sdk.testing.guard", str(folder / "data")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=_clean_environ() | dict(environ or {}),
            start_new_session=True,
        )
    try:
        yield RunningHost(_await_url(process, log), log)
    finally:
        _stop(process)


def _check_installed() -> None:
    if os.name != "posix":
        raise HostUnavailable(
            "fastprocesses-host does not run on Windows; use WSL, or fp.testing.run_process."
        )
    if importlib.util.find_spec("fastprocesses_host") is None:
        raise HostUnavailable(
            "fastprocesses-host is not installed here; run pip install 'fastprocesses-sdk[test]'."
        )
    if not importlib.metadata.entry_points(group=GROUP):
        raise HostUnavailable(
            f"No plugin is installed here; install yours with pip install --editable ., and see to its entry point "
            f"in the group {GROUP}."
        )


def _clean_environ() -> dict[str, str]:
    """Take the environment of this process without settings of the service; those of plugins stay."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("FASTPROCESSES_") or name.startswith(_PLUGIN_SETTINGS)
    }


def _await_url(process: "subprocess.Popen[bytes]", log: Path) -> str:
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    assert process.stdout is not None
    threading.Thread(target=_read_lines, args=(process.stdout, lines), daemon=True).start()
    deadline_seconds = time.monotonic() + START_SECONDS
    url = ""
    with contextlib.suppress(queue.Empty):
        while (line := lines.get(timeout=max(deadline_seconds - time.monotonic(), 0.0))) is not None:
            if match := _URL.fullmatch(line):
                url = match[1]
            elif line.strip().startswith("Stop"):  # the last line, once all is ready
                return url
    told = log.read_text("utf-8", "replace")[-_LAST_CHARACTERS:]
    raise HostUnavailable(f"The service was not ready within {START_SECONDS:g} seconds. It logged:\n{told}")


def _read_lines(stdout: IO[bytes], lines: "queue.SimpleQueue[str | None]") -> None:
    with stdout:
        for line in stdout:
            lines.put(line.decode("utf-8", "replace"))
    lines.put(None)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdin is not None
    with contextlib.suppress(OSError):
        process.stdin.close()  # the guard stops the service then
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _problem(data: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(data, type=dict[str, Any])
    except msgspec.DecodeError:
        return {}


def _read_member(member: Any) -> tuple[Any, str]:
    """Read a member of a results document: a bare value, or a qualified one."""
    if not isinstance(member, dict) or "value" not in member:
        return member, "application/json"
    value, media_type = member["value"], member.get("mediaType", "application/json")
    return (base64.b64decode(value) if member.get("encoding") == "base64" else value), media_type
