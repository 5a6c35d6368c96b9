"""What code of before left in the store is read, and brought to its end, by the code of today."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from fastprocesses_host.settings import Settings

from tests.acceptance.service import COMMAND, Command, Service
from tests.chaos.traces import strays
from tests.store import dump
from tests.store.record import LONG, LONGER, PLUGIN, PREFIX
from tests.support import StoreServer, wait_until

FIXTURES = Path(__file__).parent / "fixtures"
RECORDED = sorted(FIXTURES.glob("*.json"))


class Site:
    """A host of today on the store of before."""

    def __init__(self, store: StoreServer, folder: Path, recorded: Path) -> None:
        self.document = json.loads(recorded.read_text("utf-8"))
        self.folder = folder
        self.url = store.url
        self.environ = {
            "PYTHONPATH": str(PLUGIN),
            "FASTPROCESSES_SLOTS": "3",
            "FASTPROCESSES_VALUE_STORE_URL": f"file://{folder}/values",
            "RECORDED_GO": "1",
        }
        dump.load(self.document, store.url, PREFIX, folder / "values")
        self.host = Service(folder, "--redis-url", store.url, environ=self.environ, wait=False)

    def expected(self, *statuses: str, listed: bool | None = None) -> list[dict[str, Any]]:
        return [
            job
            for job in self.document["expected"]
            if job["status"] in statuses and listed in (None, job.get("listed", True))
        ]

    def has_ended(self, job: dict[str, Any]) -> bool:
        """Whether a job has ended as expected; one of a caller who is gone need not be kept."""
        status = self.job(job["id"])["status"]
        return status == job["ends"] or (status == 404 and not job.get("listed", True))

    def job(self, job_id: str) -> dict[str, Any]:
        return dict(self.host.ask("GET", f"/jobs/{job_id}").json)


@contextmanager
def a_site(store: StoreServer, folder: Path, recorded: Path) -> Iterator[Site]:
    site = Site(store, folder, recorded)
    with site.host as host:
        host.await_ready()
        yield site


def results_are_there(site: Site, job: dict[str, Any]) -> None:
    path = f"/jobs/{job['id']}/results"
    answer = site.host.ask("GET", path)
    if "reason" in job:
        assert answer.status == job["reason"], answer.body
        return
    assert answer.status == 200, answer.body
    assert sorted(answer.json) == sorted(_outputs(job["results"]))
    for output, value in _outputs(job["results"]).items():
        found = site.host.ask("GET", f"{path}/{output}", headers={"Accept": "application/json"})
        assert found.json == value, output


def _outputs(results: Any) -> dict[str, Any]:
    return results if isinstance(results, dict) else {"result": results}


def _told(job: dict[str, Any]) -> dict[str, Any]:
    """Give an expected job with the text that a number stands for."""
    if job["process"] == "text" and job["results"] in {LONG, LONGER}:
        return job | {"results": "abc" * (job["results"] // 3)}
    return job


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda file: file.stem)
def test_old_jobs_are_listed_read_dismissed_and_removed(
    own_store: StoreServer, tmp_path: Path, recorded: Path
) -> None:
    """No worker is there: nothing changes but by what clients ask for."""
    with a_site(own_store, tmp_path, recorded) as site:
        everything = site.expected("successful", "failed", "dismissed", "running", "accepted", listed=True)
        page = site.host.ask("GET", "/jobs?limit=100").json["jobs"]
        told = {job["jobID"]: job["status"] for job in page}
        changing = {
            job["id"] for job in site.expected("running")
        }  # their leases are over: today's host ends them

        assert told.keys() == {job["id"] for job in everything}
        for job in everything:
            assert job["id"] in changing or told[job["id"]] == site.job(job["id"])["status"] == job["status"]
        for status in ("successful", "failed", "dismissed", "accepted"):
            found = site.host.ask("GET", f"/jobs?limit=100&status={status}").json["jobs"]
            wanted = {job["id"] for job in everything if job["status"] == status}
            assert wanted <= {job["jobID"] for job in found} <= wanted | changing
        for job in site.expected("successful", "failed", listed=True):
            results_are_there(site, _told(job))
            lines = site.host.ask("GET", f"/jobs/{job['id']}/log").json["lines"]
            assert {line["text"] for line in lines} >= set(job.get("lines", []))
        for job in site.expected("removed"):
            assert site.host.ask("GET", f"/jobs/{job['id']}").status == 404
            assert site.host.ask("DELETE", f"/jobs/{job['id']}").status == 410
        for job in site.expected("accepted"):
            assert site.host.ask("DELETE", f"/jobs/{job['id']}").json["status"] == "dismissed"
        for job in site.expected("successful", "failed", "dismissed", "accepted", listed=True):
            assert site.host.ask("DELETE", f"/jobs/{job['id']}").status == 200
            assert site.host.ask("GET", f"/jobs/{job['id']}").status == 404


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda file: file.stem)
def test_old_jobs_that_wait_or_ran_come_to_their_end(
    own_store: StoreServer, tmp_path: Path, recorded: Path
) -> None:
    command = (COMMAND, "worker", "--redis-url", own_store.url)
    with a_site(own_store, tmp_path, recorded) as site:
        with Command(*command, log=tmp_path / "worker", environ=site.environ):
            for job in site.expected("accepted", "running"):
                wait_until(lambda job=job: site.has_ended(job), 40, str(job))
            for job in site.expected("accepted", "running", listed=True):
                results_are_there(site, _told(job))
            new = site.host.execute("double", {"number": 4}, asynchronous=True).headers["Location"]
            site.host.await_status(new, "successful")
            settings = Settings(redis_url=own_store.url)
            wait_until(lambda: not strays(settings), 20, f"tidiness: {strays(settings)}")
        attempts = _attempts(own_store, site)
    assert attempts == [2]


def _attempts(store: StoreServer, site: Site) -> list[int]:
    """Give how often those have run that were running and could be tried again."""
    with redis.Redis.from_url(store.url) as client:
        return [
            int(client.hget(f"{PREFIX}:j:{job['id']}", "at") or 0)
            for job in site.expected("running")
            if job["process"] == "wait-again"
        ]


def test_every_fixture_has_jobs_in_every_state() -> None:
    assert RECORDED
    for file in RECORDED:
        jobs = json.loads(file.read_text("utf-8"))["expected"]
        assert {job["status"] for job in jobs} == {
            "accepted",
            "running",
            "successful",
            "failed",
            "dismissed",
            "removed",
        }
