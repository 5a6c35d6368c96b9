"""Results as answers: values streamed, documents and multiparts put together as planned."""

from base64 import b64encode
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import lru_cache
from os import SEEK_END
from secrets import token_hex
from string import punctuation
from typing import Any, Final
from urllib.parse import quote

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from fastprocesses_host.encodings import OneValue, around_inline, content_type, inline_member, raw_writer
from fastprocesses_host.ogc.jobs import Job
from fastprocesses_host.ogc.links import JSON, link_header
from fastprocesses_host.ogc.negotiation import RESULTS, profile_asked
from fastprocesses_host.ogc.results import (
    RESULTS_PROFILE,
    ZIP,
    Answer,
    Document,
    Empty,
    Multipart,
    Part,
    Raw,
    output_header_link,
    output_link,
)
from fastprocesses_host.web.archives import Member, archive, sent
from fastprocesses_host.web.base_url import urls_of
from fastprocesses_host.web.head import Head, head_of
from fastprocesses_host.web.query import preferences_in
from fastprocesses_host.web.ranges import ByteRange, ranges_of
from fastprocesses_host.web.render import Written, is_known, not_modified, strong_etag


class _Value(Struct, frozen=True):
    """A stored value, or a part of it, that goes out as it is, chunk by chunk."""

    output_id: str
    start: int
    stop: int
    is_base64: bool = False
    """It goes out in base64."""


_Piece = bytes | _Value

_PROFILE_HEADER: Final = link_header([RESULTS_PROFILE])
_PRINTABLE: Final = " " + punctuation
_START_BYTES: Final = 64
"""So much of a JSON document tells what it is."""


Offered = Mapping[str, Sequence[str]]
"""The media types of each output; a link to it leads to the first."""


async def answer(
    request: Request, job: Job, plan: Answer, offered: Offered, applied: Sequence[str] = ()
) -> Response:
    """Answer with the results of a job.

    Args:
        request: For them.
        job: Successful.
        plan: What goes where.
        offered: The media types in which each output can be given.
        applied: What Preference-Applied says besides what the plan says.
    """
    headers: dict[str, str] = {}
    etag = ""
    if request.method != "POST" and _links(request) != "signed":  # such are others each time, and end
        etag = _etag_of_read(request, job.id, type(plan).__name__, plan, offered, urls_of(request).base)
        if is_known(request, etag):
            return not_modified(etag)
    if told := [*applied, *(_applied(request, plan) if isinstance(plan, Document) else ())]:
        headers["Preference-Applied"] = ", ".join(told)
    match plan:
        case Empty():
            return await _empty(request, job, plan, offered, headers)
        case Raw():
            return await raw(request, job, plan, headers)
        case Multipart():
            return await _multipart(request, job, plan, headers | _tagged(etag))
        case Document():
            return await _document(request, job, plan, offered, headers | _tagged(etag))


def _applied(request: Request, plan: Document) -> list[str]:
    if plan.profile and head_of(request).once(_prefers_profile):
        return [*plan.applied, f"profile={RESULTS}"]
    return plan.applied


def _prefers_profile(head: Head) -> bool:
    return profile_asked(RESULTS, preferences=preferences_in(head))


async def _empty(
    request: Request, job: Job, plan: Empty, offered: Offered, headers: dict[str, str]
) -> Response:
    """Answer 204, with a link to each output by reference (/req/core/process-execute-sync-raw-ref)."""
    links = []
    for name in plan.references:
        link = output_header_link(job, name, urls_of(request), offered[name][0])
        url = await _signed_link(request, job, name, offered[name][0])
        links.append(replace(link, href=url) if url else link)
    if links:
        headers["Link"] = link_header(links)
    return Response(status_code=204, headers=headers)


async def raw(request: Request, job: Job, plan: Raw, headers: Mapping[str, str]) -> Response:
    """Answer one value in its media type (/req/core/process-execute-sync-raw-value-one, job-result-op)."""
    etag = _etag_of_read(request, job.id, plan.output_id, plan.media_type)
    if is_known(request, etag):
        return not_modified(etag)
    if request.method == "GET" and _links(request) != "proxied":
        url = await _signed_url(request, job, plan.output_id, plan.media_type)
        if url:
            return Response(None, 303, {**headers, "Location": url})
    piece = await _raw_piece(request, job, plan.output_id, plan.media_type)
    media_type = content_type(job.outputs[plan.output_id], plan.media_type)
    return await _ranged(request, job, piece, media_type, etag, headers)


async def item(
    request: Request, job: Job, plan: Raw, n: int, one: OneValue, headers: Mapping[str, str]
) -> Response:
    """Answer one of the values of an output (version 2.0, /req/core/job-result-op-Nth)."""
    etag = _etag_of_read(request, job.id, plan.output_id, n, plan.media_type)
    if is_known(request, etag):
        return not_modified(etag)
    write = raw_writer(one.value, plan.media_type)
    data = write(one.data) if write else one.data
    return await _ranged(request, job, data, content_type(one.value, plan.media_type), etag, headers)


def _etag_of_read(request: Request, *parts: Any) -> str:
    """Tell a representation of results from every other: results never change. Empty where nothing is read."""
    return strong_etag(*parts) if request.method in ("GET", "HEAD") else ""


def _links(request: Request) -> str:
    links: str = request.app.state.settings.result_links
    return links


async def _signed_link(request: Request, job: Job, output_id: str, media_type: str) -> str | None:
    """Give what a link to an output leads to where that is no address of ours."""
    return await _signed_url(request, job, output_id, media_type) if _links(request) == "signed" else None


async def _signed_url(request: Request, job: Job, output_id: str, media_type: str) -> str | None:
    """Give a URL of the object store for an output that lies there as it is to be given."""
    value = job.outputs[output_id]
    if not value.location or raw_writer(value, media_type) is not None:
        return None
    url: str | None = await request.app.state.host.signed_url(job, output_id)
    return url


def _tagged(etag: str) -> dict[str, str]:
    return {"ETag": etag} if etag else {}


async def _ranged(
    request: Request, job: Job, piece: _Piece, media_type: str, etag: str, headers: Mapping[str, str]
) -> Response:
    """Send a value, or the parts of it that are asked for (RFC 9110, section 14)."""
    told = {**headers, **_tagged(etag), "Content-Type": media_type}
    if not etag:
        return await _respond(request, job, [piece], told)
    length = _length(piece)
    told["Accept-Ranges"] = "bytes"
    ranges = ranges_of(request, length, etag)
    if not ranges:
        return await _respond(request, job, [piece], told)
    if len(ranges) == 1:
        told["Content-Range"] = ranges[0].content_range(length)
        return await _respond(request, job, [_part(piece, ranges[0])], told, status=206)
    boundary = token_hex(16)
    pieces: list[_Piece] = []
    for found in ranges:
        fields = (f"Content-Type: {media_type}", f"Content-Range: {found.content_range(length)}")
        pieces += ["\r\n".join([f"--{boundary}", *fields, "", ""]).encode(), _part(piece, found), b"\r\n"]
    pieces.append(f"--{boundary}--\r\n".encode())
    told["Content-Type"] = f"multipart/byteranges; boundary={boundary}"
    return await _respond(request, job, pieces, told, status=206)


def _length(piece: _Piece) -> int:
    if isinstance(piece, bytes):
        return len(piece)
    length = piece.stop - piece.start
    return (length + 2) // 3 * 4 if piece.is_base64 else length


def _part(piece: _Piece, found: ByteRange) -> _Piece:
    if isinstance(piece, bytes):
        return piece[found.start : found.stop]
    return _Value(piece.output_id, piece.start + found.start, piece.start + found.stop)


async def _multipart(request: Request, job: Job, plan: Multipart, headers: Mapping[str, str]) -> Response:
    """Answer a part for each value, its output id as Content-ID (RFC 2387, S1.3), or a file in an archive."""
    if plan.media_type == ZIP:
        return await _zip(request, job, plan, headers)
    boundary = strong_etag("boundary", job.id, plan).strip('"')
    pieces: list[_Piece] = []
    for part in plan.parts:
        pieces.append(await _part_head(request, job, part, boundary))
        if not part.by_reference:
            pieces.append(await _raw_piece(request, job, part.output_id, part.media_type))
        pieces.append(b"\r\n")
    pieces.append(f"--{boundary}--\r\n".encode())
    start = _part_type(job, plan.parts[0]) if plan.parts else "text/plain"
    media_type = f'{plan.media_type}; boundary={boundary}; type="{start}"'
    return await _respond(request, job, pieces, {**headers, "Content-Type": media_type})


async def _zip(request: Request, job: Job, plan: Multipart, headers: Mapping[str, str]) -> Response:
    told = {**headers, "Content-Type": ZIP, "Content-Disposition": f'attachment; filename="{job.id}.zip"'}
    if request.method == "HEAD":
        return StreamingResponse(_stream(request, job, []), 200, told)
    members = [
        Member(part.output_id, part.media_type, _whole(request, job, part.output_id, part.media_type))
        for part in plan.parts
    ]
    file = await archive(job, members, request.app.state.parsing)
    length = file.seek(0, SEEK_END)
    file.seek(0)
    return StreamingResponse(sent(file), 200, {**told, "Content-Length": str(length)})


async def _whole(request: Request, job: Job, output_id: str, media_type: str) -> AsyncIterator[bytes]:
    piece = await _raw_piece(request, job, output_id, media_type)
    async for chunk in _stream(request, job, [piece]):
        yield chunk


async def _part_head(request: Request, job: Job, part: Part, boundary: str) -> bytes:
    fields = [
        f"--{boundary}",
        f"Content-Type: {_part_type(job, part)}",
        f"Content-ID: {_content_id(part.output_id)}",
    ]
    if part.by_reference:
        signed = await _signed_link(request, job, part.output_id, part.media_type)
        fields.append(f"Content-Location: {signed or urls_of(request).output(job.id, part.output_id)}")
    return "\r\n".join([*fields, "", ""]).encode()


def _content_id(output_id: str) -> str:
    """Give the id itself (S1.3), as far as a header can hold it."""
    return quote(output_id, safe=_PRINTABLE)


def _part_type(job: Job, part: Part) -> str:
    return content_type(job.outputs[part.output_id], part.media_type)


async def _document(
    request: Request, job: Job, plan: Document, offered: Offered, headers: dict[str, str]
) -> Response:
    """Answer a results document (/req/core/process-execute-sync-document, results.yaml)."""
    if plan.profile:
        headers["Link"] = _PROFILE_HEADER
    if (small := _small_document(job, plan)) is not None:
        return Written(small, 200, _written(tuple(headers.items())))
    pieces: list[_Piece] = []
    for part in plan.members:
        pieces.append((b"," if pieces else b"{") + msgspec.json.encode(part.output_id) + b":")
        if part.by_reference:
            pieces.append(await _reference(request, job, part.output_id, offered))
        else:
            pieces += await _inline(request, job, part.output_id)
    pieces.append(b"}" if pieces else b"{}")
    return await _respond(request, job, pieces, {**headers, "Content-Type": JSON})


@lru_cache(maxsize=128)
def _written(headers: tuple[tuple[str, str], ...]) -> list[tuple[bytes, bytes]]:
    """Give headers as they go out; few answers differ in them."""
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def _small_document(job: Job, plan: Document) -> bytes | None:
    """Write a document whose values all came with the job; None: some are elsewhere, or linked to."""
    outputs, values, members = job.outputs, job.values, []
    for part in plan.members:
        output_id = part.output_id
        if part.by_reference or output_id not in values:
            return None
        members.append(_member_name(output_id) + inline_member(outputs[output_id], values[output_id]))
    return b"{" + b",".join(members) + b"}"


@lru_cache(maxsize=1024)
def _member_name(output_id: str) -> bytes:
    return msgspec.json.encode(output_id) + b":"


async def _inline(request: Request, job: Job, output_id: str) -> list[_Piece]:
    """Give a value as it stands in a document; a large one is streamed."""
    host, value = request.app.state.host, job.outputs[output_id]
    if value.location:
        start = b"".join([chunk async for chunk in host.output(job, output_id, stop=_START_BYTES)])
        around = around_inline(value, start)
        if around is not None:
            stored = _Value(output_id, 0, value.length, is_base64=value.form == "binary")
            return [around[0], stored, around[1]]
    return [inline_member(value, await host.output_bytes(job, output_id))]


async def _reference(request: Request, job: Job, output_id: str, offered: Offered) -> bytes:
    """Write a link with the type and the size of what a GET without wishes gives."""
    media_type = offered[output_id][0]
    link = output_link(job, output_id, urls_of(request), media_type)
    if url := await _signed_link(request, job, output_id, media_type):
        link = {**link, "href": url}
    if raw_writer(job.outputs[output_id], media_type) is None:
        return msgspec.json.encode(link)
    return msgspec.json.encode(
        {**link, "length": _length(await _raw_piece(request, job, output_id, media_type))}
    )


async def _raw_piece(request: Request, job: Job, output_id: str, media_type: str) -> _Piece:
    """Give a large value as it is, to be streamed; a small one or one that is rewritten as its bytes."""
    value = job.outputs[output_id]
    write = raw_writer(value, media_type)
    if write is None and value.location:
        return _Value(output_id, 0, value.length)
    data: bytes = await request.app.state.host.output_bytes(job, output_id)
    return write(data) if write else data


async def _respond(
    request: Request, job: Job, pieces: Sequence[_Piece], headers: Mapping[str, str], *, status: int = 200
) -> Response:
    """Send the pieces one after the other, their length told before."""
    whole = [piece for piece in pieces if isinstance(piece, bytes)]
    if len(whole) == len(pieces):
        return Response(b"".join(whole), status, headers)
    length = sum(map(_length, pieces))
    stream = _stream(request, job, pieces)
    # Started before the status is sent, so that a value that is gone is still a problem; HEAD reads nothing.
    start = b"" if request.method == "HEAD" else await anext(stream, b"")
    sent = _resumed(start, stream) if request.method == "HEAD" else _delivered(request, job, start, stream)
    return StreamingResponse(sent, status, {**headers, "Content-Length": str(length)})


async def _resumed(start: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield start
    async for chunk in rest:
        yield chunk


async def _delivered(
    request: Request, job: Job, start: bytes, rest: AsyncIterator[bytes]
) -> AsyncIterator[bytes]:
    """Send all of it; then values that nobody else will ask for are of no more use."""
    async for chunk in _resumed(start, rest):
        yield chunk
    request.app.state.host.forget_later(job)


async def _stream(request: Request, job: Job, pieces: Sequence[_Piece]) -> AsyncIterator[bytes]:
    for piece in pieces:
        if isinstance(piece, bytes):
            yield piece
        else:
            parts = request.app.state.host.output(job, piece.output_id, start=piece.start, stop=piece.stop)
            async for chunk in _in_base64(parts) if piece.is_base64 else parts:
                yield chunk


async def _in_base64(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    left = b""
    async for chunk in chunks:
        data = left + chunk
        whole = len(data) - len(data) % 3
        left = data[whole:]
        yield b64encode(data[:whole])
    yield b64encode(left)
