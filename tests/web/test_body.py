"""Bodies that are too large, too slow, or that nobody reads, over real sockets."""

import asyncio
import gc
import socket
import weakref
from contextlib import closing

import pytest
from fastprocesses_host.ogc.exceptions import OGCException, UnsupportedMediaType
from fastprocesses_host.web.body import WHOLE_BODY, BodyLimits, check_content_type, take_larger_body
from fastprocesses_host.web.problems import Problems, render_problem
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

MAX_BYTES = 100_000


async def count(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


async def ignore(request: Request) -> PlainTextResponse:
    return PlainTextResponse("answered")


def limited(**limits: float) -> Starlette:
    return Starlette(
        routes=[Route("/count", count, methods=["POST"]), Route("/ignore", ignore, methods=["GET", "POST"])],
        exception_handlers={OGCException: render_problem, HTTPException: render_problem},
        middleware=[Middleware(BodyLimits, max_bytes=MAX_BYTES, **limits), Middleware(Problems)],
    )


def exchange(address: tuple[str, int], *parts: bytes) -> bytes:
    """Send the parts of a request and read the answer until the server closes."""
    with closing(socket.create_connection(address, timeout=40)) as connection:
        for part in parts:
            connection.sendall(part)
        received = b""
        while chunk := connection.recv(65_536):
            received += chunk
    return received


def request(path: str, body: bytes, *, method: str = "POST", length: int | None = None) -> bytes:
    declared = len(body) if length is None else length
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {declared}\r\n\r\n"
    return head.encode() + body


def chunked(path: str, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    )
    return head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


@pytest.mark.parametrize("write", [request, chunked])
def test_a_body_up_to_the_limit_is_read(serve, write):
    answer = exchange(serve(limited()), write("/count", b"x" * MAX_BYTES))
    assert answer.endswith(b"\r\n100000")


@pytest.mark.parametrize("write", [request, chunked])
@pytest.mark.parametrize("size", [MAX_BYTES + 1, 5_000_000])
def test_a_larger_body_is_413_and_the_client_sees_it(serve, write, size):
    answer = exchange(serve(limited()), write("/count", b"x" * size))
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"application/problem+json" in answer
    assert b"100000 bytes" in answer


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/ignore"), ("GET", "/ignore"), ("POST", "/nothing-here")]
)
def test_a_body_nobody_reads_is_taken_off_the_line(serve, method, path):
    answer = exchange(serve(limited()), request(path, b"x" * 5_000_000, method=method))
    assert answer.startswith(b"HTTP/1.1 404" if path == "/nothing-here" else b"HTTP/1.1 200")


def test_the_connection_stays_usable_after_an_unread_body(serve):
    first = request("/ignore", b"x" * 90_000).replace(b"Connection: close\r\n", b"")
    answer = exchange(serve(limited()), first + request("/count", b"abc"))
    assert answer.count(b"HTTP/1.1 200") == 2
    assert answer.endswith(b"\r\n3")


def test_a_slow_body_is_408(serve):
    answer = exchange(serve(limited(seconds=0.2, linger_seconds=0.1)), request("/count", b"x", length=10))
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"too slowly" in answer


def test_a_client_that_never_ends_its_body_is_let_go_after_the_answer(serve):
    answer = exchange(serve(limited(linger_seconds=0.1)), request("/ignore", b"x", length=50_000_000))
    assert answer.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/json",
        "Application/JSON; Charset=UTF-8",
        'application/json;charset="utf-8"',
        "application/geo+json",
    ],
)
def test_json_is_taken(content_type):
    check_content_type(content_type)


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/xml",
        "json",
        "application/json;charset=latin-1",
        "a/json",
    ],
)
def test_anything_else_is_415(content_type):
    with pytest.raises(UnsupportedMediaType):
        check_content_type(content_type)


class Stream:
    """What a server has of a request: like hypercorn's it holds the scope, and the scope must not hold it."""

    def __init__(self) -> None:
        headers = [(b"content-length", b"2")]
        self.scope: Scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}

    async def receive(self) -> Message:
        return {"type": "http.request", "body": b"{}"}

    async def send(self, message: Message) -> None:
        pass


async def reading(scope: Scope, receive: Receive, send: Send) -> None:
    take_larger_body(Request(scope, receive), 10)
    await receive()
    await send({"type": "http.response.body", "body": b""})


def test_a_request_leaves_nothing_for_the_garbage_collector() -> None:
    async def scenario() -> weakref.ref[Stream]:
        stream = Stream()
        await BodyLimits(reading, max_bytes=2)(stream.scope, stream.receive, stream.send)
        return weakref.ref(stream)

    gc.disable()
    try:
        assert asyncio.run(scenario())() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(("length", "is_watched"), [(0, False), (2, False), (3, True)])
def test_a_body_that_is_there_is_not_watched_unless_it_is_too_large(length: int, is_watched: bool) -> None:
    async def noting(_scope: Scope, receive: Receive, send: Send) -> None:
        found.append((receive == stream.receive, send == stream.send))

    stream, found = Stream(), list[tuple[bool, bool]]()
    scope = {**stream.scope, "extensions": {WHOLE_BODY: {"bytes": length}}}

    async def scenario() -> None:
        await BodyLimits(noting, max_bytes=2)(scope, stream.receive, stream.send)

    asyncio.run(scenario())
    assert found == [(not is_watched, not is_watched)]


def test_a_cancellation_of_a_request_whose_body_is_waited_for_stays_one() -> None:
    async def never() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def scenario() -> bool:
        stream = Stream()
        handling = asyncio.ensure_future(BodyLimits(reading, max_bytes=2)(stream.scope, never, stream.send))
        await asyncio.sleep(0)
        handling.cancel()
        await asyncio.wait([handling])
        return handling.cancelled()

    assert asyncio.run(scenario())


LENGTH, CHUNKED = (b"content-length", b"4"), (b"transfer-encoding", b"chunked")


@pytest.mark.parametrize(
    ("version", "headers", "parts"),
    [
        ("1.1", [LENGTH], [b"ab", b"cd"]),
        ("1.1", [CHUNKED], [b"ab", b"cd", b""]),
        ("1.1", [LENGTH, CHUNKED], [b"ab", b"cd", b""]),
        ("2", [LENGTH], [b"ab", b"cd", b""]),
    ],
)
def test_a_body_ends_with_the_length_that_is_certain(
    version: str, headers: list[tuple[bytes, bytes]], parts: list[bytes]
) -> None:
    read: list[bytes] = []

    async def read_to_the_end(_scope: Scope, receive: Receive, _send: Send) -> None:
        more = True
        while more:
            message = await receive()
            read.append(message["body"])
            more = message["more_body"]

    async def scenario() -> None:
        sent = iter((b"ab", b"cd", b""))

        async def receive() -> Message:
            part = next(sent)
            return {"type": "http.request", "body": part, "more_body": bool(part)}

        scope = {"type": "http", "http_version": version, "headers": headers}
        await BodyLimits(read_to_the_end, max_bytes=10)(scope, receive, Stream().send)

    asyncio.run(scenario())
    assert read == parts


@pytest.mark.parametrize("length", [b"9" * 23, b"four"])
def test_a_body_whose_length_is_none_does_not_end_before_it_began(length: bytes) -> None:
    more: list[bool] = []

    async def read_two(_scope: Scope, receive: Receive, _send: Send) -> None:
        more.extend([(await receive())["more_body"], (await receive())["more_body"]])

    async def scenario() -> None:
        sent = iter((b"", b"ab"))

        async def receive() -> Message:
            part = next(sent)
            return {"type": "http.request", "body": part, "more_body": not part}

        scope = {"type": "http", "http_version": "1.1", "headers": [(b"content-length", length)]}
        await BodyLimits(read_two, max_bytes=10)(scope, receive, Stream().send)

    asyncio.run(scenario())
    assert more == [True, False]
