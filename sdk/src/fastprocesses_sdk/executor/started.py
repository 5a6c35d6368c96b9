"""Whether the code of a process began to run, as a byte that worker and executor share.

A frame would wake the worker for every job, long ones or short; the byte is looked at only where it matters, and is
true even of an executor that died in the moment after.
"""

import mmap


class StartMark:
    """One byte of memory that two processes share through a file."""

    def __init__(self, descriptor: int) -> None:
        self._memory = mmap.mmap(descriptor, 1)

    def set(self) -> None:
        """Say that process code runs from here on."""
        self._memory[0] = 1

    def clear(self) -> None:
        """Say that none of the next job's has."""
        self._memory[0] = 0

    @property
    def is_set(self) -> bool:
        """Whether process code ran since the mark was cleared."""
        return self._memory[0] == 1

    def close(self) -> None:
        """Give the memory back."""
        self._memory.close()
