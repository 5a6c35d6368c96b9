"""Every kind of answer fits the official schemas of both versions, and so do the requests we print."""

import pytest

from tests.conformance.conftest import MAX_BODY_BYTES
from tests.conformance.test_client_needs import PROBLEMS, WAITING
from tests.web.test_official_schemas import VERSIONS, faults

pytestmark = pytest.mark.parametrize("version", VERSIONS)

REFERENCE = {"transmissionMode": "reference"}
UNKNOWN = "/jobs/0190c3f2-0000-7000-8000-000000000000"


@pytest.fixture(scope="module")
def states(client) -> dict[str, str]:
    """A job in each state, its URL by the state."""
    gone, dismissed, running = (
        client.execute("echo", WAITING, prefer="respond-async").headers["location"] for _ in range(3)
    )
    for url in (gone, gone, dismissed):
        client.delete(url)
    made = {
        "successful": client.finished_job("results", {}),
        "without outputs": client.finished_job("results", {"outputs": {}}),
        "failed": client.finished_job("refuse", {}),
        "broken": client.finished_job("broken", {}),
        "dismissed": dismissed,
        "gone": gone,
    }
    made["running"] = running
    yield made
    client.delete(running)


@pytest.mark.parametrize(
    "path", ["/", "/conformance", "/processes", "/processes?limit=1", "/jobs", "/jobs?limit=1"]
)
def test_a_resource_fits(client, shared, states, version, path):
    names = {
        "/": "landingPage",
        "/conformance": "confClasses",
        "/processes": "processList",
        "/jobs": "jobList",
    }
    assert faults(shared, version, names[path.partition("?")[0]], client.get(path).json()) == []


@pytest.mark.requirement("/req/ogc-process-description/json-encoding")
def test_every_description_and_its_example_fit(client, shared, version):
    for summary in client.get("/processes").json()["processes"]:
        described = client.get(f"/processes/{summary['id']}").json()
        assert faults(shared, version, "process", described) == []
        assert faults(shared, version, "execute", described["example"]) == []


@pytest.mark.requirement("/req/core/job-success", "/req/job-list/job-list-success")
@pytest.mark.parametrize(
    "state", ["running", "successful", "without outputs", "failed", "broken", "dismissed"]
)
def test_the_status_in_every_state_fits(client, shared, states, version, state):
    answer = client.get(states[state])

    assert answer.status_code == 200
    assert faults(shared, version, "statusInfo", answer.json()) == []


@pytest.mark.parametrize("status", ["running", "successful", "failed", "dismissed", "accepted"])
def test_the_list_of_every_state_fits(client, shared, states, version, status):
    listed = client.get("/jobs", params={"status": status}).json()

    assert listed["jobs"] or status == "accepted"
    assert faults(shared, version, "jobList", listed) == []


def test_an_accepted_and_a_dismissed_job_fit(client, shared, version):
    accepted = client.execute("echo", WAITING, prefer="respond-async")
    dismissed = client.delete(accepted.headers["location"])

    for answer in (accepted, dismissed):
        assert faults(shared, version, "statusInfo", answer.json()) == []


@pytest.mark.requirement("/req/core/process-execute-sync-document", "/req/core/job-results-async-document")
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"response": "document"},
        {"outputs": dict.fromkeys(("text", "image", "table"), REFERENCE), "response": "document"},
        {"outputs": {"image": {}, "point": REFERENCE}, "response": "document"},
        {"outputs": {"box": {}}, "response": "document"},
    ],
    ids=["2.0", "1.0", "references", "mixed", "bbox"],
)
@pytest.mark.parametrize("prefer", ["", "return=minimal", "return=representation", "respond-async"])
def test_a_results_document_fits(client, shared, version, body, prefer):
    if prefer == "respond-async":
        answer = client.get(client.finished_job("results", body) + "/results")
    else:
        answer = client.execute("results", body, **({"prefer": prefer} if prefer else {}))

    assert answer.headers["content-type"] == "application/json"
    assert faults(shared, version, "results", answer.json()) == []


EXCEPTIONS = [
    *((*row[:3], row[3]) for row in PROBLEMS),
    ("GET", "/processes?limit=x", {}, 400),
    ("GET", "/jobs?status=done", {}, 400),
    ("GET", "/jobs?processID=nothing", {}, 404),
    ("GET", UNKNOWN, {}, 404),
    ("DELETE", UNKNOWN, {}, 404),
    ("GET", UNKNOWN + "/results", {}, 404),
    ("GET", "{running}/results", {}, 404),
    ("GET", "{dismissed}/results", {}, 404),
    ("GET", "{without outputs}/results", {}, 404),
    ("GET", "{failed}/results", {}, 409),
    ("GET", "{broken}/results", {}, 500),
    ("GET", "{gone}", {}, 404),
    ("DELETE", "{gone}", {}, 410),
    ("GET", "{successful}/results/nothing", {}, 400),
    ("GET", "{successful}/results/image", {"headers": {"accept": "image/tiff"}}, 406),
    ("POST", "/processes/echo/execution", {"json": {"inputs": {"message": 1, "unknown": 2}}}, 400),
    ("POST", "/processes/echo/execution", {"content": b""}, 400),
    ("POST", "/processes/echo/execution", {"content": b"[" * 1000}, 400),
    ("POST", "/processes/echo/execution", {"content": b" " * (MAX_BODY_BYTES + 1)}, 413),
    ("POST", "/processes/forms/execution", {"json": {"inputs": {"text": {"href": "x"}}}}, 400),
]


@pytest.mark.requirement("/req/core/process-exception/no-such-process", "/req/core/job-exception-no-such-job")
@pytest.mark.parametrize(
    ("method", "path", "sent", "status"),
    EXCEPTIONS,
    ids=[f"{row[0]} {row[1]} {row[3]}" for row in EXCEPTIONS],
)
def test_every_exception_fits(client, shared, states, version, method, path, sent, status):
    for name, url in states.items():
        path = path.replace("{" + name + "}", url)
    headers = {"content-type": "application/json"} | sent.get("headers", {})
    answer = client.request(method, path, **{**sent, "headers": headers})

    assert answer.status_code == status, answer.text
    assert faults(shared, version, "exception", answer.json()) == []
