"""The runs of a worker: a verdict on one claim never stops the run of another."""

from fastprocesses_host.engine.run import Later, Run, Runs
from fastprocesses_host.ogc.jobs import AskedResults
from fastprocesses_host.store.operations import Claimed
from fastprocesses_host.store.records import Limits


def run_of(claim: str) -> Run:
    claimed = Claimed(
        job_id="job",
        claim=claim,
        process_id="again",
        description_digest="",
        asked=AskedResults(),
        attempt=1,
        listed=True,
        limits=Limits(timeout_seconds=600, memory_mb=0),
        inputs={},
    )
    return Run(claimed, 10, Later())


def test_what_can_wait_is_done_once_and_before_what_came_after_it() -> None:
    done: list[int] = []
    later = Later()
    later.do()
    later.put(lambda: done.append(1))
    assert done == []
    later.put(lambda: done.append(2))
    assert done == [1]
    later.do()
    later.do()
    assert done == [1, 2]


def test_a_late_verdict_on_an_older_claim_leaves_the_newer_run_alone() -> None:
    """A worker that was silent may take a job again while it is inside its superseded run."""
    runs = Runs()
    old, new = run_of("old"), run_of("new")
    runs.enter(old)
    runs.enter(new)
    assert old.stop == "superseded"
    runs.stop("job", "old", "superseded")
    assert new.stop is None
    runs.stop("job", "new", "final")
    assert new.stop == "dismissed"
