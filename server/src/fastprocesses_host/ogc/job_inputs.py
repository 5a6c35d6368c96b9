"""The inputs of a job, as an execute request that can be sent again."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from fastprocesses_sdk.description import Link
from msgspec import UNSET, Raw, Struct

from fastprocesses_host.ogc.jobs import AskedOutput, AskedResults, Job
from fastprocesses_host.ogc.links import JSON, Urls
from fastprocesses_host.ogc.references import REFERENCED, GivenValue, decode_referenced

_encode = msgspec.json.Encoder().encode


class KeptInput(Struct, frozen=True, kw_only=True):
    """One input of a job, as far as it is in the store."""

    data: bytes = b""
    """A JSON document; empty where it lies in the value store."""
    media_type: str = ""
    location: str = ""
    usual_media_type: str = ""
    """What a plain value of this input is taken for; empty: it is not known any more, or JSON."""
    occurs_often: bool = False


class Elsewhere(Struct, frozen=True):
    """A part of the document that lies in the value store."""

    location: str


Piece = bytes | Elsewhere


def inputs_document(job: Job, inputs: dict[str, KeptInput], urls: Urls) -> list[Piece]:
    """Give the pieces of which the document is made, one after the other.

    Args:
        job: The job.
        inputs: Of it.
        urls: Where things are.
    """
    pieces: list[Piece] = [b'{"inputs":{']
    for number, (name, kept) in enumerate(inputs.items()):
        pieces += [b"," if number else b"", _encode(name), b":", *_pieces_of(kept)]
    pieces.append(b"}")
    for name, member in _asked_members(job.asked):
        pieces += [b",", _encode(name), b":", _encode(member)]
    links = [_encode(link) for link in inputs_links(job, urls)]
    pieces.append(b',"links":[%s]}' % b",".join(links))
    return _joined(pieces)


def inputs_links(job: Job, urls: Urls) -> list[Link]:
    """Link from the inputs of a job to what belongs to them."""
    return [
        *urls.representations(urls.inputs(job.id), "This document"),
        Link(href=urls.job(job.id), rel="up", type=JSON, title="Status of the job"),
        *urls.ogc("execute", urls.execution(job.process_id), "Execute the process with them again"),
    ]


def shown_value(kept: KeptInput, most_bytes: int) -> bytes | None:
    """Give the document of an input for a page: None where it is larger, or would have to be read first."""
    if kept.location or len(kept.data) > most_bytes:
        return None
    return _as_given(kept) if kept.media_type == REFERENCED else kept.data


def _pieces_of(kept: KeptInput) -> Iterator[Piece]:
    """Write one input as a request would have it: a qualified value where a plain one would mean something else."""
    if kept.media_type == REFERENCED:
        yield _as_given(kept)
        return
    stored: Piece = Elsewhere(kept.location) if kept.location else kept.data
    if kept.media_type in ("", kept.usual_media_type):
        yield stored
        return
    if not kept.occurs_often:
        yield from (b'{"value":', stored, b',"mediaType":', _encode(kept.media_type), b"}")
    elif isinstance(stored, bytes):
        items = msgspec.json.decode(stored, type=list[Raw])
        yield _encode([{"value": item, "mediaType": kept.media_type} for item in items])
    else:
        yield stored


def _as_given(kept: KeptInput) -> bytes:
    referenced = decode_referenced(kept.data)
    values = [_given(value, kept) for value in referenced.values]
    return _encode(values if referenced.is_list else values[0])


def _given(value: GivenValue, kept: KeptInput) -> Any:
    if value.location:  # its URL is the right to it, and not told
        told = {"href": "urn:fastprocesses:upload", "length": value.length}
        return {**told, "type": value.sent} if value.sent else told
    if value.href:
        return {"href": value.href, "type": value.media_type} if value.media_type else {"href": value.href}
    if value.value is UNSET or value.media_type in ("", kept.usual_media_type):
        return value.value
    return {"value": value.value, "mediaType": value.media_type}


def _asked_members(asked: AskedResults) -> Iterator[tuple[str, Any]]:
    if asked.outputs is not None:
        yield "outputs", {name: _asked_output(output) for name, output in asked.outputs.items()}
    if asked.response:
        yield "response", asked.response


def _asked_output(output: AskedOutput) -> dict[str, Any]:
    told = {"mediaType": output.media_type, "encoding": output.encoding, "schema": output.schema}
    chosen = {name: value for name, value in told.items() if value}
    mode = {"transmissionMode": output.transmission_mode} if output.transmission_mode else {}
    return ({"format": chosen} if chosen else {}) | mode


def _joined(pieces: Sequence[Piece]) -> list[Piece]:
    """Put what is at hand together."""
    joined: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, bytes) and joined and isinstance(joined[-1], bytes):
            joined[-1] += piece
        else:
            joined.append(piece)
    return joined
