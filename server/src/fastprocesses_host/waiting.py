"""Those who wait for the end of a job: each hears of it, or that its time is over, or its caller is gone."""

import asyncio
import enum
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

_QUIET_SECONDS = 0.05
"""Whether a caller is gone, or its time is over, is looked at so often; most jobs are done before."""


class Unended(enum.Enum):
    """Why somebody waits no longer although the job has not ended."""

    LATE = enum.auto()
    GONE = enum.auto()
    STOPPED = enum.auto()


class Wait:
    """One who waits.

    Attributes:
        done: What the job's host is told when it ends, empty where that is to be read; or why not. Raises what
            kept the job from being accepted.
        is_pending: It is not known yet whether the job was accepted; until then it is never too late.
    """

    def __init__(
        self,
        seconds: float,
        disconnected: Callable[[], Awaitable[None]] | None,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        loop = loop or asyncio.get_running_loop()
        self.is_pending = False
        self.done: asyncio.Future[bytes | Unended] = loop.create_future()
        self._begun = loop.time()
        self._due = self._begun + seconds
        self._disconnected = disconnected
        self._caller: asyncio.Task[None] | None = None

    def end(self, how: bytes | Unended) -> None:
        """Wake whoever waits, unless that was done before."""
        if not self.done.done():
            self.done.set_result(how)

    def fail(self, error: Exception) -> None:
        """Wake whoever waits with an error, unless that was done before."""
        if not self.done.done():
            self.done.set_exception(error)

    def look(self, now: float) -> None:
        """See whether the time is over, and have an eye on the caller."""
        if now >= self._due and not self.is_pending:
            self.end(Unended.LATE)
        elif self._caller is None and self._disconnected is not None and now - self._begun >= _QUIET_SECONDS:
            self._caller = asyncio.create_task(self._see_caller_off(self._disconnected), name="caller")

    def close(self) -> None:
        """Watch no more."""
        if self._caller is not None:
            self._caller.cancel()

    async def _see_caller_off(self, disconnected: Callable[[], Awaitable[None]]) -> None:
        await disconnected()
        self.end(Unended.GONE)


class Waiting:
    """All that wait in one host, by job id."""

    def __init__(self) -> None:
        self._waits: dict[str, Wait] = {}
        self._others: dict[str, list[Wait]] = {}
        """Those who wait for a job that somebody else waits for already."""
        self._arrived = asyncio.Event()

    def __len__(self) -> int:
        """Tell how many wait."""
        return len(self._waits) + (sum(map(len, self._others.values())) if self._others else 0)

    @contextmanager
    def of(self, job_id: str, wait: Wait) -> Iterator[None]:
        """Count somebody as waiting for a job."""
        self.enter(job_id, wait)
        try:
            yield
        finally:
            self.leave(job_id, wait)

    def enter(self, job_id: str, wait: Wait) -> None:
        """Count somebody as waiting for a job, until `leave`."""
        if self._waits.setdefault(job_id, wait) is not wait:
            self._others.setdefault(job_id, []).append(wait)
        self._arrived.set()

    def leave(self, job_id: str, wait: Wait) -> None:
        """Count somebody as waiting no more."""
        self._leave(job_id, wait)
        wait.close()

    def _leave(self, job_id: str, wait: Wait) -> None:
        others = self._others.get(job_id)
        if others is None:
            self._waits.pop(job_id, None)
            return
        if self._waits[job_id] is wait:
            self._waits[job_id] = others.pop(0)
        else:
            others.remove(wait)
        if not others:
            del self._others[job_id]

    def job_ids(self) -> list[str]:
        """Give what is waited for."""
        return list(self._waits)

    def tell(self, job_id: str, told: bytes = b"") -> None:
        """Wake who waits for a job that ended, if anybody does."""
        wait = self._waits.get(job_id)
        if wait is not None:
            wait.end(told)
        if self._others:
            for other in self._others.get(job_id, ()):
                other.end(told)

    def send_away(self) -> None:
        """End everybody's wait, since the host stops."""
        for wait in self._all():
            wait.end(Unended.STOPPED)

    def _all(self) -> list[Wait]:
        return [*self._waits.values(), *(wait for waits in self._others.values() for wait in waits)]

    async def look_after(self) -> None:
        """Look after those who wait longer; does not end."""
        loop = asyncio.get_running_loop()
        while True:
            await self._arrived.wait()
            await asyncio.sleep(_QUIET_SECONDS)
            for wait in self._all():
                wait.look(loop.time())
            if not self._waits:
                self._arrived.clear()
