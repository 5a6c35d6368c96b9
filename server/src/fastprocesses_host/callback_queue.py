"""Calls to subscribers as a Dramatiq queue: taken when they are due, few at a time, fewer to one host."""

import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

import dramatiq
from dramatiq.broker import Consumer, MessageProxy

from fastprocesses_host.logs import get_logger
from fastprocesses_host.slots import Slots
from fastprocesses_host.store.callbacks import Call, next_call
from fastprocesses_host.store.client import Store, StoreFull, StoreUnavailable
from fastprocesses_host.store.keys import CALLBACK_QUEUE

ACTOR = "deliver_callbacks"
_BLOCK_SECONDS = 0.3
_WAIT_SECONDS = 0.1
_AWAY_SECONDS = 0.3
_LEASE_RESERVE_SECONDS = 10.0
"""What a call takes beside its time, until its outcome is told."""

log = get_logger()


class Calls:
    """The calls that a worker process has under way.

    Args:
        worker_id: Whose.
        most: At a time; a quarter of them to one host.
        timeout_seconds: How long one may take.
    """

    def __init__(self, worker_id: str, most: int, timeout_seconds: float) -> None:
        self.slots = Slots(most)
        self._worker_id = worker_id
        self._most_in_lane = max(most // 4, 1)
        self._lease_seconds = timeout_seconds + _LEASE_RESERVE_SECONDS
        self._changed = threading.Condition()
        self._out: dict[str, Call] = {}

    def take(self, store: Store) -> Call | None:
        """Take the next call that is due and may be made now.

        Raises:
            StoreUnavailable, StoreFull: none is known.
        """
        claim = f"{self._worker_id}.{secrets.token_hex(8)}"
        call = store.run(next_call(claim, lease_seconds=self._lease_seconds, busy=self._busy()))
        if call is not None:
            with self._changed:
                self._out[claim] = call
        return call

    def of(self, claim: str) -> Call | None:
        """Give the call of a claim, if it is under way here."""
        return self._out.get(claim)

    def leave(self, claim: str) -> None:
        """Count a call as no longer under way; its slot is given back by itself."""
        with self._changed:
            self._out.pop(claim, None)
            self._changed.notify_all()

    def wait_until_none(self, timeout_seconds: float) -> bool:
        """Wait until no call is under way; tell whether that came true."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._out, timeout=timeout_seconds)

    def _busy(self) -> list[str]:
        with self._changed:
            lanes = Counter(call.lane for call in self._out.values())
        return [lane for lane, count in lanes.items() if count >= self._most_in_lane]


class CallConsumer(Consumer):
    """Waits until calls may be due, and takes one whenever there is a slot for it."""

    def __init__(self, store: Store, calls: Calls, draining: threading.Event) -> None:
        self._store = store
        self._calls = calls
        self._draining = draining

    def __next__(self) -> MessageProxy | None:
        """Give the next call as a message, or None so that the thread looks around."""
        if self._draining.is_set():
            time.sleep(_WAIT_SECONDS)
            return None
        try:
            return self._take() if self._may_take() else None
        except (StoreUnavailable, StoreFull):  # the consumers of jobs tell
            time.sleep(_AWAY_SECONDS)
            return None

    def ack(self, message: MessageProxy) -> None:
        """Do nothing: whoever makes the call gives the slot back."""

    def nack(self, message: MessageProxy) -> None:
        """Do nothing: a call that is not made is due again when its lease is over."""

    def requeue(self, messages: Iterable[Any]) -> None:
        """Do nothing, as there is nothing to put back."""

    def close(self) -> None:
        """Do nothing: the connection is that of the thread."""

    def _may_take(self) -> bool:
        is_waiting = self._store.wait_for_message(CALLBACK_QUEUE, _BLOCK_SECONDS)
        return is_waiting and self._calls.slots.acquire(0, _WAIT_SECONDS)

    def _take(self) -> MessageProxy | None:
        call = None
        try:
            call = self._calls.take(self._store)
        finally:
            if call is None:
                self._calls.slots.release()
        return None if call is None else MessageProxy(_message_of(call))


def _message_of(call: Call) -> dramatiq.Message[Any]:
    """Give the message that has a call made: it names the claim and nothing else."""
    return dramatiq.Message(
        queue_name=CALLBACK_QUEUE,
        actor_name=ACTOR,
        args=(call.claim,),
        kwargs={},
        options={"redis_message_id": call.claim},
        message_id=call.claim,
    )
