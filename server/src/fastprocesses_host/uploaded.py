"""Inputs that name uploads of this server: found in its own store, never asked for over HTTP."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from fastprocesses_host.catalog import InputSchema, OfferedProcess
from fastprocesses_host.fetched import formats_of_content
from fastprocesses_host.fitting import Rejected
from fastprocesses_host.inputs import CheckedInput, raise_for
from fastprocesses_host.ogc.exceptions import NoSuchUpload, UploadGone
from fastprocesses_host.ogc.references import GivenValue, Referenced, encode_referenced
from fastprocesses_host.schemas.faults import Fault
from fastprocesses_host.uploads import Received, Uploads

_UPLOAD: Final = re.compile(
    r"https?://[^/?#]+(?:/[^?#]*)?/uploads/([A-Za-z0-9_-]{1,100})/?(?:[?#].*)?", re.ASCII
)


async def with_uploads(
    uploads: Uploads, process: OfferedProcess, inputs: Mapping[str, CheckedInput], *, base: str
) -> Mapping[str, CheckedInput]:
    """Put what was uploaded here in the place of the URLs that name it.

    Whose host or path a URL has does not matter, since it is the id that nobody can guess: the service may be reached
    by several. What is no upload of ours stays a reference to another server.

    Args:
        uploads: Of this service.
        process: Whose inputs they are.
        inputs: As they were checked so far.
        base: Where the caller sees the service: what lies there is ours, whether we have it or not.

    Raises:
        InvalidParameterValue: an upload is not complete, is gone, or is of a media type that the input does not take.
    """
    found = dict(inputs)
    faults: list[Fault] = []
    for name, value in inputs.items():
        if value.referenced is None:
            continue
        resolving = _Resolving(uploads, process.input_schemas[name], base)
        referenced = await resolving.resolve(name, value.referenced)
        faults += resolving.faults
        if referenced is not value.referenced:
            found[name] = replace(value, data=encode_referenced(referenced), referenced=referenced)
    raise_for(faults)
    return found


class _Resolving:
    """The values of one input."""

    def __init__(self, uploads: Uploads, schema: InputSchema, base: str) -> None:
        self._uploads = uploads
        self._schema = schema
        self._base = base
        self.faults: list[Fault] = []

    async def resolve(self, name: str, referenced: Referenced) -> Referenced:
        """Give the input with what was uploaded for it."""
        values = [
            await self._value(("inputs", name, *((number,) if referenced.is_list else ())), value)
            for number, value in enumerate(referenced.values)
        ]
        same = all(one is other for one, other in zip(values, referenced.values, strict=True))
        return referenced if same else Referenced(tuple(values), referenced.is_list)

    async def _value(self, place: Sequence[str | int], value: GivenValue) -> GivenValue:
        named = _UPLOAD.fullmatch(value.href)
        if named is None:
            return value
        try:
            received = await self._uploads.find(named[1])
        except NoSuchUpload as problem:
            if isinstance(problem, UploadGone) or value.href.startswith(f"{self._base}/uploads/"):
                self._refuse(place, problem.detail)
            return value
        return await self._taken(place, value, received)

    async def _taken(self, place: Sequence[str | int], value: GivenValue, received: Received) -> GivenValue:
        upload = received.upload
        if not received.is_complete:
            of_all = "" if upload.length is None else f" of {upload.length}"
            self._refuse(
                place,
                f"This upload is not complete: {received.offset}{of_all} bytes are here. Go on with it first.",
            )
            return value
        if received.offset > self._uploads.largest_input_bytes:
            most = self._uploads.largest_input_bytes
            self._refuse(
                place, f"This upload has {received.offset} bytes; {most} is the most a value may have."
            )
            return value
        try:
            formats_of_content(self._schema, value.media_type, upload.media_type)
        except Rejected as rejected:
            self.faults += [Fault((*place, *fault.path), fault.detail) for fault in rejected.faults]
            return value
        return GivenValue(
            media_type=value.media_type,
            location=await self._uploads.location_of(received),
            length=received.offset,
            sent=upload.media_type,
            version=received.sha256,
        )

    def _refuse(self, place: Sequence[str | int], detail: str) -> None:
        self.faults.append(Fault((*place, "href"), detail))
