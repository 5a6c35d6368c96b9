"""A job tells what is news, and stops where it is told to."""

import asyncio
import decimal
import fractions
import pickle
import threading
from collections.abc import AsyncIterator
from typing import Any

import fastprocesses_sdk as fp
import pytest
from fastprocesses_sdk.executor.protocol import Frame, Log, Progress, encode_frame
from fastprocesses_sdk.executor.running import RunningJob, plain_fields
from hypothesis import given
from hypothesis import strategies as st


class Reports:
    def __init__(self, cancelled_after: int = 1000) -> None:
        self.told: list[tuple[int | None, str | None]] = []
        self.lines: list[tuple[str, str, dict[str, Any]]] = []
        self.left = cancelled_after

    def progress(self, percent: int | None, message: str | None) -> None:
        self.told.append((percent, message))

    def log(self, level: str, text: str, fields: dict[str, Any]) -> None:
        self.lines.append((level, text, fields))

    def cancelled(self) -> bool:
        self.left -= 1
        return self.left < 0


@pytest.mark.parametrize(
    ("percent", "told"),
    [
        *((0, 0), (12.7, 12), (100, 100), (-5, 0), (250, 100)),
        *((float("inf"), 100), (float("-inf"), 0), (10**400, 100), (-(10**400), 0), (True, 1)),
        *((decimal.Decimal("12.5"), 12), (fractions.Fraction(1, 3), 0)),
    ],
)
def test_progress_is_a_whole_number_up_to_100(percent, told):
    reports = Reports()

    fp.Job(reporter=reports).progress(percent)

    assert reports.told == [(told, None)]


def test_progress_that_is_no_number_tells_only_its_message():
    reports = Reports()

    fp.Job(reporter=reports).progress(float("nan"), "lost")

    assert reports.told == [(None, "lost")]


@pytest.mark.parametrize("percent", ["50", None, [50], b"5", object()])
def test_progress_is_a_number(percent):
    with pytest.raises(TypeError, match="Progress is a number from 0 to 100"):
        fp.Job(reporter=Reports()).progress(percent)


def test_messages_are_texts_whatever_they_are():
    reports = Reports()
    job = fp.Job(reporter=reports)

    job.message(5)  # type: ignore[arg-type]
    job.message("")
    job.message("5")
    job.progress(1, None)  # type: ignore[arg-type]
    job.log(ValueError("odd"))  # type: ignore[arg-type]

    assert reports.told == [(None, "5"), (None, ""), (None, "5"), (1, None)]
    assert reports.lines == [("info", "odd", {})]


def test_only_news_is_told():
    reports = Reports()
    job = fp.Job(reporter=reports)

    job.progress(10, "a")
    job.progress(10.9, "a")
    job.progress(11, "a")
    job.message("a")
    job.message("b")

    assert reports.told == [(10, "a"), (11, None), (None, "b")]


def test_tracking_goes_from_0_to_100():
    reports = Reports()

    assert list(fp.Job(reporter=reports).track("abcd", "spelling")) == ["a", "b", "c", "d"]
    assert reports.told == [(None, "spelling"), (0, None), (25, None), (50, None), (75, None), (100, None)]


def test_tracking_without_a_length_tells_only_the_message():
    reports = Reports()

    assert list(fp.Job(reporter=reports).track(iter("ab"), "spelling")) == ["a", "b"]
    assert reports.told == [(None, "spelling")]


class Lazy(list[int]):
    def __len__(self) -> int:
        raise RuntimeError("not known yet")


@pytest.mark.parametrize(
    ("items", "total", "told"),
    [
        (iter("ab"), 2, [0, 50, 100]),
        (iter("ab"), 1, [0, 100]),
        (iter("ab"), 8, [0, 12, 100]),
        (iter("ab"), 0, []),
        (iter("ab"), -5, [0, 100]),
        ([], None, []),
        (Lazy([1, 2]), None, []),
        ({"a": 1}, None, [0, 100]),
        (range(10**30), None, []),
    ],
)
def test_tracking_makes_the_best_of_the_total(items, total, told):
    reports = Reports()
    for number, _ in enumerate(fp.Job(reporter=reports).track(items, total=total)):
        if number == 5:
            break

    assert [percent for percent, _ in reports.told] == told


def test_a_loop_that_is_left_early_leaves_the_progress():
    reports = Reports()
    closed = []

    def items():
        try:
            yield from range(4)
        finally:
            closed.append(True)

    for item in fp.Job(reporter=reports).track(items(), total=4):
        if item == 2:
            break

    assert [percent for percent, _ in reports.told] == [0, 25, 50]
    assert closed == [True]


def test_what_goes_wrong_inside_passes():
    def items():
        yield 1
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        list(fp.Job(reporter=Reports()).track(items()))
    with pytest.raises(TypeError, match="not iterable"):
        list(fp.Job(reporter=Reports()).track(5))  # type: ignore[call-overload]


async def numbers(count: int) -> AsyncIterator[int]:
    for number in range(count):
        await asyncio.sleep(0)
        yield number


def test_async_iterables_are_tracked_too():
    reports = Reports()
    job = fp.Job(reporter=reports)

    async def collect() -> list[int]:
        return [number async for number in job.track(numbers(4), "counting", total=4)]

    assert asyncio.run(collect()) == [0, 1, 2, 3]
    assert reports.told == [(None, "counting"), (0, None), (25, None), (50, None), (75, None), (100, None)]


def test_async_tracking_stops_where_the_job_is_cancelled():
    job = fp.Job(reporter=Reports(cancelled_after=2))
    seen = []

    async def collect() -> None:
        async for number in job.track(numbers(10)):
            seen.append(number)  # noqa: PERF401 - what was seen before matters

    with pytest.raises(fp.JobCancelled):
        asyncio.run(collect())
    assert seen == [0, 1]


def test_tracking_stops_where_the_job_is_cancelled():
    seen = []
    with pytest.raises(fp.JobCancelled):
        seen.extend(fp.Job(reporter=Reports(cancelled_after=2)).track(range(10)))

    assert not issubclass(fp.JobCancelled, Exception)


def test_a_line_of_the_log_has_a_level_and_fields():
    reports = Reports()

    fp.Job(reporter=reports).log("Slow.", "warning", seconds=3)

    assert reports.lines == [("warning", "Slow.", {"seconds": 3})]
    with pytest.raises(ValueError, match="level"):
        fp.Job(reporter=reports).log("Slow.", "loud")  # type: ignore[arg-type]


def test_no_job_is_harmless():
    fp.NO_JOB.progress(50, "half")
    fp.NO_JOB.log("nothing")
    fp.NO_JOB.check_cancelled()

    assert list(fp.NO_JOB.track([1, 2])) == [1, 2]
    assert (fp.NO_JOB.id, fp.NO_JOB.cancelled, fp.NO_JOB.format("result")) == ("", False, "")
    assert fp.NO_JOB.workdir.is_dir()
    assert fp.NO_JOB.workdir == fp.NO_JOB.workdir


def test_each_run_of_a_job_without_a_folder_makes_one():
    @fp.process
    def where(*, job: fp.Job = fp.NO_JOB) -> str:
        return str(job.workdir)

    job = fp.Job()
    folders = {where.run({}, job)["result"].data for _ in range(2)}
    assert len(folders) == 2


def test_no_job_is_harmless_in_async_code_and_for_nonsense():
    async def collect() -> list[int]:
        return [number async for number in fp.NO_JOB.track(numbers(2))]

    fp.NO_JOB.progress(float("nan"))
    fp.NO_JOB.message("x" * 10_000_000)
    fp.NO_JOB.log("odd", "error", field=object())

    assert asyncio.run(collect()) == [0, 1]


def test_plain_calls_share_one_folder_from_any_thread():
    job = fp.Job()
    found = []
    threads = [threading.Thread(target=lambda: found.append(job.workdir)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(found)) == 1


def test_a_pickled_job_knows_its_folder_and_tells_nobody(tmp_path):
    reports = Reports(cancelled_after=0)
    job = fp.Job(id="j", workdir=tmp_path, reporter=reports, formats={"result": "a/b"})
    copy: fp.Job = pickle.loads(pickle.dumps(job))
    copy.progress(5)

    assert (copy.id, copy.workdir, copy.format("result"), copy.cancelled) == ("j", tmp_path, "a/b", False)
    assert reports.told == []


def test_the_folder_is_the_one_given(tmp_path):
    assert fp.Job(workdir=tmp_path).workdir == tmp_path


# On the way to the worker


class Started:
    job, claim = "j", "c"


def sent_by(tell: Any) -> list[Frame]:
    frames: list[Frame] = []

    def send(frame: Frame) -> None:
        encode_frame(frame)
        frames.append(frame)

    running = RunningJob(send, Started)  # type: ignore[arg-type]
    tell(fp.Job(reporter=running), running)
    running.end()
    return frames


def test_what_comes_too_fast_is_thinned_out_and_the_last_is_told():
    def tell(job: fp.Job, _: RunningJob) -> None:
        for step in range(10_000):
            job.progress(step / 100, f"step {step}")

    frames = sent_by(tell)

    assert len(frames) < 1000
    assert frames[-1] == Progress("j", "c", 99, "step 9999")


def test_nothing_is_told_after_the_end():
    def tell(job: fp.Job, running: RunningJob) -> None:
        running.end()
        job.progress(50)
        job.log("late")
        assert job.cancelled

    assert sent_by(tell) == []


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.complex_numbers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(text=st.text(), fields=st.dictionaries(st.text(), anything, max_size=5))
def test_any_line_can_be_sent(text, fields):
    (frame,) = sent_by(lambda _, running: running.log("info", text, fields))

    assert isinstance(frame, Log)
    assert len(frame.fields) <= len(fields)
    assert all(isinstance(value, str | int | float | None) for value in frame.fields.values())


class NoText:
    def __str__(self) -> str:
        raise RuntimeError


class OwnInteger(int):
    def __str__(self) -> str:
        return "never asked"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (5, 5),
        (OwnInteger(5), 5),
        (2**53, 2**53),
        (2**63, "9223372036854775808"),
        pytest.param(10**5000, "<int>", id="many digits"),
        (0.5, 0.5),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (True, True),
        (None, None),
        ("x" * 5000, "x" * 2048),
        ("\ud800", "?"),
        ([1], "[1]"),
        (NoText(), "<NoText>"),
        (fp.Secret("hidden"), "***"),
    ],
)
def test_fields_are_sent_as_what_they_are_or_their_text(value, told):
    assert plain_fields({"field": value}) == {"field": told}
