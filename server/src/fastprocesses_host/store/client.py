"""The two small runners of operations, async for hosts and sync for workers, over redis-py."""

import asyncio
import contextlib
import re
import threading
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from functools import cache
from typing import Any, Generic, TypeVar

import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry

from fastprocesses_host.ogc.exceptions import ServiceUnavailable
from fastprocesses_host.store.acceptance import Packed
from fastprocesses_host.store.keys import FORMAT, Keys
from fastprocesses_host.store.operations import Argument, Operation, open_store
from fastprocesses_host.store.script_files import script_sha, script_text
from fastprocesses_host.store.wire import PackedStart, ThreadWire, Wire, packed

T = TypeVar("T")

CONNECT_SECONDS = 1.0
HOST_OPERATION_SECONDS = 2.0
WORKER_OPERATION_SECONDS = 2.0
"""A third of the usual lease: a lost answer and a second try still renew it in time."""
BREAKER_SECONDS = 0.5
"""How long a host waits before it asks a store that refused, or was silent, once more; all others are told at once."""
SUBSCRIBED_SECONDS = 5.0
"""How often a host makes sure that its subscription still has a store at its other end."""
_RECONNECT_SECONDS = 0.2
_READS = 32
"""Plain reads of a host at a time, each on a connection of its own: the client library refuses the 101st."""
_AWAY = (redis.ConnectionError, redis.TimeoutError, OSError)
"""A time-out counts as a lost connection: what was sent may or may not have been done."""
_ANY_FAILURE = (*_AWAY, redis.RedisError)
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
        self._wire: Wire | None = None
        self._connecting = asyncio.Lock()
        self._reading = asyncio.Semaphore(_READS)
        self._probing: asyncio.Task[None] | None = None
        self._subscription: Wire | None = None
        self._followed: set[str] = set()
        self.is_listening = False
        """Messages are being received."""

    async def close(self) -> None:
        """Close all connections."""
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.wait([self._probing])
        if self._wire is not None:
            self._wire.close()
        await asyncio.sleep(0)  # closed transports say so in the next turn of the loop
        with contextlib.suppress(*_AWAY):
            await self._redis.aclose()

    @property
    def is_away(self) -> bool:
        """Whether the store refused or was silent, and has not answered since; one task finds out when it does."""
        return self._probing is not None and not self._probing.done()

    async def run(self, operation: Operation[T] | Packed[T]) -> T:
        """Run one operation.

        Raises:
            StoreUnavailable: no answer; it may or may not have been done.
            StoreFull: it would have needed memory that the store does not have.
        """
        if self.is_away:
            raise StoreUnavailable
        try:
            wire = self._open_wire() or await self._connected()
            try:
                answer = await wire.ask_packed(_call(operation, self.keys.prefix))
            except redis.ResponseError as error:
                if not _is_unknown_script(error):
                    raise
                answer = await wire.ask_packed(_call_with_text(operation, self.keys.prefix))
            return operation.parse(answer)
        except _ANY_FAILURE as error:
            raise self._unavailable(error) from error

    def _open_wire(self) -> Wire | None:
        return None if self._wire is None or self._wire.lost.done() else self._wire

    async def ask(self, *command: Argument) -> Any:
        """Run one plain command whose answer is small, beside the operations.

        Raises:
            StoreUnavailable: no answer.
        """
        if self.is_away:
            raise StoreUnavailable
        try:
            wire = self._open_wire() or await self._connected()
            return await wire.ask(*command)
        except _ANY_FAILURE as error:
            raise self._unavailable(error) from error

    def send(self, operation: Operation[T] | Packed[T], hear: Callable[[T | Exception], None]) -> bool:
        """Run one operation for somebody who waits for something else, and wakes only if it failed.

        Args:
            operation: What to do.
            hear: Gets the answer, or what `run` would raise.

        Returns:
            Whether it was sent; not while there is no connection, which `run` opens.
        """
        wire = self._open_wire()
        if self.is_away or wire is None:
            return False
        _Sent(wire, self.keys.prefix, operation, hear, self._unavailable).send()
        return True

    async def read(self, command: str, *arguments: str | bytes | int) -> Any:
        """Run one plain read-only command.

        Raises:
            StoreUnavailable: no answer.
        """
        async with self._reading:
            return await self._read(command, *arguments)

    async def _read(self, command: str, *arguments: str | bytes | int) -> Any:
        if self.is_away:
            raise StoreUnavailable
        try:
            async with asyncio.timeout(HOST_OPERATION_SECONDS):
                return await self._redis.execute_command(command, *arguments)  # type: ignore[no-untyped-call]
        except (*_AWAY, redis.ResponseError) as error:
            await self._redis.connection_pool.disconnect(inuse_connections=False)
            if isinstance(error, _AWAY):
                self._open_breaker()
            raise self._unavailable(error) from error

    async def listen(self, on_message: Callable[[bytes, bytes], None], *channels: str) -> AsyncIterator[None]:
        """Hand messages to `on_message`, as channel and data; give a turn when the subscription is (again) complete.

        And one when it is lost. Reconnects by itself, so it never ends. Channels that are followed meanwhile are heard
        too.
        """
        turns: asyncio.Queue[None] = asyncio.Queue()
        always = {channel.encode() for channel in channels}
        confirmed, is_heard = 0, False

        def on_push(push: Any) -> None:
            nonlocal confirmed, is_heard
            is_heard = True
            if message := _message_in(push, always):
                on_message(*message)
            elif isinstance(push, list) and push[0] == b"subscribe":
                confirmed += 1
                if confirmed == len(channels):
                    self.is_listening = True
                    turns.put_nowait(None)

        while True:
            confirmed = 0
            wire = Wire(HOST_OPERATION_SECONDS, on_push)
            wire.lost.add_done_callback(lambda _: turns.put_nowait(None))
            with contextlib.suppress(*_AWAY, redis.RedisError):
                try:
                    async with asyncio.timeout(HOST_OPERATION_SECONDS):
                        await wire.open(self._redis.connection_pool)
                    wire.tell("SUBSCRIBE", *channels, *self._followed)
                    self._subscription = wire
                    while not wire.lost.done():
                        is_heard = False
                        wire.tell("PING")
                        try:
                            async with asyncio.timeout(SUBSCRIBED_SECONDS):
                                await turns.get()
                        except TimeoutError:
                            if is_heard:
                                continue
                            break  # not even the ping was answered
                        if not wire.lost.done():
                            yield None
                finally:
                    self.is_listening = False
                    self._subscription = None
                    wire.close()
                yield None
            await asyncio.sleep(_RECONNECT_SECONDS)

    def follow(self, channel: str) -> None:
        """Have `listen` hear one more channel; a message without data tells that nothing is missed from now on."""
        self._followed.add(channel)
        if self._subscription is not None:
            self._subscription.tell("SUBSCRIBE", channel)

    def unfollow(self, channel: str) -> None:
        """Have `listen` hear a channel no more that was followed."""
        self._followed.discard(channel)
        if self._subscription is not None:
            self._subscription.tell("UNSUBSCRIBE", channel)

    async def _connected(self) -> Wire:
        """Give the connection, opened anew if it was lost."""
        async with self._connecting:
            if self.is_away:
                raise StoreUnavailable
            if self._wire is None or self._wire.lost.done():
                wire = Wire(HOST_OPERATION_SECONDS)
                try:
                    async with asyncio.timeout(HOST_OPERATION_SECONDS):
                        await wire.open(self._redis.connection_pool)
                except _AWAY:
                    self._open_breaker()
                    raise
                self._wire = wire
            return self._wire

    def _open_breaker(self) -> None:
        if not self.is_away:
            self._probing = asyncio.create_task(self._probe(), name="probe")

    async def _probe(self) -> None:
        """Ask the store until it answers; return with a connection to it."""
        while True:
            await asyncio.sleep(BREAKER_SECONDS)
            wire = Wire(HOST_OPERATION_SECONDS)
            try:
                async with asyncio.timeout(HOST_OPERATION_SECONDS):
                    await wire.open(self._redis.connection_pool)
                    await wire.ask("PING")
            except (*_AWAY, redis.RedisError):
                wire.close()
                continue
            before, self._wire = self._wire, wire
            if before is not None:
                before.close()
            return

    def _unavailable(self, error: Exception) -> Exception:
        if isinstance(error, (TimeoutError, redis.TimeoutError)):
            self._open_breaker()  # it is there and silent; one that merely hung up is asked again at once
        return _told(error)


class _Sent(Generic[T]):
    """An operation under way of which nobody waits for the answer."""

    def __init__(
        self,
        wire: Wire,
        prefix: str,
        operation: Operation[T] | Packed[T],
        hear: Callable[[T | Exception], None],
        told: Callable[[Exception], Exception],
    ) -> None:
        self._wire = wire
        self._prefix = prefix
        self._operation = operation
        self._hear = hear
        self._told = told

    def send(self) -> None:
        self._wire.ask_for(self, _call(self._operation, self._prefix))

    def done(self) -> bool:
        return False

    def set_result(self, answer: Any) -> None:
        try:
            heard: T | Exception = self._operation.parse(answer)
        except Exception as error:
            heard = (
                error  # raised in the connection's own turn, it would keep their answers from all who follow
            )
        self._hear(heard)

    def set_exception(self, error: Exception) -> None:
        if not _is_unknown_script(error):
            self._hear(self._told(error))
            return
        self._wire.ask_for(self, _call_with_text(self._operation, self._prefix))


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
        self._own = _OwnWire(self.redis.connection_pool)

    def close(self) -> None:
        """Close the connections of this thread and of the pool."""
        with contextlib.suppress(*_AWAY):
            self._own.wire.close()
            self.redis.close()

    def run(self, operation: Operation[T], meanwhile: Callable[[], object] | None = None) -> T:
        """Run one operation.

        Args:
            operation: What to do.
            meanwhile: Called while the answer is on its way, if the operation could be sent. It must be of use
                whatever the answer is, take no time and not raise.

        Raises:
            StoreUnavailable: no answer; it may or may not have been done.
            StoreFull: it would have needed memory that the store does not have.
        """
        wire = self._own.wire
        try:
            try:
                answer = wire.ask_packed(_call(operation, self.keys.prefix), meanwhile)
            except redis.ResponseError as error:
                if not _is_unknown_script(error):
                    raise
                answer = wire.ask_packed(_call_with_text(operation, self.keys.prefix))
        except _ANY_FAILURE as error:
            raise _told(error) from error
        return operation.parse(answer)

    def command(self, *arguments: Argument) -> Any:
        """Run one plain command.

        Raises:
            StoreUnavailable: no answer.
        """
        try:
            return self._own.wire.ask(*arguments)
        except _ANY_FAILURE as error:
            raise _told(error) from error

    def run_until_answered(self, operation: Operation[T], meanwhile: Callable[[], object] | None = None) -> T:
        """Run an operation again and again until the store answers; `meanwhile` is for the first time alone."""
        pause_seconds = 0.05
        while True:
            try:
                return self.run(operation, meanwhile)
            except (StoreUnavailable, StoreFull):
                operation, meanwhile = operation.again(), None
                time.sleep(pause_seconds)
                pause_seconds = min(pause_seconds * 2, 1.0)

    def wait_for_message(self, queue: str, seconds: float) -> bool:
        """Block until a queue has a message, or `seconds` passed, which must be less than an operation may take.

        Takes nothing out of it; tells whether there is one.

        Raises:
            StoreUnavailable: the connection is gone.
        """
        key = self.keys.queue(queue)
        # A move of the first element to where it is: it waits and wakes, and loses nothing in a crash.
        return self.command("BLMOVE", key, key, "LEFT", "LEFT", seconds) is not None

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


class _OwnWire(threading.local):
    """The connection of each thread."""

    def __init__(self, pool: redis.ConnectionPool) -> None:
        self.wire = ThreadWire(pool)


def _message_in(push: Any, always: Collection[bytes]) -> tuple[bytes, bytes] | None:
    """Give the channel and the data of a message; none of a channel that is followed from now on."""
    if not isinstance(push, list) or push[0] not in (b"message", b"subscribe"):
        return None
    if push[0] == b"message":
        return push[1], push[2]
    return None if push[1] in always else (push[1], b"")


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


def _call(operation: Operation[Any] | Packed[Any], prefix: str) -> bytes:
    """Give the bytes of the call of a script that the store has."""
    if isinstance(operation, Packed):
        return _start(operation.script, prefix).with_packed(operation.arguments, operation.count)
    return packed("EVALSHA", script_sha(operation.script), 1, prefix, *operation.arguments)


@cache
def _start(script: str, prefix: str) -> PackedStart:
    return PackedStart("EVALSHA", script_sha(script), 1, prefix)


def _call_with_text(operation: Operation[Any] | Packed[Any], prefix: str) -> bytes:
    """Give the bytes of the call of a script that the store has not."""
    text = script_text(operation.script)
    if isinstance(operation, Packed):
        return PackedStart("EVAL", text, 1, prefix).with_packed(operation.arguments, operation.count)
    return packed("EVAL", text, 1, prefix, *operation.arguments)


def _is_unknown_script(error: Exception) -> bool:
    return isinstance(error, redis.ResponseError) and str(error).startswith("NOSCRIPT")


_OOM = re.compile(r"(^|[ -])OOM ")
"""Redis 6.2 has `@user_script: 12: -OOM command not allowed` where a script was refused memory."""


def _told(error: Exception) -> Exception:
    """Give the exception of ours for one of the client library's; others are bugs and stay."""
    if isinstance(error, (StoreUnavailable, StoreFull)):
        return error
    text = str(error)
    if isinstance(error, redis.exceptions.OutOfMemoryError) or _OOM.search(text):
        return StoreFull()
    if isinstance(error, (*_AWAY, *_NOT_READY)) or text.startswith(_NOT_READY_WORDS):
        unavailable = StoreUnavailable()
        unavailable.__cause__ = error
        return unavailable
    return error
