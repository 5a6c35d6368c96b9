"""A host in this process and one worker, whose values and working folders lie on a small disk."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastprocesses_host.app import create_app
from fastprocesses_host.private_store import find_program
from fastprocesses_host.settings import Settings
from fastprocesses_host.store.client import Store
from fastprocesses_host.store.keys import Keys
from starlette.testclient import TestClient

from tests.host.engine import Worker
from tests.host.plugins import install
from tests.support import StoreServer, files_under, short_folder, wait_until

MB = 1_000_000
DISK_MB = 96
PLUGIN = '''
"""Processes that keep, and write, a lot."""
import os
import tempfile
import time
from pathlib import Path
from typing import Annotated
import fastprocesses_sdk as fp

Binary = fp.Media("application/octet-stream")
Blob = Annotated[Path, Binary]

def blob(job: fp.Job, size: int) -> Path:
    file = job.workdir / "blob"
    file.write_bytes(os.urandom(1000) * (size // 1000))
    return file

@fp.process
def make(size: int, *, job: fp.Job = fp.NO_JOB) -> Blob:
    """Give so many bytes."""
    return blob(job, size)

@fp.process
def repeat_blob(data: Blob, times: int = 0, *, job: fp.Job = fp.NO_JOB) -> Blob:
    """Give what was given, so many times."""
    return blob(job, data.stat().st_size * times)

@fp.process(keep_job_seconds=3600, keep_results_seconds=0.4, keep_log_seconds=0.4)
def brief(size: int, *, job: fp.Job = fp.NO_JOB) -> Blob:
    """Give what is not kept for long."""
    job.log("a line")
    return blob(job, size)

@fp.process(keep_inputs=True)
def remembered(
    text: str, data: Blob, several: Annotated[list[int], fp.Input(occurs=(0, 5))] = ()
) -> str:
    """Give a text and how much there was."""
    return f"{text} {data.stat().st_size} {sum(several)}"

@fp.process
def patient() -> str:
    """Take a minute."""
    time.sleep(60)
    return "done"

@fp.process(max_attempts=2, retryable=True)
def endless(elsewhere: bool, *, job: fp.Job = fp.NO_JOB) -> str:
    """Write without end, into the folder of the job or beside it."""
    with tempfile.TemporaryDirectory() as folder:
        with open(Path(folder) / "x" if elsewhere else job.workdir / "x", "wb") as file:
            for _ in range(1000 if elsewhere else 60):
                file.write(bytes(1_000_000))
            file.flush()
            time.sleep(60)
'''


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a disk of so many megabytes."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB * MB}", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("needs to mount a small disk, which only root may")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


class Site:
    """The service on its small disk."""

    def __init__(self, client: TestClient, settings: Settings, disk: Path) -> None:
        self.client = client
        self.settings = settings
        self.disk = disk

    def submit(self, process: str, inputs: Any) -> Any:
        return self.client.post(
            f"/processes/{process}/execution",
            json={"inputs": inputs, "response": "raw"},
            headers={"Prefer": "respond-async"},
        )

    def ended(self, process: str, inputs: Any) -> Any:
        """Run a job to its end; give its status."""
        answer = self.submit(process, inputs)
        assert answer.status_code == 201, answer.text
        url = answer.headers["location"]
        wait_until(lambda: self.client.get(url).json()["status"] not in {"accepted", "running"}, 60)
        return self.client.get(url).json()

    def files(self) -> list[Path]:
        """What lies in the value store."""
        return files_under(self.disk / "values")

    def in_folders(self) -> list[Path]:
        """What lies in the folders of jobs."""
        return [file for file in files_under(self.disk / "tmp") if file.match("fastprocesses-work-*/*/*")]

    def counted(self) -> dict[str, int]:
        store = Store(self.settings.redis_url, Keys.of(self.settings.key_prefix))
        try:
            flat = store.command("HGETALL", store.keys.bytes)
            return {name.decode(): int(value) for name, value in zip(flat[::2], flat[1::2], strict=True)}
        finally:
            store.close()

    def clear(self) -> None:
        """Remove all jobs."""
        for job in self.client.get("/jobs").json()["jobs"]:
            while self.client.delete(f"/jobs/{job['jobID']}").status_code == 200:
                pass

    def delete(self, *jobs: Any) -> None:
        for job in jobs:
            assert self.client.delete(f"/jobs/{job['jobID']}").status_code == 200
        wait_until(lambda: not self.files(), 30, "an empty value store")


@pytest.fixture(autouse=True)
def nothing_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """No test finds what another one left."""
    yield
    if "site" in request.fixturenames:
        request.getfixturevalue("site").clear()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("retention")
    plugin = install(folder / "plugin", {"processes_that_keep": PLUGIN})
    with small_disk(folder / "disk") as disk, short_folder() as short, pytest.MonkeyPatch.context() as patch:
        (disk / "tmp").mkdir()
        patch.setenv("PYTHONPATH", os.pathsep.join([str(plugin), os.environ.get("PYTHONPATH", "")]))
        store = StoreServer(str(find_program()), short)
        settings = Settings(
            redis_url=store.url,
            value_store_url=f"file://{disk}/values",
            slots=1,
            outbound_private="127.0.0.0/8",
            tick_seconds=0.2,
            lease_seconds=6,
            max_inline_bytes=100_000,
            max_job_bytes=8 * MB,
            max_caller_bytes=20 * MB,
            min_free_disk_bytes=10 * MB,
            max_workdir_bytes=30 * MB,
        )
        with pytest.MonkeyPatch.context() as of_worker:
            of_worker.setenv("TMPDIR", str(disk / "tmp"))
            worker = Worker(settings, folder / "worker.log")
        try:
            with TestClient(create_app(settings)) as client:
                wait_until(lambda: client.get("/health/ready").status_code == 200, 60, "the service")
                yield Site(client, settings, disk)
        finally:
            worker.stop()
            store.kill()
