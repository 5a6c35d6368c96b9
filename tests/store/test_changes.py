"""Hosts hear of each change of a job that can be watched, and of no other; what they read then is all there is."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from fastprocesses_host.store import operations
from fastprocesses_host.store.client import Store

from tests.store.steps import accept, change_terms, dismiss, finish, read, release, take


class Listener:
    """Hears of the changes of all jobs under a prefix."""

    def __init__(self, store: Store) -> None:
        self._channels = store.redis.pubsub()  # type: ignore[no-untyped-call]
        self._channels.psubscribe(store.keys.changes("*").replace("{", "\\{"))
        self._channels.get_message(timeout=10)
        self._store = store

    def heard(self) -> list[str]:
        """Whose changes have been told since the last time: all, as the store tells before it answers."""
        self._channels.ping("marked")
        found: list[str] = []
        while (message := self._channels.get_message(timeout=10)) and message["type"] != "pong":
            found.append(message["channel"].decode().rpartition(":")[2])
        return found

    def close(self) -> None:
        self._channels.close()


@pytest.fixture
def listener(store: Store) -> Iterator[Listener]:
    with closing(Listener(store)) as opened:
        yield opened


def progress(store: Store, job_id: str, percent: int | None, *lines: bytes, most: int = 10) -> str:
    operation = operations.progress(
        job_id, "c1", percent=percent, message=None, lines=lines, max_log_lines=most
    )
    return store.run(operation)


def look(store: Store, job_id: str, lines_from: int = 0, limit: int = 100, max_bytes: int = 1000) -> Any:
    found = store.run(operations.look(job_id, lines_from=lines_from, limit=limit, max_bytes=max_bytes))
    return found and (found.count, found.first, found.lines)


def test_each_change_of_a_listed_job_is_told(store: Store, listener: Listener) -> None:
    job_id = accept(store)
    assert listener.heard() == [], "nobody can know it yet"
    for step in (
        lambda: take(store),
        lambda: progress(store, job_id, 7),
        lambda: progress(store, job_id, None, b"line"),
        lambda: release(store, job_id, untouched=True),
        lambda: take(store),
        lambda: finish(store, job_id),
    ):
        step()
        assert listener.heard() == [job_id]
    assert progress(store, job_id, 8) == "final"
    dismiss(store, job_id, "t")
    assert listener.heard() == []


def test_a_dismissal_is_told(store: Store, listener: Listener) -> None:
    job_id = accept(store)
    dismiss(store, job_id, "t")
    assert listener.heard() == [job_id]


def test_nobody_is_told_of_jobs_that_nobody_sees(store: Store, listener: Listener) -> None:
    job_id = accept(store, listed=False, mode="sync")
    take(store)
    progress(store, job_id, 7, b"line")
    assert listener.heard() == []
    change_terms(store, job_id, shared_as="what others may share")
    progress(store, job_id, 8)
    assert listener.heard() == [job_id], "those that follow it are seen"
    store.command("HDEL", store.keys.job(job_id), "sd")
    finish(store, job_id)
    assert listener.heard() == []


def test_lines_are_read_from_a_position_on(store: Store) -> None:
    job_id = accept(store)
    assert look(store, job_id) == (0, 0, [])
    take(store)
    progress(store, job_id, None, b"1", b"2", b"3")
    assert look(store, job_id) == (3, 0, [b"1", b"2", b"3"])
    assert look(store, job_id, 1, limit=1) == (3, 1, [b"2"])
    assert look(store, job_id, 3) == (3, 3, [])
    assert look(store, job_id, 9) == (3, 3, []), "the store has lost what was told"
    assert look(store, job_id, limit=0) == (3, 0, [])
    assert look(store, job_id, max_bytes=2) == (3, 0, [b"1", b"2"])
    assert look(store, job_id, max_bytes=0) == (3, 0, [b"1"]), "one at least, or it would never end"
    assert look(store, "0190c3f2-0000-7000-8000-000000000000") is None


def test_lines_that_are_not_kept_are_counted(store: Store) -> None:
    job_id = accept(store)
    take(store)
    progress(store, job_id, None, *[b"%d" % number for number in range(1, 8)], most=5)
    finish(store, job_id, lines=[b"8", b"9"])  # of which ten are kept
    assert look(store, job_id) == (9, 2, [b"3", b"4", b"5", b"6", b"7", b"8", b"9"])
    assert look(store, job_id, 1, limit=2) == (9, 2, [b"3", b"4"])
    store.command("DEL", store.keys.log(job_id))
    assert look(store, job_id) == (9, 9, []), "a log may be removed before its job"
    assert store.command("HGET", store.keys.job(job_id), "lg") == b"9"


def test_no_line_is_kept_where_none_may_be(store: Store) -> None:
    job_id = accept(store)
    take(store)
    progress(store, job_id, 5, b"1", most=0)
    assert look(store, job_id) == (0, 0, [])
    assert read(store, job_id).progress == 5


def test_a_log_of_before_lines_were_counted_goes_on(store: Store) -> None:
    """The record then told that there is a log, and nothing of its length."""
    job_id = accept(store)
    take(store)
    store.command("RPUSH", store.keys.log(job_id), b"1", b"2")
    store.command("HSET", store.keys.job(job_id), "lg", 1)
    assert look(store, job_id) == (2, 0, [b"1", b"2"])
    progress(store, job_id, None, b"3", most=2)
    assert look(store, job_id) == (3, 1, [b"2", b"3"])


def test_many_lines_at_once_are_taken(store: Store) -> None:
    job_id = accept(store)
    take(store)
    progress(store, job_id, None, *[b"x"] * 9000, most=10_000)
    finish(store, job_id, lines=[b"y"] * 9000)
    assert look(store, job_id, 17_998)[:2] == (18_000, 17_998)
