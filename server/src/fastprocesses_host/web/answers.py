"""Results as answers: values streamed, documents and multiparts put together as planned."""

from collections.abc import AsyncIterator, Mapping, Sequence
from secrets import token_hex

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from fastprocesses_host.encodings import content_type, inline_member, raw_writer
from fastprocesses_host.ogc.jobs import Job
from fastprocesses_host.ogc.links import JSON, link_header
from fastprocesses_host.ogc.results import (
    RESULTS_PROFILE,
    Answer,
    Document,
    Empty,
    Multipart,
    Part,
    Raw,
    output_header_link,
    output_link,
)
from fastprocesses_host.web.base_url import urls_of


class _Value(Struct, frozen=True):
    """A stored value that goes out as it is, chunk by chunk."""

    output_id: str


_Piece = bytes | _Value


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
    if told := [*applied, *(plan.applied if isinstance(plan, Document) else ())]:
        headers["Preference-Applied"] = ", ".join(told)
    match plan:
        case Empty():
            return _empty(request, job, plan, offered, headers)
        case Raw():
            return await raw(request, job, plan, headers)
        case Multipart():
            return await _multipart(request, job, plan, headers)
        case Document():
            return await _document(request, job, plan, offered, headers)


def _empty(request: Request, job: Job, plan: Empty, offered: Offered, headers: dict[str, str]) -> Response:
    """Answer 204, with a link to each output by reference (/req/core/process-execute-sync-raw-ref)."""
    urls = urls_of(request)
    links = [output_header_link(job, name, urls, offered[name][0]) for name in plan.references]
    if links:
        headers["Link"] = link_header(links)
    return Response(status_code=204, headers=headers)


async def raw(request: Request, job: Job, plan: Raw, headers: Mapping[str, str]) -> Response:
    """Answer one value in its media type (/req/core/process-execute-sync-raw-value-one, job-result-op)."""
    piece = await _raw_piece(request, job, plan.output_id, plan.media_type)
    media_type = content_type(job.outputs[plan.output_id], plan.media_type)
    return await _respond(request, job, [piece], {**headers, "Content-Type": media_type})


async def _multipart(request: Request, job: Job, plan: Multipart, headers: Mapping[str, str]) -> Response:
    """Answer a part for each value, its output id as Content-ID (RFC 2387, S1.3)."""
    boundary = token_hex(16)
    pieces: list[_Piece] = []
    for part in plan.parts:
        pieces.append(_part_head(request, job, part, boundary))
        if not part.by_reference:
            pieces.append(await _raw_piece(request, job, part.output_id, part.media_type))
        pieces.append(b"\r\n")
    pieces.append(f"--{boundary}--\r\n".encode())
    start = _part_type(job, plan.parts[0]) if plan.parts else "text/plain"
    media_type = f'{plan.media_type}; boundary={boundary}; type="{start}"'
    return await _respond(request, job, pieces, {**headers, "Content-Type": media_type})


def _part_head(request: Request, job: Job, part: Part, boundary: str) -> bytes:
    fields = [f"--{boundary}", f"Content-Type: {_part_type(job, part)}", f"Content-ID: {part.output_id}"]
    if part.by_reference:
        fields.append(f"Content-Location: {urls_of(request).output(job.id, part.output_id)}")
    return "\r\n".join([*fields, "", ""]).encode()


def _part_type(job: Job, part: Part) -> str:
    return content_type(job.outputs[part.output_id], part.media_type)


async def _document(
    request: Request, job: Job, plan: Document, offered: Offered, headers: dict[str, str]
) -> Response:
    """Answer a results document (/req/core/process-execute-sync-document, results.yaml)."""
    if plan.profile:
        headers["Link"] = link_header([RESULTS_PROFILE])
    members = []
    for part in plan.members:
        make = _reference if part.by_reference else _inline
        member = await make(request, job, part.output_id, offered)
        members.append(msgspec.json.encode(part.output_id) + b":" + member)
    return Response(b"{" + b",".join(members) + b"}", 200, headers, JSON)


async def _inline(request: Request, job: Job, output_id: str, _offered: Offered) -> bytes:
    data = await request.app.state.host.output_bytes(job, output_id)
    return inline_member(job.outputs[output_id], data)


async def _reference(request: Request, job: Job, output_id: str, offered: Offered) -> bytes:
    """Write a link with the type and the size of what a GET without wishes gives."""
    media_type = offered[output_id][0]
    link = output_link(job, output_id, urls_of(request), media_type)
    piece = await _raw_piece(request, job, output_id, media_type)
    return msgspec.json.encode(link if isinstance(piece, _Value) else {**link, "length": len(piece)})


async def _raw_piece(request: Request, job: Job, output_id: str, media_type: str) -> _Piece:
    """Give a large value as it is, to be streamed; a small one or one that is rewritten as its bytes."""
    value = job.outputs[output_id]
    write = raw_writer(value, media_type)
    if write is None and value.location:
        return _Value(output_id)
    data: bytes = await request.app.state.host.output_bytes(job, output_id)
    return write(data) if write else data


async def _respond(
    request: Request, job: Job, pieces: Sequence[_Piece], headers: Mapping[str, str]
) -> Response:
    """Send the pieces one after the other, their length told before."""
    whole = [piece for piece in pieces if isinstance(piece, bytes)]
    if len(whole) == len(pieces):
        return Response(b"".join(whole), 200, headers)
    streamed = sum(job.outputs[piece.output_id].length for piece in pieces if isinstance(piece, _Value))
    length = sum(map(len, whole)) + streamed
    stream = _stream(request, job, pieces)
    # Started before the status is sent, so that a value that is gone is still a problem; HEAD reads nothing.
    start = b"" if request.method == "HEAD" else await anext(stream)
    return StreamingResponse(_resumed(start, stream), 200, {**headers, "Content-Length": str(length)})


async def _resumed(start: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield start
    async for chunk in rest:
        yield chunk


async def _stream(request: Request, job: Job, pieces: Sequence[_Piece]) -> AsyncIterator[bytes]:
    for piece in pieces:
        if isinstance(piece, bytes):
            yield piece
        else:
            async for chunk in request.app.state.host.output(job, piece.output_id):
                yield chunk
