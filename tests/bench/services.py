"""What is measured, and what it is measured against: hosts, the bare server, stores as they are shipped."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from fastprocesses_host.private_store import private_store

from tests.acceptance.service import Service, clean_environ
from tests.support import wait_until

PLUGIN = '''
"""Processes for measuring only."""
import os
import time
from pathlib import Path
from typing import Annotated
import fastprocesses_sdk as fp

Blob = fp.Media("application/octet-stream")

@fp.process
def features_back(features: fp.FeatureCollection) -> fp.FeatureCollection:
    """Return a collection as it came."""
    return features

@fp.process
def burn(seconds: float) -> float:
    """Use a whole core for so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(1000))
    return seconds

@fp.process
def blob(megabytes: int, *, job: fp.Job = fp.NO_JOB) -> Annotated[Path, Blob]:
    """Write a file of so many megabytes."""
    path = Path(job.workdir) / "blob"
    with path.open("wb") as file:
        for _ in range(megabytes):
            file.write(os.urandom(1_000_000))
    return path

@fp.process
def size(data: Annotated[Path, Blob]) -> int:
    """Give the size of a file."""
    return data.stat().st_size
'''


def plugin_folder(folder: Path) -> Path:
    """Install the measuring processes into a folder for PYTHONPATH."""
    info = folder / "measuring-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "measuring.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: measuring\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[fastprocesses.processes]\nmeasuring = measuring\n")
    return folder


def private_store_url(service: Service) -> str:
    """Give the URL of an embedded host's own store."""
    title = " ".join(service.child("valkey-server").cmdline())
    return "unix://" + title.split("unixsocket:")[1].split()[0]


@contextmanager
def shipped_store(folder: Path, *options: str) -> Iterator[str]:
    """Run a store as an embedded host does, with more options; give its URL."""
    with private_store(folder) as store:
        process = subprocess.Popen([*store.command(), *options], stdout=subprocess.DEVNULL)
        try:
            wait_until(lambda: _answers_unix(store.socket), 10, "the store")
            yield store.url
        finally:
            process.terminate()
            process.wait(60)


def _answers_unix(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        return connection.connect_ex(str(path)) == 0


@contextmanager
def bare_server(folder: Path, server: str = "hypercorn") -> Iterator[str]:
    """Run the bare server; give its URL. It offers the files of the folder."""
    port = free_port()
    command = [sys.executable, "-m", "tests.bench.bare", str(port), str(folder), server]
    process = subprocess.Popen(command, env=clean_environ())

    def answers() -> bool:
        with socket.socket() as connection:
            return connection.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_until(answers, 30, "the bare server")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def free_port() -> int:
    """Give a port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def cpu_ticks() -> tuple[int, int]:
    """Give the machine's stolen and all CPU ticks so far."""
    ticks = [int(number) for number in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return ticks[7], sum(ticks)


def parts_of(service: Service) -> dict[str, list[psutil.Process]]:
    """Give the processes of a service by part: host, worker, executor, store, and the supervisor's."""
    parts: dict[str, list[psutil.Process]] = {}
    for process in service.tree():
        line = " ".join(process.cmdline())
        if "fastprocesses_sdk.executor" in line:
            part = "executor"
        elif "-server" in line.split(" ")[0]:
            part = "store"
        elif process.pid == service.process.pid:
            part = "supervisor"
        else:
            part = "host" if process.pid == service.child("host").pid else "worker"
        parts.setdefault(part, []).append(process)
    return parts
