"""The job list, status infos, dismissal."""

import re

import pytest

REL = "http://www.opengis.net/def/rel/ogc/1.0/"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def rels(document) -> list[str]:
    return [link["rel"] for link in document["links"]]


def link(document, rel: str) -> str:
    return next((link["href"] for link in document["links"] if link["rel"] == rel), "")


def test_a_job_is_told_whole_from_its_first_answer(client, base_url):
    answer = client.execute("greet", {"inputs": {"name": "you"}}, prefer="respond-async")
    job = answer.json()

    assert answer.status_code == 201
    assert answer.headers["location"] == f"{base_url}/jobs/{job['jobID']}"
    assert (job["id"], job["processID"], job["type"]) == (job["jobID"], "greet", "process")
    assert job["status"] in ("accepted", "running", "successful")
    assert TIME.fullmatch(job["created"])
    assert link(job, "self") == link(job, "monitor") == answer.headers["location"]


def test_a_finished_job_leads_to_its_results_first(client):
    url = client.finished_job("greet", {"inputs": {"name": "you"}})
    answer = client.get(url)
    job = answer.json()

    assert job["status"] == "successful"
    assert job["progress"] == 100
    assert job["created"] <= job["started"] <= job["finished"]
    assert all(TIME.fullmatch(job[name]) for name in ("created", "started", "finished", "updated"))
    assert rels(job)[0] == REL + "results"
    assert client.get(link(job, REL + "results")).json() == {"result": "Hello you"}
    assert answer.headers["cache-control"] == "no-store"
    assert [told["rel"] for told in answer.links.values()]


def test_a_failed_job_leads_to_its_exception(client):
    job = client.get(client.finished_job("refuse", {"inputs": {"how": "told"}})).json()

    assert job["status"] == "failed"
    assert job["message"] == "The moon is not full."
    assert REL + "results" not in rels(job)
    assert client.get(link(job, REL + "exceptions")).status_code == 409


@pytest.mark.parametrize("limit", [1, 3])
def test_jobs_are_listed_newest_first_page_by_page_both_ways(client, limit):
    made = [client.finished_job("greet", {"inputs": {"name": str(n)}}).rsplit("/", 1)[1] for n in range(4)]
    page = client.get(f"/jobs?limit={limit}")
    forwards = [job["jobID"] for job in page.json()["jobs"]]
    while len(forwards) < 4:
        page = client.get(link(page.json(), "next"))
        forwards += [job["jobID"] for job in page.json()["jobs"]]
        assert len(page.json()["jobs"]) <= limit
    backwards = []
    while previous := link(page.json(), "prev"):
        page = client.get(previous)
        backwards = [job["jobID"] for job in page.json()["jobs"]] + backwards

    assert forwards[:4] == made[::-1]
    assert backwards == forwards[: len(backwards)]
    assert backwards


def test_ten_jobs_are_listed_unless_more_are_asked_for(client):
    for n in range(11):
        client.execute("greet", {"inputs": {"name": str(n)}}, prefer="respond-async")

    assert len(client.get("/jobs").json()["jobs"]) == 10
    assert len(client.get("/jobs?limit=11").json()["jobs"]) == 11


def test_synchronous_executions_are_not_listed(client):
    before = [job["jobID"] for job in client.get("/jobs?limit=1").json()["jobs"]]
    client.execute("greet", {"inputs": {"name": "x"}})
    assert [job["jobID"] for job in client.get("/jobs?limit=1").json()["jobs"]] == before


def test_a_running_job_is_dismissed_and_then_deleted(client):
    url = client.execute("echo", {"inputs": {"message": "x", "pause": 60}}, prefer="respond-async").headers[
        "location"
    ]
    dismissed, kept = client.delete(url), client.get(url)
    results = client.get(url + "/results")
    deleted, gone, again = client.delete(url), client.get(url), client.delete(url)

    assert (dismissed.status_code, dismissed.json()["status"]) == (200, "dismissed")
    assert kept.json()["status"] == "dismissed"
    assert (results.status_code, results.json()["type"].rsplit("/", 1)[1]) == (404, "result-not-available")
    assert (deleted.status_code, deleted.json()["status"]) == (200, "dismissed")
    assert (gone.status_code, again.status_code) == (404, 410)
    assert gone.json()["type"] == again.json()["type"]
    assert again.json()["type"].endswith("/no-such-job")


def test_a_finished_job_is_deleted_with_its_results(client):
    url = client.finished_job("greet", {"inputs": {"name": "x"}})

    assert client.delete(url).json()["status"] == "dismissed"
    assert client.get(url).status_code == client.get(url + "/results").status_code == 404


def test_a_job_is_not_dismissed_for_who_takes_no_answer_of_ours(client):
    url = client.finished_job("greet", {"inputs": {"name": "x"}})

    assert client.delete(url, headers={"accept": "image/png"}).status_code == 406
    assert client.get(url).status_code == 200
    page = client.delete(url, headers={"accept": "text/html"})
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "dismissed" in page.text
    assert client.get(url).status_code == 404


def test_results_of_a_running_job_are_not_ready(client):
    url = client.execute("echo", {"inputs": {"message": "x", "pause": 60}}, prefer="respond-async").headers[
        "location"
    ]
    for path in ("/results", "/results/message"):
        answer = client.get(url + path)
        assert (answer.status_code, answer.json()["type"].rsplit("/", 1)[1]) == (404, "result-not-ready")
    client.delete(url)
