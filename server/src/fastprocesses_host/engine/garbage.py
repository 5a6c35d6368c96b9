"""What is left in the value store: values of jobs that are gone, and what crashes left; deleted in a thread."""

import contextlib
import itertools
import threading
import time
from collections.abc import Iterator

from fastprocesses_host.logs import get_logger
from fastprocesses_host.store import operations
from fastprocesses_host.store.client import Store, StoreFull, StoreUnavailable
from fastprocesses_host.store.values import NoSuchValue, Values, ValuesAway

AT_ONCE = 100
_SWEEP_SECONDS = 3600.0

log = get_logger()


class Garbage:
    """Deletes what is of no use any more, some at a time, whenever it is told that it may.

    In a thread of its own: a value store that is slow, or away, keeps nobody waiting.
    """

    def __init__(self, store: Store, values: Values) -> None:
        self._store = store
        self._values = values
        self._may_go_on = threading.Event()
        self._is_stopped = False
        self._is_away = False
        self._next_sweep_seconds = time.monotonic()
        self._old_values: Iterator[tuple[str, str]] | None = None
        self._thread = threading.Thread(target=self._run, name="garbage", daemon=True)

    def start(self) -> None:
        """Start waiting for the first time."""
        self._thread.start()

    def go_on(self) -> None:
        """Delete some more; who says so knows that the store is sound."""
        self._may_go_on.set()

    def stop(self) -> None:
        """Stop; what is left is left to other workers, or to the next."""
        self._is_stopped = True
        self._may_go_on.set()
        self._thread.join(timeout=1.0)  # longer only where a network is waited for, which nobody else has to

    def collect(self) -> None:
        """Delete some.

        Raises:
            ValuesAway, StoreUnavailable, StoreFull: the rest is for another time.
        """
        self._delete_listed()
        self._sweep()

    def _run(self) -> None:
        while self._may_go_on.wait() and not self._is_stopped:
            self._may_go_on.clear()
            try:
                self.collect()
            except ValuesAway as error:
                if not self._is_away:
                    log.warning("value store away", reason=error.reason)
                self._is_away = True
            except (StoreUnavailable, StoreFull):
                continue  # the tick tells
            except Exception:
                log.exception("garbage was not deleted")
            else:
                self._is_away = False

    def _delete_listed(self) -> None:
        """Delete values of jobs that expired or were deleted."""
        key, some = self._store.keys.garbage, AT_ONCE
        while some == AT_ONCE and not self._is_stopped:  # they count no longer: the disk is to be free soon
            locations = self._store.command("SRANDMEMBER", key, AT_ONCE)
            some = len(locations)
            for location in locations:
                with contextlib.suppress(NoSuchValue):  # of another value store, that was used before
                    self._values.delete(location.decode())
                self._store.command("SREM", key, location)

    def _sweep(self) -> None:
        """Look at some old values, and delete those that nobody has: a crash may have left them."""
        if self._old_values is None and time.monotonic() >= self._next_sweep_seconds:
            self._next_sweep_seconds = time.monotonic() + _SWEEP_SECONDS
            self._old_values = self._values.orphans()
        if self._old_values is None:
            return
        try:
            some = list(itertools.islice(self._old_values, AT_ONCE))
            for location in self._store.run(operations.unowned(some)) if some else ():
                self._values.delete(location)
        except ValuesAway:
            self._old_values = None  # from the beginning, when its time has come again
            raise
        if len(some) < AT_ONCE:
            self._old_values = None
