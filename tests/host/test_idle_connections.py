"""Connections by which nothing is asked are closed after a while; those that are in use stay."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

import pytest
from fastprocesses_host import asgi_servers
from fastprocesses_host.draining import ServingLoop
from h2.connection import H2Connection
from starlette.types import Receive, Scope, Send

REQUEST = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[], "asyncio.Task[Stream]"]


class StoppedByTest:
    """A drain that begins when a test says so."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()

    async def last_requests(self, ask_to_close: Callable[[], None]) -> float:
        await self.begun.wait()
        ask_to_close()
        return 3600.0


class Application:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        self.asked.set()
        await self.may_answer.wait()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def served(app: Application) -> AsyncIterator[Connect]:
    drain, listener = StoppedByTest(), socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    serving = asyncio.create_task(
        asgi_servers.serve("hypercorn", app, listen_fd=listener.detach(), drain=drain)  # type: ignore[arg-type]
    )
    try:
        yield lambda: asyncio.create_task(asyncio.open_connection("127.0.0.1", port))
    finally:
        drain.begun.set()
        await serving


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection is idle from its beginning: a busy machine has to get as far as the request in that time."""
    monkeypatch.setattr(asgi_servers, "KEEP_ALIVE_SECONDS", 0.5)


async def used(connect: Connect) -> Stream:
    """Open a connection, and have a request answered by it."""
    reader, writer = await connect()
    writer.write(REQUEST)
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")
    return reader, writer


async def a_busy_one_outlives_an_idle_one() -> None:
    app = Application()
    async with asyncio.timeout(20), served(app) as connect:
        reader, writer = await connect()
        writer.write(REQUEST)
        await app.asked.wait()
        idle_reader, idle_writer = await connect()
        assert await idle_reader.read() == b""
        app.may_answer.set()
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")
        for each in (writer, idle_writer):
            each.close()


async def one_that_was_used_is_closed_later() -> None:
    app = Application()
    app.may_answer.set()
    async with asyncio.timeout(20), served(app) as connect:
        reader, writer = await used(connect)
        assert await reader.read() == b""
        writer.close()


async def nothing_is_left_of_those_that_clients_close() -> None:
    app = Application()
    app.may_answer.set()
    async with asyncio.timeout(20), served(app) as connect:
        _, first = await used(connect)  # now all that is not of a connection runs
        before = asyncio.all_tasks()
        _, writer = await used(connect)
        of_connection = asyncio.all_tasks() - before
        first.close()
        writer.close()
        await asyncio.wait(of_connection)


def by_http2() -> tuple[H2Connection, bytes]:
    """Give a connection by HTTP/2, and the request that begins it."""
    client = H2Connection()
    client.initiate_connection()
    client.send_headers(
        1, [(":method", "GET"), (":scheme", "http"), (":authority", "here"), (":path", "/")], end_stream=True
    )
    return client, client.data_to_send()


async def one_by_http2_with_no_request() -> None:
    async with asyncio.timeout(20), served(Application()) as connect:
        reader, writer = await connect()
        client = H2Connection()
        client.initiate_connection()
        writer.write(client.data_to_send())
        assert await reader.read()
        writer.close()


async def one_by_http2_whose_request_is_taken_back() -> None:
    app = Application()
    async with asyncio.timeout(20), served(app) as connect:
        reader, writer = await connect()
        client, request = by_http2()
        writer.write(request)
        await app.asked.wait()
        client.reset_stream(1)
        writer.write(client.data_to_send())
        await reader.read()
        writer.close()
        app.may_answer.set()


async def a_busy_one_by_http2_outlives_an_idle_one(request: bytes) -> None:
    app = Application()
    async with asyncio.timeout(20), served(app) as connect:
        reader, writer = await connect()
        writer.write(request)
        await app.asked.wait()
        for _ in range(3):
            idle_reader, idle_writer = await connect()
            assert await idle_reader.read() == b""
            idle_writer.close()
        assert not reader.at_eof()
        app.may_answer.set()
        assert await reader.read()
        writer.close()


async def a_busy_one_by_http2() -> None:
    await a_busy_one_by_http2_outlives_an_idle_one(by_http2()[1])


async def a_busy_one_that_became_one_by_http2() -> None:
    upgrade = b"Connection: upgrade, http2-settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
    await a_busy_one_by_http2_outlives_an_idle_one(b"GET / HTTP/1.1\r\nHost: here\r\n" + upgrade + b"\r\n")


@pytest.mark.parametrize(
    "scenario",
    [
        one_by_http2_with_no_request,
        one_by_http2_whose_request_is_taken_back,
        a_busy_one_by_http2,
        a_busy_one_that_became_one_by_http2,
        a_busy_one_outlives_an_idle_one,
        one_that_was_used_is_closed_later,
        nothing_is_left_of_those_that_clients_close,
    ],
)
def test_only_idle_connections_are_closed(scenario: Callable[[], Coroutine[None, None, None]]) -> None:
    with asyncio.Runner(loop_factory=ServingLoop) as runner:
        runner.run(scenario())


async def one_that_is_idle_when_the_server_stops() -> None:
    app = Application()
    app.may_answer.set()
    async with asyncio.timeout(20):
        async with served(app) as connect:
            reader, writer = await used(connect)
            never_reader, never_writer = await connect()
        assert (await reader.read(), await never_reader.read()) == (b"", b"")
        for each in (writer, never_writer):
            each.close()


def test_a_server_that_stops_closes_idle_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asgi_servers, "KEEP_ALIVE_SECONDS", 3600)
    with asyncio.Runner(loop_factory=ServingLoop) as runner:
        runner.run(one_that_is_idle_when_the_server_stops())


def test_connections_that_clients_close_do_not_wait_to_be_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asgi_servers, "KEEP_ALIVE_SECONDS", 3600)
    with asyncio.Runner(loop_factory=ServingLoop) as runner:
        runner.run(nothing_is_left_of_those_that_clients_close())
