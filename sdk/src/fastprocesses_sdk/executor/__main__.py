"""The executor: runs one job at a time in its main thread, and ends its whole group when its worker is gone."""

import argparse
import contextlib
import os
import queue
import select
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastprocesses_sdk import __version__
from fastprocesses_sdk.errors import JobCancelled, ProcessError
from fastprocesses_sdk.executor import protocol
from fastprocesses_sdk.executor.protocol import (
    Cancel,
    Execute,
    Frame,
    Log,
    Output,
    Problem,
    Progress,
    Result,
    Started,
)
from fastprocesses_sdk.lifeline import end_with_parent

if TYPE_CHECKING:
    from fastprocesses_sdk.processes import Process
    from fastprocesses_sdk.values import EncodedOutput

_OOM_SCORE_ADJ = 500
_NICE = 5
_MIN_PROGRESS_SECONDS = 0.02
_FLUSH_SECONDS = 0.1
_MAX_LOG_FRAMES = 10_000
_MAX_TRACEBACK_CHARACTERS = 20_000


def main() -> None:
    """Serve the worker on the given socket until it closes or a job was cancelled."""
    parser = argparse.ArgumentParser(prog="fastprocesses_sdk.executor", description=__doc__)
    parser.add_argument("--fd", type=int, required=True, help="the socket to the worker")
    parser.add_argument("--parent", type=int, required=True, help="the worker's process id")
    arguments = parser.parse_args()
    end_with_parent(arguments.parent)
    reset_signals()
    yield_to_others()
    os.set_inheritable(arguments.fd, False)
    Executor(socket.socket(fileno=arguments.fd)).serve()


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
    """One connection to a worker: a thread that reads frames, the main thread that runs jobs."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._send_lock = threading.Lock()
        self._jobs: queue.SimpleQueue[Execute] = queue.SimpleQueue()
        self._running: RunningJob | None = None
        self._main_thread = threading.main_thread().ident or 0
        self._processes: dict[str, Mapping[str, Process[..., Any]]] = {}
        self._home = str(Path.cwd())

    def serve(self) -> None:
        """Greet the worker, then run what it sends. Does not return."""
        self.send(
            protocol.Greeting(protocol.OLDEST_VERSION, protocol.NEWEST_VERSION, os.getpid(), __version__)
        )
        threading.Thread(target=self._read, name="frames", daemon=True).start()
        try:
            while True:
                self._run(self._jobs.get())
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

    def _read(self) -> None:
        frames = protocol.FrameReader()
        try:
            self._read_frames(frames)
        finally:  # without this thread the worker cannot reach us any more
            self._kill_group()

    def _read_frames(self, frames: protocol.FrameReader) -> None:
        while True:
            running = self._running
            if running is not None and not select.select([self._connection], [], [], _FLUSH_SECONDS)[0]:
                running.flush_progress()
                continue
            data = protocol.receive_some(self._connection)
            if not data:
                return
            for frame in frames.feed(data):
                self._receive(frame)

    def _receive(self, frame: protocol.AnyFrame) -> None:
        if isinstance(frame, Execute):
            self._running = RunningJob(self, frame)
            self._jobs.put(frame)
        elif isinstance(frame, Cancel):
            running = self._running
            if running is not None and running.claim == frame.claim:
                running.is_cancelled = True
                signal.pthread_kill(self._main_thread, signal.SIGINT)

    def _run(self, execute: Execute) -> None:
        running = self._running
        assert running is not None
        try:
            frame = self._outcome(execute, running)
        except (KeyboardInterrupt, JobCancelled):
            frame = Problem(execute.job, execute.claim, "cancelled", "The job was cancelled.")
        running.flush_progress()
        self._running = None
        _flush_standard_streams()
        self.send(frame)
        if running.is_cancelled:
            self._end()

    def _outcome(self, execute: Execute, running: "RunningJob") -> Frame:
        try:
            process = self._load(execute)
        except Exception as error:
            return Problem(execute.job, execute.claim, "plugin", _told(error), traceback=_traceback())
        self.send(Started(execute.job, execute.claim))
        try:
            with _restored(execute.workdir, self._home):
                outputs = self._call(process, execute, running)
        except ProcessError as error:
            return _declared_problem(execute, error)
        except (KeyboardInterrupt, JobCancelled):
            raise
        except BaseException as error:  # SystemExit too; some libraries have kinds of their own
            return Problem(execute.job, execute.claim, "failed", _told(error), traceback=_traceback())
        return Result(execute.job, execute.claim, outputs)

    def _load(self, execute: Execute) -> "Process[..., Any]":
        from fastprocesses_sdk.plugins import load_plugin

        if execute.source not in self._processes:
            self._processes[execute.source] = load_plugin(
                execute.source, execute.distribution, execute.version
            )
        return self._processes[execute.source][execute.process]

    def _call(
        self, process: "Process[..., Any]", execute: Execute, running: "RunningJob"
    ) -> dict[str, Output]:
        from fastprocesses_sdk.job import Job
        from fastprocesses_sdk.values import InputValue

        inputs = {
            name: InputValue(data=value.data, media_type=value.media_type, path=value.path)
            for name, value in execute.inputs.items()
        }
        job = Job(id=execute.job, workdir=Path(execute.workdir), reporter=running, formats=execute.formats)
        encoded = process.run(inputs, job, execute.outputs, execute.formats)
        return {
            name: _frame_output(value, execute, number)
            for number, (name, value) in enumerate(encoded.items())
        }

    def _end(self) -> None:
        _flush_standard_streams()
        os._exit(0)

    def _kill_group(self) -> None:
        os.killpg(0, signal.SIGKILL)


class RunningJob:
    """What the running process reports, thinned out on its way to the worker; the `Reporter` of its Job."""

    def __init__(self, executor: Executor, execute: Execute) -> None:
        self.job = execute.job
        self.claim = execute.claim
        self.is_cancelled = False
        self._executor = executor
        self._lock = threading.Lock()
        self._percent: int | None = None
        self._message: str | None = None
        self._is_pending = False
        self._sent_seconds = 0.0
        self._log_frames = 0

    def cancelled(self) -> bool:
        """Whether the job was asked to stop."""
        return self.is_cancelled

    def progress(self, percent: int | None, message: str | None) -> None:
        """Report progress; what comes too fast is sent a little later, the newest only."""
        with self._lock:
            self._percent = self._percent if percent is None else percent
            self._message = self._message if message is None else protocol.plain(message)
            self._is_pending = True
            is_due = time.monotonic() - self._sent_seconds >= _MIN_PROGRESS_SECONDS
        if is_due:
            self.flush_progress()

    def flush_progress(self) -> None:
        """Send the newest progress that was not sent yet."""
        with self._lock:
            if not self._is_pending:
                return
            self._is_pending = False
            self._sent_seconds = time.monotonic()
            frame = Progress(self.job, self.claim, self._percent, self._message)
        self._executor.send(frame)

    def log(self, level: str, text: str, fields: Mapping[str, Any]) -> None:
        """Report one log line; past the limit they are dropped, and the last one says so."""
        self._log_frames += 1
        if self._log_frames < _MAX_LOG_FRAMES:
            self._executor.send(Log(self.job, self.claim, level, protocol.plain(text), _plain_fields(fields)))
        elif self._log_frames == _MAX_LOG_FRAMES:
            self._executor.send(
                Log(self.job, self.claim, "warning", "The log is full; later lines are dropped.")
            )


@contextlib.contextmanager
def _restored(workdir: str, home: str) -> Iterator[None]:
    """Run in the workdir; give working directory and environment back as they were."""
    environment = dict(os.environ)
    os.chdir(workdir)
    try:
        yield
    finally:
        os.chdir(home)
        if dict(os.environ) != environment:
            os.environ.clear()
            os.environ.update(environment)


def _frame_output(value: "EncodedOutput", execute: Execute, number: int) -> Output:
    if value.path or len(value.data) <= execute.inline_bytes:
        return Output(value.form, value.media_type, value.data, value.path)
    path = Path(execute.workdir) / f".output-{number}"
    path.write_bytes(value.data)
    return Output(value.form, value.media_type, path=str(path))


def _declared_problem(execute: Execute, error: ProcessError) -> Problem:
    return Problem(
        execute.job,
        execute.claim,
        "declared",
        protocol.plain(error.detail),
        title=protocol.plain(error.title),
        status=error.status,
        type=protocol.plain(error.type),
        input=protocol.plain(error.input),
        traceback=_traceback(),
    )


def _told(error: BaseException) -> str:
    try:
        return protocol.plain(f"{type(error).__name__}: {error}")
    except Exception:  # an exception whose text raises
        return type(error).__name__


def _traceback() -> str:
    try:
        return protocol.plain(traceback.format_exc()[-_MAX_TRACEBACK_CHARACTERS:])
    except Exception:
        return ""


def _plain_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Give fields that can be sent whatever they are."""
    return {
        protocol.plain(str(name)): value
        if isinstance(value, int | float | bool)
        else protocol.plain(str(value))
        for name, value in fields.items()
    }


def _flush_standard_streams() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()


if __name__ == "__main__":
    main()
