"""What a process tells of its job, and how it fails, in a real executor: it arrives, and does no harm."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastprocesses_host.ogc.exceptions import InvalidParameterValue, ProcessFailed
from fastprocesses_host.ogc.jobs import AskedOutput, AskedResults, Status
from fastprocesses_host.settings import Settings

from tests.host.engine import Engine, Worker, begun, running_engine
from tests.host.plugins import install
from tests.support import StoreServer, wait_until


@pytest.fixture(scope="module")
def running(
    embedded_store: StoreServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Engine, list[Worker]]]:
    folder = tmp_path_factory.mktemp("reports")
    settings = Settings(redis_url=embedded_store.url, key_prefix="reports", slots=2, log_level="debug")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(
            "PYTHONPATH",
            str(install(folder / "plugins", {"processes_that_report": "", "processes_in_files": ""})),
        )
        with running_engine(settings, folder) as started:
            yield started


@pytest.fixture
def engine(running: tuple[Engine, list[Worker]]) -> Engine:
    return running[0]


@pytest.fixture
def worker(running: tuple[Engine, list[Worker]]) -> Worker:
    return running[1][0]


def operator_lines(worker: Worker, job_id: str) -> list[dict[str, Any]]:
    """What the worker's log has of a job."""
    lines = [json.loads(line) for line in worker.log_file.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line.get("job_id") == job_id]


def test_everything_a_job_offers_works(engine: Engine, worker: Worker, mark: str) -> None:
    job_id = engine.submit("tell-all", {"mark": mark})
    wait_until(lambda: engine.job(job_id).message == "waiting", what="the message")
    assert engine.job(job_id).progress == 50
    Path(mark).touch()
    job = engine.final(job_id)
    told = engine.value(job)

    assert told["id"] == job_id
    assert (told["cancelled"], told["files"], told["format"]) == (False, ["file"], "")
    assert told["workdir"] == told["here"]
    assert not Path(told["workdir"], "file").exists()


def test_a_line_reaches_the_job_s_log_and_the_operator_s_with_its_level(
    engine: Engine, worker: Worker, mark: str
) -> None:
    Path(mark).touch()
    job_id = engine.submit("tell-all", {"mark": mark})
    engine.final(job_id)
    fields = {"place": "here", "count": 3, "share": 0.5, "sure": True, "nothing": None}
    kept = {line["text"]: line for line in engine.log(job_id)}
    wait_until(lambda: "At error." in str(operator_lines(worker, job_id)), what="the operator's lines")
    told = {line["message"]: line for line in operator_lines(worker, job_id)}

    for lines in (kept, told):
        assert lines["A line."]["fields"] == fields
        levels = [lines[f"At {level}."]["level"] for level in ("debug", "info", "warning", "error")]
        assert levels == ["debug", "info", "warning", "error"]
    assert told["A line."]["process"] == "tell-all"


@pytest.mark.parametrize("media_type", ["text/plain", "text/csv"])
def test_the_process_learns_the_format_that_is_wanted(engine: Engine, media_type: str) -> None:
    asked = AskedResults(outputs={"result": AskedOutput(media_type=media_type)})
    job = engine.final(engine.submit("formatted", asked=asked))

    assert job.outputs["result"].media_type == media_type
    assert engine.text(job) == media_type


def test_nonsense_is_told_as_well_as_it_can_be(engine: Engine) -> None:
    job = engine.final(engine.submit("tell-nonsense"))
    lines = {line["text"][:20]: line for line in engine.log(job.id)}
    odd = lines["Odd fields."]["fields"]

    assert (job.status, job.message) == (Status.SUCCESSFUL, "lone ? surrogate")
    assert len(lines["l" * 20]["text"]) == 8192
    assert odd["nan"] == "nan"
    assert odd["longer"] == "1" + "0" * 30
    assert (odd["huge"], odd["odd"]) == ("<int>", "<Unprintable>")
    assert odd["nested"] == "{'a': [1, {2}]}"
    assert odd["secret"] == "***"
    assert len(odd["story"]) <= 2048
    assert "do not tell" not in str(engine.log(job.id))
    assert len(lines["Many fields."]["fields"]) == 64


def test_a_flood_is_capped(engine: Engine) -> None:
    job = engine.final(engine.submit("tell-too-much", {"lines": 20_000}), 40)

    assert (job.status, job.progress) == (Status.SUCCESSFUL, 100)
    assert len(engine.log(job.id)) == engine.settings.max_log_lines
    assert engine.log(job.id)[-1]["text"] == "The log is full; later lines are dropped."


def test_threads_may_tell(engine: Engine) -> None:
    job = engine.final(engine.submit("tell-from-threads", {"threads": 8}))

    assert job.status == Status.SUCCESSFUL
    assert sum(line["text"] == "From a thread." for line in engine.log(job.id)) == 160


def test_async_tasks_may_track(engine: Engine) -> None:
    job = engine.final(engine.submit("track-async"))

    assert engine.value(job) == [0, 1, 2, 3, 4] * 2
    assert job.message == "counting"


def test_what_child_processes_tell_does_no_harm(engine: Engine) -> None:
    job = engine.final(engine.submit("tell-from-children"))

    assert engine.value(job) == [True] * 5
    assert job.message == "from the parent"
    assert engine.log(job.id) == []


def test_a_thread_that_is_left_behind_tells_no_other_job_anything(engine: Engine, mark: str) -> None:
    job_id = engine.submit("leave-a-thread", {"mark": mark})
    assert engine.final(job_id).status == Status.SUCCESSFUL
    begun(mark)
    lines = len(engine.log(job_id))

    for _ in range(4):
        next_id = engine.submit("track-async")
        assert engine.final(next_id).message == "counting"
        assert engine.log(next_id) == []
    assert len(engine.log(job_id)) == lines


def test_a_process_may_ask_whether_it_was_cancelled(engine: Engine, mark: str) -> None:
    job_id = engine.submit("swallow-the-interrupt", {"mark": mark})
    begun(mark)
    engine.dismiss(job_id)

    begun(mark + ".cancelled")
    assert engine.job(job_id).status == Status.DISMISSED


# Errors

NOT_FOUND = ("Nothing there", 404, "https://example.org/nothing-there", "There is no parcel.")
DECLARED = {
    "plain": ("The process refused", 400, "about:blank", "Too far."),
    "whole": ("Far", 422, "https://example.org/far", "Too far."),
    "odd input": ("The process refused", 400, "about:blank", "Too far."),
    "server": ("The process refused", 503, "about:blank", "The tiles are away."),
    "subclass": NOT_FOUND,
    "thread": NOT_FOUND,
    "process": NOT_FOUND,
    "careless": ("The process refused", 500, "about:blank", "5"),
    "surrogate": ("?", 400, "about:blank", "lone ? surrogate"),
}
POINTERS = {"whole": "/inputs/how", "odd input": "/inputs/a~1b~0c", "subclass": "/inputs/how"}


@pytest.mark.parametrize("how", DECLARED)
def test_what_a_process_declares_reaches_its_caller(engine: Engine, how: str) -> None:
    title, status, type_, detail = DECLARED[how]
    job = engine.final(engine.submit("refuse", {"how": how}))

    assert (job.status, job.reason) == (Status.FAILED, "declared")
    assert (job.problem.title, job.problem.status, job.problem.type) == (title, status, type_)
    assert job.problem.detail == detail
    if how in POINTERS:
        assert job.problem.errors == [{"pointer": POINTERS[how], "detail": detail}]
    with pytest.raises(ProcessFailed) as caught:
        engine.execute("refuse", {"how": how})
    assert (caught.value.status, caught.value.title, caught.value.detail) == (status, title, detail)


@pytest.mark.parametrize("how", ["plain", "group"])
def test_what_async_code_declares_reaches_its_caller(engine: Engine, how: str) -> None:
    job = engine.final(engine.submit("refuse-async", {"how": how}))

    told = job.problem
    assert (told.title, told.status, told.type, told.detail) == NOT_FOUND


def test_a_long_story_is_cut(engine: Engine) -> None:
    job = engine.final(engine.submit("refuse", {"how": "long"}))

    assert (len(job.problem.detail), len(job.problem.title)) == (4000, 4000)


BUGS = {
    "status 200": "whole number from 400 to 599, not 200",
    "status 99": "whole number from 400 to 599, not 99",
    "status x": "whole number from 400 to 599, not 'x'",
    "cause": "hidden from the caller",
    "group with a bug": "hidden from the caller",
}


@pytest.mark.parametrize("how", BUGS)
def test_a_bug_is_told_to_the_operator_alone(engine: Engine, worker: Worker, how: str) -> None:
    job = engine.final(engine.submit("refuse", {"how": how}))
    wait_until(lambda: BUGS[how] in str(operator_lines(worker, job.id)), what="the operator's line")
    (line,) = [line for line in operator_lines(worker, job.id) if line["message"] == "process raised"]

    assert (job.status, job.reason, job.problem.status) == (Status.FAILED, "error", 500)
    assert BUGS[how] not in str(job.problem) + str(engine.log(job.id))
    assert line["level"] == "error"
    assert "Traceback (most recent call last)" in line["exception"]
    assert "processes_that_report.py" in line["exception"]
    assert job.id in job.problem.detail


# Described in files


def test_what_a_file_describes_is_offered_checked_and_run(engine: Engine) -> None:
    told = engine.host.catalog.get("grow").description

    assert (told.title, told.description, told.keywords) == (
        "Grow",
        "Multiplies, as the file says.",
        ["growth", "on"],
    )
    assert told.inputs["distance"].title == "How far"
    assert told.outputs["result"].description == "What came of it."
    assert engine.execute("grow", dict(told.example["inputs"])) == 14
    assert engine.execute("grow", {"distance": 100, "steps": 3}) == 300
    for inputs in ({"distance": 101}, {"distance": 0}, {"distance": 1, "steps": 4}, {}):
        with pytest.raises(InvalidParameterValue):
            engine.submit("grow", inputs)


def test_a_class_that_a_file_describes_is_offered_checked_and_run(engine: Engine) -> None:
    job = engine.final(engine.submit("grow-by-hand", {"distance": 5}))

    assert (engine.value(job), engine.text(job, "format")) == (10, "text/plain")
    assert engine.host.catalog.get("grow-by-hand").description.description == "Multiply, described by hand."
    with pytest.raises(InvalidParameterValue):
        engine.submit("grow-by-hand", {"distance": 101})
