"""Content codings: gzip and zstd, of answers and of request bodies (RFC 9110, sections 8.4 and 12.5.3; RFC 9659)."""

import re
import zlib
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, Literal, Protocol

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from fastprocesses_host.ogc.exceptions import (
    BodyTooLarge,
    InvalidParameterValue,
    NotAcceptable,
    UnsupportedMediaType,
)
from fastprocesses_host.ogc.negotiation import parse_media_type
from fastprocesses_host.web.head import Head, head_of
from fastprocesses_host.web.render import KeptResponse
from fastprocesses_host.web.zstandard import (
    DecompressionParameter,
    ZstdCompressor,
    ZstdDecompressor,
    ZstdError,
)

Coding = Literal["zstd", "gzip"]

CODINGS: Final[tuple[Coding, ...]] = ("zstd", "gzip")
"""What we write and read, the one we like better first."""

SMALLEST_BYTES: Final = 4096
"""Shorter answers are sent as they are: they fit into a few packets, and compressing costs more than it saves."""

_GZIP_LEVEL: Final = 4
_ZSTD_LEVEL: Final = 3
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS
_LARGEST_ZSTD_WINDOW_LOG: Final = 23
"""8 MiB: no sender may use more (RFC 9659, section 3)."""
_PIECE_BYTES: Final = 1024 * 1024
_MOST_MEMBERS: Final = 100
"""So many gzip members or zstd frames may stand in one body; clients send one."""
_QUALITY: Final = re.compile(r";\s*q\s*=\s*([0-9]*\.?[0-9]+)", re.IGNORECASE)
_COMPRESSIBLE: Final = frozenset(
    {"json", "xml", "javascript", "geo+json", "yaml", "x-ndjson", "cwl", "wasm", "toml", "sql"}
)
_BODILESS: Final = frozenset({204, 206, 304})


class Choice:
    """What an Accept-Encoding header wants."""

    def __init__(self, header: str) -> None:
        weights = {name: weight for name, weight in map(_weighted, header.lower().split(",")) if name}
        gzip = weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0)))
        zstd = weights.get("zstd", 0.0)
        identity = weights.get("identity", 0.0 if weights.get("*") == 0 else None)
        best = max(gzip, zstd)
        self.coding: Coding | None = None
        """How the answer is compressed; None: it is not."""
        if best > 0 and (identity is None or identity <= best):
            self.coding = "zstd" if zstd == best else "gzip"
        self.must = identity == 0.0
        """The answer must not go out as it is."""


@lru_cache(maxsize=256)
def choose_coding(accept_encoding: str) -> Choice:
    """Read an Accept-Encoding header; never raises."""
    return Choice(accept_encoding)


def choice_of(request: Request) -> Choice:
    """Give what a request wants.

    Raises:
        NotAcceptable: 406, it accepts neither a coding of ours nor none.
    """
    return head_of(request).once(_choice)


def _choice(head: Head) -> Choice:
    choice = choose_coding(",".join(head.values(b"accept-encoding")))
    if choice.must and choice.coding is None:
        raise NotAcceptable(["gzip", "zstd", "identity"], what="Content with the codings you accept")
    return choice


def is_long(response: Response) -> bool:
    """Tell whether it may be worth while to compress an answer."""
    return isinstance(response, StreamingResponse) or len(response.body) >= SMALLEST_BYTES


async def encode_answer(request: Request, response: Response, choice: Choice) -> Response:
    """Compress an answer when the client takes it so and it gets shorter by it.

    Not what is compressed already, parts of a value (206), and what is no text. The work is done in a thread, streams
    stay streams. A strong entity tag becomes a weak one: the bytes are others.
    """
    headers = response.headers
    if response.status_code in _BODILESS or "content-encoding" in headers or "content-range" in headers:
        return response
    if not choice.must and not _is_compressible(headers.get("content-type", "")):
        return response
    headers.add_vary_header("Accept-Encoding")
    if choice.coding is None or "range" in request.headers:
        return response
    limiter = request.app.state.parsing
    if isinstance(response, StreamingResponse):
        response.body_iterator = _encoded_stream(response.body_iterator, choice.coding, limiter)
        del headers["Content-Length"]
    else:
        cached = response.encoded if isinstance(response, KeptResponse) else {}
        if choice.coding not in cached:
            cached[choice.coding] = await to_thread.run_sync(
                encode, bytes(response.body), choice.coding, limiter=limiter
            )
        if len(cached[choice.coding]) >= len(response.body) and not choice.must:
            return response
        response.body = cached[choice.coding]
        headers["Content-Length"] = str(len(response.body))
    headers["Content-Encoding"] = choice.coding
    del headers["Accept-Ranges"]
    if headers.get("etag", "W/").startswith('"'):
        headers["ETag"] = f"W/{headers['etag']}"
    return response


def encode(data: bytes, coding: Coding) -> bytes:
    """Compress a whole body."""
    compressor = _compressor(coding)
    return compressor.compress(data) + compressor.flush()


def decode(data: bytes, coding: Coding, *, max_bytes: int) -> bytes:
    """Decompress a whole body, piece by piece, and stop as soon as it is too large.

    Raises:
        BodyTooLarge: 413, it is longer than `max_bytes` once decompressed.
        InvalidParameterValue: 400, it is not what its Content-Encoding says, or not complete.
    """
    pieces, length = [], 0
    try:
        for piece in _DECODERS[coding](data):
            length += len(piece)
            if length > max_bytes:
                raise BodyTooLarge(
                    f"The body is larger than the {max_bytes} bytes this server takes, once it is decompressed."
                )
            pieces.append(piece)
    except (zlib.error, ZstdError, EOFError):
        raise InvalidParameterValue(
            f"The body is not {coding}, or not all of it, though its Content-Encoding says so."
        ) from None
    return b"".join(pieces)


def coding_of_body(headers: Sequence[str]) -> Coding | None:
    """Read the Content-Encoding headers of a request; None: the body is not compressed.

    Raises:
        UnsupportedMediaType: 415, it is compressed in another way, or twice (RFC 9110, section 15.5.16: the answer
            names what is taken).
    """
    named = [token.strip().lower() for value in headers for token in value.split(",")]
    codings = ["gzip" if name == "x-gzip" else name for name in named if name not in ("", "identity")]
    if not codings:
        return None
    known = next((coding for coding in CODINGS if [coding] == codings), None)
    if known is None:
        raise UnsupportedMediaType(
            f"The body has the Content-Encoding {', '.join(codings)[:100]!r}; send it with gzip, zstd or none.",
            headers={"Accept-Encoding": "gzip, zstd, identity"},
        )
    return known


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


def _compressor(coding: Coding) -> _Compressor:
    if coding == "zstd":
        return ZstdCompressor(level=_ZSTD_LEVEL)
    return zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)


async def _encoded_stream(
    chunks: AsyncIterable[Any], coding: Coding, limiter: CapacityLimiter
) -> AsyncIterator[bytes]:
    """Compress a stream; what came in goes out before more is asked for."""
    compressor = _compressor(coding)
    async for chunk in chunks:
        if encoded := await to_thread.run_sync(_encode_chunk, compressor, bytes(chunk), limiter=limiter):
            yield encoded
    yield compressor.flush()


def _encode_chunk(compressor: Any, chunk: bytes) -> bytes:
    flush = ZstdCompressor.FLUSH_BLOCK if isinstance(compressor, ZstdCompressor) else zlib.Z_SYNC_FLUSH
    encoded: bytes = compressor.compress(chunk) + compressor.flush(flush)
    return encoded


def _gunzipped(data: bytes) -> Iterator[bytes]:
    """Decompress one gzip member after the other (RFC 1952, section 2.2)."""
    for _ in range(_MOST_MEMBERS):
        if not data:
            return
        member = zlib.decompressobj(_GZIP_WINDOW)
        while not member.eof:
            piece = member.decompress(data, _PIECE_BYTES)
            data = member.unconsumed_tail
            if not piece and not data and not member.eof:
                raise EOFError
            yield piece
        data = member.unused_data
    if data:
        raise EOFError


def _unzstandardised(data: bytes) -> Iterator[bytes]:
    """Decompress one frame after the other (RFC 8878, section 3)."""
    for _ in range(_MOST_MEMBERS):
        if not data:
            return
        frame = ZstdDecompressor(
            options={int(DecompressionParameter.window_log_max): _LARGEST_ZSTD_WINDOW_LOG}
        )
        yield frame.decompress(data, _PIECE_BYTES)
        while not frame.eof:
            if frame.needs_input:
                raise EOFError
            yield frame.decompress(b"", _PIECE_BYTES)
        data = frame.unused_data
    if data:
        raise EOFError


_DECODERS: Final[Mapping[Coding, Callable[[bytes], Iterator[bytes]]]] = {
    "gzip": _gunzipped,
    "zstd": _unzstandardised,
}


def _weighted(text: str) -> tuple[str, float]:
    """Read one member of Accept-Encoding; a weight that is none counts as 1."""
    name, _, parameters = text.partition(";")
    match = _QUALITY.search(f";{parameters}")
    return name.strip(), min(1.0, float(match[1])) if match else 1.0


def _is_compressible(content_type: str) -> bool:
    parsed = parse_media_type(content_type)
    if parsed is None:
        return False
    if parsed.type == "text" or parsed.subtype in _COMPRESSIBLE:
        return True
    return parsed.subtype.endswith(("+json", "+xml", "+yaml"))
