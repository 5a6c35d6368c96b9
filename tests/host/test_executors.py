"""The executors of a worker: which one a job gets, and that a job can be stopped from its first moment on."""

import os
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import msgspec
import pytest
from fastprocesses_host.engine.endings import Stopped, Succeeded
from fastprocesses_host.engine.executors import Executor, Executors, Stream, make_workdir
from fastprocesses_host.engine.precedence import SESSION_NICE
from fastprocesses_host.engine.processes import family_seconds
from fastprocesses_host.engine.run import Run
from fastprocesses_host.engine.runner import Attempt
from fastprocesses_host.settings import Settings
from fastprocesses_sdk.executor.protocol import (
    AnyFrame,
    Cancel,
    Execute,
    FrameReader,
    Progress,
    Result,
    encode_frame,
)
from fastprocesses_sdk.executor.started import StartMark

from tests.host.test_runs import run_of
from tests.support import wait_until

SOURCE = "plugin:of_nobody"


@pytest.fixture
def executors() -> Iterator[Executors]:
    started = Executors(Settings(slots=2), "worker-of-test-executors")
    yield started
    started.close()


def test_the_executor_used_last_is_taken_first(executors: Executors) -> None:
    """It has most in the caches of the processor, and the others may go when there are too many."""
    asked = []
    take = partial(executors.take, SOURCE, lambda: asked.append(len(asked)))
    first, second = take(), take()
    executors.give_back(first, SOURCE)
    executors.give_back(second, SOURCE)
    for _ in range(3):
        assert take() is second
        executors.give_back(second, SOURCE)
    assert take() is second
    assert take() is first
    executors.give_back(second, SOURCE)
    executors.give_back(first, SOURCE)
    assert take() is first
    assert asked == [0, 1]  # while each was started


def test_an_executor_is_kept_at_once_where_nothing_has_to_be_done_about_it(executors: Executors) -> None:
    executor = executors.take(SOURCE, lambda: None)
    assert not executors.keep(executor, SOURCE)  # its memory was never looked at
    executors.give_back(executor, SOURCE)
    assert executors.take(SOURCE, lambda: None) is executor
    assert executors.keep(executor, SOURCE)
    assert executor.jobs == 2
    assert executors.take(SOURCE, lambda: None) is executor
    (executor.workdir / "left").touch()
    assert not executors.keep(executor, SOURCE)
    executors.give_back(executor, SOURCE)
    assert executor.jobs == 3
    assert list(executor.workdir.iterdir()) == []


def test_an_executor_that_has_done_enough_is_not_kept_at_once(executors: Executors) -> None:
    executor = executors.take(SOURCE, lambda: None)
    executors.give_back(executor, SOURCE)
    assert executors.take(SOURCE, lambda: None) is executor
    executor.jobs = Settings().executor_max_jobs - 1
    assert not executors.keep(executor, SOURCE)
    executors.give_back(executor, SOURCE)
    assert executor.has_ended


@pytest.fixture
def executor(tmp_path: Path) -> Iterator[tuple[Executor, socket.socket]]:
    """Give an executor that does nothing, and its end of the connection."""
    ours, theirs = socket.socketpair()
    make_workdir(tmp_path / "folder")
    process = subprocess.Popen(["sleep", "600"], start_new_session=True)
    with tempfile.TemporaryFile() as mark:
        mark.write(b"\0")
        mark.flush()
        made = Executor(process, ours, StartMark(mark.fileno()), tmp_path / "folder")
    with theirs:
        yield made, theirs
    made.close()


def test_a_job_is_stopped_in_its_first_moment(executor: tuple[Executor, socket.socket]) -> None:
    """In which it is waited for in a way that nothing wakes."""
    ours, theirs = executor
    ours.sources.add(SOURCE)
    run = run_of("claim")
    got: list[AnyFrame] = []

    def stop_at_once() -> None:
        reader = FrameReader()
        while data := theirs.recv(65536):
            got.extend(reader.feed(data))
            if len(got) == 1:
                run.ask_to_stop("dismissed")
            else:
                theirs.shutdown(socket.SHUT_RDWR)  # it ends, as it was told

    peer = threading.Thread(target=stop_at_once)
    peer.start()
    attempt = Attempt(run, Settings(cancel_grace_seconds=30), 2**30, SOURCE, ours)
    order = order_of(ours)
    assert attempt.watch(order) == Stopped("dismissed")
    peer.join()
    assert got == [order, Cancel("job", "claim")]
    assert not attempt.is_reusable


def test_what_was_left_undone_is_done_while_the_executor_is_at_work(
    executor: tuple[Executor, socket.socket],
) -> None:
    ours, theirs = executor
    ours.sources.add(SOURCE)
    run = run_of("claim")
    got: list[AnyFrame] = []

    def answer() -> None:
        got.extend(FrameReader().feed(theirs.recv(65536)))  # there already, or this would never end
        theirs.sendall(RESULT)

    run.later.put(answer)
    watched(ours, run)
    assert got == [order_of(ours)]


RESULT = encode_frame(Result("job", "claim", {}))
PROGRESS = encode_frame(Progress("job", "claim", 50, None))


def texts(run: Run) -> list[str]:
    return [msgspec.json.decode(line)["text"] for line in run.take_last()[2]]


def watched(ours: Executor, run: Run) -> None:
    attempt = Attempt(run, Settings(), 2**30, SOURCE, ours)
    assert attempt.watch(order_of(ours)) == Succeeded({})


def order_of(ours: Executor) -> Execute:
    return Execute("job", "claim", SOURCE, "", "", "again", {}, None, {}, str(ours.workdir), 1024)


@pytest.fixture
def printing(executor: tuple[Executor, socket.socket]) -> Iterator[tuple[Stream, int]]:
    """What jobs print as the worker reads it, and where they write."""
    ours, _ = executor
    ours.sources.add(SOURCE)
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with os.fdopen(reading, "rb", buffering=0) as file, os.fdopen(writing, "wb"):
        stream = Stream("stdout", file, ours)
        ours.drain(stream)
        yield stream, writing


@pytest.mark.parametrize(
    "steps",
    [
        ["print", RESULT],
        ["print", PROGRESS + RESULT],
        [PROGRESS, "print", RESULT],
        ["print", RESULT[:5], RESULT[5:]],
        ["print", PROGRESS, RESULT],
    ],
)
def test_what_a_job_printed_last_is_in_its_log(
    executor: tuple[Executor, socket.socket], printing: tuple[Stream, int], steps: list[str | bytes]
) -> None:
    (ours, theirs), (_, writing) = executor, printing
    run = run_of("claim")

    def work() -> None:
        theirs.recv(65536)
        for step in steps:
            if isinstance(step, bytes):
                theirs.sendall(step)
            else:
                os.write(writing, b"last\n")

    peer = threading.Thread(target=work)
    peer.start()
    watched(ours, run)
    peer.join()
    assert texts(run) == ["last"]


_BUSY = "n=0; while [ $n -lt 9999 ]; do n=$((n+1)); done"


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="there is no sharing by session")
@pytest.mark.parametrize(
    "work", [f"while :; do {_BUSY}; done & wait", f"while :; do ({_BUSY}); done"], ids=["left", "waited for"]
)
def test_an_executor_yields_while_what_its_jobs_started_uses_cores(tmp_path: Path, work: str) -> None:
    """Its own clock tells nothing of that, and its session has it all."""
    ours, theirs = socket.socketpair()
    command = ["sh", "-c", f"read begin; {work}"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    assert process.stdin is not None
    with theirs, process.stdin as begin, tempfile.TemporaryFile() as mark:
        mark.write(b"\0")
        mark.flush()
        executor = Executor(process, ours, StartMark(mark.fileno()), tmp_path)
        place = Path(f"/proc/{process.pid}/autogroup")

        def nice() -> int:
            executor.precedence.job_ended()
            return int(place.read_text().rsplit(maxsplit=1)[1])

        def seen_nice() -> int:
            executor.see_family(family_seconds({process.pid})[process.pid])
            return nice()

        try:
            wait_until(lambda: nice() == 0, what="the place of an executor of short jobs")
            wait_until(lambda: seen_nice() == 0, what="the same beside what does nothing")
            begin.write(b"\n")
            begin.flush()
            wait_until(lambda: seen_nice() == SESSION_NICE, what="the yielding")
            assert nice() == SESSION_NICE
            os.killpg(process.pid, signal.SIGSTOP)
            wait_until(lambda: seen_nice() == 0, what="the place that it had")
        finally:
            executor.close()


def test_what_was_printed_between_jobs_is_in_the_log_of_none(
    executor: tuple[Executor, socket.socket], printing: tuple[Stream, int]
) -> None:
    (ours, theirs), (stream, writing) = executor, printing
    run = run_of("claim")

    def work() -> None:
        theirs.recv(65536)
        os.write(writing, b"its own\n")
        theirs.sendall(RESULT)

    os.write(writing, b"late, and with the begin of")
    stream.read()
    peer = threading.Thread(target=work)
    peer.start()
    watched(ours, run)
    peer.join()
    assert texts(run) == ["its own"]


@pytest.mark.usefixtures("printing")
def test_what_another_thread_has_read_and_not_handed_out_is_waited_for(
    executor: tuple[Executor, socket.socket],
) -> None:
    ours, theirs = executor
    run = run_of("claim")

    class HeldByAnother:
        """Handed out is what was read, before anybody else gets it."""

        def locked(self) -> bool:
            return True

        def __enter__(self) -> None:
            assert ours.on_line is not None
            ours.on_line("stdout", "read by another")

        def __exit__(self, *_error: object) -> None:
            pass

    ours.handing_out = HeldByAnother()  # type: ignore[assignment]
    theirs.sendall(RESULT)
    watched(ours, run)
    assert texts(run) == ["read by another"]
