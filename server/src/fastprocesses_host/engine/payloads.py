"""What a subscriber is sent: the status of the job, its results as one document, or why there are none."""

from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec
from fastprocesses_sdk.description import ProcessDescription
from msgspec import Struct

from fastprocesses_host.encodings import around_inline, inline_member, offered_outputs, raw_writer
from fastprocesses_host.ogc.exceptions import ProcessFailed, problem
from fastprocesses_host.ogc.jobs import Job, JobProblem, status_info
from fastprocesses_host.ogc.links import Urls
from fastprocesses_host.ogc.results import Part, output_link, plan_document
from fastprocesses_host.store.values import NoSuchValue, Values

_CHUNK_BYTES = 768 * 1024
"""A multiple of three: each is base64 by itself."""
_START_BYTES = 64
"""So much of a JSON document tells what it is."""


class Stored(Struct, frozen=True):
    """A large value in the value store, sent as it is or in base64, a piece at a time."""

    location: str
    length: int
    is_base64: bool = False

    @property
    def sent_bytes(self) -> int:
        """How long it is as it is sent."""
        return (self.length + 2) // 3 * 4 if self.is_base64 else self.length


class Payload:
    """A body that can be read again and again."""

    def __init__(self, pieces: Iterable[bytes | Stored], values: Values | None = None) -> None:
        self._pieces = list(pieces)
        self._values = values

    @property
    def length(self) -> int:
        """In bytes."""
        return sum(len(piece) if isinstance(piece, bytes) else piece.sent_bytes for piece in self._pieces)

    def __iter__(self) -> Iterator[bytes]:
        """Give the body, piece by piece.

        Raises:
            NoSuchValue: a value is gone.
        """
        for piece in self._pieces:
            if isinstance(piece, bytes):
                yield piece
            else:
                yield from self._chunks(piece)

    def _chunks(self, piece: Stored) -> Iterator[bytes]:
        left = piece.length
        with _store_of(self._values).open(piece.location) as file:
            while left > 0:
                chunk = _read(file.read, min(left, _CHUNK_BYTES))
                if not chunk:
                    raise NoSuchValue(piece.location)
                left -= len(chunk)
                yield b64encode(chunk) if piece.is_base64 else chunk


def status_payload(job: Job, urls: Urls) -> Payload:
    """Give the status of a job (statusInfo.yaml)."""
    return Payload([msgspec.json.encode(status_info(job, urls))])


def failure_payload(job: Job) -> Payload:
    """Give the exception that `/results` answers for a failed job (exception.yaml)."""
    exception = ProcessFailed(job.problem or JobProblem())
    return Payload([msgspec.json.encode(problem(exception, f"/jobs/{job.id}/results"))])


def results_payload(
    job: Job,
    small: Mapping[str, bytes],
    values: Values | None,
    description: ProcessDescription | None,
    urls: Urls,
    *,
    inline_bytes: int,
) -> Payload:
    """Give the results of a job as a document (results.yaml); where none were asked for, its status.

    Args:
        job: Successful.
        small: The outputs that lie in the store.
        values: Where the others lie.
        description: Of its process, as far as it is known here.
        urls: Where things are.
        inline_bytes: Larger values are linked to, unless it was asked otherwise.

    Raises:
        NoSuchValue: a value is gone.
    """
    if job.asked.outputs == {}:
        return status_payload(job, urls)
    offered = offered_outputs(job.outputs, description)
    described = description.outputs if description else ()
    plan = plan_document(job.asked, job.outputs, offered, described=described, inline_bytes=inline_bytes)
    written = _Writing(job=job, small=small, values=values, urls=urls)
    pieces: list[bytes | Stored] = []
    for part in plan.members:
        pieces.append((b"," if pieces else b"{") + msgspec.json.encode(part.output_id) + b":")
        if part.by_reference:
            pieces.append(written.reference(part, offered[part.output_id][0]))
        else:
            pieces += written.inline(part)
    pieces.append(b"}" if pieces else b"{}")
    return Payload(pieces, values)


class _Writing(Struct, frozen=True, kw_only=True):
    job: Job
    small: Mapping[str, bytes]
    values: Values | None
    urls: Urls

    def inline(self, part: Part) -> list[bytes | Stored]:
        """Write a value as it stands in a document; a large one is sent from where it lies."""
        value = self.job.outputs[part.output_id]
        if value.location:
            around = around_inline(value, self._bytes(part.output_id, _START_BYTES))
            if around is not None:
                stored = Stored(value.location, value.length, value.form == "binary")
                return [around[0], stored, around[1]]
        return [inline_member(value, self._bytes(part.output_id))]

    def reference(self, part: Part, media_type: str) -> bytes:
        """Write a link with the type and the size of what a GET without wishes gives."""
        link = output_link(self.job, part.output_id, self.urls, media_type)
        write = raw_writer(self.job.outputs[part.output_id], media_type)
        if write is not None:
            link["length"] = len(write(self._bytes(part.output_id)))
        return msgspec.json.encode(link)

    def _bytes(self, output_id: str, most: int | None = None) -> bytes:
        value = self.job.outputs[output_id]
        if value.location:
            with _store_of(self.values).open(value.location) as file:
                return file.read(value.length if most is None else most)
        if output_id not in self.small:
            raise NoSuchValue(output_id)
        return self.small[output_id][:most]


def _store_of(values: Values | None) -> Values:
    if values is None:
        raise NoSuchValue("in a value store that this worker does not have")
    return values


def _read(read: Callable[[int], bytes], count: int) -> bytes:
    """Read so many bytes, fewer only at the end: a store far away may give less at a time."""
    data = read(count)
    while data and len(data) < count and (more := read(count - len(data))):
        data += more
    return data
