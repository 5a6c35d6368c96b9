"""A worker under a supervisor: it reports that it is ready, and retires when it is told."""

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from dramatiq import Broker, Middleware, Worker

from fastprocesses_host.logs import get_logger
from fastprocesses_host.settings import REPORT_VARIABLE

_LOOK_SECONDS = 0.2

log = get_logger()


class Retirement(Middleware):
    """Tells when the worker is ready; at SIGUSR1 it takes no more jobs, and ends when those it has have ended.

    SIGTERM gives jobs `drain_seconds`. This gives them the time that they may run, because another worker is there
    already.
    """

    def __init__(self, take_no_more: Callable[[], None], is_idle: Callable[[], bool]) -> None:
        """Make the middleware.

        Args:
            take_no_more: Called in the main thread when the worker is to retire.
            is_idle: Whether the worker has neither jobs nor messages.
        """
        self._take_no_more = take_no_more
        self._is_idle = is_idle
        self._report_fd = int(os.environ.pop(REPORT_VARIABLE, "-1"))
        self._command_pid = os.getppid()

    def after_worker_boot(self, _broker: Broker, _worker: Worker) -> None:
        """Listen for the signal, and say that jobs are taken."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGUSR1, self._retire)
        if self._report_fd >= 0:
            with suppress(OSError):
                os.write(self._report_fd, b"{}\n")
                os.close(self._report_fd)

    def _retire(self, _number: int, _frame: object) -> None:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        self._take_no_more()
        threading.Thread(target=self._end_when_idle, name="retire", daemon=True).start()

    def _end_when_idle(self) -> None:
        log.info("worker retires")
        idle_looks = 0
        while idle_looks < 2:  # a message may be on its way from the queue to its job
            idle_looks = idle_looks + 1 if self._is_idle() else 0
            time.sleep(_LOOK_SECONDS)
        os.kill(self._command_pid, signal.SIGTERM)
