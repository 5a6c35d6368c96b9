"""What may lie in the value store and on the disk: refused before it is too much, and nothing is left of it."""

import base64
import os
from pathlib import Path
from typing import Any

import pytest
from fastprocesses_host.store import rooms

from tests.host.hostile import hostile, response
from tests.retention.conftest import DISK_MB, MB, Site
from tests.support import wait_until


def given(size: int) -> dict[str, str]:
    return {"data": base64.b64encode(bytes(size)).decode()}


def nothing_is_held(site: Site) -> None:
    """Room is given back after the answer."""
    wait_until(lambda: site.counted() == {} and not site.files(), 30, "an empty value store")


def test_a_job_has_a_budget_for_its_inputs(site: Site) -> None:
    answer = site.submit("repeat-blob", given(7 * MB))

    assert answer.status_code == 413, answer.text
    assert "max_job_bytes" in answer.json()["detail"]
    nothing_is_held(site)


def test_a_job_has_a_budget_for_inputs_and_results_together(site: Site) -> None:
    status = site.ended("repeat-blob", given(3 * MB) | {"times": 2})

    assert status["status"] == "failed"
    assert status["fastprocesses:reason"] == "no-room"
    results = site.client.get(f"/jobs/{status['jobID']}/results")
    assert results.status_code == 507
    assert "could not be kept" in results.json()["detail"]
    nothing_is_held(site)
    site.delete(status)


def test_a_caller_has_a_budget_for_all_jobs(site: Site) -> None:
    jobs = [site.ended("make", {"size": 6 * MB}) for _ in range(3)]
    assert site.counted()["all"] == 18 * MB == site.counted()["c:-"]

    refused = site.submit("repeat-blob", given(2 * MB))
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 0
    assert "Delete jobs" in refused.json()["detail"]
    too_much = site.ended("make", {"size": 6 * MB})
    assert too_much["fastprocesses:reason"] == "no-room"
    assert len(site.files()) == 3

    site.delete(*jobs, too_much)
    nothing_is_held(site)
    done = site.ended("repeat-blob", given(2 * MB))
    assert done["status"] == "successful"
    site.delete(done)


def test_a_disk_keeps_some_room(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "free_bytes", lambda _folder: site.settings.min_free_disk_bytes + MB)

    answer = site.submit("repeat-blob", given(3 * MB))

    assert answer.status_code == 507
    assert "disk" in answer.json()["detail"]
    assert int(answer.headers["retry-after"]) > 0
    nothing_is_held(site)


def test_a_disk_that_is_full_all_the_same_leaves_nothing_half_done(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms.Rooms, "require_disk", lambda *_: None)
    filler = site.disk / "filler"
    with filler.open("wb") as file:
        told = os.statvfs(site.disk)
        os.posix_fallocate(file.fileno(), 0, told.f_bavail * told.f_frsize - MB)
    try:
        answer = site.submit("repeat-blob", given(3 * MB))
    finally:
        filler.unlink()

    assert answer.status_code == 507, answer.text
    nothing_is_held(site)
    done = site.ended("repeat-blob", given(3 * MB))
    assert done["status"] == "successful"
    site.delete(done)


@pytest.mark.parametrize(("elsewhere", "reason", "status"), [(False, "disk", 500), (True, "disk-full", 507)])
def test_a_job_that_writes_without_end_is_stopped(
    site: Site, elsewhere: bool, reason: str, status: int
) -> None:
    job = site.ended("endless", {"elsewhere": elsewhere})

    assert job["status"] == "failed"
    assert job["fastprocesses:reason"] == reason
    assert "fastprocesses:attempts" not in job or job["fastprocesses:attempts"] == 1
    assert site.client.get(f"/jobs/{job['jobID']}/results").status_code == status
    wait_until(lambda: not site.in_folders(), 30, "an empty folder")
    site.delete(job)


def test_more_goes_through_a_disk_than_it_holds(site: Site) -> None:
    for _ in range(DISK_MB // 7 + 2):
        status = site.ended("make", {"size": 7 * MB})
        assert status["status"] == "successful", status
        site.delete(status)

    nothing_is_held(site)


def test_room_of_who_was_killed_is_free_again(site: Site) -> None:
    from fastprocesses_host.store import operations
    from fastprocesses_host.store.client import Store
    from fastprocesses_host.store.keys import Keys

    store = Store(site.settings.redis_url, Keys.of(site.settings.key_prefix))
    budgets = operations.Budgets(of_job=0, of_caller=0, in_all=0)
    held: dict[str, Any] = {"more_bytes": MB, "budgets": budgets, "caller": "killed"}
    store.run(operations.hold_room("h", keep_seconds=0.3, **held))
    try:
        nothing_is_held(site)
    finally:
        store.close()


def test_folders_of_killed_workers_are_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fastprocesses_host.engine import folders

    monkeypatch.setattr(folders.tempfile, "tempdir", str(tmp_path))
    living, mark = folders.held_folder()
    dead, gone = folders.held_folder()
    (dead / "job").mkdir()
    (dead / "job" / "half").write_bytes(b"half")
    gone.close()
    (tmp_path / "fastprocesses-work-of-somebody").mkdir()

    assert folders.remove_abandoned() == 1

    assert living.is_dir()
    assert not dead.exists()
    mark.close()


def test_what_a_caller_has_had_at_once_takes_no_more_room(site: Site) -> None:
    for _ in range(4):  # together they are more than a caller may keep
        answer = site.client.post("/processes/make/execution", json={"inputs": {"size": 7 * MB}})
        assert answer.status_code == 200, answer.text
        assert len(answer.content) == 7 * MB
        nothing_is_held(site)


def test_a_reference_that_does_not_fit_on_the_disk_is_told_by_its_input(site: Site) -> None:
    with hostile(lambda connection, _: connection.sendall(response(bytes((DISK_MB + 10) * MB)))) as server:
        status = site.ended("repeat-blob", {"data": {"href": server.url()}})
    assert status["fastprocesses:reason"] == "disk-full"
    problem = site.client.get(f"/jobs/{status['jobID']}/results").json()
    assert problem["status"] == 507
    assert [error["pointer"] for error in problem["errors"]] == ["/inputs/data"]
    nothing_is_held(site)
    site.delete(status)
