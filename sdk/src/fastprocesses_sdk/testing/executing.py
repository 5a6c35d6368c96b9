"""One execution of a process, in an executor child or in this interpreter, and what it reports meanwhile."""

import asyncio
import contextlib
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from msgspec import Struct

from fastprocesses_sdk.configured import GivenSettings, PluginSettings
from fastprocesses_sdk.errors import JobCancelled, ProcessError, declared_error, text_of, told
from fastprocesses_sdk.executor import protocol
from fastprocesses_sdk.executor.protocol import (
    Cancel,
    Configure,
    Execute,
    Log,
    Problem,
    Progress,
    Result,
    Started,
)
from fastprocesses_sdk.job import Job
from fastprocesses_sdk.looping import one_loop
from fastprocesses_sdk.processes import Process
from fastprocesses_sdk.starting import start
from fastprocesses_sdk.testing.children import Child, ChildEnded, keep_child, take_child
from fastprocesses_sdk.testing.encoding import decoded_output, output_faults
from fastprocesses_sdk.testing.locating import located
from fastprocesses_sdk.testing.outcomes import Cancelled, LogLine, ProcessFailed, Run, TimedOut
from fastprocesses_sdk.values import EncodedOutput, InputValue

LOAD_SECONDS = 60.0
"""How long a child may take to start and to import the plugin."""
GRACE_SECONDS = 1.0
"""How long a cancelled process may tidy up before its child is killed."""
_INLINE_BYTES = 1 << 20
_JOB_ID = "test"


class Request(Struct, frozen=True, kw_only=True):
    """What is to be run, and how."""

    process: Process[..., Any]
    given: Any
    """What the process was made of: itself, or a class or object with a description."""
    inputs: dict[str, InputValue]
    outputs: list[str] | None
    formats: dict[str, str]
    settings: GivenSettings
    timeout_seconds: float
    cancel_when: Callable[[Run], bool] | None


class Recorder:
    """Keeps what a process reports, and says when it has to stop; the `Reporter` of its Job."""

    def __init__(self, request: Request) -> None:
        self.run = Run()
        self.stop: TimedOut | Cancelled | None = None
        self._request = request
        self._deadline_seconds = float("inf")

    def start(self) -> None:
        """Let the time run."""
        self._deadline_seconds = time.monotonic() + self._request.timeout_seconds

    def progress(self, percent: int | None, message: str | None) -> None:
        """Keep what is news."""
        if percent is not None and self.run.progress[-1:] != [percent]:
            self.run.progress.append(percent)
        if message is not None and self.run.messages[-1:] != [message]:
            self.run.messages.append(message)
        self._ask()

    def log(self, level: str, text: str, fields: Mapping[str, Any]) -> None:
        """Keep a line of the log."""
        self.run.log.append(LogLine(level, text, dict(fields)))
        self._ask()

    def cancelled(self) -> bool:
        """Whether the process has to stop."""
        if self.stop is None and time.monotonic() >= self._deadline_seconds:
            seconds = self._request.timeout_seconds
            self.stop = TimedOut(f"{self._name} took longer than {seconds:g} seconds.", self.run)
        return self.stop is not None

    def left_seconds(self) -> float:
        """How long it may still run."""
        return self._deadline_seconds - time.monotonic()

    def failed(self, sentence: str, trace: str = "") -> ProcessFailed:
        """Make the error that tells that the process failed."""
        return ProcessFailed(f"{self._name} {sentence}", traceback=trace, run=self.run)

    def returned(self, outputs: Mapping[str, EncodedOutput]) -> Run:
        """Decode and check what it returned; files are read before their folder goes.

        Raises:
            ProcessFailed: It is not what is described.
        """
        if self.stop is not None:
            raise self.stop
        described = self._request.process.description.outputs
        for name, output in outputs.items():
            value = decoded_output(output)
            found = output_faults(described[name].schema, output, value) if name in described else ()
            for place, text in found:
                raise self.failed(
                    f"returned what its description does not allow: output {name}{place}: {text}"
                )
            self.run.outputs[name] = value
            self.run.media_types[name] = output.media_type
        return self.run

    def _ask(self) -> None:
        asks = self._request.cancel_when
        if self.stop is None and asks is not None and asks(self.run):
            self.stop = Cancelled(f"{self._name} was cancelled.", self.run)

    @property
    def _name(self) -> str:
        return f"The process {self._request.process.id}"


PLUGIN_IN_TESTS = "tests"
"""What the plugin of a process is called here, whose entry point may not be installed yet."""


# In this interpreter


def execute_here(request: Request) -> Run:
    """Run a process in this interpreter; in another thread only where an event loop occupies this one."""
    if asyncio._get_running_loop() is None:
        return _execute_here(request)
    with ThreadPoolExecutor(1) as elsewhere:
        return elsewhere.submit(_execute_here, request).result()


def _execute_here(request: Request) -> Run:
    recorder = Recorder(request)
    with tempfile.TemporaryDirectory(prefix="fastprocesses-test-", ignore_cleanup_errors=True) as workdir:
        job = Job(id=_JOB_ID, workdir=Path(workdir), reporter=recorder, formats=request.formats)
        try:
            with contextlib.chdir(workdir), one_loop():
                settings = PluginSettings(request.settings)
                start(request.process.__module__, [request.process], settings)
                recorder.start()
                outputs = request.process.run(request.inputs, job, request.outputs, request.formats, settings)
        except JobCancelled:
            raise recorder.stop or recorder.failed("stopped although nobody had asked for it.") from None
        except (Exception, SystemExit, asyncio.CancelledError) as error:
            if declared := declared_error(error):
                raise declared from None
            sentence = f"raised {told(error)}{_about_settings(text_of(error))}"
            raise recorder.failed(sentence, traceback.format_exc()) from error
        return recorder.returned(outputs)


# In a child


def execute_in_child(request: Request) -> Run:
    """Run a process in an executor child."""
    source, modules = located(request.process, request.given)
    key, child = take_child(modules, request.settings)
    recorder = Recorder(request)
    is_reusable = False
    try:
        with tempfile.TemporaryDirectory(dir=child.folder, ignore_cleanup_errors=True) as workdir:
            child.send(Configure(source, request.settings))
            child.send(_frame(request, source, workdir))
            answer = _watched(child, recorder)
            is_reusable = recorder.stop is None and getattr(answer, "kind", "") not in ("cancelled", "plugin")
            return _concluded(answer, recorder)
    finally:
        if is_reusable:
            keep_child(key, child)
        else:
            child.end()


def _frame(request: Request, source: str, workdir: str) -> Execute:
    return Execute(
        job=_JOB_ID,
        claim=_JOB_ID,
        source=source,
        distribution="",
        version="",
        process=request.process.id,
        inputs={
            name: protocol.Input(value.data, value.media_type, value.path)
            for name, value in request.inputs.items()
        },
        outputs=request.outputs,
        formats=request.formats,
        workdir=workdir,
        inline_bytes=_INLINE_BYTES,
    )


def _watched(child: Child, recorder: Recorder) -> Result | Problem:
    """Take frames until the last one; stop the process when it has to."""
    wait_seconds = LOAD_SECONDS
    is_told = False
    while True:
        try:
            frame = child.receive(wait_seconds)
        except TimeoutError:
            if recorder.stop is not None or not recorder.cancelled():
                raise recorder.stop or recorder.failed(
                    f"was not loaded within {LOAD_SECONDS:g} seconds."
                ) from None
        except ChildEnded as ended:
            raise recorder.stop or recorder.failed(f"{ended}.", ended.trace) from None
        else:
            if isinstance(frame, Result | Problem):
                return frame
            _recorded(frame, recorder)
        if recorder.cancelled() and not is_told:
            is_told = True
            child.send(Cancel(_JOB_ID, _JOB_ID))
            grace_ends_seconds = time.monotonic() + GRACE_SECONDS
        wait_seconds = grace_ends_seconds - time.monotonic() if is_told else recorder.left_seconds()
        wait_seconds = min(wait_seconds, LOAD_SECONDS)


def _recorded(frame: protocol.AnyFrame, recorder: Recorder) -> None:
    if isinstance(frame, Started):
        recorder.start()
    elif isinstance(frame, Progress):
        recorder.progress(frame.percent, frame.message)
    elif isinstance(frame, Log):
        recorder.log(frame.level, frame.text, frame.fields)


def _concluded(answer: Result | Problem, recorder: Recorder) -> Run:
    if recorder.stop is not None:
        raise recorder.stop
    if isinstance(answer, Result):
        return recorder.returned(answer.outputs)
    if answer.kind == "declared":
        raise ProcessError(
            answer.detail, title=answer.title, status=answer.status, type=answer.type, input=answer.input
        )
    if answer.kind == "cancelled":
        raise recorder.failed("interrupted itself.")
    sentence = "cannot be loaded: " if answer.kind == "plugin" else "raised "
    raise recorder.failed(sentence + answer.detail + _about_settings(answer.detail), answer.traceback)


def _about_settings(reason: str) -> str:
    """Tell how a test gives settings, where some are missing or wrong; the reason names the places of operators."""
    is_about_them = f"[plugins.{PLUGIN_IN_TESTS}]" in reason
    return "; a test gives settings with fp.testing.Runner(settings=...)" if is_about_them else ""
