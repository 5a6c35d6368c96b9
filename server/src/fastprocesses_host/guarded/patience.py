"""How long an exchange may take, and whether it is wanted still: what every wait for the network asks."""

import time
from collections.abc import Callable

from fastprocesses_host.guarded.errors import Cancelled, TooSlow

LOOK_SECONDS = 0.2
"""How long one wait lasts at most before it is asked again whether to go on."""
_LEAST_BYTES = 1024


class Patience:
    """The deadlines of one exchange, redirects included.

    Args:
        total_seconds: How long all may take.
        stall_seconds: Within any such time 1 KiB has to come.
        cancelled: Whether nobody wants the answer any more.
    """

    def __init__(self, total_seconds: float, stall_seconds: float, cancelled: Callable[[], bool]) -> None:
        self._total_seconds = total_seconds
        self._until_seconds = time.monotonic() + total_seconds
        self._stall_seconds = stall_seconds
        self._cancelled = cancelled
        self._window_bytes = 0
        self._window_until_seconds = 0.0
        self.begin()

    def begin(self) -> None:
        """Count anew from here whether enough comes."""
        self._window_bytes = 0
        self._window_until_seconds = time.monotonic() + self._stall_seconds

    def came(self, count: int) -> None:
        """Take into account that bytes have come or gone."""
        self._window_bytes += count
        if self._window_bytes >= _LEAST_BYTES:
            self.begin()

    def next_wait_seconds(self, step_until_seconds: float = float("inf")) -> float:
        """Give how long to wait now before asking again.

        Args:
            step_until_seconds: Until when this one step may take, by the monotonic clock.

        Raises:
            Cancelled, TooSlow: there is no more waiting.
        """
        if self._cancelled():
            raise Cancelled("It was given up.")
        now = time.monotonic()
        if now >= self._until_seconds:
            raise TooSlow(f"It took longer than {self._total_seconds:g} s.")
        if now >= min(self._window_until_seconds, step_until_seconds):
            raise TooSlow("The host took too long to answer, or sent next to nothing for too long.")
        until_seconds = min(self._until_seconds, self._window_until_seconds, step_until_seconds)
        return max(min(until_seconds - now, LOOK_SECONDS), 0.001)
