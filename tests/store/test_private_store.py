"""The private store: what it has answered is in its file, and a second later on the disk."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import redis
from fastprocesses_host.private_store import PrivateStore, private_store, synced

from tests.support import short_folder, wait_until


def started(store: PrivateStore) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen(store.command(), stdout=subprocess.DEVNULL, process_group=0)
    wait_until(lambda: answers(store), what="the store")
    return process


def answers(store: PrivateStore) -> bool:
    try:
        with redis.Redis.from_url(store.url) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def test_what_a_killed_store_has_answered_is_there_when_it_starts_again() -> None:
    with short_folder() as folder, private_store(folder / "data") as store:
        for number in range(1, 4):
            process = started(store)
            with redis.Redis.from_url(store.url) as client:
                for _ in range(500):
                    count = client.incr("count")
            process.kill()
            process.wait()
            assert count == 500 * number


def test_what_the_store_has_written_is_put_on_the_disk_again_and_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put: list[str] = []
    with short_folder() as folder, private_store(folder / "data") as store:
        process = started(store)
        try:
            monkeypatch.setattr(os, "fsync", lambda descriptor: put.append(name_of(descriptor)))
            with synced(store, every_seconds=0.01):
                wait_until(lambda: len(put) >= 2)
        finally:
            process.kill()
            process.wait()
    assert all("appendonly" in name for name in put)


def name_of(descriptor: int) -> str:
    return Path(f"/proc/self/fd/{descriptor}").readlink().name


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("chosen", ["", "glibc.malloc.tcache_count=3"])
def test_the_store_keeps_small_memory_at_hand_unless_told_otherwise(
    chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if chosen:
        monkeypatch.setenv("GLIBC_TUNABLES", chosen)
    with short_folder() as folder, private_store(folder / "data") as store:
        process = started(store)
        try:
            environ = Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
        finally:
            process.kill()
            process.wait()
    assert f"GLIBC_TUNABLES={chosen or 'glibc.malloc.tcache_count=2000'}".encode() in environ
