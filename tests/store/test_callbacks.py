"""Calls to subscribers in the store: due when something happened, one after the other, each until it is told."""

import time

import pytest
from fastprocesses_host.ogc.jobs import Status
from fastprocesses_host.ogc.subscribers import Subscriber
from fastprocesses_host.store import operations
from fastprocesses_host.store.callbacks import Call, CallOutcome, end_call, next_call
from fastprocesses_host.store.client import Store
from fastprocesses_host.store.keys import CALLBACK_QUEUE, Keys

from tests.store.steps import (
    accept,
    all_keys,
    dismiss,
    finish,
    left_behind,
    read,
    recover,
    release,
    take,
    traces,
)
from tests.support import StoreServer, wait_until

BASE = "https://server.example/ogcapi"
FIELDS = ("sb", "sl", "sk", "si", "sn", "se", "so", "sa", "sp", "sx")


def subscriber(*steps: str, host: str = "one.example") -> Subscriber:
    uris = {
        "success_uri": f"https://{host}/done?token=secret",
        "in_progress_uri": f"https://{host}/progress",
        "failed_uri": f"https://{host}/failed",
    }
    wanted = steps or ("success", "in_progress", "failed")
    return Subscriber(base_url=BASE, **{f"{step}_uri": uris[f"{step}_uri"] for step in wanted})


def begun(store: Store, *steps: str, host: str = "one.example", claim: str = "c1", **options: float) -> str:
    """Have a job accepted and taken."""
    job_id = accept(store, subscriber=subscriber(*steps, host=host), **options)
    claimed = take(store, claim)
    assert claimed is not None
    assert claimed.job_id == job_id
    return job_id


def due(
    store: Store, claim: str = "k1", *, lease_seconds: float = 30, busy: tuple[str, ...] = ()
) -> Call | None:
    return store.run(next_call(claim, lease_seconds=lease_seconds, busy=busy))


def called(store: Store, claim: str = "k1", **options: float) -> Call:
    call = due(store, claim, **options)  # type: ignore[arg-type]
    assert call is not None
    return call


def end(
    store: Store, call: Call, outcome: CallOutcome = "told", wait_seconds: float = 0, line: bytes = b""
) -> str:
    return store.run(end_call(call, outcome, wait_seconds=wait_seconds, line=line, max_log_lines=3))


def progress(store: Store, job_id: str, percent: int, claim: str = "c1") -> None:
    operation = operations.progress(job_id, claim, percent=percent, message=None, lines=(), max_log_lines=10)
    assert store.run(operation) == "ok"


def is_awake(store: Store) -> bool:
    return store.redis.llen(store.keys.queue(CALLBACK_QUEUE)) > 0


def time_passes(store: Store) -> None:
    """Have everything be due whose time is to come."""
    for name in all_keys(store):
        if name.startswith(":calls"):
            key = store.keys.prefix + name
            store.redis.zadd(key, dict.fromkeys(store.redis.zrange(key, 0, -1), 1))


def nothing_is_left(store: Store, job_id: str) -> bool:
    """Whether the store has no address of a subscriber, and no call, any more."""
    assert not any(store.redis.hmget(store.keys.job(job_id), FIELDS))
    assert not any(name.startswith(":calls") for name in all_keys(store))
    return not is_awake(store)


def test_a_job_without_a_subscriber_costs_nothing(store: Store) -> None:
    job_id = accept(store)
    take(store)
    progress(store, job_id, 10)
    finish(store, job_id)
    assert due(store) is None
    assert nothing_is_left(store, job_id)


def test_each_step_is_told_once(store: Store) -> None:
    job_id = begun(store)
    assert is_awake(store)
    running = called(store)
    assert (running.step, running.uri, running.lane) == (
        "progress",
        "https://one.example/progress",
        "one.example:443",
    )
    assert (running.job.id, running.job.status, running.subscriber.base_url) == (job_id, Status.RUNNING, BASE)
    assert end(store, running) == "ok"
    assert due(store) is None
    progress(store, job_id, 40)
    again = called(store)
    assert (again.step, again.job.progress) == ("progress", 40)
    assert again.id != running.id
    assert end(store, again) == "ok"
    finish(store, job_id, values={"message": b'"hi"'})
    done = called(store)
    assert (done.step, done.uri, done.job.status) == (
        "success", "https://one.example/done?token=secret", Status.SUCCESSFUL
    )  # fmt: skip
    assert "." not in done.id
    assert end(store, done) == "ok"
    assert due(store) is None
    assert nothing_is_left(store, job_id)


@pytest.mark.parametrize(
    ("wanted", "ending", "told"),
    [
        (("success",), "successful", ["success"]),
        (("success",), "failed", []),
        (("failed",), "failed", ["failure"]),
        (("failed",), "successful", []),
        (("in_progress",), "successful", ["progress"]),
        (("in_progress", "success", "failed"), "dismissed", ["progress"]),
    ],
)
def test_what_was_not_asked_for_is_not_told(store: Store, wanted, ending: str, told: list[str]) -> None:
    job_id = begun(store, *wanted)
    calls = []
    while call := due(store):
        calls.append(call.step)
        end(store, call)
    finish(store, job_id, status=ending)
    while call := due(store):
        calls.append(call.step)
        end(store, call)
    assert calls == told
    assert nothing_is_left(store, job_id)


def test_progress_that_is_out_of_date_is_not_told(store: Store) -> None:
    job_id = begun(store)
    progress(store, job_id, 40)
    finish(store, job_id)
    assert called(store).step == "success"


def test_a_later_step_waits_for_the_call_that_is_out(store: Store) -> None:
    job_id = begun(store)
    running = called(store)
    progress(store, job_id, 40)
    finish(store, job_id)
    assert due(store, "k2") is None
    assert end(store, running, "failed", wait_seconds=100) == "ok"
    done = called(store, "k2")  # at once: progress is not told any more
    assert (done.step, done.failures) == ("success", 0)


def test_a_call_that_failed_is_due_again_after_its_wait(store: Store) -> None:
    job_id = begun(store, "success")
    finish(store, job_id)
    first = called(store)
    assert end(store, first, "failed", wait_seconds=1000) == "ok"
    assert due(store) is None
    recover(store)
    assert not is_awake(store)
    time_passes(store)
    recover(store)
    assert is_awake(store)
    second = called(store)
    assert (second.id, second.failures) == (first.id, 1)
    assert end(store, second, "given-up") == "ok"
    assert nothing_is_left(store, job_id)
    assert read(store, job_id).status == Status.SUCCESSFUL


def test_a_call_whose_worker_died_is_due_again_and_its_late_end_does_not_count(store: Store) -> None:
    job_id = begun(store, "success")
    finish(store, job_id)
    lost = called(store, "k1", lease_seconds=0)
    wait_until(lambda: recover(store) is not None and is_awake(store))
    again = called(store, "k2")
    assert (again.id, again.failures) == (lost.id, 0)
    assert end(store, lost) == "superseded"
    assert end(store, again) == "ok"
    assert end(store, again) == "superseded"  # the first answer was lost
    assert nothing_is_left(store, job_id)


def test_a_call_that_kills_its_workers_is_given_up(store: Store) -> None:
    job_id = begun(store, "success")
    finish(store, job_id)
    for _ in range(10):
        assert called(store, lease_seconds=0)
        time.sleep(0.002)
    assert due(store) is None
    assert nothing_is_left(store, job_id)


def test_a_call_that_was_given_back_is_due_at_once_and_counts_nothing(store: Store) -> None:
    job_id = begun(store, "success")
    finish(store, job_id)
    first = called(store)
    assert end(store, first, "back") == "ok"
    assert is_awake(store)
    assert called(store, "k2").failures == 0


def test_progress_is_told_so_often_and_no_more(store: Store) -> None:
    job_id = begun(store, "in_progress", callback_progress_seconds=1000)
    end(store, called(store))
    for percent in (1, 2, 3):
        progress(store, job_id, percent)
        assert due(store) is None
    time_passes(store)
    call = called(store)
    assert call.job.progress == 3
    progress(store, job_id, 4)
    end(store, call)
    assert due(store) is None
    time_passes(store)
    end(store, called(store))
    time_passes(store)
    assert due(store) is None


def test_progress_of_a_deaf_subscriber_is_given_up_and_the_end_is_told(store: Store) -> None:
    job_id = begun(store)
    end(store, called(store), "given-up")
    progress(store, job_id, 40)
    assert due(store) is None
    finish(store, job_id, status="failed")
    assert called(store).step == "failure"


def test_what_happens_while_progress_is_told_is_told_next(store: Store) -> None:
    job_id = begun(store, "in_progress")
    first = called(store)
    progress(store, job_id, 40)
    end(store, first)
    second = called(store)
    assert second.job.progress == 40
    end(store, second)
    assert due(store) is None
    release(store, job_id, untouched=True)
    assert called(store).job.status == Status.ACCEPTED


@pytest.mark.parametrize("is_out", [True, False])
def test_a_removed_job_leaves_nothing_behind(store: Store, is_out: bool) -> None:
    job_id = begun(store)
    finish(store, job_id)
    call = called(store) if is_out else None
    assert dismiss(store, job_id, "t1").outcome == "removed"
    assert call is None or end(store, call) == "gone"
    assert due(store) is None
    assert left_behind(store) == set()
    assert [name for name in traces(store, job_id) if not name.startswith(":t:")] == []


def test_a_dismissed_job_is_not_told_of_and_leaves_nothing_behind(store: Store) -> None:
    job_id = begun(store)
    running = called(store)
    dismiss(store, job_id, "t1")
    assert end(store, running, "failed", wait_seconds=1) == "ok"
    assert due(store) is None
    assert nothing_is_left(store, job_id)


def test_a_lost_worker_s_job_is_told_of(store: Store) -> None:
    job_id = accept(store, subscriber=subscriber("failed"))
    take(store, lease_seconds=0)
    time.sleep(0.002)
    recover(store)
    call = called(store)
    assert (call.step, call.job.id, call.job.status) == ("failure", job_id, Status.FAILED)


def test_hosts_take_turns(store: Store) -> None:
    for number, host in enumerate(("one.example", "one.example", "one.example", "two.example")):
        finish(store, begun(store, "success", host=host, claim=f"c{number}"), f"c{number}")
    assert [called(store, f"k{number}").lane for number in range(4)][:2] == [
        "one.example:443",
        "two.example:443",
    ]


def test_a_host_that_has_enough_calls_does_not_hold_up_another(store: Store) -> None:
    one = [f"c{number}" for number in range(30)]
    for claim in one:
        finish(store, begun(store, "success", host="one.example", claim=claim), claim)
    finish(store, begun(store, "success", host="two.example", claim="d"), "d")
    first = called(store, "k1")
    assert first.lane == "one.example:443"
    other = due(store, "k2", busy=("one.example:443",))
    assert other is not None
    assert other.lane == "two.example:443"
    assert due(store, "k3", busy=("one.example:443",)) is None
    assert not is_awake(store)
    end(store, first)
    assert is_awake(store)  # its lane goes on


def test_a_line_of_the_log_is_written_after_the_end_and_only_by_the_call_that_counts(store: Store) -> None:
    job_id = begun(store, "success")
    finish(store, job_id, lines=[b"of the process"])
    lost = called(store, "k1", lease_seconds=0)
    time.sleep(0.002)
    call = called(store, "k2")
    assert end(store, lost, line=b"late") == "superseded"
    end(store, call, line=b"told")
    found = store.run(operations.log(job_id, limit=10))
    assert found is not None
    assert found.lines == [b"of the process", b"told"]
    dismiss(store, job_id, "t")
    assert left_behind(store) == set()


def test_everything_is_as_it_was_after_a_restart_of_the_store(
    own_store: StoreServer, key_prefix: str
) -> None:
    def restarted() -> Store:
        own_store.kill()
        own_store.start()
        return Store(own_store.url, Keys.of(key_prefix))

    before = Store(own_store.url, Keys.of(key_prefix))
    job_id = begun(before, "success")
    finish(before, job_id)
    between = restarted()
    assert is_awake(between)
    call = called(between)
    after = restarted()
    assert end(after, call) == "ok"
    assert due(after) is None
    assert nothing_is_left(after, job_id)
    for store in (before, between, after):
        store.close()
