"""What real clients need, line by line: each line broke at least one of them on one server or another."""

import base64
import json
from pathlib import Path

import pytest
from fastprocesses_host.app import create_app
from fastprocesses_host.host import Host
from fastprocesses_host.settings import Settings
from fastprocesses_host.web.processes import DEFAULT_LIMIT
from starlette.testclient import TestClient

from tests.conformance.conftest import MAX_BODY_BYTES, SLOTS
from tests.support import wait_until
from tests.web.conftest import check_no_null
from tests.web.test_execution import parts_of

REL = "http://www.opengis.net/def/rel/ogc/1.0/"
JSON, HTML, PROBLEM = "application/json", "text/html", "application/problem+json"
WAITING = {"inputs": {"message": "x", "pause": 60}}
RESOURCES = ["/", "/conformance", "/processes", "/processes/echo", "/jobs", "/api"]
VALUE, REFERENCE = {"transmissionMode": "value"}, {"transmissionMode": "reference"}


def links(document, rel: str) -> list[dict[str, str]]:
    return [link for link in document["links"] if link["rel"] == rel]


@pytest.fixture(scope="module")
def job(client) -> str:
    return client.finished_job("results", {})


@pytest.mark.parametrize(
    "wish",
    [
        {},
        {"headers": {"accept": ""}},
        {"headers": {"accept": "*/*"}},
        {"headers": {"accept": "/*"}},
        {"headers": {"accept": "text/html;q=0.5, application/json"}},
        {"headers": {"accept": HTML}, "params": {"f": "json"}},
    ],
    ids=str,
)
@pytest.mark.parametrize("path", [*RESOURCES, "{job}", "{job}/results"])
def test_line_01_json_unless_html_is_asked_for(client, job, path, wish):
    answer = client.get(path.replace("{job}", job), **wish)
    assert answer.status_code == 200
    assert answer.json()


@pytest.mark.parametrize(
    "wish",
    [
        {"headers": {"accept": "text/html"}},
        {"headers": {"accept": "text/html, */*;q=0.8"}},
        {"params": {"f": "html"}},
    ],
    ids=str,
)
@pytest.mark.parametrize("path", [*RESOURCES, "{job}"])
def test_line_01_html_for_those_who_ask(client, job, path, wish):
    assert client.get(path.replace("{job}", job), **wish).headers["content-type"].startswith(HTML)


def test_line_01_json_for_those_who_ask_an_execution_for_it(client, job):
    several = client.post("/processes/results/execution?f=json", json={})
    one = client.post("/processes/only-sync/execution?f=json", json={})

    assert several.json()["text"] == client.get(job + "/results?f=json").json()["text"] == "teststring"
    assert (one.headers["content-type"], one.json()) == (JSON, "done")


@pytest.mark.parametrize("path", ["/", "/processes", "/processes/echo", "/jobs", "/jobs?limit=1", "{job}"])
def test_line_02_links_are_absolute_with_rel_and_type(client, job, path):
    for link in client.get(path.replace("{job}", job)).json()["links"]:
        assert link["href"].startswith("http")
        assert link["rel"]
        assert link["type"]


@pytest.mark.parametrize(
    ("settings", "headers"),
    [
        ({"public_url": "https://example.org/ogc"}, {}),
        (
            {"trusted_proxies": "127.0.0.1"},
            {"x-forwarded-proto": "https", "x-forwarded-host": "example.org", "x-forwarded-prefix": "/ogc"},
        ),
    ],
    ids=["public URL", "forwarded"],
)
def test_line_02_links_are_right_behind_a_proxy(settings, headers):
    chosen = Settings(redis_url="unix:///nowhere", **settings)
    behind = TestClient(create_app(chosen, host=Host(chosen)), client=("127.0.0.1", 50_000))
    told = [link["href"] for link in behind.get("/", headers=headers).json()["links"]]

    assert told
    assert all(href.startswith("https://example.org/ogc/") for href in told)


def test_line_02_the_location_of_a_job_is_absolute_and_has_no_query(client, base_url):
    answer = client.post(
        "/processes/echo/execution?f=json&x=1", json=WAITING, headers={"prefer": "respond-async"}
    )
    assert answer.headers["location"] == f"{base_url}/jobs/{answer.json()['jobID']}"
    client.delete(answer.headers["location"])


def test_line_03_the_landing_page_links_as_clients_look_for_it(client):
    landing = client.get("/").json()
    definitions = [link["type"] for link in links(landing, "service-desc")]

    assert links(landing, "self")
    assert links(landing, "service-doc")
    assert definitions[0] == "application/vnd.oai.openapi+json;version=3.0"
    assert "application/vnd.oai.openapi+json;version=3.1" in definitions
    for rel in ("conformance", "processes", "job-list"):
        assert links(landing, rel)[0]["href"] == links(landing, REL + rel)[0]["href"]


def test_line_04_the_answer_to_an_accepted_job_is_its_whole_status(client):
    answer = client.execute("echo", WAITING, prefer="respond-async")
    status = answer.json()
    client.delete(answer.headers["location"])

    assert answer.status_code == 201
    assert status["jobID"]
    assert (status["processID"], status["type"]) == ("echo", "process")
    assert status["status"] in ("accepted", "running")
    assert status["created"]
    for rel in ("self", "monitor"):
        assert [link["href"] for link in links(status, rel)] == [answer.headers["location"]]


@pytest.mark.parametrize("path", [*RESOURCES, "{job}", "{job}/results", "/nothing", "/jobs/nothing"])
def test_line_05_nothing_is_null_and_members_are_of_their_types(client, job, path):
    document = client.get(path.replace("{job}", job)).json()
    check_no_null(document)
    for told in [*document.get("processes", []), *([document] if path == "/processes/echo" else [])]:
        assert isinstance(told["version"], str)
        assert isinstance(told.get("metadata", []), list)
        assert set(told["jobControlOptions"]) <= {"sync-execute", "async-execute", "dismiss"}
        assert set(told["outputTransmission"]) <= {"value", "reference"}
    for told in [*document.get("jobs", []), *([document] if path == "{job}" else [])]:
        assert told["status"] in ("accepted", "running", "successful", "failed", "dismissed")
        assert type(told.get("progress", 0)) is int
        assert 0 <= told.get("progress", 0) <= 100


def test_line_06_the_results_come_first_and_their_page_after_them(client, job):
    status = client.get(job).json()
    told = [link for link in status["links"] if "results" in link["rel"]]

    assert status["links"][0] == told[0]
    assert (told[0]["href"], told[0]["type"]) == (job + "/results", JSON)
    assert HTML in [link["type"] for link in told[1:]]


def test_line_07_a_description_is_whole_and_its_example_is_accepted(client):
    for summary in client.get("/processes").json()["processes"]:
        described = client.get(f"/processes/{summary['id']}").json()
        assert described["outputs"]
        for told in (*described["inputs"].values(), *described["outputs"].values()):
            assert told["title"]
            assert told["description"]
            assert isinstance(told["schema"], dict)
        answer = client.execute(summary["id"], described["example"], prefer="respond-async, wait=20")
        assert answer.status_code not in (400, 404, 415, 422), (summary["id"], answer.text)


@pytest.mark.parametrize(
    "member",
    [
        {"mode": "async"},
        {"job_name": "x"},
        {"process": "https://example.org/processes/echo"},
        {"queue": {"name": "x"}},
        {"tag": None},
        {"dedup": 1},
        {"subscribers": []},
    ],
    ids=str,
)
def test_line_08_unknown_members_do_no_harm(client, member):
    assert client.execute("echo", {"inputs": {"message": "x"}} | member).status_code == 200


def test_line_08_unknown_inputs_are_an_error(client):
    answer = client.execute("echo", {"inputs": {"message": "x", "massage": "y"}})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/inputs/massage")


@pytest.mark.parametrize(
    ("prefer", "status"),
    [
        (["respond-async"], 201),
        (["Respond-Async"], 201),
        (["respond-async;return=representation"], 201),
        (["return=minimal, respond-async"], 201),
        (["return=minimal", "respond-async"], 201),
        (['foo="respond, async"; bar', "respond-async"], 201),
        (["respond-sync"], 200),
        (["response-async"], 200),
        (["handling=lenient"], 200),
        (['foo="respond-async"'], 200),
        (["wait=10"], 200),
        ([", ,;"], 200),
    ],
    ids=str,
)
def test_line_09_preferences_are_read_as_they_are_written(client, prefer, status):
    headers = [("prefer", value) for value in prefer]
    answer = client.post("/processes/results/execution", json={}, headers=headers)
    assert answer.status_code == status


@pytest.mark.parametrize(("process_id", "status"), [("only-async", 201), ("results", 200)])
def test_line_10_a_process_may_be_asynchronous_alone(client, process_id, status):
    assert client.execute(process_id, {}).status_code == status


def test_line_11_a_reference_is_a_file_that_can_be_downloaded(client):
    body = {"outputs": {"image": {"format": {"mediaType": "image/png"}, **REFERENCE}}, "response": "document"}
    link = client.get(client.finished_job("results", body) + "/results").json()["image"]
    got, head = client.get(link["href"]), client.head(link["href"])
    part = client.get(link["href"], headers={"range": "bytes=1-2"})

    assert (link["type"], link["length"]) == ("image/png", 4)
    assert (got.content, got.headers["content-type"]) == (b"\x89PNG", "image/png")
    assert (head.headers["content-length"], head.headers["content-type"]) == ("4", "image/png")
    assert (part.status_code, part.content, part.headers["content-range"]) == (206, b"PN", "bytes 1-2/4")


@pytest.mark.parametrize("path", RESOURCES)
def test_line_12_slashes_bodies_and_methods_do_no_harm(client, path):
    wait_until(lambda: not client.get("/jobs?status=accepted,running").json()["jobs"], 60, "rest")
    plain = client.get(path)
    slashed = client.get(path.rstrip("/") + "/", follow_redirects=False)

    assert slashed.content == plain.content
    assert client.request("GET", path, content=b"{}").content == plain.content
    assert client.head(path).headers["content-length"] == plain.headers["content-length"]
    assert "GET" in client.options(path).headers["allow"]


def test_line_12_scripts_may_read_what_they_need(client):
    answer = client.execute("results", {}, prefer="respond-async", origin="https://maps.example")
    exposed = {name.strip().lower() for name in answer.headers["access-control-expose-headers"].split(",")}

    assert answer.headers["access-control-allow-origin"] == "*"
    assert {"location", "link", "preference-applied"} <= exposed


def test_line_13_all_processes_are_listed_up_to_a_generous_number(client):
    assert DEFAULT_LIMIT >= 100
    listed = client.get("/processes").json()
    page = client.get("/processes?limit=2").json()

    assert not links(listed, "next")
    assert len(listed["processes"]) > 2
    assert links(page, "next")


def test_line_14_jobs_are_accepted_and_told_of_while_every_slot_is_taken(client):
    waiting = [
        client.execute("echo", WAITING, prefer="respond-async").headers["location"] for _ in range(SLOTS)
    ]
    try:
        accepted = client.post(
            "/processes/echo/execution", json=WAITING, headers={"prefer": "respond-async"}, timeout=5
        )
        waiting.append(accepted.headers["location"])
        status = client.get(waiting[-1], timeout=5).json()
    finally:
        for url in waiting:
            client.delete(url)

    assert accepted.status_code == 201
    assert status["status"] == "accepted"


PROBLEMS = [
    ("GET", "/nothing", {}, 404),
    ("GET", "/processes/nothing", {}, 404),
    ("PUT", "/processes", {"json": {}}, 405),
    ("GET", "/jobs", {"headers": {"accept": "image/png"}}, 406),
    ("POST", "/processes/echo/execution", {"content": b" " * (MAX_BODY_BYTES + 1)}, 413),
    ("POST", "/processes/echo/execution", {"content": b"x", "headers": {"content-type": "text/plain"}}, 415),
    ("POST", "/processes/refuse/execution", {"json": {"inputs": {"status": 422}}}, 422),
    ("POST", "/processes/broken/execution", {"json": {}}, 500),
]


@pytest.mark.parametrize("accept", ["*/*", JSON], ids=["any", "json"])
@pytest.mark.parametrize(
    ("method", "path", "sent", "status"), PROBLEMS, ids=[str(row[3]) for row in PROBLEMS]
)
def test_line_15_errors_are_problems_for_people(client, method, path, sent, status, accept):
    headers = {"content-type": JSON, "accept": accept} | sent.get("headers", {})
    answer = client.request(method, path, **{**sent, "headers": headers})
    problem = answer.json()

    assert (answer.status_code, problem["status"]) == (status, status)
    assert answer.headers["content-type"] == (JSON if headers["accept"] == JSON else PROBLEM)
    assert problem["type"]
    assert problem["title"]
    assert len(problem["detail"]) > 10
    assert "secret" not in answer.text


@pytest.mark.parametrize("body", [{"inputs": {"message": "x"}}, WAITING], ids=["finished", "running"])
def test_line_16_a_job_is_dismissed_with_its_status(client, body):
    url = client.execute("echo", body, prefer="respond-async").headers["location"]
    if body is not WAITING:
        client.await_end(url)
    answer = client.delete(url)

    assert (answer.status_code, answer.json()["status"]) == (200, "dismissed")
    assert answer.json()["jobID"] == url.rsplit("/", 1)[1]


VALUES = {
    "text": ("teststring", "text/plain", b"teststring"),
    "number": (1.5, "text/plain", b"1.5"),
    "truth": (True, "text/plain", b"true"),
    "numbers": ([1, 2], JSON, b"[1,2]"),
    "table": ({"value": {"a": 1}, "mediaType": JSON}, JSON, b'{"a":1}'),
    "image": (
        {"value": base64.b64encode(b"\x89PNG").decode(), "mediaType": "image/png", "encoding": "base64"},
        "image/png",
        b"\x89PNG",
    ),
    "images": (["iQ==", "UE5H"], JSON, b'["iQ==","UE5H"]'),
    "named": (
        {"value": {"name": "a", "image": "iVBORw=="}, "mediaType": JSON},
        JSON,
        b'{"name":"a","image":"iVBORw=="}',
    ),
    "point": (
        {"value": {"type": "Point", "coordinates": [1, 2]}, "mediaType": "application/geo+json"},
        "application/geo+json",
        b'{"type":"Point","coordinates":[1,2]}',
    ),
    "box": (
        {"bbox": [1, 2, 3, 4], "crs": "http://www.opengis.net/def/crs/OGC/1.3/CRS84"},
        JSON,
        b'{"bbox":[1,2,3,4],"crs":"http://www.opengis.net/def/crs/OGC/1.3/CRS84"}',
    ),
}


def same(media_type: str, given: bytes, expected: bytes) -> bool:
    return json.loads(given) == json.loads(expected) if "json" in media_type else given == expected


@pytest.mark.parametrize("name", VALUES)
def test_line_17_a_result_survives_in_every_form(client, name):
    inline, media_type, content = VALUES[name]
    document = client.execute("results", {"outputs": {name: VALUE}, "response": "document"}).json()
    raw = client.execute("results", {"outputs": {name: VALUE}, "response": "raw"})
    linked = client.execute("results", {"outputs": {name: REFERENCE}, "response": "document"}).json()[name]
    referenced = client.get(linked["href"])
    several = parts_of(
        client.execute("results", {"outputs": {name: VALUE, "number": VALUE}, "response": "raw"})
    )
    direct = client.get(client.finished_job("results", {"outputs": {name: {}}}) + f"/results/{name}")

    assert document == {name: inline}
    assert linked["type"] == media_type
    for given in (raw, referenced, direct):
        assert given.headers["content-type"].partition(";")[0] == media_type
        assert same(media_type, given.content, content)
    if name != "number":
        assert several[name][0] == media_type
        assert same(media_type, several[name][2], content)


def test_line_18_simple_inputs_have_schemas_that_forms_understand(client):
    inputs = client.get("/processes/widgets").json()["inputs"]
    schemas = {name: told["schema"] for name, told in inputs.items()}

    assert schemas["choice"] == {"type": "string", "enum": ["a", "b"], "default": "a"}
    assert schemas["share"] == {"type": "number", "minimum": 0, "maximum": 1, "default": 0.5}
    assert schemas["count"] == {"type": "integer", "minimum": 1, "default": 3}
    assert schemas["name"] == {"type": "string", "pattern": "[a-z]+", "maxLength": 8, "default": "abc"}
    assert schemas["exact"] == {"type": "boolean", "default": True}
    assert schemas["steps"] == {"type": "array", "items": {"type": "number"}, "minItems": 1, "default": [1.0]}
    assert all(told["minOccurs"] == 0 for told in inputs.values())


def test_every_line_has_its_test(shared: Path):
    text = (shared / "clients.md").read_text("utf-8")
    numbers = {line.split(".")[0] for line in text.splitlines() if line.split(".")[0].isdigit()}
    tested = {name.split("_")[2] for name in globals() if name.startswith("test_line_")}

    assert {int(number) for number in numbers} == {int(number) for number in tested}
