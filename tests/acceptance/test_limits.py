"""What a service does when there is too much of something: it says so at once, and keeps nothing of it."""

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from fastprocesses_host.settings import Settings

from tests.acceptance.service import Answer, Service, kill_all, service
from tests.chaos.traces import strays
from tests.host.engine import PLUGINS, Worker, is_gone
from tests.support import StoreServer, files_under, wait_until

LIMITS = {
    "PYTHONPATH": str(PLUGINS),
    "FASTPROCESSES_SLOTS": "1",
    "FASTPROCESSES_MAX_QUEUED_JOBS_PER_CALLER": "2",
    "FASTPROCESSES_MAX_WAITING_REQUESTS": "2",
    "FASTPROCESSES_MAX_INLINE_BYTES": "1000",
    "FASTPROCESSES_MAX_VALUE_BYTES": "100000",
    "FASTPROCESSES_MAX_BODY_BYTES": "500000",
    "FASTPROCESSES_TRUSTED_PROXIES": "127.0.0.1",
}


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("limited"), environ=LIMITS) as started:
        yield started


@pytest.fixture
def busy(limited: Service, tmp_path: Path) -> Iterator[Service]:
    """Its only slot has a job, as long as the test takes."""
    mark = tmp_path / "busy"
    location = submit(limited, "step", {"mark": str(mark)}, caller="192.0.2.99").headers["Location"]
    limited.await_status(location, "running")
    yield limited
    mark.touch()
    limited.await_status(location, "successful", "dismissed")


def submit(service: Service, process_id: str, inputs: Mapping[str, Any], *, caller: str) -> Answer:
    headers = {"Prefer": "respond-async", "X-Forwarded-For": caller}
    return service.ask("POST", f"/processes/{process_id}/execution", {"inputs": dict(inputs)}, headers)


def assert_refused(answer: Answer, status: int) -> str:
    """What every refusal is: a problem document, and when to come back; give its detail."""
    assert (answer.status, answer.json["status"]) == (status, status)
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert status == 413 or int(answer.headers["Retry-After"]) >= 1
    return str(answer.json["detail"])


def values_of(service: Service) -> list[Path]:
    return files_under(service.log.parent / "data" / "values")


def test_a_caller_may_have_so_many_jobs_waiting_and_others_are_not_bothered(busy: Service) -> None:
    large = {"text": "x" * 5000}
    accepted = [submit(busy, "swallow", large, caller="198.51.100.1") for _ in range(2)]
    assert [answer.status for answer in accepted] == [201, 201]
    before = set(values_of(busy))  # of jobs before it, which may go meanwhile
    assert "dismiss" in assert_refused(submit(busy, "swallow", large, caller="198.51.100.1"), 429)
    assert set(values_of(busy)) <= before  # what was stored for it is gone again
    accepted.append(submit(busy, "swallow", large, caller="198.51.100.2"))
    assert accepted[-1].status == 201

    for address in ("2001:db8::1", "2001:db8::ffff:2"):
        accepted.append(submit(busy, "double", {"number": 1}, caller=address))
        assert accepted[-1].status == 201
    assert_refused(submit(busy, "double", {"number": 1}, caller="2001:db8::3"), 429)  # of the same site
    accepted.append(submit(busy, "double", {"number": 1}, caller="2001:db8:0:1::1"))
    assert accepted[-1].status == 201

    assert busy.ask("DELETE", accepted[0].headers["Location"]).status == 200
    accepted.append(submit(busy, "swallow", large, caller="198.51.100.1"))
    assert accepted[-1].status == 201
    for answer in accepted[1:]:
        busy.ask("DELETE", answer.headers["Location"])


def test_so_many_requests_may_wait_for_their_results(busy: Service) -> None:
    answers: list[Answer] = []

    def wait(caller: str) -> None:
        headers = {"Prefer": "wait=60", "X-Forwarded-For": caller}
        answers.append(busy.ask("POST", "/processes/double/execution", {"inputs": {"number": 4}}, headers))

    waiting = [threading.Thread(target=wait, args=(f"192.0.2.{number}",)) for number in range(2)]
    for thread in waiting:
        thread.start()
    accepted = "/jobs?status=accepted"
    wait_until(lambda: len(busy.ask("GET", accepted).json["jobs"]) == 2, what="their jobs")
    assert "respond-async" in assert_refused(busy.execute("double", {"number": 5}), 503)
    for path in ("/", "/processes", "/jobs"):
        assert busy.ask("GET", path).status == 200
    assert len(busy.ask("GET", accepted).json["jobs"]) == 2
    later = submit(busy, "double", {"number": 6}, caller="192.0.2.7")
    assert later.status == 201

    [running] = busy.ask("GET", "/jobs?status=running").json["jobs"]
    busy.ask("DELETE", f"/jobs/{running['jobID']}")  # the slot is free for those who wait
    for thread in waiting:
        thread.join(30)
    assert [answer.status for answer in answers] == [200, 200]


def test_bodies_inputs_and_results_have_their_sizes(limited: Service) -> None:
    before = set(values_of(limited))  # of jobs before this one, which may go meanwhile
    for length in (200_000, 600_000):
        body = {"inputs": {"text": "x" * length}}
        assert str(100_000 if length < 500_000 else 500_000) in assert_refused(
            limited.ask("POST", "/processes/swallow/execution", body), 413
        )
        assert set(values_of(limited)) <= before
    answer = limited.execute("large", {"megabytes": 1})
    assert (answer.status, answer.json["title"]) == (500, "Result too large")
    assert "100000" in answer.json["detail"]
    location = limited.execute("large", {"megabytes": 1}, asynchronous=True).headers["Location"]
    told = limited.await_status(location, "failed")
    assert told["fastprocesses:reason"] == "too-large"
    assert told["exception"]["title"] == "Result too large"
    assert set(values_of(limited)) <= before


def test_attempts_and_reasons_are_in_the_status_and_on_its_page(limited: Service, tmp_path: Path) -> None:
    location = limited.execute("crash", {"how": "abort"}, asynchronous=True).headers["Location"]
    assert limited.await_status(location, "failed")["fastprocesses:reason"] == "crashed"
    page = limited.ask("GET", location, headers={"Accept": "text/html"}).body.decode()
    assert "fastprocesses:reason" in page
    inputs = {"seconds": 0.01, "mark": str(tmp_path / "mark")}
    location = limited.execute("sleep-again", inputs, asynchronous=True).headers["Location"]
    told = limited.await_status(location, "successful")
    assert told["fastprocesses:attempts"] == 1
    assert "fastprocesses:reason" not in told


def test_what_a_dead_host_waited_for_is_stopped_and_leaves_nothing(
    own_store: StoreServer, tmp_path: Path
) -> None:
    settings = Settings(redis_url=own_store.url, slots=1, lease_seconds=2, tick_seconds=0.3)
    worker = Worker(settings, tmp_path / "worker.log")
    mark = tmp_path / "mark"
    try:
        with Service(tmp_path, environ=settings.to_env()) as host:
            wait_until(lambda: host.ask("GET", "/processes/sleep").status == 200, 20, "the processes")
            for inputs in ({"seconds": 300, "mark": str(mark)}, {"seconds": 300, "mark": str(mark)}):
                ask_and_forget(host, inputs)
            wait_until(mark.exists, what="the process")
            first = int(mark.read_text())
            kill_all(host.tree())
            wait_until(lambda: is_gone(first), 2 + 3 + 10, "the end of the run")
            wait_until(lambda: not strays(settings), 2 * (2 + 3) + 10, "tidiness")
    finally:
        worker.stop()


def ask_and_forget(host: Service, inputs: Mapping[str, Any]) -> None:
    """Execute synchronously, whatever becomes of it."""

    def ask() -> None:
        try:
            host.execute("sleep", dict(inputs))
        except OSError:
            pass

    threading.Thread(target=ask, daemon=True).start()
