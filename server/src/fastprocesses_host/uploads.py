"""What callers bring before they execute: received as it comes, resumed where it was cut, kept for a while."""

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final, Literal

from anyio import CancelScope, to_thread
from msgspec import Struct
from msgspec.structs import replace

from fastprocesses_host.ogc.exceptions import (
    BodyTooLarge,
    ChecksumMismatch,
    InsufficientStorage,
    NoSuchUpload,
    OGCException,
    ServiceUnavailable,
    TooManyRequests,
    UploadConflict,
    UploadGone,
    UploadLocked,
)
from fastprocesses_host.ogc.references import REFERENCED, GivenValue, Referenced, encode_referenced
from fastprocesses_host.settings import Settings
from fastprocesses_host.store import uploads as operations
from fastprocesses_host.store.client import AsyncStore
from fastprocesses_host.store.records import ANYBODY, PinnedInput
from fastprocesses_host.store.rooms import DISK_FULL, Rooms, disk_full
from fastprocesses_host.store.upload_bytes import UploadBusy, UploadBytes, UploadWriter
from fastprocesses_host.store.upload_files import UploadFiles
from fastprocesses_host.store.uploads import (
    Kept,
    Upload,
    UploadLimits,
    is_upload_id,
    new_upload_id,
    upload_key,
)
from fastprocesses_host.store.values import FileValues, NoSuchValue, Values, ValuesAway

if TYPE_CHECKING:
    from hashlib import _Hash

_PIECE_BYTES: Final = 1024 * 1024
"""How much is gathered before it is written."""
_ROOM_BYTES: Final = 16 * _PIECE_BYTES
"""How much room is asked for at a time where nobody knows how long an upload will be."""
_PATIENCE_SECONDS: Final = 0.5
_PAUSE_SECONDS: Final = 0.05
_SIGN_SECONDS: Final = 60.0
"""How often an upload that is being written to shows that it lives."""
_MOST_DIGESTS: Final = 1000


class Received(Struct, frozen=True, kw_only=True):
    """An upload, and how much of it has come."""

    upload: Upload
    offset: int

    @property
    def is_complete(self) -> bool:
        """Whether all of it is there."""
        return self.offset == self.upload.length

    @property
    def sha256(self) -> str:
        """The digest of all of it, in hexadecimal; empty: it is not known, or not complete."""
        digested = self.upload.digested
        return digested[1] if digested is not None and self.is_complete and digested[0] == self.offset else ""


class Checksum(Struct, frozen=True):
    """What the bytes of one request have to come to."""

    algorithm: str
    digest: bytes


class _Digests:
    """Digests that grow with their uploads, as long as all bytes come through this process and no request is cut."""

    def __init__(self) -> None:
        self._grown: dict[str, tuple[int, _Hash]] = {}

    def take(self, upload: Upload, offset: int) -> "_Hash | None":
        """Give the digest of the bytes before this offset, to go on with; None: nobody has it."""
        there, digest = self._grown.pop(upload.key, (0, None))
        if offset == 0:
            return hashlib.sha256()
        return digest if there == offset else None

    def put_back(self, upload: Upload, offset: int, digest: "_Hash") -> None:
        """Keep a digest for the next request; the oldest are forgotten where there are many."""
        self._grown[upload.key] = offset, digest
        while len(self._grown) > _MOST_DIGESTS:
            del self._grown[next(iter(self._grown))]


class Uploads:
    """The uploads of a service; the store has their records, the value store their bytes.

    All raise NoSuchUpload (404) or UploadGone (410) where there is no such upload, and UploadLocked (423) where
    somebody else writes to it.
    """

    def __init__(
        self, settings: Settings, store: AsyncStore, values: Values, content: UploadBytes, rooms: Rooms
    ) -> None:
        self.largest_bytes = settings.largest_upload_bytes
        self.largest_input_bytes = settings.max_value_bytes
        self._store = store
        self._rooms = rooms
        self._values = values
        self._content = content
        self._digests = _Digests() if settings.result_cache_seconds > 0 else None
        self._limits = UploadLimits(
            ttl_seconds=settings.upload_ttl_seconds,
            of_caller=settings.max_uploads_per_caller,
            bytes_of_caller=settings.max_caller_bytes,
            bytes_of_all=settings.max_stored_bytes,
        )

    async def create(
        self,
        *,
        length: int | None,
        media_type: str = "",
        metadata: str = "",
        caller: str = "",
        owner: str = "",
    ) -> tuple[str, Received]:
        """Begin an upload; give its id, which is the right to it where it has no owner.

        Args:
            length: How many bytes it will have; None: that is told later.
            media_type: What it is; empty: not told.
            metadata: What the client wrote of it.
            caller: Whose limits it counts for.
            owner: Who alone may use it; empty: whoever knows the id.

        Raises:
            BodyTooLarge, TooManyRequests, InsufficientStorage: it is beyond a limit.
        """
        self._require_length(length)
        upload_id = new_upload_id()
        key = upload_key(upload_id)
        reserved_bytes = length or 0
        await self.require_disk(reserved_bytes)
        location = await self._content.create(key)
        upload = Upload(
            key=key,
            length=length,
            media_type=media_type,
            metadata=metadata,
            location=location,
            owner=owner,
            caller=caller or ANYBODY,
        )
        try:
            kept = await self._store.run(
                operations.create(upload, reserved_bytes=reserved_bytes, limits=self._limits)
            )
            self._require_kept(kept)
        except OGCException:
            await self._content.delete(upload)
            raise
        return upload_id, Received(upload=_until(upload, kept), offset=0)

    async def find(self, upload_id: str, *, owner: str = "") -> Received:
        """Give an upload as it is now."""
        upload = await self._read(upload_id, owner)
        try:
            there = await self._content.length(upload)
        except NoSuchValue:
            raise UploadGone from None
        return Received(upload=upload, offset=_certain(upload, there))

    async def receive(
        self,
        upload_id: str,
        body: AsyncIterator[bytes],
        *,
        offset: int,
        length: int | None = None,
        body_length: int | None = None,
        checksum: Checksum | None = None,
        owner: str = "",
    ) -> Received:
        """Write what comes behind what there is; what came before a connection broke is kept.

        Args:
            upload_id: The upload.
            body: What comes.
            offset: Where its sender believes the upload to be.
            length: How many bytes the upload will have, where that is told now.
            body_length: How many bytes come; None: nobody knows.
            checksum: Of what comes. With one all of it is kept, or nothing.
            owner: Who asks.

        Raises:
            UploadConflict: the upload is elsewhere, or its length is another one.
            BodyTooLarge: more comes than it may have. ChecksumMismatch: something else came.
            TooManyRequests, InsufficientStorage: it is beyond a limit, or the disk is full; what came is kept.
        """
        writer = await self._open(await self._read(upload_id, owner))
        try:
            upload = await self._read(upload_id, owner)  # as the one who wrote before has left it
            writer.refresh(upload)
            upload = await self._prepared(upload, writer, offset, length, body_length, checksum)
            room = offset + (body_length or 0) if upload.length is None else upload.length
            content = self._digests.take(upload, offset) if self._digests is not None else None
            await _Receiving(self, upload, writer, offset, room, checksum, content).take(body)
            return await self._kept(upload, writer, content)
        except UploadBusy:
            raise UploadLocked from None
        except NoSuchValue:
            raise UploadGone from None
        finally:
            with CancelScope(shield=True):
                await writer.close()

    async def told_length(self, upload_id: str, length: int) -> Received:
        """Note that an upload is complete as it is."""
        received = await self.find(upload_id)
        kept = await self._store.run(
            operations.keep(received.upload.key, limits=self._limits, reserved_bytes=length, length=length)
        )
        self._require_kept(kept)
        return Received(upload=_until(received.upload, kept, length), offset=received.offset)

    async def remove(self, upload_id: str, *, owner: str = "") -> None:
        """Remove an upload and its bytes; who reads or writes it at the moment may go on with what there was."""
        upload = await self._read(upload_id, owner)
        await self._store.run(operations.remove(upload.key))
        await self._content.delete(upload)

    async def keep(
        self,
        upload: Upload,
        *,
        reserved_bytes: int | None = None,
        length: int | None = None,
        sure: int | Literal["all"] | None = None,
        digested: tuple[int, str] | None = None,
    ) -> Kept:
        """Have an upload live on, and have room for so much of it.

        Raises:
            TooManyRequests, InsufficientStorage: there is no room.
        """
        kept = await self._store.run(
            operations.keep(
                upload.key,
                limits=self._limits,
                reserved_bytes=reserved_bytes,
                length=length,
                sure=sure,
                digested=digested,
            )
        )
        self._require_kept(kept)
        return kept

    async def pinned(self, job_id: str, referenced: Referenced) -> PinnedInput:
        """Keep what was uploaded for a job, whatever becomes of the uploads afterwards.

        Raises:
            UploadGone: one has been deleted, or its time was over, just now.
        """
        values: list[GivenValue] = []
        pinned: dict[str, int] = {}
        try:
            for value in referenced.values:
                if value.location:
                    location = await to_thread.run_sync(self._values.copy, job_id, value.location)
                    pinned[location] = value.length
                    value = replace(value, location=location)
                values.append(value)
        except BaseException as error:
            with CancelScope(shield=True):
                for location in pinned:
                    await to_thread.run_sync(self._values.delete, location)
            if isinstance(error, NoSuchValue):
                raise UploadGone from error
            raise
        document = encode_referenced(Referenced(tuple(values), referenced.is_list))
        return PinnedInput(document, REFERENCED, pinned=pinned)

    async def _read(self, upload_id: str, owner: str) -> Upload:
        if not is_upload_id(upload_id):
            raise NoSuchUpload
        found = await self._store.run(operations.upload(upload_key(upload_id)))
        if isinstance(found, str):
            raise NoSuchUpload if found == "unknown" else UploadGone
        if found.owner and found.owner != owner:
            raise NoSuchUpload
        return found

    async def location_of(self, received: Received) -> str:
        """Give where in the value store a complete upload lies; what came in parts is made one if it is not yet.

        Raises:
            UploadLocked: somebody else is about it.
        """
        if received.upload.location:
            return received.upload.location
        writer = await self._open(received.upload)
        try:
            return await writer.end()
        except UploadBusy:
            raise UploadLocked from None
        except NoSuchValue:
            raise UploadGone from None
        finally:
            with CancelScope(shield=True):
                await writer.close()

    async def _open(self, upload: Upload) -> UploadWriter:
        """Begin to write; who wrote before may need a moment to see that its connection is broken."""
        until_seconds = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                return await self._content.open(upload)
            except UploadBusy:
                if time.monotonic() > until_seconds:
                    raise UploadLocked from None
            except NoSuchValue:
                raise UploadGone from None
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _prepared(
        self,
        upload: Upload,
        writer: UploadWriter,
        offset: int,
        length: int | None,
        body_length: int | None,
        checksum: Checksum | None,
    ) -> Upload:
        """Check that what comes belongs behind what there is, and that there is room for it."""
        here = _certain(upload, writer.length)
        if offset != here:
            raise UploadConflict(
                f"The upload has {here} bytes, and these are for offset {offset}. Ask for the offset with HEAD.",
                headers={"Upload-Offset": str(here)},
            )
        if length is not None and upload.length not in (None, length):
            raise UploadConflict(f"The upload has {upload.length} bytes, as was told before, not {length}.")
        if length is not None and length < offset:
            raise UploadConflict(f"The upload has more than {length} bytes already: {offset}.")
        self._require_length(length)
        whole = upload.length if upload.length is not None else length
        if body_length is not None and offset + body_length > (
            self.largest_bytes if whole is None else whole
        ):
            raise _too_long(whole, self.largest_bytes)
        await writer.cut(here)
        reserved_bytes = offset + (body_length or 0) if whole is None else whole
        await self.require_disk(reserved_bytes - offset)
        sure: int | Literal["all"] | None = offset if checksum else "all" if upload.sure is not None else None
        kept = await self.keep(upload, reserved_bytes=reserved_bytes, length=length, sure=sure)
        return _until(upload, kept, whole)

    async def _kept(self, upload: Upload, writer: UploadWriter, content: "_Hash | None") -> Received:
        there = writer.length
        if there == upload.length:
            await writer.end()
        else:
            await writer.flush()
        reserved_bytes = there if upload.length is None else None
        digested = (there, content.hexdigest()) if content is not None else None
        kept = await self.keep(upload, reserved_bytes=reserved_bytes, sure="all", digested=digested)
        if self._digests is not None and content is not None and there != upload.length:
            self._digests.put_back(upload, there, content)
        return Received(upload=_until(upload, kept), offset=there)

    def _require_length(self, length: int | None) -> None:
        if length is not None and length > self.largest_bytes:
            raise _too_long(None, self.largest_bytes)

    async def require_disk(self, more_bytes: int) -> None:
        """Check that the disk has room for so much more.

        Raises:
            InsufficientStorage: it has not.
        """
        most = self._content.most_on_disk
        await to_thread.run_sync(
            self._rooms.require_disk, more_bytes if most is None else min(more_bytes, most)
        )

    def _require_kept(self, kept: Kept) -> None:
        limits = self._limits
        match kept.outcome:
            case "unknown":
                raise NoSuchUpload
            case "expired" | "deleted":
                raise UploadGone
            case "caller-uploads":
                raise TooManyRequests(
                    f"You have {limits.of_caller} uploads here. Delete those you need no more, or wait until they "
                    "expire.",
                    retry_after_seconds=60,
                )
            case "caller-bytes":
                raise TooManyRequests(
                    f"What you have stored here would be more than {limits.bytes_of_caller} bytes. Delete uploads and "
                    "jobs you need no more, or wait until they expire.",
                    retry_after_seconds=60,
                )
            case "bytes":
                raise self._rooms.refusal("all")


class _Receiving:
    """One request that writes to an upload."""

    def __init__(
        self,
        uploads: Uploads,
        upload: Upload,
        writer: UploadWriter,
        offset: int,
        room: int,
        checksum: Checksum | None,
        content: "_Hash | None",
    ) -> None:
        self._uploads = uploads
        self._upload = upload
        self._writer = writer
        self._begin = offset
        self._offset = offset
        self._most = uploads.largest_bytes if upload.length is None else upload.length
        self._room = room
        self._checksum = checksum
        self._digest: _Hash | None = (
            hashlib.new(checksum.algorithm, usedforsecurity=False) if checksum is not None else None
        )
        self._digests = [digest for digest in (self._digest, content) if digest is not None]
        self._gathered: list[bytes] = []
        self._gathered_bytes = 0
        self._next_sign_seconds = time.monotonic() + _SIGN_SECONDS

    async def take(self, body: AsyncIterator[bytes]) -> None:
        """Write all that comes, as far as it comes."""
        try:
            async for chunk in body:
                await self._gather(chunk)
                if self._gathered_bytes >= _PIECE_BYTES:
                    await self._write()
            await self._write()
            self._compare()
        except (ValuesAway, UploadBusy, NoSuchValue):
            with CancelScope(shield=True):
                await self._drop()
            raise
        except OSError as error:
            self._gathered = []
            await self._save()
            if error.errno not in DISK_FULL:
                raise
            raise disk_full() from error
        except BaseException:  # the client went, or was too slow: what came is what it need not send again
            with CancelScope(shield=True):
                await self._save()
            raise

    async def _gather(self, chunk: bytes) -> None:
        self._offset += len(chunk)
        if self._offset > self._most:
            self._gathered.clear()
            await self._writer.cut(self._begin)
            raise _too_long(self._upload.length, self._most)
        self._gathered.append(chunk)
        self._gathered_bytes += len(chunk)

    async def _write(self) -> None:
        if not self._gathered:
            return
        if self._offset > self._room or time.monotonic() > self._next_sign_seconds:
            await self._keep()
        pieces, self._gathered, self._gathered_bytes = self._gathered, [], 0
        if self._digests:
            await to_thread.run_sync(self._add_to_digests, pieces)
        await self._writer.write(pieces)

    async def _keep(self) -> None:
        """Show that the upload lives; where its length is not known, ask for more room before there is none."""
        self._next_sign_seconds = time.monotonic() + _SIGN_SECONDS
        if self._offset > self._room:
            await self._ask_for_room(min(self._offset + _ROOM_BYTES, self._most))
        else:
            await self._uploads.keep(self._upload)

    async def _ask_for_room(self, wanted: int) -> None:
        for room in dict.fromkeys((wanted, self._offset)):
            try:
                await self._uploads.require_disk(room - self._writer.length)
                await self._uploads.keep(self._upload, reserved_bytes=room)
            except (TooManyRequests, InsufficientStorage):
                if room == self._offset:
                    raise
            else:
                self._room = room
                return

    def _add_to_digests(self, pieces: list[bytes]) -> None:
        for digest in self._digests:
            for piece in pieces:
                digest.update(piece)

    def _compare(self) -> None:
        if self._digest is None or self._checksum is None:
            return
        if self._digest.digest() != self._checksum.digest:
            raise ChecksumMismatch

    async def _save(self) -> None:
        """Keep what came, or nothing of it where it should have had a checksum; at once, for nobody waits."""
        if self._digest is None and self._gathered:
            with contextlib.suppress(OSError, ValuesAway, UploadBusy, NoSuchValue):
                await self._writer.write(self._gathered)
        if self._digest is None:
            with contextlib.suppress(OSError, ValuesAway, UploadBusy, NoSuchValue, ServiceUnavailable):
                await self._writer.flush()
        await self._drop()

    async def _drop(self) -> None:
        self._gathered = []
        if self._digest is not None:
            await self._writer.cut(self._begin)


def _certain(upload: Upload, there: int) -> int:
    return there if upload.sure is None else min(there, upload.sure)


def _until(upload: Upload, kept: Kept, length: int | None = None) -> Upload:
    return replace(upload, expires=kept.expires, length=upload.length if length is None else length)


def _too_long(length: int | None, largest: int) -> OGCException:
    if length is None:
        return BodyTooLarge(f"An upload may have at most {largest} bytes.")
    return BodyTooLarge(f"This is more than the {length} bytes that the upload was said to have.")


def uploads_of(settings: Settings, store: AsyncStore, values: Values | None, rooms: Rooms) -> Uploads | None:
    """Give the uploads of a service; None where it has no value store for their bytes."""
    if values is None:
        return None
    content: UploadBytes
    if isinstance(values, FileValues):
        content = UploadFiles(values)
    else:
        from fastprocesses_host.store.object_values import ObjectValues
        from fastprocesses_host.store.upload_parts import UploadParts  # with the large library behind it

        assert isinstance(values, ObjectValues)
        content = UploadParts(values, store)
    return Uploads(settings, store, values, content, rooms)
