"""Being the last in line for the machine: host, worker and store go before the code of plugins."""

import contextlib
import os
from pathlib import Path

NICE = 10
_OOM_SCORE_ADJ = 500
_GROUP = Path("/proc/self/autogroup")


class Precedence:
    """What this process asks of the kernel: cores when others have had theirs, and to be the first to lack memory.

    Linux may share cores between sessions before it shares them between processes (`sched_autogroup_enabled`). An
    executor has a session of its own, so `nice` alone would count among its own children only: the session has to
    yield too. The kernel takes that from its users once in 100 ms, so `yield_session` may have to be called again.
    """

    def __init__(self) -> None:
        self._yields = False

    def yield_to_others(self) -> None:
        """Go behind host, worker and store, as far as this system knows of that."""
        with contextlib.suppress(OSError):
            os.nice(NICE)
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(str(_OOM_SCORE_ADJ), "ascii")
        self.yield_session()

    def yield_session(self) -> None:
        """Have the session yield, unless it does."""
        if self._yields:
            return
        try:
            _GROUP.write_text(str(NICE), "ascii")
        except BlockingIOError:
            return
        except OSError:
            pass  # this system shares cores between processes alone
        self._yields = True
