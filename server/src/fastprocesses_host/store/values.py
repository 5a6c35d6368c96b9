"""The value store: what is too large for the store, written once and found by location; here as files."""

import asyncio
import contextlib
import errno
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from fastprocesses_host.ogc.exceptions import ServiceUnavailable

NAME = re.compile(r"[0-9a-f]{2}/[0-9a-f-]{36}\.[0-9a-f]{16}")
"""What every value is called: two digits of its owner, its owner, and what nobody can guess."""
ORPHAN_SECONDS = 3600
"""Values without an owner are left alone for so long: it may not be told of its owner yet."""
_FOLDER_FLAGS = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
_FILE_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_CHUNK_BYTES = 1024 * 1024
_RETRY_AFTER_SECONDS = 10.0


class NoSuchValue(LookupError):
    """The value is not in the value store (any more)."""


class ValuesAway(ServiceUnavailable):
    """The value store does not answer, or not as it should: 503.

    Args:
        reason: What happened, for the operator's log.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(
            "Large values cannot be read or written at the moment. Try again in a while.",
            retry_after_seconds=_RETRY_AFTER_SECONDS,
        )
        self.reason = reason


class TransferStopped(Exception):
    """Whoever wanted a value to be brought somewhere does not want it any more."""


def never() -> bool:
    """Go on: what is asked for is wanted to its end."""
    return False


class Values(Protocol):
    """Where values lie that are too large for the store.

    A location is told by what keeps a value, and names it from then on, for host and workers alike. Its owner is a
    UUID: the id of a job or of what else it is kept for.

    All but `create`, `close` and `chunks` may wait for a network; they are to be called in threads. They raise
    `ValuesAway` where the value store does not answer in time, and `NoSuchValue` where there is no such value.
    """

    def close(self) -> None:
        """Let go of what is open."""
        ...

    def put(self, owner: str, source: bytes | Path, *, media_type: str = "") -> str:
        """Keep bytes, or the content of a file; return the location. The value is whole or not there."""
        ...

    def move(
        self, owner: str, file: Path, *, media_type: str = "", stopped: Callable[[], bool] = never
    ) -> str:
        """Keep a file, which is of no more use where it was; return the location.

        Args:
            owner: For whom.
            file: A plain file.
            media_type: What signed URLs of it say it is.
            stopped: Whether to give up; asked again and again where it takes long.

        Raises:
            OSError: It is no plain file.
            TransferStopped: As `stopped` said.
        """
        ...

    def create(self) -> tuple[Path, BinaryIO]:
        """Open a new file on this machine for what may become a value; whoever asks for it deletes it.

        One that a crash leaves behind is deleted as an orphan, an hour after it was written to.
        """
        ...

    def link(self, owner: str, file: Path, *, media_type: str = "") -> str:
        """Keep the content of a file from `create`, which stays where it is; return the location.

        Raises:
            OSError: It is not there any more.
        """
        ...

    def copy(self, owner: str, location: str) -> str:
        """Keep the bytes of a value for somebody else, too; return the location of their own."""
        ...

    def open(self, location: str) -> BinaryIO:
        """Open a value for reading and seeking."""
        ...

    def length(self, location: str) -> int:
        """Give how many bytes a value has."""
        ...

    def chunks(self, location: str, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        """Give the bytes of a value from `start` until before `stop`, a piece at a time, never waiting for long."""
        ...

    def local(self, location: str, folder: Path, *, stopped: Callable[[], bool] = never) -> Path:
        """Give a file with the value, to be read only: where it lies, or a new one in `folder`.

        Raises:
            TransferStopped: As `stopped` said.
        """
        ...

    def delete(self, location: str) -> None:
        """Delete a value; one that is not there is no error."""
        ...

    def orphans(self, *, now_seconds: float | None = None) -> Iterator[tuple[str, str]]:
        """Give owner and location of values older than an hour: a crash may have left them without an owner.

        What a crash left half written is deleted on the way.
        """
        ...

    def signed_url(self, location: str, *, seconds: float) -> str | None:
        """Give a URL with which anybody may read a value for so long; None where there are none."""
        ...


class FileValues:
    """Values as files under one folder, private to this user.

    A location is `file:` and a name below the folder; nothing else is ever opened, and no link is followed.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder = folder
        self._root = os.open(folder, _FOLDER_FLAGS)

    def close(self) -> None:
        """Close the folder."""
        os.close(self._root)

    def put(self, owner: str, source: bytes | Path, *, media_type: str = "") -> str:
        """Keep bytes, or the content of a file; return the location.

        The value is whole or not there: it is written under another name and renamed.
        """
        name = new_name(owner)
        with self._shard(name[:2], create=True) as shard:
            partial = f".{name[3:]}"
            descriptor = os.open(
                partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FILE_FLAGS, 0o600, dir_fd=shard
            )
            try:
                with open(descriptor, "wb") as target:
                    _write(target, source)
                os.rename(partial, name[3:], src_dir_fd=shard, dst_dir_fd=shard)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(partial, dir_fd=shard)
                raise
        return "file:" + name

    def move(
        self, owner: str, file: Path, *, media_type: str = "", stopped: Callable[[], bool] = never
    ) -> str:
        """Keep a file; return the location. On the same file system it is renamed, else copied.

        Raises:
            OSError: It is no plain file.
        """
        with plain_file(file) as source:
            if os.fstat(source.fileno()).st_nlink > 1:  # others hold it too, and could change it
                return self.put(owner, file)
            os.fchmod(source.fileno(), 0o600)
            os.utime(source.fileno())
        name = new_name(owner)
        with self._shard(name[:2], create=True) as shard:
            try:
                os.rename(file, name[3:], dst_dir_fd=shard)
            except OSError:
                return self.put(owner, file)
        return "file:" + name

    def create(self) -> tuple[Path, BinaryIO]:
        """Open a new file for what may become a value; whoever asks for it deletes it.

        One that a crash leaves behind is deleted as an orphan, an hour after it was written to.
        """
        shard_name, name = secrets.token_hex(1), f".{secrets.token_hex(16)}"
        with self._shard(shard_name, create=True) as shard:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FILE_FLAGS
            descriptor = os.open(name, flags, 0o600, dir_fd=shard)
        return self.folder / shard_name / name, open(descriptor, "wb")

    def link(self, owner: str, file: Path, *, media_type: str = "") -> str:
        """Keep a file from `create` under a name of its own beside the first; return the location.

        Raises:
            OSError: It is not there any more.
        """
        name = new_name(owner)
        with self._shard(name[:2], create=True) as shard:
            try:
                os.link(file, name[3:], dst_dir_fd=shard)
            except OSError:  # not every file system can
                return self.put(owner, file)
            os.utime(name[3:], dir_fd=shard, follow_symlinks=False)  # an old one would be taken for an orphan
        return "file:" + name

    def copy(self, owner: str, location: str) -> str:
        """Keep the bytes of a value under another name beside the first; return the location.

        Raises:
            NoSuchValue: it is not there.
        """
        try:
            return self.link(owner, self.folder / _name(location))
        except FileNotFoundError as error:
            raise NoSuchValue(location) from error

    def open(self, location: str) -> BinaryIO:
        """Open a value for reading.

        Raises:
            NoSuchValue: it is not there.
        """
        name = _name(location)
        try:
            with self._shard(name[:2]) as shard:
                return open(os.open(name[3:], os.O_RDONLY | _FILE_FLAGS, dir_fd=shard), "rb")
        except OSError as error:
            raise NoSuchValue(location) from error

    def length(self, location: str) -> int:
        """Give how many bytes a value has.

        Raises:
            NoSuchValue: it is not there.
        """
        with self.open(location) as file:
            return os.fstat(file.fileno()).st_size

    async def chunks(self, location: str, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        """Give the bytes of a value from `start` until before `stop`, read in threads.

        Raises:
            NoSuchValue: it is not there.
        """
        file = await asyncio.to_thread(self.open, location)
        with file:
            file.seek(start)
            left = stop - start
            while left > 0 and (chunk := await asyncio.to_thread(file.read, min(left, _CHUNK_BYTES))):
                left -= len(chunk)
                yield chunk

    def local(self, location: str, folder: Path, *, stopped: Callable[[], bool] = never) -> Path:
        """Give the path of a value, for a process of this machine that reads it."""
        return self.folder / _name(location)

    def delete(self, location: str) -> None:
        """Delete a value; one that is not there is no error."""
        name = _name(location)
        with contextlib.suppress(FileNotFoundError), self._shard(name[:2]) as shard:
            os.unlink(name[3:], dir_fd=shard)

    def orphans(self, *, now_seconds: float | None = None) -> Iterator[tuple[str, str]]:
        """Give owner and location of values older than an hour: a crash may have left them without an owner."""
        oldest = (time.time() if now_seconds is None else now_seconds) - ORPHAN_SECONDS
        for shard in self.folder.iterdir():
            for file in shard.iterdir() if shard.is_dir() else ():
                name = f"{shard.name}/{file.name.removeprefix('.')}"
                with contextlib.suppress(OSError):
                    if file.stat().st_mtime < oldest:
                        if file.name.startswith("."):
                            file.unlink()
                        elif NAME.fullmatch(name):
                            yield file.name[:36], "file:" + name

    def signed_url(self, location: str, *, seconds: float) -> str | None:
        """Give None: files have no URLs of their own."""
        return None

    @contextlib.contextmanager
    def _shard(self, name: str, *, create: bool = False) -> Iterator[int]:
        if create:
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=self._root)
        descriptor = os.open(name, _FOLDER_FLAGS, dir_fd=self._root)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def new_name(owner: str) -> str:
    """Make the name of a new value."""
    return f"{owner[-2:]}/{owner}.{secrets.token_hex(8)}"


def _name(location: str) -> str:
    name = location.removeprefix("file:")
    if not NAME.fullmatch(name):
        raise NoSuchValue(location)
    return name


def _write(target: BinaryIO, source: bytes | Path) -> None:
    if isinstance(source, bytes):
        target.write(source)
        return
    with plain_file(source) as file:
        shutil.copyfileobj(file, target, 1024 * 1024)


@contextlib.contextmanager
def plain_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file that is no link, pipe, or device, and never wait for it."""
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | _FILE_FLAGS), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "no plain file", str(path))
        yield file
