"""What a crash left on the disk and nobody will finish: deleted before anything is started that could be at it."""

import contextlib
from pathlib import Path


def remove_unfinished(folder: Path) -> int:
    """Delete what was being written to a folder of values; tell how many files that were.

    Only where no host or worker uses the folder now.
    """
    count = 0
    for file in folder.glob("??/.*") if folder.is_dir() else ():
        with contextlib.suppress(OSError):
            file.unlink()
            count += 1
    return count
