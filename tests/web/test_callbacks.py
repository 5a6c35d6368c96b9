"""Subscribers of the service: called by its workers, refused where they may not be, shown to nobody."""

import json

import pytest

from tests.host.receiver import receiver

TOKEN = "t0ken-of-the-subscriber"


@pytest.mark.requirement("/req/callback/job-callback")
@pytest.mark.parametrize("headers", [{"prefer": "respond-async"}, {}], ids=["async", "sync"])
def test_a_subscriber_is_called_with_the_results(client, headers):
    with receiver() as here:
        uri = here.url(f"/done?token={TOKEN}")
        body = {"inputs": {"name": "you"}, "subscriber": {"successUri": uri}}
        answer = client.execute("greet", body, **headers)
        told = here.await_received(1)[0]
    job = told.headers["link"].partition(">")[0].removeprefix("<")
    assert answer.status_code == (201 if headers else 200)
    assert answer.headers.get("location", job) == job
    assert told.json == {"result": "Hello you"}
    assert told.headers["content-type"] == "application/json"
    assert job.startswith(str(client.base_url))
    assert client.get(job).json()["status"] == "successful"
    assert "link" not in answer.headers or headers


def test_a_request_that_is_sent_again_with_its_key_calls_once(client):
    with receiver() as here:
        body = {"inputs": {"name": "you"}, "subscriber": {"successUri": here.url("/")}}
        headers = {"prefer": "respond-async", "idempotency_key": "the-key-of-a-subscriber"}
        first, second = (client.execute("greet", body, **headers) for _ in range(2))
        here.await_received(1)
        other = {"inputs": {"name": "me"}, "subscriber": {"successUri": here.url("/other")}}
        client.finished_job("greet", other)
        calls = here.await_received(2)
    assert first.headers["location"] == second.headers["location"]
    assert [call.path for call in calls] == ["/", "/other"]


@pytest.mark.requirement("/req/callback/job-callback")
def test_a_subscriber_is_told_of_progress_and_of_a_failure(client):
    with receiver() as progress, receiver() as failed:
        subscriber = {"inProgressUri": progress.url("/p"), "failedUri": failed.url("/f")}
        job = client.finished_job("refuse", {"inputs": {"how": "told"}, "subscriber": subscriber})
        told = failed.await_received(1)[0].json
    assert told == client.get(job + "/results").json()
    assert all(call.json["status"] in ("running", "accepted") for call in progress.received)


def test_the_addresses_of_a_subscriber_are_shown_to_nobody(client, running):
    with receiver() as here:
        uri = here.url(f"/done?token={TOKEN}")
        body = {"inputs": {"name": "you"}, "subscriber": {"successUri": uri, "inProgressUri": uri}}
        job = client.finished_job("greet", body)
        here.await_received(1)
    for path in ("", "/results", "/log", "?f=html", "/log?f=text"):
        assert TOKEN not in client.get(job + path).text
    assert TOKEN not in client.get("/jobs", params={"limit": 100}).text


def test_what_came_of_the_calls_is_in_the_log_of_the_job(client):
    with receiver() as here:
        body = {"inputs": {"name": "you"}, "subscriber": {"successUri": here.url("/")}}
        job = client.finished_job("greet", body)
        here.await_received(1)
        lines = []
        while not lines:
            lines = client.get(job + "/log").json()["lines"]
    assert lines[-1]["fields"] == {"callback": "success", "host": "127.0.0.1", "attempt": 1, "status": 204}


@pytest.mark.parametrize(
    ("name", "uri", "word"),
    [
        ("successUri", "ftp://example.org/", "http or https"),
        ("successUri", "/relative", "absolute"),
        ("inProgressUri", "https://user:secret@example.org/", "password"),
        ("failedUri", "https://example.org/" + "x" * 2000, "2000 characters"),
        ("failedUri", "http://10.0.0.1/", "not public"),
        ("failedUri", "http://[::1]/", "not public"),
        ("successUri", "http://2130706433/", "written in a way"),
        ("successUri", "http://example.org:22/", "port 22"),
        ("successUrl", "gopher://example.org", "successUrl must be"),
    ],
)
def test_an_address_that_cannot_be_called_is_refused(client, name, uri, word):
    body = {"inputs": {"name": "you"}, "subscriber": {name: uri}}
    answer = client.execute("greet", body, prefer="respond-async")

    assert (answer.status_code, answer.json()["type"]) == (400, "InvalidParameterValue")
    assert answer.json()["errors"][0]["pointer"] == f"/subscriber/{name}"
    assert word in answer.json()["detail"]
    assert "secret@" not in answer.text
    assert len(answer.content) < 2000


def test_a_subscriber_without_addresses_changes_nothing(client):
    answer = client.execute("greet", {"inputs": {"name": "you"}, "subscriber": {"other": 1}})

    assert (answer.status_code, answer.text) == (200, "Hello you")


@pytest.mark.parametrize("path", ["/api", "/api/3.1"])
def test_the_api_definition_describes_the_calls(client, path):
    document = client.get(path, headers={"accept": "*/*"}).json()
    for execution in ("/processes/{processID}/execution", "/processes/greet/execution"):
        operation = document["paths"][execution]["post"]
        assert set(operation["callbacks"]) == {"jobCompleted", "jobInProgress", "jobFailed"}
        assert "subscriber" in json.dumps(operation["requestBody"]) or execution.startswith("/processes/{")
    (address,) = document["components"]["callbacks"]["jobCompleted"]
    assert address == "{$request.body#/subscriber/successUri}"
