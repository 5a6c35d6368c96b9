"""Room in the value store: asked for before anything is written there, so that budgets refuse and no disk fills up."""

import contextlib
import errno
import os
import secrets
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from fastprocesses_host.ogc.exceptions import (
    BodyTooLarge,
    InsufficientStorage,
    OGCException,
    ServiceUnavailable,
    TooManyRequests,
)
from fastprocesses_host.settings import Settings
from fastprocesses_host.store import operations
from fastprocesses_host.store.client import AsyncStore, Store
from fastprocesses_host.store.operations import Budgets, RoomOutcome

STEP_BYTES = 8 * 1024 * 1024
"""So much is asked for at a time, if there is as much: what is streamed asks rarely."""
HELD_SECONDS = 600.0
"""How long room stays held that nobody asks more of and nobody gives back: its holder was killed."""
_RETRY_SECONDS = 60.0
DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""What the system says where a disk takes no more, or no more of us."""

Whose = Literal["job", "caller", "all", "disk"]


class Rooms:
    """What may still be written to the value store, by the settings.

    Args:
        settings: Of the service.
        folder: Where values are written on this machine, finished or not; None: nowhere.
    """

    def __init__(self, settings: Settings, folder: Path | None) -> None:
        self.budgets = Budgets(
            of_job=settings.max_job_bytes,
            of_caller=settings.max_caller_bytes,
            in_all=settings.max_stored_bytes,
        )
        self._folder = folder
        self._min_free_bytes = settings.min_free_disk_bytes

    def require_disk(self, more_bytes: int) -> None:
        """Make sure that the disk takes so much more.

        Raises:
            InsufficientStorage: less than `min_free_disk_bytes` would be left.
        """
        if self._folder is not None and free_bytes(self._folder) - more_bytes < self._min_free_bytes:
            raise self.refusal("disk")

    def has_disk_of(self, file: Path) -> bool:
        """Tell whether a file is moved here without being copied."""
        return self._folder is not None and _existing(self._folder).stat().st_dev == file.stat().st_dev

    def refusal(self, whose: Whose) -> OGCException:
        """Give what a caller is told who would pass a budget."""
        budgets = self.budgets
        if whose == "job":
            return BodyTooLarge(
                f"One job may have {budgets.of_job} bytes of large inputs and results. "
                "Send less, or have the operator raise max_job_bytes."
            )
        if whose == "caller":
            return TooManyRequests(
                f"All your jobs together may keep {budgets.of_caller} bytes of large inputs and results. "
                "Delete jobs that you need no more, or wait until they expire.",
                retry_after_seconds=_RETRY_SECONDS,
            )
        if whose == "all":
            return InsufficientStorage(
                "The server keeps as many large values as it may. Try again when jobs have been deleted, or expired."
            )
        return disk_full()


class _Held:
    """How much somebody holds and has used; asks for more in steps."""

    def __init__(self, rooms: Rooms, holder: str, *, caller: str, job_id: str, keep_seconds: float) -> None:
        self.holder = holder or secrets.token_hex(8)
        self._rooms = rooms
        self._caller = caller
        self._job_id = job_id
        self._keep_seconds = keep_seconds
        self._held_bytes = 0
        self._used_bytes = 0

    @property
    def is_held(self) -> bool:
        """Whether there is something to give back."""
        return self._held_bytes > 0

    def _lacking(self, more_bytes: int) -> int:
        """Count what is about to be written; give how much of it is not held yet."""
        self._used_bytes += more_bytes
        return max(self._used_bytes - self._held_bytes, 0)

    def _asking(self, more_bytes: int) -> operations.Operation[RoomOutcome]:
        return operations.hold_room(
            self.holder,
            more_bytes=more_bytes,
            keep_seconds=self._keep_seconds,
            budgets=self._rooms.budgets,
            caller=self._caller,
            job_id=self._job_id,
        )

    def _heed(self, outcome: RoomOutcome, more_bytes: int, *, is_last: bool) -> bool:
        """Take note of an answer; tell whether there is room now.

        Raises:
            BodyTooLarge, TooManyRequests, InsufficientStorage: there is none, and this was the least that is needed.
        """
        if outcome == "ok":
            self._held_bytes += more_bytes
            return True
        if is_last:
            raise self._rooms.refusal(outcome)
        return False


class Room(_Held):
    """Room that a request or another task of the host holds. An async context that gives it back at its end.

    Args:
        rooms: How much there may be.
        store: Where it is counted.
        caller: For whom.
        holder: Its name; empty: a random one. What is of the same name is given back together.
        keep_seconds: How long it is held if it neither grows nor is given back.
    """

    def __init__(
        self,
        rooms: Rooms,
        store: AsyncStore,
        caller: str,
        *,
        holder: str = "",
        keep_seconds: float = HELD_SECONDS,
    ) -> None:
        super().__init__(rooms, holder, caller=caller, job_id="", keep_seconds=keep_seconds)
        self._store = store

    async def grow(self, more_bytes: int) -> None:
        """Make sure that so many more bytes may be written; to be called before they are.

        Raises:
            BodyTooLarge: 413, it is more than a job may have. TooManyRequests: 429, the caller has too much.
            InsufficientStorage: 507, all have too much, or the disk is nearly full. StoreUnavailable: 503.
        """
        lacking = self._lacking(more_bytes)
        if not lacking:
            return
        self._rooms.require_disk(lacking)
        for bytes_ in dict.fromkeys((max(lacking, STEP_BYTES), lacking)):
            if self._heed(await self._store.run(self._asking(bytes_)), bytes_, is_last=bytes_ == lacking):
                return

    async def give_back(self) -> None:
        """Hold it no longer; what was written counts for its job, or is deleted."""
        if self.is_held:
            self._held_bytes = self._used_bytes = 0
            with contextlib.suppress(ServiceUnavailable):  # then its time ends
                await self._store.run(operations.give_room_back(self.holder))

    async def __aenter__(self) -> Self:
        """Hold nothing yet."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give back what is held."""
        await self.give_back()


class WorkerRoom(_Held):
    """Room that a run of a job holds, for its caller; a context that gives it back at its end."""

    def __init__(self, rooms: Rooms, store: Store, job_id: str, claim: str) -> None:
        super().__init__(rooms, claim, caller="", job_id=job_id, keep_seconds=HELD_SECONDS)
        self._store = store

    def grow(self, more_bytes: int, *, is_on_disk: bool = False) -> None:
        """Make sure that so many more bytes may be written; to be called before they are.

        Args:
            more_bytes: How many.
            is_on_disk: They are there already, and only change their name.

        Raises:
            BodyTooLarge, TooManyRequests, InsufficientStorage: as `Room.grow`.
        """
        lacking = self._lacking(more_bytes)
        if not lacking:
            return
        if not is_on_disk:
            self._rooms.require_disk(lacking)
        for bytes_ in dict.fromkeys((max(lacking, STEP_BYTES), lacking)):
            if self._heed(self._answer(bytes_), bytes_, is_last=bytes_ == lacking):
                return

    def _answer(self, more_bytes: int) -> RoomOutcome:
        asking = self._asking(more_bytes)
        return self._store.run_until_answered(asking)

    def give_back(self) -> None:
        """Hold it no longer."""
        if self.is_held:
            self._held_bytes = self._used_bytes = 0
            with contextlib.suppress(ServiceUnavailable):  # then its time ends
                self._store.run(operations.give_room_back(self.holder))

    def __enter__(self) -> Self:
        """Hold nothing yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give back what is held."""
        self.give_back()


def disk_full() -> InsufficientStorage:
    """Give what is told where a disk takes no more."""
    return InsufficientStorage(
        "The disk of the server is nearly full. Try again later, or tell the operator."
    )


def free_bytes(folder: Path) -> int:
    """Give how much a process without privileges may still write to a folder, or where it will be made."""
    told = os.statvfs(_existing(folder))
    return told.f_bavail * told.f_frsize


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder
