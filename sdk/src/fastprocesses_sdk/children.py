"""Children: how a process that was started here is ended with all it started, and how its end is told."""

import contextlib
import os
import signal
import subprocess
from typing import Any

HAS_GROUPS = os.name == "posix"
"""Whether a process and all it starts can be ended together."""

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
"""What tells libraries that compute how many threads to start."""

_WINDOWS_CRASHES = {0xC0000005: "access violation", 0xC00000FD: "stack overflow", 0xC0000409: "abort"}


def end_family(child: "subprocess.Popen[Any]") -> None:
    """Kill a child that leads a session of its own, with everything in it, and reap it."""
    with contextlib.suppress(OSError):
        if HAS_GROUPS:
            os.killpg(child.pid, signal.SIGKILL)
        else:
            child.kill()
    child.wait()


def how_it_ended(returncode: int) -> str:
    """Tell the end of a process, as `crashed the process (SIGSEGV)`."""
    if returncode < 0:
        return f"crashed the process ({_signal_name(-returncode)})"
    if returncode in _WINDOWS_CRASHES:
        return f"crashed the process ({_WINDOWS_CRASHES[returncode]})"
    return f"ended the process with exit code {returncode}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
