"""A plugin for tests: all that a job can be told, and all ways to fail."""

import asyncio
import concurrent.futures
import decimal
import multiprocessing
import pickle
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import fastprocesses_sdk as fp


@fp.process
def tell_all(mark: str, *, job: fp.Job) -> dict[str, Any]:
    """Use everything that a job offers."""
    job.progress(12.7, "begun")
    job.log("A line.", place="here", count=3, share=0.5, sure=True, nothing=None)
    for level in ("debug", "info", "warning", "error"):
        job.log(f"At {level}.", level)  # type: ignore[arg-type]
    left = job.track([1, 2, 3, 4], "in between")
    next(left), next(left), next(left)
    left.close()
    job.message("waiting")
    while not Path(mark).exists():
        time.sleep(0.01)
    (job.workdir / "file").write_text("mine")
    return {
        "id": job.id,
        "cancelled": job.cancelled,
        "workdir": str(job.workdir),
        "files": [each.name for each in job.workdir.iterdir()],
        "here": str(Path.cwd()),
        "format": job.format("result"),
    }


@fp.process
def formatted(*, job: fp.Job) -> Annotated[str, fp.Media("text/plain", "text/csv")]:
    """Tell in which format the result is wanted."""
    return job.format("result")


@fp.process
def track_async(*, job: fp.Job) -> list[int]:
    """Track what comes out of an async generator, in tasks at the same time."""

    async def numbers() -> AsyncIterator[int]:
        for number in range(5):
            await asyncio.sleep(0)
            yield number

    async def tracked() -> list[int]:
        return [number async for number in job.track(numbers(), "counting", total=5)]

    async def both() -> list[int]:
        first, second = await asyncio.gather(tracked(), tracked())
        return first + second

    return asyncio.run(both())


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


@fp.process
def tell_nonsense(*, job: fp.Job) -> str:
    """Tell what cannot be told."""
    job.progress(float("nan"), "not a number")
    job.progress(10**400)
    job.progress(decimal.Decimal("12.5"))
    job.progress(-5)
    job.message("m" * 10_000_000)
    job.message("lone \ud800 surrogate")
    job.log("l" * 10_000_000)
    job.log(
        "Odd fields.",
        nan=float("nan"),
        huge=10**5000,
        longer=10**30,
        odd=Unprintable(),
        bytes=b"\xff",
        story="x" * 100_000,
        itself=job,
        nested={"a": [1, {2}]},
        secret=fp.Secret("do not tell"),
    )
    job.log("Many fields.", **{f"field_{number}": number for number in range(500)})
    return "told"


@fp.process
def tell_too_much(lines: int, *, job: fp.Job) -> int:
    """Flood the log and the progress."""
    for number in range(lines):
        job.log(f"line {number}")
        job.progress(100 * number / lines, f"at {number}")
    return lines


@fp.process
def tell_from_threads(threads: int, *, job: fp.Job) -> int:
    """Tell progress and log lines from many threads at once."""

    def work(number: int) -> None:
        for step in range(20):
            job.progress(step, f"{number}")
            job.log("From a thread.", thread=number)

    started = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    return threads


@fp.process
def tell_from_children(*, job: fp.Job) -> list[bool]:
    """Tell from processes that were forked, and from those that got the job pickled."""

    def work() -> None:
        for step in range(200):
            job.progress(step / 2, "from a child")
            job.log("From a child.")

    children = [multiprocessing.get_context("fork").Process(target=work) for _ in range(3)]
    for child in children:
        child.start()
    for step in range(200):
        job.progress(step / 2, "from the parent")
    for child in children:
        child.join()
    copy: fp.Job = pickle.loads(pickle.dumps(job))
    copy.progress(5, "from a copy")
    return [child.exitcode == 0 for child in children] + [copy.id == job.id, copy.workdir == job.workdir]


@fp.process
def leave_a_thread(mark: str, *, job: fp.Job) -> str:
    """Return while a thread goes on telling; it stops where it is told that nobody waits."""

    def work() -> None:
        while not job.cancelled:
            job.progress(time.monotonic() % 100, "from behind")
            job.log("From behind.")
            time.sleep(0.001)
        Path(mark).touch()

    threading.Thread(target=work, daemon=True).start()
    time.sleep(0.05)
    return "left"


@fp.process
def swallow_the_interrupt(mark: str, *, job: fp.Job) -> str:
    """Go on when interrupted, until the job says that it was cancelled."""
    Path(mark).touch()
    while not job.cancelled:
        try:
            time.sleep(0.01)
        except KeyboardInterrupt:
            continue
    try:
        job.check_cancelled()
    except fp.JobCancelled:
        Path(mark + ".cancelled").touch()
        raise
    return "not cancelled"


class NotFound(fp.ProcessError):
    """Nothing is there."""

    title = "Nothing there"
    status = 404
    type = "https://example.org/nothing-there"

    def __init__(self, what: str) -> None:
        super().__init__(f"There is no {what}.", input="how")
        self.what = what


class Careless(fp.ProcessError):
    """Does not call its base class, and has members of wrong types."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.status = "x"  # type: ignore[assignment]
        self.title = None  # type: ignore[assignment]


def raise_not_found(what: str = "parcel") -> None:
    raise NotFound(what)


@fp.process
def refuse(how: str) -> str:
    """Say why not, in every way."""
    match how:
        case "plain":
            raise fp.ProcessError("Too far.")
        case "whole":
            raise fp.ProcessError(
                "Too far.", title="Far", status=422, type="https://example.org/far", input="how"
            )
        case "odd input":
            raise fp.ProcessError("Too far.", input="a/b~c")
        case "server":
            raise fp.ProcessError("The tiles are away.", status=503)
        case "subclass":
            raise_not_found()
        case "careless":
            raise Careless(5)
        case "long":
            raise fp.ProcessError("d" * 10_000_000, title="t" * 10_000_000)
        case "surrogate":
            raise fp.ProcessError("lone \ud800 surrogate", title="\ud800")
        case "thread":
            with concurrent.futures.ThreadPoolExecutor() as pool:
                pool.submit(raise_not_found).result()
        case "process":
            with concurrent.futures.ProcessPoolExecutor(
                1, mp_context=multiprocessing.get_context("fork")
            ) as pool:
                pool.submit(raise_not_found, "parcel").result()
        case "status 200":
            raise fp.ProcessError("Fine.", status=200)
        case "status 99":
            raise fp.ProcessError("Fine.", status=99)
        case "status x":
            raise fp.ProcessError("Fine.", status="x")  # type: ignore[arg-type]
        case "cause":
            try:
                raise_not_found()
            except NotFound as error:
                raise RuntimeError("hidden from the caller") from error
        case "group with a bug":
            raise ExceptionGroup("several", [NotFound("parcel"), RuntimeError("hidden from the caller")])
    return "not refused"


@fp.process
async def refuse_async(how: str) -> str:
    """Say why not, out of an event loop."""
    if how == "group":
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(asyncio.to_thread(raise_not_found))
            tasks.create_task(asyncio.sleep(60))
    await asyncio.sleep(0)
    raise_not_found()
    return "not refused"
