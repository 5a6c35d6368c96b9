"""The connections to the store, against the real one and against servers that behave as a store should not."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import redis
import redis.asyncio
from fastprocesses_host.store import operations
from fastprocesses_host.store.client import AsyncStore, Store, StoreUnavailable
from fastprocesses_host.store.keys import FORMAT, Keys
from fastprocesses_host.store.operations import open_store
from fastprocesses_host.store.wire import ThreadWire, Wire
from msgspec.structs import replace

from tests.support import StoreServer, short_folder

ANSWER_SECONDS = 0.5
HANDSHAKES = 4
"""Commands at most that the client library sends when it connects; each is answered with OK."""


@contextmanager
def odd_server(behave: Callable[[socket.socket], None], family: int = socket.AF_INET) -> Iterator[str]:
    """Give the URL of a server that answers the handshake, and then behaves as it is told."""

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                behave(connection)

    with short_folder() as folder, socket.socket(family) as listener:
        listener.bind(("127.0.0.1", 0) if family == socket.AF_INET else str(folder / "socket"))
        listener.listen()
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        try:
            name = listener.getsockname()
            yield f"unix://{name}" if family == socket.AF_UNIX else f"redis://127.0.0.1:{name[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)


def answer_handshake(connection: socket.socket) -> bytes:
    """Answer what the library says of itself; give the first command of ours."""
    while data := connection.recv(65536):
        if b"CLIENT" not in data.upper():
            return data
        connection.sendall(b"+OK\r\n" * data.upper().count(b"CLIENT\r\n"))
    return b""


def be_silent(connection: socket.socket) -> None:
    answer_handshake(connection)
    connection.settimeout(40)
    while connection.recv(65536):
        pass


def hang_up(connection: socket.socket) -> None:
    answer_handshake(connection)
    connection.sendall(b"$100\r\nhalf an ans")


def talk_nonsense(connection: socket.socket) -> None:
    answer_handshake(connection)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    be_silent(connection)


ODD = [
    (be_silent, (TimeoutError, redis.TimeoutError)),
    (hang_up, redis.ConnectionError),
    (talk_nonsense, (redis.RedisError, Exception)),
]


def pool_of(url: str) -> redis.asyncio.ConnectionPool:
    return redis.asyncio.ConnectionPool.from_url(url, protocol=2, socket_connect_timeout=20)


def thread_pool_of(url: str, answer_seconds: float) -> redis.ConnectionPool:
    return redis.ConnectionPool.from_url(
        url, protocol=2, socket_timeout=answer_seconds, socket_connect_timeout=20
    )


def test_answers_come_in_the_order_of_the_questions(any_store: StoreServer) -> None:
    async def scenario() -> None:
        wire = Wire(20)
        await wire.open(pool_of(any_store.url))
        values = [f"value {number}" * (number % 50 + 1) for number in range(300)]
        asked = [wire.ask("ECHO", value) for value in values]
        assert [answer.decode() for answer in await asyncio.gather(*asked)] == values
        wire.close()

    asyncio.run(scenario())


def test_an_error_is_that_of_its_command(any_store: StoreServer) -> None:
    async def scenario() -> None:
        wire = Wire(20)
        await wire.open(pool_of(any_store.url))
        good, bad, after = wire.ask("ECHO", "a"), wire.ask("NONSENSE"), wire.ask("ECHO", b"\x00\xff")
        assert await good == b"a"
        with pytest.raises(redis.ResponseError, match="unknown command"):
            await bad
        assert await after == b"\x00\xff"
        wire.close()

    asyncio.run(scenario())


def test_who_gave_up_takes_no_answer_of_others(any_store: StoreServer) -> None:
    async def scenario() -> None:
        wire = Wire(20)
        await wire.open(pool_of(any_store.url))
        asked = [wire.ask("ECHO", str(number)) for number in range(10)]
        for future in asked[::2]:
            future.cancel()
        assert await asyncio.gather(*asked[1::2]) == [b"1", b"3", b"5", b"7", b"9"]
        wire.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(("behave", "error"), ODD)
def test_all_who_ask_are_told_when_the_store_is_odd(
    behave: Callable[[socket.socket], None], error: type[Exception]
) -> None:
    async def scenario(url: str) -> None:
        wire = Wire(ANSWER_SECONDS)
        await wire.open(pool_of(url))
        async with asyncio.timeout(40):
            answers = await asyncio.gather(
                wire.ask("ECHO", "a"), wire.ask("ECHO", "b"), return_exceptions=True
            )
        assert all(isinstance(answer, error) for answer in answers), answers
        assert wire.lost.done()
        with pytest.raises(redis.ConnectionError):
            await wire.ask("ECHO", "c")

    with odd_server(behave) as url:
        asyncio.run(scenario(url))


def test_a_store_that_goes_on_answering_is_not_silent() -> None:
    def answer_slowly(connection: socket.socket) -> None:
        asked = answer_handshake(connection)
        for _ in range(asked.upper().count(b"ECHO\r\n")):
            time.sleep(ANSWER_SECONDS / 2)
            connection.sendall(b"+yes\r\n")

    async def scenario(url: str) -> None:
        wire = Wire(ANSWER_SECONDS)
        await wire.open(pool_of(url))
        assert await asyncio.gather(*[wire.ask("ECHO", "a") for _ in range(3)]) == [b"yes"] * 3
        wire.close()

    with odd_server(answer_slowly) as url:
        asyncio.run(scenario(url))


def test_a_busy_loop_is_not_taken_for_a_silent_store(any_store: StoreServer) -> None:
    async def scenario() -> None:
        wire = Wire(0.3)
        await wire.open(pool_of(any_store.url))
        asyncio.get_running_loop().call_soon(time.sleep, 0.4)
        asked = wire.ask("ECHO", "a")  # goes out when the loop has slept
        assert await asked == b"a"
        wire.close()

    asyncio.run(scenario())


def test_many_read_at_the_same_time(any_store: StoreServer) -> None:
    """More than a pool of the client library makes connections."""

    async def scenario() -> None:
        store = AsyncStore(any_store.url, Keys.of("many"))
        read = await asyncio.gather(*[store.read("ECHO", str(number)) for number in range(300)])
        assert [int(answer) for answer in read] == list(range(300))
        assert not store.is_away
        await store.close()

    asyncio.run(scenario())


def test_a_plain_command_is_answered_beside_operations(any_store: StoreServer) -> None:
    async def scenario() -> None:
        store = AsyncStore(any_store.url, Keys.of("asked"))
        answers = await asyncio.gather(
            store.ask("ECHO", "one"), store.run(open_store(FORMAT)), store.ask("ECHO", "two")
        )
        assert [answers[0], answers[2]] == [b"one", b"two"]
        await store.close()
        with pytest.raises(StoreUnavailable):
            await AsyncStore("redis://127.0.0.1:1", Keys.of("asked")).ask("PING")

    asyncio.run(scenario())


def test_what_nobody_waits_for_is_heard(any_store: StoreServer) -> None:
    async def scenario() -> None:
        store, heard = AsyncStore(any_store.url, Keys.of("heard")), asyncio.Queue[object]()
        assert not store.send(open_store(FORMAT), heard.put_nowait)  # there is no connection yet
        told = await store.run(open_store(FORMAT))
        for _ in range(2):
            assert store.send(open_store(FORMAT), heard.put_nowait)
            answer = await heard.get()
            assert isinstance(answer, tuple)
            assert answer[0] == told[0]
            await store.read("SCRIPT", "FLUSH")  # then it is sent as a whole
        await store.close()

    asyncio.run(scenario())


def test_an_answer_that_cannot_be_read_keeps_no_other_from_its_asker(any_store: StoreServer) -> None:
    def unreadable(answer: object) -> None:
        raise ValueError(answer)

    async def scenario() -> None:
        store, heard = AsyncStore(any_store.url, Keys.of("heard")), asyncio.Queue[object]()
        told = await store.run(open_store(FORMAT))
        assert store.send(replace(open_store(FORMAT), parse=unreadable), heard.put_nowait)
        assert (await store.run(open_store(FORMAT)))[0] == told[0]
        assert isinstance(heard.get_nowait(), ValueError)
        await store.close()

    asyncio.run(scenario())


def test_of_what_nobody_waits_for_a_failure_is_heard() -> None:
    def answer_once(connection: socket.socket) -> None:
        answer_handshake(connection)
        connection.sendall(b"*2\r\n$1\r\n1\r\n:5\r\n")
        connection.recv(65536)

    async def scenario(url: str) -> None:
        store, heard = AsyncStore(url, Keys.of("heard")), asyncio.Queue[object]()
        assert await store.run(open_store(FORMAT)) == ("1", 5)
        assert store.send(open_store(FORMAT), heard.put_nowait)
        assert isinstance(await heard.get(), StoreUnavailable)
        assert not store.send(open_store(FORMAT), heard.put_nowait)
        await store.close()

    with odd_server(answer_once) as url:
        asyncio.run(scenario(url))


def test_a_closed_connection_fails_what_was_asked(any_store: StoreServer) -> None:
    async def scenario() -> None:
        wire = Wire(20)
        await wire.open(pool_of(any_store.url))
        asked = wire.ask("BLPOP", "nothing", "5")
        await asyncio.sleep(0)
        wire.close()
        with pytest.raises(redis.ConnectionError):
            await asked

    asyncio.run(scenario())


def test_a_thread_asks_and_is_answered(any_store: StoreServer) -> None:
    wire = ThreadWire(thread_pool_of(any_store.url, 20))
    assert wire.ask("ECHO", b"\x00" * 300_000) == b"\x00" * 300_000
    with pytest.raises(redis.ResponseError, match="unknown command"):
        wire.ask("NONSENSE")
    assert wire.ask("ECHO", "still") == b"still"
    wire.close()
    assert wire.ask("ECHO", "again") == b"again"
    wire.close()


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
@pytest.mark.parametrize(("behave", "error"), ODD)
def test_a_thread_is_told_when_the_store_is_odd(
    behave: Callable[[socket.socket], None], error: type[Exception], family: int
) -> None:
    """It waits for answers in two ways: see `ThreadWire`."""
    with odd_server(behave, family) as url:
        wire = ThreadWire(thread_pool_of(url, ANSWER_SECONDS))
        for _ in range(2):  # the second time on a new connection: no half answer is left over
            with pytest.raises(error):
                wire.ask("ECHO", "a")


def test_a_store_that_was_away_for_long_is_found_again_from_threads(own_store: StoreServer) -> None:
    """Also after more tries than a pool of the client library makes connections."""
    store = Store(own_store.url, Keys.of("away"))
    own_store.kill()
    for _ in range(250):
        with pytest.raises(StoreUnavailable):
            store.command("PING")
    own_store.start()
    assert store.command("PING") == b"PONG"
    store.close()


def test_what_can_be_done_meanwhile_is_done_before_the_answer_comes() -> None:
    done = threading.Event()

    def wait_for_it(connection: socket.socket) -> None:
        answer_handshake(connection)
        assert done.wait(20)
        connection.sendall(b":7\r\n")

    with odd_server(wait_for_it) as url:
        store = Store(url, Keys.of("fp"))
        assert store.run(operations.expire(), done.set) == 7
        store.close()


def test_what_was_done_meanwhile_is_not_done_again_where_the_answer_was_lost() -> None:
    behaviours = iter((hang_up, answer_seven))
    done: list[str] = []
    with odd_server(lambda connection: next(behaviours)(connection)) as url:
        store = Store(url, Keys.of("fp"))
        assert store.run_until_answered(operations.expire(), lambda: done.append("once")) == 7
        store.close()
    assert done == ["once"]


def answer_seven(connection: socket.socket) -> None:
    answer_handshake(connection)
    connection.sendall(b":7\r\n")
