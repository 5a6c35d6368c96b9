"""Jobs that share a run: one run, an end for each, and nothing left of it when nobody needs it any more."""

import time
from typing import Any

import pytest
from fastprocesses_host.ogc.jobs import Job, Status
from fastprocesses_host.store import operations, sharing
from fastprocesses_host.store.client import Store
from fastprocesses_host.store.operations import QueueLimits
from fastprocesses_host.store.records import NewJob, StoredInput
from fastprocesses_host.store.sharing import Answer, Key, Shared
from msgspec.structs import replace

from tests.store.steps import (
    IDS,
    MANY,
    QUEUE,
    all_keys,
    dismiss,
    expire,
    finish,
    left_behind,
    new_job,
    read,
    recover,
    release,
    take,
    taken,
)
from tests.support import wait_until

KEY = Key(name="key", request="request", keep_seconds=60)
CACHE_SECONDS = 100.0


def request(
    store: Store,
    *,
    shared_as: str = "same",
    key: Key | None = None,
    host: str = "",
    limits: QueueLimits = MANY,
    cache_seconds: float = CACHE_SECONDS,
    max_age_seconds: float | None = None,
    values_only: bool = False,
    urgent_queue: str = "",
    queue: str = QUEUE,
    **options: Any,
) -> Answer:
    """Have a request answered that may share a run, unless `shared_as` is empty."""
    job = new_job(store, waiting_host=host, queue=queue, **options)
    shared = None
    if shared_as:
        shared = Shared(
            run=run_for(store, job, shared_as, cache_seconds),
            max_age_seconds=max_age_seconds,
            values_only=values_only,
            urgent_queue=urgent_queue,
        )
    return store.run(
        sharing.share(
            job,
            {"message": StoredInput(b'"hi"')},
            limits=limits,
            lengths={},
            host=host,
            key=key,
            shared=shared,
        )
    )


def run_for(store: Store, job: NewJob, shared_as: str, cache_seconds: float) -> NewJob:
    limits = replace(job.limits, ttl_seconds=cache_seconds)
    return replace(
        job, id=IDS.make(store.check()), listed=False, waiting_host="", limits=limits, shared_as=shared_as
    )


def joined(store: Store, **options: Any) -> str:
    answer = request(store, **options)
    assert answer.outcome == "ok", answer
    assert answer.stored is None
    return answer.job_id


def end(store: Store, run: str, status: str = "successful", claim: str = "c1", **fields: Any) -> bool:
    """End a run; tell whether not all who follow it have been told."""
    given = {"out": b'{"result":{"form":"json","media_type":"application/json","length":2}}', **fields}
    values = {"result": b"42"} if status == "successful" else {}
    return store.run(
        operations.finish(run, claim, status, fields=given, values=values, max_log_lines=10, lines=[b"{}"])
    ).has_others


def statuses(store: Store, ids: list[str]) -> set[Status]:
    return {read(store, job_id).status for job_id in ids}


def listed(store: Store, status: str) -> list[str]:
    found = store.redis.zrange(f"{store.keys.prefix}:jobs:s:{status}", 0, -1)
    return [job_id.decode() for job_id in found]


def value(store: Store, job_id: str) -> bytes:
    collected = store.run(operations.collect(job_id))
    assert collected is not None
    return collected.values["result"]


def remove(store: Store, job_id: str) -> None:
    assert dismiss(store, job_id, f"t-{job_id}").outcome == "removed"


def expire_all(store: Store, runs: bool = True) -> None:
    """Have the time of everything that has one be over."""
    key = f"{store.keys.prefix}:exp"
    for job_id in store.redis.zrange(key, 0, -1):
        store.redis.zadd(key, {job_id: 1})
    expire(store)


def test_equal_requests_share_one_run(store: Store) -> None:
    ids = [joined(store) for _ in range(3)]
    run = taken(store)
    assert run is not None
    assert run not in ids
    assert taken(store, "c2") is None
    assert statuses(store, ids) == {Status.RUNNING}
    assert listed(store, "running") == sorted(ids)
    ids.append(joined(store))
    assert not end(store, run)
    assert listed(store, "successful") == sorted(ids)
    assert [value(store, job_id) for job_id in ids] == [b"42"] * 4
    assert [read(store, job_id).is_joined for job_id in ids] == [False, True, True, True]
    assert {read(store, job_id).run_id for job_id in ids} == {run}
    page = store.run(operations.jobs(limit=10))
    assert [job.id for job in page.jobs] == sorted(ids, reverse=True)
    log = store.run(operations.log(ids[0], limit=10))
    assert log is not None
    assert log.lines == [b"{}"]


def test_values_that_are_there_answer_at_once(store: Store) -> None:
    first = joined(store)
    end(store, str(taken(store)))
    answer = request(store)
    assert answer.stored is not None
    assert (answer.stored.status, answer.how) == (Status.SUCCESSFUL, "stored")
    assert answer.stored.results_age_ms is not None
    assert read(store, first).results_age_ms is None
    assert value(store, answer.job_id) == b"42"
    unlisted = request(store, listed=False)
    assert unlisted.stored is not None
    assert unlisted.stored.values == {"result": b"42"}
    assert taken(store, "c2") is None
    assert request(store, shared_as="other").stored is None


def test_how_old_values_may_be(store: Store) -> None:
    joined(store)
    end(store, str(taken(store)))
    time.sleep(0.02)
    assert request(store, max_age_seconds=60).stored is not None
    assert request(store, values_only=True).stored is not None
    assert request(store, values_only=True, max_age_seconds=0.01).outcome == "none"
    assert request(store, values_only=True, shared_as="other").outcome == "none"
    fresh = joined(store, max_age_seconds=0)
    assert joined(store, max_age_seconds=0) != fresh  # one run: it has not begun yet
    run = taken(store, "c2")
    assert taken(store, "c3") is None
    newer = joined(store, max_age_seconds=0)  # that one has begun: what it knows may be older
    other_run = taken(store, "c3")
    assert other_run not in (None, run)
    end(store, str(run), claim="c2")
    assert read(store, fresh).status == Status.SUCCESSFUL
    assert read(store, newer).status == Status.RUNNING
    assert request(store).stored is None  # follows the newer run, whose values are to come
    end(store, str(other_run), claim="c3")
    assert read(store, newer).status == Status.SUCCESSFUL


def test_many_are_told_a_hundred_at_a_time(store: Store) -> None:
    ids = [joined(store) for _ in range(220)]
    run = str(taken(store))
    assert len(listed(store, "running")) == 100
    assert end(store, run)
    assert len(listed(store, "successful")) == 100
    for told in (200, 220):
        store.run(sharing.bring())
        assert len(listed(store, "successful")) == told
    assert store.run(sharing.bring()) == 0
    assert statuses(store, ids) == {Status.SUCCESSFUL}


def test_ticks_tell_those_that_a_killed_worker_left_untold(store: Store) -> None:
    ids = [joined(store) for _ in range(110)]
    assert end(store, str(taken(store)))
    recover(store)
    assert statuses(store, ids) == {Status.SUCCESSFUL}


def test_dismissing_one_ends_it_alone_and_dismissing_all_ends_the_run(store: Store) -> None:
    ids = [joined(store) for _ in range(3)]
    run = str(taken(store))
    for job_id in ids[:2]:
        assert dismiss(store, job_id, f"t-{job_id}").outcome == "ok"
        assert dismiss(store, job_id, f"t-{job_id}").outcome == "ok"
    assert read(store, ids[2]).status == read(store, run).status == Status.RUNNING
    dismiss(store, ids[2], "t")
    assert read(store, run).status == Status.DISMISSED
    assert finish(store, run) == "final"
    assert request(store).stored is None  # runs anew
    assert taken(store, "c2") not in (None, run)


def test_a_run_that_waits_ends_with_the_last_of_those_who_wanted_it(store: Store) -> None:
    dismiss(store, joined(store), "t")
    assert take(store) is None
    expire_all(store)
    assert left_behind(store) == set()


@pytest.mark.parametrize("how", ["failed", "lost", "stopped", "no worker"])
def test_a_run_that_fails_fails_for_all_and_is_not_kept(store: Store, how: str) -> None:
    ids = [joined(store, max_queue_seconds=0.001 if how == "no worker" else 60) for _ in range(2)]
    if how != "no worker":
        run = str(taken(store, lease_seconds=0.001 if how == "lost" else 6))
    if how == "failed":
        end(store, run, "failed", rc="told", pb=b'{"title":"Wrong moon","status":409}')
    elif how == "stopped":
        release(store, run)
    else:
        time.sleep(0.005)
        recover(store)
    jobs = [read(store, job_id) for job_id in ids]
    assert [job.status for job in jobs] == [Status.FAILED] * 2
    assert jobs[0].problem == jobs[1].problem
    assert jobs[0].problem is not None
    assert jobs[0].reason == jobs[1].reason != ""
    answer = request(store)
    assert answer.stored is None
    assert answer.how == "run"


def test_a_run_that_is_repeated_stays_theirs(store: Store) -> None:
    ids = [joined(store, retryable=True, max_attempts=2) for _ in range(2)]
    run = str(taken(store, lease_seconds=0.001))
    assert statuses(store, ids) == {Status.RUNNING}
    time.sleep(0.005)
    recover(store)
    assert statuses(store, ids) == {Status.ACCEPTED}
    assert read(store, ids[0]).started is None
    recover(store)
    assert taken(store, "c2") == run
    end(store, run, claim="c2")
    assert statuses(store, ids) == {Status.SUCCESSFUL}


def test_whoever_waits_for_a_run_has_it_go_before_a_backlog(store: Store) -> None:
    others = [new_job(store) for _ in range(3)]
    for job in others:
        store.run(operations.accept(job, {}, limits=MANY))
    background = joined(store)
    urgent = [joined(store, listed=False, urgent_queue=f"{QUEUE}.sync", queue=f"{QUEUE}.sync") for _ in "ab"]
    queues = (f"{QUEUE}.sync", QUEUE)
    run = str(taken(store, queues=queues))
    assert read(store, background).status == Status.RUNNING
    end(store, run)
    assert statuses(store, [background, *urgent]) == {Status.SUCCESSFUL}
    assert [taken(store, f"c{n}", queues=queues) for n in range(2, 6)] == [*(job.id for job in others), None]
    for number, job in enumerate(others):
        finish(store, job.id, f"c{number + 2}")
    assert not [name for name in all_keys(store) if name.startswith((":turns", ":vacant", ":backlog", ":d:"))]


def test_values_live_as_long_as_anybody_needs_them(store: Store) -> None:
    """Longer than the cache for a job that is kept longer, and no longer than the cache for one that is removed."""
    first, second = joined(store, ttl_seconds=1000), joined(store, ttl_seconds=500)
    run = str(taken(store))
    end(store, run)
    kept_until = store.redis.zscore(f"{store.keys.prefix}:exp", run)
    assert kept_until == read(store, first).expires
    remove(store, first)
    assert value(store, second) == b"42"
    remove(store, second)
    cached_until = store.redis.zscore(f"{store.keys.prefix}:exp", run)
    assert cached_until == pytest.approx((read(store, run).finished or 0) + CACHE_SECONDS * 1000)
    third = request(store)  # still kept for equal requests
    assert third.stored is not None
    remove(store, third.job_id)
    expire_all(store)
    assert left_behind(store) == set()


def test_removing_one_before_the_end_of_the_cache_keeps_the_values_of_an_unlisted_one(store: Store) -> None:
    first = joined(store, cache_seconds=0.001)
    waited_for = joined(store, listed=False, ttl_seconds=600)
    run = str(taken(store))
    end(store, run)
    remove(store, first)
    expires = store.redis.zscore(f"{store.keys.prefix}:exp", run)
    assert expires == read(store, waited_for).expires
    assert value(store, waited_for) == b"42"


def test_a_run_is_not_removed_before_all_have_been_told(store: Store) -> None:
    ids = [joined(store, cache_seconds=0.001) for _ in range(130)]
    assert end(store, str(taken(store)))
    expire_all(store)  # the first hundred and the run are past their time
    while store.run(sharing.bring()):
        pass
    left = [job_id for job_id in ids if isinstance(store.run(operations.job(job_id)), Job)]
    assert len(left) == 30
    assert {value(store, job_id) for job_id in left} == {b"42"}


def test_the_cache_forgets(store: Store) -> None:
    joined(store, cache_seconds=0.02)
    end(store, str(taken(store)))
    wait_until(lambda: request(store, values_only=True).outcome == "none", 30)


def test_a_full_queue_takes_no_more_of_them(store: Store) -> None:
    limits = QueueLimits(jobs=2, of_caller=1000, of_process=0)
    joined(store, limits=limits)
    joined(store, limits=limits)
    assert request(store, limits=limits).outcome == "full"
    assert request(store, limits=replace(limits, jobs=1), shared_as="other", key=KEY).outcome == "full"
    assert not store.redis.exists(f"{store.keys.prefix}:key:{KEY.name}")


def test_a_key_stands_for_one_job(store: Store) -> None:
    first = request(store, shared_as="", key=KEY)
    again = request(store, shared_as="", key=KEY)
    assert (first.outcome, again.outcome, again.job_id) == ("ok", "same", first.job_id)
    assert request(store, shared_as="", key=replace(KEY, request="another")).outcome == "other"
    assert request(store, shared_as="", key=replace(KEY, name="another")).outcome == "ok"
    remove_all = [first.job_id]
    assert taken(store) == first.job_id
    finish(store, first.job_id)
    assert request(store, shared_as="", key=KEY).job_id == first.job_id
    remove(store, *remove_all)
    assert request(store, shared_as="", key=KEY).outcome == "same"  # and never run again


def test_a_key_of_a_job_that_shares_a_run(store: Store) -> None:
    joined(store)
    first = request(store, key=KEY)
    assert (first.outcome, first.how) == ("ok", "joined")
    assert request(store, key=KEY).job_id == first.job_id
    end(store, str(taken(store)))
    assert request(store, key=KEY).outcome == "same"


def test_a_lost_answer_does_no_harm(store: Store) -> None:
    """The same call again: one job, one run, one turn in the queue."""
    job = new_job(store)
    shared = Shared(run=run_for(store, job, "same", CACHE_SECONDS))
    call = sharing.share(job, {}, limits=MANY, lengths={}, host="", key=KEY, shared=shared)
    assert [store.run(call).outcome for _ in range(3)] == ["ok"] * 3
    assert taken(store) == shared.run.id
    assert taken(store, "c2") is None
    end(store, shared.run.id)
    assert store.run(call).outcome == "ok"
    assert read(store, job.id).status == Status.SUCCESSFUL


def test_every_host_that_waits_for_a_key_hears_of_the_end(store: Store) -> None:
    with store.redis.pubsub() as heard:
        heard.subscribe(store.keys.done("one"), store.keys.done("two"))
        first = request(store, shared_as="", key=KEY, host="one")
        for _ in range(2):
            request(store, shared_as="", key=KEY, host="two")
        taken(store)
        finish(store, first.job_id)
        messages: list[Any] = []

        def both() -> bool:
            message = heard.get_message(ignore_subscribe_messages=True)
            messages.extend([message] if message else [])
            return len(messages) == 2

        wait_until(both)
    assert {message["channel"].decode().rsplit(":", 1)[1] for message in messages} == {"one", "two"}


def test_a_run_that_is_withdrawn_answers_those_who_share_it_alone(store: Store) -> None:
    first = request(store)
    assert taken(store) == first.run_id
    second = request(store)
    assert store.run(sharing.withdraw(first.run_id))
    other = request(store)
    assert (second.how, other.how) == ("joined", "run")
    assert not store.run(sharing.withdraw(first.run_id))  # what is offered now is another one
    end(store, first.run_id)
    assert statuses(store, [first.job_id, second.job_id]) == {Status.SUCCESSFUL}
    assert request(store).run_id == other.run_id
    assert not store.run(sharing.withdraw("none"))
