"""Processes of the operating system: how death is seen, what a family uses, how it is ended."""

import contextlib
import os
import select
import signal
import sys

import psutil

_ROUNDS = 100


def death_descriptor(pid: int) -> int:
    """Give a descriptor that becomes readable when the process ends, before it is reaped."""
    if sys.platform == "linux":
        return os.pidfd_open(pid)
    queue = select.kqueue()
    event = select.kevent(pid, select.KQ_FILTER_PROC, select.KQ_EV_ADD, select.KQ_NOTE_EXIT)
    queue.control([event], 0)
    return os.dup(queue.fileno())


def memory_bytes(pid: int) -> int:
    """Give the resident memory of a process and all its descendants; 0 when it is gone."""
    total = 0
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        for member in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total += member.memory_info().rss
    return total


class Gauge:
    """Tells the resident memory of one process; cheap to ask again."""

    def __init__(self, pid: int) -> None:
        self._process: psutil.Process | None = None
        with contextlib.suppress(psutil.Error):
            self._process = psutil.Process(pid)

    def memory_bytes(self) -> int:
        """Give what it uses now; 0 when it is gone."""
        try:
            return int(self._process.memory_info().rss) if self._process else 0
        except psutil.Error:
            return 0


def kill_group(group: int) -> None:
    """Kill a process group; one that is gone is no error."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def end_adopted(variable: str, value: str) -> None:
    """Kill and reap children that carry `variable=value` in their environment, until none is left.

    They are what a killed executor had started outside its group: this process adopted them.
    """
    me = psutil.Process()
    for _ in range(_ROUNDS):
        adopted = [child for child in me.children() if _carries(child, variable, value)]
        if not adopted:
            return
        for child in adopted:
            for member in (*child.children(recursive=True), child):
                with contextlib.suppress(psutil.Error):
                    member.kill()
        psutil.wait_procs(adopted, timeout=0.1)


def _carries(process: psutil.Process, variable: str, value: str) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return process.environ().get(variable) == value
    except psutil.Error:
        return False


def reap_adopted(known: set[int]) -> None:
    """Reap children that ended and that nobody else waits for: all but the `known` ones."""
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error, ChildProcessError):
            if child.pid not in known and child.status() == psutil.STATUS_ZOMBIE:
                os.waitpid(child.pid, os.WNOHANG)
