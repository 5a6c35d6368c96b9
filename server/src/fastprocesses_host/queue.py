"""Dramatiq's Redis broker that blocks instead of sleeping, with one count of free slots for all queues of a process.

The layout of keys and messages is Dramatiq's own: its stock broker reads what we enqueue, and the reverse.
"""

import itertools
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import dramatiq
from dramatiq.broker import Consumer, MessageProxy
from dramatiq.brokers.redis import RedisBroker

from fastprocesses_host.callback_queue import CallConsumer, Calls
from fastprocesses_host.logs import get_logger
from fastprocesses_host.slots import Slots
from fastprocesses_host.store import operations
from fastprocesses_host.store.client import Store, StoreFull, StoreUnavailable
from fastprocesses_host.store.keys import CALLBACK_QUEUE
from fastprocesses_host.store.operations import Claimed, Slot

BLOCK_SECONDS = 0.3
"""How long a consumer waits for a message before it looks whether it is to stop."""
_WAIT_SECONDS = 0.1
_AWAY_SECONDS = 0.3

log = get_logger()


class Claims:
    """The rights to jobs that a worker process makes.

    Attributes:
        unheard: Those under which a job may have been taken, by an answer that is still to come.
    """

    def __init__(self, worker_id: str) -> None:
        self.unheard: set[str] = set()
        self._start = f"{worker_id}."
        self._counts = itertools.count(1)

    def new(self) -> str:
        """Give the right to a job that is to be taken; it counts as unheard until `heard`.

        A count makes it unique, as no other worker has, or had, the id.
        """
        claim = f"{self._start}{next(self._counts)}"
        self.unheard.add(claim)
        return claim

    def heard(self, claim: str) -> None:
        """Count a claim as answered: a job came with it, or none."""
        self.unheard.discard(claim)


class QueueBroker(RedisBroker):
    """The broker of one worker process.

    Attributes:
        worker_id: Name under which this process takes jobs and ticks.
        taken: Jobs that were taken and whose runs have not begun yet.
        claims: The rights to them.
        asking: Who asks for jobs here, each time with another queue that comes first; endless once it serves.
        calls: Calls to subscribers that are under way.
    """

    def __init__(self, store: Store, worker_id: str, slot_count: int, calls: Calls) -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            client=store.redis, namespace=store.keys.namespace, middleware=[], maintenance_chance=0
        )
        self.store = store
        self.worker_id = worker_id
        self.taken: dict[str, Claimed] = {}
        self.claims = Claims(worker_id)
        self.slots = Slots(slot_count)
        self.calls = calls
        self.ranks: dict[str, int] = {}
        self.asking: Iterator[Slot] = iter(())
        self.draining = threading.Event()

    def serve(self, queues: Sequence[tuple[str, str]], lease_seconds: float) -> None:
        """Take jobs from these queues alone: those that somebody waits for first, of each kind from all in turn.

        And calls to subscribers, which take no job's place.

        Args:
            queues: As `queue_names` gives them.
            lease_seconds: How long the worker may be silent about a job before it is taken away.
        """
        self.queues.clear()
        self.ranks = {queue: rank for pair in queues for rank, queue in enumerate(pair)}
        orders = [(*queues[start:], *queues[:start]) for start in range(len(queues))]
        slots = [
            Slot(
                queues=(*(first for first, _ in order), *(second for _, second in order)),
                lease_seconds=lease_seconds,
            )
            for order in orders
        ]
        self.asking = itertools.cycle(slots)
        for queue in (*self.ranks, CALLBACK_QUEUE):
            self.declare_queue(queue)

    def declare_queue(self, queue_name: str) -> None:
        """Declare a queue; without the delay queue that Dramatiq would poll beside it."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.emit_after("declare_queue", queue_name)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> Consumer:
        """Give the consumer of a queue; how much is taken depends on the free slots alone."""
        if queue_name == CALLBACK_QUEUE:
            return CallConsumer(self.store, self.calls, self.draining)
        return QueueConsumer(self, queue_name)


class QueueConsumer(Consumer):
    """Waits for its queue, and takes one job whenever there is a slot for it: of any queue, in their order."""

    def __init__(self, broker: QueueBroker, queue_name: str) -> None:
        self._broker = broker
        self._queue = queue_name
        self._rank = broker.ranks[queue_name]
        self._is_away = False
        self._claim = ""
        """What an answer is still to come for; its slot is kept."""

    def __next__(self) -> MessageProxy | None:
        """Give the next job as a message, or None so that the thread looks around."""
        if self._broker.draining.is_set():
            time.sleep(_WAIT_SECONDS)
            return None
        try:
            message = self._take() if self._may_take() else None
        except (StoreUnavailable, StoreFull) as error:
            self._tell_away(error)
            return None
        self._tell_back()
        return message

    def _may_take(self) -> bool:
        """Wait until the queue has a message and there is a slot for its job, each for a while."""
        if self._claim:  # whose answer is still to come, and whose slot is kept
            return True
        is_waiting = self._broker.store.wait_for_message(self._queue, BLOCK_SECONDS)
        return is_waiting and self._broker.slots.acquire(self._rank, _WAIT_SECONDS)

    def ack(self, message: MessageProxy) -> None:
        """Free the slot; the message itself was acknowledged when its job was taken."""
        self._broker.slots.release()

    def nack(self, message: MessageProxy) -> None:
        """Free the slot; there is no second try of ours and no dead-letter queue."""
        self.ack(message)

    def requeue(self, messages: Iterable[Any]) -> None:
        """Leave what was taken and not begun to the worker, which gives it back when it signs off."""

    def close(self) -> None:
        """Do nothing: the connection is that of the thread."""

    def _take(self) -> MessageProxy | None:
        is_again = bool(self._claim)
        self._claim = self._claim or self._broker.claims.new()
        claimed = self._broker.store.run(
            operations.take(next(self._broker.asking), self._claim, is_again=is_again)
        )
        if claimed is not None:
            self._broker.taken[claimed.job_id] = claimed  # before it counts as heard: a tick keeps its lease
        self._broker.claims.heard(self._claim)
        self._claim = ""
        if claimed is None:
            self._broker.slots.release()
            return None
        return MessageProxy(message_of(claimed.job_id, self._queue))

    def _tell_away(self, error: Exception) -> None:
        if not self._is_away:
            log.warning("store away", queue=self._queue, reason=str(error))
        self._is_away = True
        time.sleep(_AWAY_SECONDS)

    def _tell_back(self) -> None:
        if self._is_away:
            log.info("store back", queue=self._queue)
        self._is_away = False


def message_of(job_id: str, queue_name: str) -> dramatiq.Message[Any]:
    """Give the message that runs a job: it names the job and nothing else."""
    return dramatiq.Message(
        queue_name=queue_name,
        actor_name="run_job",
        args=(job_id,),
        kwargs={},
        options={"redis_message_id": job_id},
        message_id=job_id,
    )
