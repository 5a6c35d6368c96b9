"""A mix of jobs under random kills and stops, by seed: afterwards every job is final and nothing is left."""

import contextlib
import os
import random
import time
from pathlib import Path

import psutil
import pytest
from fastprocesses_host.ogc.exceptions import OGCException
from fastprocesses_host.settings import Settings

from tests.chaos.traces import strays
from tests.host.engine import Engine, Worker, running_engine, running_host
from tests.support import StoreServer, wait_until

MIX = [
    ("double", {"number": 1}),
    ("double", {"number": 2}),
    ("sleep", {"seconds": 0.3}),
    ("talk", {"lines": 50}),
    ("large", {"megabytes": 2}),
    ("crash", {"how": "segfault"}),
    ("crash", {"how": "exit"}),
    ("too-long", {"kind": "c"}),
]


class Chaos:
    """Events to choose from, and what they are done to."""

    def __init__(
        self, seed: int, engine: Engine, workers: list[Worker], store: StoreServer, folder: Path
    ) -> None:
        self._random = random.Random(seed)
        self._engine = engine
        self._workers = workers
        self._store = store
        self._folder = folder
        self.accepted: list[str] = []
        self.events: list[str] = []

    def step(self) -> None:
        """Submit some jobs, then do harm once."""
        for _ in range(self._random.randint(1, 8)):
            self._submit()
        event = self._random.choices(
            [
                self._kill_executor,
                self._kill_worker,
                self._stop_worker,
                self._kill_store,
                self._drain,
                self._dismiss,
            ],
            weights=[4, 2, 2, 1, 1, 4],
        )[0]
        self.events.append(event.__name__.strip("_"))
        with contextlib.suppress(psutil.Error, IndexError, ProcessLookupError):
            event()

    def _submit(self) -> None:
        process_id, inputs = self._random.choice(MIX)
        if self._random.random() < 0.2:
            process_id = "family"
            inputs = {"seconds": 30, "mark": str(self._folder / f"family-{len(self.accepted)}")}
        with contextlib.suppress(OGCException):
            self.accepted.append(self._engine.submit(process_id, inputs))

    def _worker(self) -> Worker:
        return self._random.choice(self._workers)

    def _kill_executor(self) -> None:
        self._random.choice(self._worker().executors()).kill()

    def _kill_worker(self) -> None:
        worker = self._worker()
        worker.worker_process.kill()
        self._replace(worker)

    def _stop_worker(self) -> None:
        process = self._worker().worker_process
        process.suspend()
        time.sleep(self._random.uniform(0.1, 3.0))
        process.resume()

    def _kill_store(self) -> None:
        time.sleep(1.1)  # what the append-only file has not got is lost, which is not the point here
        self._store.kill()
        time.sleep(self._random.uniform(0.0, 1.0))
        self._store.start()

    def _drain(self) -> None:
        worker = self._worker()
        worker.process.terminate()
        self._replace(worker)

    def _dismiss(self) -> None:
        with contextlib.suppress(OGCException):
            self._engine.dismiss(self._random.choice(self.accepted))

    def _replace(self, worker: Worker) -> None:
        with contextlib.suppress(Exception):
            worker.process.wait(15)
        worker.stop()
        self._workers[self._workers.index(worker)] = Worker(
            self._engine.settings, self._folder / f"worker-{len(self.events)}.log"
        )

    def settle(self) -> None:
        """Wait until the system is at rest."""
        wait_until(lambda: not self._engine.host.readiness(), 20, "the host")
        for job_id in self.accepted:
            with contextlib.suppress(OGCException):  # dismissed twice: removed
                self._engine.final(job_id, 60)


def marked_processes(folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and any(str(folder) in part for part in process.cmdline()):
                found.append(process)
    return found


@pytest.mark.parametrize(
    ("seed", "steps"), [(3, 5), pytest.param(2, 150, marks=[pytest.mark.long, pytest.mark.timeout(1800)])]
)
def test_every_job_ends_whatever_happens(
    own_store: StoreServer, tmp_path: Path, seed: int, steps: int
) -> None:
    settings = Settings(
        redis_url=own_store.url,
        slots=2,
        lease_seconds=2,
        tick_seconds=0.3,
        timeout_seconds=20,
        drain_seconds=4,
        value_store_url=f"file://{tmp_path}/values",
    )
    with (
        running_engine(settings, tmp_path, workers=2) as (engine, workers),
        running_host(settings, tmp_path) as witness,
    ):
        chaos = Chaos(seed, engine, workers, own_store, tmp_path)
        for _ in range(steps):
            chaos.step()
        chaos.settle()
        wait_until(lambda: not strays(settings), 20, "tidiness")
        kept = {
            location
            for job in witness.jobs()
            for value in job.outputs.values()
            if (location := value.location)
        }
        files = {f"file:{file.parent.name}/{file.name}" for file in (tmp_path / "values").rglob("*.*")}
        wait_until(lambda: not marked_processes(tmp_path), 10, "the end of all families")
        assert {job.attempt for job in witness.jobs()} <= {0, 1}
        assert len(chaos.accepted) > steps
        assert kept <= files
    (tmp_path / "events").write_text("\n".join(chaos.events))
