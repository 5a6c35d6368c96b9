"""One process that starts others, starts them again when they die, replaces and stops them, and leaves none."""

import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from fastprocesses_host.exits import CHILD_CONFIGURATION, Exit
from fastprocesses_host.lifeline import adopt_orphans
from fastprocesses_host.part import Child, Part

STARTS_BEFORE_GIVING_UP = 5
"""How often in a row a child may die before everything was ready for the first time."""
SUCCESSOR_SECONDS = 120.0
"""How long a successor may take to be ready before it is given up."""
SAME_WISH_SECONDS = 0.2
"""Stop signals this close together are one: some programs send to the process and to its group."""
LAST_KILLS_SECONDS = 2.0
"""How long the end waits for processes that were sent SIGKILL."""

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

Tell = Callable[[str, str], None]
"""`tell(level, sentence)`: how the supervisor speaks."""


class Supervisor:
    """Runs parts until it is told to stop; `run` returns the exit code.

    SIGTERM and SIGINT stop it. SIGHUP replaces the children of all parts that can be replaced, one after the other,
    each retired only when its successor is ready; where it means that the terminal was closed, it stops too.
    """

    def __init__(
        self,
        parts: Iterable[Part],
        *,
        drain_seconds: float,
        tell: Tell,
        on_restart: Callable[[], bool] = lambda: True,
        on_stop: Callable[[], None] = lambda: None,
    ) -> None:
        """Make a supervisor.

        Args:
            parts: What to run. They are replaced in the opposite order of their stages: workers before hosts.
            drain_seconds: When the last child is killed, in seconds since the stop began.
            tell: How it speaks.
            on_restart: Called before children are replaced; false: they are not.
            on_stop: Called when the stop begins.
        """
        self.parts = list(parts)
        self.drain_seconds = drain_seconds
        self.tell = tell
        self.ready = False
        """To be set once everything answered; from then on no child is given up."""
        self._on_restart = on_restart
        self._on_stop = on_stop
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, Callable[[], None]]] = []
        self._to_replace: list[Part] = []
        self._has_terminal = False
        self._stop_began: float | None = None
        self._at_once = False
        self._code = Exit.OK

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Call once, `seconds` from now, unless the stop has begun by then."""
        self._timers.append((time.monotonic() + seconds, call))

    def restart(self) -> None:
        """Begin to replace the children of all parts that can be replaced, one after the other."""
        if self._stop_began is not None:
            return
        if not self.ready:
            self.tell("warning", "not everything is ready yet; nothing is restarted")
        elif self._on_restart():
            replaceable = [part for part in self.parts if part.retire_seconds is not None]
            self._to_replace = sorted(replaceable, key=lambda part: -part.stage)
            self.tell("info", f"restarting {', '.join(part.name for part in self._to_replace)} in turn")

    def stop(self, code: Exit = Exit.OK, *, at_once: bool = False) -> None:
        """Begin to stop everything, stage by stage, or, where there is nothing to finish, at once."""
        if self._stop_began is None:
            self._code, self._stop_began, self._at_once = code, time.monotonic(), at_once
            self._on_stop()

    def run(self) -> Exit:
        """Start all parts and keep them running; return when all have ended."""
        adopt_orphans()
        self._has_terminal = _has_terminal()
        with _signals_as_bytes() as signals:
            self._watch(signals.fileno(), lambda: self._signalled(signals))
            try:
                while not self._done():
                    self._step()
            finally:
                self._kill_all()
                self._selector.close()
        return self._code

    def _watch(self, descriptor: int, readable: Callable[[], None]) -> None:
        self._selector.register(descriptor, selectors.EVENT_READ, readable)

    def _step(self) -> None:
        now = time.monotonic()
        if self._stop_began is None:
            for timer in [timer for timer in self._timers if timer[0] <= now]:
                self._timers.remove(timer)
                timer[1]()
            for part in self.parts:
                if part.child is None and part.start_at <= now:
                    part.start()
                    self._hear(part, part.child)
            self._replace_in_turn(now)
        else:
            self._stop_stage(now)
        self._kill_overdue(now)
        for key, _ in self._selector.select(self._patience()):
            key.data()

    def _patience(self) -> float | None:
        """Seconds until something is due; None: nothing is."""
        due = [child.kill_at for _, child in self._living() if child.kill_at is not None and not child.killed]
        if self._stop_began is None:
            due += [at for at, _ in self._timers]
            due += [part.start_at for part in self.parts if part.child is None]
            due += [
                part.successor.started_at + SUCCESSOR_SECONDS
                for part in self.parts
                if part.successor is not None
            ]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _living(self) -> list[tuple[Part, Child]]:
        return [(part, child) for part in self.parts for child in part.children()]

    def _done(self) -> bool:
        return self._stop_began is not None and not self._living()

    def _hear(self, part: Part, child: Child | None) -> None:
        """Listen to what a new child reports."""
        if child is not None and child.reading >= 0:
            self._watch(child.reading, lambda: self._heard(part, child))

    def _heard(self, part: Part, child: Child) -> None:
        assert part.heed is not None
        if child.reading < 0:  # it has ended in this same turn
            return
        try:
            data = os.read(child.reading, 65_536)
        except BlockingIOError:
            return
        if not data:
            self._hear_no_more(child)
            return
        *lines, child.unread = (child.unread + data).split(b"\n")
        for line in lines:
            child.is_ready = part.heed(line)

    def _hear_no_more(self, child: Child) -> None:
        if child.reading >= 0:
            self._selector.unregister(child.reading)
            os.close(child.reading)
            child.reading = -1

    def _replace_in_turn(self, now: float) -> None:
        while self._to_replace:
            part = self._to_replace[0]
            if part.successor is None:
                try:
                    part.start_successor()
                except OSError as error:
                    self._keep_the_old(part, f"could not be started: {error.strerror}")
                    return
                self._hear(part, part.successor)
            assert part.successor is not None
            if not part.successor.is_ready:
                if now >= part.successor.started_at + SUCCESSOR_SECONDS:
                    part.give_up_successor()
                    self._keep_the_old(part, f"was not ready within {SUCCESSOR_SECONDS:g} s")
                return
            part.hand_over()
            self._to_replace.pop(0)
            self.tell("info", f"the new {part.name} has taken over; the old one ends when its work is done")

    def _keep_the_old(self, part: Part, why: str) -> None:
        self._to_replace.clear()
        self.tell("error", f"the new {part.name} {why}; the old one goes on, and nothing more is restarted")

    def _stop_stage(self, now: float) -> None:
        """Ask the children whose turn it is to stop, and say when they are killed."""
        assert self._stop_began is not None
        living = self._living()
        current = min((part.stage for part, _ in living), default=0)
        for part, child in living:
            if self._at_once:
                child.kill_at = now
            elif part.stage == current and not child.asked_to_stop:
                child.asked_to_stop = True
                child.kill_at = self._stop_began + min(part.stop_seconds, self.drain_seconds)
                child.signal(signal.SIGTERM)

    def _kill_overdue(self, now: float) -> None:
        for _, child in self._living():
            if not child.killed and child.kill_at is not None and now >= child.kill_at:
                child.kill()

    def _signalled(self, signals: socket.socket) -> None:
        with suppress(BlockingIOError):
            for number in signals.recv(4096):
                if number == signal.SIGCHLD:
                    self._reap()
                elif number == signal.SIGHUP and not (self._has_terminal and not _has_terminal()):
                    self.restart()
                else:
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
                for part, child in self._living():
                    if child.process.pid == ended[0]:
                        self._ended(part, child, code)
        self._kill_orphans()

    def _ended(self, part: Part, child: Child, code: int) -> None:
        was_working, was_successor = child is part.child, child is part.successor
        self._hear_no_more(child)
        part.ended(child, code)
        if self._stop_began is not None:
            return
        how = f"was killed by {_signal_name(-code)}" if code < 0 else f"ended with code {code}"
        if was_successor:
            self._keep_the_old(part, how)
        elif was_working and part.child is not None:
            self._to_replace = [other for other in self._to_replace if other is not part]
            self.tell("warning", f"the {part.name} {how}; the new one takes over at once")
        elif was_working:
            self._plan_after_end(part, code, how)
        elif code != 0 and not child.killed:
            self.tell("warning", f"the old {part.name} {how}")

    def _plan_after_end(self, part: Part, code: int, how: str) -> None:
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
        ours = {child.process.pid for _, child in self._living()}
        for pid in _child_pids(but="sentinel.py") - ours:  # a worker's sentinel is cleaning up, and then ends
            for kill in (os.killpg, os.kill):
                with suppress(OSError):
                    kill(pid, signal.SIGKILL)

    def _kill_all(self) -> None:
        """Kill all that is left, at the end or after a fault of our own, and wait for it."""
        for _, child in self._living():
            child.kill()
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
        heard = [*_STOP_SIGNALS, signal.SIGCHLD]
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup
            heard.append(signal.SIGHUP)
        for number in heard:
            signal.signal(number, _no_more)
        try:
            yield reading
        finally:
            signal.set_wakeup_fd(-1)
            for number in (*_STOP_SIGNALS, signal.SIGHUP):  # the process ends now, and is to tidy up before
                signal.signal(number, signal.SIG_IGN)


def _no_more(_number: int, _frame: object) -> None:
    """Do nothing: the byte on the socket is enough."""


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _has_terminal() -> bool:
    """Whether this process belongs to a terminal that is still there."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _child_pids(but: str = "") -> set[int]:
    """Give the ids of this process's direct children, but for those that run a program of this name."""
    import psutil

    found = set()
    for child in psutil.Process().children():
        with suppress(psutil.Error):
            if not but or not any(part.endswith(but) for part in child.cmdline()):
                found.add(child.pid)
    return found
