"""Bodies that nobody means well with: each a clear problem, and the service as before."""

import http.client
import json
import socket
from contextlib import closing

import pytest

from tests.web.conftest import MAX_BODY_BYTES

JSON = {"content-type": "application/json"}


def nested(depth: int) -> bytes:
    return b'{"inputs": {"message": ' + b"[" * depth + b"]" * depth + b"}}"


BODIES = {
    "empty": b"",
    "blank": b" \n ",
    "cut off": b'{"inputs": {"message": "x"',
    "trailing": b'{"inputs": {"message": "x"}} {}',
    "no JSON": b"<xml/>",
    "form": b"inputs=message",
    "a string": b'"inputs"',
    "a number": b"1",
    "a list": b'[{"inputs": {}}]',
    "null": b"null",
    "inputs a list": b'{"inputs": ["x"]}',
    "inputs a string": b'{"inputs": "x"}',
    "outputs a list": b'{"inputs": {"message": "x"}, "outputs": ["message"]}',
    "an output a string": b'{"inputs": {"message": "x"}, "outputs": {"message": "x"}}',
    "response unknown": b'{"inputs": {"message": "x"}, "response": "xml"}',
    "transmission unknown": b'{"inputs": {}, "outputs": {"message": {"transmissionMode": "fax"}}}',
    "too deep": nested(201),
    "far too deep": nested(1_000_000),
    "deep objects": b'{"inputs": ' * 5000 + b"1" + b"}" * 5000,
    "deep and cut off": b"[" * 1_000_000,
    "NaN": b'{"inputs": {"message": "x", "mixed": NaN}}',
    "Infinity": b'{"inputs": {"message": "x", "mixed": -Infinity}}',
    "overflow": b'{"inputs": {"message": "x", "mixed": 1e999}}',
    "a lone surrogate": b'{"inputs": {"message": "\\ud800"}}',
    "a lone surrogate as name": b'{"inputs": {"message": "x", "\\udfff": 1}}',
    "a surrogate in bytes": b'{"inputs": {"message": "\xed\xa0\x80"}}',
    "latin-1": '{"inputs": {"message": "Zürich"}}'.encode("latin-1"),
    "utf-16": '{"inputs": {"message": "x"}}'.encode("utf-16"),
    "utf-16 without a mark": '{"inputs": {"message": "x"}}'.encode("utf-16-le"),
    "utf-32": '{"inputs": {"message": "x"}}'.encode("utf-32"),
    "a raw control character": b'{"inputs": {"message": "a\x00b"}}',
    "a huge integer": b'{"inputs": {"message": "x", "pause": ' + b"9" * 100_000 + b"}}",
    "a long integer": b'{"inputs": {"message": "x", "pause": ' + b"9" * 300 + b"}}",
    "a long fraction": b'{"inputs": {"message": "x", "mixed": 0.' + b"1" * 100_000 + b"}}",
    "100,000 unknown inputs": json.dumps({"inputs": {f"k{n}": n for n in range(100_000)}}).encode(),
    "a million elements": b'{"inputs": {"message": [' + b"1," * 1_000_000 + b"1]}}",
    "a reference": b'{"inputs": {"message": {"href": "http://169.254.169.254/latest/meta-data"}}}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_hostile_body_is_a_clear_problem(client, body):
    answer = client.post("/processes/echo/execution", content=body, headers=JSON)

    assert answer.status_code == 400
    assert answer.json()["type"] == "InvalidParameterValue"
    assert answer.json()["detail"]
    assert len(answer.content) < 20_000


ODD_BUT_RIGHT = {
    "unknown members": b'{"inputs": {"message": "x"}, "mode": 1, "process": "p", "queue": null}',
    "100,000 unknown members": json.dumps(
        {"inputs": {"message": "x"}} | {f"k{n}": n for n in range(100_000)}
    ).encode(),
    "equal names": b'{"inputs": {"message": "first"}, "inputs": {"message": "x"}}',
    "brackets in a string": b'{"inputs": {"message": "x"}, "note": "' + b"[" * 1000 + b'"}',
    "as deep as allowed": b'{"inputs": {"message": "x"}, "note": ' + b"[" * 199 + b"]" * 199 + b"}",
    "escapes": b'{"inputs": {"message": "\\u0078"}}',
}


@pytest.mark.parametrize("body", ODD_BUT_RIGHT.values(), ids=ODD_BUT_RIGHT)
def test_an_odd_body_that_is_right_is_executed(client, body):
    answer = client.post("/processes/echo/execution", content=body, headers=JSON)

    assert answer.status_code == 200
    assert answer.json()["message"] == "x"


def test_a_body_that_is_too_large_is_413_however_it_comes(client):
    body = b'{"inputs": {"message": "' + b"x" * MAX_BODY_BYTES + b'"}}'
    declared = client.post("/processes/echo/execution", content=body, headers=JSON)
    chunked = client.post(
        "/processes/echo/execution",
        content=(body[n : n + 65_536] for n in range(0, len(body), 65_536)),
        headers=JSON,
    )

    assert declared.status_code == chunked.status_code == 413
    assert str(MAX_BODY_BYTES) in declared.json()["detail"]


def test_a_large_body_within_the_limit_is_executed(client):
    text = "é" * (MAX_BODY_BYTES // 2 - 1000)
    answer = client.post(
        "/processes/greet/execution",
        content=json.dumps({"inputs": {"name": text}}, ensure_ascii=False).encode(),
        headers=JSON,
    )

    assert answer.status_code == 200
    assert answer.text == f"Hello {text}"


def test_a_body_shorter_than_declared_is_no_request(running, client):
    jobs = client.get("/jobs?limit=1").json()
    host, _, port = running.url.removeprefix("http://").partition(":")
    head = (
        b"POST /processes/echo/execution HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Prefer: respond-async\r\nContent-Length: 100\r\n\r\n"
    )
    with closing(socket.create_connection((host, int(port)), timeout=40)) as connection:
        connection.sendall(head + b'{"inputs": {"message": "x"}}')
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(1000)

    assert not answer.startswith(b"HTTP/1.1 2")
    assert client.get("/jobs?limit=1").json() == jobs


@pytest.mark.parametrize("length", ["-1", "1e3", "0x10", "9" * 30])
def test_a_content_length_that_is_none_does_no_harm(running, length):
    connection = http.client.HTTPConnection(running.url.removeprefix("http://"), timeout=40)
    with closing(connection):
        connection.putrequest("POST", "/processes/echo/execution")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", length)
        connection.endheaders(b"{}")
        assert 400 <= connection.getresponse().status < 500
