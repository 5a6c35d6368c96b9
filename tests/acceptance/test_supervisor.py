"""The supervisor with small children of its own, in a process of its own."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
from fastprocesses_host.exits import CHILD_CONFIGURATION, Exit
from fastprocesses_host.supervisor import SAME_WISH_SECONDS

from tests.acceptance.service import survivors
from tests.support import wait_until

SUPERVISE = """
import json, os, sys
from fastprocesses_host.supervisor import Part, Supervisor
parts, drain_seconds, log = json.loads(sys.argv[1])
def tell(level, sentence):
    with open(log, "a") as file:
        file.write(f"{level}: {sentence}\\n")
made = [
    Part(
        name=name,
        command=lambda launch, code=code: [sys.executable, "-c", code, log, str(launch.report_fd)],
        stage=stage,
        stop_seconds=seconds,
        retire_seconds=None if name == "store" else 30,
        heed=(lambda line: line == b"ready") if name.startswith("told") else None,
    )
    for name, code, stage, seconds in parts
]
supervisor = Supervisor(made, drain_seconds=drain_seconds, tell=tell)
supervisor.ready = True in [part.heed is not None for part in made]
sys.exit(int(supervisor.run()))
"""
NOTE = """
import os, signal, subprocess, sys, time
def note(text):
    with open(sys.argv[1], "a") as file:
        file.write(text + "\\n")
"""
PATIENT = NOTE + "note(f'up {os.getpid()}')\nsignal.pause()"


def polite(name: str) -> str:
    """A child that notes when it is told to stop."""
    return NOTE + (
        f"def stop(*_):\n    note('stopped {name}')\n    sys.exit()\n"
        f"signal.signal(signal.SIGTERM, stop)\nnote('up {name}')\nwhile True: signal.pause()"
    )


def replaceable(name: str, prepare: str = "") -> str:
    """A child that says when it is ready, and retires when it is told and a file says that it may."""
    return NOTE + (
        f"def retire(*_):\n    note('retiring {name} ' + str(os.getpid()))\n"
        "    while not os.path.exists(sys.argv[1] + '.may-end'): time.sleep(0.01)\n"
        f"    note('retired {name}')\n    sys.exit()\n"
        f"def stop(*_):\n    note('stopped {name}')\n    sys.exit()\n"
        "signal.signal(signal.SIGUSR1, retire)\nsignal.signal(signal.SIGTERM, stop)\n"
        f"{prepare}\n"
        f"note('up {name} ' + str(os.getpid()))\nos.write(int(sys.argv[2]), b'ready\\n')\n"
        "while True: signal.pause()"
    )


class Supervised:
    def __init__(self, log: Path, parts: list[tuple[str, str, int, float]], drain_seconds: float) -> None:
        self.log = log
        log.touch()
        document = json.dumps([parts, drain_seconds, str(log)])
        self.process = subprocess.Popen([sys.executable, "-c", SUPERVISE, document], stdin=subprocess.DEVNULL)

    def lines(self, start: str = "") -> list[str]:
        return [line for line in self.log.read_text().splitlines() if line.startswith(start)]

    def await_lines(self, start: str, count: int = 1) -> list[str]:
        wait_until(lambda: len(self.lines(start)) >= count, 60, f"{count} lines {start!r}")
        return self.lines(start)


@contextmanager
def supervised(
    folder: Path, *parts: tuple[str, str, int, float], drain_seconds: float = 5.0
) -> Iterator[Supervised]:
    running = Supervised(folder / "log", list(parts), drain_seconds)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.send_signal(signal.SIGSTOP)  # it starts nobody again
            family = psutil.Process(running.process.pid).children(recursive=True)
            for process in (running.process, *family):
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        running.process.wait()


def test_a_child_that_dies_is_started_again_later_each_time(tmp_path: Path):
    dies = NOTE + "note(f'born {time.monotonic()}')\nos.kill(os.getpid(), signal.SIGKILL)"
    with supervised(tmp_path, ("worker", dies, 1, 5)) as running:
        born = [float(line.split()[1]) for line in running.await_lines("born", 4)]
        told = running.await_lines("warning", 3)

    pauses = [later - earlier for earlier, later in pairwise(born)]
    assert pauses[0] >= 0.2
    assert pauses[1] >= 0.4
    assert pauses[2] >= 0.8
    assert "the worker was killed by SIGKILL; it is started again in 0.2 s" in told[0]


def test_a_child_that_never_starts_is_given_up(tmp_path: Path):
    with supervised(tmp_path, ("host", "raise SystemExit(9)", 1, 5), ("store", PATIENT, 2, 5)) as running:
        assert running.process.wait(60) == Exit.FAILED

    assert running.lines("error") == ["error: the host ended with code 9, 5 times in a row; giving up"]


def test_a_child_that_cannot_use_its_settings_ends_everything_at_once(tmp_path: Path):
    refuses = f"raise SystemExit({CHILD_CONFIGURATION})"
    with supervised(tmp_path, ("host", refuses, 1, 5), ("store", PATIENT, 2, 5)) as running:
        assert running.process.wait(40) == Exit.SETTINGS

    assert not [line for line in running.lines("warning") if "host" in line]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_children_are_stopped_stage_by_stage(tmp_path: Path, number: signal.Signals):
    parts = [
        ("store", polite("store"), 3, 5.0),
        ("host", polite("host"), 1, 5.0),
        ("worker", polite("worker"), 2, 5.0),
    ]
    with supervised(tmp_path, *parts) as running:
        running.await_lines("up", 3)
        running.process.send_signal(number)

        assert running.process.wait(40) == Exit.OK
        assert running.lines("stopped") == ["stopped host", "stopped worker", "stopped store"]


def test_a_deaf_child_is_killed_when_its_time_is_over_and_the_others_still_stop_in_order(tmp_path: Path):
    deaf = (
        NOTE + "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nnote('up worker')\nwhile True: signal.pause()"
    )
    with supervised(
        tmp_path, ("worker", deaf, 1, 0.5), ("store", polite("store"), 2, 60), drain_seconds=60
    ) as running:
        running.await_lines("up", 2)
        began = time.monotonic()
        running.process.terminate()

        assert running.process.wait(40) == Exit.OK
        assert time.monotonic() - began < 20
        assert running.lines("stopped") == ["stopped store"]


def test_a_second_signal_stops_at_once_but_not_one_that_comes_with_the_first(tmp_path: Path):
    slow = polite("worker").replace("note('stopped", "time.sleep(60); note('stopped")
    with supervised(tmp_path, ("worker", slow, 1, 60), drain_seconds=60) as running:
        running.await_lines("up")
        for number in (
            signal.SIGSTOP,
            signal.SIGTERM,
            signal.SIGINT,
            signal.SIGCONT,
        ):  # it finds both at once
            running.process.send_signal(number)
        running.await_lines("info: stopping")
        with pytest.raises(subprocess.TimeoutExpired):
            running.process.wait(2 * SAME_WISH_SECONDS)
        assert running.lines("warning") == []
        began = time.monotonic()
        while running.process.poll() is None and time.monotonic() - began < 20:
            running.process.terminate()
            time.sleep(0.1)

        assert running.process.wait(1) == Exit.FAILED
        assert time.monotonic() - began < 10
        assert len(running.lines("warning: stopping at once")) == 1


def test_what_a_dead_child_leaves_behind_is_killed(tmp_path: Path):
    leaves = NOTE + (
        "import psutil\n"
        "code = 'import subprocess, time;'\n"
        'code += \'subprocess.Popen(["sleep", "600"], start_new_session=True); time.sleep(600)\'\n'
        "child = subprocess.Popen([sys.executable, '-c', code], start_new_session=True)\n"
        "while not (left := psutil.Process(child.pid).children()): time.sleep(0.01)\n"
        "note(f'left {child.pid} {left[0].pid}')\n"
        "signal.pause()"
    )
    with supervised(tmp_path, ("worker", leaves, 1, 5)) as running:
        left = [psutil.Process(int(pid)) for pid in running.await_lines("left")[0].split()[1:]]
        worker = psutil.Process(running.process.pid).children()[0]
        worker.kill()

        assert survivors(left) == []


def test_hangup_replaces_one_part_after_the_other_workers_first(tmp_path: Path):
    parts = [
        ("store", polite("store"), 3, 5.0),
        ("told host", replaceable("host"), 1, 5.0),
        ("told worker", replaceable("worker"), 2, 5.0),
    ]
    with supervised(tmp_path, *parts) as running:
        running.await_lines("up", 3)
        running.process.send_signal(signal.SIGHUP)
        running.await_lines("retiring", 2)
        order = [line.rsplit(" ", 1)[0] for line in running.lines() if line.split()[1] != "store"][2:]

        assert [line for line in order if line.startswith("up")] == ["up worker", "up host"]
        assert order.index("up worker") < order.index("retiring worker")
        assert order.index("up host") < order.index("retiring host")
        assert len(psutil.Process(running.process.pid).children()) == 5, "the old ones end in their own time"
        (tmp_path / "log.may-end").touch()
        running.await_lines("retired", 2)
        wait_until(lambda: len(psutil.Process(running.process.pid).children()) == 3, 40, "the old ones' end")
        running.process.terminate()
        assert running.process.wait(40) == Exit.OK
        assert running.lines("stopped") == ["stopped host", "stopped worker", "stopped store"]


def test_those_that_retire_are_stopped_with_the_others(tmp_path: Path):
    worker = ("told worker", replaceable("worker"), 2, 0.5)
    with supervised(tmp_path, worker) as running:
        running.await_lines("up")
        running.process.send_signal(signal.SIGHUP)
        running.await_lines("retiring")
        children = psutil.Process(running.process.pid).children()
        running.process.terminate()

        assert running.process.wait(40) == Exit.OK
        assert len(children) == 2
        assert survivors(children) == []


def test_a_successor_that_does_not_start_leaves_the_old_one_at_work(tmp_path: Path):
    fails = "if os.path.exists(sys.argv[1] + '.broken'): raise SystemExit(78)"
    parts = [
        ("told worker", replaceable("worker", fails), 2, 5.0),
        ("told host", replaceable("host"), 1, 5.0),
    ]
    with supervised(tmp_path, *parts) as running:
        before = running.await_lines("up", 2)
        (tmp_path / "log.broken").touch()
        running.process.send_signal(signal.SIGHUP)
        running.await_lines("error: the new told worker ended with code 78; the old one goes on")
        running.process.terminate()

        assert running.process.wait(40) == Exit.OK
        assert running.lines("up") == before, "the host is not replaced either"
        assert running.lines("stopped") == ["stopped host", "stopped worker"]


def test_hangup_of_its_terminal_stops_it(tmp_path: Path):
    document = json.dumps([[("worker", polite("worker"), 1, 5.0)], 5.0, str(tmp_path / "log")])
    terminal, its_end = pty.openpty()
    take_terminal = "import fcntl, termios\nfcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    process = subprocess.Popen(
        [sys.executable, "-c", take_terminal + SUPERVISE, document], stdin=its_end, start_new_session=True
    )
    os.close(its_end)
    try:
        wait_until(lambda: "up worker" in _text(tmp_path / "log"), 40, "the child")
        os.close(terminal)
        assert process.wait(40) == Exit.OK
    finally:
        process.kill()
    assert "stopped worker" in _text(tmp_path / "log")


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
