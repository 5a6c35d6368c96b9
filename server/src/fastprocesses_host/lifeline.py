"""How processes are bound to each other, where the kernel can do it; elsewhere these calls do nothing."""

import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def end_with_parent(death_signal: signal.Signals = signal.SIGKILL) -> None:
    """Have the kernel send `death_signal` to this process when the thread that started it ends (Linux only)."""
    _prctl(_PR_SET_PDEATHSIG, death_signal)


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends (Linux only)."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)
