"""Execution modes and the shapes of results, as clients of both versions ask for them."""

import base64
import email
import http.client
import json
from contextlib import closing
from email.policy import HTTP
from pathlib import Path

import httpx2
import pytest

from tests.support import content_of, files_under
from tests.web.conftest import SLOTS

JSON, GEOJSON, TEXT, PNG = (
    "application/json",
    "application/geo+json",
    "text/plain; charset=utf-8",
    "image/png",
)
VALUE, REFERENCE = {"transmissionMode": "value"}, {"transmissionMode": "reference"}
IMAGE = b"\x89" * 4


def parts_of(answer) -> dict[str, tuple[str, str, bytes]]:
    """Content-ID → media type, Content-Location and body of each part (RFC 2387)."""
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + answer.content, policy=HTTP)
    assert not message.defects
    return {
        part["Content-ID"]: (
            part.get_content_type(),
            part["Content-Location"] or "",
            part.get_payload(decode=True),
        )
        for part in message.iter_parts()
    }


@pytest.mark.parametrize(
    ("process_id", "prefer", "status", "applied"),
    [
        ("only-sync", "", 200, None),
        ("only-sync", "respond-async", 200, None),
        ("only-sync", "wait=5", 200, None),
        ("only-sync", "respond-async, wait=5", 200, None),
        ("only-async", "", 201, None),
        ("only-async", "respond-async", 201, "respond-async"),
        ("only-async", "wait=5", 201, None),
        ("greet", "", 200, None),
        ("greet", "respond-sync", 200, None),
        ("greet", "respond-async", 201, "respond-async"),
        ("greet", "Respond-Async;return=representation", 201, "respond-async"),
        ("greet", "wait=5", 200, "wait=5"),
    ],
)
def test_the_mode_is_what_process_and_preferences_say(client, process_id, prefer, status, applied):
    inputs = {"name": "you"} if process_id == "greet" else {}
    answer = client.execute(process_id, {"inputs": inputs}, **({"prefer": prefer} if prefer else {}))

    assert answer.status_code == status
    assert answer.headers.get("preference-applied") == applied
    assert ("location" in answer.headers) == (status == 201)


def test_a_trailing_blank_does_not_hide_a_preference(running):
    connection = http.client.HTTPConnection(running.url.removeprefix("http://"), timeout=40)
    headers = {"Prefer": "respond-async ", "Content-Type": JSON}
    with closing(connection):
        connection.request("POST", "/processes/greet/execution", b'{"inputs": {"name": "x"}}', headers)
        assert connection.getresponse().status == 201


@pytest.mark.parametrize(
    ("headers", "applied"),
    [
        ({"prefer": "profile=ogc-results"}, "profile=ogc-results"),
        (
            {"prefer": 'wait=5, profile="http://www.opengis.net/def/profile/OGC/0/ogc-results"'},
            "wait=5, profile=ogc-results",
        ),
        ({"prefer": "profile=unknown", "accept-profile": "ogc-results"}, None),
    ],
)
def test_a_profile_that_is_preferred_and_given_is_told(client, headers, applied):
    answer = client.execute("greet", {"inputs": {"name": "you"}}, **headers)

    assert answer.json() == {"result": "Hello you"}
    assert answer.headers.get("preference-applied") == applied


def test_a_byte_order_mark_before_the_request_is_ignored(client):
    body = '{"inputs": {"name": "Zürich"}}'.encode("utf-8-sig")
    answer = client.post("/processes/greet/execution", content=body, headers={"content-type": JSON})

    assert answer.text == "Hello Zürich"


def test_a_wait_that_runs_out_goes_on_as_a_job(client):
    body = {"inputs": {"message": "x", "pause": 2}}
    answer = client.execute("echo", body, prefer="respond-async, wait=1")

    assert answer.status_code == 201
    assert answer.headers["preference-applied"] == "respond-async, wait=1"
    assert answer.json()["status"] == "running"
    client.delete(answer.headers["location"])


def test_a_client_that_leaves_takes_its_job_with_it(client):
    body = {"inputs": {"message": "x", "pause": 60}}
    for _ in range(SLOTS):
        with pytest.raises(httpx2.ReadTimeout):
            client.post("/processes/echo/execution", json=body, timeout=0.3)

    # Were the slots still taken, this would time out.
    assert client.execute("echo", {"inputs": {"message": "x"}}).status_code == 200


@pytest.mark.parametrize(
    ("process_id", "inputs", "accept", "content_type", "content"),
    [
        ("greet", {"name": "you"}, "*/*", TEXT, b"Hello you"),
        ("greet", {"name": "you"}, "", TEXT, b"Hello you"),
        ("greet", {"name": "you"}, JSON, JSON, b'"Hello you"'),
        ("add", {"a": 1.5}, "*/*", TEXT, b"2.5"),
        ("add", {"a": 1.5}, JSON, JSON, b"2.5"),
        ("only-sync", {}, "*/*", TEXT, b"true"),
        ("picture", {"size": 4}, "*/*", PNG, b"\0\1\2\3"),
        ("picture", {"size": 4}, "image/*", PNG, b"\0\1\2\3"),
        ("markup", {}, "text/html", "text/html; charset=utf-8", b"<p>x</p>"),
        ("point", {"x": 1.5, "y": 0.5}, "*/*", GEOJSON, b'{"type":"Point","coordinates":[1.5,0.5]}'),
    ],
)
def test_one_output_is_its_value_in_its_media_type(client, process_id, inputs, accept, content_type, content):
    answer = client.execute(process_id, {"inputs": inputs}, accept=accept)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == content_type
    assert answer.content == content
    assert answer.headers["content-length"] == str(len(content))
    assert "link" not in answer.headers


def test_one_binary_output_for_a_client_of_json_alone_is_a_document(client):
    answer = client.execute("picture", {"inputs": {"size": 4}}, accept=JSON)

    assert answer.headers["content-type"] == JSON
    value = answer.json()["result"]
    assert (base64.b64decode(value["value"]), value["mediaType"], value["encoding"]) == (
        b"\0\1\2\3",
        PNG,
        "base64",
    )


def test_one_output_in_no_accepted_type_is_406_before_anything_runs(client):
    answer = client.execute("picture", {"inputs": {}}, accept="image/tiff")

    assert answer.status_code == 406
    assert answer.json()["available"] == [PNG]


def check_document(document) -> None:
    assert document["text"] == "teststring"
    assert document["number"] == 1.5
    assert document["table"] == {"value": {"a": 1}, "mediaType": JSON}
    assert base64.b64decode(document["image"]["value"]) == IMAGE


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"response": "document"},
        {"outputs": {"text": {}, "number": {}, "table": {}, "image": {}}},
        {"outputs": dict.fromkeys(("text", "number", "table", "image"), VALUE)},
    ],
    ids=["nothing said", "document", "selected", "1.0 with Accept: JSON"],
)
def test_several_outputs_are_a_results_document(client, body):
    answer = client.execute("several", body, accept=JSON)

    assert answer.headers["content-type"] == JSON
    check_document(answer.json())


def test_a_document_of_version_two_links_to_its_profile_and_one_of_version_one_has_no_link(client):
    modern = client.execute("several", {})
    strict = client.execute("several", {"response": "document"})

    assert modern.headers["link"] == '<https://www.opengis.net/def/profile/OGC/0/ogc-results>; rel="profile"'
    assert "link" not in strict.headers


@pytest.mark.parametrize(
    ("body", "accept"),
    [
        ({"response": "raw"}, JSON),
        ({}, "multipart/related"),
        ({"outputs": dict.fromkeys(("text", "number", "table", "image"), VALUE)}, "*/*"),
    ],
)
def test_several_outputs_are_parts_of_a_multipart(client, body, accept):
    answer = client.execute("several", body, accept=accept)
    parts = parts_of(answer)

    assert answer.headers["content-type"].startswith("multipart/related; boundary=")
    assert answer.headers["content-length"] == str(len(answer.content))
    assert set(parts) == {"text", "number", "table", "image"}
    assert parts["image"] == (PNG, "", IMAGE)
    assert json.loads(parts["table"][2]) == {"a": 1}
    assert parts["text"][2] in (b"teststring", b'"teststring"')
    assert "link" not in answer.headers


def test_the_string_part_of_a_raw_multipart_is_plain_text(client):
    parts = parts_of(client.execute("several", {"response": "raw"}, accept="*/*"))
    assert parts["text"] == ("text/plain", "", b"teststring")


def test_no_outputs_are_no_content(client):
    answer = client.execute("several", {"outputs": {}})
    job = client.finished_job("several", {"outputs": {}})

    assert (answer.status_code, answer.content) == (204, b"")
    assert client.get(job + "/results").json()["type"].endswith("/result-not-available")


def test_outputs_by_reference_are_links_that_work(client):
    answer = client.execute(
        "several", {"outputs": {"image": REFERENCE, "text": REFERENCE}, "response": "raw"}
    )
    links = {told["rel"]: told["url"] for told in answer.links.values()}

    assert (answer.status_code, answer.content) == (204, b"")
    assert client.get(links["image"]).content == IMAGE
    assert client.get(links["text"]).text == "teststring"
    assert answer.links["text"]["type"] == "text/plain"


@pytest.mark.parametrize(
    ("output_id", "media_type", "content"),
    [("image", PNG, IMAGE), ("text", "text/plain", b"teststring"), ("table", JSON, b'{"a":1}')],
)
def test_an_output_by_reference_is_a_link_with_type_and_size_of_what_is_there(
    client, output_id, media_type, content
):
    body = {"outputs": {output_id: REFERENCE, "number": VALUE}, "response": "document"}
    document = client.execute("several", body).json()
    told = document[output_id]
    head, got = client.head(told["href"]), client.get(told["href"])

    assert document["number"] == 1.5
    assert (told["type"], told["length"]) == (media_type, len(content))
    assert head.headers["content-type"].partition(";")[0] == media_type
    assert head.headers["content-length"] == str(len(content))
    assert got.content == content


def test_mixed_raw_parts_say_where_the_referenced_one_is(client):
    answer = client.execute("several", {"outputs": {"image": REFERENCE, "text": VALUE}, "response": "raw"})
    parts = parts_of(answer)

    assert parts["text"] == ("text/plain", "", b"teststring")
    assert parts["image"][2] == b""
    assert client.get(parts["image"][1]).content == IMAGE


def test_the_results_of_a_job_have_the_shape_its_request_asked_for(client):
    document = client.get(client.finished_job("several", {}) + "/results")
    multipart = client.get(client.finished_job("several", {"response": "raw"}) + "/results")
    one = client.get(client.finished_job("greet", {"inputs": {"name": "you"}}) + "/results")
    raw = client.get(
        client.finished_job("greet", {"inputs": {"name": "you"}, "response": "raw"}) + "/results"
    )

    check_document(document.json())
    assert set(parts_of(multipart)) == {"text", "number", "table", "image"}
    assert one.json() == {"result": "Hello you"}
    assert (raw.headers["content-type"], raw.text) == (TEXT, "Hello you")


def test_a_request_for_results_may_ask_for_another_shape(client):
    url = client.finished_job("several", {}) + "/results"

    assert set(parts_of(client.get(url, headers={"accept": "multipart/related"}))) == {
        "text",
        "number",
        "table",
        "image",
    }
    check_document(client.get(url + "?f=json", headers={"accept": "multipart/related"}).json())
    assert set(client.get(url + "?outputs=number,text").json()) == {"number", "text"}
    assert client.get(url + "?outputs=nothing").json()["type"].endswith("/no-such-output")
    assert client.get(url, headers={"accept": "image/png"}).status_code == 406
    assert client.get(url + "?f=html").headers["content-type"] == "text/html; charset=utf-8"


def test_one_output_of_a_job_is_its_value(client):
    url = client.finished_job("several", {"outputs": {"text": {}, "image": {}}}) + "/results"
    text, quoted, image = (
        client.get(url + "/text"),
        client.get(url + "/text", headers={"accept": JSON}),
        client.get(url + "/image"),
    )

    assert (text.headers["content-type"], text.text) == (TEXT, "teststring")
    assert (quoted.headers["content-type"], quoted.json()) == (JSON, "teststring")
    assert (image.headers["content-type"], image.content) == (PNG, IMAGE)
    assert client.head(url + "/image").headers["content-length"] == "4"
    assert client.get(url + "/image", headers={"accept": "image/tiff"}).status_code == 406
    assert client.get(url + "/number").json()["type"].endswith("/result-not-available")
    assert client.get(url + "/nothing").json()["type"].endswith("/no-such-output")


@pytest.mark.parametrize("size", [65_536, 65_537, 1_000_000])
def test_small_and_large_values_come_whole(client, size):
    direct = client.execute("picture", {"inputs": {"size": size}})
    url = client.finished_job("picture", {"inputs": {"size": size}}) + "/results"
    stored, head = client.get(url + "/result"), client.head(url + "/result")
    expected = bytes(range(256)) * (size // 256) + bytes(range(size % 256))

    assert direct.content == stored.content == expected
    assert direct.headers["content-length"] == head.headers["content-length"] == str(size)


def test_a_large_value_in_a_document_is_a_link_unless_it_is_wanted_inline(client):
    job = client.finished_job("several", {"inputs": {"size": 100_000}}) + "/results"
    linked, inline = client.get(job), client.get(job, headers={"prefer": "return=representation"})

    assert linked.json()["image"]["length"] == 100_000
    assert len(base64.b64decode(inline.json()["image"]["value"])) == 100_000
    assert inline.headers["preference-applied"] == "return=representation"


def test_a_large_value_that_is_gone_is_a_problem_not_half_an_answer(client, running):
    url = client.finished_job("picture", {"inputs": {"size": 1_000_000}}) + "/results/result"
    data = running.wait_for_line("Data").split(maxsplit=1)[1]
    for path in files_under(Path(data) / "values"):
        if len(content_of(path)) == 1_000_000:
            path.unlink()

    answer = client.get(url)
    assert answer.status_code == 404
    assert answer.json()["type"].endswith("/result-not-available")


def test_the_compliance_suites_wrong_value_is_400_as_plain_json(client):
    body = {"inputs": {"message": "x", "text": {"type": "wrong/type"}}, "outputs": {"text": VALUE}}
    answer = client.execute("echo", body, accept=JSON)

    assert (answer.status_code, answer.headers["content-type"]) == (400, JSON)


def test_a_bad_host_header_is_refused_before_anything_is_accepted(client):
    before = [job["jobID"] for job in client.get("/jobs?limit=1").json()["jobs"]]
    answer = client.execute("greet", {"inputs": {"name": "x"}}, prefer="respond-async", host="a b")
    assert answer.status_code == 400
    assert [job["jobID"] for job in client.get("/jobs?limit=1").json()["jobs"]] == before


@pytest.mark.parametrize(
    "media_type", ["text/plain", "TEXT/PLAIN", "text/plain; charset=utf-8", "application/json"]
)
def test_a_format_that_is_offered_is_given(client, media_type):
    body = {"inputs": {"name": "x"}, "outputs": {"result": {"format": {"mediaType": media_type}}}}
    answer = client.execute("greet", body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].split(";")[0] == media_type.lower().split(";")[0]


@pytest.mark.parametrize("media_type", ["text/html", "*/*", "text/plain\r\nX-Evil: 1", "nonsense"])
def test_a_format_that_is_not_offered_is_refused_at_once(client, media_type):
    body = {"inputs": {"name": "x"}, "outputs": {"result": {"format": {"mediaType": media_type}}}}
    answer = client.execute("greet", body, prefer="respond-async")
    assert (answer.status_code, answer.json()["type"]) == (400, "InvalidParameterValue")
