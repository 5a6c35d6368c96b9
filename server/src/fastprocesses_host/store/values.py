"""The value store: files for values that are too large for the store, written once and found by location."""

import contextlib
import errno
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_NAME = re.compile(r"[0-9a-f]{2}/[0-9a-f-]{36}\.[0-9a-f]{16}")
_FOLDER_FLAGS = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
_FILE_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_ORPHAN_SECONDS = 3600


class NoSuchValue(LookupError):
    """The value is not in the value store (any more)."""


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

    def put(self, job_id: str, source: bytes | Path) -> str:
        """Keep bytes, or the content of a file, for a job; return the location.

        The value is whole or not there: it is written under another name and renamed.
        """
        name = f"{job_id[-2:]}/{job_id}.{secrets.token_hex(8)}"
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

    def move(self, job_id: str, file: Path) -> str:
        """Keep a file for a job; return the location. On the same file system it is renamed, else copied.

        Raises:
            OSError: It is no plain file.
        """
        with _plain_file(file) as source:
            if os.fstat(source.fileno()).st_nlink > 1:  # others hold it too, and could change it
                return self.put(job_id, file)
            os.fchmod(source.fileno(), 0o600)
            os.utime(source.fileno())
        name = f"{job_id[-2:]}/{job_id}.{secrets.token_hex(8)}"
        with self._shard(name[:2], create=True) as shard:
            try:
                os.rename(file, name[3:], dst_dir_fd=shard)
            except OSError:
                return self.put(job_id, file)
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

    def link(self, job_id: str, file: Path) -> str:
        """Keep a file from `create` for a job, under a name of its own beside the first; return the location.

        Raises:
            OSError: It is not there any more.
        """
        name = f"{job_id[-2:]}/{job_id}.{secrets.token_hex(8)}"
        with self._shard(name[:2], create=True) as shard:
            try:
                os.link(file, name[3:], dst_dir_fd=shard)
            except OSError:  # not every file system can
                return self.put(job_id, file)
        return "file:" + name

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

    def path(self, location: str) -> Path:
        """Give the path of a value, for a process of this machine that reads it."""
        return self.folder / _name(location)

    def delete(self, location: str) -> None:
        """Delete a value; one that is not there is no error."""
        name = _name(location)
        with contextlib.suppress(FileNotFoundError), self._shard(name[:2]) as shard:
            os.unlink(name[3:], dir_fd=shard)

    def orphans(self, *, now_seconds: float | None = None) -> Iterator[tuple[str, str]]:
        """Give job id and location of values older than an hour: a crash may have left them without a job."""
        oldest = (time.time() if now_seconds is None else now_seconds) - _ORPHAN_SECONDS
        for shard in self.folder.iterdir():
            for file in shard.iterdir() if shard.is_dir() else ():
                name = f"{shard.name}/{file.name.removeprefix('.')}"
                with contextlib.suppress(OSError):
                    if file.stat().st_mtime < oldest:
                        if file.name.startswith("."):
                            file.unlink()
                        elif _NAME.fullmatch(name):
                            yield file.name[:36], "file:" + name

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


def _name(location: str) -> str:
    name = location.removeprefix("file:")
    if not _NAME.fullmatch(name):
        raise NoSuchValue(location)
    return name


def _write(target: BinaryIO, source: bytes | Path) -> None:
    if isinstance(source, bytes):
        target.write(source)
        return
    with _plain_file(source) as file:
        shutil.copyfileobj(file, target, 1024 * 1024)


@contextlib.contextmanager
def _plain_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file that is no link, pipe, or device, and never wait for it."""
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | _FILE_FLAGS), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "no plain file", str(path))
        yield file
