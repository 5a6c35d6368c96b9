"""Workers, executors, hosts and the store are killed, stopped and continued: every job ends, nothing is left."""

import contextlib
import functools
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastprocesses_host.ogc.exceptions import ResultNotAvailable, ServiceUnavailable
from fastprocesses_host.ogc.jobs import Status
from fastprocesses_host.settings import Settings

from tests.chaos.proxy import StoreProxy
from tests.chaos.traces import signed_on, strays
from tests.host.engine import Engine, Worker, begun, is_gone, running_engine, running_host
from tests.support import StoreServer, wait_until

BOUND_SECONDS = 10 + 4
"""A killed worker's jobs are final, or queued again, within 10 s; the rest is slack."""


@pytest.fixture
def settings(own_store: StoreServer) -> Settings:
    return Settings(redis_url=own_store.url, slots=2, lease_seconds=2, tick_seconds=0.3)


@pytest.fixture
def running(settings: Settings, tmp_path: Path) -> Iterator[tuple[Engine, list[Worker]]]:
    with running_engine(settings, tmp_path) as started:
        yield started


def nothing_left(engine: Engine) -> bool:
    return not strays(engine.settings)


@pytest.mark.parametrize("victim", ["worker process", "command"])
def test_a_killed_worker_s_job_ends_and_its_family_is_gone(
    own_store: StoreServer, tmp_path: Path, mark: str, victim: str
) -> None:
    """The only test here with the lease that operators have."""
    with running_engine(Settings(redis_url=own_store.url, slots=2), tmp_path) as (engine, [worker]):
        lose_the_worker(engine, worker, mark, victim)


def lose_the_worker(engine: Engine, worker: Worker, mark: str, victim: str) -> None:
    job_id = engine.submit("family", {"seconds": 120, "mark": mark})
    begun(mark)
    family = [child.pid for child in worker.family()]
    target = worker.worker_process.pid if victim == "worker process" else worker.process.pid
    os.kill(target, signal.SIGKILL)
    killed_seconds = time.monotonic()
    job = engine.final(job_id, BOUND_SECONDS)
    assert time.monotonic() - killed_seconds < BOUND_SECONDS
    assert (job.status, job.reason) == (Status.FAILED, "worker-lost")
    pids = [*family, *(int(Path(f"{mark}.{name}").read_text()) for name in ("child", "daemon"))]
    wait_until(lambda: all(map(is_gone, pids)), 40, "the end of the family")
    assert nothing_left(engine)


def all_are_gone(pids: list[int]) -> bool:
    return all(map(is_gone, pids))


def test_what_a_job_left_running_ends_soon_after_it(running: tuple[Engine, list[Worker]], mark: str) -> None:
    """Its executor lives and serves other jobs."""
    engine, _ = running
    assert engine.execute("leave-behind", {"mark": mark}) == "left"
    pid = int(Path(mark).read_text())
    wait_until(lambda: is_gone(pid), 20, "the end of what was left")
    assert engine.execute("double", {"number": 2}) == 4


def test_a_worker_whose_command_is_killed_while_it_starts_ends(settings: Settings, tmp_path: Path) -> None:
    for round_number in range(3):
        worker = Worker(settings, tmp_path / f"starting-{round_number}.log")
        try:
            wait_until(worker.family, what="the worker process")
            family = [child.pid for child in worker.family()]
            worker.process.kill()
            wait_until(functools.partial(all_are_gone, family), 20, "its end")
        finally:
            worker.stop()


def test_a_worker_that_starts_while_the_store_is_cut_off_goes_on_trying(
    own_store: StoreServer, tmp_path: Path
) -> None:
    folder = Path(own_store.url.removeprefix("unix://")).parent
    with StoreProxy(folder / "s", folder / "proxy", "starting") as proxy:
        proxy.shares["replies"] = 0.5
        worker = Worker(Settings(redis_url=proxy.url, slots=1), tmp_path / "worker.log")
        try:
            wait_until(lambda: proxy.done["ate replies"] >= 3, 30, "its tries")
            proxy.heal()
            wait_until(lambda: signed_on(Settings(redis_url=own_store.url)), 30, "the worker")
            assert worker.process.poll() is None
        finally:
            worker.stop()


def test_a_worker_signs_off_over_a_connection_that_was_cut(own_store: StoreServer, tmp_path: Path) -> None:
    folder = Path(own_store.url.removeprefix("unix://")).parent
    direct = Settings(redis_url=own_store.url)
    with StoreProxy(folder / "s", folder / "proxy", "leaving") as proxy:
        worker = Worker(Settings(redis_url=proxy.url, slots=1), tmp_path / "worker.log")
        try:
            wait_until(lambda: signed_on(direct), 30, "the worker")
            proxy.cut()
            worker.process.terminate()
            assert worker.process.wait(15) == 0
            assert signed_on(direct) == []
        finally:
            worker.stop()


def test_a_retryable_job_runs_again_elsewhere(settings: Settings, tmp_path: Path, mark: str) -> None:
    with running_engine(settings, tmp_path, workers=2) as (engine, workers):
        job_id = engine.submit("sleep-again", {"seconds": 3, "mark": mark})
        begun(mark)
        holder = next(
            one for one in workers if any("fastprocesses-" in child.cwd() for child in one.executors())
        )
        os.kill(holder.worker_process.pid, signal.SIGKILL)
        job = engine.final(job_id, BOUND_SECONDS + 5)
        assert (job.status, job.attempt) == (Status.SUCCESSFUL, 2)
        assert Path(mark).read_text().splitlines() == ["run", "run"]
        assert nothing_left(engine)


def test_a_stopped_worker_s_late_result_does_not_count(settings: Settings, tmp_path: Path, mark: str) -> None:
    with running_engine(settings, tmp_path) as (engine, [worker]):
        job_id = engine.submit("sleep", {"seconds": 1, "mark": mark})
        begun(mark)
        process = worker.worker_process
        process.suspend()
        job = engine.final(job_id, BOUND_SECONDS)
        assert (job.status, job.reason) == (Status.FAILED, "worker-lost")
        process.resume()
        assert engine.execute("double", {"number": 2}) == 4
        assert engine.job(job_id).status == Status.FAILED
        wait_until(lambda: nothing_left(engine), 40, "tidiness")


def test_the_store_is_killed_and_comes_back(
    running: tuple[Engine, list[Worker]], own_store: StoreServer, mark: str
) -> None:
    engine, _ = running
    done = engine.final(engine.submit("double", {"number": 1}))
    long_id = engine.submit("step", {"mark": mark})
    wait_until(lambda: engine.job(long_id).progress == 40)
    time.sleep(1.1)  # the append-only file is written once a second
    own_store.kill()
    with pytest.raises(ServiceUnavailable):
        engine.job(long_id)
    with pytest.raises(ServiceUnavailable):
        engine.submit("double", {"number": 1})
    assert "double" in engine.host.catalog.processes
    Path(mark).touch()  # it ends while the store is away
    own_store.start()
    wait_until(lambda: not engine.host.readiness(), 40, "the host")
    assert all(not task.done() for task in engine.host._tasks)
    assert engine.final(long_id).status == Status.SUCCESSFUL
    assert engine.job(done.id).status == Status.SUCCESSFUL
    assert engine.execute("double", {"number": 5}) == 10
    wait_until(lambda: nothing_left(engine), 40, "tidiness")


def test_a_stopped_store_fails_nothing(
    running: tuple[Engine, list[Worker]], own_store: StoreServer, mark: str
) -> None:
    engine, _ = running
    job_id = engine.submit("step", {"mark": mark})
    wait_until(lambda: engine.job(job_id).progress == 40)
    own_store.process.send_signal(signal.SIGSTOP)
    time.sleep(2.5)  # longer than a lease
    own_store.process.send_signal(signal.SIGCONT)
    wait_until(lambda: not engine.host.readiness(), 40, "the host")
    time.sleep(1)
    assert engine.job(job_id).status == Status.RUNNING
    Path(mark).touch()
    assert engine.final(job_id).status == Status.SUCCESSFUL


def test_a_stopping_worker_finishes_gives_back_and_releases(
    settings: Settings, tmp_path: Path, mark: str
) -> None:
    with running_engine(settings, tmp_path) as (engine, [worker]):
        short = engine.submit("sleep", {"seconds": 1, "mark": mark})
        long = engine.submit("sleep", {"seconds": 120})
        begun(mark)
        waiting = [engine.submit("double", {"number": number}) for number in range(5)]
        family = [child.pid for child in worker.family()]
        begun_seconds = time.monotonic()
        worker.stop()
        assert time.monotonic() - begun_seconds < settings.drain_seconds + 7
        assert engine.job(short).status == Status.SUCCESSFUL
        assert (engine.job(long).status, engine.job(long).reason) == (Status.FAILED, "stopped")
        assert {engine.job(job_id).status for job_id in waiting} == {Status.ACCEPTED}
        wait_until(lambda: all(map(is_gone, family)), 40, "the end of the family")
        next_worker = Worker(settings, tmp_path / "next.log")
        try:
            for number, job_id in enumerate(waiting):
                assert engine.value(engine.final(job_id)) == 2 * number
        finally:
            next_worker.stop()
        assert nothing_left(engine)


def test_two_hosts_and_two_workers_share_one_store(settings: Settings, tmp_path: Path) -> None:
    with (
        running_engine(settings, tmp_path, workers=2) as (first, _),
        running_host(settings, tmp_path) as second,
    ):
        wait_until(lambda: not second.host.readiness(), what="the second host")
        ids = [host.submit("double", {"number": number}) for number in range(20) for host in (first, second)]
        for job_id in ids:
            assert first.final(job_id).status == second.final(job_id).status == Status.SUCCESSFUL
        assert second.execute("double", {"number": 8}) == 16
        assert nothing_left(first)


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.long)])
def test_eaten_replies_do_no_harm(own_store: StoreServer, tmp_path: Path, seed: int) -> None:
    folder = Path(own_store.url.removeprefix("unix://")).parent
    proxy = StoreProxy(folder / "s", folder / "proxy", str(seed))
    settings = Settings(redis_url=proxy.url, slots=2, lease_seconds=2, tick_seconds=0.3)
    direct = Settings(redis_url=own_store.url)
    with running_engine(settings, tmp_path) as (engine, _), running_host(direct, tmp_path) as witness:
        proxy.shares["replies"] = 0.05
        accepted: list[str] = []
        until = time.monotonic() + 40
        while (proxy.done["ate replies"] <= 20 or len(accepted) < 3) and time.monotonic() < until:
            with contextlib.suppress(ServiceUnavailable, ResultNotAvailable):
                accepted.append(engine.submit("double", {"number": 4}))
                assert engine.execute("double", {"number": 4}) == 8
            time.sleep(0.002)
        proxy.heal()
        wait_until(lambda: nothing_left(witness), 20, "the end of all jobs")
        jobs = witness.jobs()
        assert len(accepted) >= 3
        assert {witness.job(job_id).status for job_id in accepted} == {Status.SUCCESSFUL}
        # What was taken and answered with 503 is dismissed by its host, or has ended before.
        assert {job.status for job in jobs} <= {Status.SUCCESSFUL, Status.DISMISSED}
        assert max(job.attempt for job in jobs) == 1
        assert proxy.done["ate replies"] > 20
    proxy.close()
