"""Seeded jobs are what really run ones are: for the store, for its scripts, and for clients."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
import redis
from fastprocesses_host.settings import Settings
from fastprocesses_host.store import operations
from fastprocesses_host.store.client import Store
from fastprocesses_host.store.keys import Keys

from tests.acceptance.service import Service
from tests.bench.seed import RESULT, Wanted, seed
from tests.chaos.traces import strays
from tests.support import StoreServer

PREFIX = "seeded"
COUNT = 300


@pytest.fixture(scope="module")
def running(embedded_store: StoreServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("seeded")
    seed(embedded_store.url, Wanted(jobs=COUNT), key_prefix=PREFIX)
    options = ("--redis-url", embedded_store.url, "--with-worker", "--data-dir", str(folder / "data"))
    with Service(folder, *options, environ={"FASTPROCESSES_KEY_PREFIX": PREFIX}) as service:
        yield service


def jobs_of(service: Service, query: str) -> list[dict[str, Any]]:
    with httpx2.Client(base_url=service.url, timeout=30) as client:
        listed: list[dict[str, Any]] = client.get("/jobs?limit=1000&" + query).json()["jobs"]
    return listed


def key_pattern(prefix: str) -> str:
    return prefix.replace("{", "[{]").replace("}", "[}]") + "*"


def traces_of(client: Any, prefix: str, job_id: str) -> dict[str, object]:
    """Where a job is found in the store, and which fields there are."""
    found: dict[str, object] = {}
    for key in client.scan_iter(match=key_pattern(prefix), count=1000):
        name, kind = key.decode().replace(job_id, "<id>"), client.type(key)
        if kind == b"zset" and client.zscore(key, job_id) is not None:
            found[name] = "zset"
        elif kind == b"set" and client.sismember(key, job_id):
            found[name] = "set"
        elif "<id>" in name:
            found[name] = sorted(client.hkeys(key)) if kind == b"hash" else kind
    return found


def test_a_seeded_job_leaves_the_traces_of_a_real_one(running: Service, embedded_store: StoreServer) -> None:
    accepted = running.execute("echo", {"message": "hello", "numbers": [1, 2, 3]}, asynchronous=True)
    real = running.await_status(accepted.headers["Location"], "successful")["id"]
    seeded = next(
        job["id"] for job in jobs_of(running, "processID=echo&status=successful") if job["id"] != real
    )
    with redis.Redis.from_url(embedded_store.url) as client:
        prefix = "{" + PREFIX + "}"
        of_real, of_seeded = (traces_of(client, prefix, job_id) for job_id in (real, seeded))
        owners = [name for name in of_seeded if name.startswith(prefix + ":jobs:o:")]
    if owners:  # hosts have no callers with names yet
        del of_seeded[owners[0]]
    assert of_seeded == of_real


def test_clients_read_seeded_jobs(running: Service) -> None:
    listed = jobs_of(running, "")
    assert len(listed) >= COUNT
    by_status = {
        status: jobs_of(running, f"status={status}")
        for status in ("successful", "failed", "dismissed", "running", "accepted")
    }
    assert sum(map(len, by_status.values())) == len(listed)
    assert not by_status["running"]
    assert not by_status["accepted"]
    assert len(by_status["failed"]) > COUNT * 0.05
    assert len(jobs_of(running, "processID=rare")) == 1
    long_ones = jobs_of(running, "minDuration=60")
    assert 0 < len(long_ones) < len(listed)

    one = by_status["successful"][-1]["id"]
    status = running.ask("GET", f"/jobs/{one}").json
    assert status["created"] < status["started"] <= status["finished"]
    results = running.ask("GET", f"/jobs/{one}/results/message")
    assert results.body == RESULT["message"].strip(b'"')
    assert running.ask("GET", f"/jobs/{by_status['failed'][0]['id']}/results").status == 500
    assert running.ask("DELETE", f"/jobs/{one}").status == 200
    assert running.ask("GET", f"/jobs/{one}").status in (404, 410)


def test_a_seeded_store_is_in_order(embedded_store: StoreServer, key_prefix: str) -> None:
    seeded = seed(embedded_store.url, Wanted(jobs=COUNT), key_prefix=key_prefix)
    assert seeded.store_bytes > 100 * COUNT
    assert strays(Settings(redis_url=embedded_store.url, key_prefix=key_prefix)) == []


def test_seeded_jobs_expire_without_a_trace(embedded_store: StoreServer, key_prefix: str) -> None:
    seed(embedded_store.url, Wanted(jobs=COUNT, expire_after_seconds=0), key_prefix=key_prefix)
    store = Store(embedded_store.url, Keys.of(key_prefix))
    removed = 0
    while some := store.run(operations.expire()):
        removed += some
    left = store.redis.keys(key_pattern(store.keys.prefix))
    store.close()
    assert removed == COUNT
    assert [key for key in left if b":meta" not in key] == []
