"""One process that starts others, starts them again when they die, stops them in order, and leaves none."""

import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from msgspec import Struct

from fastprocesses_host.exits import CHILD_CONFIGURATION, Exit
from fastprocesses_host.lifeline import adopt_orphans

FIRST_DELAY_SECONDS = 0.2
LONGEST_DELAY_SECONDS = 30.0
STEADY_AFTER_SECONDS = 60.0
"""The deaths of a child that lived this long before are forgotten."""
STARTS_BEFORE_GIVING_UP = 5
"""How often in a row a child may die before everything was ready for the first time."""
SAME_WISH_SECONDS = 0.2
"""Stop signals this close together are one: some programs send to the process and to its group."""
LAST_KILLS_SECONDS = 2.0
"""How long the end waits for processes that were sent SIGKILL."""

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

Tell = Callable[[str, str], None]
"""`tell(level, sentence)`: how the supervisor speaks."""


class Part(Struct, kw_only=True, eq=False):
    """One child: how it is started, when it is stopped, and how it is now."""

    name: str
    command: Callable[[], Sequence[str]]
    stage: int
    """Children are stopped stage by stage, lowest first."""
    stop_seconds: float
    """When its stage is over and it is killed, in seconds since the stop began."""
    environ: Mapping[str, str] | None = None
    pass_fds: tuple[int, ...] = ()
    output: int | None = None
    """Descriptor that takes standard output and error; None: the supervisor's standard error."""

    last_words: Callable[[], str] = str
    """What it said before it ended, when that is not on standard error."""

    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    """When to start it, while it is not running."""
    deaths: int = 0
    asked_to_stop: bool = False
    killed: bool = False

    def start(self) -> None:
        """Start it in a process group of its own, so that Ctrl-C reaches the supervisor alone."""
        self.started_at = time.monotonic()
        output = sys.stderr.fileno() if self.output is None else self.output
        try:
            self.process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=None if self.environ is None else dict(self.environ),
                pass_fds=self.pass_fds,
                process_group=0,
            )
        except OSError:
            self._plan_next_start()

    def ended(self, code: int) -> None:
        """Note its end: kill what is left of its group, and plan the next start."""
        assert self.process is not None
        self.process.returncode = code
        self.signal(signal.SIGKILL, group=True)
        self.process = None
        self._plan_next_start()

    def _plan_next_start(self) -> None:
        now = time.monotonic()
        self.deaths = 1 if now - self.started_at > STEADY_AFTER_SECONDS else self.deaths + 1
        self.start_at = now + min(FIRST_DELAY_SECONDS * 2 ** min(self.deaths - 1, 20), LONGEST_DELAY_SECONDS)

    def signal(self, number: signal.Signals, *, group: bool = False) -> None:
        """Send a signal to it, or to all of its group; nothing happens when it is gone."""
        if self.process is not None:
            with suppress(OSError):
                (os.killpg if group else os.kill)(self.process.pid, number)


class Supervisor:
    """Runs parts until it is told to stop; `run` returns the exit code."""

    def __init__(self, parts: Iterable[Part], *, drain_seconds: float, tell: Tell) -> None:
        self.parts = list(parts)
        self.drain_seconds = drain_seconds
        self.tell = tell
        self.ready = False
        """To be set once everything answered; from then on no child is given up."""
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, Callable[[], None]]] = []
        self._stop_began: float | None = None
        self._at_once = False
        self._code = Exit.OK

    def watch(self, descriptor: int, readable: Callable[[], None]) -> None:
        """Call `readable` whenever the descriptor can be read."""
        self._selector.register(descriptor, selectors.EVENT_READ, readable)

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Call once, `seconds` from now, unless the stop has begun by then."""
        self._timers.append((time.monotonic() + seconds, call))

    def stop(self, code: Exit = Exit.OK, *, at_once: bool = False) -> None:
        """Begin to stop everything, stage by stage, or, where there is nothing to finish, at once."""
        if self._stop_began is None:
            self._code, self._stop_began, self._at_once = code, time.monotonic(), at_once

    def run(self) -> Exit:
        """Start all parts and keep them running; return when all have ended."""
        adopt_orphans()
        with _signals_as_bytes() as signals:
            self.watch(signals.fileno(), lambda: self._signalled(signals))
            try:
                while not self._done():
                    self._step()
            finally:
                self._kill_all()
                self._selector.close()
        return self._code

    def _step(self) -> None:
        now = time.monotonic()
        if self._stop_began is None:
            for timer in [timer for timer in self._timers if timer[0] <= now]:
                self._timers.remove(timer)
                timer[1]()
            for part in self.parts:
                if part.process is None and part.start_at <= now:
                    part.start()
        else:
            self._stop_stage(now)
        for key, _ in self._selector.select(self._patience()):
            key.data()

    def _patience(self) -> float | None:
        """Seconds until something is due; None: nothing is."""
        if self._stop_began is None:
            due = [at for at, _ in self._timers]
            due += [part.start_at for part in self.parts if part.process is None]
        else:
            due = [self._deadline(part) for part in self._stage() if not part.killed]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _living(self) -> list[Part]:
        return [part for part in self.parts if part.process is not None]

    def _done(self) -> bool:
        return self._stop_began is not None and not self._living()

    def _stage(self) -> list[Part]:
        """The parts that are to stop now."""
        living = self._living()
        current = min((part.stage for part in living), default=0)
        return [part for part in living if part.stage == current or self._at_once]

    def _deadline(self, part: Part) -> float:
        assert self._stop_began is not None
        return self._stop_began + (0.0 if self._at_once else min(part.stop_seconds, self.drain_seconds))

    def _stop_stage(self, now: float) -> None:
        for part in self._stage():
            if not part.killed and now >= self._deadline(part):
                part.killed = True
                part.signal(signal.SIGKILL, group=True)
            elif not part.asked_to_stop:
                part.asked_to_stop = True
                part.signal(signal.SIGTERM)

    def _signalled(self, signals: socket.socket) -> None:
        with suppress(BlockingIOError):
            for number in signals.recv(4096):
                if number == signal.SIGCHLD:
                    self._reap()
                elif number in _STOP_SIGNALS:
                    self._told_to_stop()

    def _told_to_stop(self) -> None:
        if self._stop_began is None:
            self.tell("info", f"stopping, within {self.drain_seconds:g} s; Ctrl-C again stops at once")
            self.stop()
        elif not self._at_once and time.monotonic() - self._stop_began > SAME_WISH_SECONDS:
            self.tell("warning", "stopping at once")
            self._at_once, self._code = True, Exit.FAILED

    def _reap(self) -> None:
        """Collect every process that has ended, adopted ones too."""
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                code = os.waitstatus_to_exitcode(ended[1])
                for part in self._living():
                    if part.process is not None and part.process.pid == ended[0]:
                        part.ended(code)
                        self._after_end(part, code)
        self._kill_orphans()

    def _after_end(self, part: Part, code: int) -> None:
        if self._stop_began is not None:
            return
        how = f"was killed by {_signal_name(-code)}" if code < 0 else f"ended with code {code}"
        if code == CHILD_CONFIGURATION:
            self.stop(Exit.SETTINGS, at_once=not self.ready)
        elif not self.ready and part.deaths >= STARTS_BEFORE_GIVING_UP:
            self.tell("error", f"the {part.name} {how}, {part.deaths} times in a row; giving up")
            if words := part.last_words():
                self.tell("error", words)
            self.stop(Exit.STORE if part.name == "store" else Exit.FAILED, at_once=True)
        else:
            delay_seconds = part.start_at - time.monotonic()
            self.tell(
                "warning", f"the {part.name} {how}; it is started again in {max(delay_seconds, 0):.1f} s"
            )

    def _kill_orphans(self) -> None:
        """Kill the processes that became ours because their parent died."""
        ours = {part.process.pid for part in self._living() if part.process is not None}
        for pid in _child_pids(but="sentinel.py") - ours:  # a worker's sentinel is cleaning up, and then ends
            for kill in (os.killpg, os.kill):
                with suppress(OSError):
                    kill(pid, signal.SIGKILL)

    def _kill_all(self) -> None:
        """Kill all that is left, at the end or after a fault of our own, and wait for it."""
        for part in self._living():
            part.signal(signal.SIGKILL, group=True)
        deadline = time.monotonic() + LAST_KILLS_SECONDS
        while _child_pids() and time.monotonic() < deadline:
            self._reap()
            time.sleep(0.002)


@contextmanager
def _signals_as_bytes() -> Iterator[socket.socket]:
    """While inside, the signals that concern the supervisor are bytes to be read from the socket."""
    reading, writing = socket.socketpair()
    with reading, writing:
        reading.setblocking(False)
        writing.setblocking(False)
        signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
        for number in (*_STOP_SIGNALS, signal.SIGCHLD):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup
                signal.signal(number, _no_more)
        try:
            yield reading
        finally:
            signal.set_wakeup_fd(-1)
            for number in _STOP_SIGNALS:  # the process ends now; a signal would only keep it from tidying up
                signal.signal(number, signal.SIG_IGN)


def _no_more(_number: int, _frame: object) -> None:
    """Do nothing: the byte on the socket is enough."""


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _child_pids(but: str = "") -> set[int]:
    """Give the ids of this process's direct children, but for those that run a program of this name."""
    import psutil

    found = set()
    for child in psutil.Process().children():
        with suppress(psutil.Error):
            if not but or not any(part.endswith(but) for part in child.cmdline()):
                found.add(child.pid)
    return found
