"""A job tells what is news, and stops where it is told to."""

from typing import Any

import fastprocesses_sdk as fp
import pytest


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
    ("percent", "told"), [(0, 0), (12.7, 12), (100, 100), (-5, 0), (250, 100), (float("inf"), 100)]
)
def test_progress_is_a_whole_number_up_to_100(percent, told):
    reports = Reports()

    fp.Job(reporter=reports).progress(percent)

    assert reports.told == [(told, None)]


def test_progress_that_is_no_number_tells_only_its_message():
    reports = Reports()

    fp.Job(reporter=reports).progress(float("nan"), "lost")

    assert reports.told == [(None, "lost")]


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


def test_the_folder_is_the_one_given(tmp_path):
    assert fp.Job(workdir=tmp_path).workdir == tmp_path
