"""Those who watch jobs: each hears when its job changed, as long as there is room for it."""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress

from fastprocesses_host.ogc.exceptions import ServiceUnavailable, TooManyRequests

_RETRY_SECONDS = 10


class Watch:
    """One who watches a job.

    Attributes:
        is_over: It is to end: the host stops, or the client is gone.
    """

    def __init__(self) -> None:
        self.is_over = False
        self._changed = asyncio.Event()

    def wake(self) -> None:
        """Tell that there may be something new."""
        self._changed.set()

    def end(self) -> None:
        """Tell that it is over."""
        self.is_over = True
        self._changed.set()

    async def change(self, seconds: float) -> None:
        """Wait until there may be something new, or that much time has passed."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), seconds)
        self._changed.clear()


class Watched:
    """The jobs that are watched in one host.

    Args:
        follow: Has the host hear of changes of a job, from the first one who watches it on.
        unfollow: Ends that, when nobody watches it any more.
        most: So many may watch; 0: any number.
        most_of_caller: So many of one caller; 0: any number.
    """

    def __init__(
        self,
        follow: Callable[[str], None],
        unfollow: Callable[[str], None],
        *,
        most: int,
        most_of_caller: int,
    ) -> None:
        self._follow = follow
        self._unfollow = unfollow
        self._most = most
        self._most_of_caller = most_of_caller
        self._watches: dict[str, set[Watch]] = {}
        self._of_callers: Counter[str] = Counter()
        self._is_over = False

    def __len__(self) -> int:
        """Tell how many watch."""
        return self._of_callers.total()

    @contextmanager
    def of(self, job_ids: Collection[str], caller: str) -> Iterator[Watch]:
        """Count somebody as watching a job; where the host is stopping, that is over at once.

        Args:
            job_ids: The job, and the run that it follows if it does.
            caller: Who watches.

        Raises:
            TooManyRequests: 429, the caller watches too many already. ServiceUnavailable: 503, all together do.
        """
        self._require_room(caller)
        watch = Watch()
        watch.is_over = self._is_over
        self._of_callers[caller] += 1
        for job_id in job_ids:
            self._enter(job_id, watch)
        try:
            yield watch
        finally:
            for job_id in job_ids:
                self._leave(job_id, watch)
            self._of_callers -= Counter([caller])

    def wake(self, job_id: str) -> None:
        """Tell those who watch a job that it may have changed."""
        for watch in self._watches.get(job_id, ()):
            watch.wake()

    def wake_all(self) -> None:
        """Tell all, since messages may have been missed."""
        for job_id in self._watches:
            self.wake(job_id)

    def send_away(self) -> None:
        """End all, and whatever begins from now on: another host goes on with it."""
        self._is_over = True
        for watches in self._watches.values():
            for watch in watches:
                watch.end()

    def _require_room(self, caller: str) -> None:
        if 0 < self._most <= len(self):
            raise ServiceUnavailable(
                "Too many follow the events of jobs. Try again later, or ask for the status of the job now and then.",
                retry_after_seconds=_RETRY_SECONDS,
            )
        if 0 < self._most_of_caller <= self._of_callers[caller]:
            raise TooManyRequests(
                "You follow the events of too many jobs. End one, or ask for the status of the job now and then.",
                retry_after_seconds=_RETRY_SECONDS,
            )

    def _enter(self, job_id: str, watch: Watch) -> None:
        if job_id not in self._watches:
            self._watches[job_id] = set()
            self._follow(job_id)
        self._watches[job_id].add(watch)

    def _leave(self, job_id: str, watch: Watch) -> None:
        watches = self._watches[job_id]
        watches.discard(watch)
        if not watches:
            del self._watches[job_id]
            self._unfollow(job_id)
