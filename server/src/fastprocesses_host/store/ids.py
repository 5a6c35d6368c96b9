"""Job ids: UUIDv7 on the store's clock, so that ids sort by time and `created` needs no field of its own."""

import os
import re
import threading
from functools import lru_cache

ID_LENGTH = 36
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
_LAST_MS = (1 << 48) - 1


_TAIL_BYTES = 8
_SEQUENCE_BYTES = 2
_RANDOM_BYTES = _TAIL_BYTES + _SEQUENCE_BYTES
_BYTES_AT_ONCE = 128 * _RANDOM_BYTES
"""Taken from the system together: each time it is asked costs as much as all the rest of an id."""
_TAIL = (1 << 62) - 1
_VERSION, _VARIANT = 0x7000 << 64, 0b10 << 62


class JobIds:
    """Makes ids that never go back, whatever the clock does; safe for threads, not for both sides of a fork.

    Attributes:
        last_ms: The time in the id that was made last.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.last_ms = 0
        self._sequence = 0
        self._random = b""
        self._used = 0

    def make(self, now_ms: int) -> str:
        """Give a new id for `now_ms`, milliseconds of the store's clock since 1970 (RFC 9562, 5.7)."""
        with self._lock:
            random, start = self._random, self._used
            if start >= len(random):
                self._random = random = os.urandom(_BYTES_AT_ONCE)
                start = 0
            end = self._used = start + _RANDOM_BYTES  # none of them twice
            if now_ms > self.last_ms:
                self.last_ms = now_ms
                self._sequence = int.from_bytes(random[start + _TAIL_BYTES : end], "big") & 0x7FF
            else:
                self._sequence += 1
                if self._sequence > 0xFFF:
                    self.last_ms, self._sequence = self.last_ms + 1, 0
            head = self.last_ms << 80 | self._sequence << 64 | _VERSION
        tail = int.from_bytes(random[start : start + _TAIL_BYTES], "big") & _TAIL | _VARIANT
        digits = (head | tail).to_bytes(16, "big").hex()
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


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
