"""A job's life in the store: every script, in and out of its order, once and again."""

import itertools
import json
import time

import dramatiq
import pytest
from dramatiq.brokers.redis import RedisBroker
from fastprocesses_host.ogc.job_filters import JobFilters
from fastprocesses_host.ogc.jobs import AskedResults, Job, Status
from fastprocesses_host.store import operations
from fastprocesses_host.store.client import Store, StoreFull
from fastprocesses_host.store.ids import JobIds, created_ms
from fastprocesses_host.store.operations import Claimed
from fastprocesses_host.store.records import Limits, NewJob, StoredInput

from tests.support import StoreServer

IDS = JobIds()
QUEUE = "default"


def new_job(store: Store, *, listed: bool = True, deadline_ms: int | None = None, **limits: float) -> NewJob:
    now_ms = store.check()
    return NewJob(
        id=IDS.make(now_ms),
        process_id="echo",
        process_version="1.0.0",
        description_digest="abc",
        environment="default",
        queue=QUEUE,
        mode="async",
        listed=listed,
        limits=Limits(**{"timeout_seconds": 10, "memory_mb": 0, **limits}),
        asked=AskedResults(response="raw"),
        deadline_ms=deadline_ms,
    )


def accept(store: Store, **options) -> str:
    job = new_job(store, **options)
    answer = store.run(operations.accept(job, {"message": StoredInput(b'"hi"')}, max_queued_jobs=1000))
    assert answer.outcome == "ok"
    return job.id


def claim(store: Store, job_id: str, worker: str = "w1", claim_id: str = "c1", lease_seconds: float = 6):
    return store.run(operations.claim(job_id, worker, claim_id, lease_seconds=lease_seconds))


def finish(store: Store, job_id: str, claim_id: str = "c1", status="successful", **more):
    return store.run(
        operations.finish(job_id, claim_id, status, fields={"rc": "x"}, max_log_lines=10, **more)
    )


def read(store: Store, job_id: str) -> Job:
    job = store.run(operations.job(job_id))
    assert isinstance(job, Job), job
    return job


def dismiss(store: Store, job_id: str, token: str):
    return store.run(operations.dismiss(job_id, token, tombstone_seconds=60))


def recover(store: Store, lease_seconds: float = 6) -> int:
    return store.run(operations.recover(lease_seconds=lease_seconds, worker_lost=b"{}", no_worker=b"{}"))


def fetch(store: Store, worker: str = "w1") -> list[str]:
    return [json.loads(data)["args"][0] for data in store.run(operations.fetch(worker, QUEUE, 10))]


def keys_of(store: Store, job_id: str) -> list[bytes]:
    prefix = store.keys.prefix
    everything = store.redis.keys(prefix.replace("{", "\\{") + "*")
    own = [key for key in everything if job_id.encode() in key]
    for key in everything:
        kind = store.redis.type(key)
        if kind == b"zset":
            members = store.redis.zrange(key, 0, -1)
        elif kind == b"list":
            members = store.redis.lrange(key, 0, -1)
        elif kind == b"set":
            members = list(store.redis.smembers(key))
        elif kind == b"hash":
            members = store.redis.hkeys(key)
        else:
            members = []
        own += [key for member in members if job_id.encode() in member]
    return own


def test_a_job_goes_from_accepted_to_successful(store: Store) -> None:
    job_id = accept(store)
    job = read(store, job_id)
    assert (job.status, job.created, job.process_id) == (Status.ACCEPTED, created_ms(job_id), "echo")
    assert fetch(store) == [job_id]
    claimed = claim(store, job_id)
    assert isinstance(claimed, Claimed)
    assert claimed.inputs == {"message": StoredInput(b'"hi"')}
    assert claimed.limits.timeout_seconds == 10
    assert claimed.job.attempt == 1
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
        assert store.run(operations.accept(job, {}, max_queued_jobs=10)).outcome == "ok"
    assert fetch(store) == [job.id]
    assert fetch(store) == []
    first, second = claim(store, job.id), claim(store, job.id)
    assert isinstance(first, Claimed)
    assert isinstance(second, Claimed)
    assert second.job.attempt == 1
    assert claim(store, job.id, "w2", "c2") == "superseded"
    assert finish(store, job.id) == "ok"
    assert finish(store, job.id) == "ok"
    assert claim(store, job.id, "w2", "c2") == "final"
    assert finish(store, job.id, "c2") == "superseded"
    assert dismiss(store, job.id, "t1").outcome == "removed"
    assert dismiss(store, job.id, "t1").outcome == "removed"
    assert dismiss(store, job.id, "t2").outcome == "tombstone"
    assert store.run(operations.job(job.id)) == "tombstone"


def test_a_final_state_never_changes(store: Store) -> None:
    for last in ("successful", "failed", "dismissed"):
        job_id = accept(store)
        claim(store, job_id)
        assert finish(store, job_id, status=last) == "ok"
        for other in ("successful", "failed", "dismissed"):
            finish(store, job_id, status=other)
            assert read(store, job_id).status == last
        assert (
            store.run(operations.release(job_id, "c1", untouched=True, reason="", problem=b"{}")) == "final"
        )
        recover(store)
        assert read(store, job_id).status == last


def test_dismissed_while_running_waits_for_its_worker(store: Store) -> None:
    job_id = accept(store)
    claim(store, job_id)
    dismissed = dismiss(store, job_id, "t1")
    assert dismissed.job is not None
    assert dismissed.job.status == Status.DISMISSED
    answer = store.run(operations.tick("w1", lease_seconds=6, queues=[QUEUE], claims={job_id: "c1"}))
    assert answer.stop == {job_id: "final"}
    assert store.redis.zscore(store.keys.prefix + ":lease", job_id) is not None
    assert finish(store, job_id, status="dismissed") == "ok"
    assert store.redis.zscore(store.keys.prefix + ":lease", job_id) is None


def test_dismissed_while_waiting_is_dropped_by_its_claim(store: Store) -> None:
    job_id = accept(store)
    assert dismiss(store, job_id, "t").outcome == "ok"
    assert dismiss(store, job_id, "t").outcome == "ok"
    assert fetch(store) == []
    assert claim(store, job_id) == "final"


def test_a_sync_job_past_its_deadline_is_dropped(store: Store) -> None:
    job_id = accept(store, deadline_ms=store.check() - 1, listed=False)
    assert claim(store, job_id) == "final"
    assert read(store, job_id).reason == "deadline"


@pytest.mark.parametrize(("retryable", "status"), [(True, Status.ACCEPTED), (False, Status.FAILED)])
def test_the_job_of_a_silent_worker_runs_again_or_fails(
    store: Store, retryable: bool, status: Status
) -> None:
    job_id = accept(store, retryable=retryable, max_attempts=2)
    claim(store, job_id, lease_seconds=0)
    time.sleep(0.002)
    assert recover(store) == 1
    assert read(store, job_id).status == status
    assert recover(store) == 0
    assert finish(store, job_id) == "superseded" if retryable else finish(store, job_id) == "final"
    if retryable:
        assert isinstance(claim(store, job_id, "w2", "c2", lease_seconds=0), Claimed)
        time.sleep(0.002)
        recover(store)
        assert read(store, job_id).status == Status.FAILED
        assert read(store, job_id).attempt == 2


def test_a_job_nobody_takes_fails_in_the_end(store: Store) -> None:
    job_id = accept(store, max_queue_seconds=0)
    time.sleep(0.002)
    assert recover(store) == 1
    assert (read(store, job_id).status, read(store, job_id).reason) == (Status.FAILED, "no-worker")


@pytest.mark.parametrize("untouched", [True, False])
def test_release_counts_no_attempt_where_code_never_ran(store: Store, untouched: bool) -> None:
    job_id = accept(store)
    claim(store, job_id)
    store.run(operations.release(job_id, "c1", untouched=untouched, reason="stopped", problem=b"{}"))
    job = read(store, job_id)
    assert (job.status, job.attempt) == ((Status.ACCEPTED, 0) if untouched else (Status.FAILED, 1))


def test_a_lost_fetch_comes_back_after_two_ticks(store: Store) -> None:
    job_id = accept(store)
    fetch(store)  # the worker never saw the answer
    unknown = store.run(operations.tick("w1", lease_seconds=6, queues=[QUEUE])).unknown
    assert unknown == [job_id]
    assert fetch(store, "w2") == []
    store.run(operations.tick("w1", lease_seconds=6, queues=[QUEUE], lost=unknown))
    assert fetch(store, "w2") == [job_id]


def test_messages_of_a_dead_worker_go_back(store: Store) -> None:
    job_id = accept(store)
    fetch(store)
    time.sleep(0.005)
    assert recover(store, lease_seconds=0.001) == 1
    assert fetch(store, "w2") == [job_id]


def test_messages_given_back_keep_their_order(store: Store) -> None:
    ids = [accept(store) for _ in range(4)]
    assert fetch(store) == ids
    assert store.run(operations.giveback("w1", QUEUE, ids[1:])) == 3
    assert store.run(operations.giveback("w1", QUEUE, ids[1:])) == 0
    assert fetch(store) == ids[1:]
    store.run(operations.leave("w1", ""))
    assert sorted(fetch(store, "w2")) == sorted(ids)


def test_recovery_waits_after_a_gap_in_ticks(store: Store) -> None:
    first = store.run(operations.tick("w1", lease_seconds=0.05))
    assert first.may_recover
    time.sleep(0.06)
    assert not store.run(operations.tick("w1", lease_seconds=0.05)).may_recover


def test_progress_needs_the_claim(store: Store) -> None:
    job_id = accept(store)
    claim(store, job_id)

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
    fetch(store)
    claim(store, job_id)
    finish(store, job_id, values={"message": b"1"}, lines=[b"line"])
    time.sleep(0.002)
    assert store.run(operations.expire()) == 1
    assert [key for key in keys_of(store, job_id) if not key.endswith(b":events")] == []
    assert store.run(operations.job(job_id)) == "gone"


def test_an_unlisted_job_is_gone_when_it_was_collected(store: Store) -> None:
    job_id = accept(store, listed=False)
    fetch(store)
    claim(store, job_id)
    finish(store, job_id, values={"message": b"1"})
    assert store.run(operations.collect(job_id)) is not None
    assert store.run(operations.collect(job_id)) is None
    assert [key for key in keys_of(store, job_id) if not key.endswith(b":events")] == []


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
    ids = [accept(store) for _ in range(4)]
    claim(store, ids[1])
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
    assert store.run(operations.accept(late, {}, max_queued_jobs=10)).outcome == "clock"


def test_too_many_waiting_jobs_are_refused(store: Store) -> None:
    accept(store)
    assert store.run(operations.accept(new_job(store), {}, max_queued_jobs=1)).outcome == "full"


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


def test_we_read_what_the_stock_broker_enqueues(store: Store, any_store: StoreServer) -> None:
    broker = RedisBroker(url=any_store.url, namespace=store.keys.namespace, middleware=[])
    broker.declare_queue(QUEUE)
    message = dramatiq.Message(
        queue_name=QUEUE, actor_name="run_job", args=("some-id",), kwargs={}, options={}
    )
    broker.enqueue(message)
    assert fetch(store) == ["some-id"]
    broker.client.close()


def test_a_full_store_refuses_new_jobs_and_finishes_old_ones(own_store: StoreServer) -> None:
    from fastprocesses_host.store.keys import Keys

    store = Store(own_store.url, Keys.of("full"))
    running, waiting = accept(store), accept(store)
    claim(store, running)
    store.redis.config_set("maxmemory", 1)
    with pytest.raises(StoreFull):
        accept(store)
    assert not isinstance(claim(store, waiting, "w2", "c2"), str)
    assert (
        store.run(operations.tick("w1", lease_seconds=6, queues=[QUEUE], claims={running: "c1"})).stop == {}
    )
    assert finish(store, running, values={"message": b"1"}) == "ok"
    assert dismiss(store, waiting, "t").outcome == "ok"
    store.close()


def test_scripts_survive_that_the_store_forgets_them(store: Store) -> None:
    job_id = accept(store)
    store.redis.script_flush()
    assert isinstance(claim(store, job_id), Claimed)
