"""Make a fixture of the code that runs this: `python -m tests.store.record FILE`.

A host and a worker of that code run jobs of all kinds; then both are killed, and what they left is written down.
"""

import http.client
import json
import signal
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import redis
from fastprocesses_host.private_store import find_program

from tests.acceptance.service import COMMAND, Command, Service
from tests.store import dump
from tests.support import StoreServer, wait_until

PLUGIN = Path(__file__).parent / "fixtures" / "plugin"
PREFIX = "{fp}"
LONG, LONGER = 30_000, 120_000
"""Characters of a result that is staged, and of one in the value store; a number stands for the text."""


class Recording:
    """A host and a worker on a store of their own, and what is expected of their jobs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.values = folder / "values"
        self.store = StoreServer(str(find_program()), folder)
        self.environ = {
            "PYTHONPATH": str(PLUGIN),
            "FASTPROCESSES_SLOTS": "12",
            "FASTPROCESSES_MAX_INLINE_BYTES": "65536",
            "FASTPROCESSES_VALUE_STORE_URL": f"file://{self.values}",
        }
        self.expected: list[dict[str, Any]] = []
        (folder / "host").mkdir()
        self.worker = Command(
            COMMAND,
            "worker",
            "--redis-url",
            self.store.url,
            log=folder / "worker.log",
            environ=self.environ,
        )
        self.host = Service(folder / "host", "--redis-url", self.store.url, environ=self.environ)

    def submit(self, process: str, status: str, ends: str, inputs: Any = None, **more: Any) -> str:
        """Have a job accepted; note how it is to be found and how it is to end."""
        headers = {"Prefer": "respond-async"}
        body = {"inputs": inputs or {}, **more.pop("request", {})}
        answer = self.host.ask("POST", f"/processes/{process}/execution", body, headers)
        assert answer.status == 201, answer.body
        location = urlsplit(answer.headers["Location"]).path
        job_id = location.rsplit("/", 1)[1]
        self.expected.append({"id": job_id, "process": process, "status": status, "ends": ends, **more})
        return location

    def done(self, process: str, status: str, inputs: Any = None, **more: Any) -> str:
        """Have a job run to its end."""
        location = self.submit(process, status, status, inputs, **more)
        self.host.await_status(location, status)
        return location

    def sync(self, process: str, inputs: Any = None) -> str:
        """Have somebody wait for a job; give its id once it is in the store."""
        before = self.ids()
        parts = urlsplit(self.host.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port)

        def ask() -> None:
            with suppress(OSError, http.client.HTTPException):
                body = json.dumps({"inputs": inputs or {}})
                connection.request("POST", f"/processes/{process}/execution", body)
                connection.getresponse()

        threading.Thread(target=ask, daemon=True).start()
        wait_until(lambda: self.ids() - before, 10, "the job")
        return (self.ids() - before).pop()

    def ids(self) -> set[str]:
        with redis.Redis.from_url(self.store.url) as client:
            return {name.decode().rsplit(":", 1)[1] for name in client.scan_iter(match="[{]fp}:j:*")}

    def field(self, job_id: str, name: str) -> str:
        with redis.Redis.from_url(self.store.url) as client:
            return (client.hget(f"{PREFIX}:j:{job_id}", name) or b"").decode()

    def close(self) -> None:
        for command in (self.host, self.worker):
            kill(command)
        self.store.kill()


def record(folder: Path) -> dict[str, Any]:
    """Give the fixture."""
    made = Recording(folder)
    try:
        finished(made)
        running(made)
        kill(made.worker)
        waiting(made)
        kill(made.host)
        document = dump.dump(made.store.url, PREFIX, made.values)
    finally:
        made.close()
    return document | {"expected": made.expected}


def finished(made: Recording) -> None:
    made.done("double", "successful", {"number": 21}, results=42)
    made.done("text", "successful", {"length": LONG}, results=LONG)
    made.done("text", "successful", {"length": LONGER}, results=LONGER)
    made.done("length-of", "successful", {"text": "x" * LONGER}, results=LONGER)
    made.done("both", "successful", results={"first": 1, "second": "two"})
    made.done("both", "successful", request={"outputs": {"second": {}}}, results={"second": "two"})
    made.done("talk", "successful", results="talked", lines=["printed", "logged"])
    made.done("refuse", "failed", reason=422)
    made.done("crash", "failed", reason=500)
    stopped = made.submit("wait", "dismissed", "dismissed")
    made.host.await_status(stopped, "running")
    made.host.ask("DELETE", stopped)
    wait_until(lambda: not made.field(stopped.rsplit("/", 1)[1], "stp"), 10, "the end of the run")
    removed = made.done("double", "successful", {"number": 1})
    made.host.ask("DELETE", removed)
    made.expected[-1] |= {"status": "removed", "ends": "removed"}


def running(made: Recording) -> None:
    lost = made.submit("wait", "running", "failed", reason=500)
    made.host.await_status(lost, "running")
    wait_until(lambda: made.field(lost.rsplit("/", 1)[1], "pr") == "40", 10, "progress")
    again = made.submit("wait-again", "running", "successful", results="went")
    made.host.await_status(again, "running")
    waited_for = made.sync("wait")
    wait_until(lambda: made.field(waited_for, "s") == "running", 10, "the job somebody waits for")
    made.expected.append({"id": waited_for, "process": "wait", "status": "running", "ends": "failed"})
    unread = made.sync("pause", {"seconds": 1})
    host = made.host.child("host")
    host.suspend()  # its job ends, and nobody reads the result
    wait_until(lambda: made.field(unread, "s") == "successful", 10, "the job whose result nobody reads")
    host.kill()
    wait_until(lambda: _is_ready(made.host), 20, "the next host")
    made.expected.append({"id": unread, "process": "pause", "status": "successful", "ends": "successful"})
    for job in made.expected[-2:]:
        job["listed"] = False


def waiting(made: Recording) -> None:
    """Jobs that nobody runs: their worker has been killed."""
    made.submit("double", "accepted", "successful", {"number": 4}, results=8)
    made.submit("length-of", "accepted", "successful", {"text": "x" * LONGER}, results=LONGER)
    made.submit("text", "accepted", "successful", {"length": LONG}, results=LONG)
    made.submit("wait-again", "accepted", "successful", results="went")
    made.submit("both", "accepted", "successful", request={"outputs": {"first": {}}}, results={"first": 1})
    made.submit("refuse", "accepted", "failed", reason=422)
    dismissed = made.submit("double", "dismissed", "dismissed", {"number": 1})
    made.host.ask("DELETE", dismissed)
    fetched = made.submit("double", "accepted", "successful", {"number": 5}, results=10)
    hold_message(made, fetched.rsplit("/", 1)[1])
    waited_for = made.sync("double", {"number": 6})
    made.expected.append(
        {
            "id": waited_for,
            "process": "double",
            "status": "accepted",
            "ends": "successful",
            "results": 12,
            "listed": False,
        }
    )


def _is_ready(host: Service) -> bool:
    with suppress(OSError):
        return host.ask("GET", "/health/ready").status == 200
    return False


def hold_message(made: Recording, job_id: str) -> None:
    """Have the dead worker hold a message that it had not claimed, as the format 1 of 2026 did."""
    with redis.Redis.from_url(made.store.url) as client:
        queue = f"{PREFIX}:d:default"
        workers = client.zrange(f"{PREFIX}:workers", 0, -1)
        if workers and client.exists(queue + ".msgs") and client.lrem(queue, 1, job_id):
            client.sadd(f"{PREFIX}:d:__acks__.{workers[0].decode()}.default", job_id)


def kill(command: Command) -> None:
    """End a command as a power cut does."""
    with suppress(psutil.Error):
        tree = command.tree()
        for process in tree:
            with suppress(psutil.Error):
                process.send_signal(signal.SIGKILL)
        psutil.wait_procs(tree, timeout=5)
    command.process.wait()


def main() -> None:
    """Write the fixture into the file that is named."""
    with tempfile.TemporaryDirectory(prefix="fp", dir="/tmp") as folder:
        began = time.monotonic()
        document = record(Path(folder))
        dump.write(document, Path(sys.argv[1]))
    print(f"{len(document['expected'])} jobs, {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    main()
