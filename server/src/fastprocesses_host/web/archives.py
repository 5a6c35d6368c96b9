"""Several results in one ZIP file."""

import mimetypes
import time
from collections.abc import AsyncIterator, Sequence
from tempfile import SpooledTemporaryFile
from typing import IO, Final
from urllib.parse import quote
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from anyio import CapacityLimiter, to_thread
from msgspec import Struct

from fastprocesses_host.ogc.jobs import Job

_IN_MEMORY_BYTES: Final = 1024 * 1024
_CHUNK_BYTES: Final = 256 * 1024
_SAFE: Final = " -_.()"
_SUFFIXES: Final = {
    "application/geo+json": ".geojson",
    "application/json": ".json",
    "image/tiff": ".tif",
    "text/plain": ".txt",
}


class Member(Struct, frozen=True):
    """A file of an archive."""

    output_id: str
    media_type: str
    chunks: AsyncIterator[bytes]


async def archive(job: Job, members: Sequence[Member], limiter: CapacityLimiter) -> IO[bytes]:
    """Write an archive; the same values give the same bytes. Large ones lie on disk until it is closed.

    Args:
        job: Whose results they are; its end is the time of all files.
        members: What goes into it, read one after the other.
        limiter: Of the threads that compress.
    """
    file = SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115 - closed by who sends it
    try:
        with ZipFile(file, "w") as target:
            for member in members:
                with target.open(_information(job, member), "w", force_zip64=True) as entry:
                    async for chunk in member.chunks:
                        await to_thread.run_sync(entry.write, chunk, limiter=limiter)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


async def sent(file: IO[bytes]) -> AsyncIterator[bytes]:
    """Give the bytes of a file in pieces, and close it."""
    with file:
        while chunk := await to_thread.run_sync(file.read, _CHUNK_BYTES):
            yield chunk


def file_name(output_id: str, media_type: str) -> str:
    """Name the file of an output: its id, as far as it can be part of a name, and what its type is known by."""
    bare = media_type.partition(";")[0].strip().lower()
    suffix = _SUFFIXES.get(bare) or mimetypes.guess_extension(bare) or ""
    name = quote(output_id, safe=_SAFE).lstrip(".") or "output"
    return name if suffix and name.lower().endswith(suffix) else name + suffix


def _information(job: Job, member: Member) -> ZipInfo:
    ended = time.gmtime((job.finished or job.created) // 1000)
    information = ZipInfo(file_name(member.output_id, member.media_type), ended[:6])
    information.compress_type = ZIP_DEFLATED
    return information
