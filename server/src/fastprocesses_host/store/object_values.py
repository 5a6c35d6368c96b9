"""The value store as an object store: S3, Google Cloud Storage, Azure, and what speaks like one of them."""

import asyncio
import contextlib
import io
import os
import secrets
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from datetime import timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, cast

import obstore
from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, S3Store, from_url

from fastprocesses_host.store import multipart
from fastprocesses_host.store.values import (
    NAME,
    ORPHAN_SECONDS,
    FileValues,
    NoSuchValue,
    TransferStopped,
    ValuesAway,
    never,
    new_name,
    plain_file,
)

if TYPE_CHECKING:
    from obstore.store import RetryConfig

T = TypeVar("T")
SignedStore = AzureStore | GCSStore | S3Store

PART_BYTES = 5 * 1024 * 1024
"""The smallest part that S3 takes."""
_MOST_PARTS = 10_000
_MOST_COPIED_BYTES = 5 * 1024**3
"""S3 copies no more at once."""
_AT_ONCE = 2
"""So many parts are under way at once: enough to keep a line busy, and little memory."""
_PIECE_BYTES = 256 * 1024
"""Files are read in such pieces, which are small beside the parts that they are gathered in."""
_READ_BYTES = 1024 * 1024
_CHUNK_BYTES = 512 * 1024
_CHUNKS_AHEAD = 3
_LOOK_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 5.0
_CONNECT_SECONDS = 5.0
_QUICK_SECONDS = 5.0
_LONGEST = timedelta(minutes=15)
"""Of one request that is answered, however slowly: S3 may take minutes to put the parts of a large value together."""
_OPTIONS_OF_CLIENT = frozenset(
    (
        "allow_http",
        "allow_invalid_certificates",
        "proxy_url",
        "proxy_ca_certificate",
        "proxy_excludes",
        "root_certificate",
        "user_agent",
    )
)
_CERTIFICATES = ("root_certificate", "proxy_ca_certificate")
_FAILED = (BaseError, FileNotFoundError)
"""What requests fail with; the second for a bucket that is not there, too."""


class ObjectValues:
    """Values as objects below one prefix of one bucket, which nobody else may use.

    A location is the scheme of the store's URL, a colon, and a name below the prefix; nothing else is ever asked for.

    Args:
        url: `s3://bucket/prefix`, `gs://bucket/prefix`, or `az://container/prefix`.
        options: Of obstore, for the store and its HTTP client; those not given are read from the environment.
        spool: A folder for what is on its way to the object store.
        timeout_seconds: How long one request may take; values travel in several.
        patience_seconds: How long a transfer is tried again while the object store does not take or give anything.

    Raises:
        ValueError: The URL or the options cannot be used; told in a sentence.
    """

    def __init__(
        self,
        url: str,
        options: Mapping[str, str],
        spool: Path,
        *,
        timeout_seconds: float,
        patience_seconds: float = 0.0,
    ) -> None:
        self.scheme = url.partition(":")[0]
        self._timeout_seconds = timeout_seconds
        self._patience_seconds = patience_seconds
        self._options = {name.lower(): text for name, text in options.items()}
        quick_seconds = min(timeout_seconds, _QUICK_SECONDS)
        total = {"timeout": timedelta(seconds=timeout_seconds)}
        self._quick = self._store(url, total, quick_seconds, most_retries=2)
        silence = {"timeout": _LONGEST, "read_timeout": timedelta(seconds=timeout_seconds)}
        self._patient = self._store(
            url, silence, max(patience_seconds, quick_seconds), most_retries=1000 if patience_seconds else 2
        )
        self._spool_folder = spool
        self._spool: FileValues | None = None
        self._spool_swept_seconds = 0.0
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the folder of what is on its way."""
        if self._spool is not None:
            self._spool.close()

    def put(self, owner: str, source: bytes | Path, *, media_type: str = "") -> str:
        """Keep bytes, or the content of a file; return the location.

        Raises:
            ValuesAway: The object store does not take it.
            OSError: It is no plain file.
        """
        return self._keep(owner, source, media_type, threading.Event())

    def move(
        self, owner: str, file: Path, *, media_type: str = "", stopped: Callable[[], bool] = never
    ) -> str:
        """Keep a file, and delete it where it was; return the location.

        Raises:
            ValuesAway: The object store does not take it.
            OSError: It is no plain file.
            TransferStopped: As `stopped` said.
        """
        location = _while_wanted(lambda given_up: self._keep(owner, file, media_type, given_up), stopped)
        with contextlib.suppress(OSError):
            file.unlink()
        return location

    def create(self) -> tuple[Path, BinaryIO]:
        """Open a new file on this machine for what may become a value; whoever asks for it deletes it."""
        with self._lock:
            spool = self._spool = self._spool or FileValues(self._spool_folder)
            if time.monotonic() - self._spool_swept_seconds > ORPHAN_SECONDS or not self._spool_swept_seconds:
                self._spool_swept_seconds = time.monotonic()
                for _ in spool.orphans():  # deletes what a crash of this machine left
                    pass
        return spool.create()

    def link(self, owner: str, file: Path, *, media_type: str = "") -> str:
        """Keep the content of a file from `create`; return the location.

        Raises:
            ValuesAway: The object store does not take it.
            OSError: It is not there any more.
        """
        return self.put(owner, file, media_type=media_type)

    def join(self, owner: str, locations: Sequence[str]) -> str:
        """Keep values one behind the other as one, which passes through here; return the location.

        Raises:
            NoSuchValue: One is not there.
            ValuesAway: The object store does not give or take it.
        """
        name = new_name(owner)
        part_bytes = max(PART_BYTES, -(-sum(map(self.length, locations)) // _MOST_PARTS))
        with _asking(name):
            writer = obstore.open_writer(
                self._patient, name, buffer_size=part_bytes, max_concurrency=_AT_ONCE
            )
        for location in locations:
            with self.open(location) as file:
                while piece := file.read(_READ_BYTES):
                    with _asking(name):
                        writer.write(piece)
        with _asking(name):  # what is not closed is no object, and its parts are aborted in time
            writer.close()
        return f"{self.scheme}:{name}"

    def copy(self, owner: str, location: str) -> str:
        """Have the object store copy a value for somebody else; return the location of theirs.

        Raises:
            NoSuchValue: It is not there.
            ValuesAway: The object store does not copy it.
        """
        if isinstance(self._quick, S3Store) and self.length(location) > _MOST_COPIED_BYTES:
            return self.join(owner, [location])
        name = new_name(owner)
        with _asking(location):
            obstore.copy(self._patient, self._name(location), name)
        return f"{self.scheme}:{name}"

    def open(self, location: str) -> BinaryIO:
        """Open a value for reading and seeking, which asks for as much as is read.

        Raises:
            NoSuchValue: It is not there.
            ValuesAway: The object store does not answer, now or when it is read.
        """
        reader = _Reader(self, self._name(location), self.length(location))
        return cast("BinaryIO", io.BufferedReader(reader, _READ_BYTES))

    def length(self, location: str) -> int:
        """Give how many bytes a value has.

        Raises:
            NoSuchValue: It is not there.
            ValuesAway: The object store does not answer.
        """
        name = self._name(location)
        with _asking(location):
            return obstore.head(self._quick, name)["size"]

    async def chunks(self, location: str, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        """Give the bytes of a value from `start` until before `stop`; the next pieces come while one is used.

        Raises:
            NoSuchValue: It is not there.
            ValuesAway: The object store does not answer.
        """
        name = self._name(location)
        pieces = iter(range(start, stop, _CHUNK_BYTES))

        def ask(begin: int) -> asyncio.Task[bytes]:
            return asyncio.create_task(self._read(name, begin, min(begin + _CHUNK_BYTES, stop)))

        coming = deque(map(ask, islice(pieces, _CHUNKS_AHEAD)))
        try:
            while coming:
                chunk = await coming[0]
                coming.popleft()
                coming.extend(map(ask, islice(pieces, 1)))
                yield chunk
        finally:
            for task in coming:
                task.cancel()
            await asyncio.gather(*coming, return_exceptions=True)

    def local(self, location: str, folder: Path, *, stopped: Callable[[], bool] = never) -> Path:
        """Bring a value into a new file in `folder`.

        Raises:
            NoSuchValue: It is not there.
            ValuesAway: The object store does not answer.
            TransferStopped: As `stopped` said.
            OSError: The disk is full.
        """
        name = self._name(location)
        path = folder / f".input-{secrets.token_hex(8)}"
        try:
            _while_wanted(lambda given_up: self._fetch(name, path, given_up), stopped)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path

    def delete(self, location: str) -> None:
        """Delete a value; one that is not there is no error.

        Raises:
            ValuesAway: The object store does not answer.
        """
        name = self._name(location)
        with contextlib.suppress(NoSuchValue), _asking(location):
            obstore.delete(self._quick, name)

    def orphans(self, *, now_seconds: float | None = None) -> Iterator[tuple[str, str]]:
        """Give owner and location of values older than an hour, and abort uploads that are as old.

        Raises:
            ValuesAway: The object store does not answer.
        """
        oldest_seconds = (time.time() if now_seconds is None else now_seconds) - ORPHAN_SECONDS
        with _asking("the list of values"):
            for found in obstore.list(self._quick, chunk_size=1000):
                for each in found:
                    if each["last_modified"].timestamp() < oldest_seconds and NAME.fullmatch(each["path"]):
                        yield each["path"][3:39], f"{self.scheme}:{each['path']}"
        self.abort_uploads(oldest_seconds)

    def abort_uploads(self, oldest_seconds: float) -> None:
        """Abort uploads of ours that began before then; a crash left them. Of S3 alone: Azure does it by itself.

        Raises:
            ValuesAway: The object store does not answer.
        """
        if isinstance(self._quick, S3Store):
            signed = obstore.sign(self._quick, "GET", "-", timedelta(seconds=60))
            multipart.abort_uploads(signed, self._options, oldest_seconds, self._timeout_seconds)

    def signed_url(self, location: str, *, seconds: float) -> str | None:
        """Give a URL with which anybody may read a value for so long.

        Raises:
            ValuesAway: The credentials are fetched from somewhere, and that does not answer.
        """
        name = self._name(location)
        with _asking(location):
            return obstore.sign(self._quick, "GET", name, timedelta(seconds=seconds))

    def _store(
        self, url: str, timeouts: Mapping[str, timedelta], retry_seconds: float, *, most_retries: int
    ) -> SignedStore:
        client = {name: text for name, text in self._options.items() if name in _OPTIONS_OF_CLIENT}
        config = {name: text for name, text in self._options.items() if name not in _OPTIONS_OF_CLIENT}
        for name in _CERTIFICATES:
            if name in client:
                client[name] = Path(client[name]).read_text("ascii")
        if any(text.startswith("http://") for name, text in config.items() if "endpoint" in name):
            client.setdefault("allow_http", "true")
        connect = {"connect_timeout": timedelta(seconds=min(self._timeout_seconds, _CONNECT_SECONDS))}
        retries: RetryConfig = {
            "max_retries": most_retries,
            "retry_timeout": timedelta(seconds=retry_seconds),
            "backoff": {"max_backoff": timedelta(seconds=_LONGEST_PAUSE_SECONDS)},
        }
        options: dict[str, Any] = {"config": config, "client_options": {**client, **timeouts, **connect}}
        try:
            return cast("SignedStore", from_url(url, retry_config=retries, **options))
        except (BaseError, ValueError, TypeError) as error:
            raise ValueError(_reason(error)) from None

    def _name(self, location: str) -> str:
        scheme, _, name = location.partition(":")
        if scheme != self.scheme or not NAME.fullmatch(name):
            raise NoSuchValue(location)
        return name

    def _keep(self, owner: str, source: bytes | Path, media_type: str, given_up: threading.Event) -> str:
        name = new_name(owner)
        transfer = _Transfer(self._patience_seconds, given_up)
        transfer.until_it_succeeds(lambda: self._upload(name, source, media_type, transfer))
        if given_up.is_set():  # too late: nobody will ever know its name
            obstore.delete(self._quick, name)
        return f"{self.scheme}:{name}"

    def _upload(self, name: str, source: bytes | Path, media_type: str, transfer: "_Transfer") -> None:
        attributes = {"Content-Type": media_type or "application/octet-stream"}
        with contextlib.ExitStack() as stack:
            file = (
                io.BytesIO(source) if isinstance(source, bytes) else stack.enter_context(plain_file(source))
            )
            length = len(source) if isinstance(source, bytes) else os.fstat(file.fileno()).st_size
            part_bytes = max(PART_BYTES, -(-length // _MOST_PARTS))
            pieces = file.read() if length <= part_bytes else transfer.pieces(file)
            try:
                obstore.put(
                    self._patient,
                    name,
                    pieces,
                    attributes=attributes,
                    use_multipart=not isinstance(pieces, bytes),
                    chunk_size=part_bytes,
                    max_concurrency=_AT_ONCE,
                )
            except _FAILED as error:
                if not self._has(name, length):  # a reply that is lost does no harm
                    raise ValuesAway(_reason(error)) from error

    def _has(self, name: str, length: int) -> bool:
        try:
            return self.length(f"{self.scheme}:{name}") == length
        except (NoSuchValue, ValuesAway):
            return False

    def _fetch(self, name: str, path: Path, given_up: threading.Event) -> None:
        transfer = _Transfer(self._patience_seconds, given_up)
        with path.open("xb") as target:
            length = transfer.until_it_succeeds(lambda: self.length(f"{self.scheme}:{name}"))
            while (start := target.tell()) < length:
                spans = _spans(start, length)
                target.writelines(transfer.until_it_succeeds(partial(self._ranges, name, spans)))
                transfer.moved(target.tell())

    def _ranges(self, name: str, spans: list[tuple[int, int]]) -> list[Any]:
        starts, ends = [start for start, _ in spans], [end for _, end in spans]
        with _asking(name):
            found = obstore.get_ranges(self._patient, name, starts=starts, ends=ends, coalesce=0)
        if any(len(data) != end - start for data, (start, end) in zip(found, spans, strict=True)):
            raise ValuesAway("The object store gave less of a value than there is.")
        return list(found)

    def read(self, name: str, start: int, stop: int) -> Any:
        """Read a part of a value, at once.

        Raises:
            NoSuchValue, ValuesAway.
        """
        with _asking(name):
            return obstore.get_range(self._quick, name, start=start, end=stop)

    async def _read(self, name: str, start: int, stop: int) -> bytes:
        with _asking(name):
            async with asyncio.timeout(
                2 * self._timeout_seconds
            ):  # a bound of ours above those of the client
                data = bytes(await obstore.get_range_async(self._quick, name, start=start, end=stop))
        if len(data) != stop - start:
            raise ValuesAway("The object store gave less of a value than there is.")
        return data


def _spans(start: int, length: int) -> list[tuple[int, int]]:
    """Give what is read at once from a place on."""
    starts = range(start, min(start + 2 * _AT_ONCE * _READ_BYTES, length), _READ_BYTES)
    return [(begin, min(begin + _READ_BYTES, length)) for begin in starts]


class _Transfer:
    """A value on its way: tried again until for `patience_seconds` nothing of it moved that had not moved before."""

    def __init__(self, patience_seconds: float, given_up: threading.Event) -> None:
        self._patience_seconds = patience_seconds
        self._given_up = given_up
        self._moved_bytes = 0
        self._moved_seconds = time.monotonic()

    def moved(self, so_far_bytes: int) -> None:
        """Take note of how much of it got through.

        Raises:
            TransferStopped: It is not wanted any more.
        """
        if so_far_bytes > self._moved_bytes:
            self._moved_bytes, self._moved_seconds = so_far_bytes, time.monotonic()
        if self._given_up.is_set():
            raise TransferStopped

    def pieces(self, file: BinaryIO) -> Iterator[bytes]:
        """Read a file; what is asked for next waits until a part before has got through."""
        so_far_bytes = 0
        while piece := file.read(_PIECE_BYTES):
            self.moved(so_far_bytes)
            so_far_bytes += len(piece)
            yield piece

    def until_it_succeeds(self, attempt: Callable[[], T]) -> T:
        """Try, and try again after pauses that grow.

        Raises:
            ValuesAway: As the last attempt.
            TransferStopped: It is not wanted any more.
        """
        pause_seconds = 0.2
        while True:
            try:
                return attempt()
            except ValuesAway:
                if time.monotonic() + pause_seconds >= self._moved_seconds + self._patience_seconds:
                    raise
            if self._given_up.wait(pause_seconds):
                raise TransferStopped
            pause_seconds = min(2 * pause_seconds, _LONGEST_PAUSE_SECONDS)


class _Reader(io.RawIOBase):
    """A value as a file that asks the object store for what is read."""

    def __init__(self, values: ObjectValues, name: str, length: int) -> None:
        super().__init__()
        self._values, self._value_name, self._length = values, name, length
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._length}[whence]
        if base + offset < 0:
            raise ValueError("A value has no bytes before its first.")
        self._place = base + offset
        return self._place

    def readall(self) -> bytes:
        pieces = []
        while piece := self.read(_READ_BYTES):
            pieces.append(piece)
        return b"".join(pieces)

    def readinto(self, buffer: Any, /) -> int:
        stop = min(self._place + len(buffer), self._length)
        if stop <= self._place:
            return 0
        data = self._values.read(self._value_name, self._place, stop)
        buffer[: len(data)] = bytes(data)
        self._place += len(data)
        return len(data)


@contextlib.contextmanager
def _asking(location: str) -> Iterator[None]:
    """Say what went wrong with a request about a value."""
    try:
        yield
    except FileNotFoundError as error:
        raise NoSuchValue(location) from error
    except (BaseError, TimeoutError) as error:
        raise ValuesAway(_reason(error)) from error


def _reason(error: BaseException) -> str:
    """Give the first line of an error's text: the others are for those who wrote the library."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:500]


def _while_wanted(work: Callable[[threading.Event], T], stopped: Callable[[], bool]) -> T:
    """Work in a thread until it is done, or is not wanted any more; then it ends by itself, a little later.

    Raises:
        TransferStopped: It is not wanted any more.
    """
    given_up = threading.Event()
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(work(given_up))
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run, name="transfer", daemon=True).start()
    while not _has_ended(done):
        if stopped():
            given_up.set()
            raise TransferStopped
    return done.result()


def _has_ended(work: Future[Any]) -> bool:
    with contextlib.suppress(TimeoutError):
        work.exception(timeout=_LOOK_SECONDS)
    return work.done()
