"""Large files of a caller, uploaded before the request that names them, by tus 1.0.0: on from where it was cut."""

import base64
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urljoin

from fastprocesses_host.cli.caller import Answer, Caller, Refused, Unreachable
from fastprocesses_host.cli.told import CallError
from fastprocesses_host.exits import Exit
from fastprocesses_host.ogc.links import UPLOADS

_VERSION: Final = {"Tus-Resumable": "1.0.0"}
_PIECE_BYTES: Final = 256 * 1024
_PATIENCE_SECONDS: Final = 60.0
"""How long an upload is tried again while nothing more of it arrives."""
_SHORTEST_PAUSE_SECONDS: Final = 0.2
_LONGEST_PAUSE_SECONDS: Final = 5.0
_MAY_PASS: Final = frozenset({408, 409, 423, 425, 429})

Show = Callable[[int], None]
"""Is told how many bytes have arrived."""


class Uploader:
    """Uploads files to one server, if that takes any.

    Args:
        caller: The connection to the server.
        quiet: Show no progress.
    """

    def __init__(self, caller: Caller, *, quiet: bool = False) -> None:
        self._caller = caller
        self._quiet = quiet
        self._place: str | None = None

    @property
    def place(self) -> str:
        """Where files are uploaded to; empty: the server takes none."""
        if self._place is None:
            self._place = self._caller.linked_from_landing_page(UPLOADS)
        return self._place

    def upload(self, path: Path, media_type: str) -> str:
        """Upload a file; give the URL that names it.

        Args:
            path: The file.
            media_type: What it is; empty: unknown.

        Raises:
            CallError: it cannot be read, or the server does not take it.
        """
        try:
            length = path.stat().st_size
            with _shown(path.name, length, quiet=self._quiet) as show:
                return _Upload(self._caller, path, length, show).run(self._begin(path, length, media_type))
        except OSError as error:
            raise CallError(f"the file {path} cannot be read: {error.strerror}", Exit.USAGE) from None

    def _begin(self, path: Path, length: int, media_type: str) -> str:
        told = {"filename": path.name, "filetype": media_type}
        metadata = ",".join(
            f"{name} {base64.b64encode(value.encode('utf-8', 'replace')).decode()}"
            for name, value in told.items()
            if value
        )
        headers = {**_VERSION, "Upload-Length": str(length), "Upload-Metadata": metadata}
        with closing(self._caller.ask("POST", self.place, content=b"", headers=headers)) as answer:
            if "location" not in answer.headers:
                raise CallError("The server began an upload and did not say where it is.", Exit.UNREACHABLE)
            return urljoin(answer.url, answer.headers["location"])


class _Upload:
    """One file on its way."""

    def __init__(self, caller: Caller, path: Path, length: int, show: Show) -> None:
        self._caller = caller
        self._path = path
        self._length = length
        self._show = show

    def run(self, url: str) -> str:
        """Send all of it, from where the server is each time; give its URL.

        Raises:
            CallError: the server does not take it, or is away for long.
        """
        offset, pause, arrived_seconds = 0, _SHORTEST_PAUSE_SECONDS, time.monotonic()
        while offset < self._length:
            try:
                self._send(url, offset)
                now_at = self._offset(url)
            except (Refused, Unreachable) as error:
                now_at = self._offset_after(url, error, offset)
                if now_at <= offset and time.monotonic() - arrived_seconds > _PATIENCE_SECONDS:
                    raise
            if now_at > offset:
                offset, pause, arrived_seconds = now_at, _SHORTEST_PAUSE_SECONDS, time.monotonic()
            else:
                time.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
        return url

    def _send(self, url: str, offset: int) -> None:
        headers = {
            **_VERSION,
            "Upload-Offset": str(offset),
            "Content-Type": "application/offset+octet-stream",
            "Content-Length": str(self._length - offset),
        }
        body = self._pieces(offset)
        self._caller.ask("PATCH", url, content=body, headers=headers, unlimited=True).close()

    def _offset(self, url: str) -> int:
        answer: Answer = self._caller.ask("HEAD", url, headers=_VERSION)
        with closing(answer):
            told = str(answer.headers.get("upload-offset", ""))
        if not told.isdigit():
            raise CallError("The server does not say how much of the upload has arrived.", Exit.UNREACHABLE)
        return int(told)

    def _offset_after(self, url: str, error: Refused | Unreachable, before: int) -> int:
        """Give where the upload is after something went wrong; as before where that is not known yet.

        Raises:
            Refused: the server does not want it.
        """
        if isinstance(error, Refused) and error.status < 500 and error.status not in _MAY_PASS:
            raise error
        try:
            return self._offset(url)
        except Unreachable:
            return before
        except Refused as refused:
            if refused.status < 500 and refused.status not in _MAY_PASS:
                raise
            return before

    def _pieces(self, offset: int) -> Iterator[bytes]:
        with self._path.open("rb") as file:
            file.seek(offset)
            while offset < self._length and (piece := file.read(min(_PIECE_BYTES, self._length - offset))):
                yield piece
                offset += len(piece)
                self._show(offset)


@contextmanager
def _shown(name: str, length: int, *, quiet: bool) -> Iterator[Show]:
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns: tuple[Any, ...] = (
        TextColumn("uploading {task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(name, total=length)
        yield lambda arrived: progress.update(task, completed=arrived)
