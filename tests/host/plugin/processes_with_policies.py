"""A plugin for tests: processes that declare how they want to be run."""

import fcntl
import os
import time
from pathlib import Path

import fastprocesses_sdk as fp


@fp.process(max_concurrent=1)
def alone(folder: str, *, job: fp.Job) -> str:
    """Hold what only one may hold, until told to go on."""
    with Path(folder, "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # given back even by a process that is killed
        except OSError:
            Path(folder, "violated").touch()
        return wait_in(folder, job)


@fp.process
def together(folder: str, *, job: fp.Job) -> str:
    """Wait until told to go on."""
    return wait_in(folder, job)


@fp.process(queue="apart")
def apart(folder: str, *, job: fp.Job) -> str:
    """Do the same, in a queue of its own."""
    return wait_in(folder, job)


def wait_in(folder: str, job: fp.Job) -> str:
    """Tell who runs the job, and wait until it may go on."""
    begun = Path(folder, f"{job.id}.begun")
    begun.with_suffix(".written").write_text(str(os.getpid()))
    begun.with_suffix(".written").rename(begun)
    while not Path(folder, f"{job.id}.go").exists() and not Path(folder, "go").exists():
        time.sleep(0.01)
    return "gone on"


@fp.process(retryable=True, max_attempts=3, timeout_seconds=4)
def flaky(mark: str, how: str, times: int) -> str:
    """Fail in some way, so many times."""
    with Path(mark).open("a") as file:
        file.write(f"{time.monotonic()}\n")
    print(f"how: {how}")
    if len(Path(mark).read_text().splitlines()) > times:
        return "done"
    if how == "crash":
        os.abort()
    elif how == "raise":
        raise RuntimeError("by chance")
    elif how == "declared":
        raise fp.ProcessError("Never.")
    time.sleep(60)
    return "slept"


@fp.process(retryable=True, max_attempts=3, memory_mb=200)
def greedy(mark: str) -> str:
    """Use more memory than allowed; how long that takes depends on the machine."""
    with Path(mark).open("a") as file:
        file.write("run\n")
    hoard = bytearray(300 * 1024 * 1024)
    hoard[::4096] = b"1" * len(hoard[::4096])
    time.sleep(60)
    return "slept"


@fp.process(timeout_seconds=0.5)
def tidy(mark: str) -> str:
    """Run longer than allowed, and tidy up when cancelled."""
    try:
        while True:
            time.sleep(0.01)
    finally:
        Path(mark).write_text("tidied up")
