"""A mix of jobs while everything is harmed at random, by seed: every job ends, nothing is left, nobody is lied to."""

import tempfile
from pathlib import Path

import pytest

from tests.chaos.trial import is_probe, run


@pytest.mark.parametrize(
    ("seed", "events"),
    [(3, 10), pytest.param(1, 1000, marks=[pytest.mark.long, pytest.mark.timeout(7200)])],
)
def test_every_job_ends_whatever_happens(seed: int, events: int) -> None:
    report = run(seed, events)
    assert not report.violations, "\n".join(report.lines())
    assert report.event_count == events
    assert report.endings["successful"] > events // 4, "the trial was no trial"


def test_of_temporary_files_only_those_that_python_tries_a_folder_with_are_nobodys(tmp_path: Path) -> None:
    probe = tmp_path / next(tempfile._get_candidate_names())  # type: ignore[attr-defined]  # as it names them itself
    for content in (b"", b"blat"):
        probe.write_bytes(content)
        assert is_probe(probe)
    probe.write_bytes(b"a result")
    for name in ("tmpabcd1234", "ABCDEFGH", "result.t"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "ab_cd_12").mkdir()
    assert not any(is_probe(path) for path in tmp_path.iterdir())
