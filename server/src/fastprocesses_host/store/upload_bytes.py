"""Where the bytes of uploads lie: what every kind of value store does for them."""

from collections.abc import Sequence
from typing import Protocol

from fastprocesses_host.store.uploads import Upload


class UploadBusy(Exception):
    """Somebody else is writing to the upload."""


class UploadWriter(Protocol):
    """Writes behind what there is of one upload; nobody else does until it is closed.

    All but `length` and `refresh` may wait; they raise OSError where a disk is full, ValuesAway where the value store
    does not answer, UploadBusy where somebody else writes by now, and NoSuchValue where the upload is gone.
    """

    @property
    def length(self) -> int:
        """How much there is."""
        ...

    def refresh(self, upload: Upload) -> None:
        """Take note of what the one who wrote before has left."""
        ...

    async def write(self, pieces: Sequence[bytes]) -> None:
        """Write some more; where that fails a part may have been written."""
        ...

    async def flush(self) -> None:
        """Have the value store keep what was written."""
        ...

    async def cut(self, length: int) -> None:
        """Take away what was written behind this length, where one writer once began."""
        ...

    async def end(self) -> str:
        """Have the value store keep all as one: the upload is complete; give its location."""
        ...

    async def close(self) -> None:
        """Let others write; what was not flushed is gone."""
        ...


class UploadBytes(Protocol):
    """The bytes of all uploads."""

    most_on_disk: int | None
    """How much of one upload lies on this machine at a time; None: all of it."""

    async def create(self, key: str) -> str:
        """Make room for a new upload; give its location, empty where it has none yet."""
        ...

    async def length(self, upload: Upload) -> int:
        """Give how much there is.

        Raises:
            NoSuchValue: it is gone.
        """
        ...

    async def open(self, upload: Upload) -> UploadWriter:
        """Begin to write.

        Raises:
            UploadBusy: somebody else does. NoSuchValue: the upload is gone.
        """
        ...

    async def delete(self, upload: Upload) -> None:
        """Delete what there is."""
        ...
