"""Dramatiq's Redis broker that blocks instead of sleeping, with one count of free slots for all queues of a process.

The layout of keys and messages is Dramatiq's own: its stock broker reads what we enqueue, and the reverse.
"""

import contextlib
import threading
import time
from collections.abc import Iterable
from typing import Any

import dramatiq
import redis
from dramatiq.broker import Consumer, MessageProxy
from dramatiq.brokers.redis import RedisBroker

from fastprocesses_host.logs import get_logger
from fastprocesses_host.store import operations
from fastprocesses_host.store.client import Store, StoreFull, StoreUnavailable

BLOCK_SECONDS = 0.3
"""How long a consumer waits for a message before it looks whether it is to stop."""
_WAIT_SECONDS = 0.1
_AWAY_SECONDS = 0.3

log = get_logger()


class Slots:
    """How many jobs the process may still take on; who asks with the lowest rank is served first."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: list[int] = []
        self._changed = threading.Condition()

    def acquire(self, rank: int, timeout_seconds: float) -> bool:
        """Take a slot, or tell that none came free in time."""
        with self._changed:
            self._waiting.append(rank)
            try:
                taken = self._changed.wait_for(
                    lambda: self._free > 0 and min(self._waiting) >= rank, timeout=timeout_seconds
                )
            finally:
                self._waiting.remove(rank)
                self._changed.notify_all()
            self._free -= taken
            return taken

    def release(self) -> None:
        """Give a slot back."""
        with self._changed:
            self._free += 1
            self._changed.notify_all()


class QueueBroker(RedisBroker):
    """The broker of one worker process.

    Attributes:
        worker_id: Name under which this process fetches, claims and ticks.
        held: Messages that were fetched and whose jobs are not claimed yet, with their queues.
    """

    def __init__(self, store: Store, worker_id: str, queues: Iterable[str], slot_count: int) -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            client=store.redis, namespace=store.keys.namespace, middleware=[], maintenance_chance=0
        )
        self.store = store
        self.worker_id = worker_id
        self.held: dict[str, str] = {}
        self.slots = Slots(slot_count)
        self.ranks = {queue: rank for rank, queue in enumerate(queues)}
        self.draining = threading.Event()

    def let_go(self, job_id: str) -> None:
        """Count a message as fetched no longer: its job is claimed, or not to be had."""
        self.held.pop(job_id, None)

    def declare_queue(self, queue_name: str) -> None:
        """Declare a queue; without the delay queue that Dramatiq would poll beside it."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.emit_after("declare_queue", queue_name)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> "QueueConsumer":
        """Give the consumer of a queue; how much is fetched depends on the free slots alone."""
        return QueueConsumer(self, queue_name)


class QueueConsumer(Consumer):
    """Takes one message whenever there is a slot for it."""

    def __init__(self, broker: QueueBroker, queue_name: str) -> None:
        self._broker = broker
        self._queue = queue_name
        self._rank = broker.ranks[queue_name]
        self._connection: redis.Redis = broker.store.blocking_connection(BLOCK_SECONDS)
        self._is_away = False

    def __next__(self) -> MessageProxy | None:
        """Give the next message, or None so that the thread looks around."""
        if self._broker.draining.is_set():
            time.sleep(_WAIT_SECONDS)
            return None
        try:
            message = self._take()
            if message is None and not self._broker.draining.is_set():
                self._broker.store.wait_for_message(self._queue, BLOCK_SECONDS, self._connection)
        except (StoreUnavailable, StoreFull) as error:
            self._tell_away(error)
            return None
        self._tell_back()
        return message

    def ack(self, message: MessageProxy) -> None:
        """Free the slot; the message itself was acknowledged when its job was claimed."""
        self._broker.let_go(message.message_id)
        self._broker.slots.release()

    def nack(self, message: MessageProxy) -> None:
        """Free the slot; there is no second try of ours and no dead-letter queue."""
        self.ack(message)

    def requeue(self, messages: Iterable[Any]) -> None:
        """Give back what was fetched and not begun."""
        ids = [message.message_id for message in messages]
        if ids:
            with contextlib.suppress(
                StoreUnavailable
            ):  # then the store finds them when this worker's lease is over
                self._broker.store.run(operations.giveback(self._broker.worker_id, self._queue, ids))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _take(self) -> MessageProxy | None:
        if not self._broker.slots.acquire(self._rank, _WAIT_SECONDS):
            return None
        message = None
        try:
            fetched = self._broker.store.run(operations.fetch(self._broker.worker_id, self._queue, 1))
            if fetched:
                message = dramatiq.Message.decode(fetched[0])
                self._broker.held[message.message_id] = self._queue
        finally:
            if message is None:
                self._broker.slots.release()
        return None if message is None else MessageProxy(message)

    def _tell_away(self, error: Exception) -> None:
        if not self._is_away:
            log.warning("store away", queue=self._queue, reason=str(error))
        self._is_away = True
        self._connection.close()
        time.sleep(_AWAY_SECONDS)

    def _tell_back(self) -> None:
        if self._is_away:
            log.info("store back", queue=self._queue)
        self._is_away = False
