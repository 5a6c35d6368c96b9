"""Frames between a worker and its executor: a length, then msgpack, on a socketpair of their own.

Every frame is an array that starts with its name; later versions append fields, and a frame whose name is not
known is ignored by whoever gets it. Both sides say which versions they speak: the executor in its `Greeting`,
the worker by closing the socket where the ranges do not meet.
"""

import socket
import struct
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import msgspec
from msgspec import Struct

from fastprocesses_sdk.configured import GivenSettings
from fastprocesses_sdk.encoded import EncodedInput, EncodedOutput

OLDEST_VERSION = 1
NEWEST_VERSION = 1

MAX_FRAME_BYTES = 256 * 1024 * 1024
"""A longer frame is a broken peer."""

_LENGTH = struct.Struct("<I")
_RECEIVE_BYTES = 256 * 1024


class ProtocolError(Exception):
    """The peer sent bytes that are no frames of this protocol."""


class Frame(Struct, frozen=True, array_like=True, tag_field="frame"):
    """What every frame shares: the job and the claim that it is about, empty where it is about none."""


class Greeting(Frame, frozen=True, tag="greeting"):
    """The executor is ready for jobs."""

    oldest_version: int
    newest_version: int
    pid: int
    sdk_version: str


class Input(EncodedInput, frozen=True, array_like=True):
    """One input value, which fits the schema of the input."""

    @property
    def is_checked(self) -> bool:
        """True: whoever took it has looked."""
        return True


class Configure(Frame, frozen=True, tag="configure"):
    """What the operator set for the plugin of this source; sent before its first job."""

    source: str
    settings: GivenSettings


class Execute(Frame, frozen=True, tag="execute"):
    """Run one process once. `outputs` None asks for all of them, `formats` are media types by output."""

    job: str
    claim: str
    source: str
    distribution: str
    version: str
    process: str
    inputs: dict[str, Input]
    outputs: list[str] | None
    formats: dict[str, str]
    workdir: str
    inline_bytes: int


class Fetch(Frame, frozen=True, tag="fetch"):
    """Have a plugin fetch what a URL of one of its schemes leads to. It is answered as an Execute is.

    A Result has the output `FETCHED`, a file in the workdir; its media type is the one that the plugin told.
    """

    job: str
    claim: str
    source: str
    distribution: str
    version: str
    scheme: str
    url: str
    workdir: str


Order = Execute | Fetch
"""What has an executor run code of a plugin."""

FETCHED = "fetched"
"""The output of a Fetch."""


class Cancel(Frame, frozen=True, tag="cancel"):
    """Stop this job: its code sees KeyboardInterrupt (async: its task is cancelled); afterwards the executor ends."""

    job: str
    claim: str


class Started(Frame, frozen=True, tag="started"):
    """The plugin is imported and its code runs from here on."""

    job: str
    claim: str


class Progress(Frame, frozen=True, tag="progress"):
    """How far the job is, in percent, and what it does; None: as before."""

    job: str
    claim: str
    percent: int | None
    message: str | None


class Log(Frame, frozen=True, tag="log"):
    """One line of the job's log."""

    job: str
    claim: str
    level: str
    text: str
    fields: dict[str, Any] = {}


Output = EncodedOutput
"""One output value: its bytes in `data`, or in the file `path` inside the workdir."""


class Result(Frame, frozen=True, tag="result"):
    """The process returned."""

    job: str
    claim: str
    outputs: dict[str, Output]


class Problem(Frame, frozen=True, tag="problem"):
    """The process did not return.

    `declared`: it raised ProcessError, whose members the caller is told. `failed`: anything else was raised, which
    only the operator sees. `cancelled`: it gave way to a Cancel. `plugin`: its plugin could not be loaded or
    started, or its settings cannot be used; the executor is of no more use.
    """

    job: str
    claim: str
    kind: Literal["declared", "failed", "cancelled", "plugin"]
    detail: str
    title: str = ""
    status: int = 500
    type: str = ""
    input: str = ""
    traceback: str = ""


AnyFrame = Greeting | Configure | Execute | Fetch | Cancel | Started | Progress | Log | Result | Problem

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[AnyFrame] = msgspec.msgpack.Decoder(AnyFrame)


def plain(text: str) -> str:
    """Give a text that can be sent: lone surrogates, which no encoding has, become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def encode_frame(frame: Frame) -> bytes:
    """Give the bytes of one frame, length first."""
    body = _encoder.encode(frame)
    return _LENGTH.pack(len(body)) + body


class FrameReader:
    """Bytes in, frames out; keeps what does not make a whole frame yet."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterable[AnyFrame]:
        """Give the frames that are complete with `data`; unknown ones are left out.

        Raises:
            ProtocolError: the bytes are no frames; the connection is of no more use.
        """
        if not self._buffer and len(data) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(data)
            if len(data) == _LENGTH.size + length:  # one frame at a time is the usual
                frame = _decode(data[_LENGTH.size :])
                return () if frame is None else (frame,)
        return self._cut(data)

    def _cut(self, data: bytes) -> Iterator[AnyFrame]:
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > MAX_FRAME_BYTES:
                raise ProtocolError(
                    f"A frame of {length} bytes was announced; the longest allowed has {MAX_FRAME_BYTES}."
                )
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                return
            body = bytes(memoryview(self._buffer)[_LENGTH.size : end])
            del self._buffer[:end]
            frame = _decode(body)
            if frame is not None:
                yield frame


def _decode(body: bytes) -> AnyFrame | None:
    try:
        return _decoder.decode(body)
    except msgspec.ValidationError:
        return None
    except (msgspec.DecodeError, RecursionError) as error:
        raise ProtocolError(f"A frame is not msgpack: {error}") from None


def receive_some(connection: socket.socket) -> bytes:
    """Give the bytes that are there, waiting for the first; empty when the peer closed or is gone."""
    try:
        return connection.recv(_RECEIVE_BYTES)
    except (ConnectionError, OSError):
        return b""
