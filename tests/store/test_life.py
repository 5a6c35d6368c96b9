"""A job's life in the store: every script, in and out of its order, once and again."""

import itertools
import time

import dramatiq
import pytest
import redis
from dramatiq.brokers.redis import RedisBroker
from fastprocesses_host.ogc.job_filters import JobFilters
from fastprocesses_host.ogc.jobs import Status
from fastprocesses_host.store import operations
from fastprocesses_host.store.client import Store, StoreFull, _told
from fastprocesses_host.store.ids import JobIds, created_ms
from fastprocesses_host.store.operations import QueueLimits
from fastprocesses_host.store.records import NewJob, StoredInput, Told, decode_told, encode_told, told_field
from msgspec.structs import replace

from tests.store.steps import (
    IDS,
    MANY,
    QUEUE,
    accept,
    change_terms,
    dismiss,
    finish,
    left_behind,
    let_pass,
    new_job,
    read,
    recover,
    release,
    slot,
    take,
    taken,
    traces,
)
from tests.support import StoreServer, wait_until


def test_a_job_goes_from_accepted_to_successful(store: Store) -> None:
    job_id = accept(store)
    job = read(store, job_id)
    assert (job.status, job.created, job.process_id) == (Status.ACCEPTED, created_ms(job_id), "echo")
    claimed = take(store)
    assert claimed is not None
    assert (claimed.job_id, claimed.claim, claimed.attempt) == (job_id, "c1", 1)
    assert claimed.inputs == {"message": StoredInput(b'"hi"')}
    assert claimed.limits.timeout_seconds == 10
    assert read(store, job_id).status == Status.RUNNING
    assert finish(store, job_id, values={"message": b'"hi"'}) == "ok"
    job = read(store, job_id)
    assert job.status == Status.SUCCESSFUL
    assert job.finished is not None
    assert job.expires is not None
    collected = store.run(operations.collect(job_id))
    assert collected is not None
    assert collected.values == {"message": b'"hi"'}


def test_what_is_done_twice_is_done_once(store: Store) -> None:
    job = new_job(store)
    for _ in range(2):
        assert store.run(operations.accept(job, {}, limits=MANY)).outcome == "ok"
    first, second = take(store), take(store, is_again=True)
    assert first is not None
    assert second is not None
    assert first.job_id == second.job_id == job.id
    assert first.attempt == second.attempt == read(store, job.id).attempt == 1
    assert take(store, "c2") is None
    assert finish(store, job.id) == "ok"
    assert finish(store, job.id) == "ok"
    assert take(store, is_again=True) is None
    assert finish(store, job.id, "c2") == "superseded"
    assert dismiss(store, job.id, "t1").outcome == "removed"
    assert dismiss(store, job.id, "t1").outcome == "removed"
    assert dismiss(store, job.id, "t2").outcome == "tombstone"
    assert store.run(operations.job(job.id)) == "tombstone"


@pytest.mark.parametrize("listed", [True, False])
def test_a_job_that_is_known_is_accepted_whatever_has_become_of_it(store: Store, listed: bool) -> None:
    only = QueueLimits(jobs=1, of_caller=1, of_process=1)
    job, other = new_job(store, listed=listed), new_job(store, listed=listed)
    for _ in range(2):  # the second time there is no room for another one
        assert store.run(operations.accept(job, {}, limits=only)).outcome == "ok"
    assert store.run(operations.accept(other, {}, limits=only)).outcome == "full"
    assert taken(store) == job.id
    assert finish(store, job.id) == "ok"
    assert store.run(operations.accept(job, {}, limits=only)).outcome == "ok"
    assert read(store, job.id).status == Status.SUCCESSFUL
    assert taken(store, "c2") is None


@pytest.mark.parametrize("size", [10, 300])
@pytest.mark.parametrize("listed", [True, False])
def test_small_values_are_a_field_of_the_record(store: Store, listed: bool, size: int) -> None:
    job_id = accept(store, listed=listed)
    claimed = take(store)
    assert claimed is not None
    assert not claimed.has_values_apart
    told = told_field(Told(Status.SUCCESSFUL, values={"message": b"1" * size}), listed=listed)
    assert (told is None) == (listed and size > 250)
    if told is not None:
        store.run(
            operations.finish(job_id, "c1", "successful", fields={"res": told}, values={}, max_log_lines=1)
        )
        assert read(store, job_id).values == {"message": b"1" * size}
        assert store.redis.exists(store.keys.values(job_id)) == 0


def test_values_that_expire_before_their_job_lie_apart(store: Store) -> None:
    accept(store, results_ttl_seconds=1)
    claimed = take(store)
    assert claimed is not None
    assert claimed.has_values_apart


def test_the_values_of_a_job_that_was_accepted_before_lie_apart(store: Store) -> None:
    """Its results may be kept for less than itself, and hosts of then read them."""
    job_id = accept(store)
    key = store.keys.job(job_id)
    store.redis.hdel(key, "t", "d")
    fields = {"p": "echo", "q": QUEUE, "ti": 10000, "tt": 60000, "mq": 60000, "kr": 1}
    store.redis.hset(key, mapping=fields)
    claimed = take(store)
    assert claimed is not None
    assert (claimed.job_id, claimed.has_values_apart) == (job_id, True)


def test_a_lost_answer_of_take_loses_no_job(store: Store) -> None:
    ids = [accept(store) for _ in range(3)]
    assert taken(store, "c1") == ids[0]
    assert taken(store, "c2") == ids[1]
    assert taken(store, "c1", is_again=True) == ids[0]
    assert taken(store, "c1", is_again=True) == ids[0]
    assert taken(store, "c3", is_again=True) == ids[2]  # it never reached the store: now it does
    assert taken(store, "c4", is_again=True) is None


def test_what_was_asked_first_and_comes_last_takes_nothing(store: Store) -> None:
    ids = [accept(store) for _ in range(3)]
    assert taken(store, "c1", is_again=True) == ids[0]
    assert taken(store, "c1") is None

    first = operations.finish(
        ids[0], "c1", "successful", fields={}, max_log_lines=1, slot=slot(), next_claim="c2"
    )

    second = store.run(first.again()).next
    assert second is not None
    assert second.job_id == ids[1]
    assert store.run(first).next is None
    assert read(store, ids[2]).status == Status.ACCEPTED


def test_a_lost_answer_of_finish_and_take_loses_neither(store: Store) -> None:
    ids = [accept(store) for _ in range(3)]
    assert taken(store, "c1") == ids[0]

    first = operations.finish(
        ids[0], "c1", "successful", fields={}, max_log_lines=1, slot=slot(), next_claim="c2"
    )

    for sent in (first, first.again(), first.again().again()):
        ended = store.run(sent)
        assert ended.outcome == "ok"
        assert ended.next is not None
        assert (ended.next.job_id, ended.next.claim, ended.next.attempt) == (ids[1], "c2", 1)
    assert read(store, ids[2]).status == Status.ACCEPTED
    dismiss(store, ids[1], "t")  # meanwhile: the slot is told of another one, under the same right
    ended = store.run(first.again())
    assert ended.next is not None
    assert ended.next.job_id == ids[2]
    assert finish(store, ids[1], "c2", "dismissed") == "ok"
    assert finish(store, ids[2], "c2") == "ok"


def test_the_end_of_a_run_that_no_longer_counts_still_takes_the_next_job(store: Store) -> None:
    ids = [accept(store) for _ in range(2)]
    take(store, "c1", lease_seconds=0)
    time.sleep(0.002)
    recover(store)
    ended = store.run(
        operations.finish(
            ids[0], "c1", "successful", fields={}, max_log_lines=1, slot=slot(), next_claim="c2"
        )
    )
    assert ended.outcome == "final"
    assert ended.next is not None
    assert ended.next.job_id == ids[1]


def test_a_final_state_never_changes(store: Store) -> None:
    for last in ("successful", "failed", "dismissed"):
        job_id = accept(store)
        assert taken(store) == job_id
        assert finish(store, job_id, status=last) == "ok"
        for other in ("successful", "failed", "dismissed"):
            finish(store, job_id, status=other)
            assert read(store, job_id).status == last
        assert release(store, job_id, untouched=True) == "final"
        assert store.run(operations.again(job_id, "c1", retry_seconds=0, reason="x")) == "final"
        recover(store)
        assert read(store, job_id).status == last


def test_dismissed_while_running_waits_for_its_worker(store: Store) -> None:
    job_id = accept(store)
    take(store)
    dismissed = dismiss(store, job_id, "t1")
    assert dismissed.job is not None
    assert dismissed.job.status == Status.DISMISSED
    answer = store.run(operations.tick("w1", lease_seconds=6, claims={job_id: "c1"}))
    assert answer.stop == {job_id: "final"}
    assert store.redis.zscore(store.keys.prefix + ":lease", job_id) is not None
    assert finish(store, job_id, status="dismissed") == "ok"
    assert store.redis.zscore(store.keys.prefix + ":lease", job_id) is None


def test_dismissed_while_waiting_is_passed_over(store: Store) -> None:
    job_id, other = accept(store), accept(store)
    assert dismiss(store, job_id, "t").outcome == "ok"
    assert dismiss(store, job_id, "t").outcome == "ok"
    assert taken(store) == other
    assert taken(store, "c2") is None


def test_a_sync_job_past_its_deadline_is_dropped(store: Store) -> None:
    job_id = accept(store, deadline_ms=store.check() - 1, listed=False)
    other = accept(store)
    assert taken(store) == other
    assert (read(store, job_id).status, read(store, job_id).reason) == (Status.DISMISSED, "deadline")


@pytest.mark.parametrize(("retryable", "status"), [(True, Status.ACCEPTED), (False, Status.FAILED)])
def test_the_job_of_a_silent_worker_runs_again_or_fails(
    store: Store, retryable: bool, status: Status
) -> None:
    job_id = accept(store, retryable=retryable, max_attempts=2)
    take(store, lease_seconds=0)
    time.sleep(0.002)
    assert recover(store) == 1
    assert (read(store, job_id).status, read(store, job_id).reason) == (status, "worker-lost")
    assert recover(store) == 0
    assert finish(store, job_id) == "superseded" if retryable else finish(store, job_id) == "final"
    if retryable:
        assert taken(store, "c2", lease_seconds=0) == job_id
        time.sleep(0.002)
        recover(store)
        assert read(store, job_id).status == Status.FAILED
        assert read(store, job_id).attempt == 2


def test_who_slept_after_it_was_told_that_it_may_recover_recovers_nothing(store: Store) -> None:
    """All slept, and this one wakes before the worker has renewed its lease."""
    job_id = accept(store)
    take(store, lease_seconds=0)
    ticks = store.keys.prefix + ":ticks"
    assert store.run(operations.tick("w2", lease_seconds=6)).may_recover
    store.redis.hset(ticks, "last", store.check() - 30_000)
    assert recover(store) == 0
    assert not store.run(operations.tick("w2", lease_seconds=6)).may_recover
    assert recover(store) == 0
    assert read(store, job_id).status == Status.RUNNING
    store.redis.hset(ticks, "hold", store.check() - 1)
    assert recover(store) == 1


def due_in_seconds(store: Store, job_id: str) -> float:
    """How long from now on a job waits for its next attempt, by the store's clock."""
    due = store.redis.zscore(store.keys.prefix + ":later", job_id)
    assert due is not None
    return (due - store.check()) / 1000


def test_a_failed_run_is_repeated_after_ever_longer_waits(store: Store) -> None:
    job_id = accept(store, retryable=True, max_attempts=3)
    assert taken(store, "c1") == job_id
    assert store.run(operations.again(job_id, "c1", retry_seconds=60, reason="crashed")) == "ok"
    assert store.run(operations.again(job_id, "c1", retry_seconds=60, reason="crashed")) == "superseded"
    assert (read(store, job_id).status, read(store, job_id).reason) == (Status.ACCEPTED, "crashed")
    assert 50 < due_in_seconds(store, job_id) <= 60
    recover(store)
    assert taken(store, "c2") is None
    store.redis.zadd(store.keys.prefix + ":later", {job_id: 0})
    recover(store)
    assert taken(store, "c2", lease_seconds=0) == job_id
    time.sleep(0.002)
    recover(store, retry_seconds=10)
    assert 15 < due_in_seconds(store, job_id) <= 20
    store.redis.zadd(store.keys.prefix + ":later", {job_id: 0})
    recover(store)
    claimed = take(store, "c3")
    assert claimed is not None
    assert claimed.attempt == 3
    assert store.run(operations.again(job_id, "c3", retry_seconds=0, reason="crashed")) == "spent"
    assert finish(store, job_id, "c3", "failed") == "ok"


def test_a_wait_before_an_attempt_is_at_most_a_minute(store: Store) -> None:
    job_id = accept(store, retryable=True, max_attempts=9)
    take(store, lease_seconds=0)
    time.sleep(0.002)
    recover(store, retry_seconds=3600)
    assert 50 < due_in_seconds(store, job_id) <= 60


def test_a_job_that_may_not_be_repeated_is_not(store: Store) -> None:
    job_id = accept(store)
    take(store)
    assert store.run(operations.again(job_id, "c1", retry_seconds=0, reason="x")) == "spent"
    assert read(store, job_id).status == Status.RUNNING
    assert store.run(operations.again(job_id, "c2", retry_seconds=0, reason="x")) == "superseded"
    assert store.run(operations.again(IDS.make(store.check()), "c2", retry_seconds=0, reason="x")) == "gone"


def test_a_job_nobody_takes_fails_in_the_end(store: Store) -> None:
    job_id = accept(store, max_queue_seconds=0)
    time.sleep(0.002)
    assert recover(store) == 1
    assert (read(store, job_id).status, read(store, job_id).reason) == (Status.FAILED, "no-worker")
    assert taken(store) is None


@pytest.mark.parametrize("untouched", [True, False])
def test_release_counts_no_attempt_where_code_never_ran(store: Store, untouched: bool) -> None:
    job_id = accept(store)
    take(store)
    release(store, job_id, untouched=untouched)
    job = read(store, job_id)
    assert (job.status, job.attempt) == ((Status.ACCEPTED, 0) if untouched else (Status.FAILED, 1))


def test_who_signs_off_gives_back_what_was_never_begun_and_nothing_else(store: Store) -> None:
    ids = [accept(store) for _ in range(4)]
    for number, job_id in enumerate(ids):
        assert taken(store, f"c{number}") == job_id
    store.run(operations.leave("w1", "", {"c0", "c2", "of nothing"}))
    states = [read(store, job_id).status for job_id in ids]
    assert states == [Status.ACCEPTED, Status.RUNNING, Status.ACCEPTED, Status.RUNNING]
    assert {taken(store, f"again-{number}") for number in range(3)} == {ids[0], ids[2], None}
    assert read(store, ids[0]).attempt == 1
    assert finish(store, ids[1], "c1") == finish(store, ids[3], "c3") == "ok"
    assert finish(store, ids[0], "c0") == "superseded"


def test_recovery_waits_after_a_gap_in_ticks(store: Store) -> None:
    first = store.run(operations.tick("w1", lease_seconds=0.05))
    assert first.may_recover
    time.sleep(0.06)
    assert not store.run(operations.tick("w1", lease_seconds=0.05)).may_recover


def test_a_sync_job_whose_host_is_gone_is_stopped(store: Store) -> None:
    def tick(claims: dict[str, str]) -> dict[str, str]:
        return store.run(operations.tick("w1", lease_seconds=60, claims=claims)).stop

    options = {"mode": "sync", "listed": False}
    waited_for = accept(store, waiting_host="living", **options)
    abandoned = accept(store, waiting_host="dead", **options)
    of_before = accept(store, waiting_host="of a version that does not tick", **options)
    patient = accept(store, waiting_host="dead", mode="async")
    claims = {taken(store, f"c{number}"): f"c{number}" for number in range(4)}
    store.run(operations.tick("", host="living", lease_seconds=60))
    store.run(operations.tick("", host="dead", lease_seconds=60))
    assert tick(claims) == {}
    store.redis.zadd(store.keys.prefix + ":hosts", {"dead": store.check() - 61_000})
    assert tick(claims) == {abandoned: "final"}
    assert (read(store, abandoned).status, read(store, abandoned).reason) == (Status.DISMISSED, "abandoned")
    for job_id in (waited_for, of_before, patient):
        assert read(store, job_id).status == Status.RUNNING
    assert finish(store, abandoned, claims[abandoned], "dismissed") == "ok"


def test_progress_needs_the_claim(store: Store) -> None:
    job_id = accept(store)
    take(store)

    def tell(claim_id: str):
        return store.run(
            operations.progress(
                job_id, claim_id, percent=40, message="half", lines=[b"a", b"b"], max_log_lines=1
            )
        )

    assert tell("other") == "superseded"
    assert tell("c1") == "ok"
    assert (read(store, job_id).progress, read(store, job_id).message) == (40, "half")
    assert store.redis.lrange(store.keys.log(job_id), 0, -1) == [b"b"]
    dismiss(store, job_id, "t")
    assert tell("c1") == "final"


def test_an_expired_job_leaves_nothing(store: Store) -> None:
    job_id = accept(store, ttl_seconds=0)
    take(store)
    finish(store, job_id, values={"message": b"1"}, lines=[b"line"])
    time.sleep(0.002)
    assert store.run(operations.expire()) == 1
    assert traces(store, job_id) == []
    assert store.run(operations.job(job_id)) == "gone"


def test_many_jobs_are_removed_in_small_steps(store: Store) -> None:
    for _ in range(operations.EXPIRE_AT_ONCE + 1):
        accept(store, ttl_seconds=0)
        finish(store, str(taken(store)))
    time.sleep(0.002)
    assert [store.run(operations.expire()) for _ in range(3)] == [operations.EXPIRE_AT_ONCE, 1, 0]


def test_many_jobs_are_purged_in_small_steps(store: Store) -> None:
    for _ in range(operations.PURGE_AT_ONCE + 1):
        accept(store)
        finish(store, str(taken(store)))
    first = store.run(operations.purge(after="", latest_ms=store.check()))
    second = store.run(operations.purge(after=first.last, latest_ms=store.check()))
    assert (first.jobs, second.jobs) == (operations.PURGE_AT_ONCE, 1)
    assert (bool(first.last), second.last) == (True, "")


TOLD = Told(status=Status.SUCCESSFUL, values={"message": b"1"})


def say(store: Store, job_id: str) -> None:
    """Add a line to the log of a running job."""
    operation = operations.progress(
        job_id, "c1", percent=None, message=None, lines=[b"line"], max_log_lines=1
    )
    assert store.run(operation) == "ok"


def times_left_ms(store: Store, job_id: str) -> dict[str, int]:
    """How long everything is kept that there is of a job alone."""
    names = [name for name in traces(store, job_id) if job_id in name]
    return {name.split(":")[1]: store.redis.pttl(store.keys.prefix + name) for name in names}


def test_the_log_of_an_unlisted_job_goes_with_it(store: Store) -> None:
    ended, dismissed = (accept(store, listed=False, ttl_seconds=60) for _ in range(2))
    for job_id in (ended, dismissed):
        assert taken(store) == job_id
        say(store, job_id)
    finish(store, ended)
    dismiss(store, dismissed, "t")
    for job_id in (ended, dismissed):
        left = times_left_ms(store, job_id)
        assert left.keys() == {"j", "log"}
        assert all(0 < each_ms <= 60_000 for each_ms in left.values())


def test_the_log_of_a_job_that_waits_again_past_its_deadline_goes_with_it(store: Store) -> None:
    job_id = accept(store, listed=False, ttl_seconds=60, retryable=True, waiting_host="h")
    assert taken(store) == job_id
    say(store, job_id)
    assert release(store, job_id) == "ok"
    change_terms(store, job_id, deadline_ms=store.check() - 1)
    subscription = store.redis.pubsub(ignore_subscribe_messages=True)
    subscription.subscribe(store.keys.done("h"))
    subscription.get_message(timeout=1)
    assert taken(store) is None
    message = subscription.get_message(timeout=40)
    assert message is not None
    assert message["data"].decode() == job_id
    subscription.close()
    left = times_left_ms(store, job_id)
    assert left.keys() == {"j", "log"}
    assert all(0 < each_ms <= 60_000 for each_ms in left.values())


@pytest.mark.parametrize("end", [finish, lambda store, job_id: dismiss(store, job_id, "t")])
def test_the_log_of_an_unlisted_job_of_before_goes_with_it(store: Store, end) -> None:
    """Of the first records only the log itself told that there is one."""
    job_id = accept(store, listed=False, ttl_seconds=60)
    assert taken(store) == job_id
    say(store, job_id)
    key = store.keys.job(job_id)
    store.redis.hdel(key, "t", "d", "iv", "lg")
    store.redis.hset(key, mapping={"p": "echo", "q": QUEUE, "li": "0", "tt": 60_000})
    end(store, job_id)
    left = times_left_ms(store, job_id)
    assert left.keys() == {"j", "log"}
    assert all(0 < each_ms <= 60_000 for each_ms in left.values())


@pytest.mark.parametrize("keep_inputs", [True, False])
def test_the_store_forgets_an_unlisted_job_by_itself(store: Store, keep_inputs: bool) -> None:
    job_id = accept(store, listed=False, ttl_seconds=50, waiting_host="h", keep_inputs=keep_inputs)
    subscription = store.redis.pubsub(ignore_subscribe_messages=True)
    subscription.subscribe(store.keys.done("h"))
    subscription.get_message(timeout=1)
    take(store)
    encoded = encode_told(TOLD)
    finished = store.run(
        operations.finish(
            job_id, "c1", "successful", fields={"res": encoded}, lines=[b"line"], max_log_lines=1
        )
    )
    assert finished.outcome == "ok"
    message = subscription.get_message(timeout=40)
    assert message is not None
    assert message["data"][:36].decode() == job_id
    assert decode_told(message["data"][36:]) == TOLD
    subscription.close()
    assert (read(store, job_id).status, read(store, job_id).values) == (Status.SUCCESSFUL, TOLD.values)
    for name in traces(store, job_id):
        assert job_id in name
        assert 0 < store.redis.pttl(store.keys.prefix + name) <= 50_000
    let_pass(store, 50)
    wait_until(lambda: traces(store, job_id) == [], 40, "the end of all traces")
    assert left_behind(store) == set()


def run_through(store: Store, job_id: str, path: str) -> None:
    """Bring one job along a path to where nothing of it should be left."""
    if path == "dismissed while it waits":
        dismiss(store, job_id, "t")
    elif path == "never taken":
        store.redis.zadd(store.keys.prefix + ":accepted", {job_id: 0})
        recover(store)
    else:
        assert taken(store, lease_seconds=0 if path.startswith("lost") else 6) == job_id
        run_on(store, job_id, path)
    assert taken(store, "last") is None


def run_on(store: Store, job_id: str, path: str) -> None:
    if path == "finished":
        store.run(operations.stage(job_id, "c1", "large", b"1" * 10))
        assert finish(store, job_id, values={"message": b"1"}, lines=[b"line"], staged=True) == "ok"
    elif path == "dismissed and finished":
        dismiss(store, job_id, "t")
        assert finish(store, job_id, status="dismissed") == "ok"
    elif path == "removed while it runs":
        dismiss(store, job_id, "t")
        dismiss(store, job_id, "t2")
        assert finish(store, job_id, status="dismissed") == "gone"
    elif path == "lost and removed":
        dismiss(store, job_id, "t")
        dismiss(store, job_id, "t2")
        time.sleep(0.002)
        recover(store)
    elif path == "lost":
        time.sleep(0.002)
        recover(store)
        assert taken(store, "c2") == job_id
        assert finish(store, job_id, "c2") == "ok"
    elif path == "released":
        assert release(store, job_id) == "ok"
        assert taken(store, "c2") == job_id
        assert finish(store, job_id, "c2") == "ok"
    elif path == "repeated":
        assert store.run(operations.again(job_id, "c1", retry_seconds=60, reason="x")) == "ok"
        store.redis.zadd(store.keys.prefix + ":later", {job_id: 0})
        recover(store)
        assert taken(store, "c2") == job_id
        assert finish(store, job_id, "c2", "failed") == "ok"
    elif path == "repeated and dismissed":
        assert store.run(operations.again(job_id, "c1", retry_seconds=60, reason="x")) == "ok"
        dismiss(store, job_id, "t")
    else:
        raise AssertionError(path)


@pytest.mark.parametrize("limits", [{}, {"max_concurrent": 1}], ids=["any number", "one at a time"])
@pytest.mark.parametrize("listed", [True, False], ids=["listed", "unlisted"])
@pytest.mark.parametrize(
    "path",
    [
        "dismissed while it waits",
        "never taken",
        "finished",
        "dismissed and finished",
        "removed while it runs",
        "lost and removed",
        "lost",
        "released",
        "repeated",
        "repeated and dismissed",
    ],
)
def test_no_path_leaves_a_key_behind(store: Store, path: str, listed: bool, limits: dict[str, int]) -> None:
    job_id = accept(
        store, listed=listed, ttl_seconds=50, retryable=True, max_attempts=3, keep_inputs=True,
        limits_of_queue=QueueLimits(jobs=10, of_caller=10, of_process=10), waiting_host="h", **limits,
    )  # fmt: skip
    run_through(store, job_id, path)
    store.run(operations.leave("w1", ""))
    let_pass(store, 50)
    wait_until(lambda: store.run(operations.expire()) + 1 and left_behind(store) == set(), 40, "tidiness")


def test_the_list_pages_both_ways_without_gap_or_double(store: Store) -> None:
    ids = [accept(store) for _ in range(25)]
    seen, cursor = [], ""
    for _ in itertools.repeat(None, 10):
        page = store.run(operations.jobs(limit=7, cursor=cursor))
        seen += [job.id for job in page.jobs]
        cursor = page.last
        if not page.has_more:
            break
    assert seen == ids[::-1]
    back = store.run(operations.jobs(limit=5, cursor=seen[10], backwards=True))
    assert [job.id for job in back.jobs] == seen[5:10]
    assert not store.run(operations.jobs(limit=5, cursor=seen[3], backwards=True)).has_more


def test_the_list_filters(store: Store) -> None:
    ids = [accept(store, queue=f"q{number}") for number in range(4)]
    assert taken(store, queues=("q1",)) == ids[1]
    listed = store.run(operations.jobs(limit=10, filters=JobFilters(statuses=("running",)))).jobs
    assert [job.id for job in listed] == [ids[1]]
    both = store.run(
        operations.jobs(limit=10, filters=JobFilters(statuses=("running", "accepted"), process_ids=("echo",)))
    ).jobs
    assert [job.id for job in both] == ids[::-1]
    assert store.run(operations.jobs(limit=10, filters=JobFilters(process_ids=("other",)))).jobs == []


def test_an_id_of_another_time_is_refused(store: Store) -> None:
    job = new_job(store)
    late = NewJob(
        **{**{name: getattr(job, name) for name in job.__struct_fields__}, "id": JobIds().make(1000)}
    )
    assert store.run(operations.accept(late, {}, limits=MANY)).outcome == "clock"
    assert left_behind(store) == set()


@pytest.mark.parametrize(
    ("seconds", "outcome"), [(-600, "ok"), (-7 * 3600, "clock"), (60, "clock")], ids=["late", "lost", "ahead"]
)
def test_large_inputs_may_take_long_to_be_stored(store: Store, seconds: int, outcome: str) -> None:
    job, location = new_job(store), "file:02/018bcfe5-6800-77be-a29b-df0345e8cb02.0123456789abcdef"
    begun = replace(job, id=JobIds().make(created_ms(job.id) + seconds * 1000))
    inputs = {"data": StoredInput(media_type="image/tiff", location=location)}
    told = store.run(operations.accept(begun, inputs, limits=MANY, lengths={location: 10**9}))
    assert told.outcome == outcome


def test_the_stock_broker_reads_what_we_enqueue(store: Store, any_store: StoreServer) -> None:
    job_id = accept(store)
    broker = RedisBroker(url=any_store.url, namespace=store.keys.namespace, middleware=[])
    broker.declare_queue(QUEUE)
    consumer = broker.consume(QUEUE, prefetch=1, timeout=100)
    message = next(consumer)
    assert (message.actor_name, list(message.args), message.message_id) == ("run_job", [job_id], job_id)
    consumer.ack(message)
    assert broker.do_qsize(QUEUE) == 0
    broker.client.close()


def test_we_take_the_job_that_a_message_of_the_stock_broker_names(
    store: Store, any_store: StoreServer
) -> None:
    ids = [accept(store) for _ in range(3)]
    store.redis.delete(store.keys.queue(QUEUE))  # so that the messages to come are all that there are
    broker = RedisBroker(url=any_store.url, namespace=store.keys.namespace, middleware=[])
    broker.declare_queue(QUEUE)
    for arguments in ([ids[2]], ["some-id"], [], [7], [{"id": ids[0]}], [None], [ids[2]], [ids[0]]):
        message = dramatiq.Message(
            queue_name=QUEUE, actor_name="run_job", args=tuple(arguments), kwargs={}, options={}
        )
        broker.enqueue(message)
    broker.client.hset(f"{store.keys.queue(QUEUE)}.msgs", "broken", b"{")
    broker.client.rpush(store.keys.queue(QUEUE), "broken", "of nothing")
    assert taken(store, "c1") == ids[2]
    assert taken(store, "c2") == ids[0]  # its caller's turn goes on to what is left
    assert taken(store, "c3") == ids[1]
    assert taken(store, "c4") is None
    assert store.redis.hlen(f"{store.keys.queue(QUEUE)}.msgs") == 0
    broker.client.close()


def test_a_full_store_refuses_new_jobs_and_finishes_old_ones(own_store: StoreServer) -> None:
    from fastprocesses_host.store.keys import Keys

    store = Store(own_store.url, Keys.of("full"))
    running, waiting, last = accept(store), accept(store), accept(store)
    assert taken(store) == running
    known = [new_job(store, queue="other", listed=listed) for listed in (True, False)]
    for job in known:
        store.run(operations.accept(job, {}, limits=MANY))
    store.redis.config_set("maxmemory", 1)
    for listed in (True, False):
        with pytest.raises(StoreFull):
            accept(store, listed=listed)
    for job in known:  # the answer was lost, and the store has become full meanwhile
        assert store.run(operations.accept(job, {}, limits=MANY)).outcome == "ok"
    assert taken(store, is_again=True) == running
    assert taken(store, "c2") == waiting
    assert taken(store, "c2", is_again=True) == waiting
    assert store.run(operations.tick("w1", lease_seconds=6, claims={running: "c1"})).stop == {}
    ended = store.run(
        operations.finish(
            running, "c1", "successful", fields={}, values={"message": b"1"}, max_log_lines=1, slot=slot(),
            next_claim="c3",
        )
    )  # fmt: skip
    assert ended.outcome == "ok"
    assert ended.next is not None
    assert ended.next.job_id == last
    assert release(store, waiting, "c2", untouched=True) == "ok"
    assert dismiss(store, waiting, "t").outcome == "ok"
    store.close()


@pytest.mark.parametrize(
    "words",
    [
        "OOM command not allowed when used memory > 'maxmemory'.",
        "@user_script: 114: -OOM command not allowed when used memory > 'maxmemory'.",
        "ERR Error running script (call to f_1): @user_script:9: @user_script: 9: -OOM command not allowed",
    ],
)
def test_every_store_s_words_for_being_full_are_known(words: str) -> None:
    assert isinstance(_told(redis.ResponseError(words)), StoreFull)


def test_scripts_survive_that_the_store_forgets_them(store: Store) -> None:
    job_id = accept(store)
    store.redis.script_flush()
    assert taken(store) == job_id
