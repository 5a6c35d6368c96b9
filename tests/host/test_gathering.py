"""What is written in one turn of the loop leaves together, in order and whole, also when the connection ends."""

import asyncio
from collections.abc import Callable

import pytest
from fastprocesses_host.draining import ServingLoop
from fastprocesses_host.gathering import Gathering

PIECES = [b"head\r\n", b"", b"body", b"x" * 100_000, b"end"]


async def received(write: Callable[[asyncio.StreamWriter], None]) -> bytes:
    """Give what a client gets from a server that writes so, and then closes."""

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        write(writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    async with asyncio.timeout(10):
        data = await reader.read(-1)
    writer.close()
    server.close()
    return data


def by_pieces(writer: asyncio.StreamWriter) -> None:
    for piece in PIECES:
        writer.write(piece)


def by_lines(writer: asyncio.StreamWriter) -> None:
    writer.writelines(PIECES)


def then_eof(writer: asyncio.StreamWriter) -> None:
    by_pieces(writer)
    writer.write_eof()


@pytest.mark.parametrize("write", [by_pieces, by_lines, then_eof])
def test_everything_arrives_in_order(write: Callable[[asyncio.StreamWriter], None]) -> None:
    with asyncio.Runner(loop_factory=ServingLoop) as runner:
        assert runner.run(received(write)) == b"".join(PIECES)


class Recorded:
    """A transport that notes what reaches it."""

    def __init__(self) -> None:
        self.calls: list[bytes | str] = []

    def write(self, data: bytes) -> None:
        self.calls.append(data)

    def close(self) -> None:
        self.calls.append("close")

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return "close" in self.calls


def test_a_turn_is_one_write() -> None:
    async def scenario() -> None:
        below = Recorded()
        transport = Gathering(below, asyncio.get_running_loop())
        transport.write(b"head")
        transport.write(b"body")
        assert (below.calls, transport.get_write_buffer_size()) == ([], 8)
        await asyncio.sleep(0)
        assert (below.calls, transport.get_write_buffer_size()) == ([b"headbody"], 0)
        transport.write(b"last")
        transport.close()
        assert below.calls == [b"headbody", b"last", "close"]
        assert transport.is_closing()

    asyncio.run(scenario())


def test_what_is_the_last_of_a_turn_does_not_wait_and_overtakes_nothing() -> None:
    async def scenario() -> None:
        below = Recorded()
        transport = Gathering(below, asyncio.get_running_loop())
        transport.write_last(b"whole")
        transport.write_last(b"")
        assert below.calls == [b"whole"]
        transport.write(b"head")
        transport.write_last(b"body")
        assert below.calls == [b"whole", b"headbody"]
        below.close()
        transport.write_last(b"late")
        await asyncio.sleep(0)
        assert below.calls == [b"whole", b"headbody", "close"]

    asyncio.run(scenario())


def test_what_waits_when_the_connection_is_lost_goes_nowhere() -> None:
    async def scenario() -> None:
        below = Recorded()
        transport = Gathering(below, asyncio.get_running_loop())
        transport.write(b"head")
        below.close()
        await asyncio.sleep(0)
        assert below.calls == ["close"]

    asyncio.run(scenario())


def test_what_gets_long_does_not_wait() -> None:
    async def scenario() -> None:
        below = Recorded()
        transport = Gathering(below, asyncio.get_running_loop())
        transport.write(b"a" * 10)
        transport.write(b"b" * 70_000)
        assert [len(call) for call in below.calls] == [70_010]

    asyncio.run(scenario())
