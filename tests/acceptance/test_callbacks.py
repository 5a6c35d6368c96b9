"""Subscribers, seen by real commands: of workers that are killed, stopped, or full of jobs."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.service import DRAIN_SECONDS, Service, kill_all
from tests.acceptance.site import Site, a_site
from tests.host.receiver import receiver
from tests.support import StoreServer, wait_until

QUICK = {
    "FASTPROCESSES_OUTBOUND_PRIVATE": "127.0.0.1/32",
    "FASTPROCESSES_CALLBACK_TIMEOUT_SECONDS": "2",
    "FASTPROCESSES_CALLBACK_RETRY_SECONDS": "0.1",
}


@pytest.fixture
def site(own_store: StoreServer, tmp_path: Path) -> Iterator[Site]:
    with a_site(tmp_path, own_store.url, QUICK) as made:
        yield made


def submit(host: Service, uri: str, process: str = "double", **inputs: Any) -> str:
    body = {"inputs": inputs or {"number": 2}, "subscriber": {"successUri": uri}}
    answer = host.ask("POST", f"/processes/{process}/execution", body, {"Prefer": "respond-async"})
    assert answer.status == 201, answer.body
    return str(answer.headers["Location"])


@pytest.mark.long
def test_a_call_of_a_worker_that_was_killed_is_made_by_another(site: Site) -> None:
    worker, host = site.start_worker(), site.start_host()
    with receiver() as here:
        here._answers = [here.hangs]
        job = submit(host, here.url("/done"))
        here.await_received(1)
        kill_all(worker.tree())
        site.start_worker()
        calls = here.await_received(2)
        wait_until(lambda: host.ask("GET", job + "/log").json["numberOfLines"] > 0, 60, "the outcome")
    assert calls[0].headers["webhook-id"] == calls[1].headers["webhook-id"]
    assert calls[0].body == calls[1].body
    assert "told of the success" in host.ask("GET", job + "/log").json["lines"][-1]["text"]


@pytest.mark.long
def test_a_worker_stops_in_time_though_a_subscriber_hangs_and_calls_while_it_is_full_of_jobs(
    site: Site, mark: str
) -> None:
    worker, host = site.start_worker(), site.start_host()
    with receiver() as here, receiver() as hanging:
        hanging._last = hanging.hangs
        submit(host, hanging.url("/hangs"))
        hanging.await_received(1)
        for number in range(2):  # as many as it has slots
            submit(host, here.url("/never"), "sleep", seconds=600, mark=f"{mark}-{number}")
        wait_until(lambda: all(Path(f"{mark}-{number}").exists() for number in range(2)), 60, "both jobs")
        hanging.await_received(2)  # again, though both slots are taken
        begun = time.monotonic()
        assert worker.stop(signal.SIGTERM, DRAIN_SECONDS + 15) == 0
        assert time.monotonic() - begun < DRAIN_SECONDS + 10
