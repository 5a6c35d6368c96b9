"""The job a process runs as: how it tells its progress and learns that nobody waits any more."""

import math
import threading
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping, Sized
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar, overload

from fastprocesses_sdk.errors import JobCancelled

T = TypeVar("T")
Level = Literal["debug", "info", "warning", "error"]
_LEVELS = ("debug", "info", "warning", "error")


class Reporter(Protocol):
    """Where a job's reports go. Its methods return quickly and do not raise."""

    def progress(self, percent: int | None, message: str | None) -> None:
        """Tell how far the job is, 0 to 100, and what it does; None leaves the last word as it is."""

    def log(self, level: str, text: str, fields: dict[str, Any]) -> None:
        """Add a line to the job's log."""

    def cancelled(self) -> bool:
        """Whether the job was dismissed or ran out of time."""


class _Nobody:
    def progress(self, percent: int | None, message: str | None) -> None: ...

    def log(self, level: str, text: str, fields: dict[str, Any]) -> None: ...

    def cancelled(self) -> bool:
        return False


class Job:
    """The running job, handed to a process that has an argument of this type.

    Its methods may be called from any thread and any task. A copy that is pickled into another process knows the
    job and its folder, tells nobody anything and is never cancelled.

    Args:
        id: The job's id; empty when the process is called outside a server.
        workdir: An empty folder of the job's own. None: one is made when first asked for, and removed at
            exit.
        reporter: Where reports go. None: nowhere.
        formats: Media type in which each output is wanted.
    """

    _told: tuple[int | None, str | None] = (None, None)

    def __init__(
        self,
        *,
        id: str = "",  # noqa: A002
        workdir: Path | None = None,
        reporter: Reporter | None = None,
        formats: Mapping[str, str] | None = None,
    ) -> None:
        self._id = id
        self._workdir = workdir
        self._reporter: Reporter = reporter or _Nobody()
        self._formats = formats or {}

    def __reduce__(self) -> tuple[object, ...]:
        return _elsewhere, (self._id, self._workdir, dict(self._formats))

    @property
    def id(self) -> str:
        """The job's id; empty outside a server."""
        return self._id

    @property
    def workdir(self) -> Path:
        """A folder of this job alone, removed after it; files that are outputs lie in it."""
        return self._folder()

    def _folder(self) -> Path:
        if self._workdir is None:
            with _making_folder:
                self._workdir = self._workdir or _scratch_folder()
        return self._workdir

    @property
    def cancelled(self) -> bool:
        """Whether the job was dismissed or ran out of time: nobody will see its results."""
        return self._reporter.cancelled()

    def check_cancelled(self) -> None:
        """Stop here if nobody waits for the results.

        Raises:
            JobCancelled: The job was dismissed or ran out of time.
        """
        if self.cancelled:
            raise JobCancelled

    def progress(self, percent: float, message: str = "") -> None:
        """Tell how far the job is.

        Args:
            percent: 0 to 100; what lies outside counts as the nearer end, NaN as not known.
            message: What it is doing; empty leaves the last message.

        Raises:
            TypeError: The percentage is no number.
        """
        self._tell(_whole_percent(percent), str(message) if message else None)

    def message(self, text: str) -> None:
        """Tell what the job is doing. The first 1000 characters are kept."""
        self._tell(None, str(text))

    @overload
    def track(self, items: Iterable[T], message: str = "", total: int | None = None) -> Iterator[T]: ...

    @overload
    def track(
        self, items: AsyncIterable[T], message: str = "", total: int | None = None
    ) -> AsyncIterator[T]: ...

    def track(self, items: Any, message: str = "", total: int | None = None) -> Any:
        """Yield the items, telling progress from 0 to 100 and stopping where the job is cancelled.

        A loop that is left early leaves the progress where it was.

        Args:
            items: What is worked through, by `for`, or, where that is how it is read, by `async for`.
            message: What is being done meanwhile.
            total: How many items there are, where `len(items)` cannot tell; without both, only the message is
                told.

        Raises:
            JobCancelled: The job was dismissed or ran out of time.
        """
        count = _length(items) if total is None else total
        if isinstance(items, AsyncIterable) and not isinstance(items, Iterable):
            return self._track_async(items, message, count)
        return self._track(items, message, count)

    def _track(self, items: Iterable[T], message: str, count: int | None) -> Iterator[T]:
        if message:
            self.message(message)
        for done, item in enumerate(items):
            self._step(done, count)
            yield item
        if count:
            self.progress(100)

    async def _track_async(
        self, items: AsyncIterable[T], message: str, count: int | None
    ) -> AsyncIterator[T]:
        if message:
            self.message(message)
        done = 0
        async for item in items:
            self._step(done, count)
            yield item
            done += 1
        if count:
            self.progress(100)

    def _step(self, done: int, count: int | None) -> None:
        self.check_cancelled()
        if count:
            self.progress(100 * done / count)

    def log(self, text: str, level: Level = "info", **fields: Any) -> None:
        """Add a line to the job's log, which its caller may read, and to the operator's.

        Args:
            text: A sentence; the first 8192 characters are kept.
            level: `debug`, `info`, `warning` or `error`.
            **fields: Named values beside it: numbers, strings, booleans; of others, their text.

        Raises:
            ValueError: The level is none of these.
        """
        if level not in _LEVELS:
            raise ValueError(f"A log level is one of {', '.join(_LEVELS)}, not {level!r}.")
        self._reporter.log(level, str(text), fields)

    def format(self, output: str) -> str:
        """Media type in which an output is wanted; empty when the output has only its own."""
        return self._formats.get(output, "")

    def with_formats(self, formats: Mapping[str, str]) -> "Job":
        """Return the same job, with these media types wanted of its outputs."""
        are_same = formats is self._formats or formats == self._formats
        if are_same and self._workdir is not None:  # else each run makes a folder of its own
            return self
        return Job(id=self._id, workdir=self._workdir, reporter=self._reporter, formats=formats)

    def _tell(self, percent: int | None, message: str | None) -> None:
        """Report what is news; most steps of a long loop are not."""
        percent = None if percent == self._told[0] else percent
        message = None if message == self._told[1] else message
        if percent is None and message is None:
            return
        self._told = (
            self._told[0] if percent is None else percent,
            self._told[1] if message is None else message,
        )
        self._reporter.progress(percent, message)


class _NoJob(Job):
    """Nothing is told, nothing is remembered: one object serves every plain call, from any thread."""

    def _tell(self, percent: int | None, message: str | None) -> None: ...


_making_folder = threading.Lock()


def _elsewhere(id: str, workdir: Path | None, formats: Mapping[str, str]) -> Job:  # noqa: A002
    return Job(id=id, workdir=workdir, formats=formats)


def _whole_percent(percent: float) -> int | None:
    try:
        clipped = min(100, max(0, percent))
        return None if math.isnan(percent) else int(clipped)
    except OverflowError:  # a whole number that is too large for a float
        return int(clipped)
    except (TypeError, ValueError):
        raise TypeError(f"Progress is a number from 0 to 100, not {type(percent).__name__}.") from None


def _length(items: Any) -> int | None:
    try:
        return len(items) if isinstance(items, Sized) else None
    except Exception:  # lazy collections do not always know
        return None


def _scratch_folder() -> Path:
    import atexit
    import shutil
    import tempfile

    folder = tempfile.mkdtemp(prefix="fastprocesses-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


NO_JOB: Job = _NoJob()
"""The job of a plain call: it tells nobody anything and is never cancelled."""
