"""What an author does on Windows; run there, or where it looks like it."""

import asyncio
import importlib
import os
import pkgutil
import sys
from pathlib import Path

import fastprocesses_sdk as fp
from fastprocesses_sdk import testing
from fastprocesses_sdk.describe import discover


@fp.process
def add(a: int, b: int = 1, *, job: fp.Job = fp.NO_JOB) -> int:
    """Add two numbers.

    Args:
        a: The one.
        b: The other.
        job: What is told.
    """
    job.progress(50, sys.platform)
    return a + b


@fp.process
async def end(how: str, *, job: fp.Job = fp.NO_JOB) -> str:
    """End in another way.

    Args:
        how: Which.
        job: What is told.
    """
    job.message(str(os.getpid()))
    if how == "exit":
        os._exit(3)
    if how == "raise":
        raise RuntimeError("a bug")
    await asyncio.sleep(30)
    return "ended"


@fp.process
def write(job: fp.Job) -> list[str]:
    """Write into the folder of the job."""
    Path("a.txt").write_text("a")
    return [each.name for each in job.workdir.iterdir()]


def import_everything() -> None:
    for module in pkgutil.walk_packages(fp.__path__, "fastprocesses_sdk."):
        importlib.import_module(module.name)
    import pytest_fastprocesses

    assert pytest_fastprocesses.fastprocesses_host


def raised(kind: type[BaseException], runner: testing.Runner, **inputs: object) -> BaseException:
    try:
        runner.run(end, **inputs)
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


def main() -> None:
    assert (os.name, sys.platform, hasattr(os, "fork")) == ("nt", "win32", False)
    import_everything()
    for in_process in (True, False):
        runner = testing.Runner(in_process=in_process)
        run = runner.run(add, a=2)
        assert (run.result, run.progress, run.messages) == (3, [50], ["win32"]), run
        assert runner.run(write).result == ["a.txt"]
        raised(testing.InvalidInputs, runner)
        raised(testing.ProcessFailed, runner, how="raise")
    assert "exit code 3" in str(raised(testing.ProcessFailed, testing.Runner(), how="exit"))
    raised(testing.TimedOut, testing.Runner(timeout_seconds=0.5), how="slow")
    raised(testing.Cancelled, testing.Runner(cancel_when=lambda run: bool(run.messages)), how="slow")
    assert testing.check_process(add) == []
    states = {plugin.name: plugin.state for plugin in discover(load_seconds=10).plugins}
    assert states["works"] == "loaded", states
    assert states["hangs"] == states["exits"] == "quarantined", states
    print("all of it works")


if __name__ == "__main__":
    main()
