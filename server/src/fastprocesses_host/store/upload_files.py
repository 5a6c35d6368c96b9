"""The bytes of uploads where the value store is a folder: a file each, which is as long as what has come."""

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path

from anyio import to_thread

from fastprocesses_host.store.upload_bytes import UploadBusy
from fastprocesses_host.store.uploads import Upload
from fastprocesses_host.store.values import NAME, FileValues, NoSuchValue, new_name

_FLAGS = os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


class UploadFiles:
    """Uploads as files of the value store.

    A file's length is how much of its upload has come, whatever became of the host that wrote it. Whoever writes holds
    a lock on the file, which its host loses with its life and no sooner: no two ever write, also on several hosts that
    share the folder.
    """

    most_on_disk: int | None = None

    def __init__(self, values: FileValues) -> None:
        self._values = values

    async def create(self, key: str) -> str:
        """Make an empty file; give its location."""
        return await to_thread.run_sync(self._create, key)

    async def length(self, upload: Upload) -> int:
        """Give how much there is.

        Raises:
            NoSuchValue: the file is gone.
        """
        return await to_thread.run_sync(self._values.length, upload.location)

    async def open(self, upload: Upload) -> "FileUploadWriter":
        """Begin to write behind what there is.

        Raises:
            UploadBusy: somebody else does. NoSuchValue: the file is gone.
        """
        name = upload.location.removeprefix("file:")
        if not NAME.fullmatch(name):
            raise NoSuchValue(upload.location)
        file = await to_thread.run_sync(FileWriter, self._values.folder / name)
        return FileUploadWriter(file, upload.location)

    async def delete(self, upload: Upload) -> None:
        """Delete what there is."""
        await to_thread.run_sync(self._values.delete, upload.location)

    def _create(self, key: str) -> str:
        name = new_name(key)
        path = self._values.folder / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        os.close(os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600))
        return "file:" + name


class FileUploadWriter:
    """Writes at the end of one file, in threads."""

    def __init__(self, file: "FileWriter", location: str) -> None:
        self._file = file
        self._location = location

    @property
    def length(self) -> int:
        """How much there is."""
        return self._file.length

    def refresh(self, upload: Upload) -> None:
        """Do nothing: the file is the truth."""

    async def write(self, pieces: Sequence[bytes]) -> None:
        """Write some more.

        Raises:
            OSError: the disk is full; a part may have been written.
        """
        await to_thread.run_sync(self._file.write, pieces)

    async def flush(self) -> None:
        """Do nothing: it is written."""

    async def cut(self, length: int) -> None:
        """Take away what lies behind this length."""
        await to_thread.run_sync(self._file.cut, length)

    async def end(self) -> str:
        """Have the disk keep what was written; give its location."""
        await to_thread.run_sync(self._file.end)
        return self._location

    async def close(self) -> None:
        """Let others write."""
        self._file.close()


class FileWriter:
    """Writes at the end of one file; nobody else does until it is closed."""

    def __init__(self, path: Path) -> None:
        try:
            self._descriptor = os.open(path, _FLAGS | os.O_APPEND)
        except FileNotFoundError as error:
            raise NoSuchValue(str(path.name)) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise UploadBusy from None
        except BaseException:
            self.close()
            raise

    @property
    def length(self) -> int:
        """How much there is."""
        return os.fstat(self._descriptor).st_size

    def write(self, pieces: Sequence[bytes]) -> None:
        """Write some more.

        Raises:
            OSError: the disk is full; a part may have been written.
        """
        for piece in pieces:
            left = memoryview(piece)
            while left:
                left = left[os.write(self._descriptor, left) :]

    def cut(self, length: int) -> None:
        """Take away what lies behind this length."""
        os.ftruncate(self._descriptor, length)

    def end(self) -> None:
        """Have the disk keep what was written: the upload is complete."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Let others write."""
        os.close(self._descriptor)
