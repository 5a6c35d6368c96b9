"""A worker's signs of life, and what it does for all: recovering, expiring, deleting garbage."""

import threading
import time
from collections.abc import Callable

from fastprocesses_host.engine import endings
from fastprocesses_host.engine.executors import Executors
from fastprocesses_host.engine.garbage import Garbage
from fastprocesses_host.engine.run import Runs
from fastprocesses_host.logs import get_logger
from fastprocesses_host.queue import QueueBroker
from fastprocesses_host.settings import Settings
from fastprocesses_host.store import operations
from fastprocesses_host.store.client import Store, StoreFull, StoreUnavailable
from fastprocesses_host.store.values import Values

REPORT_SECONDS = 0.2
"""Progress and log lines of a job reach its record at most so often."""
_EXPIRING_SHARE = 0.5
"""Of a tick, at most: removing is not urgent, telling the store of running jobs is."""
_REAP_SECONDS = 5.0

log = get_logger()


class Ticker:
    """The threads of a worker that tell the store of running jobs, so that no job waits for the store."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        broker: QueueBroker,
        executors: Executors,
        runs: Runs,
        values: Values | None,
        offer: str,
        announce: Callable[[], object],
    ) -> None:
        self._settings = settings
        self._store = store
        self._broker = broker
        self._executors = executors
        self._runs = runs
        self._garbage = Garbage(store, values) if values is not None else None
        self._offer = offer
        self._announce = announce
        self._stopped = threading.Event()
        self._is_away = False
        self._next_reap_seconds = time.monotonic()
        self._threads = [
            threading.Thread(target=loop, name=loop.__name__.strip("_"), daemon=True)
            for loop in (self._tick, self._report, self._listen)
        ]

    def start(self) -> None:
        """Start ticking."""
        for thread in self._threads:
            thread.start()
        if self._garbage is not None:
            self._garbage.start()

    def stop(self) -> None:
        """Stop ticking; runs that are left lose their leases in time."""
        self._stopped.set()
        if self._garbage is not None:
            self._garbage.stop()
        for thread in self._threads[:2]:  # the one that listens is waiting for a message, and writes nothing
            thread.join(timeout=1.0)

    def _tick(self) -> None:
        while not self._stopped.is_set():
            begun_seconds = time.monotonic()
            try:
                self._tick_once()
            except (StoreUnavailable, StoreFull) as error:
                self._tell_away(error)
            except Exception:
                log.exception("a tick failed")
            else:
                self._is_away = False
            spent_seconds = time.monotonic() - begun_seconds
            self._stopped.wait(max(self._settings.tick_seconds - spent_seconds, 0.05))

    def _tick_once(self) -> None:
        taken = {claimed.job_id: claimed.claim for claimed in list(self._broker.taken.values())}
        claims = taken | {run.job_id: run.claim for run in self._runs.all()}
        operation = operations.tick(
            self._broker.worker_id,
            lease_seconds=self._settings.lease_seconds,
            offer=self._offer,
            claims=claims,
        )
        answer = self._store.run(operation)
        for job_id, verdict in answer.stop.items():
            self._runs.stop(job_id, claims[job_id], verdict)
        if not answer.knows_offer:  # the store has lost its data
            self._announce()
        if answer.may_recover:
            self._keep_house()
        if time.monotonic() >= self._next_reap_seconds:
            self._next_reap_seconds = time.monotonic() + _REAP_SECONDS
            self._executors.end_left_behind()
            self._executors.see_families()

    def _keep_house(self) -> None:
        """Recover, expire and delete, a bounded amount."""
        recover = operations.recover(
            lease_seconds=self._settings.lease_seconds,
            retry_seconds=self._settings.retry_seconds,
            worker_lost=endings.worker_lost(),
            no_worker=endings.no_worker(),
        )
        recovered = self._store.run(recover)
        if recovered:
            log.warning("recovered jobs", count=recovered)
        self._expire()
        if self._garbage is not None:
            self._garbage.go_on()

    def _expire(self) -> None:
        """Remove what is past its time, in many small steps: between them the store answers others."""
        until_seconds = time.monotonic() + self._settings.tick_seconds * _EXPIRING_SHARE
        while self._store.run(operations.expire()) == operations.EXPIRE_AT_ONCE:
            if time.monotonic() >= until_seconds or self._stopped.is_set():
                break

    def _report(self) -> None:
        while not self._stopped.wait(REPORT_SECONDS):
            for run in self._runs.all():
                try:
                    outcome = run.report(self._store)
                except (StoreUnavailable, StoreFull):
                    continue
                except Exception:
                    log.exception("a report failed", job_id=run.job_id)
                    continue
                if outcome != "ok":
                    run.ask_to_stop_by(outcome)

    def _listen(self) -> None:
        """Hear of dismissals at once; the tick would tell them too, a little later."""
        while not self._stopped.is_set():
            try:
                for job_id in self._store.listen(self._store.keys.stop, self._stopped):
                    run = self._runs.get(job_id.decode()) if job_id else None
                    if run is not None:
                        run.ask_to_stop("dismissed")
            except Exception:
                log.exception("listening failed")
                self._stopped.wait(1.0)

    def _tell_away(self, error: Exception) -> None:
        if not self._is_away:
            log.warning("store away", reason=str(error))
        self._is_away = True
