"""Processes of the operating system: how death is seen, what a family uses, how it is ended."""

import contextlib
import os
import select
import signal
import sys
from collections import defaultdict
from collections.abc import Collection

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


def family_seconds(pids: Collection[int]) -> dict[int, float]:
    """Give how long the descendants of each of these have been running on cores, as far as they are known still."""
    children = defaultdict(list)
    parents = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            children[process.ppid()].append(process)
            if process.pid in pids:
                parents[process.pid] = process
    found = {}
    for pid, parent in parents.items():
        with contextlib.suppress(psutil.Error):
            times = parent.cpu_times()
            found[pid] = times.children_user + times.children_system
            members = children.pop(pid, [])
            while members:
                member = members.pop()
                members += children.pop(member.pid, [])
                with contextlib.suppress(psutil.Error):
                    times = member.cpu_times()
                    found[pid] += times.user + times.system + times.children_user + times.children_system
    return found


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
        found = [child for child in me.children() if _carries(child, variable, value)]
        if not found:
            return
        for child in found:
            end_family(child)
        psutil.wait_procs(found, timeout=0.1)


def _carries(process: psutil.Process, variable: str, value: str) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return process.environ().get(variable) == value
    except psutil.Error:
        return False


def adopted(known: set[int]) -> list[psutil.Process]:
    """Give the living children that nobody here started, all but the `known` ones; reap those that have ended."""
    living = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error, ChildProcessError):
            if child.pid in known:
                continue
            if child.status() == psutil.STATUS_ZOMBIE:
                os.waitpid(child.pid, os.WNOHANG)
            else:
                living.append(child)
    return living


def carried(process: psutil.Process, variable: str) -> str:
    """Give the value of a variable in the environment of a process; empty when it is not there, or gone."""
    try:
        return process.environ().get(variable, "")
    except psutil.Error:
        return ""


def end_family(process: psutil.Process) -> None:
    """Kill a process and its descendants; one that is gone is no error."""
    members = [process]
    with contextlib.suppress(psutil.Error):
        members = [*process.children(recursive=True), process]
    for member in members:
        with contextlib.suppress(psutil.Error):
            member.kill()
