"""Job ids: UUIDv7 on the store's clock, so that ids sort by time and `created` needs no field of its own."""

import os
import re
import threading
from functools import lru_cache

ID_LENGTH = 36
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
_LAST_MS = (1 << 48) - 1


_RANDOM_DIGITS = 16
_SEQUENCE_DIGITS = 3
_DIGITS = _RANDOM_DIGITS + _SEQUENCE_DIGITS
_DIGITS_AT_ONCE = 128 * _DIGITS
"""Taken from the system together: each time it is asked costs as much as all the rest of an id."""
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


class JobIds:
    """Makes ids that never go back, whatever the clock does; safe for threads, not for both sides of a fork."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0
        self._sequence = 0
        self._random = ""
        self._used = 0

    def make(self, now_ms: int) -> str:
        """Give a new id for `now_ms`, milliseconds of the store's clock since 1970 (RFC 9562, 5.7)."""
        with self._lock:
            digits = self._digits()
            if now_ms > self._last:
                self._last, self._sequence = now_ms, int(digits[_RANDOM_DIGITS:], 16) & 0x7FF
            else:
                self._sequence += 1
                if self._sequence > 0xFFF:
                    self._last, self._sequence = self._last + 1, 0
            time_ms, sequence = self._last, self._sequence
        head = f"{time_ms:012x}"
        return f"{head[:8]}-{head[8:]}-7{sequence:03x}-{_VARIANT[digits[0]]}{digits[1:4]}-{digits[4:_RANDOM_DIGITS]}"

    def _digits(self) -> str:
        """Give the random digits of an id, none of them twice."""
        start = self._used
        if start >= len(self._random):
            self._random, start = os.urandom(_DIGITS_AT_ONCE // 2).hex(), 0
        self._used = start + _DIGITS
        return self._random[start : self._used]


@lru_cache(maxsize=256)
def created_ms(job_id: str) -> int:
    """Give the time in an id, in milliseconds since 1970.

    Raises:
        ValueError: it is not an id of ours.
    """
    if not is_job_id(job_id):
        raise ValueError(f"{job_id!r} is not a job id.")
    return ms_in(job_id)


def ms_in(job_id: str) -> int:
    """Give the same of an id that is certainly one of ours."""
    return int(job_id[:8] + job_id[9:13], 16)


def first_id_of(ms: int) -> str:
    """Give what sorts before every id of a time and of later ones, and after the ids of earlier ones.

    Args:
        ms: Milliseconds since 1970; what no id can tell counts as the nearest that one can.
    """
    digits = f"{min(max(ms, 0), _LAST_MS):012x}"
    return f"{digits[:8]}-{digits[8:]}-"


def is_job_id(text: str) -> bool:
    """Tell whether a text has the form of our ids; what has not is never asked of the store."""
    return _ID.fullmatch(text) is not None
