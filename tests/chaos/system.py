"""Real hosts, real workers and a real store, each reached through a proxy of its own, and what can be done to them."""

import contextlib
import http.client
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
from fastprocesses_host.private_store import find_program
from fastprocesses_host.settings import Settings

from tests.acceptance.service import COMMAND, clean_environ
from tests.chaos.proxy import StoreProxy
from tests.support import StoreServer

HERE = Path(__file__).parent
RUN_VARIABLE = "CHAOS_RUN"
"""Is in the environment of every process that comes of the system; its value is the folder."""
_STEADY_SECONDS = 0.3
_BARE = [
    sys.executable,
    "-m",
    "dramatiq",
    "-p",
    "1",
    "-t",
    "2",
    "--skip-logging",
    "fastprocesses_host.actors",
]


class Member:
    """One program of the system; started again whenever it has ended, as a service manager does."""

    def __init__(
        self, name: str, command: list[str], environ: dict[str, str], folder: Path, proxy: StoreProxy
    ) -> None:
        self.name = name
        self.proxy = proxy
        self.log = folder / f"{name}.log"
        self.started_seconds = 0.0
        self.told_to_stop_seconds: float | None = None
        self._command = command
        self._environ = environ
        self._clock = folder / f"{name}.clock"
        self._leapt_seconds = 0.0
        self.move_clock(0.0)
        self._environ["CHAOS_CLOCK"] = str(self._clock)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environ,
                process_group=0,
            )
        self.started_seconds, self.told_to_stop_seconds = time.monotonic(), None

    def tell_to_stop(self) -> None:
        """Send it SIGTERM, once."""
        if self.process is not None and self.told_to_stop_seconds is None:
            self.told_to_stop_seconds = time.monotonic()
            self.process.terminate()

    @property
    def has_ended(self) -> bool:
        """Whether it is not running."""
        return self.process is None or self.process.poll() is not None

    def move_clock(self, wall_seconds: float, leap_seconds: float = 0.0) -> None:
        """Set by how much its clock is wrong from now on, and have its monotonic clock leap forward."""
        self._leapt_seconds += leap_seconds
        self._clock.touch()
        with self._clock.open("r+b") as file:
            file.write(struct.pack("dd", wall_seconds, self._leapt_seconds))

    def family(self) -> list[psutil.Process]:
        """The program and all its descendants."""
        with contextlib.suppress(psutil.Error):
            if self.process is not None:
                main = psutil.Process(self.process.pid)
                return [main, *main.children(recursive=True)]
        return []

    def part(self, what: str) -> list[psutil.Process]:
        """The processes of it that are `main`, `command` (Dramatiq's), `worker`, `executor` or `host`."""
        return [process for process in self.family() if what in self._roles(process)]

    def _roles(self, process: psutil.Process) -> set[str]:
        with contextlib.suppress(psutil.Error):
            words, parent = process.cmdline(), process.parent()
            is_main = self.process is not None and process.pid == self.process.pid
            roles = {"main"} if is_main else set()
            if "fastprocesses_sdk.executor" in words:
                return {"executor"}
            if any(word.endswith("sentinel.py") for word in words) or parent is None:
                return roles
            if _runs_dramatiq(words):
                return roles | ({"worker"} if _runs_dramatiq(parent.cmdline()) else {"command"})
            if "fastprocesses_host.child" in words and "host" in words:
                return roles | {"host"}
            return roles
        return set()


def _runs_dramatiq(words: list[str]) -> bool:
    return "dramatiq" in words or ("fastprocesses_host.child" in words and "worker" in words)


class HostMember(Member):
    """A host; it keeps its port."""

    def __init__(self, name: str, environ: dict[str, str], folder: Path, proxy: StoreProxy) -> None:
        self.port = _free_port()
        super().__init__(name, [COMMAND, "run", "--port", str(self.port)], environ, folder, proxy)
        self._broken_seconds = 0.0
        self.broken: list[tuple[float, float]] = []
        """When connections to it could be lost, in monotonic seconds."""

    def breaks(self, *, until_it_answers: bool) -> None:
        """Note that connections may be lost now, or from now until it has started again and answered."""
        now = time.monotonic()
        if until_it_answers:
            self._broken_seconds = now
        if not self.broken or self.broken[-1][1] < now:
            self.broken.append((now, float("inf") if until_it_answers else now))
        elif until_it_answers:
            self.broken[-1] = (self.broken[-1][0], float("inf"))

    def answered(self, begun_seconds: float) -> None:
        """Note that it answered a request that was begun then."""
        is_open = bool(self.broken) and self.broken[-1][1] == float("inf")
        if is_open and self._broken_seconds < self.started_seconds < begun_seconds:
            self.broken[-1] = (self.broken[-1][0], begun_seconds)

    def offers(self, process_id: str) -> bool:
        """Whether it answers, and offers a process."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", f"/processes/{process_id}")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def was_broken(self, begun: float, ended: float) -> bool:
        """Whether a connection of that time may have been lost for that."""
        return any(start <= ended + 0.2 and begun - 0.2 <= end for start, end in list(self.broken))


class System:
    """The whole, in a folder of its own."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.folder = folder
        self.store_bytes = 256 * 1024 * 1024
        self.store = StoreServer(str(find_program()), folder, "--maxmemory", str(self.store_bytes))
        values = f"file://{folder}/values" if seed % 3 else ""
        self.settings = Settings(
            redis_url=self.store.url,
            slots=2,
            lease_seconds=2,
            tick_seconds=0.3,
            timeout_seconds=6,
            sync_timeout_seconds=10,
            max_queue_seconds=90,
            drain_seconds=5,
            unlisted_job_ttl_seconds=3,
            max_inline_bytes=128 * 1024,
            max_queued_jobs=40,
            plugin_load_seconds=20,
            value_store_url=values,
            outbound_private="127.0.0.1/32",
            callback_timeout_seconds=5,
            callback_retry_seconds=0.2,
            callback_progress_seconds=0.2,
        )
        for name in ("tmp", "marks"):
            (folder / name).mkdir()
        self.hosts = [HostMember(name, *self._surroundings(name, seed)) for name in ("host-a", "host-b")]
        self.workers = [
            Member("worker-bare", _BARE, *self._surroundings("worker-bare", seed)),
            Member("worker-kept", [COMMAND, "worker"], *self._surroundings("worker-kept", seed)),
        ]
        self.members: list[Member] = [*self.workers, *self.hosts]
        self.suspended: list[psutil.Process] = []
        self.store_is_down = False

    def _surroundings(self, name: str, seed: int) -> tuple[dict[str, str], Path, StoreProxy]:
        proxy = StoreProxy(self.folder / "s", self.folder / f"{name}.s", f"{seed}/{name}")
        python_path = [str(HERE / "plugin"), str(HERE / "clock"), os.environ.get("PYTHONPATH", "")]
        environ = {
            **clean_environ(),
            **self.settings.to_env(),
            "FASTPROCESSES_REDIS_URL": proxy.url,
            "PYTHONPATH": os.pathsep.join(filter(None, python_path)),
            "TMPDIR": str(self.folder / "tmp"),
            "dramatiq_worker_timeout": "100",
            RUN_VARIABLE: str(self.folder),
        }
        return environ, self.folder, proxy

    def start(self) -> None:
        """Start what is not running."""
        for member in self.members:
            if member.has_ended:
                member.start()
                if isinstance(member, HostMember):
                    member.breaks(until_it_answers=True)

    def tend(self) -> None:
        """Start again what has ended; to be called often."""
        for member in self.members:
            if member.has_ended and time.monotonic() - member.started_seconds > _STEADY_SECONDS:
                if isinstance(member, HostMember):
                    member.breaks(until_it_answers=True)
                member.start()

    def kill_store(self) -> None:
        """Kill the store; it stays away until it is started."""
        self.store_is_down = True
        self.store.kill()

    def start_store(self) -> None:
        """Start the store on its data, if it was killed."""
        if self.store_is_down:
            self.store.start()
            self.store_is_down = False

    def suspend(self, processes: list[psutil.Process]) -> None:
        """Stop processes where they are."""
        for process in processes:
            with contextlib.suppress(psutil.Error):
                process.suspend()
                self.suspended.append(process)

    def resume(self, processes: list[psutil.Process] | None = None) -> None:
        """Let stopped processes go on; all of them, if none are named."""
        for process in list(self.suspended) if processes is None else processes:
            with contextlib.suppress(psutil.Error):
                process.resume()
            with contextlib.suppress(ValueError):
                self.suspended.remove(process)

    def heal(self) -> None:
        """Undo everything that was done; what was ended starts again."""
        self.start_store()
        self.store.process.send_signal(signal.SIGCONT)
        self.resume()
        for member in self.members:
            member.proxy.heal()
            member.move_clock(0.0)

    def stop(self, seconds: float = 20.0) -> list[str]:
        """Stop all members as an operator does; tell which did not."""
        for member in self.members:
            member.tell_to_stop()
        deadline = time.monotonic() + seconds
        late = []
        for member in self.members:
            try:
                if member.process is not None:
                    member.process.wait(max(deadline - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                late.append(f"{member.name} did not stop within {seconds:g} s of SIGTERM")
        return late

    def processes(self) -> list[psutil.Process]:
        """All processes that come of this system and live, wherever they have gone."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.status() != psutil.STATUS_ZOMBIE and process.environ().get(RUN_VARIABLE) == str(
                    self.folder
                ):
                    found.append(process)
        return found

    def end(self) -> None:
        """End whatever is left, at once."""
        self.heal()
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                process.kill()
        for member in self.members:
            if member.process is not None:
                member.process.wait(10)
            member.proxy.close()
        self.store.kill()


@contextlib.contextmanager
def running_system(seed: int, folder: Path) -> Iterator[System]:
    """Start a system, and leave nothing of it."""
    system = System(seed, folder)
    try:
        system.start()
        yield system
    finally:
        system.end()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
