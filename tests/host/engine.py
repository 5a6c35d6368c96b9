"""A host in this process and workers as processes of their own, on one store: what the engine's tests talk to."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import anyio.from_thread
import msgspec
import psutil
import redis
from fastprocesses_host.host import Host, JobPage
from fastprocesses_host.inputs import check_request
from fastprocesses_host.ogc.execute import ExecuteRequest
from fastprocesses_host.ogc.jobs import AskedResults, Job
from fastprocesses_host.ogc.preferences import ModeChoice
from fastprocesses_host.settings import Settings
from fastprocesses_host.store.keys import Keys

from tests.support import wait_until

PLUGINS = Path(__file__).parents[1] / "plugins"


class Worker:
    """The bare command, `dramatiq fastprocesses_host.actors`, as an operator may run it."""

    def __init__(self, settings: Settings, log: Path) -> None:
        path = os.pathsep.join([str(PLUGINS), os.environ.get("PYTHONPATH", "")])
        environment = {
            **os.environ,
            **settings.to_env(),
            "PYTHONPATH": path,
            "dramatiq_worker_timeout": "100",
        }
        self._log = log.open("ab")
        self.log_file = log
        command = [
            sys.executable,
            "-m",
            "dramatiq",
            "-p",
            "1",
            "-t",
            "2",
            "--skip-logging",
            "fastprocesses_host.actors",
        ]
        self.process = subprocess.Popen(command, env=environment, stderr=self._log, process_group=0)

    @property
    def worker_process(self) -> psutil.Process:
        """The process that Dramatiq forked, in which the engine runs."""
        return psutil.Process(self.process.pid).children()[0]

    def executors(self) -> list[psutil.Process]:
        """The executors of this worker."""
        found = []
        for child in self.worker_process.children():
            with contextlib.suppress(psutil.Error):  # it ended meanwhile
                if "fastprocesses_sdk.executor" in child.cmdline():
                    found.append(child)
        return found

    def family(self) -> list[psutil.Process]:
        """Everything that lives below the command now."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def stop(self) -> None:
        """End it as an operator does."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        self._log.close()


class Engine:
    """Host and workers, spoken to without HTTP."""

    def __init__(
        self, settings: Settings, portal: anyio.from_thread.BlockingPortal, host: Host, folder: Path
    ) -> None:
        self.settings = settings
        self.host = host
        self.folder = folder
        self._portal = portal

    def submit(
        self, process_id: str, inputs: Mapping[str, Any] | None = None, *, asked: AskedResults | None = None
    ) -> str:
        """Have a job accepted; give its id."""
        return self._execute(process_id, inputs or {}, ModeChoice(mode="async"), asked).id

    def execute(self, process_id: str, inputs: Mapping[str, Any] | None = None) -> Any:
        """Execute and wait; give the value of the output `result`."""
        job = self._execute(process_id, inputs or {}, ModeChoice(mode="sync"), None)
        return self.value(job)

    def value(self, job: Job, output: str = "result") -> Any:
        """Read one output value."""
        return msgspec.json.decode(self._portal.call(self.host.output_bytes, job, output))

    def text(self, job: Job, output: str = "result") -> str:
        """Read one output value that is text."""
        return bytes(self._portal.call(self.host.output_bytes, job, output)).decode()

    def job(self, job_id: str) -> Job:
        """Read a job."""
        return self._portal.call(self.host.job, job_id)

    def log(self, job_id: str) -> list[dict[str, Any]]:
        """Read a job's log."""
        with redis.Redis.from_url(self.settings.redis_url) as client:
            return [
                msgspec.json.decode(line)
                for line in client.lrange(Keys.of(self.settings.key_prefix).log(job_id), 0, -1)
            ]

    def jobs(self) -> list[Job]:
        """Read the newest jobs."""

        async def call() -> JobPage:
            return await self.host.jobs(limit=1000)

        return self._portal.call(call).jobs

    def dismiss(self, job_id: str) -> Job:
        """Dismiss a job."""
        return self._portal.call(self.host.dismiss, job_id)

    def final(self, job_id: str, seconds: float = 40.0) -> Job:
        """Wait until a job is final, and read it."""
        wait_until(lambda: self.job(job_id).status.is_final, seconds, f"job {job_id}")
        return self.job(job_id)

    def _execute(
        self, process_id: str, inputs: Mapping[str, Any], choice: ModeChoice, asked: AskedResults | None
    ) -> Job:
        raw = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in inputs.items()}
        request = ExecuteRequest(inputs=raw, asked=asked or AskedResults())
        checked = check_request(self.host.catalog.get(process_id), request)

        async def call() -> Job:
            return await self.host.execute(process_id, request, choice, inputs=checked)

        return self._portal.call(call)


@contextlib.contextmanager
def running_host(settings: Settings, folder: Path) -> Iterator[Engine]:
    """Open a host in a thread of its own."""
    with anyio.from_thread.start_blocking_portal() as portal:
        host = Host(settings)
        with portal.wrap_async_context_manager(host):
            yield Engine(settings, portal, host, folder)


@contextlib.contextmanager
def running_engine(
    settings: Settings, folder: Path, workers: int = 1
) -> Iterator[tuple[Engine, list[Worker]]]:
    """Open a host and start workers; wait until they are ready."""
    started = [Worker(settings, folder / f"worker-{number}.log") for number in range(workers)]
    try:
        with running_host(settings, folder) as engine:
            wait_until(lambda: not engine.host.readiness(), 60, "the engine")
            yield engine, started
    finally:
        for worker in started:
            worker.stop()


def begun(mark: str) -> None:
    """Wait until a process has touched its mark."""
    wait_until(lambda: Path(mark).exists(), what="the process")


def is_gone(pid: int) -> bool:
    """Whether a process has ended, reaped or not."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
