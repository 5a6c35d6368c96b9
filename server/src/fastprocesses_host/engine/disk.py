"""What a running job writes into its folder: looked at again and again, so that none fills the disk."""

import os
import time
from pathlib import Path

from fastprocesses_host.engine import endings
from fastprocesses_host.engine.endings import Failed
from fastprocesses_host.store.rooms import free_bytes

_LOOK_SECONDS = 0.25
_SHARE = 20
"""Looking takes no more than this part of the time."""
_BLAMED_BYTES = 64 * 1024 * 1024
"""Who has less in its folder is not to blame for a disk that is nearly full."""
_BLOCK_BYTES = 512


class DiskWatch:
    """The disk that one job uses.

    Args:
        folder: Of the job.
        most_bytes: It may have there; 0: any number.
        min_free_bytes: What stays free for others.
    """

    def __init__(self, folder: Path, *, most_bytes: int, min_free_bytes: int) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._min_free_bytes = min_free_bytes
        self._due_seconds = 0.0
        self._used_bytes = 0

    def ending(self) -> Failed | None:
        """Give the ending of a job that has to stop for what it wrote; None where all is well, or was just now."""
        begun_seconds = time.monotonic()
        if begun_seconds < self._due_seconds:
            return None
        before_bytes, self._used_bytes = self._used_bytes, used_bytes(self._folder)
        spent_seconds = time.monotonic() - begun_seconds
        self._due_seconds = begun_seconds + max(_LOOK_SECONDS, _SHARE * spent_seconds)
        if self._most_bytes and self._used_bytes > self._most_bytes:
            return endings.too_much_disk(self._used_bytes, self._most_bytes)
        is_growing = self._used_bytes > max(before_bytes, _BLAMED_BYTES)
        if is_growing and free_bytes(self._folder) < self._min_free_bytes:
            return endings.disk_full()
        return None


def used_bytes(folder: Path) -> int:
    """Give what a folder takes on its disk, with all below; what vanishes meanwhile does not count."""
    total, folders = 0, [os.fspath(folder)]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    total += entry.stat(follow_symlinks=False).st_blocks * _BLOCK_BYTES
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
        except OSError:
            continue
    return total
