"""Hosts and workers are restarted one after the other while clients go on: nobody is failed, no job is lost."""

import http.client
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from fastprocesses_host.cli.caller import Caller
from fastprocesses_host.cli.following import follow
from fastprocesses_host.exits import Exit

from tests.acceptance.load import Load, load
from tests.acceptance.service import Command, Service, service, survivors
from tests.acceptance.site import PLUGINS, a_site
from tests.support import StoreServer, wait_until

LONGEST_SECONDS = 20.0
"""Nothing waits for a lease, a drain or a Dramatiq time-out; the rest is slack for a busy machine."""


def nobody_was_failed(clients: Load) -> None:
    assert clients.failures == []
    assert set(clients.statuses) <= {200, 201, 503}
    assert clients.statuses[200] > 50
    assert clients.longest_seconds < LONGEST_SECONDS


def no_job_was_lost(clients: Load, asked: Service) -> None:
    assert len(clients.locations) > 5
    for path in clients.locations:
        asked.await_status(path, "successful")


def asked_often(clients: Load, more: int = 40) -> None:
    """Wait until the clients have had some more answers."""
    enough = clients.statuses[200] + more
    wait_until(lambda: clients.statuses[200] >= enough, 30, "more answers")


def restarted(running: Command, parts: list[str]) -> None:
    """Send SIGHUP, and wait until every part has been taken over."""
    log = running.log
    before = log.read_text().count("has taken over")
    running.process.send_signal(signal.SIGHUP)
    wait_until(lambda: log.read_text().count("has taken over") == before + len(parts), 60, "the restart")


@pytest.mark.long
def test_hangup_replaces_workers_and_host_under_load(folder: Path) -> None:
    environ = PLUGINS | {"FASTPROCESSES_WORKERS": "2"}
    with service(folder, environ=environ) as running:
        store = running.child("valkey-server").pid
        before = {part: running.child(part).pid for part in ("host", "worker")}
        with load(running.url) as clients:
            asked_often(clients)
            for _ in range(2):
                restarted(running, ["worker 1", "worker 2", "host"])
                asked_often(clients)
        nobody_was_failed(clients)
        assert clients.statuses[503] == 0, "the new ones were ready before the old ones went"
        no_job_was_lost(clients, running)
        assert running.child("valkey-server").pid == store
        gone = [psutil.Process(pid) for pid in before.values() if psutil.pid_exists(pid)]
        assert survivors(gone, 10) == []
        children = psutil.Process(running.process.pid).children
        wait_until(lambda: len(children()) == 4, 20, "the end of all that retired")


def test_jobs_and_requests_that_take_longer_than_a_drain_are_brought_to_their_end(folder: Path) -> None:
    """Others would stop them: a restart gives them the time that they may have."""
    environ = PLUGINS | {"FASTPROCESSES_DRAIN_SECONDS": "1"}
    with (
        service(folder, environ=environ) as running,
        load(running.url) as clients,
        Caller(running.url) as caller,
        ThreadPoolExecutor(1) as pool,
    ):
        mark = folder / "mark"
        long = running.execute("step", {"mark": str(mark)}, asynchronous=True).headers["Location"]
        running.await_status(long, "running")
        followed = pool.submit(list, follow(caller, caller.place(long)))
        begun = time.monotonic()
        old_host, old_worker = running.child("host"), running.child("worker")
        restarted(running, ["worker", "host"])
        wait_until(lambda: survivors([old_host], 0) == [], 20, "the end of the old host")
        time.sleep(max(0.0, begun + 3 - time.monotonic()))
        assert old_worker.is_running(), "it still has a job"
        assert running.ask("GET", long).json["status"] == "running"
        mark.touch()
        running.await_status(long, "successful")
        assert survivors([old_worker], 10) == []
        assert followed.result(60)[-1].info["status"] == "successful", (
            "who follows a job goes on with the new host"
        )
    nobody_was_failed(clients)


def test_hangup_brings_new_settings_and_bad_ones_change_nothing(folder: Path) -> None:
    settings = folder / "settings.toml"
    settings.write_text('title = "before"\n')
    with service(folder, "--config", str(settings), environ=PLUGINS) as running:
        assert running.ask("GET", "/").json["title"] == "before"
        settings.write_text('title = "after"\ndrain_seconds = 3\n')
        old_host = running.child("host")
        restarted(running, ["worker", "host"])
        # Until then it answers now and then, and is a child that is a host.
        wait_until(lambda: survivors([old_host], 0) == [], 40, "the end of the old host")
        assert running.ask("GET", "/").json["title"] == "after"
        assert "a change of drain_seconds needs a stop and a start" in running.log.read_text()
        settings.write_text('titel = "typo"\n')
        host = running.child("host").pid
        running.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "nothing is restarted: " in running.log.read_text(), 40, "the sentence")
        assert running.ask("GET", "/").json["title"] == "after"
        assert running.child("host").pid == host


def test_each_host_and_worker_is_stopped_and_another_started_under_load(
    folder: Path, own_store: StoreServer
) -> None:
    with a_site(folder, own_store.url) as site:
        workers = [site.start_worker() for _ in range(2)]
        hosts = [site.start_host() for _ in range(2)]
        with load(site.balancer.url) as clients:
            asked_often(clients)
            for worker in workers:
                assert worker.stop() == Exit.OK
                site.start_worker()
                asked_often(clients)
            for host in hosts:
                assert host.stop() == Exit.OK
                last = site.start_host()
                asked_often(clients)
        nobody_was_failed(clients)
        no_job_was_lost(clients, last)


@pytest.mark.long
@pytest.mark.parametrize("parts", ["hosts", "workers"])
def test_hangup_of_each_command_on_a_store_of_the_user(
    folder: Path, own_store: StoreServer, parts: str
) -> None:
    with a_site(folder, own_store.url) as site:
        workers = [site.start_worker() for _ in range(2)]
        hosts = [site.start_host() for _ in range(2)]
        with load(site.balancer.url) as clients:
            asked_often(clients)
            for command in workers if parts == "workers" else hosts:
                restarted(command, [parts])
                asked_often(clients)
        nobody_was_failed(clients)
        assert clients.statuses[503] == 0
        no_job_was_lost(clients, hosts[0])


def test_a_client_that_is_slow_to_read_gets_all_of_its_answer(folder: Path) -> None:
    """The old host stays until the answer is written."""
    with service(folder, environ=PLUGINS) as running:
        location = running.execute("large", {"megabytes": 40}, asynchronous=True).headers["Location"]
        running.await_status(location, "successful")
        path = location.removeprefix(running.url) + "/results/result"
        with closing(http.client.HTTPConnection(*running.url.removeprefix("http://").split(":"))) as client:
            client.request("GET", path)
            answer = client.getresponse()
            begun = answer.read(1000)
            old = running.child("host")
            restarted(running, ["worker", "host"])
            time.sleep(2)
            assert old.is_running()
            rest = answer.read()
        assert begun[:1] == b'"' or begun[:1] == b"x"
        assert len(begun) + len(rest) >= 40 * 1024 * 1024
        assert survivors([old], 15) == []
