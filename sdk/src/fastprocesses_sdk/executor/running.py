"""The job that runs in an executor: what it reports, thinned out and made fit to be sent."""

import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from fastprocesses_sdk.executor.protocol import Frame, Log, Order, Progress, plain

MOST_MESSAGE_CHARACTERS = 1000
MOST_LINE_CHARACTERS = 8192
_MOST_FIELDS = 64
_MOST_FIELD_CHARACTERS = 2048
MIN_PROGRESS_SECONDS = 0.02
_MAX_LOG_FRAMES = 10_000
_LARGEST_INTEGER = 2**53


class RunningJob:
    """What the running process reports; the `Reporter` of its Job.

    It may be called from any thread and at any time: what comes when the job is over goes nowhere, as does what
    comes from a copy of the process (a fork), whose words would get between those of the executor.
    """

    is_cancelled = False
    _is_over = False
    _percent: int | None = None
    _message: str | None = None
    _is_pending = False
    _sent_seconds = 0.0
    _log_frames = 0

    def __init__(
        self,
        send: Callable[[Frame], None],
        order: Order,
        min_progress_seconds: float = MIN_PROGRESS_SECONDS,
        process_id: int | None = None,
    ) -> None:
        self.job = order.job
        self.claim = order.claim
        self._send = send
        self._min_progress_seconds = min_progress_seconds
        self._process_id = process_id or os.getpid()
        self._lock = threading.Lock()

    def end(self) -> None:
        """Send what is left to tell; from now on nothing is."""
        if self._is_pending:
            self.flush_progress()
        self._is_over = True

    def cancelled(self) -> bool:
        """Whether the job was asked to stop, or is over already."""
        return self.is_cancelled or self._is_over

    def progress(self, percent: int | None, message: str | None) -> None:
        """Report progress; what comes too fast is sent a little later, the newest only."""
        if self._is_elsewhere:
            return
        with self._lock:
            self._percent = self._percent if percent is None else percent
            self._message = self._message if message is None else plain(message[:MOST_MESSAGE_CHARACTERS])
            self._is_pending = True
            is_due = time.monotonic() - self._sent_seconds >= self._min_progress_seconds
        if is_due:
            self.flush_progress()

    def flush_progress(self) -> None:
        """Send the newest progress that was not sent yet."""
        with self._lock:
            if not self._is_pending or self._is_over:
                return
            self._is_pending = False
            self._sent_seconds = time.monotonic()
            frame = Progress(self.job, self.claim, self._percent, self._message)
        self._send(frame)

    def log(self, level: str, text: str, fields: Mapping[str, Any]) -> None:
        """Report one log line; past the limit they are dropped, and the last one says so."""
        if self._is_elsewhere or self._is_over:
            return
        with self._lock:
            self._log_frames += 1
            number = self._log_frames
        if number < _MAX_LOG_FRAMES:
            text = plain(text[:MOST_LINE_CHARACTERS])
            self._send(Log(self.job, self.claim, level, text, plain_fields(fields)))
        elif number == _MAX_LOG_FRAMES:
            self._send(Log(self.job, self.claim, "warning", "The log is full; later lines are dropped."))

    @property
    def _is_elsewhere(self) -> bool:
        return os.getpid() != self._process_id


def plain_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Give fields that can be sent whatever they are: numbers, booleans and None as they are, the rest as text."""
    return {
        plain(str(name)[:_MOST_FIELD_CHARACTERS]): _plain_value(value)
        for name, value in list(fields.items())[:_MOST_FIELDS]
    }


def _plain_value(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    try:
        if isinstance(value, int) and abs(value) <= _LARGEST_INTEGER:
            return int(value)
        if isinstance(value, float) and value - value == 0:  # neither NaN nor infinite
            return float(value)
        return plain(str(value)[:_MOST_FIELD_CHARACTERS])
    except Exception:  # values whose text raises; an integer of too many digits
        return f"<{type(value).__name__}>"
