"""One worker process: its parts put together at boot, and taken apart in order when it stops."""

import contextlib
import hashlib
import multiprocessing
import os
import secrets
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

import msgspec
from dramatiq.broker import Broker
from dramatiq.middleware import Middleware
from dramatiq.worker import Worker as DramatiqWorker
from fastprocesses_sdk.description import Discovery, PluginRecord
from fastprocesses_sdk.memory import release_unused_memory
from msgspec.structs import replace

from fastprocesses_host import lifeline
from fastprocesses_host.engine.callbacks import Subscribers
from fastprocesses_host.engine.discovering import Discovering
from fastprocesses_host.engine.executors import Executors
from fastprocesses_host.engine.runner import Offer, Runner
from fastprocesses_host.engine.standing import settle
from fastprocesses_host.engine.tick import Ticker
from fastprocesses_host.exits import CHILD_CONFIGURATION
from fastprocesses_host.logs import configure_logging, get_logger
from fastprocesses_host.queue import QueueBroker
from fastprocesses_host.settings import PREFIX, Settings, SettingsError
from fastprocesses_host.slots import Slots
from fastprocesses_host.store import operations
from fastprocesses_host.store.announcements import Announcement
from fastprocesses_host.store.client import Store, StoreFull, StoreRefused, StoreUnavailable
from fastprocesses_host.store.keys import DEFAULT_QUEUE, queue_names
from fastprocesses_host.store.value_stores import open_values
from fastprocesses_host.store.values import Values

_SIGN_OFF_PAUSES_SECONDS = (0.0, 0.05, 0.2)
STOP_RESERVE_SECONDS = 4.0
"""What of `drain_seconds` is not for jobs: the host stops before, executors and threads after them."""

log = get_logger()
T = TypeVar("T")


def new_worker_id() -> str:
    """Give a name that no other worker process has or had."""
    return f"{os.uname().nodename}-{os.getpid()}-{secrets.token_hex(4)}"


class WorkerParts(Middleware):
    """Builds the engine when Dramatiq's worker boots, and drains it when that is told to stop."""

    def __init__(
        self, settings: Settings, store: Store, broker: QueueBroker, discovering: Discovering
    ) -> None:
        self._settings = settings
        self._discovering = discovering
        self._store = store
        self._broker = broker
        self._runner: Runner | None = None
        self._executors: Executors | None = None
        self._subscribers: Subscribers | None = None
        self._ticker: Ticker | None = None
        self._values: Values | None = None
        self._stop_seconds = 0.0
        self._offer = ""
        self._announced_at = 0
        self._discovery: Discovery | None = None

    @property
    def runner(self) -> Runner:
        """What runs jobs; there once the worker has booted."""
        assert self._runner is not None, "the worker has not booted"
        return self._runner

    @property
    def subscribers(self) -> Subscribers:
        """What calls subscribers; there once the worker has booted."""
        assert self._subscribers is not None, "the worker has not booted"
        return self._subscribers

    def before_worker_boot(self, _broker: Broker, worker: DramatiqWorker) -> None:
        """Announce what was discovered, start what the jobs need; exit where starting again would be of no use."""
        configure_logging(self._settings, "worker")
        for name in [name for name in os.environ if name.startswith(PREFIX)]:
            del os.environ[name]  # code of plugins runs in children of ours, and has no business in the store
        lifeline.end_with_parent()
        if _has_lost_parent():  # while it was starting: the kernel would send no signal any more
            os._exit(1)
        lifeline.adopt_orphans()
        self._drain_at_once_when_told()
        try:
            self._boot(min(self._settings.slot_count, worker.worker_threads))
            worker.worker_threads += 1  # it hands calls to subscribers over while all others run jobs
        except StoreRefused as error:
            log.critical("store refused", reason=str(error))
            raise SystemExit(CHILD_CONFIGURATION) from error
        except SettingsError as error:
            log.critical("settings refused", reason=str(error))
            raise SystemExit(CHILD_CONFIGURATION) from error
        except Exception as error:  # Dramatiq would only log it, and go on with half a worker
            log.exception("the worker could not start")
            raise SystemExit(1) from error

    def before_worker_shutdown(self, _broker: Broker, _worker: DramatiqWorker) -> None:
        """Finish, give back or release everything, within `drain_seconds` of the first signal."""
        self._drain()
        if self._subscribers is not None:
            self._subscribers.stop(self._left_seconds())

    def after_worker_shutdown(self, _broker: Broker, _worker: DramatiqWorker) -> None:
        """Sign off."""
        if self._ticker is not None:
            self._ticker.stop()
        if self._executors is not None:
            self._executors.close()
        if self._values is not None:
            self._values.close()
        self._sign_off()
        log.info("worker stopped")

    def _sign_off(self) -> None:
        """Give back what was taken and not begun; a connection may have been cut while this thread did not use it."""
        unheard = {claimed.claim for claimed in self._broker.taken.values()} | self._broker.claims.unheard
        for pause_seconds in _SIGN_OFF_PAUSES_SECONDS:
            time.sleep(pause_seconds)
            with contextlib.suppress(StoreUnavailable):
                self._store.run(operations.leave(self._broker.worker_id, self._offer, unheard))
                return
        log.warning("could not sign off", reason="store away")

    def _boot(self, slot_count: int) -> None:
        settings = self._settings
        self._broker.slots = Slots(slot_count)
        self._executors = Executors(settings, self._broker.worker_id)
        self._executors.warm()
        found = self._discovering.result()
        self._announced_at = self._patiently(self._store.check)
        settled = settle(found, self._store, settings.environment)
        discovery = self._discovery = with_wanted_schemes(settings, settled)
        for plugin in discovery.plugins:
            if plugin.state == "quarantined":
                log.warning("plugin quarantined", plugin=plugin.name, reason=plugin.reason)
        for stranger in settings.plugins.strangers(plugin.name for plugin in discovery.plugins):
            log.warning("settings of no plugin that is installed", where=stranger)
        self._broker.serve(served_queues(settings, discovery), settings.lease_seconds)
        self._values = open_values(settings, patience_seconds=settings.value_store_retry_seconds)
        digest = hashlib.sha256(msgspec.json.encode(discovery)).hexdigest()[:16]
        self._offer = f"{settings.environment}.{digest}"
        self._patiently(self._announce)
        self._runner = Runner(
            settings,
            self._store,
            self._executors,
            _offers(discovery),
            self._values,
            self._broker,
            _fetching(discovery),
        )
        self._subscribers = Subscribers(
            settings,
            self._store,
            self._values,
            {name: offer.process.description for name, offer in _offers(discovery).items()},
            self._broker.calls,
        )
        self._ticker = Ticker(
            settings,
            self._store,
            self._broker,
            self._executors,
            self._runner.runs,
            self._values,
            self._offer,
            self._announce,
        )
        self._ticker.start()
        release_unused_memory()
        log.info(
            "worker ready", worker=self._broker.worker_id, slots=slot_count, processes=len(_offers(discovery))
        )

    def _patiently(self, call: Callable[[], T]) -> T:
        """Call until the store answers; exit when the worker is told to stop meanwhile."""
        pause_seconds, is_told = 0.02, False
        while True:
            try:
                return call()
            except (StoreUnavailable, StoreFull) as error:
                if pause_seconds > 0.5 and not is_told:
                    log.warning("waiting for the store", reason=str(error.__cause__ or error))
                    is_told = True
            if self._broker.draining.is_set():
                raise SystemExit(0)
            time.sleep(pause_seconds)
            pause_seconds = min(pause_seconds * 1.5, 1.0)

    def _announce(self) -> None:
        assert self._discovery is not None
        announcement = Announcement(
            environment=self._settings.environment,
            announced_at=self._announced_at,
            discovery=self._discovery,
        )
        self._store.run(operations.announce(self._offer, msgspec.json.encode(announcement)))

    def _drain_at_once_when_told(self) -> None:
        """Begin to drain with the signal itself; Dramatiq looks at it only once a second."""
        if threading.current_thread() is not threading.main_thread():
            return
        before: Callable[[int, FrameType | None], object] | int | None = signal.getsignal(signal.SIGTERM)

        def begin(number: int, frame: FrameType | None) -> None:
            self._stop_seconds = self._stop_seconds or time.monotonic()
            self._broker.draining.set()
            if self._ticker is None:  # still booting: nothing to drain, and no reason to go on
                raise SystemExit(0)
            if callable(before):
                before(number, frame)

        signal.signal(signal.SIGTERM, begin)

    def _drain(self) -> None:
        self._broker.draining.set()
        if self._runner is None:
            return
        self._stop_seconds = self._stop_seconds or time.monotonic()
        if self._runner.runs.wait_until_empty(self._left_seconds()):
            return
        for run in self._runner.runs.all():
            run.ask_to_stop("drained")
        self._runner.runs.wait_until_empty(self._settings.cancel_grace_seconds + STOP_RESERVE_SECONDS / 2)

    def _left_seconds(self) -> float:
        """Give how long what is under way may go on after the worker was told to stop."""
        begun_seconds = self._stop_seconds or time.monotonic()
        for_jobs_seconds = max(self._settings.drain_seconds - STOP_RESERVE_SECONDS, 0.0)
        return max(begun_seconds + for_jobs_seconds - time.monotonic(), 0.0)


def served_queues(settings: Settings, discovery: Discovery) -> list[tuple[str, str]]:
    """Give the queues that a worker takes jobs from: those it was told, else all that its processes have."""
    declared = {offer.process.policy.queue or DEFAULT_QUEUE for offer in _offers(discovery).values()}
    for queue in settings.served_queues:
        if queue not in declared | {DEFAULT_QUEUE}:
            log.warning("queue of no process that is installed", queue=queue)
    served = settings.served_queues or (DEFAULT_QUEUE, *sorted(declared - {DEFAULT_QUEUE}))
    return [queue_names(settings.environment, queue) for queue in dict.fromkeys(served)]


def with_wanted_schemes(settings: Settings, discovery: Discovery) -> Discovery:
    """Leave out the schemes of URLs that the operator does not want plugins to fetch inputs from."""
    wanted = settings.wanted_reference_schemes
    for scheme in sorted(wanted - {"*"} - _fetching(discovery).keys()):
        log.warning("scheme of no plugin that is installed", scheme=scheme)
    if "*" in wanted:
        return discovery
    plugins = [
        replace(plugin, reference_schemes=[one for one in plugin.reference_schemes if one in wanted])
        for plugin in discovery.plugins
    ]
    return replace(discovery, plugins=plugins)


def _has_lost_parent() -> bool:
    parent = multiprocessing.parent_process()
    return parent is not None and os.getppid() != parent.pid


def _offers(discovery: Discovery) -> dict[str, Offer]:
    return {
        process.description.id: Offer(plugin, process)
        for plugin in discovery.plugins
        for process in plugin.processes
        if plugin.state == "loaded"
    }


def _fetching(discovery: Discovery) -> dict[str, PluginRecord]:
    return {
        scheme: plugin
        for plugin in discovery.plugins
        for scheme in plugin.reference_schemes
        if plugin.state == "loaded"
    }
