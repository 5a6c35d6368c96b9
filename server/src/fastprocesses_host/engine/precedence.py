"""Where executors stand in line for cores: behind host, worker and store while their jobs compute for long."""

import time
from pathlib import Path

SESSION_NICE = 10
LONG_SECONDS = 0.005
"""A job that used a core for longer makes its executor yield."""
_SCHEDULED = 2
"""The kind of clock that tells how long a process has been running on cores; see `clock_getcpuclockid`."""


class Precedence:
    """The place of one executor, as its jobs go.

    Linux may share cores between sessions before it shares them between processes (`sched_autogroup_enabled`). An
    executor has a session of its own, so its `nice` counts among its own children only: the session has to yield too.
    But one whose jobs are short holds no core for long, and were it to yield, what it is slow to do while cores are in
    demand would be left for later, when there is too little to do for all of them. What counts is the time on cores:
    one that yields takes longer by the clock.

    The kernel takes a place from its users once in 100 ms, so what it did not take is asked for again.
    """

    def __init__(self, pid: int) -> None:
        self._group = Path(f"/proc/{pid}/autogroup")
        self._clock = (~pid << 3) | _SCHEDULED
        self._used_seconds = 0.0
        self._nice = 0
        self._family_seconds = 0.0
        self._is_family_busy = False
        self.is_known = True
        """This system shares cores between sessions, as far as was seen."""

    def yield_session(self) -> None:
        """Have it yield, as it is new, or its job takes long."""
        self._ask(SESSION_NICE)

    def job_ended(self) -> None:
        """Have it yield or not, as befits the time that the job used."""
        if not self.is_known:
            return
        try:
            used_seconds = time.clock_gettime(self._clock)
        except OSError:  # it has ended
            return
        is_long = used_seconds - self._used_seconds > LONG_SECONDS
        self._ask(SESSION_NICE if is_long or self._is_family_busy else 0)
        self._used_seconds = used_seconds

    def see_family(self, used_seconds: float, jobs: int) -> None:
        """Have it yield while processes that its jobs started, or left, use cores: its own clock does not tell.

        Args:
            used_seconds: How long they have been running on cores.
            jobs: How many ended since this was told last.
        """
        self._is_family_busy = used_seconds - self._family_seconds > LONG_SECONDS * max(jobs, 1)
        self._family_seconds = used_seconds
        if self._is_family_busy:
            self._ask(SESSION_NICE)

    def _ask(self, nice: int) -> None:
        if nice == self._nice or not self.is_known:
            return
        try:
            self._group.write_text(str(nice), "ascii")
        except BlockingIOError:
            return
        except OSError:  # it has ended, or this system shares cores between processes alone
            self.is_known = False
        self._nice = nice
