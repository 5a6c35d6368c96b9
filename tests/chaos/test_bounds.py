"""What is promised in seconds, seen by clients: of real commands, with slack for a busy machine.

How long things take on an idle one is the business of the benchmarks.
"""

import signal
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.acceptance.load import load
from tests.acceptance.service import Answer, Command, Service, service, survivors
from tests.acceptance.site import PLUGINS, Site, a_site
from tests.chaos.proxy import StoreProxy
from tests.host.engine import is_gone
from tests.support import StoreServer, wait_until

SLACK_SECONDS = 4.0
OPERATION_SECONDS = 2.0
"""After so long a silent store counts as away."""
AT_ONCE_SECONDS = 0.9 * OPERATION_SECONDS
"""Nobody has waited for the store: it takes milliseconds, and the rest is slack."""
SOON_TAKEN_FOR_DEAD = {"FASTPROCESSES_LEASE_SECONDS": "2", "FASTPROCESSES_TICK_SECONDS": "0.3"}
DOCUMENTS = ("/", "/conformance", "/api", "/processes", "/processes/double")


@pytest.fixture
def site(own_store: StoreServer, tmp_path: Path) -> Iterator[Site]:
    with a_site(tmp_path, own_store.url) as made:
        yield made


def submit(host: Service, process: str, **inputs: Any) -> str:
    answer = host.execute(process, inputs, asynchronous=True)
    assert answer.status == 201, answer.body
    return str(answer.headers["Location"])


def begun(mark: str) -> int:
    """Wait until a process has touched its mark; give its id."""
    wait_until(lambda: Path(mark).exists() and Path(mark).read_text(), 20, "the process")
    return int(Path(mark).read_text())


@pytest.mark.long
@pytest.mark.parametrize("victim", ["worker process", "command"])
def test_a_killed_worker_s_jobs_are_final_or_queued_again(site: Site, mark: str, victim: str) -> None:
    worker, host = site.start_worker(), site.start_host()
    once = submit(host, "family", seconds=600, mark=mark)
    again = submit(host, "sleep-again", seconds=4, mark=mark + "-again")
    executor = begun(mark)
    wait_until(Path(mark + "-again").exists, 20, "the other process")
    command = worker.child("worker")
    family = [child.pid for child in command.children(recursive=True)]
    family += [int(Path(f"{mark}.{name}").read_text()) for name in ("child", "daemon")]
    (command.children()[0] if victim == "worker process" else command).kill()
    killed = time.monotonic()

    final = host.await_status(once, "failed", seconds=10 + SLACK_SECONDS)
    assert "went away" in str(final)
    # By now the other one waits, or the worker that was started again has it already.
    wait_until(lambda: Path(mark + "-again").read_text().count("run") == 2, 14, "its second run")
    assert time.monotonic() - killed < 10 + 2 * SLACK_SECONDS
    host.await_status(again, "successful")
    assert executor in family
    wait_until(lambda: all(map(is_gone, family)), 40, "the end of the family")


class Looking:
    """Somebody who looks at a host while its store is away."""

    def __init__(self, host: Service, job: str) -> None:
        self.host = host
        self.job = job

    def documents_are_there(self) -> None:
        for path in DOCUMENTS:
            answer, seconds = self._timed("GET", path)
            assert (path, answer.status) == (path, 200)
            assert seconds < AT_ONCE_SECONDS, path

    def the_rest_is_refused(self, within_seconds: float) -> None:
        inputs = {"inputs": {"number": 1}}
        later = {"Prefer": "respond-async"}
        for method, path, body, headers in (
            ("GET", "/jobs", None, {}),
            ("GET", self.job, None, {}),
            ("GET", self.job + "/results", None, {}),
            ("DELETE", self.job, None, {}),
            ("POST", "/processes/double/execution", inputs, {}),
            ("POST", "/processes/double/execution", inputs, later),
            ("GET", "/health/ready", None, {}),
        ):
            answer, seconds = self._timed(method, path, body, headers)
            assert (path, answer.status) == (path, 503)
            assert int(answer.headers["Retry-After"]) >= 1
            assert answer.headers["Content-Type"].startswith("application/problem+json")
            assert seconds < within_seconds, (method, path)

    def _timed(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[Answer, float]:
        began = time.monotonic()
        answer = self.host.ask(method, path, body, headers)
        return answer, time.monotonic() - began


def taken_away(store: StoreServer, proxy: StoreProxy, how: str) -> Callable[[], None]:
    """Take the store away; give what brings it back."""
    if how == "gone":
        time.sleep(1.1)  # its file is written once a second
        store.kill()
        return store.start
    if how == "stopped":
        store.process.send_signal(signal.SIGSTOP)
        return lambda: store.process.send_signal(signal.SIGCONT)
    proxy.hold("requests", "replies")

    def back() -> None:
        proxy.cut()
        proxy.heal()

    return back


@pytest.mark.parametrize(
    ("how", "away_seconds"),
    [
        ("swallowed", 4.0),
        pytest.param("gone", 4.0, marks=pytest.mark.long),
        *(pytest.param(how, 30.0, marks=pytest.mark.long) for how in ("gone", "stopped", "swallowed")),
    ],
)
def test_while_the_store_is_away_documents_are_there_and_the_rest_is_refused_at_once(
    own_store: StoreServer, tmp_path: Path, mark: str, how: str, away_seconds: float
) -> None:
    socket = Path(own_store.url.removeprefix("unix://"))
    with StoreProxy(socket, socket.parent / "p", "1") as proxy, a_site(tmp_path, proxy.url) as site:
        worker, host = site.start_worker(), site.start_host()
        done = submit(host, "double", number=4)
        host.await_status(done, "successful")
        ends_meanwhile = submit(host, "step", mark=mark + "-meanwhile")
        goes_on = submit(host, "step", mark=mark)
        for location in (ends_meanwhile, goes_on):
            host.await_status(location, "running")
        before = {child.pid for child in worker.child("worker").children(recursive=True)}

        bring_back = taken_away(own_store, proxy, how)
        ends = time.monotonic() + away_seconds
        looking = Looking(host, done)
        looking.documents_are_there()
        with suppress(AssertionError):  # the first to ask find out, and all who ask meanwhile
            looking.the_rest_is_refused(OPERATION_SECONDS + AT_ONCE_SECONDS)
        Path(mark + "-meanwhile").touch()
        while time.monotonic() < ends:
            looking.documents_are_there()
            looking.the_rest_is_refused(AT_ONCE_SECONDS)
            time.sleep(0.2)
        bring_back()

        wait_until(lambda: host.ask("GET", "/health/ready").status == 200, 40, "the host")
        assert host.await_status(ends_meanwhile, "successful")["progress"] == 100
        assert host.ask("GET", ends_meanwhile + "/results").json == {"result": "seen"}
        assert host.ask("GET", goes_on).json["status"] == "running"
        time.sleep(2.0)  # the next ticks, which may recover jobs
        assert host.ask("GET", goes_on).json["status"] == "running"
        Path(mark).touch()
        host.await_status(goes_on, "successful")
        assert host.execute("double", {"number": 3}).body == b"6"
        after = {child.pid for child in worker.child("worker").children(recursive=True)}
        assert len(before & after) > 1, "the worker went on"


def test_a_machine_that_slept_fails_nothing(own_store: StoreServer, tmp_path: Path, mark: str) -> None:
    """Everything stops for longer than a lease, and the store's clock jumps for everybody."""
    with a_site(tmp_path, own_store.url, SOON_TAKEN_FOR_DEAD) as site:
        workers, host = [site.start_worker() for _ in range(2)], site.start_host()
        locations = [submit(host, "step", mark=mark) for _ in range(4)]
        for location in locations:
            host.await_status(location, "running")
        waiting = submit(host, "double", number=2)
        first = [psutil.Process(own_store.process.pid), *host.tree()]
        later = [process for worker in workers for process in worker.tree()]
        for wakes_first in (first, later):
            try:
                _send_all(signal.SIGSTOP, [*first, *later])
                time.sleep(3)
                _send_all(signal.SIGCONT, wakes_first)
                time.sleep(1)  # time enough to take the others for dead
            finally:
                _send_all(signal.SIGCONT, [*first, *later])
            time.sleep(1)

        wait_until(lambda: host.ask("GET", "/health/ready").status == 200, 40, "the host")
        time.sleep(2 + 2 + 1)  # what holds recovery off is over
        assert {host.ask("GET", location).json["status"] for location in locations} == {"running"}
        Path(mark).touch()
        for location in (*locations, waiting):
            host.await_status(location, "successful")


def _send_all(number: signal.Signals, processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.Error):  # it ended meanwhile
            process.send_signal(number)


def test_nothing_that_is_read_waits_for_what_runs(site: Site, mark: str) -> None:
    """All slots are busy with code in C that keeps the interpreter, more waits, and somebody waits for one of them."""
    worker, host = site.start_worker(), site.start_host()
    done = submit(host, "double", number=4)
    host.await_status(done, "successful")
    paths = [done, done + "/results", done + "/log", "/jobs?limit=100", "/jobs?status=running", *DOCUMENTS]
    idle = _seconds(host, paths)
    hogs = [submit(host, "hold-the-gil", mark=f"{mark}-{number}") for number in range(2)]
    for number in range(2):
        begun(f"{mark}-{number}")
    waiting = [submit(host, "double", number=number) for number in range(30)]
    with ThreadPoolExecutor(1) as pool:
        waited_for = pool.submit(host.execute, "double", {"number": 5})
        busy = _seconds(host, paths)
        assert not waited_for.done(), "the slots were busy all the time"
        assert {host.ask("GET", hog).json["status"] for hog in hogs} == {"running"}
        assert {host.ask("GET", location).json["status"] for location in waiting} == {"accepted"}
        for hog in hogs:
            host.ask("DELETE", hog)
        assert waited_for.result(20).body == b"10"
    assert worker.process.poll() is None
    for path in paths:
        assert busy[path] < max(20 * idle[path], 0.25), path


def _seconds(host: Service, paths: list[str]) -> dict[str, float]:
    """Give the median time of a GET."""
    times: dict[str, list[float]] = {path: [] for path in paths}
    for _ in range(7):
        for path in paths:
            began = time.monotonic()
            assert host.ask("GET", path).status == 200
            times[path].append(time.monotonic() - began)
    return {path: statistics.median(seconds) for path, seconds in times.items()}


@pytest.mark.parametrize(
    "how", ["killed", *(pytest.param(how, marks=pytest.mark.long) for how in ("in order", "at once"))]
)
def test_nothing_is_lost_when_the_service_is_stopped_and_started(tmp_path: Path, mark: str, how: str) -> None:
    environ = PLUGINS | SOON_TAKEN_FOR_DEAD
    with service(tmp_path, environ=environ) as first:
        done = submit(first, "double", number=4)
        first.await_status(done, "successful")
        once = submit(first, "sleep", seconds=600, mark=mark)
        again = submit(first, "sleep-again", seconds=1.5, mark=mark + "-again")
        begun(mark)
        wait_until(Path(mark + "-again").exists, 20, "the other process")
        waiting = [submit(first, "double", number=number) for number in range(100)]
        tree = first.tree()
        _end(first, how)
        assert survivors(tree) == []

    with service(tmp_path, environ=environ) as second:

        def path(location: str) -> str:
            return location.removeprefix(first.url)

        listed = second.ask("GET", "/jobs?limit=1000").json["jobs"]
        assert {job["jobID"] for job in listed} == {
            location.rsplit("/", 1)[1] for location in (done, once, again, *waiting)
        }
        for number, location in enumerate(waiting):
            second.await_status(path(location), "successful", seconds=40)
            assert second.ask("GET", path(location) + "/results").json == {"result": 2 * number}
        assert second.ask("GET", path(done) + "/results").json == {"result": 8}
        assert "ubmit it again" in str(second.await_status(path(once), "failed", seconds=20))
        second.await_status(path(again), "successful", seconds=20)


def _end(running: Command, how: str) -> None:
    if how == "in order":
        assert running.stop() == 0
    elif how == "at once":
        running.__exit__()
    else:
        running.process.kill()
        running.process.wait()


@pytest.mark.long
def test_many_who_ask_are_refused_while_the_store_is_away_and_served_again(
    own_store: StoreServer, tmp_path: Path
) -> None:
    """No request is cut off or left waiting, whatever the store does."""
    with a_site(tmp_path, own_store.url) as site:
        site.start_worker()
        host = site.start_host()
        with load(host.url) as clients:
            for _ in range(2):
                wait_until(lambda: clients.statuses[200] > 20, 20, "answers")
                own_store.process.send_signal(signal.SIGSTOP)
                threading.Event().wait(3)
                own_store.process.send_signal(signal.SIGCONT)
                refused, served = clients.statuses[503], clients.statuses[200]
                wait_until(lambda served=served: clients.statuses[200] > served + 20, 20, "answers again")
                assert refused
        assert clients.failures == []
        assert clients.longest_seconds < 2 * OPERATION_SECONDS + SLACK_SECONDS
        for location in clients.locations:
            host.await_status(location, "successful")
