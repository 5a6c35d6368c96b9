"""GET `/jobs/{id}/inputs`: what a job was given, where that is kept; an execute request that can be sent again."""

from asyncio import to_thread
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from fastprocesses_host.catalog import OfferedProcess
from fastprocesses_host.ogc.exceptions import ResultNotAvailable
from fastprocesses_host.ogc.job_inputs import (
    Elsewhere,
    KeptInput,
    Piece,
    inputs_document,
    inputs_links,
    shown_value,
)
from fastprocesses_host.ogc.jobs import Job
from fastprocesses_host.ogc.links import JSON
from fastprocesses_host.ogc.references import REFERENCED
from fastprocesses_host.store.records import StoredInput
from fastprocesses_host.store.values import NoSuchValue, Values
from fastprocesses_host.web.base_url import urls_of
from fastprocesses_host.web.pages import respond_page
from fastprocesses_host.web.render import contained, links_as_header
from fastprocesses_host.web.resource import Handler, resource

_SHOWN_BYTES: Final = 16 * 1024
"""Larger values are not on the page, which is for reading."""


async def inputs(request: Request) -> Response:
    """Answer the inputs of a job; large ones are streamed from where they lie.

    Raises:
        NoSuchJob: 404. InputsNotKept: 404, they went when the job ended, or will.
    """
    job, kept = await _kept(request)
    pieces = inputs_document(job, kept, urls_of(request))
    headers = {
        "Cache-Control": "private, no-cache",
        "Vary": "Accept",
        "Content-Type": JSON,
        **links_as_header(inputs_links(job, urls_of(request))),
    }
    return contained(await _respond(request, pieces, headers))


async def inputs_page(request: Request, _handler: Handler) -> Response:
    """Answer the page of a job's inputs; no value is read that is not shown.

    Raises:
        As `inputs`.
    """
    job, kept = await _kept(request)
    links = msgspec.to_builtins(inputs_links(job, urls_of(request)))
    document = {"inputs": [_shown(name, value) for name, value in kept.items()], "links": links}
    told = Response(None, 200, {"Content-Type": JSON, "Vary": "Accept", "Cache-Control": "private, no-cache"})
    return await respond_page(request, "inputs.html", "Inputs", document, told)


def _shown(name: str, kept: KeptInput) -> dict[str, Any]:
    told: dict[str, Any] = {"id": name}
    if kept.media_type != REFERENCED:
        told["mediaType"] = kept.media_type or kept.usual_media_type
    if (value := shown_value(kept, _SHOWN_BYTES)) is not None:
        told["value"] = msgspec.json.decode(value)
    return told


async def _kept(request: Request) -> tuple[Job, dict[str, KeptInput]]:
    host = request.app.state.host
    job, stored = await host.inputs(request.path_params["job_id"])
    process = host.catalog.processes.get(job.process_id)
    return job, {name: _described(name, value, process) for name, value in sorted(stored.items())}


def _described(name: str, stored: StoredInput, process: OfferedProcess | None) -> KeptInput:
    usual, occurs_often = "", False
    if process is not None and name in process.input_schemas:
        usual = process.input_schemas[name].formats[0].media_type
        occurs_often = process.description.inputs[name].max_occurs != 1
    return KeptInput(
        data=stored.data,
        media_type=stored.media_type,
        location=stored.location,
        usual_media_type=usual,
        occurs_often=occurs_often,
    )


async def _respond(request: Request, pieces: Sequence[Piece], headers: Mapping[str, str]) -> Response:
    elsewhere = [piece.location for piece in pieces if isinstance(piece, Elsewhere)]
    if not elsewhere:
        return Response(b"".join(piece for piece in pieces if isinstance(piece, bytes)), 200, headers)
    values: Values | None = request.app.state.host.values
    if values is None:
        raise ResultNotAvailable("The inputs lie in a value store that this host does not have.")
    try:  # before the status is sent, so that a value that is gone is still a problem
        lengths = {location: await to_thread(values.length, location) for location in elsewhere}
    except NoSuchValue:
        raise ResultNotAvailable("The inputs have expired.") from None
    total = sum(len(piece) if isinstance(piece, bytes) else lengths[piece.location] for piece in pieces)
    stream = _stream(values, pieces, lengths)
    return StreamingResponse(stream, 200, {**headers, "Content-Length": str(total)})


async def _stream(
    values: Values, pieces: Sequence[Piece], lengths: Mapping[str, int]
) -> AsyncIterator[bytes]:
    for piece in pieces:
        if isinstance(piece, bytes):
            yield piece
            continue
        async with aclosing(values.chunks(piece.location, 0, lengths[piece.location])) as chunks:
            async for chunk in chunks:
                yield chunk


ROUTES: Final = (resource("/jobs/{job_id}/inputs", get=inputs, page=inputs_page),)
CONFORMANCE: Final[tuple[str, ...]] = ()
