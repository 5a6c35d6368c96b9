"""Processes of every kind. Each run writes down that it began, and signs what it returns.

A line of the file `mark` is `<job> <claim> <signature>`; a result holds `begin=<signature>` and `end=<signature>`.
"""

import asyncio
import ctypes
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

import fastprocesses_sdk as fp


def _begin(mark: str, job: fp.Job) -> str:
    signature = secrets.token_hex(8)
    claim = getattr(job._reporter, "claim", "?")  # no process should need it; here it is what is looked at
    with Path(mark).open("ab", buffering=0) as file:
        file.write(f"{job.id} {claim} {signature}\n".encode())
    return signature


def _signed(signature: str, characters: int = 0) -> str:
    return f"begin={signature} {'x' * characters} end={signature}"


@fp.process
def quick(mark: str, text: str = "", *, job: fp.Job = fp.NO_JOB) -> str:
    """Answer at once."""
    return _signed(_begin(mark, job), len(text))


@fp.process
def steps(mark: str, seconds: float, *, job: fp.Job = fp.NO_JOB) -> str:
    """Tell progress all the time, and print."""
    signature = _begin(mark, job)
    for number in range(20):
        time.sleep(seconds / 20)
        print("step", number)
        job.progress(5 * number, f"step {number}")
    return _signed(signature)


@fp.process
def rest(mark: str, seconds: float, *, job: fp.Job = fp.NO_JOB) -> str:
    """Sleep in one call."""
    signature = _begin(mark, job)
    time.sleep(seconds)
    return _signed(signature)


@fp.process
async def doze(mark: str, seconds: float, *, job: fp.Job = fp.NO_JOB) -> str:
    """Sleep in an event loop."""
    signature = _begin(mark, job)
    await asyncio.sleep(seconds)
    return _signed(signature)


@fp.process(retryable=True, max_attempts=3)
def again(mark: str, seconds: float, *, job: fp.Job = fp.NO_JOB) -> str:
    """Sleep; may run again."""
    signature = _begin(mark, job)
    time.sleep(seconds)
    return _signed(signature)


@fp.process(timeout_seconds=1)
def grind(mark: str, how: str, *, job: fp.Job = fp.NO_JOB) -> str:
    """Run for ever, in C or without ever listening."""
    _begin(mark, job)
    if how == "c":
        re.match(r"(a+)+$", "a" * 60 + "b")
    while True:
        try:
            time.sleep(30)
        except BaseException:
            continue


@fp.process
def fork(mark: str, seconds: float, wait: bool, *, job: fp.Job = fp.NO_JOB) -> str:
    """Start a child, and a grandchild that leaves group and session; wait for them, or do not."""
    signature = _begin(mark, job)
    sleeper = f"import time; time.sleep({seconds})"
    daemon = f"import os; os.fork() and os._exit(0); os.setsid(); {sleeper}"
    subprocess.Popen([sys.executable, "-c", daemon, mark]).wait()
    child = subprocess.Popen([sys.executable, "-c", sleeper, mark])
    if wait:
        child.wait()
    return _signed(signature)


@fp.process(memory_mb=150)
def hoard(mark: str, *, job: fp.Job = fp.NO_JOB) -> str:
    """Use more memory than allowed."""
    _begin(mark, job)
    kept = []
    while True:
        kept.append(bytearray(8 * 1024 * 1024))
        time.sleep(0.02)


@fp.process
def crash(mark: str, how: str, *, job: fp.Job = fp.NO_JOB) -> str:
    """End the executor from inside."""
    _begin(mark, job)
    if how == "segfault":
        ctypes.string_at(0)
    elif how == "exit":
        os._exit(7)
    os.kill(os.getpid(), signal.SIGKILL)
    return "?"


@fp.process
def fail(mark: str, how: str, *, job: fp.Job = fp.NO_JOB) -> str:
    """Raise."""
    _begin(mark, job)
    if how == "declared":
        raise fp.ProcessError("Not today.", title="Refused", status=422)
    raise RuntimeError("a bug")


class Sizes(fp.Outputs):
    """Results that travel with the end, that are staged, and that lie in the value store."""

    small: str
    medium: str
    large: str


@fp.process
def several(mark: str, text: str = "", *, job: fp.Job = fp.NO_JOB) -> Sizes:
    """Return values of all sizes."""
    signature = _begin(mark, job)
    return Sizes(
        small=_signed(signature), medium=_signed(signature, 40_000), large=_signed(signature, 300_000)
    )


@fp.process
def draw(mark: str, *, job: fp.Job = fp.NO_JOB) -> fp.PNG:
    """Return a file."""
    signature = _begin(mark, job)
    file = Path(job.workdir) / "drawn.png"
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + _signed(signature, 200_000).encode())
    return file
