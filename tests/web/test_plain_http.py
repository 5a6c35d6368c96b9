"""Requests that are read in few steps are answered as hypercorn answers them by h11, byte for byte."""

import asyncio
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest
from fastprocesses_host import hypercorn_server
from fastprocesses_host.hypercorn_server import Connection, Server
from fastprocesses_host.plain_http import NotPlainError, PlainProtocol, plain_fields
from fastprocesses_host.web.body import WHOLE_BODY, BodyLimits
from hypercorn.config import Config
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import ASGIApp, Receive, Scope, Send

KEEP_ALIVE_REQUESTS = 4


class Answer(NamedTuple):
    """What the application says to one request."""

    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ((b"content-length", b"2"),)
    parts: tuple[bytes, ...] = (b"ok",)
    reads_body: bool = True


class Application:
    """Answers one request after the other as it was told, and notes what they were."""

    def __init__(self, answers: Sequence[Answer]) -> None:
        self.answers: Iterator[Answer] = iter(answers)
        self.asked: list[Any] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer, body = next(self.answers, Answer()), b""
        noted = [scope[each] for each in ("method", "raw_path", "query_string", "http_version", "client")]
        noted.append(list(scope["headers"]))
        self.asked.append(noted)
        more = answer.reads_body
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        noted.append(body)
        await send({"type": "http.response.start", "status": answer.status, "headers": list(answer.headers)})
        for part in answer.parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


class Line:
    """The far end of a connection, in memory."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.is_closed = self.is_paused = False
        self.connection: Connection | None = None

    def write(self, data: bytes) -> None:
        if not self.is_closed:
            self.written += data

    def write_eof(self) -> None:
        pass

    def close(self) -> None:
        if not self.is_closed and self.connection is not None:
            self.is_closed = True
            asyncio.get_running_loop().call_soon(self.connection.connection_lost, None)

    abort = close

    def is_closing(self) -> bool:
        return self.is_closed

    def get_extra_info(self, name: str) -> Any:
        return self if name == "socket" else ("127.0.0.1", 1)

    family = 2

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False


class Said(NamedTuple):
    """What came of a conversation."""

    written: bytes
    is_closed: bool
    asked: list[Any]


async def turns() -> None:
    """Let everything happen that needs nothing from outside."""
    for _ in range(60):
        await asyncio.sleep(0)


async def conversation(pieces: Sequence[bytes], answers: Sequence[Answer], *, ends: bool) -> Said:
    config = Config()
    config.include_date_header = config.include_server_header = False
    config.keep_alive_max_requests = KEEP_ALIVE_REQUESTS
    config.errorlog = None
    app, line = Application(answers), Line()
    server = Server(app, config)
    line.connection = connection = Connection(server)
    connection.connection_made(line)  # type: ignore[arg-type]
    await turns()
    for piece in pieces:
        if not line.is_closed:
            connection.data_received(piece)
            await turns()
    is_closed = line.is_closed
    if ends and not is_closed:
        connection.eof_received()
        await turns()
        is_closed = line.is_closed
    line.close()
    await asyncio.wait(list(server.connections.values()) or [asyncio.create_task(turns())])
    return Said(bytes(line.written), is_closed, app.asked)


class NeverPlain(PlainProtocol):
    """Leaves every connection to hypercorn's protocol."""

    async def answer(self, data: bytes) -> bytes | None:
        raise NotPlainError(data)


def by_ours(pieces: Sequence[bytes], answers: Sequence[Answer] = (), *, ends: bool = False) -> Said:
    return asyncio.run(conversation(pieces, answers, ends=ends))


def by_hypercorn(pieces: Sequence[bytes], answers: Sequence[Answer] = (), *, ends: bool = False) -> Said:
    with patch.object(hypercorn_server, "PlainProtocol", NeverPlain):
        return by_ours(pieces, answers, ends=ends)


FIELD_LINES = [
    b"Host: here",
    b"Host: here",
    b"Host: here",
    b"host:here",
    b"Host:",
    b"Accept: */*",
    b"Accept: text/html",
    b"X-Empty:",
    b"X-Spaces: \t a  b\t ",
    b"X-Latin: \xe9",
    b"X-Null: \x00",
    b"X-Return: a\rb",
    b"X-Vertical: \x0b",
    b"X-Delete: \x7f",
    b"Bad Name: x",
    b"Bad-End : x",
    b": no name",
    b"no colon",
    b" folded: yes",
    b"Content-Length: 5",
    b"Content-Length: 5",
    b"Content-Length: 0",
    b"content-length: 05",
    b"Content-Length: 5, 5",
    b"Content-Length: +5",
    b"Content-Length: -1",
    b"Content-Length: 5\t",
    b"Content-Length: 123456789012345678901",
    b"Content-Length: \xb2",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip",
    b"Connection: keep-alive",
    b"Connection: Keep-Alive",
    b"Connection: close",
    b"Connection: keep-alive, TE",
    b"Keep-Alive: timeout=5",
    b"Expect: 100-continue",
    b"Upgrade: websocket",
    b"Upgrade: h2c",
    b"TE: trailers",
    b"Cookie: a=b; c=d",
]
STARTS = [
    b"GET / HTTP/1.1",
    b"GET / HTTP/1.1",
    b"POST /processes/echo/execution?x=1%20y HTTP/1.1",
    b"POST /a HTTP/1.1",
    b"PUT /%C3%A9 HTTP/1.1",
    b"HEAD / HTTP/1.1",
    b"DELETE /jobs/1 HTTP/1.1",
    b"OPTIONS * HTTP/1.1",
    b"GET http://other/x?y HTTP/1.1",
    b"GET / HTTP/1.0",
    b"GET / HTTP/2.0",
    b"GET /\xc3\xa9 HTTP/1.1",
    b"GET /a b HTTP/1.1",
    b"GET  / HTTP/1.1",
    b"get / HTTP/1.1",
    b"BREW / HTTP/1.1",
    b"GET / HTTP/1.1 ",
    b"GET /\x00 HTTP/1.1",
    b"GET /",
    b"",
]
BODIES = [
    b"",
    b"",
    b"12345",
    b"1234",
    b"123456",
    b"5\r\n12345\r\n0\r\n\r\n",
    b"5;x=y\r\n12345\r\n0\r\nA: b\r\n\r\n",
    b"zz\r\n",
]
ANSWERS = [
    Answer(),
    Answer(reads_body=False),
    Answer(404, ((b"content-length", b"0"), (b"x-a", b"b")), ()),
    Answer(200, ((b"content-type", b"text/plain"),), (b"a", b"", b"b" * 300)),
    Answer(204, (), ()),
    Answer(304, ((b"etag", b'"x"'),), ()),
    Answer(200, ((b"content-length", b"2"), (b"connection", b"close")), (b"ok",)),
    Answer(200, ((b"content-length", b"3"),), (b"ok",)),
    Answer(200, ((b"content-length", b"1"),), (b"o", b"k")),
    Answer(200, ((b"content-length", b"2"), (b"x-split", b"a\r\nb: c")), (b"ok",)),
    Answer(500, (), ()),
    Answer(404, ((b"content-length", b"0"),), (b"",), False),
    Answer(304, ((b"content-length", b"7"),), (b"1234567",), False),
    Answer(200, ((b"Set-Cookie", b"%s %d"), (b"set-cookie", b"b"), (b"X%d", b"")), (b"ok",)),
]
plain_lines = st.lists(
    st.sampled_from([*FIELD_LINES[5:9], b"Connection: keep-alive"]), max_size=3, unique=True
)
plain_request = st.builds(
    lambda start, lines, body: (
        b"\r\n".join([start, b"Host: here", *lines, *([b"Content-Length: %d" % len(body)] if body else [])])
        + b"\r\n\r\n"
        + body
    ),
    st.sampled_from(STARTS[:9]),
    plain_lines,
    st.sampled_from([b"", b"12345", b"x" * 400]),
)
odd_request = st.builds(
    lambda start, lines, end, body: end.join([start, *lines, b"", b""]) + body,
    st.sampled_from(STARTS),
    st.lists(st.sampled_from(FIELD_LINES), max_size=5),
    st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n"]),
    st.sampled_from(BODIES),
)


@st.composite
def cut(draw: st.DrawFn) -> list[bytes]:
    """Requests one after the other, in pieces."""
    said = b"".join(
        draw(st.lists(st.one_of(plain_request, plain_request, odd_request), min_size=1, max_size=4))
    )
    cuts = sorted(draw(st.lists(st.integers(0, len(said)), max_size=4)))
    return [
        piece for start, end in zip([0, *cuts], [*cuts, len(said)], strict=True) if (piece := said[start:end])
    ]


@settings(max_examples=300)
@given(pieces=cut(), answers=st.lists(st.sampled_from(ANSWERS), max_size=4), ends=st.booleans())
def test_a_conversation_goes_as_by_hypercorn_alone(
    pieces: list[bytes], answers: list[Answer], ends: bool
) -> None:
    assert by_ours(pieces, answers, ends=ends) == by_hypercorn(pieces, answers, ends=ends)


def test_every_head_leaves_at_once_where_nobody_knows_when_the_body_comes() -> None:
    async def scenario() -> None:
        may_go_on = asyncio.Event()

        async def stream(scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await may_go_on.wait()
            await send({"type": "http.response.body", "body": b""})

        line = Line()
        line.connection = Connection(Server(stream, Config()))
        line.connection.connection_made(line)  # type: ignore[arg-type]
        line.connection.data_received(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        await turns()
        assert line.written.endswith(b"\r\n\r\n")
        may_go_on.set()
        await turns()
        assert line.written.endswith(b"\r\n\r\n0\r\n\r\n")

    asyncio.run(scenario())


async def connected(app: ASGIApp) -> tuple[Server, Connection, Line]:
    line, server = Line(), Server(app, Config())
    line.connection = connection = Connection(server)
    connection.connection_made(line)  # type: ignore[arg-type]
    await turns()
    return server, connection, line


@pytest.mark.parametrize("lines", [b"", b"Transfer-Encoding: chunked\r\n"], ids=["plain", "by hypercorn"])
def test_an_answer_is_of_its_own_time(lines: bytes) -> None:
    async def scenario() -> None:
        may_answer = asyncio.Event()

        async def slow(scope: Scope, receive: Receive, send: Send) -> None:
            await may_answer.wait()
            await Application([Answer(reads_body=False)])(scope, receive, send)

        server, connection, line = await connected(slow)
        body = b"0\r\n\r\n" if lines else b""
        connection.data_received(b"GET / HTTP/1.1\r\nHost: here\r\n" + lines + b"\r\n" + body)
        await turns()
        server.config.keep_alive_max_requests = 0
        server.config.alt_svc_headers = ["later"]
        may_answer.set()
        await turns()
        assert b"alt-svc: later\r\n" in line.written
        assert b"connection: close\r\n" in line.written.lower()
        assert line.is_closed

    asyncio.run(scenario())


def test_what_is_there_of_a_body_is_told_when_it_is_all() -> None:
    async def scenario() -> None:
        told: list[Any] = []

        async def noting(scope: Scope, receive: Receive, send: Send) -> None:
            told.append(scope["extensions"])
            await Application([Answer()])(scope, receive, send)

        _, connection, _ = await connected(noting)
        head = b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: %d\r\n\r\n"
        for piece in (head % 0, head % 4 + b"abcd", head % 4 + b"ab", b"cd"):
            connection.data_received(piece)
            await turns()
        assert told == [{WHOLE_BODY: {"bytes": 0}}, {WHOLE_BODY: {"bytes": 4}}, {}]

    asyncio.run(scenario())


def test_nothing_is_begun_for_a_client_that_has_gone() -> None:
    async def scenario() -> None:
        begun, may_go_on = 0, asyncio.Event()

        async def stream(scope: Scope, receive: Receive, send: Send) -> None:
            nonlocal begun
            begun += 1
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await may_go_on.wait()
            await send({"type": "http.response.body", "body": b"a", "more_body": True})

        server, connection, line = await connected(stream)
        connection.data_received(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n" * 2)
        await turns()
        line.close()
        await turns()
        may_go_on.set()
        await turns()
        assert (begun, server.connections) == (1, {})

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "leaves", [Connection.eof_received, lambda connection: connection.connection_lost(None)]
)
def test_all_who_wait_for_the_client_to_leave_are_told(leaves: Callable[[Connection], object]) -> None:
    async def scenario() -> None:
        told: list[str] = []

        async def see_off(receive: Receive) -> None:
            told.append((await receive())["type"])

        async def waiting(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            given_up = asyncio.create_task(see_off(receive))
            await turns()
            given_up.cancel()
            await asyncio.gather(see_off(receive), see_off(receive))
            await see_off(receive)

        server, connection, line = await connected(waiting)
        connection.data_received(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        for _ in range(3):
            await turns()
        assert told == []
        leaves(connection)
        await turns()
        assert told == ["http.disconnect"] * 3
        line.close()
        await turns()
        assert not server.connections

    asyncio.run(scenario())


def test_who_listens_to_a_client_that_has_its_answer_is_told_to_stop() -> None:
    async def scenario() -> None:
        told: list[str] = []

        async def listening(scope: Scope, receive: Receive, send: Send) -> None:
            async def listen() -> None:
                while (await receive())["type"] != "http.disconnect":
                    pass
                told.append("over")

            before = asyncio.create_task(listen())
            await turns()
            await Application([Answer(reads_body=False)])(scope, receive, send)
            await before
            await listen()

        _, connection, line = await connected(listening)
        connection.data_received(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        for _ in range(3):
            await turns()
        assert told == ["over", "over"]
        assert not line.is_closed

    asyncio.run(scenario())


def test_a_client_that_sent_its_next_request_before_it_left_is_still_answered() -> None:
    async def scenario() -> None:
        may_go_on, told = asyncio.Event(), []

        async def patient(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            leaving = asyncio.create_task(receive())  # type: ignore[arg-type]
            await may_go_on.wait()
            told.append(leaving.done())
            leaving.cancel()
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        _, connection, line = await connected(patient)
        connection.data_received(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n" * 2)
        connection.eof_received()
        await turns()
        may_go_on.set()
        await turns()
        assert told[0] is False
        assert line.written.count(b"HTTP/1.1 204 ") == 2

    asyncio.run(scenario())


def test_a_client_that_is_lost_is_not_listened_to_for_what_it_had_still_asked() -> None:
    async def scenario() -> None:
        told: list[str] = []

        async def listening(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            told.append((await receive())["type"])

        server, connection, line = await connected(listening)
        connection.data_received(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n" * 2)
        connection.data_received(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        await turns()
        assert told == []
        line.close()
        await turns()
        assert told == ["http.disconnect"]
        assert not server.connections

    asyncio.run(scenario())


def test_an_answer_without_a_body_waits_for_no_body_of_the_request() -> None:
    async def scenario() -> None:
        _, connection, line = await connected(
            BodyLimits(Application([Answer(204, (), (b"",), False)]), max_bytes=9)
        )
        connection.data_received(b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\n\r\n1")
        await turns()
        assert line.written.startswith(b"HTTP/1.1 204 ")
        connection.data_received(b"2345")
        await turns()
        assert not line.is_closed

    asyncio.run(scenario())


def test_an_application_that_awaits_what_was_cancelled_has_failed() -> None:
    async def cancelled(scope: Scope, receive: Receive, send: Send) -> None:
        found = asyncio.get_running_loop().create_future()
        found.cancel()
        await found

    async def scenario() -> bytes:
        server, connection, line = await connected(cancelled)
        server.config.include_date_header = server.config.include_server_header = False
        connection.data_received(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        await turns()
        assert line.is_closed
        return bytes(line.written)

    ours = asyncio.run(scenario())
    assert ours.startswith(b"HTTP/1.1 500 ")
    with patch.object(hypercorn_server, "PlainProtocol", NeverPlain):
        assert asyncio.run(scenario()) == ours


def test_others_have_their_turn_between_requests_that_came_together() -> None:
    async def scenario() -> None:
        app = Application([])
        _, connection, _ = await connected(app)
        connection.data_received(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n" * 30)
        for _ in range(10):
            await asyncio.sleep(0)
        assert 0 < len(app.asked) < 30
        await turns()
        assert len(app.asked) == 30

    asyncio.run(scenario())


def test_a_body_that_nobody_takes_yet_has_its_client_wait() -> None:
    async def scenario() -> None:
        may_read, lengths = asyncio.Event(), []

        async def slow(scope: Scope, receive: Receive, send: Send) -> None:
            await may_read.wait()
            more = True
            while more:
                message = await receive()
                lengths.append(len(message["body"]))
                more = message["more_body"]
            await Application([Answer(reads_body=False)])(scope, receive, send)

        _, connection, line = await connected(slow)
        body = b"x" * 200_000
        connection.data_received(b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 200000\r\n\r\n")
        await turns()
        connection.data_received(body[:150_000])
        await turns()
        assert line.is_paused
        may_read.set()
        await turns()
        assert not line.is_paused
        connection.data_received(body[150_000:])
        await turns()
        assert (sum(lengths), max(lengths)) == (200_000, 65_536)
        assert line.written.endswith(b"ok")

    asyncio.run(scenario())


@pytest.mark.parametrize("lines", [b"", b"Connection: close\r\n"], ids=["plain", "by hypercorn"])
def test_a_server_that_ends_waits_for_no_client_that_reads_nothing(lines: bytes) -> None:
    async def scenario() -> None:
        begun, ending = asyncio.Event(), asyncio.Event()

        async def stream(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                (connection,) = server.connections
                connection.pause_writing()
                begun.set()
                await send({"type": "http.response.start", "status": 200, "headers": []})

        async def until() -> float:
            await ending.wait()
            return 0.0

        server, listener = Server(stream, Config()), socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            tasks.create_task(server.serve(listener, until))
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\nHost: here\r\n" + lines + b"\r\n")
            await begun.wait()
            ending.set()
        writer.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("lines", [b"", b"Connection: close\r\n"], ids=["plain", "by hypercorn"])
def test_a_head_is_refused_when_it_is_too_large_however_fast_it_comes(lines: bytes) -> None:
    async def scenario() -> None:
        app = Application([])
        _, connection, line = await connected(app)
        connection.data_received(
            b"GET / HTTP/1.1\r\nHost: here\r\n" + lines + b"X: " + b"x" * 70_000 + b"\r\n\r\n"
        )
        await turns()
        assert line.written.startswith(b"HTTP/1.1 431 ")
        assert not app.asked

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "field",
    [
        (b"x", b"a\nb"),
        (b"x", b"a\rb"),
        (b"x", b"a\r\nSet-Cookie: b"),
        (b"x", b"a\0"),
        (b"x", b"a\vb"),
        (b"x", b"a\fb"),
        (b"x\ny", b"a"),
        (b"x y", b"a"),
        (b"x:", b"a"),
        (b"content-length", b"-2"),
        (b"content-length", b"two"),
        (b"content-length", b"3"),
        (b"transfer-encoding", b"gzip"),
    ],
)
@pytest.mark.parametrize("start", [b"GET", b"HEAD"])
def test_an_answer_that_is_not_one_of_http_is_not_sent(field: tuple[bytes, bytes], start: bytes) -> None:
    request = [start + b" / HTTP/1.1\r\nHost: here\r\n\r\n"]
    answers = [Answer(headers=((b"content-length", b"2"), field))]
    said = by_ours(request, answers)
    assert said.written.startswith(b"HTTP/1.1 500 ")
    assert said == by_hypercorn(request, answers)


@pytest.mark.parametrize(
    "lines",
    [
        b"Host: here\r\nAccept: */*\r\nUser-Agent: curl/8.5.0\r\n",
        (
            b"Host: here:5000\r\nUser-Agent: python-requests/2.32\r\nAccept-Encoding: gzip, deflate\r\nAccept: */*\r\n"
            b"Connection: keep-alive\r\nContent-Length: 52\r\nContent-Type: application/json\r\n"
        ),
        b"Host: here\r\nUser-Agent: Mozilla/5.0 QGIS/34000\r\nConnection: Keep-Alive\r\nAccept-Language: en,*\r\n",
        (
            b'Host: here\r\nsec-ch-ua: "Chromium";v="130", "Not?A_Brand";v="99"\r\nUpgrade-Insecure-Requests: 1\r\n'
            b"Accept: text/html,application/xhtml+xml;q=0.9\r\nCookie: a=b\r\nConnection: keep-alive\r\n"
        ),
    ],
)
def test_what_common_clients_say_is_plain(lines: bytes) -> None:
    assert plain_fields(lines)
