"""Answers given again: the same as made anew, byte for byte, and never beyond what is offered now."""

import itertools
from types import SimpleNamespace

import pytest
from fastprocesses_host.app import Service
from fastprocesses_host.catalog import Catalog
from fastprocesses_host.web.render import respond
from fastprocesses_host.web.repeated import RepeatedAnswers, mark_repeatable
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

PATHS = ("/", "/processes", "/processes/", "/processes?limit=2", "/processes/echo", "/api", "/conformance")
ACCEPTED = (None, "application/json", "text/html", "image/png", "text/html;q=0.5, application/json")
CODINGS = (None, "gzip", "zstd, gzip;q=0.5", "identity", "identity;q=0, gzip")
LANGUAGES = (None, "de", "en, de;q=0.5")
HOSTS = (None, "maps.example", "no host at all")
WHOLE_WAY = {"authorization": "Basic bm9ib2R5Og=="}
"""With it nothing is repeated."""


def told(answer):
    headers = {name: value for name, value in answer.headers.items() if name != "date"}
    return answer.status_code, headers, answer.content


def asked(**headers):
    """Give the headers that have a value; the client adds its own where there is none."""
    return {name.replace("_", "-"): value for name, value in headers.items() if value is not None}


@pytest.mark.parametrize("path", PATHS)
def test_what_is_repeated_is_what_would_be_made(client, path):
    for accept, coding in itertools.product(ACCEPTED, CODINGS):
        headers = asked(accept=accept, accept_encoding=coding)
        made = client.get(path, headers=headers | WHOLE_WAY)
        assert told(client.get(path, headers=headers)) == told(made)
        assert told(client.get(path, headers=headers)) == told(made)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("host", HOSTS)
def test_languages_and_hosts_have_answers_of_their_own(client, language, host):
    headers = asked(accept_language=language, host=host)
    for path in PATHS:
        made = client.get(path, headers=headers | WHOLE_WAY)
        assert [told(client.get(path, headers=headers)) for _ in range(2)] == [told(made)] * 2


def test_what_only_some_requests_ask_is_answered_beside_repeated_ones(client):
    for _ in range(2):
        whole = client.get("/processes")
        assert whole.status_code == 200
        assert "access-control-allow-origin" not in whole.headers
        assert client.get("/processes", headers={"origin": "https://a.example"}).headers[
            "access-control-allow-origin"
        ]
        assert client.get("/processes", headers={"if-none-match": whole.headers["etag"]}).status_code == 304
        assert client.get("/processes", headers={"if-none-match": '"other"'}).status_code == 200
        assert client.head("/processes").content == b""
        assert client.options("/processes").status_code == 204
        assert client.request("GET", "/processes", content=b"{}").content == whole.content
        proxied = client.get("/processes", headers={"x-forwarded-host": "maps.example"})
        assert proxied.json()["links"][0]["href"] == "http://maps.example/processes"


def counting(answer, *, mark=True):
    """Make a service of one document that tells how often it was made."""
    made = itertools.count(1)

    async def document(request: Request) -> Response:
        if mark:
            mark_repeatable(request)
        return answer(request, next(made))

    app = Service(routes=[Route("/{name}", document)], middleware=[Middleware(RepeatedAnswers)])
    app.state.host = SimpleNamespace(catalog=Catalog.from_announcements(()))
    return app, TestClient(app)


def as_json(request, number):
    return respond(request, {"made": number})


def test_a_document_is_made_again_when_what_is_offered_changed():
    app, client = counting(as_json)
    assert [client.get("/one").json()["made"] for _ in range(3)] == [1, 1, 1]
    assert client.get("/other").json()["made"] == 2

    app.state.host.catalog = Catalog.from_announcements(())
    assert [client.get(path).json()["made"] for path in ("/one", "/other", "/one", "/other")] == [3, 4, 3, 4]


def test_a_document_that_changed_while_it_was_made_is_not_kept():
    def changing(request, number):
        request.app.state.host.catalog = Catalog.from_announcements(())
        return respond(request, {"made": number})

    _, client = counting(changing)
    assert [client.get("/one").json()["made"] for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("answer", "mark"),
    [
        pytest.param(as_json, False, id="not marked"),
        pytest.param(lambda request, number: respond(request, {}, status=404), True, id="not found"),
        pytest.param(lambda request, number: StreamingResponse(iter([b"a", b"b"])), True, id="streamed"),
        pytest.param(lambda request, number: Response(b"x" * 300_000), True, id="too large"),
    ],
)
def test_other_answers_are_made_each_time(answer, mark):
    made = []

    def noted(request, number):
        made.append(number)
        return answer(request, number)

    _, client = counting(noted, mark=mark)
    first = client.get("/one")
    assert told(client.get("/one")) == told(first) or answer is as_json
    assert made == [1, 2]


class Piece(bytes):
    """Bytes that are counted for as long as anybody has them."""

    count = 0

    def __new__(cls, content):
        cls.count += 1
        return super().__new__(cls, content)

    def __del__(self):
        Piece.count -= 1


def test_a_streamed_answer_is_not_held_on_its_way():
    held = []

    def pieces():
        for number in range(20):
            held.append(Piece.count)
            yield Piece(b"%d" % number)

    _, client = counting(lambda request, number: StreamingResponse(pieces()))
    assert client.get("/one").text == "".join(map(str, range(20)))
    assert max(held) < 5


def test_what_is_kept_is_bounded_and_goes_on_to_be_kept():
    _, client = counting(lambda request, number: Response(b"x" * 200_000, headers={"made": str(number)}))
    for name in range(30):  # more than all that may be kept
        client.get(f"/{name}")

    assert [client.get("/29").headers["made"] for _ in range(2)] == ["30", "30"]
    assert client.get("/0").headers["made"] == "31"
