"""Jobs through their states, the job list and its filters, dismissal (clauses 7.12, 7.13, 11 and 13)."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest

REL = "http://www.opengis.net/def/rel/ogc/1.0/"
EXCEPTIONS = "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0/"
NOT_READY, NOT_AVAILABLE, NO_JOB = (
    EXCEPTIONS + name for name in ("result-not-ready", "result-not-available", "no-such-job")
)
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
WAITING = {"inputs": {"message": "x", "pause": 60}}


def hrefs(document, rel: str) -> list[str]:
    return [link["href"] for link in document["links"] if link["rel"] == rel]


@pytest.fixture
def running_job(client):
    """A job that waits until it is dismissed."""
    url = client.execute("echo", WAITING, prefer="respond-async").headers["location"]
    yield url
    client.delete(url)


@pytest.fixture
def job_in(client, request) -> Callable[[str], str]:
    """Make a job of a state; give its URL."""

    def make(state: str) -> str:
        if state == "unknown":
            return "/jobs/0190c3f2-0000-7000-8000-000000000000"
        if state in ("accepted", "running"):
            return request.getfixturevalue("running_job")
        if state == "failed":
            return client.finished_job("refuse", {})
        if state == "without outputs":
            return client.finished_job("results", {"outputs": {}})
        if state == "dismissed":
            url = client.execute("echo", WAITING, prefer="respond-async").headers["location"]
            client.delete(url)
            return url
        url = client.finished_job("results", {})
        if state == "gone":
            client.delete(url)
        return url

    return make


STATES = [
    ("running", 200, (404, NOT_READY), (404, NOT_READY), 200),
    ("successful", 200, (200, ""), (200, ""), 200),
    ("without outputs", 200, (404, NOT_AVAILABLE), (404, NOT_AVAILABLE), 200),
    ("failed", 200, (409, "about:blank"), (409, "about:blank"), 200),
    ("dismissed", 200, (404, NOT_AVAILABLE), (404, NOT_AVAILABLE), 200),
    ("gone", 404, (404, NO_JOB), (404, NO_JOB), 410),
    ("unknown", 404, (404, NO_JOB), (404, NO_JOB), 404),
]


@pytest.mark.requirement(
    "/req/core/job-success",
    "/req/core/job-exception-no-such-job",
    "/req/core/job-results",
    "/req/core/job-results-exception/results-not-ready",
    "/req/core/job-results-exception/no-such-job",
    "/req/core/job-results-failed",
    "/req/dismiss/job-dismiss-op",
    "/req/dismiss/job-dismiss-success",
)
@pytest.mark.parametrize(
    ("state", "job", "results", "output", "dismissal"), STATES, ids=[row[0] for row in STATES]
)
def test_each_state_answers_as_the_table_says(client, job_in, state, job, results, output, dismissal):
    url = job_in(state)
    answer = client.get(url)
    assert answer.status_code == job
    if job == 404:
        assert answer.json()["type"] == NO_JOB

    for path, (status, type_) in ((url + "/results", results), (url + "/results/text", output)):
        answer = client.get(path)
        assert answer.status_code == status, answer.text
        assert status == 200 or answer.json()["type"] == type_

    answer = client.delete(url)
    assert answer.status_code == dismissal
    assert answer.json()["status"] == "dismissed" if dismissal == 200 else answer.json()["type"] == NO_JOB


@pytest.mark.requirement("/req/dismiss/job-dismiss-success")
def test_a_running_job_is_kept_as_dismissed_and_removed_by_a_second_dismissal(client, running_job):
    assert client.delete(running_job).json()["status"] == "dismissed"
    assert client.get(running_job).json()["status"] == "dismissed"
    assert client.delete(running_job).json()["status"] == "dismissed"
    assert client.get(running_job).status_code == 404
    assert client.delete(running_job).status_code == 410


@pytest.mark.requirement("/req/dismiss/job-dismiss-success")
@pytest.mark.parametrize("process_id", ["results", "refuse"])
def test_a_finished_job_is_removed_with_its_results(client, process_id):
    url = client.finished_job(process_id, {})

    assert client.delete(url).json()["status"] == "dismissed"
    assert [client.get(url + path).status_code for path in ("", "/results", "/results/text")] == [404] * 3


@pytest.mark.requirement("/req/core/job", "/req/core/job-success")
def test_a_status_tells_times_progress_and_links(client):
    url = client.finished_job("results", {})
    status = client.get(url).json()

    assert status["type"] == "process"
    assert (status["status"], status["progress"]) == ("successful", 100)
    assert all(TIME.fullmatch(status[name]) for name in ("created", "started", "finished", "updated"))
    assert status["created"] <= status["started"] <= status["finished"]
    assert hrefs(status, "self") == hrefs(status, "monitor") == [url]
    assert hrefs(status, REL + "results")[0] == url + "/results"
    assert client.get(hrefs(status, "up")[0]).json()["id"] == "results"
    assert client.get(hrefs(status, REL + "job-list")[0]).json()["jobs"]


@pytest.mark.requirement("/req/core/job-results-failed")
def test_a_failed_job_links_to_what_it_failed_with(client):
    status = client.get(client.finished_job("refuse", {})).json()

    assert status["status"] == "failed"
    assert not hrefs(status, REL + "results")
    assert client.get(hrefs(status, REL + "exceptions")[0]).json()["detail"] == "The moon is not full."


class Known:
    """Jobs of several processes and states, as the list has them."""

    def __init__(self, client) -> None:
        self.before = datetime.now(UTC) - timedelta(seconds=1)  # the clock of jobs is not quite ours
        self.successful = _id(client.finished_job("results", {}))
        self.other = _id(client.finished_job("forms", {"inputs": {"text": "x"}}))
        self.failed = _id(client.finished_job("refuse", {}))
        self.middle = client.get(f"/jobs/{self.failed}").json()["created"]
        self.slow = _id(client.finished_job("echo", {"inputs": {"message": "x", "pause": 2}}))
        url = client.execute("echo", WAITING, prefer="respond-async").headers["location"]
        client.delete(url)
        self.dismissed = _id(url)
        self.ids = [self.dismissed, self.slow, self.failed, self.other, self.successful]

    def __getitem__(self, names: str) -> list[str]:
        return [job for job in self.ids if any(job == getattr(self, name) for name in names.split())]


def _id(url: str) -> str:
    return url.rsplit("/", 1)[1]


@pytest.fixture(scope="module")
def known(client) -> Known:
    return Known(client)


def listed(client, query: str) -> list[str]:
    answer = client.get(f"/jobs?limit=10000&{query}")
    assert answer.status_code == 200, answer.text
    return [job["jobID"] for job in answer.json()["jobs"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param(query, expected, marks=pytest.mark.requirement(*ids), id=query)
        for ids, rows in (
            (
                ("/req/job-list/type-definition", "/req/job-list/type-response"),
                [("type=process", "dismissed slow failed other successful")],
            ),
            (
                ("/req/job-list/processID-definition", "/req/job-list/processid-response"),
                [
                    ("processID=results", "successful"),
                    ("processID=results,forms", "other successful"),
                    ("processID=results&processID=forms", "other successful"),
                    ("processID=results,nothing", "successful"),
                ],
            ),
            (
                ("/req/job-list/status-definition", "/req/job-list/status-response"),
                [
                    ("status=successful", "slow other successful"),
                    ("status=failed", "failed"),
                    ("status=failed,dismissed", "dismissed failed"),
                    ("status=failed&status=dismissed", "dismissed failed"),
                    ("status=accepted", ""),
                    ("status=successful&processID=echo", "slow"),
                    ("status=failed&processID=echo", ""),
                ],
            ),
            (
                ("/req/job-list/duration-definition", "/req/job-list/duration-response"),
                [
                    ("minDuration=1&status=successful", "slow"),
                    ("maxDuration=1&status=successful", "other successful"),
                    (
                        "minDuration=0&maxDuration=100&status=failed,successful",
                        "slow failed other successful",
                    ),
                    ("minDuration=1&maxDuration=100&processID=results,echo&status=successful", "slow"),
                    ("minDuration=1000&status=successful", ""),
                ],
            ),
        )
        for query, expected in rows
    ],
)
def test_a_filter_keeps_what_it_says(client, known, query, expected):
    assert [job for job in listed(client, query) if job in known.ids] == known[expected]


def at(time: datetime) -> str:
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


@pytest.mark.requirement("/req/job-list/datetime-definition", "/req/job-list/datetime-response")
@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        ("{middle}", "failed"),
        ("{middle}/..", "dismissed slow failed"),
        ("{middle}/", "dismissed slow failed"),
        ("../{middle}", "failed other successful"),
        ("/{middle}", "failed other successful"),
        ("{before}/{middle}", "failed other successful"),
        ("{past}/{before}", ""),
        ("{future}/..", ""),
        ("{before_elsewhere}/..", "dismissed slow failed other successful"),
    ],
)
def test_datetime_keeps_what_was_created_then(client, known, interval, expected):
    elsewhere = known.before.isoformat().replace("+00:00", "-00:00")
    times = {
        "middle": known.middle,
        "before": at(known.before),
        "past": at(known.before - timedelta(days=1)),
        "future": at(known.before + timedelta(days=1)),
        "before_elsewhere": quote(elsewhere),
    }
    found = listed(client, "datetime=" + interval.format(**times))
    assert [job for job in found if job in known.ids] == known[expected]


@pytest.mark.parametrize(
    "query",
    [
        pytest.param(query, marks=pytest.mark.requirement(requirement))
        for requirement, queries in {
            "/req/job-list/type-definition": ["type="],
            "/req/job-list/status-definition": ["status=done", "status=successful,done", "status="],
            "/req/job-list/datetime-definition": [
                "datetime=yesterday",
                "datetime=2026-01-01",
                "datetime=2026-01-02T00:00:00Z/2026-01-01T00:00:00Z",
                "datetime=a/b/c",
            ],
            "/req/job-list/duration-definition": ["minDuration=x", "maxDuration=-1", "minDuration=1.5"],
            "/req/job-list/limit-definition": ["limit=0", "limit=1&limit=2"],
        }.items()
        for query in queries
    ],
)
def test_a_filter_that_cannot_be_used_is_refused(client, query):
    answer = client.get("/jobs?" + query)
    assert (answer.status_code, answer.json()["type"]) == (400, EXCEPTIONS + "invalid-query-parameter-value")


@pytest.mark.requirement("/req/job-list/processid-response")
def test_jobs_of_an_unknown_process_are_404(client):
    answer = client.get("/jobs?processID=nothing")
    assert (answer.status_code, answer.json()["type"]) == (404, EXCEPTIONS + "no-such-process")


@pytest.mark.requirement("/req/job-list/processID-mandatory", "/req/job-list/job-list-success")
def test_each_job_of_the_list_tells_its_process(client, known):
    jobs = client.get("/jobs?limit=100").json()["jobs"]

    assert all(job["processID"] and job["type"] == "process" for job in jobs)
    assert {job["processID"] for job in jobs} >= {"results", "forms", "refuse", "echo"}


@pytest.mark.requirement("/req/job-list/links", "/req/job-list/limit-response")
@pytest.mark.parametrize("query", ["limit=1", "limit=2&status=successful", "limit=1&processID=echo,results"])
def test_pages_of_a_filtered_list_put_together_are_the_list(client, known, query):
    everything = listed(client, re.sub(r"limit=\d+&?", "", query))
    answer = client.get(f"/jobs?{query}").json()
    found = [job["jobID"] for job in answer["jobs"]]
    while hrefs(answer, "next"):
        answer = client.get(hrefs(answer, "next")[0]).json()
        found += [job["jobID"] for job in answer["jobs"]]

    assert found == everything


@pytest.mark.parametrize(
    ("name", "type_", "items"),
    [
        pytest.param(name, type_, items, marks=pytest.mark.requirement(*requirements), id=name)
        for name, type_, items, requirements in (
            ("type", "array", "string", ["/req/job-list/type-definition"]),
            ("processID", "array", "string", ["/req/job-list/processID-definition"]),
            ("status", "array", "string", ["/req/job-list/status-definition"]),
            ("datetime", "string", None, ["/req/job-list/datetime-definition"]),
            ("minDuration", "array", "integer", ["/req/job-list/duration-definition"]),
            ("maxDuration", "array", "integer", ["/req/job-list/duration-definition"]),
            ("limit", "integer", None, ["/req/job-list/limit-definition"]),
        )
    ],
)
def test_the_definition_names_the_parameters_of_the_list(client, name, type_, items):
    told = {told["name"]: told for told in client.get("/api").json()["paths"]["/jobs"]["get"]["parameters"]}
    parameter = told[name]

    assert (parameter["in"], parameter.get("required", False)) == ("query", False)
    assert parameter["schema"]["type"] == type_
    assert parameter["schema"].get("items", {}).get("type") == items
    if items:
        assert (parameter.get("style", "form"), parameter["explode"]) == ("form", False)
