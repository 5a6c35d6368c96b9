"""The clock of one program, moved by what the file `CHAOS_CLOCK` says: two doubles, for wall clock and monotonic."""

import mmap
import os
import struct
import time


def _move_clock(path: str) -> None:
    with open(path, "rb") as file:  # noqa: PTH123 - nothing is imported here that need not be
        offsets = mmap.mmap(file.fileno(), 16, access=mmap.ACCESS_READ)
    now, now_ns, monotonic = time.time, time.time_ns, time.monotonic

    def wall_seconds() -> float:
        return float(struct.unpack_from("d", offsets, 0)[0])

    time.time = lambda: now() + wall_seconds()
    time.time_ns = lambda: now_ns() + int(wall_seconds() * 1e9)
    time.monotonic = lambda: monotonic() + struct.unpack_from("d", offsets, 8)[0]


if "CHAOS_CLOCK" in os.environ:
    _move_clock(os.environ["CHAOS_CLOCK"])
