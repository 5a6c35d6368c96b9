"""A plugin for tests: it has settings, one of them secret, and prepares itself once in every executor."""

import json
import logging
import os
import pickle
import sys
import traceback
from pathlib import Path
from typing import Any, Literal

import fastprocesses_sdk as fp
import msgspec

STARTED: list[str] = []


class Tiles(fp.Settings):
    """Where tiles come from."""

    url: str
    token: fp.Secret
    size: int = 256
    ratio: float = 1.0
    fast: bool = False
    layers: list[str] = msgspec.field(default_factory=list)
    limits: dict[str, int] = msgspec.field(default_factory=dict)
    mode: Literal["near", "far"] = "near"
    folder: Path | None = None


class Other(fp.Settings):
    """Another view of the same table."""

    size: int = 1


@fp.on_start
def begin(settings: Tiles) -> None:
    """Prepare."""
    STARTED.append(f"sync {settings.size}")
    os.environ["LEFT_BY_THE_START"] = "stays"


@fp.on_start
async def begin_async(other: Other, settings: Tiles) -> None:
    """Prepare in an event loop."""
    STARTED.append(f"async {len(settings.token.reveal())} {other.size}")


@fp.process
def show(*, settings: Tiles, job: fp.Job = fp.NO_JOB) -> dict[str, Any]:
    """Show the settings, but for the secret one."""
    return {
        "url": settings.url,
        "token": [str(settings.token), len(settings.token.reveal())],
        "size": settings.size,
        "ratio": settings.ratio,
        "fast": settings.fast,
        "layers": settings.layers,
        "limits": settings.limits,
        "mode": settings.mode,
        "folder": str(settings.folder),
        "started": STARTED,
        "environment": os.environ.get("LEFT_BY_THE_START", ""),
        "pid": os.getpid(),
    }


@fp.process
def read_surroundings() -> list[str]:
    """Tell all that process code can read of its own process."""
    told = [Path("/proc/self/environ"), Path("/proc/self/cmdline")]
    return [str(dict(os.environ)), str(sys.argv), *(file.read_text() for file in told)]


class ByHand:
    """A class that asks for settings."""

    description = fp.ProcessDescription(
        id="by-hand",
        version="1",
        title="By hand",
        description="Tells the size.",
        outputs={"result": fp.OutputDescription(title="Size", description="Size.", schema={})},
    )

    def execute(self, inputs: dict[str, Any], job: fp.Job, tiles: Tiles) -> dict[str, Any]:
        """Tell the size."""
        return {"result": tiles.size}


@fp.process
def leak(how: str, *, settings: Tiles, job: fp.Job) -> str:
    """Show a secret in all ways that happen without thinking."""
    told = [
        f"{settings} {settings!r} {settings.token} {settings.token!r} {settings.token:>40}",
        "%s %r" % (settings.token, settings),  # noqa: UP031
        str(vars(sys.modules[__name__])),
        str(pickle.dumps(settings)),
    ]
    for encode in (json.dumps, msgspec.json.encode, msgspec.msgpack.encode, msgspec.to_builtins):
        try:
            told.append(str(encode(settings)))
        except TypeError as error:
            told.append(str(error))
    for text in told:
        print(text)
        print(text, file=sys.stderr)
        job.message(text)
        job.log(text, settings=settings, token=settings.token, inside={"token": settings.token})
        logging.getLogger(__name__).error("settings %s", settings)
    try:
        raise RuntimeError(settings)
    except RuntimeError as error:
        frames = traceback.TracebackException.from_exception(error, capture_locals=True)
        print("".join(frames.format()))
    if how == "declared":
        raise fp.ProcessError(f"{settings} {settings.token}", title=str(settings.token))
    if how == "bug":
        raise RuntimeError(settings, settings.token)
    return "\n".join(told)
