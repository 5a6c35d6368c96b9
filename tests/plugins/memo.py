"""Fetches references of a scheme of its own, well or badly; it has no processes."""

import os
import signal
import time
from pathlib import Path

import fastprocesses_sdk as fp


class Memos(fp.Settings):
    """What the operator may set."""

    greeting: str = "hello"


@fp.reference_scheme("MEMO+x")
async def fetch_later(url: str, folder: Path, settings: Memos) -> str:
    """Write what the operator set."""
    (folder / "memo").write_text(settings.greeting)
    return "memo"


@fp.reference_scheme("memo")
def fetch(url: str, folder: Path, *, job: fp.Job = fp.NO_JOB) -> Path | fp.Fetched:
    """Do what the URL says."""
    what, _, rest = url.partition(":")[2].partition("/")
    file = folder / "memo"
    assert Path.cwd() == folder == job.workdir
    if what == "text":
        job.log("looked it up")
        file.write_text(rest)
        return fp.Fetched(file, "text/plain")
    if what == "typed":
        file.write_bytes(b"II*")
        return fp.Fetched(Path("memo"), rest)
    if what == "bytes":
        file.write_bytes(b"x" * int(rest))
    elif what == "refuse":
        raise fp.ProcessError("There is no such memo.", title=rest or None, status=404)
    elif what == "raise":
        raise RuntimeError("a secret")
    elif what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == "wait":
        job.progress(50, "half of it")
        Path(f"/{rest}").write_text(str(os.getpid()))
        time.sleep(600)
    elif what == "stray":
        return Path(f"/{rest}")
    elif what == "symbolic":
        file.symlink_to(f"/{rest}")
    elif what == "hard":
        file.hardlink_to(f"/{rest}")
    elif what == "folder":
        file.mkdir()
    return file
