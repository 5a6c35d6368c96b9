"""A count of free places that the threads of a process share."""

import threading


class Slots:
    """How much the process may still take on; who asks with the lowest rank is served first."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: list[int] = []
        self._changed = threading.Condition()

    def acquire(self, rank: int, timeout_seconds: float) -> bool:
        """Take a slot, or tell that none came free in time."""
        with self._changed:
            self._waiting.append(rank)
            try:
                taken = self._changed.wait_for(
                    lambda: self._free > 0 and min(self._waiting) >= rank, timeout=timeout_seconds
                )
            finally:
                self._waiting.remove(rank)
                self._changed.notify_all()
            self._free -= taken
            return taken

    def release(self) -> None:
        """Give a slot back."""
        with self._changed:
            self._free += 1
            self._changed.notify_all()
