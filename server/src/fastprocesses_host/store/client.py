"""The two small runners of operations, async for hosts and sync for workers, over redis-py."""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeVar

import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry

from fastprocesses_host.ogc.exceptions import ServiceUnavailable
from fastprocesses_host.store.keys import FORMAT, Keys
from fastprocesses_host.store.operations import Argument, Operation, open_store
from fastprocesses_host.store.script_files import script_sha, script_text

T = TypeVar("T")

CONNECT_SECONDS = 1.0
HOST_OPERATION_SECONDS = 2.0
WORKER_OPERATION_SECONDS = 2.0
"""A third of the usual lease: a lost answer and a second try still renew it in time."""
BREAKER_SECONDS = 1.0
"""After a store refused to connect, or was silent, a host answers at once for so long before it tries again."""
_AWAY = (redis.ConnectionError, redis.TimeoutError, OSError)
"""A time-out counts as a lost connection: what was sent may or may not have been done."""
_NOT_READY = (
    redis.exceptions.BusyLoadingError,
    redis.exceptions.ReadOnlyError,
    redis.exceptions.MasterDownError,
    redis.exceptions.ClusterDownError,
    redis.exceptions.TryAgainError,
)
_NOT_READY_WORDS = (
    "MISCONF",
    "BUSY",
    "NOREPLICAS",
    "LOADING",
    "READONLY",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "TRYAGAIN",
)
"""What the store answers when its disk is full, a script of somebody's does not end, or it is changing roles."""


class StoreUnavailable(ServiceUnavailable):
    """The store does not answer."""

    def __init__(self, detail: str = "The store does not answer. Try again in a moment.") -> None:
        super().__init__(detail, retry_after_seconds=2)


class StoreFull(ServiceUnavailable):
    """The store is full."""

    def __init__(self) -> None:
        super().__init__(
            "The store is full. Try again when jobs have ended or expired.", retry_after_seconds=30
        )


class StoreRefused(Exception):
    """The store cannot be used as it is: its format, its version or its settings."""


class AsyncStore:
    """Runs operations from an event loop; what is asked for in one turn of the loop goes out together."""

    def __init__(self, url: str, keys: Keys) -> None:
        self.keys = keys
        self._redis = redis.asyncio.Redis.from_url(
            url,
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=None,  # ours is around a whole operation
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
        self._free: list[redis.asyncio.connection.AbstractConnection] = []
        self._listener = redis.asyncio.Redis.from_url(
            url,
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=None,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
        self._waiting: list[tuple[Operation[Any], asyncio.Future[Any]]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed_until = 0.0
        self.is_listening = False
        """Messages are being received."""

    async def close(self) -> None:
        """Close all connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connection in self._free:
            await connection.disconnect(nowait=True)
        await asyncio.sleep(0)  # closed transports say so in the next turn of the loop
        for client in (self._redis, self._listener):
            with contextlib.suppress(*_AWAY):
                await client.aclose()

    @property
    def is_away(self) -> bool:
        """Whether the store refused or was silent so short a time ago that it is not tried again yet."""
        return time.monotonic() < self._closed_until

    async def run(self, operation: Operation[T]) -> T:
        """Run one operation.

        Raises:
            StoreUnavailable: no answer; it may or may not have been done.
            StoreFull: it would have needed memory that the store does not have.
        """
        if self.is_away:
            raise StoreUnavailable
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._waiting.append((operation, future))
        if len(self._waiting) == 1:
            loop.call_soon(self._send_waiting)
        return operation.parse(await future)

    async def read(self, command: str, *arguments: str | bytes | int) -> Any:
        """Run one plain read-only command.

        Raises:
            StoreUnavailable: no answer.
        """
        try:
            async with asyncio.timeout(HOST_OPERATION_SECONDS):
                return await self._redis.execute_command(command, *arguments)  # type: ignore[no-untyped-call]
        except (*_AWAY, redis.ResponseError) as error:
            await self._redis.connection_pool.disconnect(inuse_connections=False)
            if isinstance(error, _AWAY):
                self._open_breaker()
            raise self._unavailable(error) from error

    async def listen(self, *channels: str) -> AsyncIterator[tuple[str, bytes] | None]:
        """Give messages as channel and data; None each time the subscription is (again) complete or is lost.

        Reconnects by itself, so it never ends. `is_listening` tells which of the two it is.
        """
        while True:
            try:
                async with self._listener.pubsub() as subscription:
                    await subscription.subscribe(*channels)
                    confirmed = 0
                    async for message in subscription.listen():
                        if message["type"] == "subscribe":
                            confirmed += 1
                            if confirmed == len(channels):
                                self.is_listening = True
                                yield None
                        elif message["type"] == "message":
                            yield message["channel"].decode(), message["data"]
            except (*_AWAY, redis.RedisError):
                self.is_listening = False
                yield None
            await asyncio.sleep(0.2)

    def _send_waiting(self) -> None:
        batch, self._waiting = self._waiting, []
        task = asyncio.get_running_loop().create_task(self._send(batch))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, batch: list[tuple[Operation[Any], asyncio.Future[Any]]]) -> None:
        try:
            answers = await self._answers([operation for operation, _ in batch])
        except Exception as error:  # whatever it is, nobody may wait for ever
            answers = [self._unavailable(error)] * len(batch)
        for (_, future), answer in zip(batch, answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, Exception):
                future.set_exception(_told(answer))
            else:
                future.set_result(answer)

    async def _answers(self, operations: list[Operation[Any]]) -> list[Any]:
        answers = await self._pipeline(operations)
        missing = {
            op.script for op, answer in zip(operations, answers, strict=True) if _is_unknown_script(answer)
        }
        if not missing:
            return answers
        for name in missing:
            await self._redis.script_load(script_text(name))
        again = [index for index, answer in enumerate(answers) if _is_unknown_script(answer)]
        for index, answer in zip(
            again, await self._pipeline([operations[index] for index in again]), strict=True
        ):
            answers[index] = answer
        return answers

    async def _pipeline(self, operations: list[Operation[Any]]) -> list[Any]:
        """Send all, then read all, on one connection; a third of the time that the library's pipeline takes."""
        connection = self._free.pop() if self._free else self._redis.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        commands = [
            ("EVALSHA", script_sha(operation.script), 1, self.keys.prefix, *operation.arguments)
            for operation in operations
        ]
        try:
            async with asyncio.timeout(HOST_OPERATION_SECONDS):
                await self._connect(connection)
                await connection.send_packed_command(connection.pack_commands(commands), check_health=False)
                answers = [await _answer(connection) for _ in operations]
        except BaseException:  # what is still to come belongs to commands that nobody waits for
            stale, self._free = [connection, *self._free], []  # what broke one has broken the others
            for one in stale:
                await one.disconnect(nowait=True)
            raise
        self._free.append(connection)
        return answers

    async def _connect(self, connection: redis.asyncio.connection.AbstractConnection) -> None:
        try:
            await connection.connect()  # type: ignore[no-untyped-call]  # nothing to do where it is
        except _AWAY:
            self._open_breaker()
            raise

    def _open_breaker(self) -> None:
        self._closed_until = time.monotonic() + BREAKER_SECONDS

    def _unavailable(self, error: Exception) -> StoreUnavailable:
        if isinstance(error, (TimeoutError, redis.TimeoutError)):
            self._open_breaker()  # it is there and silent; one that merely hung up is asked again at once
        unavailable = StoreUnavailable()
        unavailable.__cause__ = error
        return unavailable


class Store:
    """Runs operations from threads."""

    def __init__(self, url: str, keys: Keys) -> None:
        self.keys = keys
        self.redis = redis.Redis.from_url(
            url,
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=WORKER_OPERATION_SECONDS,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
        self._url = url
        self._local = threading.local()

    def close(self) -> None:
        """Close the connections of this thread and of the pool."""
        with contextlib.suppress(*_AWAY):
            self._connection().disconnect()  # type: ignore[no-untyped-call]
            self.redis.close()

    def run(self, operation: Operation[T]) -> T:
        """Run one operation.

        Raises:
            StoreUnavailable: no answer; it may or may not have been done.
            StoreFull: it would have needed memory that the store does not have.
        """
        try:
            return operation.parse(self._answer(operation))
        except (*_AWAY, redis.RedisError) as error:
            raise _told(error) from error

    def command(self, *arguments: Argument) -> Any:
        """Run one plain command.

        Raises:
            StoreUnavailable: no answer.
        """
        try:
            return self._command(*arguments)
        except (*_AWAY, redis.RedisError) as error:
            raise _told(error) from error

    def run_until_answered(
        self, operation: Operation[T], *, is_given_up: Callable[[], bool] = lambda: False
    ) -> T | None:
        """Run an operation again and again until the store answers; None once `is_given_up` says so."""
        pause_seconds = 0.05
        while True:
            try:
                return self.run(operation)
            except (StoreUnavailable, StoreFull):
                if is_given_up():
                    return None
                time.sleep(pause_seconds)
                pause_seconds = min(pause_seconds * 2, 1.0)

    def wait_for_message(self, queue: str, seconds: float, connection: redis.Redis) -> None:
        """Block until a queue has a message, or `seconds` passed; takes nothing out of it.

        Raises:
            StoreUnavailable: the connection is gone.
        """
        key = self.keys.queue(queue)
        try:
            # A move of the first element to where it is: it waits and wakes, and loses nothing in a crash.
            connection.execute_command("BLMOVE", key, key, "LEFT", "LEFT", seconds)  # type: ignore[no-untyped-call]
        except (*_AWAY, redis.RedisError) as error:
            raise _told(error) from error

    def blocking_connection(self, block_seconds: float) -> redis.Redis:
        """Give a client of one connection whose time-out is above the time that it will block."""
        return redis.Redis.from_url(
            self._url,
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=block_seconds + 5.0,
            max_connections=1,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )

    def listen(self, channel: str, stopped: threading.Event) -> Iterator[bytes | None]:
        """Give messages of a channel as they come, None at least once a second; reconnects by itself."""
        while not stopped.is_set():
            try:
                with self.redis.pubsub() as subscription:  # type: ignore[no-untyped-call]
                    subscription.subscribe(channel)
                    while not stopped.is_set():
                        message = subscription.get_message(ignore_subscribe_messages=True, timeout=1.0)
                        yield message["data"] if message else None
            except _AWAY:
                yield None
                stopped.wait(0.2)

    def check(self) -> int:
        """Make sure that the store can be used, and give its time in milliseconds.

        Raises:
            StoreRefused: its format, version or eviction policy does not fit, with a sentence.
            StoreUnavailable: no answer.
        """
        try:
            info: dict[str, Any] = self.redis.info()
        except (*_AWAY, redis.RedisError) as error:
            raise _told(error) from error
        refuse_unfit_server(info)
        store_format, now_ms = self.run(open_store(FORMAT))
        refuse_other_format(store_format)
        return now_ms

    def _answer(self, operation: Operation[Any]) -> Any:
        arguments = (1, self.keys.prefix, *operation.arguments)
        try:
            return self._command("EVALSHA", script_sha(operation.script), *arguments)
        except redis.exceptions.NoScriptError:
            return self._command("EVAL", script_text(operation.script), *arguments)

    def _command(self, *arguments: Argument) -> Any:
        """Send one command on this thread's own connection; half the time of `execute_command` and its pool."""
        connection = self._connection()
        try:
            connection.send_command(*arguments)  # type: ignore[no-untyped-call]
            return connection.read_response()
        except redis.ResponseError:
            raise
        except BaseException:  # an answer may still come, and would be taken for that of the next command
            connection.disconnect()  # type: ignore[no-untyped-call]
            raise

    def _connection(self) -> redis.connection.AbstractConnection:
        if not hasattr(self._local, "connection"):
            self._local.connection = self.redis.connection_pool.make_connection()
        connection: redis.connection.AbstractConnection = self._local.connection
        return connection


def refuse_other_format(store_format: str) -> None:
    """Refuse what another version wrote.

    Raises:
        StoreRefused: with a sentence that says what to do.
    """
    if store_format != FORMAT:
        raise StoreRefused(
            f"The store was written in format {store_format}; this version knows format {FORMAT} only. "
            "Use the version that wrote it, or another key_prefix."
        )


def refuse_unfit_server(info: dict[str, Any]) -> None:
    """Refuse a server that is too old, or that would throw jobs away.

    Raises:
        StoreRefused: with a sentence that says what to change.
    """
    version = str(info.get("redis_version", "0"))
    if tuple(int(part) for part in version.split(".")[:2]) < (6, 2):
        raise StoreRefused(f"The store is Redis {version}; 6.2 or newer, or Valkey, is needed.")
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction" and int(info.get("maxmemory", 0)) > 0:
        raise StoreRefused(
            f"The store would throw jobs away when its memory is full (maxmemory-policy {policy}). "
            "Set maxmemory-policy to noeviction."
        )


async def _answer(connection: redis.asyncio.connection.AbstractConnection) -> Any:
    try:
        return await connection.read_response()
    except redis.ResponseError as error:
        return error


def _is_unknown_script(answer: Any) -> bool:
    return isinstance(answer, redis.exceptions.NoScriptError)


def _told(error: Exception) -> Exception:
    """Give the exception of ours for one of the client library's; others are bugs and stay."""
    if isinstance(error, (StoreUnavailable, StoreFull)):
        return error
    text = str(error)
    if isinstance(error, redis.exceptions.OutOfMemoryError) or text.startswith("OOM ") or " OOM " in text:
        return StoreFull()
    if isinstance(error, (*_AWAY, *_NOT_READY)) or text.startswith(_NOT_READY_WORDS):
        unavailable = StoreUnavailable()
        unavailable.__cause__ = error
        return unavailable
    return error
