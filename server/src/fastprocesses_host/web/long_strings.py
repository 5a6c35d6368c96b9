"""Request bodies whose long strings never lie in memory: each is written to a file of the value store as it arrives."""

import contextlib
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from fastprocesses_host.schemas.validators import is_of_base64_alphabet
from fastprocesses_host.store.rooms import Room
from fastprocesses_host.store.values import Values

_TOUCH_SECONDS: Final = 600.0
_QUOTE: Final = b'"'
_ESCAPE: Final = b"\\"


class _LongString(Struct, frozen=True):
    document: bytes
    """The JSON string that stands in its place; nobody outside can guess it."""
    file: Path


class BodyInParts:
    """A JSON body as it arrives: short text in memory, and long strings of base64 in files of their own.

    Whatever the body is, valid or not, `whole` gives it back byte by byte. A string is set aside only where it is
    certainly one in base64, in one line and without escapes; all others stay in the text.

    Args:
        values: Where the files are made.
        longest_bytes: Longer strings are set aside, unless they arrive in one piece.
        piece_bytes: How much of a string is gathered before it is written.
        room: Room for what is written; None: there is always enough.
    """

    def __init__(
        self,
        values: Values,
        *,
        longest_bytes: int,
        piece_bytes: int = 1024 * 1024,
        room: Room | None = None,
    ) -> None:
        self._values = values
        self._room = room
        self._piece_bytes = piece_bytes
        self._longest_bytes = longest_bytes
        self._parts: list[bytes | _LongString] = []
        self._opening_part: int | None = None
        """Which part has the last quote, where what follows it may become a long string."""
        self._unquoted_bytes = 0
        self._open: _OpenString | None = None
        self._touched_seconds = time.monotonic()

    def feed(self, chunk: bytes) -> bool:
        """Take what arrived; tell whether `work` is to be called, in a thread, before more is taken."""
        if not chunk:
            return False
        self._touch()
        if self._open is not None:
            return self._open.feed(chunk) >= self._piece_bytes
        chunk = bytes(chunk)
        quote = chunk.rfind(_QUOTE)
        if quote >= 0:
            self._opening_part, self._unquoted_bytes = len(self._parts), 0
        self._parts.append(chunk)
        self._unquoted_bytes += len(chunk) - 1 - quote
        return self._opening_part is not None and self._unquoted_bytes > self._longest_bytes

    async def make_room(self) -> None:
        """Make sure that there is room for what `work` is about to write.

        Raises:
            BodyTooLarge, TooManyRequests, InsufficientStorage: there is not.
        """
        if self._room is not None:
            await self._room.grow(self._unquoted_bytes if self._open is None else self._open.waiting_bytes)

    def work(self) -> None:
        """Write what waits to be written.

        Raises:
            OSError: the disk is full.
        """
        if self._open is None:
            self._set_aside()
            return
        rest = self._open.write()
        if rest is not None:
            self._close_string(rest)

    @property
    def has_work(self) -> bool:
        """Whether there is something left to write, so that `end` belongs into a thread."""
        return self._open is not None

    def end(self) -> None:
        """Take note that all of the body has arrived."""
        while self._open is not None:
            self.work()
            if self._open is not None:  # the body ended within the string
                self._close_string(b"")
        if not self.files:
            self._parts = [self.text]  # which is then joined no more

    @property
    def text(self) -> bytes:
        """The body, with short strings in the places of those that were set aside."""
        return b"".join(part if isinstance(part, bytes) else part.document for part in self._parts)

    @property
    def files(self) -> Mapping[bytes, Path]:
        """The files of the strings that were set aside, quotes included, by what stands for each in the text."""
        return {part.document: part.file for part in self._long_strings()}

    def whole(self) -> bytes:
        """Read the files back into the body."""
        return b"".join(part if isinstance(part, bytes) else part.file.read_bytes() for part in self._parts)

    def discard(self) -> None:
        """Delete the files."""
        if self._open is not None:
            self._open.discard()
        for long_string in self._long_strings():
            long_string.file.unlink(missing_ok=True)

    def _long_strings(self) -> Iterator[_LongString]:
        return (part for part in self._parts if isinstance(part, _LongString))

    def _set_aside(self) -> None:
        """Begin a file with all that follows the last quote, if that can be the begin of a string in base64."""
        assert self._opening_part is not None
        opening_part, self._opening_part = self._opening_part, None
        before, begin = self._split(opening_part)
        following = [part for part in self._parts[opening_part + 1 :] if isinstance(part, bytes)]
        is_escape = before.endswith(_ESCAPE) or (not before and self._ends_with_escape(opening_part))
        if is_escape or not all(map(is_of_base64_alphabet, (begin, *following))):
            return
        self._open = _OpenString(self._values)
        self._parts[opening_part:] = [before] if before else []
        for piece in (begin, *following):
            self._open.feed(piece)
        self._open.write()

    def _split(self, place: int) -> tuple[bytes, bytes]:
        part = self._parts[place]
        assert isinstance(part, bytes)
        before, _, begin = part.rpartition(_QUOTE)
        return before, begin

    def _ends_with_escape(self, place: int) -> bool:
        last = self._parts[place - 1] if place else b""
        return isinstance(last, bytes) and last.endswith(_ESCAPE)

    def _close_string(self, rest: bytes) -> None:
        """Put the open string in its place, or back into the text where it is no base64, and go on behind it."""
        assert self._open is not None
        self._parts += self._open.close()
        self._open = None
        if self.feed(rest):
            self.work()

    def _touch(self) -> None:
        """Keep the files of a body that arrives slowly from being taken for leftovers of a crash."""
        if time.monotonic() - self._touched_seconds > _TOUCH_SECONDS:
            self._touched_seconds = time.monotonic()
            for long_string in self._long_strings():
                with contextlib.suppress(FileNotFoundError):
                    os.utime(long_string.file)


class _OpenString:
    """A string in a file, as it arrives, its quotes included."""

    def __init__(self, values: Values) -> None:
        self.path, self._file = values.create()
        self._waiting: list[bytes] = []
        self.waiting_bytes = 0
        self._length = 0
        self._padding = 0
        self._last = b""
        self._has_ended = False
        self._file.write(_QUOTE)

    def feed(self, chunk: bytes) -> int:
        """Take what arrived; give how much waits to be written."""
        self._waiting.append(chunk)
        self.waiting_bytes += len(chunk)
        return self.waiting_bytes

    def write(self) -> bytes | None:
        """Write what waits; give what follows once the string has ended, or is found to be none in base64."""
        waiting = b"".join(self._waiting)
        self._waiting, self.waiting_bytes = [], 0
        content, quote, rest = waiting.partition(_QUOTE)
        if not is_of_base64_alphabet(content):
            return waiting
        self._file.write(content)
        self._length += len(content)
        self._padding += content.count(b"=")
        self._last = (self._last + content)[-2:]
        if not quote:
            return None
        self._file.write(_QUOTE)
        self._has_ended = True
        return rest

    def close(self) -> list[bytes | _LongString]:
        """End the file; give what stands for the string: its document, or where it is no base64 itself."""
        self._file.close()
        if self._is_base64:
            return [_LongString(b'"%s"' % secrets.token_urlsafe(24).encode(), self.path)]
        content = self.path.read_bytes()
        self.path.unlink(missing_ok=True)
        return [content]

    def discard(self) -> None:
        """Delete the file."""
        with contextlib.suppress(OSError):  # of a full disk, told before
            self._file.close()
        self.path.unlink(missing_ok=True)

    @property
    def _is_base64(self) -> bool:
        """Whether it is whole, and what `is_certainly_base64` says yes to."""
        at_its_end = len(self._last) - len(self._last.rstrip(b"="))
        return self._has_ended and self._padding == at_its_end and (self._length - self._padding) % 4 != 1
