"""The job list: whatever is asked for, page by page, is what a look at every job would give."""

import random
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from fastprocesses_host.ogc.job_filters import JobFilters
from fastprocesses_host.ogc.jobs import AskedResults, Job, Status
from fastprocesses_host.store import operations
from fastprocesses_host.store.client import Store
from fastprocesses_host.store.ids import JobIds, created_ms, first_id_of
from fastprocesses_host.store.keys import Keys
from fastprocesses_host.store.operations import Page, QueueLimits, Slot
from fastprocesses_host.store.records import Limits, NewJob
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support import StoreServer

PROCESSES = ("buffer", "echo", "rare")
OWNERS = ("ann", "bob")
COUNT = 120
LIMITS = QueueLimits(jobs=1000, of_caller=1000, of_process=1000)


def take(store: Store, queue: str, claim: str) -> str:
    slot = Slot(queues=(queue,), lease_seconds=60)
    claimed = store.run(operations.take(slot, claim))
    assert claimed is not None
    return claimed.job_id


def make_job(store: Store, number: int, chance: random.Random) -> None:
    """Bring a job of some process and owner into some state, its run as long as its number says."""
    job_id = JobIds().make(store.check() - 4_000 + 60 * number)
    process_id = "rare" if number % 40 == 7 else chance.choice(PROCESSES[:2])
    job = NewJob(
        id=job_id,
        process_id=process_id,
        process_version="1",
        description_digest="x",
        environment="default",
        queue=f"q{number}",
        mode="async",
        listed=True,
        owner=chance.choice(OWNERS),
        limits=Limits(timeout_seconds=10, memory_mb=0),
        asked=AskedResults(),
    )
    assert store.run(operations.accept(job, {}, limits=LIMITS)).outcome == "ok"
    end = chance.choice(["accepted", "running", "successful", "failed", "dismissed"])
    if end == "accepted":
        return
    if end != "dismissed" or number % 2:
        assert take(store, job.queue, "c") == job_id
    if end == "dismissed":
        store.run(operations.dismiss(job_id, "t", tombstone_seconds=60))
    elif end != "running":
        store.run(operations.finish(job_id, "c", end, fields={}, max_log_lines=1))
    key = store.keys.job(job_id)
    started = store.redis.hget(key, "st")
    if started is not None:
        # What still runs has run so long that no second that passes meanwhile tells it apart.
        store.redis.hset(key, "st", int(started) - 1000 * (900 if end == "running" else number % 7))


@pytest.fixture(scope="module")
def full(any_store: StoreServer) -> Iterator[Store]:
    """A store with jobs of every kind."""
    store = Store(any_store.url, Keys.of("job-list"))
    chance = random.Random(7)
    for number in range(COUNT):
        make_job(store, number, chance)
    yield store
    store.close()


@cache
def everything(store: Store) -> list[Job]:
    return store.run(operations.jobs(limit=1000)).jobs


def is_wanted(job: Job, filters: JobFilters, owner: str, now_ms: int) -> bool:
    ran = None if job.started is None else (job.finished or now_ms) - job.started
    has_durations = filters.min_seconds is not None or filters.max_seconds is not None
    return all(
        (
            not filters.process_ids or job.process_id in filters.process_ids,
            not filters.statuses or job.status in filters.statuses,
            not owner or job.owner == owner,
            filters.created_from_ms is None or job.created >= filters.created_from_ms,
            filters.created_to_ms is None or job.created <= filters.created_to_ms,
            not has_durations or ran is not None,
            filters.min_seconds is None or (ran or 0) >= filters.min_seconds * 1000,
            filters.max_seconds is None or (ran or 0) <= filters.max_seconds * 1000,
        )
    )


def walk(store: Store, *, backwards: bool = False, **asked: Any) -> list[Page]:
    """All pages, one after the other."""
    pages, cursor = [], ""
    while not pages or pages[-1].has_more:
        assert len(pages) <= COUNT + 1
        pages.append(store.run(operations.jobs(cursor=cursor, backwards=backwards, **asked)))
        cursor = pages[-1].last
    return pages


def any_of(*values: Any) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(st.sampled_from(values), unique=True, max_size=3).map(tuple)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    any_of(*PROCESSES, "unknown"),
    any_of(*map(str, Status)),
    st.sampled_from(["", *OWNERS]),
    st.tuples(*[st.none() | st.integers(-5, COUNT + 5)] * 2),
    st.tuples(*[st.none() | st.integers(0, 4)] * 2),
    st.integers(1, 30),
    st.integers(1, 40),
    st.booleans(),
)
@example(("rare",), (), "", (None, None), (None, None), 1, 1, False)
@example((), ("failed", "running"), "ann", (20, 90), (2, None), 3, 5, True)
def test_pages_put_together_are_all_jobs_that_are_wanted(
    full, process_ids, statuses, owner, created, durations, limit, budget, backwards
):
    jobs = everything(full)
    first_ms, now_ms = jobs[-1].created, full.check()
    filters = JobFilters(
        process_ids=process_ids,
        statuses=statuses,
        created_from_ms=None if created[0] is None else first_ms + 60 * created[0],
        created_to_ms=None if created[1] is None else first_ms + 60 * created[1],
        min_seconds=durations[0],
        max_seconds=durations[1],
    )
    pages = walk(full, limit=limit, filters=filters, owner=owner, budget=budget, backwards=backwards)
    found = [job.id for page in (pages[::-1] if backwards else pages) for job in page.jobs]

    assert found == [job.id for job in jobs if is_wanted(job, filters, owner, now_ms)]
    assert all(len(page.jobs) <= limit for page in pages)
    if budget >= COUNT:
        assert all(len(page.jobs) == limit for page in pages[:-1])


def test_durations_tell_jobs_apart(full):
    jobs = [job for job in everything(full) if job.finished and job.started]
    for least in range(7):
        filters = JobFilters(min_seconds=least, statuses=("successful", "failed"))
        found = {job.id for job in full.run(operations.jobs(limit=COUNT, filters=filters)).jobs}
        wanted = {
            job.id
            for job in jobs
            if job.status in filters.statuses and job.finished - job.started >= least * 1000
        }
        assert found == wanted
        assert found


@pytest.mark.parametrize(
    "filters",
    [
        JobFilters(process_ids=("rare",)),
        JobFilters(statuses=("failed", "dismissed")),
        JobFilters(
            process_ids=("rare",), statuses=("accepted", "running", "successful", "failed", "dismissed")
        ),
        JobFilters(created_from_ms=0),
    ],
    ids=["process", "statuses", "rare process of every status", "time"],
)
def test_one_kind_of_filter_never_gives_short_pages(full, filters):
    """The walk is through the index of what is wanted, so the budget of records does not run out."""
    wanted = [job.id for job in everything(full) if is_wanted(job, filters, "", full.check())]
    pages = walk(full, limit=3, filters=filters, budget=4)

    assert [len(page.jobs) for page in pages[:-1]] == [3] * (len(pages) - 1)
    assert [job.id for page in pages for job in page.jobs] == wanted


def test_a_time_is_sought_and_not_scanned_for(full):
    oldest = everything(full)[-3:]
    filters = JobFilters(created_from_ms=oldest[-1].created, created_to_ms=oldest[0].created)
    page = full.run(operations.jobs(limit=3, filters=filters, budget=3))

    assert [job.id for job in page.jobs] == [job.id for job in oldest]
    assert not page.has_more


def test_a_rare_combination_gives_short_pages_that_go_on(full):
    filters = JobFilters(process_ids=("buffer",), min_seconds=6)
    pages = walk(full, limit=5, filters=filters, budget=6)

    assert any(page.has_more and len(page.jobs) < 5 for page in pages)
    assert [job.id for page in pages for job in page.jobs] == [
        job.id for job in everything(full) if is_wanted(job, filters, "", full.check())
    ]


def test_a_cursor_may_include_its_own_job(full):
    ids = [job.id for job in everything(full)]
    without = full.run(operations.jobs(limit=3, cursor=ids[10], backwards=True))
    included = full.run(operations.jobs(limit=3, cursor=ids[10], backwards=True, inclusive=True))

    assert [job.id for job in without.jobs] == ids[7:10]
    assert [job.id for job in included.jobs] == ids[8:11]


@pytest.mark.parametrize("process_ids", [("rare",), ("unknown",), ("unknown", "rare"), ()])
def test_the_jobs_of_the_named_processes_are_counted(full, process_ids):
    page = full.run(
        operations.jobs(limit=1, filters=JobFilters(process_ids=process_ids, statuses=("created",)))
    )
    known = sum(job.process_id in process_ids for job in everything(full))

    assert (page.jobs, page.of_processes) == ([], known)


@given(st.integers(-(2**50), 2**50), st.integers(0, 2**48 - 1))
def test_the_first_id_of_a_time_parts_the_ids_before_from_those_since(ms, id_ms):
    job_id = JobIds().make(id_ms)

    assert (first_id_of(ms) <= job_id) == (min(max(ms, 0), 2**48 - 1) <= created_ms(job_id))


def test_a_job_that_runs_again_started_with_its_latest_run(full):
    job_id = JobIds().make(full.check())
    job = NewJob(
        id=job_id, process_id="again", process_version="1", description_digest="x", environment="default",
        queue="again", mode="async", listed=True, asked=AskedResults(),
        limits=Limits(timeout_seconds=10, memory_mb=0, retryable=True, max_attempts=2),
    )  # fmt: skip
    full.run(operations.accept(job, {}, limits=LIMITS))
    assert take(full, "again", "c") == job_id
    full.redis.hset(full.keys.job(job_id), "st", 1)
    full.run(operations.release(job_id, "c", untouched=False, reason="stopped", problem=b"{}"))
    waiting = full.run(operations.job(job_id))
    assert take(full, "again", "c2") == job_id
    again = full.run(operations.job(job_id))
    full.run(operations.dismiss(job_id, "t", tombstone_seconds=1))
    full.run(operations.dismiss(job_id, "t2", tombstone_seconds=1))

    assert isinstance(waiting, Job)
    assert isinstance(again, Job)
    assert (waiting.status, waiting.started) == (Status.ACCEPTED, None)
    assert again.started is not None
    assert again.started > 1
