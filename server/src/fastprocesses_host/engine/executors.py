"""Executors: the child processes that run process code, one job at a time; spawned, watched and killed."""

import contextlib
import os
import queue
import secrets
import select
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import IO

import psutil
from fastprocesses_sdk.children import THREAD_VARIABLES
from fastprocesses_sdk.executor import protocol
from fastprocesses_sdk.executor.protocol import AnyFrame, Frame
from fastprocesses_sdk.executor.started import StartMark

from fastprocesses_host.engine import processes, sentinel
from fastprocesses_host.engine.folders import held_folder, remove_abandoned
from fastprocesses_host.engine.precedence import Precedence
from fastprocesses_host.logs import get_logger
from fastprocesses_host.settings import Settings

EXECUTOR_VARIABLE = "FASTPROCESSES_EXECUTOR_ID"
SPAWN_SECONDS = 30.0
_LINE_BYTES = 8192
_RECEIVE_BYTES = 256 * 1024
QUIET_SECONDS = 0.05
"""How long `Executor.receive_soon` waits."""
_QUIET_MS = QUIET_SECONDS * 1000
_NEVER_NS = 0
_GAUGE_SECONDS = 0.25
_MOST_FAILURES = 3
"""After so many bugs in a row a fresh executor may do better: one of them may have spoilt the modules of this one."""

log = get_logger()
OutputLine = Callable[[str, str], None]
"""Gets the name of the stream and a line that process code printed."""


class ExecutorLost(Exception):
    """The executor ended, or never came up.

    Attributes:
        returncode: As subprocess has it: negative for a signal; None when it is not known.
    """

    def __init__(self, returncode: int | None) -> None:
        super().__init__(f"The executor ended with {returncode}.")
        self.returncode = returncode


class Executor:
    """One child process, its socket, and how its death is seen."""

    def __init__(
        self, process: subprocess.Popen[bytes], connection: socket.socket, started: StartMark, workdir: Path
    ) -> None:
        self.id = workdir.name
        self.workdir = workdir
        self._workdir = str(workdir)
        self.pid = process.pid
        self.sources: set[str] = set()
        self.jobs = self._jobs_seen = 0
        self.failures = 0
        """Jobs in a row that ended in an error of their own."""
        self.started = started
        self.precedence = Precedence(process.pid)
        self.precedence.yield_session()
        self.gauge = processes.Gauge(process.pid)
        self.first_memory_bytes = 0
        self.gauged_seconds = 0.0
        self.used_seconds = 0.0
        self.on_line: OutputLine | None = None
        self.streams: list[Stream] = []
        self.handing_out = threading.Lock()
        """Held while something that was printed is read and handed out, by any thread."""
        self._output = select.poll()
        self.has_ended = False
        self.is_greeted = False
        self._lock = threading.Lock()
        self._is_closed = False
        self._process = process
        self._connection = connection
        self._frames = protocol.FrameReader()
        self._unsent = b""
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        self._death = processes.death_descriptor(process.pid)
        self._poll = select.poll()
        self._descriptor = connection.fileno()
        self._soon = select.poll()
        # Before the streams: when they are looked at, what was printed before a frame is there.
        self._soon.register(connection, select.POLLIN)
        self._printed_nothing = False
        """As `receive_soon` saw it when it gave the only frame of a job."""
        for descriptor in (self._descriptor, self._wake_read, self._death):
            self._poll.register(descriptor, select.POLLIN)

    @property
    def is_dead(self) -> bool:
        """Whether it ended while nobody looked."""
        return bool(select.select([self._death], [], [], 0)[0])

    def send(self, frame: Frame) -> None:
        """Send one frame; what it does not take now goes with the next `receive`, where a dead one is seen too.

        So a stopped executor never makes us wait here, past limits and cancellation.
        """
        data = protocol.encode_frame(frame)
        if not self._unsent:
            try:
                sent = self._connection.send(data, socket.MSG_DONTWAIT)
            except OSError:  # full, or gone
                sent = 0
            if sent == len(data):
                return
            data = data[sent:]
        self._unsent += data
        self._poll.modify(self._descriptor, select.POLLIN | select.POLLOUT)

    def await_greeting(self, timeout_seconds: float) -> None:
        """Wait until it is ready for jobs.

        Raises:
            ExecutorLost: it ended, is too slow, or speaks another protocol.
        """
        frames = self.receive(timeout_seconds)
        greeting = frames[0] if frames else None
        if not isinstance(greeting, protocol.Greeting):
            raise ExecutorLost(None)
        if not greeting.oldest_version <= protocol.NEWEST_VERSION <= greeting.newest_version:
            log.error("executor speaks another protocol", sdk=greeting.sdk_version)
            raise ExecutorLost(None)
        self.is_greeted = True

    def receive(self, timeout_seconds: float) -> tuple[AnyFrame, ...]:
        """Give the frames that came, none after a wake or the time.

        Raises:
            ExecutorLost: it ended; all frames it had sent were given before.
        """
        self._printed_nothing = False
        ready = [descriptor for descriptor, _ in self._poll.poll(max(timeout_seconds, 0) * 1000)]
        if self._unsent:
            self._send_rest()
        if self._wake_read in ready:
            os.read(self._wake_read, 4096)
        if self._descriptor in ready:
            return self._read()
        if self._death in ready:
            raise self._lost()
        return ()

    def receive_soon(self) -> tuple[AnyFrame, ...]:
        """Give the frames that come in the next moment, none after a moment in which none came, or with a line first.

        Nothing wakes it, and it hears of a death only where that closes the socket, so it is for the first moment of
        a job alone, in which most jobs end. It sees whether they printed something, too.

        Raises:
            ExecutorLost: it ended.
        """
        self._printed_nothing = False
        if self._unsent:
            return ()
        ready = self._soon.poll(_QUIET_MS)
        if not ready or ready[0][0] != self._descriptor:
            return ()
        frames = self._read()
        # Whoever sent that one frame had printed before; between several there may have been something.
        self._printed_nothing = len(ready) == 1 and len(frames) == 1
        return frames

    def read_output(self) -> None:
        """Hand out what was printed and is not read yet, and lines that have no end: their job is over."""
        is_left = not self._printed_nothing and self._output.poll(0)
        if is_left or self.handing_out.locked():  # the thread that drains has read it, and will hand it out
            for stream in self.streams:
                stream.read()
        for stream in self.streams:
            if stream.rest:
                stream.end_line()

    def drain(self, stream: "Stream") -> None:
        """Count a stream among those of the executor."""
        self.streams.append(stream)
        self._output.register(stream.file, select.POLLIN)
        self._soon.register(stream.file, select.POLLIN)

    def empty_workdir(self) -> bool:
        """Remove what a job left in its folder; tell whether it is as it was.

        Making and removing a folder for each job takes longer than most jobs.
        """
        try:
            if not self.has_empty_workdir:
                shutil.rmtree(self.workdir)
                make_workdir(self.workdir)
        except OSError:
            return False
        return True

    @property
    def has_empty_workdir(self) -> bool:
        """Whether no job left, or changed, anything in its folder.

        Raises:
            OSError: it is not there.
        """
        return os.stat(self._workdir).st_mtime_ns == _NEVER_NS  # noqa: PTH116 - on the way of every job

    def wake(self) -> None:
        """Make a waiting `receive` return; from any thread."""
        with contextlib.suppress(OSError):
            os.write(self._wake_write, b"!")

    def memory_bytes(self) -> int:
        """Give the memory of the executor and everything it started."""
        return processes.memory_bytes(self.pid)

    def see_family(self, used_seconds: float) -> None:
        """Hear how long what its jobs started has been running on cores."""
        jobs, self._jobs_seen = self.jobs - self._jobs_seen, self.jobs
        self.precedence.see_family(used_seconds, jobs)

    def end(self) -> None:
        """Kill the executor with everything it started, and reap it. May be called again."""
        with self._lock:
            if self.has_ended:
                return
            self.has_ended = True
        processes.kill_group(self.pid)  # before the leader is reaped: until then the number is taken
        self._process.wait()
        processes.kill_group(self.pid)
        processes.end_adopted(EXECUTOR_VARIABLE, self.id)
        self._connection.close()

    def close(self) -> None:
        """End the executor and give back its descriptors."""
        self.end()
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
        shutil.rmtree(self.workdir, ignore_errors=True)
        self.started.close()
        for descriptor in (self._wake_read, self._wake_write, self._death):
            os.close(descriptor)

    def _send_rest(self) -> None:
        with contextlib.suppress(OSError):  # full, or gone
            sent = self._connection.send(self._unsent, socket.MSG_DONTWAIT)
            self._unsent = self._unsent[sent:]
        if not self._unsent:
            self._poll.modify(self._descriptor, select.POLLIN)

    def _read(self) -> tuple[AnyFrame, ...]:
        try:
            data = self._connection.recv(_RECEIVE_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return ()
        except OSError:
            data = b""
        if not data:
            raise self._lost()
        return self._decode(data)

    def _lost(self) -> ExecutorLost:
        self.end()
        return ExecutorLost(self._process.returncode)

    def _decode(self, data: bytes) -> tuple[AnyFrame, ...]:
        try:
            frames = self._frames.feed(data)
            return frames if isinstance(frames, tuple) else tuple(frames)
        except protocol.ProtocolError as error:
            log.warning("executor broke the protocol", executor=self.pid, reason=str(error))
            raise self._lost() from None


class Executors:
    """The executors of one worker process: idle ones are used again, one is kept warm."""

    def __init__(self, settings: Settings, worker_id: str) -> None:
        self._settings = settings
        self._slot_count = settings.slot_count
        self._max_jobs = settings.executor_max_jobs
        self._worker_id = worker_id
        self._lock = threading.Lock()
        self._idle: list[Executor] = []
        self._all: set[Executor] = set()
        self._requests: queue.SimpleQueue[Future[Executor] | None] = queue.SimpleQueue()
        self._left_behind: dict[psutil.Process, int] = {}
        """Processes that are nobody's, and how many jobs their executor had done when they were seen first."""
        self._is_closed = False
        self._output = OutputDrain()
        if abandoned := remove_abandoned():
            log.info("folders of workers that were killed are deleted", folders=abandoned)
        self._folder, self._mark = held_folder()
        self._sentinel, self._sentinel_pipe = start_sentinel(worker_id, self._folder)
        # Parent-death signals follow the thread that forked, so one long-lived thread spawns.
        self._spawner = threading.Thread(target=self._spawn_on_request, name="spawner", daemon=True)
        self._spawner.start()

    @property
    def folder(self) -> Path:
        """Where jobs have their folders; it goes with the worker, however that ends."""
        return self._folder

    def warm(self) -> None:
        """Start an executor for whoever needs one next, without waiting for it."""
        self._request().add_done_callback(self._keep_warm)

    def take(self, source: str, meanwhile: Callable[[], object]) -> Executor:
        """Give an executor for a job of this plugin: one that has it loaded, a fresh one, or a new one.

        One that has it loaded may have died since its last job.

        Args:
            source: The plugin.
            meanwhile: Called once a new one is on its way.

        Raises:
            ExecutorLost: a new one did not come up.
        """
        while (executor := self._take_idle(source)) is not None:
            if executor.sources or not executor.is_dead:
                return executor
            self.discard(executor)
        request = self._request()
        meanwhile()
        try:
            return self._greeted(request.result(timeout=SPAWN_SECONDS))
        except (OSError, TimeoutError) as error:
            log.warning("no executor could be started", reason=str(error))
            request.add_done_callback(self._keep_warm)  # should it come after all
            raise ExecutorLost(None) from error

    def _take_idle(self, source: str) -> Executor | None:
        with self._lock:
            idle = self._idle
            if idle and source in idle[-1].sources:  # the one used last has most in the caches
                return idle.pop()
            for position in range(len(idle) - 2, -1, -1):
                if source in idle[position].sources:
                    return idle.pop(position)
            executor = next((one for one in idle if not one.sources), None)
            if executor is not None:
                idle.remove(executor)
            return executor

    def keep(self, executor: Executor, source: str) -> bool:
        """Keep an executor for the next job where that takes no time; else it has to be given back when there is some.

        Returns:
            Whether it was kept; not where it has to be measured, its folder to be emptied, or something to be ended.
        """
        now_seconds = time.monotonic()
        if (
            executor.has_ended
            or executor.failures
            or executor.jobs + 1 >= self._max_jobs
            or now_seconds - executor.gauged_seconds >= _GAUGE_SECONDS
        ):
            return False
        try:
            if not executor.has_empty_workdir:
                return False
        except OSError:
            return False
        with self._lock:
            if self._idle and len(self._all) > self._slot_count:
                return False
            _count_job(executor, source, now_seconds)
            self._idle.append(executor)
        return True

    def give_back(self, executor: Executor, source: str) -> None:
        """Keep an executor for the next job, unless it has done enough or grown too much."""
        _count_job(executor, source, time.monotonic())
        if executor.has_ended or self._is_worn(executor) or not executor.empty_workdir():
            self.discard(executor)
            return
        with self._lock:
            surplus = self._idle.pop(0) if self._idle and len(self._all) > self._slot_count else None
            self._idle.append(executor)
        if surplus is not None:
            self.discard(surplus)

    def discard(self, executor: Executor) -> None:
        """End an executor; another one is started when none is left."""
        with self._lock:
            self._all.discard(executor)
            is_short = not self._idle and len(self._all) < self._slot_count
            needs_another = is_short and not self._is_closed
        executor.close()
        self._tell_sentinel(f"-{executor.pid}")
        if needs_another:
            self.warm()

    def close(self) -> None:
        """End all executors and the threads that serve them."""
        with self._lock:
            self._is_closed = True
        self._requests.put(None)
        self._spawner.join()
        with self._lock:
            everything = list(self._all)
        for executor in everything:
            self.discard(executor)
        self._output.close()
        self._sentinel_pipe.close()
        self._sentinel.wait()
        self._mark.close()

    def end_left_behind(self) -> None:
        """End what jobs have left running outside the families of their executors, once those jobs are over.

        To be called every few seconds: what is new is looked at again the next time, when the executor that it
        comes of is known here.
        """
        seen, self._left_behind = self._left_behind, {}
        for process in processes.adopted(self._pids):
            executor_id = processes.carried(process, EXECUTOR_VARIABLE)
            with self._lock:
                executor = next((one for one in self._all if one.id == executor_id), None)
                is_idle = executor is None or executor in self._idle
            jobs = 0 if executor is None else executor.jobs
            if process in seen and executor_id and (is_idle or jobs > seen[process]):
                processes.end_family(process)
            self._left_behind[process] = seen.get(process, jobs)

    def see_families(self) -> None:
        """Have executors yield beside which processes of their jobs use cores. To be called every few seconds."""
        with self._lock:
            known = {one.pid: one for one in self._all if one.precedence.is_known and not one.has_ended}
        if known:
            for pid, used_seconds in processes.family_seconds(known.keys()).items():
                known[pid].see_family(used_seconds)

    @property
    def _pids(self) -> set[int]:
        """The processes that are waited for here."""
        with self._lock:
            return {one.pid for one in self._all} | {self._sentinel.pid}

    def _is_worn(self, executor: Executor) -> bool:
        if executor.failures >= _MOST_FAILURES or executor.jobs >= self._max_jobs:
            return True
        if executor.used_seconds - executor.gauged_seconds < _GAUGE_SECONDS:
            return False
        executor.gauged_seconds = executor.used_seconds
        memory = executor.gauge.memory_bytes()
        executor.first_memory_bytes = executor.first_memory_bytes or memory
        return memory - executor.first_memory_bytes > self._settings.executor_max_growth_mb * 1024 * 1024

    def _request(self) -> Future[Executor]:
        request: Future[Executor] = Future()
        self._requests.put(request)
        return request

    def _keep_warm(self, request: Future[Executor]) -> None:
        if request.exception() is not None:
            return
        with contextlib.suppress(ExecutorLost):
            executor = self._greeted(request.result())
            with self._lock:
                if not self._is_closed:
                    self._idle.append(executor)

    def _spawn_on_request(self) -> None:
        while (request := self._requests.get()) is not None:
            try:
                executor = self._spawn()
            except Exception as error:
                request.set_exception(error)
            else:
                request.set_result(executor)

    def _spawn(self) -> Executor:
        ours, theirs = socket.socketpair()
        workdir = self._folder / secrets.token_hex(8)
        make_workdir(workdir)
        with tempfile.TemporaryFile() as mark:
            mark.write(b"\0")
            mark.flush()
            process = subprocess.Popen(
                [
                    *(sys.executable, "-P", "-u", "-m", "fastprocesses_sdk.executor"),
                    *("--fd", str(theirs.fileno()), "--parent", str(os.getpid())),
                    *("--started-fd", str(mark.fileno())),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=[theirs.fileno(), mark.fileno()],
                start_new_session=True,
                env=self._environment(workdir.name),
                cwd="/",
            )
            started = StartMark(mark.fileno())
        theirs.close()
        self._tell_sentinel(f"+{process.pid}")
        executor = Executor(process, ours, started, workdir)
        self._output.add(process, executor)
        with self._lock:
            self._all.add(executor)
        return executor

    def _greeted(self, executor: Executor) -> Executor:
        """Give the executor once it is ready for jobs; it is waited for by whoever needs it."""
        try:
            if not executor.is_greeted:
                executor.await_greeting(SPAWN_SECONDS)
        except ExecutorLost:
            self.discard(executor)
            raise
        return executor

    def _environment(self, executor_id: str) -> dict[str, str]:
        threads = str(max(1, (os.cpu_count() or 1) // self._slot_count))
        environment = dict(os.environ)  # our own settings were taken out of it when the worker booted
        environment.update({name: threads for name in THREAD_VARIABLES if name not in environment})
        environment[EXECUTOR_VARIABLE] = executor_id
        environment[sentinel.WORKER_VARIABLE] = self._worker_id
        return environment

    def _tell_sentinel(self, line: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._sentinel_pipe.write(f"{line}\n".encode())


def _count_job(executor: Executor, source: str, now_seconds: float) -> None:
    executor.sources.add(source)
    executor.jobs += 1
    executor.used_seconds = now_seconds


def make_workdir(folder: Path) -> None:
    """Make the folder of an executor, with a time of its last change that any change will replace."""
    folder.mkdir(mode=0o700, parents=True)
    os.utime(folder, ns=(_NEVER_NS, _NEVER_NS))


def start_sentinel(worker_id: str, folder: Path) -> tuple[subprocess.Popen[bytes], socket.SocketIO]:
    """Start the sentinel of this worker; return it and the pipe that keeps it waiting."""
    ours, theirs = socket.socketpair()
    process = subprocess.Popen(
        [
            sys.executable,
            "-I",
            "-S",
            str(Path(sentinel.__file__)),
            str(theirs.fileno()),
            worker_id,
            str(folder),
        ],
        stdin=subprocess.DEVNULL,
        pass_fds=[theirs.fileno()],
        start_new_session=True,
        cwd="/",
    )
    theirs.close()
    ours_file = ours.makefile("wb", buffering=0)
    ours.close()  # the file keeps it open
    return process, ours_file


class OutputDrain:
    """One thread that reads what all executors print, line by line, so that none ever waits for it."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe()
        self._selector.register(self._wake_read, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._drain, name="output", daemon=True)
        self._thread.start()

    def add(self, process: subprocess.Popen[bytes], executor: Executor) -> None:
        """Drain standard output and error of a new executor until they close."""
        assert process.stdout is not None
        assert process.stderr is not None
        for name, file in (("stdout", process.stdout), ("stderr", process.stderr)):
            os.set_blocking(file.fileno(), False)
            stream = Stream(name, file, executor)
            executor.drain(stream)
            self._selector.register(file, selectors.EVENT_READ, stream)
        os.write(self._wake_write, b"!")

    def close(self) -> None:
        """Stop the thread."""
        os.write(self._wake_write, b".")
        self._thread.join()
        self._selector.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _drain(self) -> None:
        while True:
            try:
                for key, _ in self._selector.select():
                    if key.data is None:
                        if b"." in os.read(self._wake_read, 4096):
                            return
                    elif key.data.read():
                        self._selector.unregister(key.fileobj)
                        key.data.file.close()
            except Exception:  # whoever prints must never wait because of a fault of ours
                log.exception("reading what executors print failed")


class Stream:
    """One stream of one executor, cut into lines."""

    def __init__(self, name: str, file: IO[bytes], executor: Executor) -> None:
        self.file = file
        self._name = name
        self._executor = executor
        self.rest = b""
        """What was read of a line that has no end yet."""

    def read(self) -> bool:
        """Read what is there and hand its lines to the job that runs; tell whether the stream has ended."""
        with self._executor.handing_out:
            if self.file.closed:
                return False
            try:
                data = os.read(self.file.fileno(), 65536)
            except BlockingIOError:
                return False
            except OSError:
                data = b""
            self._hand_out(data)
            return not data

    def end_line(self) -> None:
        """Hand out as a line what has no end yet."""
        with self._executor.handing_out:
            self._hand_out(b"")

    def _hand_out(self, data: bytes) -> None:
        on_line = self._executor.on_line
        for line in self.lines(data):
            if on_line is not None:
                on_line(self._name, line)
        if on_line is None:  # nor shall the next job have the begin of it
            self.rest = b""

    def lines(self, data: bytes) -> Iterator[str]:
        """Give the lines that are whole with `data`; the rest, too, at the end or when it gets long."""
        *whole, self.rest = (self.rest + data).split(b"\n")
        if self.rest and (not data or len(self.rest) > _LINE_BYTES):
            whole, self.rest = [*whole, self.rest], b""
        for line in whole:
            yield line[:_LINE_BYTES].decode("utf-8", "replace").rstrip("\r")
