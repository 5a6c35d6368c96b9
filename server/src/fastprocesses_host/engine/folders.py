"""The folder in which a worker's executors have theirs; what killed workers left is deleted by the next one."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_PREFIX = "fastprocesses-work-"
_MARK = "held"


def held_folder() -> tuple[Path, BinaryIO]:
    """Make a folder, and a mark in it that is locked for as long as it is open, at most as this process lives."""
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    mark = (folder / ".mark").open("wb")
    fcntl.flock(mark, fcntl.LOCK_EX)
    (folder / ".mark").rename(folder / _MARK)  # nobody ever sees one that is not locked
    return folder, mark


def remove_abandoned() -> int:
    """Delete the folders of workers that are gone; tell how many there were."""
    count = 0
    for folder in _abandoned():
        shutil.rmtree(folder, ignore_errors=True)
        count += 1
    return count


def _abandoned() -> Iterator[Path]:
    for mark in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_MARK}"):
        with contextlib.suppress(OSError):  # somebody else's, or held
            if mark.parent.lstat().st_uid != os.getuid() or mark.parent.is_symlink():
                continue
            with mark.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield mark.parent
