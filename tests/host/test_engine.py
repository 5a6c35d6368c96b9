"""Jobs run by a real worker with real executors: what they do to it, and how they are stopped."""

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
from fastprocesses_host.engine.precedence import SESSION_NICE, Precedence
from fastprocesses_host.ogc.exceptions import ProcessFailed
from fastprocesses_host.ogc.jobs import Status
from fastprocesses_host.settings import Settings

from tests.acceptance.service import kill_all
from tests.host.engine import Engine, Worker, begun, is_gone, running_engine
from tests.support import StoreServer, wait_until

WAYS = {Status.SUCCESSFUL: "job ended", Status.FAILED: "job failed"}
SLACK_SECONDS = 8
"""For a busy machine."""


@pytest.fixture(scope="module")
def running(
    embedded_store: StoreServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Engine, list[Worker]]]:
    folder = tmp_path_factory.mktemp("engine")
    settings = Settings(
        redis_url=embedded_store.url,
        key_prefix="engine",
        slots=2,
        value_store_url=f"file://{folder}/values",
    )
    with running_engine(settings, folder) as started:
        yield started


@pytest.fixture
def engine(running: tuple[Engine, list[Worker]]) -> Engine:
    return running[0]


@pytest.fixture
def worker(running: tuple[Engine, list[Worker]]) -> Worker:
    return running[1][0]


def test_a_job_is_executed(engine: Engine) -> None:
    assert engine.execute("double", {"number": 21}) == 42
    job = engine.final(engine.submit("double", {"number": 4}))
    assert (job.status, job.progress, engine.value(job)) == (Status.SUCCESSFUL, 100, 8)


@pytest.mark.parametrize("process_id", ["sleep", "sleep_async", "hold-the-gil", "family"])
def test_dismissing_stops_whatever_runs(engine: Engine, worker: Worker, mark: str, process_id: str) -> None:
    process_id = process_id.replace("_", "-")
    inputs = {"mark": mark} | ({} if process_id == "hold-the-gil" else {"seconds": 60})
    job_id = engine.submit(process_id, inputs)
    begun(mark)
    pid = int(Path(mark).read_text())
    assert engine.dismiss(job_id).status == Status.DISMISSED
    wait_until(lambda: is_gone(pid), 3 + SLACK_SECONDS, "the end of the executor")
    if process_id == "family":
        for name in ("child", "daemon"):
            wait_until(
                lambda name=name: is_gone(int(Path(f"{mark}.{name}").read_text())), SLACK_SECONDS, name
            )
    if process_id == "sleep-async":
        assert Path(mark + ".cancelled").exists()
    assert engine.job(job_id).status == Status.DISMISSED
    assert engine.execute("double", {"number": 1}) == 2


@pytest.mark.parametrize("kind", ["sleep", "c", "stubborn"])
def test_a_time_limit_stops_whatever_runs(engine: Engine, kind: str) -> None:
    begun_seconds = time.monotonic()
    job = engine.final(engine.submit("too-long", {"kind": kind}))
    assert time.monotonic() - begun_seconds < 1 + 3 + SLACK_SECONDS
    assert (job.status, job.reason, job.problem.status) == (Status.FAILED, "timeout", 504)


@pytest.mark.parametrize(
    ("how", "reason", "told"),
    [
        ("segfault", "crashed", "SIGSEGV"),
        ("abort", "crashed", "SIGABRT"),
        ("kill", "crashed", "SIGKILL"),
        ("exit", "crashed", "exited with code 7"),
        ("recursion", "error", "error of its own"),
        ("sys.exit", "error", "error of its own"),
        ("interrupt", "error", "interrupted itself"),
        ("raise", "error", "error of its own"),
        ("declared", "declared", "The number is odd."),
    ],
)
def test_a_crash_fails_its_job_and_no_other(engine: Engine, how: str, reason: str, told: str) -> None:
    job = engine.final(engine.submit("crash", {"how": how}))
    assert (job.status, job.reason) == (Status.FAILED, reason)
    assert told in job.problem.detail
    assert "secret" not in str(job.problem)
    assert engine.execute("double", {"number": 3}) == 6


def test_a_declared_problem_reaches_the_caller(engine: Engine) -> None:
    with pytest.raises(ProcessFailed) as caught:
        engine.execute("crash", {"how": "declared"})
    assert (caught.value.status, caught.value.title) == (422, "Odd")
    assert caught.value.errors == [{"pointer": "/inputs/how", "detail": "The number is odd."}]


def test_the_traceback_reaches_the_operator(engine: Engine, worker: Worker) -> None:
    job_id = engine.submit("crash", {"how": "raise"})
    engine.final(job_id)
    wait_until(lambda: "secret of the operator" in worker.log_file.read_text(), what="the log line")
    assert job_id in worker.log_file.read_text()


def test_the_operator_is_told_of_every_job_that_ended(engine: Engine, worker: Worker) -> None:
    """Of one whose slot has another job at once too, with its own id and the time that it ended."""
    jobs = [engine.submit("double", {"number": number}) for number in range(12)]
    jobs.insert(5, engine.submit("crash", {"how": "declared"}))
    ends = {job_id: engine.final(job_id) for job_id in jobs}

    def told() -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in worker.log_file.read_text().splitlines() if '"job_id"' in line]
        return [line for line in lines if line["job_id"] in ends and line["message"] in WAYS.values()]

    wait_until(lambda: len(told()) >= len(jobs), what="the lines")
    assert sorted(line["job_id"] for line in told()) == sorted(jobs)
    for line in told():
        job = ends[line["job_id"]]
        assert line["message"] == WAYS[job.status]
        assert line["process"] == job.process_id
        time_ms = datetime.fromisoformat(line["time"]).timestamp() * 1000
        assert job.created <= time_ms <= job.finished + 10_000


def test_a_memory_limit_ends_the_job(engine: Engine) -> None:
    job = engine.final(engine.submit("eat-memory"))
    assert (job.status, job.reason) == (Status.FAILED, "memory")
    assert "200 MB" in job.problem.detail


def test_progress_and_message_are_seen_while_it_runs(engine: Engine, mark: str) -> None:
    job_id = engine.submit("step", {"mark": mark})
    wait_until(lambda: engine.job(job_id).progress == 40, what="the progress")
    assert (engine.job(job_id).status, engine.job(job_id).message) == (Status.RUNNING, "two fifths")
    Path(mark).touch()
    assert engine.final(job_id).progress == 100


def test_what_a_job_changes_around_it_is_restored(engine: Engine) -> None:
    assert engine.execute("talk", {}) == "no store here"
    for _ in range(3):
        left_behind, cwd, _ = engine.execute("surroundings")
        assert left_behind == ""
        assert "fastprocesses-" in cwd
        assert list(Path(cwd).iterdir()) == []


def test_what_is_printed_and_logged_is_in_the_job_s_log(engine: Engine) -> None:
    job = engine.final(engine.submit("talk", {"lines": 2}))
    lines = engine.log(job.id)
    assert all(line.pop("time") >= job.created for line in lines)
    assert {"level": "info", "text": "line 0"} in lines
    assert {"level": "info", "text": "structured", "fields": {"number": 2}} in lines


def test_large_values_go_through_files(engine: Engine) -> None:
    job = engine.final(engine.submit("large", {"megabytes": 3}))
    assert job.outputs["result"].location.startswith("file:")
    assert len(engine.value(job)) == 3 * 1024 * 1024
    assert engine.execute("swallow", {"text": "x" * 2_000_000}) == 2_000_000
    engine.dismiss(job.id)
    wait_until(
        lambda: not list(Path(f"{engine.folder}/values").rglob("*.*")), what="the deletion of the values"
    )


def test_an_executor_is_used_again(engine: Engine) -> None:
    pids = {engine.execute("surroundings")[2] for _ in range(5)}
    assert len(pids) <= 2


def test_a_killed_executor_fails_its_job(engine: Engine, worker: Worker, mark: str) -> None:
    job_id = engine.submit("family", {"seconds": 60, "mark": mark})
    begun(mark)
    os.kill(int(psutil.Process(int(Path(mark).read_text())).pid), signal.SIGKILL)
    job = engine.final(job_id, 10)
    assert (job.status, job.reason) == (Status.FAILED, "crashed")
    for name in ("child", "daemon"):
        wait_until(lambda name=name: is_gone(int(Path(f"{mark}.{name}").read_text())), 3, name)


@pytest.mark.parametrize(
    ("how", "status"), [("remove", "successful"), ("files", "successful"), ("long", "successful")]
)
def test_litter_leaks_no_executor(engine: Engine, worker: Worker, how: str, status: str) -> None:
    for _ in range(4):
        job = engine.final(engine.submit("litter", {"how": how}))
        assert job.status == status
        assert len(job.message) <= 1000
    assert engine.execute("double", {"number": 1}) == 2
    wait_until(lambda: len(worker.executors()) <= 2, what="no more executors than slots")
    _, cwd, _ = engine.execute("surroundings")
    assert list(Path(cwd).iterdir()) == []


def test_an_exception_that_raises_whatever_is_asked_of_it_fails_its_job_only(engine: Engine) -> None:
    job = engine.final(engine.submit("spoil", {"what": "unspeakable"}))
    assert (job.status, job.reason) == (Status.FAILED, "error")


@pytest.mark.parametrize("how", ["surrogate", "own kind"])
def test_odd_texts_and_exceptions_fail_their_job_only(engine: Engine, how: str) -> None:
    job = engine.final(engine.submit("litter", {"how": how}))
    assert (job.status, job.reason) == (Status.FAILED, "error")
    assert engine.execute("double", {"number": 3}) == 6


@pytest.mark.parametrize(
    "what",
    [
        "umask",
        "streams",
        "detached",
        "descriptors",
        "redirection",
        "reopening",
        "wrapper",
        "signals",
        "switches",
        "locale",
    ],
)
def test_the_next_job_finds_everything_in_its_place(engine: Engine, what: str) -> None:
    for _ in range(3):  # more than there are executors
        assert engine.execute("spoil", {"what": what}) == "spoilt"
    for _ in range(3):
        job = engine.final(engine.submit("look"))
        assert engine.value(job) == []
        assert "heard" in [line["text"] for line in engine.log(job.id)]


def test_what_a_stream_of_a_job_kept_back_is_in_its_log(engine: Engine) -> None:
    for _ in range(3):
        job = engine.final(engine.submit("spoil", {"what": "wrapper"}))
        assert [line["text"] for line in engine.log(job.id)] == ["kept back"]


def test_a_last_line_without_an_end_is_in_the_log_of_its_job_alone(engine: Engine) -> None:
    for _ in range(3):
        job = engine.final(engine.submit("spoil", {"what": "unended"}))
        assert {line["text"] for line in engine.log(job.id)} == {"without an end", "nor has this"}
    for _ in range(3):
        job = engine.final(engine.submit("look"))
        assert [line["text"] for line in engine.log(job.id)] == ["heard"]


def test_the_original_speaks_for_a_copy_of_itself(engine: Engine, worker: Worker) -> None:
    for _ in range(3):
        assert engine.execute("spoil", {"what": "fork"}) == "original"
    assert engine.execute("double", {"number": 3}) == 6


def test_a_spoilt_executor_is_not_used_for_ever(engine: Engine) -> None:
    for _ in range(2):
        engine.final(engine.submit("spoil", {"what": "modules"}))
    ended = [engine.final(engine.submit("double", {"number": 3})).status for _ in range(8)]
    assert ended[-1] == Status.SUCCESSFUL


@pytest.mark.parametrize(
    ("how", "told"), [("name", "error of its own"), ("elsewhere", "not in the job's folder")]
)
def test_a_file_that_cannot_be_taken_fails_its_job(engine: Engine, how: str, told: str) -> None:
    job = engine.final(engine.submit("mislay", {"how": how}))
    assert (job.status, job.reason) == (Status.FAILED, "error")
    assert told in job.problem.detail


def test_what_was_opened_at_the_start_serves_the_jobs(engine: Engine) -> None:
    for _ in range(3):
        assert engine.execute("ask-client") == "answered"
        assert engine.execute("tasks") == 0


def test_idle_executors_that_were_killed_cost_nobody_a_job(engine: Engine, worker: Worker) -> None:
    engine.execute("double", {"number": 1})
    kill_all(worker.executors())
    assert engine.execute("double", {"number": 5}) == 10


def test_executors_are_the_last_in_line_for_the_machine(engine: Engine, worker: Worker, mark: str) -> None:
    job_id = engine.submit("sleep", {"mark": mark, "seconds": 60})
    begun(mark)
    pid = int(Path(mark).read_text())
    assert psutil.Process(pid).nice() > worker.worker_process.nice()
    assert int(Path(f"/proc/{pid}/oom_score_adj").read_text()) >= 500
    engine.dismiss(job_id)


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="there is no sharing by session")
def test_the_session_of_an_executor_yields_while_its_jobs_are_long(engine: Engine, mark: str) -> None:
    def nice_after(process: str, seconds: float) -> int:
        engine.execute(process, {"mark": mark, "seconds": seconds})
        return nice()

    def nice() -> int:
        return int(Path(f"/proc/{Path(mark).read_text()}/autogroup").read_text().rsplit(maxsplit=1)[1])

    wait_until(lambda: nice_after("sleep", 0) == 0, what="the place of an executor of short jobs")
    wait_until(lambda: nice_after("burn", 0.05) == SESSION_NICE, what="the yielding after a long job")
    wait_until(lambda: nice_after("sleep", 0) == 0, what="the place that it had")
    job_id = engine.submit("sleep", {"mark": mark, "seconds": 60})
    wait_until(lambda: nice() == SESSION_NICE, what="the yielding while a job runs")
    engine.dismiss(job_id)


def test_a_place_is_asked_for_until_the_kernel_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[type[OSError] | None] = [BlockingIOError, BlockingIOError, None, BlockingIOError, None]
    written: list[tuple[str, str]] = []

    def write(file: Path, text: str, encoding: str) -> None:
        written.append((str(file), text))
        if (error := answers.pop(0)) is not None:
            raise error

    monkeypatch.setattr(Path, "write_text", write)
    precedence = Precedence(os.getpid())
    for _ in range(5):
        precedence.yield_session()
    precedence.job_ended()
    for _ in range(4):
        precedence.job_ended()
    group = f"/proc/{os.getpid()}/autogroup"
    assert written == [(group, str(nice)) for nice in (SESSION_NICE,) * 3 + (0, 0)]


def test_a_system_without_sessions_in_its_shares_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def write(file: Path, text: str, encoding: str) -> None:
        asked.append(text)
        raise FileNotFoundError(file)

    monkeypatch.setattr(Path, "write_text", write)
    precedence = Precedence(os.getpid())
    for _ in range(3):
        precedence.yield_session()
        precedence.job_ended()
    assert asked == [str(SESSION_NICE)]


def test_a_stopped_executor_is_ended_by_a_dismissal(engine: Engine, worker: Worker) -> None:
    engine.execute("double", {"number": 1})
    executors = worker.executors()
    for executor in executors:
        executor.suspend()
    job_id = engine.submit("swallow", {"text": "x" * 900_000})
    wait_until(lambda: engine.job(job_id).status == Status.RUNNING, what="the claim")
    begun_seconds = time.monotonic()
    engine.dismiss(job_id)
    wait_until(lambda: any(is_gone(executor.pid) for executor in executors), 15, "the end of the executor")
    assert time.monotonic() - begun_seconds < 3 + SLACK_SECONDS
    for executor in executors:
        with contextlib.suppress(psutil.Error):
            executor.resume()
    assert engine.execute("double", {"number": 5}) == 10
