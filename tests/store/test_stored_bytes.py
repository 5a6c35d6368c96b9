"""How much lies in the value store is counted with every step of a job's life, and never drifts."""

import itertools
import os
import uuid
from pathlib import Path
from typing import Any

import pytest
from fastprocesses_host.engine.garbage import AT_ONCE, Garbage
from fastprocesses_host.store import operations
from fastprocesses_host.store.client import Store, StoreFull
from fastprocesses_host.store.keys import Keys
from fastprocesses_host.store.operations import Budgets
from fastprocesses_host.store.records import StoredInput, locations_field, locations_in
from fastprocesses_host.store.values import FileValues
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.store.steps import (
    MANY,
    accept,
    all_keys,
    dismiss,
    finish,
    left_behind,
    new_job,
    read,
    recover,
    release,
    take,
)
from tests.support import StoreServer, wait_until

ANY = Budgets(of_job=0, of_caller=0, in_all=0)
_names = itertools.count()


def accept_large(store: Store, location: str, length: int, **options: Any) -> str:
    job = new_job(store, **options)
    stored = {"data": StoredInput(location=location), "small": StoredInput(b"1")}
    operation = operations.accept(job, stored, limits=MANY, lengths={location: length})
    assert store.run(operation).outcome == "ok"
    assert store.run(operation).outcome == "ok"  # again: the first answer was lost
    return job.id


def finish_large(store: Store, job_id: str, location: str, length: int, claim: str = "c1") -> str:
    fields = {"ol": locations_field({location: length}), "out": b"{}"}
    ending = operations.finish(job_id, claim, "successful", fields=fields, max_log_lines=10)
    first = store.run(ending).outcome
    assert store.run(ending).outcome == first
    return first


def counted(store: Store) -> dict[str, int]:
    flat = store.command("HGETALL", store.keys.bytes)
    return {name.decode(): int(value) for name, value in zip(flat[::2], flat[1::2], strict=True)}


def garbage(store: Store) -> set[str]:
    return {location.decode() for location in store.command("SMEMBERS", store.keys.garbage)}


def test_a_job_counts_from_its_inputs_until_it_is_removed(store: Store) -> None:
    job_id = accept_large(store, "file:in", 100)
    assert counted(store) == {"all": 100, "c:somebody": 100}
    assert take(store) is not None
    assert finish_large(store, job_id, "file:out", 30) == "ok"
    assert counted(store) == {"all": 30, "c:somebody": 30}
    assert garbage(store) == {"file:in"}
    dismiss(store, job_id, "t")
    assert counted(store) == {}
    assert garbage(store) == {"file:in", "file:out"}


def test_what_was_written_before_lengths_were_is_not_counted(store: Store) -> None:
    job_id = accept_large(store, "file:in", 100)
    store.command("HSET", store.keys.job(job_id), "il", "file:in\nfile:in2")
    store.command("DEL", store.keys.bytes)
    dismiss(store, job_id, "t")
    assert counted(store) == {}
    assert garbage(store) == {"file:in", "file:in2"}


def test_results_expire_before_their_job(store: Store) -> None:
    job_id = accept_large(
        store, "file:in", 100, keep_inputs=True, results_ttl_seconds=0.05, log_ttl_seconds=0.05
    )
    take(store)
    finish_large(store, job_id, "file:out", 30)
    assert read(store, job_id).has_results
    wait_until(lambda: store.run(operations.expire()) == 1, 10)
    job = read(store, job_id)
    assert not job.has_results
    assert job.keeps_inputs
    assert job.results_expire is not None
    assert job.expires is not None
    assert job.results_expire < job.expires
    assert counted(store) == {"all": 100, "c:somebody": 100}
    assert garbage(store) == {"file:out"}
    dismiss(store, job_id, "t")
    store.command("DEL", store.keys.garbage)
    assert not left_behind(store)


def test_a_job_of_the_usual_times_has_no_more_fields(store: Store) -> None:
    usual, brief = accept(store), accept(store, results_ttl_seconds=1, log_ttl_seconds=1)
    for job_id in (usual, brief):
        assert take(store, job_id) is not None
        finish(store, job_id, job_id)
    fields = {job_id: set(store.redis.hkeys(store.keys.job(job_id))) for job_id in (usual, brief)}
    assert fields[brief] - fields[usual] == {b"rx"}
    assert not {b"rx", b"il", b"ol", b"lg"} & fields[usual]


@pytest.mark.parametrize(
    ("budgets", "outcome"),
    [
        (Budgets(of_job=150, of_caller=0, in_all=0), "job"),
        (Budgets(of_job=0, of_caller=150, in_all=0), "caller"),
        (Budgets(of_job=0, of_caller=0, in_all=150), "all"),
        (Budgets(of_job=160, of_caller=160, in_all=160), "ok"),
    ],
)
def test_room_is_held_within_budgets(store: Store, budgets: Budgets, outcome: str) -> None:
    job_id = accept_large(store, "file:in", 100)
    take(store)
    for holder, more in (("h", 30), ("h", 30)):
        held = store.run(
            operations.hold_room(holder, more_bytes=more, keep_seconds=60, budgets=budgets, job_id=job_id)
        )
    assert held == outcome
    store.run(operations.give_room_back("h"))
    store.run(operations.give_room_back("h"))
    assert counted(store) == {"all": 100, "c:somebody": 100}


def test_room_of_who_was_killed_is_given_back(store: Store) -> None:
    held = {"more_bytes": 10, "budgets": ANY, "caller": "a"}
    store.run(operations.hold_room("dead", keep_seconds=0.01, **held))
    store.run(operations.hold_room("living", keep_seconds=60, **held))
    wait_until(lambda: recover(store) == 0 and counted(store) == {"all": 10, "c:a": 10}, 10)


def test_nobody_has_what_no_job_and_no_upload_names(store: Store) -> None:
    running = accept_large(store, "file:in", 1)
    take(store)
    done = accept_large(store, "file:in2", 1, keep_inputs=True)
    take(store, "c2")
    finish_large(store, done, "file:out", 1, "c2")
    owned = [(running, "file:in"), (running, "file:new"), (done, "file:in2"), (done, "file:out")]
    left = [(done, "file:half"), (str(uuid.uuid4()), "file:x")]
    assert store.run(operations.unowned([*owned, *left])) == ["file:half", "file:x"]


def test_the_locations_of_a_job_come_back() -> None:
    assert locations_in(locations_field({"file:a": 1, "s3:b": 20}).encode()) == ["file:a", "s3:b"]
    assert locations_in(b"file:a\nfile:b") == ["file:a", "file:b"]


STEPS = ["accept", "kept", "take", "finish", "fail", "release", "dismiss", "expire", "purge"]


@settings(max_examples=30)
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 3), st.integers(1, 1000)), max_size=25))
def test_the_count_is_what_the_jobs_have(
    embedded_store: StoreServer, steps: list[tuple[str, int, int]]
) -> None:
    from fastprocesses_host.store.keys import Keys

    store = Store(embedded_store.url, Keys.of(f"bytes{next(_names)}"))
    try:
        jobs: list[str] = []
        for step, number, length in steps:
            _take_step(store, jobs, step, number, length)
            have = sum(
                sum(int(line.split("\t")[1]) for line in (value or b"").decode().split("\n") if line)
                for job_id in jobs
                for value in store.command("HMGET", store.keys.job(job_id), "il", "ol")
            )
            assert counted(store).get("all", 0) == have
            assert sum(counted(store).values()) == 2 * have
    finally:
        store.redis.delete(store.keys.bytes, *[store.keys.prefix + name for name in all_keys(store)])
        store.close()


def _take_step(store: Store, jobs: list[str], step: str, number: int, length: int) -> None:
    if step in {"accept", "kept"}:
        options: dict[str, Any] = {"keep_inputs": step == "kept", "caller": f"caller{number}"}
        job_id = accept_large(
            store,
            f"file:{len(jobs)}",
            length,
            retryable=number == 1,
            ttl_seconds=0.001 if number == 2 else 60,
            **options,
        )
        jobs.append(job_id)
    elif step == "take":
        take(store, f"c{number}")
    elif step == "expire":
        store.run(operations.expire())
    elif step == "purge":
        store.run(operations.purge(after="", latest_ms=store.check(), dismiss=number == 0))
    elif jobs:
        job_id = jobs[number % len(jobs)]
        claim = (store.command("HGET", store.keys.job(job_id), "c") or b"none").decode()
        if step == "finish":
            finish_large(store, job_id, f"file:out{len(jobs)}", length, claim)
        elif step == "fail":
            finish(store, job_id, claim, "failed")
        elif step == "release":
            release(store, job_id, claim)
        else:
            dismiss(store, job_id, f"t{number}")


def test_a_run_gets_room_in_a_full_store(own_store: StoreServer) -> None:
    """It could not end without; what is new is refused."""
    store = Store(own_store.url, Keys.of("full"))
    job_id = accept_large(store, "file:in", 100)
    take(store)
    store.redis.config_set("maxmemory", 1)
    asked = {"more_bytes": 10, "keep_seconds": 60, "budgets": ANY}
    assert store.run(operations.hold_room("c1", job_id=job_id, **asked)) == "ok"
    with pytest.raises(StoreFull):
        store.run(operations.hold_room("request", caller="somebody", **asked))
    assert finish_large(store, job_id, "file:out", 10) == "ok"
    store.run(operations.give_room_back("c1"))
    assert counted(store) == {"all": 10, "c:somebody": 10}
    store.close()


def test_all_garbage_goes_at_once(store: Store, tmp_path: Path) -> None:
    """However many jobs ended meanwhile: what counts no longer must not fill the disk."""
    values = FileValues(tmp_path)
    for _ in range(3 * AT_ONCE):
        store.command("SADD", store.keys.garbage, values.put(str(uuid.uuid4()), b"1"))
    Garbage(store, values).collect()
    assert garbage(store) == set()
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]
    values.close()


def test_what_a_new_job_has_of_an_old_upload_is_no_orphan(tmp_path: Path) -> None:
    """It is there before its job is."""
    values = FileValues(tmp_path)
    old = values.put(str(uuid.uuid4()), b"1")
    os.utime(tmp_path / old.removeprefix("file:"), (1, 1))
    assert [location for _, location in values.orphans()] == [old]
    values.copy(str(uuid.uuid4()), old)
    assert list(values.orphans()) == []
    values.close()
