"""A mix of jobs while everything is harmed at random, by seed: every job ends, nothing is left, nobody is lied to."""

import pytest

from tests.chaos.trial import run


@pytest.mark.parametrize(
    ("seed", "events"),
    [(3, 10), pytest.param(1, 1000, marks=[pytest.mark.long, pytest.mark.timeout(7200)])],
)
def test_every_job_ends_whatever_happens(seed: int, events: int) -> None:
    report = run(seed, events)
    assert not report.violations, "\n".join(report.lines())
    assert report.event_count == events
    assert report.endings["successful"] > events // 4, "the trial was no trial"
