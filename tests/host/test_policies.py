"""What processes declare of their runs, kept by real workers: how many at once, in which queue, again or not."""

import os
import signal
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
import redis
from fastprocesses_host.ogc.jobs import Status
from fastprocesses_host.private_store import find_program
from fastprocesses_host.settings import Settings

from tests.chaos.traces import strays
from tests.host.engine import Engine, Worker, running_engine, running_host
from tests.host.plugins import install
from tests.support import StoreServer, short_folder, wait_until

RETRY_SECONDS = 0.3


@pytest.fixture(scope="module", autouse=True)
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = install(tmp_path_factory.mktemp("plugin"), {"processes_with_policies": ""})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        yield


@pytest.fixture
def settings(own_store: StoreServer) -> Settings:
    return settings_on(own_store)


def settings_on(store: StoreServer) -> Settings:
    return Settings(
        redis_url=store.url, slots=2, lease_seconds=2, tick_seconds=0.3, retry_seconds=RETRY_SECONDS
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "marks"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def engine(plugin: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One for all tests that harm no more than their own job."""
    with short_folder() as folder:
        store = StoreServer(str(find_program()), folder)
        try:
            with running_engine(settings_on(store), tmp_path_factory.mktemp("shared")) as (engine, _):
                yield engine
        finally:
            store.kill()


def begun(folder: Path, but: set[str]) -> str:
    """Wait until a job has begun that is none of these; give its id."""

    def others() -> set[str]:
        return {file.stem for file in folder.glob("*.begun")} - but

    wait_until(others, 40, "the next job")
    [job_id] = others()
    return job_id


def pid_of(folder: Path, job_id: str) -> int:
    return int((folder / f"{job_id}.begun").read_text())


def commands_in(engine: Engine, seconds: float) -> int:
    """How much the store is asked in some time."""
    with redis.Redis.from_url(engine.settings.redis_url) as client:
        client.config_resetstat()
        assert client.blpop(["nothing"], timeout=seconds) is None
        told = client.info("commandstats")
        asked = [f"cmdstat_{name}" for name in ("lpop", "evalsha", "blmove")]
        return sum(told[name]["calls"] for name in asked if name in told)


def test_no_more_jobs_run_at_once_than_declared_whatever_ends_them(
    settings: Settings, tmp_path: Path, folder: Path
) -> None:
    with running_engine(settings, tmp_path, workers=2) as (engine, workers):
        engine.execute("double", {"number": 1})
        idle = commands_in(engine, 2.0)
        ids = {engine.submit("alone", {"folder": str(folder)}) for _ in range(6)}
        seen = {begun(folder, set())}
        assert engine.execute("double", {"number": 2}) == 4  # those that wait hold nobody up
        assert commands_in(engine, 2.0) < 2 * idle + 40
        assert {engine.job(one).status for one in ids - seen} == {Status.ACCEPTED}

        [first] = seen
        (folder / f"{first}.go").touch()
        seen |= {second := begun(folder, seen)}
        engine.dismiss(second)
        seen |= {third := begun(folder, seen)}
        os.kill(pid_of(folder, third), signal.SIGKILL)
        seen |= {fourth := begun(folder, seen)}
        holder = next(
            one for one in workers if pid_of(folder, fourth) in [child.pid for child in one.executors()]
        )
        os.kill(holder.worker_process.pid, signal.SIGKILL)
        seen |= {fifth := begun(folder, seen)}
        [sixth] = ids - seen
        engine.dismiss(fifth)
        engine.dismiss(fifth)  # removed while its worker is inside still
        assert begun(folder, seen) == sixth
        (folder / "go").touch()

        ends = [engine.final(one) for one in (first, second, third, fourth, sixth)]
        told = [(job.status, job.reason) for job in ends]
        assert told == [
            (Status.SUCCESSFUL, ""),
            (Status.DISMISSED, ""),
            (Status.FAILED, "crashed"),
            (Status.FAILED, "worker-lost"),
            (Status.SUCCESSFUL, ""),
        ]
        assert not (folder / "violated").exists()
        wait_until(lambda: not strays(settings), 40, "tidiness")


def test_a_process_with_its_own_worker_starts_at_once_when_all_others_are_busy(
    settings: Settings, tmp_path: Path, folder: Path
) -> None:
    default = msgspec.structs.replace(settings, queues="default")
    own = msgspec.structs.replace(settings, queues="apart", slots=1)
    with running_engine(default, tmp_path) as (engine, _):
        worker = Worker(own, tmp_path / "own.log")
        try:
            busy = [engine.submit("together", {"folder": str(folder)}) for _ in range(4)]
            wait_until(lambda: len(list(folder.glob("*.begun"))) == 2, what="all slots to be busy")
            job_id = engine.submit("apart", {"folder": str(folder)})
            (folder / f"{job_id}.go").touch()
            assert engine.final(job_id).status == Status.SUCCESSFUL
            assert not any(engine.job(one).status.is_final for one in busy)
            (folder / "go").touch()
            assert engine.execute("apart", {"folder": str(folder)}) == "gone on"
            for one in busy:
                assert engine.final(one).status == Status.SUCCESSFUL
        finally:
            worker.stop()


def test_a_worker_serves_the_queues_it_was_told_and_offers_everything(
    settings: Settings, tmp_path: Path, folder: Path
) -> None:
    (folder / "go").touch()
    own = msgspec.structs.replace(settings, queues="apart,unheard-of")
    with running_host(settings, tmp_path) as engine:
        worker = Worker(own, tmp_path / "own.log")
        try:
            wait_until(lambda: not engine.host.readiness(), 20, "the engine")
            assert {"double", "apart", "together"} <= engine.host.catalog.processes.keys()
            waiting = engine.submit("double", {"number": 4})
            for _ in range(3):
                assert engine.execute("apart", {"folder": str(folder)}) == "gone on"
            assert engine.job(waiting).status == Status.ACCEPTED
            assert "unheard-of" in (tmp_path / "own.log").read_text()
        finally:
            worker.stop()
        everything = Worker(settings, tmp_path / "everything.log")
        try:
            assert engine.value(engine.final(waiting)) == 8
            assert engine.execute("apart", {"folder": str(folder)}) == "gone on"
        finally:
            everything.stop()


@pytest.mark.parametrize("how", ["raise", "crash"])
def test_a_run_that_fails_by_chance_is_repeated_after_ever_longer_waits(
    engine: Engine, mark: str, how: str
) -> None:
    job_id = engine.submit("flaky", {"mark": mark, "how": how, "times": 2})
    job = engine.final(job_id)
    begun_seconds = [float(line) for line in Path(mark).read_text().splitlines()]
    waits_seconds = [after - before for before, after in pairwise(begun_seconds)]
    assert (job.status, job.attempt, engine.value(job)) == (Status.SUCCESSFUL, 3, "done")
    assert waits_seconds[0] >= RETRY_SECONDS
    assert waits_seconds[1] >= 2 * RETRY_SECONDS
    assert [line["text"] for line in engine.log(job_id)].count(f"how: {how}") == 3
    assert not strays(engine.settings)


@pytest.mark.parametrize(
    ("how", "runs", "reason"),
    [
        ("raise", 3, "error"),
        ("crash", 3, "crashed"),
        ("declared", 1, "declared"),
        ("sleep", 1, "timeout"),
    ],
)
def test_a_run_is_repeated_as_often_as_declared_and_only_where_that_can_help(
    engine: Engine, mark: str, how: str, runs: int, reason: str
) -> None:
    job = engine.final(engine.submit("flaky", {"mark": mark, "how": how, "times": 9}))
    assert (job.status, job.reason, job.attempt) == (Status.FAILED, reason, runs)
    assert len(Path(mark).read_text().splitlines()) == runs


def test_a_run_that_needs_too_much_memory_is_not_repeated(engine: Engine, mark: str) -> None:
    job = engine.final(engine.submit("greedy", {"mark": mark}), 60)
    assert (job.status, job.reason, job.attempt) == (Status.FAILED, "memory", 1)
    assert len(Path(mark).read_text().splitlines()) == 1


def test_a_job_that_waits_for_another_attempt_tells_why_and_can_be_dismissed(
    own_store: StoreServer, tmp_path: Path, mark: str
) -> None:
    settings = Settings(redis_url=own_store.url, slots=2, retry_seconds=3600)
    with running_engine(settings, tmp_path) as (engine, _):
        job_id = engine.submit("flaky", {"mark": mark, "how": "crash", "times": 9})
        wait_until(lambda: engine.job(job_id).reason == "crashed", what="the crash")
        assert (engine.job(job_id).status, engine.job(job_id).attempt) == (Status.ACCEPTED, 1)
        assert engine.dismiss(job_id).status == Status.DISMISSED
        assert not strays(settings)


def test_who_waits_for_a_job_waits_for_its_other_attempts_too(engine: Engine, mark: str) -> None:
    assert engine.execute("flaky", {"mark": mark, "how": "crash", "times": 1}) == "done"


def test_a_stopped_worker_leaves_what_may_be_repeated_to_the_next(
    settings: Settings, tmp_path: Path, mark: str
) -> None:
    with running_engine(settings, tmp_path) as (engine, [worker]):
        job_id = engine.submit("sleep-again", {"seconds": 4, "mark": mark})
        wait_until(Path(mark).exists, what="the process")
        worker.stop()
        assert engine.job(job_id).status == Status.ACCEPTED
        following = Worker(settings, tmp_path / "next.log")
        try:
            assert engine.final(job_id, 40).status == Status.SUCCESSFUL
            assert Path(mark).read_text().splitlines() == ["run", "run"]
        finally:
            following.stop()


def test_a_run_over_its_time_may_tidy_up_before_it_is_killed(engine: Engine, mark: str) -> None:
    job = engine.final(engine.submit("tidy", {"mark": mark}))
    assert (job.status, job.reason) == (Status.FAILED, "timeout")
    assert Path(mark).read_text() == "tidied up"
