"""POST `/uploads`, and what is uploaded: files that inputs can name, resumable by tus 1.0.0."""

from collections.abc import Awaitable, Callable
from typing import Final

from msgspec import UNSET, Struct, UnsetType
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from fastprocesses_host.ogc.exceptions import (
    InvalidParameterValue,
    NotFound,
    OGCException,
    UnsupportedMediaType,
)
from fastprocesses_host.ogc.jobs import timestamp
from fastprocesses_host.uploads import Received, Uploads
from fastprocesses_host.web import tus
from fastprocesses_host.web.base_url import urls_of
from fastprocesses_host.web.body import take_larger_body
from fastprocesses_host.web.callers import caller_of
from fastprocesses_host.web.render import respond
from fastprocesses_host.web.resource import Resource

_UNKNOWN_TYPES: Final = frozenset({"", "application/x-www-form-urlencoded", "application/octet-stream"})
"""What clients say of bytes when they say nothing of them; the second one is curl's."""
_OVERRIDDEN: Final = frozenset({"PATCH", "DELETE", "HEAD"})


class UploadDocument(Struct, frozen=True, kw_only=True, rename={"media_type": "mediaType"}):
    """What is told of an upload; it never has its bytes."""

    href: str
    """Its URL, with which an input names it."""
    media_type: str | UnsetType = UNSET
    length: int | UnsetType = UNSET
    """How many bytes it will have; not there: it was not told yet."""
    offset: int
    """How many of them are here."""
    complete: bool
    expires: str


async def create(request: Request) -> Response:
    """Begin an upload by tus, or take a whole file.

    Raises:
        NotFound: 404, the server takes no uploads. InvalidParameterValue: 400. BodyTooLarge: 413.
        TooManyRequests: 429. InsufficientStorage: 507.
    """
    uploads = _uploads_of(request)
    urls_of(request)  # a bad Host header is refused before anything is written
    return await (_begin if tus.speaks_tus(request) else _take_whole)(request, uploads)


async def _begin(request: Request, uploads: Uploads) -> Response:
    """Answer 201 with the place of a new upload (tus, creation); what comes with the request is its begin."""
    length = tus.length_of(request)
    metadata, media_type = tus.metadata_of(request)
    has_bytes = bool(tus.number_of(request, "Content-Length")) or "transfer-encoding" in request.headers
    if has_bytes:
        tus.require_bytes(request)
    checksum = tus.checksum_of(request) if has_bytes else None
    upload_id, received = await uploads.create(
        length=length, media_type=media_type, metadata=metadata, caller=caller_of(request)
    )
    if has_bytes:
        take_larger_body(request, uploads.largest_bytes)
        received = await uploads.receive(
            upload_id,
            request.stream(),
            offset=0,
            body_length=tus.number_of(request, "Content-Length"),
            checksum=checksum,
        )
    headers = {"Location": urls_of(request).upload(upload_id), **tus.progress_headers(received)}
    return Response(status_code=201, headers=headers)


async def _take_whole(request: Request, uploads: Uploads) -> Response:
    """Answer 201 once all of the body is here; of one that is cut nothing is kept, for nobody knows its id."""
    media_type = _plain_media_type(request)
    length = tus.number_of(request, "Content-Length")
    upload_id, _ = await uploads.create(length=length, media_type=media_type, caller=caller_of(request))
    take_larger_body(request, uploads.largest_bytes)
    try:
        received = await uploads.receive(upload_id, request.stream(), offset=0, body_length=length)
        if length is None:
            received = await uploads.told_length(upload_id, received.offset)
        if not received.is_complete:
            raise ClientDisconnect
    except BaseException:
        await uploads.remove(upload_id)
        raise
    document = _document(request, upload_id, received)
    return respond(
        request, document, status=201, headers={"Location": document.href, "Cache-Control": "no-store"}
    )


def _plain_media_type(request: Request) -> str:
    told = request.headers.get("content-type", "")
    bare = told.partition(";")[0].strip().lower()
    if bare.startswith("multipart/form-data"):
        raise UnsupportedMediaType(
            "Send the bytes of the file themselves, not a form: curl --data-binary @FILE, with its Content-Type."
        )
    if request.headers.get("content-encoding", "identity").lower() not in ("", "identity"):
        raise UnsupportedMediaType(
            "Send the bytes as they are to be used, without Content-Encoding.",
            headers={"Accept-Encoding": "identity"},
        )
    return "" if bare in _UNKNOWN_TYPES else tus.media_type_or_none(told)


async def read(request: Request) -> Response:
    """Tell how far an upload is (tus, HEAD); its bytes are given to nobody."""
    upload_id = request.path_params["upload_id"]
    received = await _uploads_of(request).find(upload_id)
    return respond(request, _document(request, upload_id, received), headers=tus.upload_headers(received))


async def write(request: Request) -> Response:
    """Write on where the upload is (tus, PATCH).

    Raises:
        UploadConflict: 409, it is elsewhere. UploadLocked: 423. UploadGone: 410. NoSuchUpload: 404.
        ChecksumMismatch: 460. BodyTooLarge: 413.
    """
    uploads = _uploads_of(request)
    if not tus.speaks_tus(request):
        raise InvalidParameterValue(f"Send the header Tus-Resumable: {tus.VERSION}.")
    tus.require_bytes(request)
    take_larger_body(request, uploads.largest_bytes)
    received = await uploads.receive(
        request.path_params["upload_id"],
        request.stream(),
        offset=tus.offset_of(request),
        length=tus.number_of(request, "Upload-Length"),
        body_length=tus.number_of(request, "Content-Length"),
        checksum=tus.checksum_of(request),
    )
    return Response(status_code=204, headers=tus.progress_headers(received))


async def remove(request: Request) -> Response:
    """Remove an upload (tus, termination); jobs that were accepted with it have it still."""
    await _uploads_of(request).remove(request.path_params["upload_id"])
    return Response(status_code=204)


async def overridden(request: Request) -> Response:
    """Answer a POST that stands for another method, for clients that can send no PATCH (tus, core)."""
    method = request.headers.get("x-http-method-override", "").upper()
    if method not in _OVERRIDDEN:
        raise InvalidParameterValue(
            "A POST to an upload needs X-HTTP-Method-Override: PATCH, DELETE or HEAD."
        )
    return await {"PATCH": write, "DELETE": remove, "HEAD": read}[method](request)


def _uploads_of(request: Request) -> Uploads:
    uploads: Uploads | None = request.app.state.host.uploads
    if uploads is None:
        raise NotFound(
            "This server takes no uploads: it has no value store (value_store_url). Send inputs inline."
        )
    return uploads


def _document(request: Request, upload_id: str, received: Received) -> UploadDocument:
    upload = received.upload
    return UploadDocument(
        href=urls_of(request).upload(upload_id),
        media_type=upload.media_type or UNSET,
        length=UNSET if upload.length is None else upload.length,
        offset=received.offset,
        complete=received.is_complete,
        expires=timestamp(upload.expires),
    )


class TusResource(Resource):
    """A resource whose answers say that they are of tus, and whose OPTIONS tells what is possible."""

    def __init__(self, **handlers: Callable[[Request], Awaitable[Response]]) -> None:
        super().__init__({name.upper(): handler for name, handler in handlers.items()}, negotiated=False)

    async def respond(self, request: Request) -> Response:
        """Answer with the handler of the method.

        Raises:
            UnsupportedUploadVersion: 412. MethodNotAllowed: 405.
        """
        spoken = {"Tus-Resumable": tus.VERSION}
        try:
            if request.method in self.handlers:
                tus.require_version(request)
            response = await super().respond(request)
        except OGCException as error:
            error.headers |= spoken
            raise
        except HTTPException as error:
            raise HTTPException(
                error.status_code, error.detail, {**(error.headers or {}), **spoken}
            ) from error
        response.headers.update(spoken)
        if request.method == "OPTIONS":
            uploads = request.app.state.host.uploads
            response.headers.update({} if uploads is None else tus.server_headers(uploads.largest_bytes))
        return response


ROUTES: Final = (
    Route("/uploads", TusResource(post=create)),
    Route(
        "/uploads/{upload_id}", TusResource(get=read, head=read, patch=write, delete=remove, post=overridden)
    ),
)
CONFORMANCE: Final = ()
