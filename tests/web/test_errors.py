"""Every error on every path is a problem document of the right status, type and media type."""

import pytest

EXCEPTIONS = "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0/"
BLANK = "about:blank"
UNKNOWN = "0190c3f2-0000-7000-8000-000000000000"
JSON, PROBLEM = "application/json", "application/problem+json"

ERRORS = [
    ("GET", "/nothing", {}, 404, BLANK),
    ("POST", "/nothing", {}, 404, BLANK),
    ("GET", "/processes/nothing/else/here", {}, 404, BLANK),
    ("GET", "/processes/nothing", {}, 404, EXCEPTIONS + "no-such-process"),
    ("GET", "/processes/%00%F0%9F%A6%86", {}, 404, EXCEPTIONS + "no-such-process"),
    ("POST", "/processes/nothing/execution", {"json": {}}, 404, EXCEPTIONS + "no-such-process"),
    ("GET", "/jobs/nothing", {}, 404, EXCEPTIONS + "no-such-job"),
    ("GET", f"/jobs/{UNKNOWN}", {}, 404, EXCEPTIONS + "no-such-job"),
    ("DELETE", f"/jobs/{UNKNOWN}", {}, 404, EXCEPTIONS + "no-such-job"),
    ("GET", f"/jobs/{UNKNOWN}/results", {}, 404, EXCEPTIONS + "no-such-job"),
    ("GET", f"/jobs/{UNKNOWN}/results/x", {}, 404, EXCEPTIONS + "no-such-job"),
    ("GET", "/processes?limit=0", {}, 400, EXCEPTIONS + "invalid-query-parameter-value"),
    ("GET", "/processes?limit=-1", {}, 400, EXCEPTIONS + "invalid-query-parameter-value"),
    ("GET", "/processes?limit=ten", {}, 400, EXCEPTIONS + "invalid-query-parameter-value"),
    ("GET", "/processes?limit=", {}, 400, EXCEPTIONS + "invalid-query-parameter-value"),
    ("GET", "/processes?limit=1&limit=2", {}, 400, EXCEPTIONS + "invalid-query-parameter-value"),
    ("GET", "/processes?limit=%D9%A1", {}, 400, EXCEPTIONS + "invalid-query-parameter-value"),
    ("GET", "/processes?cursor=%FF", {}, 400, EXCEPTIONS + "invalid-query-parameter-value"),
    ("GET", "/jobs?limit=0", {}, 400, EXCEPTIONS + "invalid-query-parameter-value"),
    ("GET", "/jobs?cursor=bm90aGluZw", {}, 400, EXCEPTIONS + "invalid-query-parameter-value"),
    ("GET", "/?f=xml", {}, 400, EXCEPTIONS + "invalid-query-parameter-value"),
    ("GET", "/processes?f=", {}, 400, EXCEPTIONS + "invalid-query-parameter-value"),
    ("POST", "/", {}, 405, BLANK),
    ("PUT", "/processes/echo", {"json": {}}, 405, BLANK),
    ("DELETE", "/jobs", {}, 405, BLANK),
    ("PATCH", f"/jobs/{UNKNOWN}", {"json": {}}, 405, BLANK),
    ("GET", "/processes/echo/execution", {}, 405, BLANK),
    (
        "POST",
        "/processes/echo/execution",
        {"content": b"message=x", "headers": {"content-type": "text/plain"}},
        415,
        BLANK,
    ),
    ("POST", "/processes/echo/execution", {"json": {}, "headers": {"content-encoding": "br"}}, 415, BLANK),
    (
        "POST",
        "/processes/echo/execution",
        {"content": b"{}", "headers": {"content-type": "application/json; charset=latin-1"}},
        415,
        BLANK,
    ),
    (
        "POST",
        "/processes/echo/execution",
        {"content": b"{", "headers": {"content-type": JSON}},
        400,
        "InvalidParameterValue",
    ),
    (
        "POST",
        "/processes/echo/execution",
        {"json": {"invalid-execute-request": "true)"}},
        400,
        "InvalidParameterValue",
    ),
    ("POST", "/processes/echo/execution", {"json": {"inputs": {"message": 1}}}, 400, "InvalidParameterValue"),
    (
        "POST",
        "/processes/refuse/execution",
        {"json": {"inputs": {"how": "typed"}}},
        400,
        "https://example.org/problems/no",
    ),
    ("POST", "/processes/refuse/execution", {"json": {"inputs": {"how": "told"}}}, 409, BLANK),
    ("POST", "/processes/refuse/execution", {"json": {"inputs": {"how": "bug"}}}, 500, BLANK),
]


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [("*/*", PROBLEM), (JSON, JSON), (f"{PROBLEM}, {JSON}", PROBLEM)],
    ids=["any", "json", "both"],
)
@pytest.mark.parametrize(
    ("method", "path", "sent", "status", "type_"),
    ERRORS,
    ids=[f"{e[0]} {e[1]} {e[3]} {n}" for n, e in enumerate(ERRORS)],
)
def test_an_error_is_a_problem(client, method, path, sent, status, type_, accept, media_type):
    headers = {**sent.get("headers", {}), "accept": accept}
    answer = client.request(method, path, **{**sent, "headers": headers})

    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == media_type
    assert answer.json()["type"] == type_
    assert "accept" in answer.headers["vary"].lower()


@pytest.mark.parametrize(
    "path", ["/", "/conformance", "/processes", "/processes/echo", "/jobs", f"/jobs/{UNKNOWN}"]
)
@pytest.mark.parametrize("accept", ["image/png", "application/json;q=0", "text/html;q=0, application/xml"])
def test_what_is_not_there_is_406_and_names_what_is(client, path, accept):
    answer = client.get(path, headers={"accept": accept})

    assert answer.status_code == 406
    assert answer.json()["available"] == ["application/json", "text/html"]


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "*",
        "/*",
        "image/gif, image/jpeg, *; q=.2, */*; q=.2",
        "text/html;q=0, */*;q=0.1",
        "application/json, text/html",
        "application/*",
    ],
)
@pytest.mark.parametrize("path", ["/", "/conformance", "/processes", "/processes/echo", "/jobs", "/api"])
def test_json_unless_html_is_asked_for(client, path, accept):
    answer = client.get(path, headers={"accept": accept})

    assert answer.status_code == 200
    assert answer.json()


def test_f_wins_over_accept(client):
    assert client.get("/processes?f=json", headers={"accept": "text/html"}).status_code == 200
    assert client.get("/processes?f=JSON", headers={"accept": "image/png"}).status_code == 200


def test_a_failing_job_tells_what_its_process_told_and_nothing_else(client):
    told = client.execute("refuse", {"inputs": {"how": "told"}}).json()
    bug = client.execute("refuse", {"inputs": {"how": "bug"}})

    assert (told["title"], told["detail"]) == ("Wrong moon", "The moon is not full.")
    assert "secret internals" not in bug.text


def test_a_failed_job_gives_its_reason_at_its_results(client):
    job = client.finished_job("refuse", {"inputs": {"how": "told"}})
    results = client.get(job + "/results")

    assert client.get(job).json()["status"] == "failed"
    assert (results.status_code, results.json()["title"]) == (409, "Wrong moon")
    assert client.get(job + "/results/result").status_code == 409


@pytest.mark.parametrize(
    ("inputs", "pointers"),
    [
        ({}, ["/inputs/message"]),
        ({"message": "x", "mesage": "y"}, ["/inputs/mesage"]),
        ({"message": "x", "pause": 61}, ["/inputs/pause"]),
        ({"message": "x", "numbers": [1, "two", 3, "four"]}, ["/inputs/numbers/1", "/inputs/numbers/3"]),
        (
            {"message": [], "pause": "x", "unknown": 1},
            ["/inputs/message", "/inputs/pause", "/inputs/unknown"],
        ),
    ],
)
def test_every_wrong_input_is_told_with_its_place(client, inputs, pointers):
    problem = client.execute("echo", {"inputs": inputs}).json()

    assert sorted(error["pointer"] for error in problem["errors"]) == pointers
    assert all(error["detail"] for error in problem["errors"])


def test_an_unknown_output_is_told_with_its_place(client):
    answer = client.execute("echo", {"inputs": {"message": "x"}, "outputs": {"massage": {}}})

    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/outputs/massage"]


def test_nothing_is_stored_for_a_request_that_is_refused(client):
    before = client.get("/jobs?limit=1").json()["jobs"]
    client.execute("echo", {"inputs": {"message": 1}}, prefer="respond-async")
    assert client.get("/jobs?limit=1").json()["jobs"] == before


LONG = "x" * 20_000


@pytest.mark.parametrize(
    ("method", "path", "sent"),
    [
        ("GET", f"/{LONG}", {}),
        ("GET", f"/processes/{LONG}", {}),
        ("GET", f"/jobs/{LONG}/results/{LONG}", {}),
        ("GET", f"/?f={LONG}", {}),
        ("GET", f"/processes?limit={LONG}", {}),
        ("GET", f"/jobs?status={LONG}", {}),
        ("GET", f"/jobs?cursor={LONG}", {}),
        (
            "POST",
            "/processes/greet/execution",
            {"content": b"{}", "headers": {"content-type": f"text/{LONG}"}},
        ),
        ("POST", "/processes/greet/execution", {"json": {"inputs": {LONG * 50: 1}}}),
        ("POST", "/processes/greet/execution", {"json": {"inputs": {"name": {LONG * 50: [LONG * 50]}}}}),
        ("POST", "/processes/greet/execution", {"json": {"inputs": {"name": {"href": LONG * 50}}}}),
        (
            "POST",
            "/processes/greet/execution",
            {"json": {"outputs": {LONG * 50: {}}, "inputs": {"name": "x"}}},
        ),
        ("POST", "/processes/point/execution", {"json": {"inputs": {"x": {LONG * 50: LONG}}}}),
        ("POST", "/processes/greet/execution", {"json": {"response": LONG * 50}}),
        ("POST", "/processes/greet/execution", {"json": {"subscriber": {"successUri": LONG * 50}}}),
    ],
)
def test_a_problem_never_gives_back_what_is_long(client, method, path, sent):
    answer = client.request(method, path, **sent)

    assert answer.is_client_error
    assert len(answer.content) < 8000
