"""What is done to the system: each event does its harm at once, and plans when it is over."""

import contextlib
import heapq
import itertools
import random
import time
from collections import Counter
from collections.abc import Callable

import psutil
import redis

from tests.chaos.proxy import Way
from tests.chaos.system import HostMember, Member, System

HOURS = 3600.0
_FILLER = "filler"
_MOST_KILLS = 3
"""After so many kills of its children a supervisor waits long before the next start; it is restarted instead."""


class Harm:
    """Chooses events by seed, does them, and ends them in time."""

    def __init__(self, seed: int, system: System) -> None:
        self.log: list[str] = []
        self.counts: Counter[str] = Counter()
        self._random = random.Random(f"{seed}/events")
        self._system = system
        self._begun = time.monotonic()
        self._planned: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._kills: Counter[str] = Counter()
        self._events: list[tuple[Callable[[], str], float]] = [
            (self._kill_executor, 5),
            (self._stop_executor, 3),
            (self._kill_worker, 2.5),
            (self._stop_worker, 4),
            (self._kill_command, 1),
            (self._stop_command, 1),
            (self._kill_supervisor, 0.7),
            (self._drain_worker, 2),
            (self._kill_host, 1.2),
            (self._stop_host, 2),
            (self._restart_host, 0.8),
            (self._kill_store, 1.5),
            (self._stop_store, 2),
            (self._forget_scripts, 1),
            (self._fill_store, 1),
            (self._eat_replies, 5),
            (self._eat_requests, 3),
            (self._cut, 3),
            (self._delay, 2),
            (self._hold, 4),
            (self._refuse, 1),
            (self._move_clock, 3),
            (self._sleep, 1),
        ]

    def pause_seconds(self) -> float:
        """Choose how long to wait before the next event."""
        return self._random.choice([0.05, 0.2, 0.5, 1.0, 1.5])

    def step(self) -> None:
        """Do one event."""
        events, weights = zip(*self._events, strict=True)
        event = self._random.choices(events, weights)[0]
        try:
            told = event()
        except (psutil.Error, ProcessLookupError, IndexError):
            told = "nobody there"
        name = event.__name__.strip("_").replace("_", " ")
        self.counts[name] += 1
        self.note(f"{name}: {told}")

    def note(self, text: str) -> None:
        """Add a line to the log of events."""
        self.log.append(f"{time.monotonic() - self._begun:8.2f} s  {text}")

    def tend(self) -> None:
        """End what is due."""
        while self._planned and self._planned[0][0] <= time.monotonic():
            heapq.heappop(self._planned)[2]()

    def end(self) -> None:
        """End everything that was planned to end."""
        for _, _, undo in sorted(self._planned, key=lambda plan: plan[:2]):
            undo()
        self._planned.clear()
        self._free_store()
        self._system.heal()

    def _plan(self, seconds: float, undo: Callable[[], None]) -> str:
        heapq.heappush(self._planned, (time.monotonic() + seconds, next(self._order), undo))
        return f"for {seconds:.2f} s"

    def _seconds(self, longest: float) -> float:
        return self._random.uniform(0.05, longest)

    def _worker(self) -> Member:
        return self._random.choice(self._system.workers)

    def _host(self) -> HostMember:
        return self._random.choice(self._system.hosts)

    def _member(self) -> Member:
        return self._random.choice(self._system.members)

    def _one_of(self, member: Member, part: str) -> psutil.Process:
        return self._random.choice(member.part(part))

    def _kill(self, member: Member, part: str) -> str:
        if part != "executor" and member.part("main") != member.part("command"):
            self._kills[member.name] += 1
            if self._kills[member.name] > _MOST_KILLS:
                return self._restart(member)
        process = self._one_of(member, part)
        if isinstance(member, HostMember):
            member.breaks(until_it_answers=False)
        process.kill()
        return f"{member.name} {process.pid}"

    def _stop(self, member: Member, part: str, longest_seconds: float) -> str:
        process = self._one_of(member, part)
        self._system.suspend([process])
        told = self._plan(self._seconds(longest_seconds), lambda: self._system.resume([process]))
        return f"{member.name} {process.pid} {told}"

    def _restart(self, member: Member) -> str:
        self._kills[member.name] = 0
        if isinstance(member, HostMember):
            member.breaks(until_it_answers=True)
        member.tell_to_stop()
        return f"{member.name} is told to stop"

    def _kill_executor(self) -> str:
        return self._kill(self._worker(), "executor")

    def _stop_executor(self) -> str:
        return self._stop(self._worker(), "executor", 20.0)

    def _kill_worker(self) -> str:
        return self._kill(self._worker(), "worker")

    def _stop_worker(self) -> str:
        return self._stop(self._worker(), "worker", 5.0)

    def _kill_command(self) -> str:
        return self._kill(self._worker(), "command")

    def _stop_command(self) -> str:
        return self._stop(self._worker(), "command", 3.0)

    def _kill_supervisor(self) -> str:
        member = self._random.choice([self._system.workers[1], *self._system.hosts])
        process = self._one_of(member, "main")
        if isinstance(member, HostMember):
            member.breaks(until_it_answers=True)
        process.kill()
        return f"{member.name} {process.pid}"

    def _drain_worker(self) -> str:
        return self._restart(self._worker())

    def _kill_host(self) -> str:
        return self._kill(self._host(), "host")

    def _stop_host(self) -> str:
        return self._stop(self._host(), "host", 4.0)

    def _restart_host(self) -> str:
        return self._restart(self._host())

    def _kill_store(self) -> str:
        self._system.kill_store()
        return self._plan(self._seconds(2.0), self._system.start_store)

    def _stop_store(self) -> str:
        process = psutil.Process(self._system.store.process.pid)
        process.suspend()
        return self._plan(self._seconds(5.0), lambda: _resume(process))

    def _forget_scripts(self) -> str:
        return self._tell_store("SCRIPT", "FLUSH")

    def _fill_store(self) -> str:
        self._tell_store("CONFIG", "SET", "maxmemory", "1mb")
        return self._plan(self._seconds(4.0), self._free_store)

    def _free_store(self) -> None:
        self._tell_store("CONFIG", "SET", "maxmemory", str(self._system.store_bytes))

    def _tell_store(self, *words: str) -> str:
        try:
            with redis.Redis.from_url(self._system.settings.redis_url, socket_timeout=0.5) as client:
                client.execute_command(*words)
        except redis.RedisError as error:
            return f"not done, {error!r}"
        return " ".join(words)

    def _eat(self, way: Way) -> str:
        member, share = self._member(), self._random.choice([0.03, 0.1, 0.4])
        member.proxy.shares[way] = share

        def stop_eating() -> None:
            member.proxy.shares[way] = 0.0

        return f"{share:.0%} of {member.name}'s {self._plan(self._seconds(4.0), stop_eating)}"

    def _eat_replies(self) -> str:
        return self._eat("replies")

    def _eat_requests(self) -> str:
        return self._eat("requests")

    def _cut(self) -> str:
        member = self._member()
        member.proxy.cut()
        return member.name

    def _delay(self) -> str:
        member, seconds = self._member(), self._random.choice([0.01, 0.1, 0.5])
        member.proxy.delay_seconds = seconds

        def hurry() -> None:
            member.proxy.delay_seconds = 0.0

        return f"{member.name} by {seconds} s {self._plan(self._seconds(3.0), hurry)}"

    def _hold(self) -> str:
        member = self._member()
        both: tuple[tuple[Way, ...], ...] = (("requests",), ("replies",), ("requests", "replies"))
        ways = self._random.choice(both)
        member.proxy.hold(*ways)
        return f"{member.name}'s {' and '.join(ways)} {self._plan(self._seconds(6.0), member.proxy.release)}"

    def _refuse(self) -> str:
        member = self._member()
        member.proxy.is_refusing = True
        member.proxy.cut()

        def accept() -> None:
            member.proxy.is_refusing = False

        return f"{member.name} {self._plan(self._seconds(4.0), accept)}"

    def _move_clock(self) -> str:
        member = self._member()
        wall = self._random.choice([-26 * HOURS, -HOURS, -5.0, 0.0, 5.0, HOURS, 26 * HOURS])
        member.move_clock(wall, self._random.choice([0.0, 0.0, 1.0, 3.0]))
        return f"{member.name} by {wall:g} s"

    def _sleep(self) -> str:
        everything = [process for member in self._system.members for process in member.family()]
        store = psutil.Process(self._system.store.process.pid)
        self._system.suspend(everything)
        with contextlib.suppress(psutil.Error):
            store.suspend()
        time.sleep(self._seconds(5.0))
        _resume(store)
        self._system.resume(everything)
        return "everything slept"


def _resume(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.Error):
        process.resume()
