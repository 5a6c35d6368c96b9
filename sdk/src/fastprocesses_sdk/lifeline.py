"""How a child process ends with the one that started it."""

import _thread
import os
import signal
import sys
import threading

_PR_SET_PDEATHSIG = 1


def end_with_parent(parent: int | None = None) -> None:
    """Have the kernel kill this process when the thread that started it ends (Linux only).

    Args:
        parent: The process id of the parent; if it is no longer ours, we end at once.
    """
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if parent is not None and os.getppid() != parent:
        os._exit(1)


def end_family_of_this_process() -> None:
    """End this process at once, with everything in its group where there are groups."""
    if os.name == "posix":
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def interrupt_main_thread() -> None:
    """Raise KeyboardInterrupt in the main thread; from any thread."""
    if hasattr(signal, "pthread_kill"):  # this one wakes a thread that sleeps in a call to C, too
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        _thread.interrupt_main()
