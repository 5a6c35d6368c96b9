"""A part of the service, and the processes that are it: one, or for a while its successor and predecessors too."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress

from msgspec import Struct

FIRST_DELAY_SECONDS = 0.2
LONGEST_DELAY_SECONDS = 30.0
STEADY_AFTER_SECONDS = 60.0
"""The deaths of a child that lived this long before are forgotten."""
RETIRE = signal.SIGUSR1
"""Tells a child to take on nothing new, and to end when what it has is done."""


class Launch(Struct, frozen=True, kw_only=True):
    """What a command may need to know of the child that it starts.

    Attributes:
        report_fd: Where the child writes a line whenever its readiness changes; -1: nobody reads.
        is_successor: Another child does the work until this one is ready.
    """

    report_fd: int = -1
    is_successor: bool = False


class Child(Struct, kw_only=True, eq=False):
    """One running process of a part."""

    process: subprocess.Popen[bytes]
    started_at: float
    reading: int = -1
    """Where its reports are read; -1: it makes none."""
    unread: bytes = b""
    is_ready: bool = False
    asked_to_stop: bool = False
    killed: bool = False
    kill_at: float | None = None
    """When it is killed, if it has not ended by then."""

    def signal(self, number: signal.Signals, *, group: bool = False) -> None:
        """Send a signal to it, or to all of its group; nothing happens when it is gone."""
        with suppress(OSError):
            (os.killpg if group else os.kill)(self.process.pid, number)

    def kill(self) -> None:
        """Kill it and all of its group."""
        self.killed = True
        self.signal(signal.SIGKILL, group=True)


class Part(Struct, kw_only=True, eq=False):
    """How a part is started, stopped and replaced, and how it is now."""

    name: str
    command: Callable[[Launch], Sequence[str]]
    stage: int
    """Parts are stopped stage by stage, lowest first."""
    stop_seconds: float
    """When its stage is over and it is killed, in seconds since the stop began."""
    retire_seconds: float | None = None
    """How long a child may take to retire before it is killed; None: the part is not replaced while it runs."""
    environ: Callable[[], Mapping[str, str]] | None = None
    """Gives the environment of each child that is started; None: ours."""
    pass_fds: tuple[int, ...] = ()
    output: int | None = None
    """Descriptor that takes standard output and error; None: the supervisor's standard error."""

    heed: Callable[[bytes], bool] | None = None
    """Takes a line that a child reports, and tells whether the child is ready; None: children report nothing."""
    last_words: Callable[[], str] = str
    """What it said before it ended, when that is not on standard error."""

    child: Child | None = None
    """The child that does the work."""
    successor: Child | None = None
    """The one that is to do it when it is ready."""
    retiring: list[Child] = []
    start_at: float = 0.0
    """When to start it, while it is not running."""
    deaths: int = 0

    def children(self) -> Iterator[Child]:
        """Give all its processes that have not ended."""
        yield from (child for child in (self.child, self.successor, *self.retiring) if child is not None)

    def start(self) -> None:
        """Start the child that does the work; plan the next start where that fails."""
        started_at = time.monotonic()
        try:
            self.child = self._spawn(is_successor=False)
        except OSError:
            self._plan_next_start(started_at)

    def start_successor(self) -> None:
        """Start the child that is to take over.

        Raises:
            OSError: it cannot be started.
        """
        self.successor = self._spawn(is_successor=True)

    def hand_over(self) -> None:
        """Let the successor do the work, and the child that did it until now retire."""
        before, self.child, self.successor = self.child, self.successor, None
        self.deaths = 0
        if before is not None:
            assert self.retire_seconds is not None
            before.kill_at = time.monotonic() + self.retire_seconds
            before.signal(RETIRE)
            self.retiring.append(before)

    def give_up_successor(self) -> None:
        """Kill a successor that did not become ready."""
        if self.successor is not None:
            self.successor.kill()
            self.retiring.append(self.successor)
            self.successor = None

    def ended(self, child: Child, code: int) -> None:
        """Note the end of a child: kill what is left of its group, and have another one do its work."""
        child.process.returncode = code
        child.signal(signal.SIGKILL, group=True)
        if child is self.successor:
            self.successor = None
        elif child is not self.child:
            self.retiring.remove(child)
        elif self.successor is not None:
            self.child, self.successor = self.successor, None
        else:
            self.child = None
            self._plan_next_start(child.started_at)

    def _spawn(self, *, is_successor: bool) -> Child:
        """Start a process in a group of its own, so that Ctrl-C reaches the supervisor alone."""
        started_at = time.monotonic()
        output = sys.stderr.fileno() if self.output is None else self.output
        reading, writing = os.pipe() if self.heed is not None else (-1, -1)
        try:
            process = subprocess.Popen(
                self.command(Launch(report_fd=writing, is_successor=is_successor)),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=None if self.environ is None else dict(self.environ()),
                pass_fds=self.pass_fds if writing < 0 else (*self.pass_fds, writing),
                process_group=0,
            )
        except OSError:
            _close(reading)
            raise
        finally:
            _close(writing)
        if reading >= 0:
            os.set_blocking(reading, False)
        return Child(process=process, started_at=started_at, reading=reading, is_ready=self.heed is None)

    def _plan_next_start(self, started_at: float) -> None:
        now = time.monotonic()
        self.deaths = 1 if now - started_at > STEADY_AFTER_SECONDS else self.deaths + 1
        self.start_at = now + min(FIRST_DELAY_SECONDS * 2 ** min(self.deaths - 1, 20), LONGEST_DELAY_SECONDS)


def _close(descriptor: int) -> None:
    if descriptor >= 0:
        os.close(descriptor)
