"""Jobs that share a run, where replies get lost, turns pass in two queues, or workers are of a version before."""

from fastprocesses_host.ogc.jobs import OutputValue, Status
from fastprocesses_host.store import operations, sharing
from fastprocesses_host.store.client import Store
from fastprocesses_host.store.operations import Budgets
from fastprocesses_host.store.records import StoredInput, Told, encode_told
from fastprocesses_host.store.sharing import Answer, Shared

from tests.store.steps import (
    MANY,
    QUEUE,
    accept,
    dismiss,
    finish,
    left_behind,
    new_job,
    read,
    recover,
    take,
    taken,
)
from tests.store.test_sharing import end, expire_all, joined, request, run_for

SYNC_QUEUE = "default.sync"
BOTH = (SYNC_QUEUE, QUEUE)


def test_a_run_that_is_given_up_in_two_queues_keeps_nobodys_turn(store: Store) -> None:
    """Its turn is in one of them, whichever is looked at first."""
    first = joined(store)
    second = joined(store, queue=SYNC_QUEUE, urgent_queue=SYNC_QUEUE)
    waiting = accept(store)
    for job_id in (first, second):
        assert dismiss(store, job_id, job_id).outcome == "ok"
    assert taken(store, "c1", queues=BOTH) == waiting
    assert finish(store, waiting) == "ok"
    later = accept(store)
    assert taken(store, "c2", queues=BOTH) == later


def test_a_lost_answer_does_not_say_that_the_inputs_are_of_use(store: Store) -> None:
    first, second = new_job(store), new_job(store)
    shared = {job.id: Shared(run=run_for(store, job, "same", 100)) for job in (first, second)}

    def answers(job) -> list[Answer]:
        inputs = {"message": StoredInput(b'"hi"')}
        call = sharing.share(job, inputs, limits=MANY, lengths={}, host="", shared=shared[job.id])
        return [store.run(call) for _ in range(2)]

    assert {answer.how for answer in answers(first)} == {"run"}
    joining = answers(second)
    assert {answer.how for answer in joining} == {"joined"}
    assert {answer.run_id for answer in joining} == {shared[first.id].run.id}


def test_who_repeats_the_end_of_a_run_tells_those_that_are_left(store: Store) -> None:
    for _ in range(150):
        joined(store)
    claimed = take(store)
    assert claimed is not None
    ending = operations.finish(claimed.job_id, "c1", "successful", fields={"out": b"{}"}, max_log_lines=0)
    assert [store.run(ending.again()).has_others for _ in range(2)] == [True, True]


def test_room_counts_for_whom_it_was_held_first(store: Store) -> None:
    """A job that was dismissed meanwhile has no caller any more; its run goes on asking until it is told."""
    job_id = accept(store, caller="somebody")
    take(store)
    asking = operations.hold_room(
        "c1", more_bytes=100, keep_seconds=60, budgets=Budgets(of_job=0, of_caller=0, in_all=0), job_id=job_id
    )
    assert store.run(asking) == "ok"
    dismiss(store, job_id, "t1")
    assert store.run(asking) == "ok"
    assert store.command("HGET", store.keys.bytes, "c:somebody") == b"200"
    store.run(operations.give_room_back("c1"))
    assert store.command("HGETALL", store.keys.bytes) in ({}, [])


def test_those_that_follow_a_run_of_an_older_worker_have_its_values(store: Store) -> None:
    """Such a worker ends it as a job that nobody shares."""
    first, second = joined(store), joined(store, listed=False)
    claimed = take(store)
    assert claimed is not None
    run, prefix = claimed.job_id, store.keys.prefix
    outputs = {"result": OutputValue(form="json", media_type="application/json", length=2)}
    told = encode_told(Told(status=Status.SUCCESSFUL, outputs=outputs, values={"result": b"42"}))
    now_ms = store.check()
    ended = {"s": "successful", "fi": now_ms, "up": now_ms, "ex": now_ms + 1000, "res": told}
    store.redis.hset(store.keys.job(run), mapping=ended)
    store.redis.pexpire(store.keys.job(run), 1000)
    store.redis.zrem(f"{prefix}:lease", run)
    late(store, run)
    for job_id in (first, second):
        assert read(store, job_id).status == Status.SUCCESSFUL
        collected = store.run(operations.collect(job_id))
        assert collected is not None
        assert collected.values == {"result": b"42"}
    assert store.redis.pttl(store.keys.job(run)) == -1
    assert request(store).how == "stored"
    expire_all(store)
    assert {name for name in left_behind(store) if store.redis.pttl(prefix + name) == -1} == set()


def test_those_whose_run_is_gone_end(store: Store) -> None:
    jobs = [joined(store) for _ in range(3)]
    claimed = take(store)
    assert claimed is not None
    store.redis.delete(store.keys.job(claimed.job_id))
    store.redis.zrem(f"{store.keys.prefix}:lease", claimed.job_id)
    late(store, claimed.job_id)
    assert {read(store, job_id).status for job_id in jobs} == {Status.FAILED}
    assert store.redis.exists(f"{store.keys.prefix}:shared") == 0


def test_a_run_is_looked_after_until_nobody_follows_it(store: Store) -> None:
    jobs = [joined(store) for _ in range(2)]
    claimed = take(store)
    assert claimed is not None
    late(store, claimed.job_id)
    assert {read(store, job_id).status for job_id in jobs} == {Status.RUNNING}
    assert store.redis.zcard(f"{store.keys.prefix}:shared") == 1
    assert not end(store, claimed.job_id)
    assert store.redis.exists(f"{store.keys.prefix}:shared") == 0


def late(store: Store, run: str) -> None:
    """Have a run looked after as if it had been shared for a while."""
    store.redis.zadd(f"{store.keys.prefix}:shared", {run: 1})
    recover(store)
