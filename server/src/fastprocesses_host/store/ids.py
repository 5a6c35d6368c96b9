"""Job ids: UUIDv7 on the store's clock, so that ids sort by time and `created` needs no field of its own."""

import os
import re
from functools import lru_cache

ID_LENGTH = 36
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
_LAST_MS = (1 << 48) - 1


_AT_ONCE = 128
"""So many ids get their random digits together: one by one, asking and writing cost as much as all the rest."""
_VARIANT = bytes([0x80 | byte & 0x3F for byte in range(256)])
_NEVER = -1


class JobIds:
    """Makes ids that never go back, whatever the clock does; for one thread, and one side of a fork.

    Attributes:
        last_ms: The time in the id that was made last.
    """

    def __init__(self) -> None:
        self.last_ms = 0
        self._sequence = 0
        self._drawn: list[tuple[int, str]] = []
        self._era = _NEVER
        self._begin = ""

    def make(self, now_ms: int) -> str:
        """Give a new id for `now_ms`, milliseconds of the store's clock since 1970 (RFC 9562, 5.7)."""
        if not self._drawn:
            self._drawn = _drawn()
        sequence, end = self._drawn.pop()
        if now_ms > self.last_ms:
            self.last_ms, self._sequence = now_ms, sequence
        else:
            sequence = self._sequence = self._sequence + 1
            if sequence > 0xFFF:
                self.last_ms, self._sequence = self.last_ms + 1, 0
                sequence = 0
        time_ms = self.last_ms
        if time_ms >> 16 != self._era:  # a minute
            self._era = time_ms >> 16
            self._begin = f"{self._era:08x}-"
        middle = (time_ms & 0xFFFF) << 16 | 0x7000 | sequence
        return self._begin + middle.to_bytes(4, "big").hex("-", 2) + end


def _drawn() -> list[tuple[int, str]]:
    """Draw what is random in ids: where counting begins in a new millisecond, and the digits at the end."""
    random = os.urandom(10 * _AT_ONCE)
    fourths = bytearray(2 * _AT_ONCE)
    fourths[::2], fourths[1::2] = random[:_AT_ONCE].translate(_VARIANT), random[_AT_ONCE : 2 * _AT_ONCE]
    sequences = memoryview(random)[2 * _AT_ONCE : 4 * _AT_ONCE].cast("H")
    ends = zip(fourths.hex("-", 2).split("-"), random[4 * _AT_ONCE :].hex("-", 6).split("-"), strict=True)
    return [
        (sequence & 0x7FF, f"-{fourth}-{fifth}")
        for sequence, (fourth, fifth) in zip(sequences, ends, strict=True)
    ]


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
