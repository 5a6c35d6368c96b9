"""A plugin for tests: processes that do what process code in the wild does to a server."""

import asyncio
import ctypes
import decimal
import gc
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import fastprocesses_sdk as fp


@fp.process
def double(number: int) -> int:
    """Double a number."""
    return 2 * number


@fp.process
def sleep(seconds: float, mark: str = "", *, job: fp.Job = fp.NO_JOB) -> str:
    """Sleep in one call to C; touch the file `mark` when begun."""
    _touch(mark)
    time.sleep(seconds)
    return "slept"


@fp.process
def burn(seconds: float, mark: str = "") -> str:
    """Use a core for so long; touch the file `mark` when begun."""
    _touch(mark)
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
    return "burnt"


@fp.process(retryable=True, max_attempts=3)
def sleep_again(seconds: float, mark: str = "") -> str:
    """Sleep; run again when the worker is lost."""
    with Path(mark).open("a") as file:
        file.write("run\n")
    time.sleep(seconds)
    return "slept"


@fp.process
async def sleep_async(seconds: float, mark: str = "") -> str:
    """Sleep in an event loop, and tidy up when cancelled."""
    _touch(mark)
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        _touch(mark + ".cancelled")
        raise
    return "slept"


@fp.process
def family(seconds: float, mark: str = "") -> str:
    """Wait for a child, with a grandchild that left group and session."""
    daemon = (
        "import os, time; os.setsid(); "
        f"open({mark + '.daemon'!r}, 'w').write(str(os.getpid())); time.sleep({seconds})"
    )
    parent = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {daemon!r}])"
    subprocess.Popen([sys.executable, "-c", parent]).wait()
    while not Path(mark + ".daemon").exists() or not Path(mark + ".daemon").read_text():
        time.sleep(0.01)
    child = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({seconds})"])
    Path(mark + ".child").write_text(str(child.pid))
    _touch(mark)
    child.wait()
    return "waited"


@fp.process
def leave_behind(mark: str) -> str:
    """Start a process that leaves group and session, and do not wait for it."""
    code = f"import os, time; os.fork() and os._exit(0); os.setsid(); open({mark!r}, 'w').write(str(os.getpid()))"
    subprocess.Popen([sys.executable, "-c", f"{code}; time.sleep(600)"]).wait()
    while not Path(mark).exists() or not Path(mark).read_text():
        time.sleep(0.01)
    return "left"


@fp.process
def hold_the_gil(mark: str = "") -> str:
    """Match a pattern that takes for ever, in C, without letting go of the interpreter."""
    _touch(mark)
    re.match(r"(a+)+$", "a" * 60 + "b")
    return "matched"


@fp.process(timeout_seconds=1)
def too_long(kind: str) -> str:
    """Run longer than allowed."""
    if kind == "c":
        re.match(r"(a+)+$", "a" * 60 + "b")
    elif kind == "stubborn":
        while True:
            try:
                time.sleep(30)
            except BaseException:
                continue
    time.sleep(30)
    return "?"


@fp.process
def crash(how: str) -> str:
    """End the executor from inside."""
    if how == "segfault":
        ctypes.string_at(0)
    elif how == "exit":
        os._exit(7)
    elif how == "abort":
        os.abort()
    elif how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "recursion":
        crash.function(how)
    elif how == "sys.exit":
        sys.exit(3)
    elif how == "interrupt":
        raise KeyboardInterrupt
    elif how == "raise":
        raise RuntimeError("secret of the operator")
    elif how == "declared":
        raise fp.ProcessError("The number is odd.", title="Odd", status=422, input="how")
    return "survived"


@fp.process(memory_mb=200)
def eat_memory() -> int:
    """Use more memory than allowed."""
    hoard = []
    while True:
        hoard.append(bytearray(8 * 1024 * 1024))
        time.sleep(0.005)


@fp.process
def talk(lines: int = 3, *, job: fp.Job = fp.NO_JOB) -> str:
    """Print, log, tell progress and change the surroundings."""
    for number in range(lines):
        print(f"line {number}")
        job.progress(100 * number / lines, f"at {number}")
    job.log("structured", number=lines)
    os.environ["LEFT_BEHIND"] = "1"
    os.chdir("/")
    return os.environ.get("FASTPROCESSES_REDIS_URL", "no store here")


@fp.process
def surroundings() -> list[str]:
    """Tell where the process finds itself."""
    return [os.environ.get("LEFT_BEHIND", ""), str(Path.cwd()), str(os.getpid())]


@fp.process
def step(mark: str, *, job: fp.Job = fp.NO_JOB) -> str:
    """Tell 40 percent, then wait until the file `mark` is there."""
    job.progress(40, "two fifths")
    while not Path(mark).exists():
        time.sleep(0.01)
    return "seen"


@fp.process
def large(megabytes: int) -> str:
    """Give a large text."""
    return "x" * (megabytes * 1024 * 1024)


@fp.process
def swallow(text: str) -> int:
    """Tell the length of a text."""
    return len(text)


def _touch(mark: str) -> None:
    if mark:  # whoever sees the file can read it
        Path(mark + ".written").write_text(str(os.getpid()))
        Path(mark + ".written").rename(mark)


@fp.process
def litter(how: str, *, job: fp.Job = fp.NO_JOB) -> str:
    """Treat the folder, the texts and the exceptions of a job badly."""
    if how == "remove":
        os.chdir("/")
        job.workdir.rmdir()
    elif how == "files":
        (job.workdir / "left").write_text("behind")
    elif how == "surrogate":
        job.message("lone \ud800 surrogate")
        job.log("another \ud800", field="\ud800")
        raise RuntimeError("one more \ud800")
    elif how == "own kind":
        raise type("Odd", (BaseException,), {})("not an Exception")
    elif how == "long":
        job.message("x" * 10_000_000)
    return "littered"


class Unspeakable(Exception):
    """Whatever is asked of it, it raises."""

    def __getattribute__(self, name: str) -> Any:
        raise SystemExit(9)

    def __str__(self) -> str:
        raise SystemExit(9)


@fp.process
def spoil(what: str, *, job: fp.Job = fp.NO_JOB) -> str:
    """Change what is around the job, or treat its end badly."""
    if what == "umask":
        os.umask(0o777)
    elif what == "streams":
        sys.stdout.close()
        sys.stderr = None
    elif what == "detached":
        sys.stdout = open(sys.stdout.detach().fileno(), "w", closefd=False)  # noqa: SIM115 - as it is often done
        sys.stderr.detach()
    elif what == "descriptors":
        os.closerange(0, 3)
    elif what == "redirection":
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    elif what == "reopening":
        os.dup2(os.open("/dev/fd/1", os.O_WRONLY | os.O_NONBLOCK), 1)
    elif what == "wrapper":
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - left to whoever puts the other one back
        print("kept back")
    elif what == "unended":
        print("without an end", end="")
        print("nor has this", end="", file=sys.stderr)
    elif what == "signals":
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
    elif what == "switches":
        sys.setrecursionlimit(200)
        sys.settrace(lambda *_: None)
        socket.setdefaulttimeout(0.001)
        decimal.getcontext().prec = 1
        gc.disable()
    elif what == "locale":
        import locale

        locale.setlocale(locale.LC_CTYPE, "C")
    elif what == "fork":
        return "copy" if os.fork() == 0 else "original"
    elif what == "modules":
        fp.Process.run = None
    elif what == "unspeakable":
        raise Unspeakable
    return "spoilt"


@fp.process
def look() -> list[str]:
    """Tell what is not as it should be."""
    import locale  # not before: it is put back also after a job that was the first to import it

    print("heard")
    mask = os.umask(0o022)
    os.umask(mask)
    found = {
        "umask": mask == 0o777,
        "streams": sys.stderr is None,
        "descriptors": not Path("/proc/self/fd/0").exists(),
        "signals": signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        or signal.getitimer(signal.ITIMER_REAL)[0],
        "recursion": sys.getrecursionlimit() == 200,
        "trace": sys.gettrace(),
        "timeout": socket.getdefaulttimeout(),
        "decimal": decimal.getcontext().prec == 1,
        "gc": not gc.isenabled(),
        "reopening": not os.get_blocking(1),
        "locale": locale.setlocale(locale.LC_CTYPE) == "C",
    }
    return [name for name, is_so in found.items() if is_so]


@fp.process
def mislay(how: str, *, job: fp.Job = fp.NO_JOB) -> fp.PNG:
    """Return a file that cannot be taken."""
    if how == "name":
        file = job.workdir / "\udcff.png"
        file.touch()
        return file
    elsewhere = Path(tempfile.mkdtemp())
    (elsewhere / "file").write_text("not yours")
    os.chdir("/")
    job.workdir.rmdir()
    job.workdir.symlink_to(elsewhere)
    return job.workdir / "file"


@fp.on_start
async def open_client() -> None:
    """Begin what answers the jobs, in their loop."""
    asked: asyncio.Queue[asyncio.Future[str]] = asyncio.Queue()

    async def answer() -> None:
        while True:
            (await asked.get()).set_result("answered")

    CLIENT.extend([asked, asyncio.create_task(answer())])


CLIENT: list[Any] = []


@fp.process
async def ask_client() -> str:
    """Ask what was opened at the start, and leave a task behind."""
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    await CLIENT[0].put(answer)
    CLIENT.append(asyncio.create_task(asyncio.sleep(600), name="left"))
    return await asyncio.wait_for(answer, 5)


@fp.process
async def tasks() -> int:
    """Count the tasks that jobs left behind."""
    return sum(task.get_name() == "left" for task in asyncio.all_tasks())


@fp.process(deterministic=True)
def ponder(
    mark: str, question: str = "", size: int = 2, hold: bool = False, *, job: fp.Job = fp.NO_JOB
) -> str:
    """Note the run in the file `mark`; where it is to hold, go on once there is one called `mark`.go."""
    with Path(mark).open("a") as file:
        file.write("run\n")
    job.progress(40, "pondering")
    job.log("a deep thought")
    while hold and not Path(mark + ".go").exists():
        job.check_cancelled()
        time.sleep(0.01)
    if question == "moon":
        raise fp.ProcessError("The moon is not full.", title="Wrong moon", status=409)
    return "4" * size


@fp.process(deterministic=True)
def ponder_too(mark: str, question: str = "", size: int = 2, hold: bool = False) -> str:
    """Do what `ponder` does."""
    return ponder(mark, question, size, hold)
