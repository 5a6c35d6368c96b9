"""A real `fastprocesses-host` as a user starts it, and a plain client."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import psutil
from fastprocesses_host.supervisor import SAME_WISH_SECONDS

COMMAND = str(Path(sys.executable).parent / "fastprocesses-host")
START_SECONDS = 60.0
DRAIN_SECONDS = 7.0


class Answer:
    """An HTTP answer, whole."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self.body = answer.read()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Command:
    """One running command of ours: what it prints, and all processes that come of it."""

    def __init__(self, *arguments: str, log: Path, environ: Mapping[str, str] | None = None) -> None:
        self.log = log
        with log.open("ab") as stderr:
            self.process = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                env=clean_environ() | dict(environ or {}),
            )
        self.lines: list[str] = []
        self._printed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stdout:
            for line in stdout:
                with self._printed:
                    self.lines.append(line.rstrip("\n"))
                    self._printed.notify_all()
        with self._printed:
            self._printed.notify_all()

    def wait_for_line(self, start: str, seconds: float = START_SECONDS) -> str:
        """Wait until a line is printed that starts so, blanks aside."""

        def found() -> str | None:
            return next((line for line in self.lines if line.strip().startswith(start)), None)

        with self._printed:
            if not self._printed.wait_for(lambda: found() or not self._reader.is_alive(), seconds):
                raise AssertionError(f"{start!r} was not printed within {seconds} s\n{self.said()}")
            if (line := found()) is None:
                raise AssertionError(
                    f"ended with {self.process.wait(5)} before it printed {start!r}\n{self.said()}"
                )
            return line.strip()

    def said(self) -> str:
        return "\n".join(self.lines) + "\n" + self.log.read_text("utf-8", "replace")[-4000:]

    def tree(self) -> list[psutil.Process]:
        """The process and all its descendants."""
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]

    def child(self, part: str) -> psutil.Process:
        """The direct child that is this part: `host`, `worker`, or the store by its program's name."""
        for child in psutil.Process(self.process.pid).children():
            with suppress(psutil.Error):
                if part in {word.rsplit("/", 1)[-1] for word in " ".join(child.cmdline()).split()}:
                    return child
        raise AssertionError(f"no child is the {part}\n{self.said()}")

    def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = DRAIN_SECONDS + 5) -> int:
        """Send a signal and give the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Stop at once: the second signal says so."""
        while self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(SAME_WISH_SECONDS + 0.1)
        self._reader.join(5)


class Service(Command):
    """A running host; it is ready when it is made."""

    def __init__(
        self,
        folder: Path,
        *options: str,
        environ: Mapping[str, str] | None = None,
        wait: bool = True,
        command: str = COMMAND,
    ) -> None:
        super().__init__(command, "run", "--port", "0", *options, log=folder / "log", environ=environ)
        self.url = ""
        if wait:
            self.await_ready()

    def await_ready(self) -> None:
        try:
            self.wait_for_line("Stop")
        except BaseException:
            self.__exit__()
            raise
        self.url = self.wait_for_line("URL").split()[1].rstrip("/")

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        seconds: float = 30.0,
    ) -> Answer:
        """Make one request; a body that is no bytes is sent as JSON."""
        parts = urlsplit(path if path.startswith("http") else self.url + path)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=seconds)
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        every = {"Content-Type": "application/json"} if data is not None else {}
        try:
            target = parts.path + (f"?{parts.query}" if parts.query else "")
            connection.request(method, target, data, every | dict(headers or {}))
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def execute(self, process_id: str, inputs: dict[str, Any], *, asynchronous: bool = False) -> Answer:
        headers = {"Prefer": "respond-async"} if asynchronous else {}
        return self.ask("POST", f"/processes/{process_id}/execution", {"inputs": inputs}, headers)

    def await_status(self, location: str, *wanted: str, seconds: float = 40.0) -> dict[str, Any]:
        """Ask for a job's status until it is one of those wanted."""
        deadline = time.monotonic() + seconds
        while True:
            with suppress(OSError, http.client.HTTPException):
                answer = self.ask("GET", location)
                if answer.status == 200 and answer.json["status"] in wanted:
                    return dict(answer.json)
            if time.monotonic() > deadline:
                raise AssertionError(f"{location} did not become {wanted} within {seconds} s: {self.said()}")
            time.sleep(0.02)


@contextmanager
def service(folder: Path, *options: str, environ: Mapping[str, str] | None = None) -> Iterator[Service]:
    """An embedded host with its data in `folder`."""
    with Service(folder, "--data-dir", str(folder / "data"), *options, environ=environ) as running:
        yield running


def clean_environ() -> dict[str, str]:
    """This process's environment without settings of ours."""
    return {name: value for name, value in os.environ.items() if not name.startswith("FASTPROCESSES_")}


def run_command(
    *arguments: str, environ: Mapping[str, str] | None = None, seconds: float = 60.0
) -> subprocess.CompletedProcess[str]:
    """Run `fastprocesses-host` with arguments to its end."""
    return subprocess.run(
        [COMMAND, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        env=clean_environ() | {"COLUMNS": "200"} | dict(environ or {}),
    )


def survivors(processes: list[psutil.Process], seconds: float = 5.0) -> list[psutil.Process]:
    """Those of the processes that are still there after so long; zombies have ended."""
    _, alive = psutil.wait_procs([process for process in processes if _lives(process)], timeout=seconds)
    return [process for process in alive if _lives(process)]


def kill_all(processes: Iterable[psutil.Process]) -> None:
    """Kill processes, some of which end by themselves when others do."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
