"""One run of one job, as the threads of a worker share it: what it reported, and whether it has to stop."""

import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec
from fastprocesses_sdk.executor.protocol import Input

from fastprocesses_host.engine import endings
from fastprocesses_host.engine.endings import Failed, Stopped
from fastprocesses_host.engine.executors import Executor
from fastprocesses_host.store import operations
from fastprocesses_host.store.client import Store
from fastprocesses_host.store.operations import Claimed, Outcome

Stop = Literal["dismissed", "superseded", "gone", "overtime", "drained"]
_MESSAGE_CHARACTERS = 1000
LINE_CHARACTERS = 8192
_STOPS: dict[str, Stop] = {
    "final": "dismissed",
    "superseded": "superseded",
    "gone": "gone",
    "overtime": "overtime",
}


class Later:
    """One thing that can wait until there is nothing better to do, as while an executor is at work.

    Nothing is lost: what is put there is done before something else is.
    """

    def __init__(self) -> None:
        self._call: Callable[[], object] | None = None

    def put(self, call: Callable[[], object]) -> None:
        """Keep what is to be done."""
        self.do()
        self._call = call

    def do(self) -> None:
        """Do it, if there is anything."""
        call = self._call
        if call is not None:
            self._call = None
            call()


class Run:
    """A claimed job while its process runs.

    Attributes:
        job_id: The job.
        claim: The right to it.
        stop: Why it has to stop; None while it may go on.
        is_untouched: No code of the process ran yet.
        fetched: The inputs that were given by reference, once they are here.
        fetched_folder: Where they lie; None: there are none.
        is_outdated: Something else was fetched than the requests that share the run were told is there.
        spent_seconds: What of the time of the job went by before its process could begin.
        later: What the thread of the run has left undone; to be done before anything is waited for.
    """

    # What most runs leave as it is stands here: it costs each of them nothing.
    stop: Stop | None = None
    is_untouched = True
    fetched_folder: Path | None = None
    is_outdated = False
    spent_seconds = 0.0
    _executor: Executor | None = None
    _has_reported = False
    """Something was reported; of most jobs nothing ever is."""
    _percent: int | None = None
    _message: str | None = None
    _lines: deque[bytes] | None = None

    def __init__(self, claimed: Claimed, max_log_lines: int, later: Later) -> None:
        self.claimed = claimed
        self.job_id = claimed.job_id
        self.claim = claimed.claim
        self.fetched: dict[str, Input] = {}
        self.later = later
        self._lock = threading.Lock()
        self._reporting = threading.Lock()
        self._max_log_lines = max_log_lines

    def attach(self, executor: Executor) -> None:
        """Name the executor to wake when the run has to stop; whoever attaches it looks at `stop` only then."""
        self._executor = executor

    def detach(self) -> None:
        """Have no executor woken from now on: it may serve another run, or be closed."""
        with self._lock:
            self._executor = None

    def ask_to_stop(self, why: Stop) -> None:
        """Tell the run to stop; the first reason stays."""
        with self._lock:
            self.stop = self.stop or why
            if self._executor is not None:
                self._executor.wake()

    def ask_to_stop_by(self, verdict: str) -> None:
        """Tell the run to stop for what a tick said of its job."""
        self.ask_to_stop(_STOPS[verdict])

    def progress(self, percent: int | None, message: str | None) -> None:
        """Keep the newest progress until it is taken."""
        with self._lock:
            self._has_reported = True
            self._percent = self._percent if percent is None else percent
            self._message = self._message if message is None else message[:_MESSAGE_CHARACTERS]

    def log(self, level: str, text: str, fields: dict[str, object] | None = None) -> None:
        """Keep a line of the job's log until it is taken."""
        line = {"time": time.time_ns() // 1_000_000, "level": level, "text": text[:LINE_CHARACTERS]}
        encoded = msgspec.json.encode({**line, "fields": fields} if fields else line, enc_hook=str)
        if len(encoded) > 2 * LINE_CHARACTERS:
            encoded = msgspec.json.encode(line)
        with self._lock:
            self._has_reported = True
            if self._lines is None:
                self._lines = deque(maxlen=self._max_log_lines)
            self._lines.append(encoded)

    def report(self, store: Store) -> Outcome:
        """Write what was reported since the last time, if anything was.

        Raises:
            StoreUnavailable, StoreFull: it is kept for the next time.
        """
        with self._reporting:
            return self._report(store)

    def _report(self, store: Store) -> Outcome:
        percent, message, lines = self.take()
        if percent is None and message is None and not lines:
            return "ok"
        operation = operations.progress(
            self.job_id,
            self.claim,
            percent=percent,
            message=message,
            lines=lines,
            max_log_lines=self._max_log_lines,
        )
        try:
            return store.run(operation)
        except Exception:
            self._put_back(percent, message, lines)
            raise

    def _put_back(self, percent: int | None, message: str | None, lines: list[bytes]) -> None:
        with self._lock:
            self._percent = percent if self._percent is None else self._percent
            self._message = message if self._message is None else self._message
            self._lines = deque([*lines, *(self._lines or ())], self._max_log_lines)

    def take_last(self) -> tuple[int | None, str | None, list[bytes]]:
        """Take what is left for the end of the run, once a report under way has been written or given back.

        Otherwise it could reach the store after the end, which takes no more lines.
        """
        if not self._has_reported:
            return None, None, []
        with self._reporting:
            return self.take()

    def take(self) -> tuple[int | None, str | None, list[bytes]]:
        """Take what was reported since the last time: percent, message, log lines."""
        with self._lock:
            taken = self._percent, self._message, list(self._lines or ())
            self._percent = self._message = self._lines = None
            return taken


def ending_of_stop(run: Run) -> Failed | Stopped | None:
    """Give the ending for the reason that a run has to stop; None if it has not."""
    if run.stop is None:
        return None
    if run.stop == "overtime":
        return endings.timed_out(run.claimed.limits)
    return Stopped(run.stop)


class Runs:
    """The runs that a worker is inside."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_job: dict[str, Run] = {}
        self._left = threading.Condition(self._lock)
        self._is_awaited = False
        """Somebody waits, or did, until no run is left."""

    def enter(self, run: Run) -> None:
        """Count a run as ours: from now on ticks renew its lease. An older one of its job has to stop."""
        with self._lock:
            older = self._by_job.get(run.job_id)
            self._by_job[run.job_id] = run
        if older is not None:
            older.ask_to_stop("superseded")

    def leave(self, run: Run) -> None:
        """Count a run no longer."""
        with self._lock:
            if self._by_job.get(run.job_id) is run:
                del self._by_job[run.job_id]
            if self._is_awaited and not self._by_job:
                self._left.notify_all()

    def get(self, job_id: str) -> Run | None:
        """Give the run of a job, if it is here."""
        with self._lock:
            return self._by_job.get(job_id)

    def stop(self, job_id: str, claim: str, verdict: str) -> None:
        """Tell the run of a claim to stop, for what a tick said of it; the job may have a newer run by then."""
        run = self.get(job_id)
        if run is not None and run.claim == claim:
            run.ask_to_stop_by(verdict)

    def all(self) -> list[Run]:
        """Give all runs."""
        with self._lock:
            return list(self._by_job.values())

    def wait_until_empty(self, timeout_seconds: float) -> bool:
        """Wait until no run is left; tell whether that came true."""
        with self._left:
            self._is_awaited = True
            return self._left.wait_for(lambda: not self._by_job, timeout=timeout_seconds)
