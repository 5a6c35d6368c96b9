"""The executor: runs one job at a time in its main thread, and ends its whole group when its worker is gone."""

import argparse
import contextlib
import gc
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from importlib import import_module
from io import FileIO, TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING

from fastprocesses_sdk import __version__
from fastprocesses_sdk.errors import JobCancelled, declared_error, is_error_status, text_of, told
from fastprocesses_sdk.executor import protocol
from fastprocesses_sdk.executor.protocol import (
    Cancel,
    Configure,
    Execute,
    Fetch,
    Frame,
    Order,
    Problem,
    Result,
    Started,
)
from fastprocesses_sdk.executor.running import MIN_PROGRESS_SECONDS, RunningJob
from fastprocesses_sdk.executor.started import StartMark
from fastprocesses_sdk.executor.surroundings import Surroundings
from fastprocesses_sdk.lifeline import (
    end_family_of_this_process,
    end_with_parent,
    interrupt_main_thread,
)
from fastprocesses_sdk.looping import one_loop
from fastprocesses_sdk.memory import release_unused_memory

if TYPE_CHECKING:
    from fastprocesses_sdk.configured import GivenSettings
    from fastprocesses_sdk.executor.loaded import LoadedPlugin

_GC_THRESHOLDS = (50_000, 20, 100)
"""Decoding large JSON documents takes a third of the time."""
_OOM_SCORE_ADJ = 500
_NICE = 10
_FLUSH_SECONDS = 0.1
_LOOK_SECONDS = 0.05
"""A job that takes longer than this is looked after."""
_MAX_TRACEBACK_CHARACTERS = 20_000
_MAX_TEXT_CHARACTERS = 20_000
_CUT = (
    b"The connection to the worker was cut. Did the process close file descriptors, or write to some, "
    b"that it had not opened?\n"
)


def main() -> None:
    """Serve the worker on the given socket until it closes or a job was cancelled."""
    parser = argparse.ArgumentParser(prog="fastprocesses_sdk.executor", description=__doc__)
    parser.add_argument("--fd", type=int, required=True, help="the socket to the worker")
    parser.add_argument("--parent", type=int, required=True, help="the worker's process id")
    parser.add_argument("--started-fd", type=int, help="the file of the mark that process code runs")
    arguments = parser.parse_args()
    end_with_parent(arguments.parent)
    reset_signals()
    yield_to_others()
    os.set_inheritable(arguments.fd, False)
    gc.set_threshold(*_GC_THRESHOLDS)
    started = None
    if arguments.started_fd is not None:
        started = StartMark(arguments.started_fd)
        os.close(arguments.started_fd)
    Executor(socket.socket(fileno=arguments.fd), started).serve()


def reset_signals() -> None:
    """Give plugins the signals as a fresh Python has them; SIGINT is how a job is cancelled."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, set())


def yield_to_others() -> None:
    """Leave the machine to host, worker and store where it is short of cores or memory."""
    with contextlib.suppress(OSError):
        os.nice(_NICE)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(_OOM_SCORE_ADJ), "ascii")


class Executor:
    """One connection to a worker: the main thread reads and runs jobs, another one hears of what comes meanwhile.

    A job of a few milliseconds is over before the second thread looks, and so costs no change between the two.
    """

    def __init__(
        self,
        connection: socket.socket,
        started: StartMark | None = None,
        min_progress_seconds: float = MIN_PROGRESS_SECONDS,
    ) -> None:
        self._connection = connection
        self._started = started
        self._min_progress_seconds = min_progress_seconds
        self._send_lock = threading.Lock()
        self._frames = protocol.FrameReader()
        self._reading = threading.Lock()
        self._jobs: deque[Order] = deque()
        self._is_resting = False
        self._awake = threading.Event()
        self._running: RunningJob | None = None
        self._newest: RunningJob | None = None
        self._settings: dict[str, GivenSettings] = {}
        self._plugins: dict[str, LoadedPlugin] = {}
        self._surroundings = Surroundings()
        self._process_id = os.getpid()
        self._await_bytes = _waiting_for(connection)

    def serve(self) -> None:
        """Greet the worker, then run what it sends. Does not return."""
        self.send(
            protocol.Greeting(protocol.OLDEST_VERSION, protocol.NEWEST_VERSION, os.getpid(), __version__)
        )
        threading.Thread(target=self._watch, name="frames", daemon=True).start()
        import_module("fastprocesses_sdk.plugins")  # while nobody waits for it: each first job needs it
        with one_loop():
            try:
                while True:
                    self._run(self._next_job())
            except KeyboardInterrupt:  # a cancel that came as its job ended
                self._end()

    def send(self, frame: Frame) -> None:
        """Send one frame; from any thread. A worker that is gone ends the executor."""
        data = protocol.encode_frame(frame)
        try:
            with self._send_lock:
                self._connection.sendall(data)
        except OSError:
            self._kill_group()

    def _next_job(self) -> Order:
        with self._reading:
            while not self._jobs:
                self._read()
            job = self._jobs.popleft()
        if self._is_resting:
            self._awake.set()
        return job

    def _read(self) -> None:
        self._await_bytes()
        data = protocol.receive_some(self._connection)
        if not data:
            self._kill_group()
        for frame in self._frames.feed(data):
            self._receive(frame)

    def _watch(self) -> None:
        """Look after a job that takes longer: its progress, its cancel, and whether the worker is there."""
        seen: RunningJob | None = None
        try:
            while True:
                newest = self._newest
                if newest is not seen:
                    time.sleep(_LOOK_SECONDS)
                elif newest is not None and newest is self._running:
                    self._hear(newest)
                else:  # nothing came for a while: to be woken costs the next job, and not each of many in a row
                    self._rest()
                seen = newest
        finally:  # without this thread the worker cannot reach us any more
            self._kill_group()

    def _rest(self) -> None:
        """Sleep until there is a job again."""
        self._is_resting = True
        if self._running is None:
            self._awake.wait()
        self._awake.clear()
        self._is_resting = False

    def _hear(self, running: RunningJob) -> None:
        running.flush_progress()
        if not select.select([self._connection], [], [], _FLUSH_SECONDS)[0]:
            return
        if self._reading.acquire(blocking=False):  # else the job is over, and the main thread reads
            try:
                if self._running is running:
                    self._read()
            finally:
                self._reading.release()

    def _receive(self, frame: protocol.AnyFrame) -> None:
        if type(frame) is Execute or type(frame) is Fetch:  # `isinstance` asks the metaclass of structs first
            self._running = self._newest = RunningJob(
                self.send, frame, self._min_progress_seconds, self._process_id
            )
            self._jobs.append(frame)
        elif isinstance(frame, Configure):
            self._settings[frame.source] = frame.settings
        elif isinstance(frame, Cancel):
            running = self._running
            if running is not None and running.claim == frame.claim:
                running.is_cancelled = True
                interrupt_main_thread()

    def _run(self, order: Order) -> None:
        running = self._running
        assert running is not None
        try:
            frame = self._outcome(order, running)
        except (KeyboardInterrupt, JobCancelled):
            frame = Problem(order.job, order.claim, "cancelled", "The job was cancelled.")
        if os.getpid() != self._process_id:  # a copy that came back from the job: its parent speaks for it
            self._end()
        running.end()
        self._running = None
        if not (_holds_nothing(sys.stdout) and _holds_nothing(sys.stderr)):
            # What is written only now is the job's, and goes where its lines go.
            self._surroundings.put_standard_back()
            _flush_standard_streams()
        self.send(frame)
        if running.is_cancelled:
            self._end()
        self._put_back()

    def _put_back(self) -> None:
        """Make ready for the next job, while the worker has the last one stored."""
        try:
            self._surroundings.put_process_back()
        except BaseException:  # the next job shall not meet what this one left
            self._end()

    def _outcome(self, order: Order, running: RunningJob) -> Frame:
        known = self._plugins.get(order.source)
        try:
            plugin = known or self._load(order)
        except BaseException as error:  # SystemExit too, and kinds of their own
            if running.is_cancelled:
                raise KeyboardInterrupt from error
            return Problem(order.job, order.claim, "plugin", _text(told(error)), traceback=_traceback())
        if self._started is not None:
            self._started.set()
        if known is None or self._started is None:  # the worker could not know when its plugin is loaded
            self.send(Started(order.job, order.claim))
        try:
            try:
                os.chdir(order.workdir)
                outputs = copy_context().run(plugin.run, order, running)
            finally:
                self._surroundings.put_interpreter_back()
        except (KeyboardInterrupt, JobCancelled):
            raise
        except BaseException as error:
            return _problem(order, error)
        return Result(order.job, order.claim, outputs)

    def _load(self, order: Order) -> "LoadedPlugin":
        """Import and start the plugin of a job."""
        from fastprocesses_sdk.executor.loaded import loaded

        plugin = self._plugins[order.source] = loaded(order, self._settings.get(order.source))
        self._surroundings.settle()
        release_unused_memory()
        gc.freeze()  # what was imported stays
        return plugin

    def _end(self) -> None:
        _flush_standard_streams()
        os._exit(0)

    def _kill_group(self) -> None:
        if self._running is not None:  # its log should say why, where the worker is still there to read it
            with contextlib.suppress(OSError):
                os.write(2, _CUT)
        end_family_of_this_process()


def _problem(order: Order, error: BaseException) -> Problem:
    """Tell what a process raised: to its caller where it chose so, otherwise to the operator alone."""
    try:
        return _declared(order, error) or _failed(order, error)
    except BaseException:  # even its members raise
        return Problem(order.job, order.claim, "failed", type(error).__name__, traceback=_traceback())


def _failed(order: Order, error: BaseException) -> Problem:
    return Problem(order.job, order.claim, "failed", _text(told(error)), traceback=_traceback())


def _declared(order: Order, error: BaseException) -> Problem | None:
    declared = declared_error(error)
    if declared is None:
        return None
    return Problem(
        order.job,
        order.claim,
        "declared",
        _text(declared.detail or declared),
        title=_text(declared.title or ""),
        status=declared.status if is_error_status(declared.status) else 500,
        type=_text(declared.type or ""),
        input=_text(declared.input or ""),
        traceback=_traceback(),
    )


def _text(value: object) -> str:
    return protocol.plain(text_of(value)[:_MAX_TEXT_CHARACTERS])


def _traceback() -> str:
    try:
        return protocol.plain(traceback.format_exc()[-_MAX_TRACEBACK_CHARACTERS:])
    except BaseException:  # texts of exceptions may raise anything
        return ""


def _waiting_for(connection: socket.socket) -> Callable[[], object]:
    """Give what waits until there is something to read.

    A `recv` that waits on its own is woken by Linux also when the peer has read what was sent, for nothing.
    """
    if not hasattr(select, "poll"):
        return lambda: None
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return poll.poll


def _holds_nothing(stream: object) -> bool:
    """Whether all that was written is out already, as `python -u` has it; to ask costs less than to flush."""
    return type(stream) is TextIOWrapper and stream.write_through and type(stream.buffer) is FileIO


def _flush_standard_streams() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            if not _holds_nothing(stream):
                stream.flush()
        except Exception:  # noqa: S110
            pass


if __name__ == "__main__":
    main()
