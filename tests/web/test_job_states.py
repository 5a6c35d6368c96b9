"""What each state of a job answers, resource by resource (S1.4), by a real service."""

from collections.abc import Iterator

import pytest

from tests.support import wait_until
from tests.web.conftest import SLOTS, Client

EXCEPTIONS = "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0/"
REL = "http://www.opengis.net/def/rel/ogc/1.0/"
NO_JOB, NOT_READY = (404, EXCEPTIONS + "no-such-job"), (404, EXCEPTIONS + "result-not-ready")
NOT_AVAILABLE, REASON = (404, EXCEPTIONS + "result-not-available"), (409, "about:blank")
DISMISSED, OK = (200, "dismissed"), (200, "")
UNKNOWN = "0190c3f2-0000-7000-8000-000000000000"

TABLE = {
    # state: status info, results, one output, DELETE, and then the status info and another DELETE
    "accepted": ((200, "accepted"), NOT_READY, NOT_READY, DISMISSED, DISMISSED, DISMISSED),
    "running": ((200, "running"), NOT_READY, NOT_READY, DISMISSED, DISMISSED, DISMISSED),
    "successful": ((200, "successful"), OK, OK, DISMISSED, NO_JOB, (410, NO_JOB[1])),
    "successful, no outputs": (
        (200, "successful"),
        NOT_AVAILABLE,
        NOT_AVAILABLE,
        DISMISSED,
        NO_JOB,
        (410, NO_JOB[1]),
    ),
    "failed": ((200, "failed"), REASON, REASON, DISMISSED, NO_JOB, (410, NO_JOB[1])),
    "dismissed": (DISMISSED, NOT_AVAILABLE, NOT_AVAILABLE, DISMISSED, NO_JOB, (410, NO_JOB[1])),
    "gone": (NO_JOB, NO_JOB, NO_JOB, (410, NO_JOB[1]), NO_JOB, (410, NO_JOB[1])),
    "unknown": (NO_JOB, NO_JOB, NO_JOB, NO_JOB, NO_JOB, NO_JOB),
    "no id of ours": (NO_JOB, NO_JOB, NO_JOB, NO_JOB, NO_JOB, NO_JOB),
}


def submit(client: Client, process_id: str, body: dict) -> str:
    answer = client.execute(process_id, body, prefer="respond-async")
    assert answer.status_code == 201, answer.text
    return answer.headers["location"]


def pausing(client: Client) -> str:
    return submit(client, "echo", {"inputs": {"message": "x", "pause": 60}})


def status_of(client: Client, url: str) -> str:
    return client.get(url).json()["status"]


@pytest.fixture
def job(client: Client, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a job in the state that the test names."""
    others = []
    match request.param:
        case "accepted":
            others = [pausing(client) for _ in range(SLOTS)]
            wait_until(lambda: all(status_of(client, url) == "running" for url in others))
            url = pausing(client)
        case "running":
            url = pausing(client)
            wait_until(lambda: status_of(client, url) == "running")
        case "successful":
            url = client.finished_job("greet", {"inputs": {"name": "you"}})
        case "successful, no outputs":
            url = client.finished_job("greet", {"inputs": {"name": "you"}, "outputs": {}})
        case "failed":
            url = client.finished_job("refuse", {"inputs": {"how": "told"}})
        case "dismissed":
            url = pausing(client)
            client.delete(url)
        case "gone":
            url = client.finished_job("greet", {"inputs": {"name": "you"}})
            client.delete(url)
        case "unknown":
            url = f"/jobs/{UNKNOWN}"
        case _:
            url = "/jobs/nothing%20%2F"
    yield url
    for other in (*others, url):
        client.delete(other)


def told(answer) -> tuple[int, str]:
    """Status code, and what the body says: the status of the job or the type of the problem."""
    document = answer.json() if "json" in answer.headers.get("content-type", "") else {}
    return answer.status_code, document.get("status" if answer.is_success else "type", "")


@pytest.mark.parametrize(
    ("job", "expected"), TABLE.items(), indirect=["job"], ids=[name.replace(" ", "-") for name in TABLE]
)
def test_each_state_answers_as_the_standard_says(client, job, expected):
    """/req/core/job-success, job-results-*, /req/dismiss/job-dismiss-success, version 2.0 job-result-op."""
    answers = [client.get(job), client.get(job + "/results"), client.get(job + "/results/result")]
    heads = [client.head(job), client.head(job + "/results"), client.head(job + "/results/result")]
    deleted = [client.delete(job), client.get(job), client.delete(job)]

    assert tuple(map(told, answers + deleted)) == expected
    assert [head.status_code for head in heads] == [answer.status_code for answer in answers]


@pytest.mark.parametrize(
    ("job", "first", "has_log"),
    [
        ("accepted", "self", True),
        ("running", "self", True),
        ("successful", REL + "results", True),
        ("successful, no outputs", "self", True),
        ("failed", "self", True),
        ("dismissed", "self", True),
    ],
    indirect=["job"],
)
def test_the_links_of_each_state_lead_somewhere(client, job, first, has_log):
    links = client.get(job).json()["links"]
    rels = [link["rel"] for link in links]

    assert rels[0] == first
    assert all(link["type"] and link["title"] for link in links)
    assert {"self", "monitor", "up", REL + "job-list"} <= set(rels)
    assert (REL + "log" in rels) == has_log
    for link in links:
        is_stream = link["type"] == "text/event-stream"  # which ends with its job
        answer = client.head(link["href"]) if is_stream else client.get(link["href"])
        expected = 409 if link["rel"].endswith("/exceptions") else 200
        assert answer.status_code == expected, link


def test_what_a_job_was_doing_is_told_while_it_runs_and_no_longer(client):
    url = client.finished_job("talk", {})
    job = client.get(url).json()

    assert (job["status"], job["progress"]) == ("successful", 100)
    assert "message" not in job


def test_a_process_that_cannot_be_dismissed_is_left_alone(client, tmp_path):
    url = submit(client, "patient", {"inputs": {"file": str(tmp_path / "mark")}})
    wait_until(lambda: status_of(client, url) == "running")
    refused = client.delete(url)
    (tmp_path / "mark").touch()
    client.await_end(url)

    assert (refused.status_code, refused.json()["type"]) == (403, "about:blank")
    assert status_of(client, url) == "successful"
    assert told(client.delete(url)) == DISMISSED
