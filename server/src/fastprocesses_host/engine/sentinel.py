"""The worker's sentinel: a process that outlives it for a moment, and ends what it left behind.

It is a program of its own (`python -I -S sentinel.py <descriptor> <worker id> <folder>`) and imports nothing but
the standard library. The worker writes `+<group>` when an executor starts and `-<group>` when its group is
gone. When the worker's end of the pipe closes, for whatever reason, the groups that are left are killed, and
on Linux whatever else carries the worker's id in its environment: what an executor moved out of its group.
The folder of their working folders goes last.
"""

import os
import signal
import sys

WORKER_VARIABLE = "FASTPROCESSES_WORKER_ID"
_ROUNDS = 50


def main() -> None:
    """Wait for the end of the worker, then clean up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups = watch(int(sys.argv[1]))
    for group in groups:
        kill(-group)
    mark = f"{WORKER_VARIABLE}={sys.argv[2]}".encode()
    for _ in range(_ROUNDS):
        left = [pid for pid in marked(mark) if pid != os.getpid()]
        if not left:
            break
        for pid in left:
            kill(pid)
    remove(sys.argv[3])


def watch(descriptor: int) -> set[int]:
    """Follow the groups until the pipe closes; return those that are left."""
    groups: set[int] = set()
    with open(descriptor, encoding="ascii") as pipe:
        for line in pipe:
            if line.startswith("+"):
                groups.add(int(line[1:]))
            elif line.startswith("-"):
                groups.discard(int(line[1:]))
    return groups


def marked(mark: bytes) -> list[int]:
    """Give the processes whose environment carries the mark; none where /proc is not Linux's."""
    found = []
    for name in os.listdir("/proc") if sys.platform == "linux" else ():  # noqa: PTH208 - pathlib is not imported here
        if name.isdigit():
            try:
                with open(f"/proc/{name}/environ", "rb") as file:  # noqa: PTH123
                    if mark in file.read().split(b"\0"):
                        found.append(int(name))
            except OSError:
                continue
    return found


def kill(pid: int) -> None:
    """Kill a process, or a group by its negative number; one that is gone is no error."""
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError:
        return


def remove(folder: str) -> None:
    """Remove a folder with all that is in it."""
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
