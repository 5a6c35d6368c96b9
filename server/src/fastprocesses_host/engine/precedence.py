"""Where executors stand in line for cores: behind host, worker and store while their jobs are long."""

from pathlib import Path

SESSION_NICE = 10
LONG_SECONDS = 0.02
"""A job that takes longer makes its executor yield."""


class Precedence:
    """The place of one executor, as its jobs go.

    Linux may share cores between sessions before it shares them between processes (`sched_autogroup_enabled`). An
    executor has a session of its own, so its `nice` counts among its own children only: the session has to yield too.
    But one whose jobs are short holds no core for long, and were it to yield, what it is slow to do while cores are in
    demand would be left for later, when there is too little to do for all of them.

    The kernel takes a place from its users once in 100 ms, so what it did not take is asked for again.
    """

    def __init__(self, pid: int) -> None:
        self._group = Path(f"/proc/{pid}/autogroup")
        self._nice = 0
        self._is_known = True

    def yield_session(self) -> None:
        """Have it yield, as it is new, or its job takes long."""
        self._ask(SESSION_NICE)

    def job_ended(self, seconds: float) -> None:
        """Have it yield or not, as befits a job that took so long."""
        self._ask(SESSION_NICE if seconds > LONG_SECONDS else 0)

    def _ask(self, nice: int) -> None:
        if nice == self._nice or not self._is_known:
            return
        try:
            self._group.write_text(str(nice), "ascii")
        except BlockingIOError:
            return
        except OSError:  # it has ended, or this system shares cores between processes alone
            self._is_known = False
        self._nice = nice
