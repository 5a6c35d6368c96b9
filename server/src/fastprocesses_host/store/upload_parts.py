"""The bytes of uploads where the value store has no files that grow: in parts, which become one object at the end."""

import contextlib
import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from anyio import to_thread

from fastprocesses_host.store import uploads as operations
from fastprocesses_host.store.client import AsyncStore
from fastprocesses_host.store.object_values import ObjectValues
from fastprocesses_host.store.upload_bytes import UploadBusy
from fastprocesses_host.store.uploads import Upload
from fastprocesses_host.store.values import NoSuchValue

PART_BYTES = 16 * 1024 * 1024
"""As much is lost, and sent again, when a host is killed; a connection that breaks loses nothing."""
LEASE_SECONDS = 15.0
_RENEW_SECONDS = 4.0


class UploadParts:
    """Uploads as objects. The record of each tells its parts, and who writes: a lease, since objects have no locks."""

    most_on_disk: int | None = 2 * PART_BYTES

    def __init__(self, values: ObjectValues, store: AsyncStore) -> None:
        self._values = values
        self._store = store

    async def create(self, key: str) -> str:
        """Give no location: there are no bytes yet."""
        return ""

    async def length(self, upload: Upload) -> int:
        """Give how much there is."""
        if upload.location:
            return upload.length or 0
        return sum(length for length, _ in upload.parts)

    async def open(self, upload: Upload) -> "PartWriter":
        """Begin to write behind what there is.

        Raises:
            UploadBusy: somebody else does. NoSuchValue: the upload is gone.
        """
        writer = PartWriter(self._values, self._store, upload)
        await writer.lock()
        return writer

    async def delete(self, upload: Upload) -> None:
        """Delete what there is."""
        for location in (upload.location, *(location for _, location in upload.parts)):
            if location:
                await to_thread.run_sync(self._values.delete, location)


class PartWriter:
    """Writes the parts of one upload. What is not a part yet lies in a file of this host."""

    def __init__(self, values: ObjectValues, store: AsyncStore, upload: Upload) -> None:
        self._values = values
        self._store = store
        self._key = upload.key
        self._token = secrets.token_hex(8)
        self._location = upload.location
        self._parts = list(upload.parts)
        self._whole_bytes = upload.length or 0
        self._path: Path | None = None
        self._file: BinaryIO | None = None
        self._file_bytes = 0
        self._renewed_seconds = 0.0

    def refresh(self, upload: Upload) -> None:
        """Take note of what the one who wrote before has left."""
        self._location, self._parts = upload.location, list(upload.parts)
        self._whole_bytes = upload.length or 0

    @property
    def length(self) -> int:
        """How much there is."""
        return self._whole_bytes if self._location else self._parts_bytes + self._file_bytes

    @property
    def _parts_bytes(self) -> int:
        return sum(length for length, _ in self._parts)

    async def lock(self) -> None:
        """Become or stay the one who writes.

        Raises:
            UploadBusy, NoSuchValue.
        """
        self._renewed_seconds = time.monotonic()
        self._require(
            await self._store.run(operations.lock(self._key, self._token, lease_seconds=LEASE_SECONDS))
        )

    async def write(self, pieces: Sequence[bytes]) -> None:
        """Write some more.

        Raises:
            OSError: the disk is full. ValuesAway: the object store is away. UploadBusy: somebody else writes by now.
        """
        if time.monotonic() - self._renewed_seconds > _RENEW_SECONDS:
            await self.lock()
        await to_thread.run_sync(self._spool, pieces)
        if self._file_bytes >= PART_BYTES:
            await self.flush()

    async def flush(self) -> None:
        """Make a part of what is not one yet."""
        if not self._file_bytes or self._path is None:
            return
        length, offset = self._file_bytes, self._parts_bytes
        location = await to_thread.run_sync(self._move)
        adding = operations.add_part(
            self._key,
            self._token,
            offset=offset,
            length=length,
            location=location,
            lease_seconds=LEASE_SECONDS,
        )
        try:
            self._require(await self._store.run(adding))
        except (UploadBusy, NoSuchValue):
            await to_thread.run_sync(self._values.delete, location)
            raise
        self._parts.append((length, location))

    async def cut(self, length: int) -> None:
        """Take away what lies behind this length, which is the end of a part."""
        await to_thread.run_sync(self._drop)
        if self._location or self._parts_bytes <= length:
            return
        self._require(await self._store.run(operations.cut_parts(self._key, self._token, length=length)))
        while self._parts_bytes > length:
            self._parts.pop()

    async def end(self) -> str:
        """Make one object of all parts: the upload is complete; give its location."""
        await self.flush()
        if self._location:
            return self._location
        locations = [location for _, location in self._parts]
        if len(locations) == 1:
            [whole] = locations
        elif locations:
            whole = await to_thread.run_sync(self._values.join, self._key, locations)
        else:
            whole = await to_thread.run_sync(self._values.put, self._key, b"")
        self._whole_bytes = self._parts_bytes
        try:
            self._require(
                await self._store.run(operations.become_whole(self._key, self._token, location=whole))
            )
        except (UploadBusy, NoSuchValue):
            if len(locations) != 1:
                await to_thread.run_sync(self._values.delete, whole)
            raise
        self._location = whole
        return whole

    async def close(self) -> None:
        """Let others write."""
        await to_thread.run_sync(self._drop)
        await self._store.run(operations.unlock(self._key, self._token))

    def _spool(self, pieces: Sequence[bytes]) -> None:
        if self._file is None:
            self._path, self._file = self._values.create()
        for piece in pieces:
            self._file.write(piece)
            self._file_bytes += len(piece)

    def _move(self) -> str:
        assert self._file is not None
        assert self._path is not None
        self._file.close()
        location = self._values.move(self._key, self._path)
        self._path = self._file = None
        self._file_bytes = 0
        return location

    def _drop(self) -> None:
        if self._file is not None and self._path is not None:
            with contextlib.suppress(OSError):  # of a full disk, told before
                self._file.close()
            self._path.unlink(missing_ok=True)
        self._path = self._file = None
        self._file_bytes = 0

    def _require(self, outcome: str) -> None:
        if outcome == "busy":
            raise UploadBusy
        if outcome != "ok":
            raise NoSuchValue(self._key)
