"""A job followed as it happens, by the events of a server that has them, else by asking again and again."""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from typing import Any, Final

import httpx2
import msgspec
from msgspec import Struct

from fastprocesses_host.cli.caller import FINAL, Caller, JobPlace

EVENT_STREAM: Final = "text/event-stream"

_QUIET_SECONDS: Final = 20.0
"""A stream without a sign of life for so long is given up; servers give one more often."""
_LONGEST_EVENT_BYTES: Final = 4 * 1024 * 1024
_MOST_DATA_LINES: Final = 1000
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
_SUCCESS: Final = 200
_SERVER_ERROR: Final = 500


class News(Struct, frozen=True):
    """What is known of a job now, and the line of its log that was just told, if it was one."""

    info: dict[str, Any]
    line: dict[str, Any] | None = None


class Message(Struct, frozen=True):
    """One server-sent event."""

    name: str
    data: bytes


class TooLong(ValueError):
    """A line, or an event, of a stream does not end."""


def follow(caller: Caller, place: JobPlace) -> Iterator[News]:
    """Give what becomes of a job until its state is final.

    Where its status links to a stream of events, that is read: each line of the log is given once, also where the
    connection is lost in between. Else, and where the stream is of no use, the status is asked for again and again.

    Raises:
        CallError: the server is lost, or knows the job no more.
    """
    feed = Feed(caller)
    for info in caller.watch(place):
        yield News(info)
        address = feed.address_in(info)
        if not address or info["status"] in FINAL:
            continue
        for news in feed.news(address, info):
            yield news
            if news.info["status"] in FINAL:
                return


class Feed:
    """The stream of events of one job, over as many connections as it takes."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._is_usable = True
        self._was_useful = False
        self._last_id = ""

    def address_in(self, info: Mapping[str, Any]) -> str:
        """Give the address of the stream that a status links to; empty where there is none that is of use."""
        links = info.get("links", ()) if self._is_usable else ()
        return next((link["href"] for link in links if _is_stream(link.get("type", ""))), "")

    def news(self, address: str, info: dict[str, Any]) -> Iterator[News]:
        """Give what is told on one connection; whoever wants more asks for the status, and comes back."""
        try:
            with closing(self._caller.listen(address, self._last_id, quiet_seconds=_QUIET_SECONDS)) as answer:
                if answer.status_code != _SUCCESS or not _is_stream(answer.headers.get("content-type", "")):
                    self._is_usable = self._was_useful and answer.status_code >= _SERVER_ERROR
                    return
                for message in self._messages(answer):
                    if (news := self._understood(message, info, address)) is not None:
                        self._was_useful, info = True, news.info
                        yield news
        except (httpx2.TransportError, httpx2.DecodingError):
            self._is_usable = self._was_useful
            return
        except (httpx2.InvalidURL, TooLong):
            self._is_usable = False
            return
        self._is_usable = self._was_useful

    def _messages(self, answer: httpx2.Response) -> Iterator[Message]:
        name = ""
        data: list[bytes] = []
        for line in lines_of(answer.iter_bytes()):
            field, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if not line:
                if data:
                    yield Message(name or "message", b"\n".join(data))
                name, data = "", []
            elif field == b"event":
                name = value.decode("utf-8", "replace")
            elif field == b"data":
                data.append(value)
                if sum(map(len, data)) > _LONGEST_EVENT_BYTES or len(data) > _MOST_DATA_LINES:
                    raise TooLong
            elif field == b"id" and value.isascii() and value.decode("ascii").isprintable():
                self._last_id = value.decode("ascii")

    def _understood(self, message: Message, info: dict[str, Any], address: str) -> News | None:
        try:
            told = msgspec.json.decode(message.data)
        except msgspec.DecodeError:
            return None
        if not isinstance(told, dict):
            return None
        match message.name:
            case "status":
                return News(self._caller.as_info(told, address))
            case "progress" | "message":
                known = {name: told[name] for name in ("progress", "message") if name in told}
                return News({**info, **known})
            case "log":
                return News(info, told)
        return None


def lines_of(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Give the lines of a stream, each when its end has come; a carriage return ends one too (HTML, section 9.2.5).

    Raises:
        TooLong: one does not end.
    """
    parts: list[bytes] = []
    length, mark, held = 0, _MARK, b""
    for piece in pieces:
        data = held + piece
        held = b"\r" if data.endswith(b"\r") else b""  # the other half of the end of the line may come
        first, *others = _LINE_END.split(data[:-1] if held else data)
        parts.append(first)
        length += len(first)
        for line in others:
            yield b"".join(parts).removeprefix(mark)
            parts, length, mark = [line], len(line), b""
        if length > _LONGEST_EVENT_BYTES:
            raise TooLong


_MARK: Final = b"\xef\xbb\xbf"


def _is_stream(media_type: str) -> bool:
    return media_type.partition(";")[0].strip().lower() == EVENT_STREAM
