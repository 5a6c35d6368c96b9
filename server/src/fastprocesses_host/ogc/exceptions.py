"""The exceptions of the standard, as problems that can be raised (RFC 9457, exception.yaml)."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from fastprocesses_host.ogc.jobs import JobProblem

EXCEPTIONS = "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0/"
"""What the type of every exception named by Part 1 starts with."""

LONGEST_DETAIL = 5000
LONGEST_INSTANCE = 1000
"""In characters: a problem does not give back all that was wrong with a request."""

ABOUT_BLANK = "about:blank"
"""The type of a problem that is told by its status alone (RFC 9457 section 4.2.1)."""


class OGCException(Exception):
    """A problem the client is told of.

    Attributes:
        type: URI of the kind of problem.
        title: What kind of problem it is, the same for every problem of this type.
        status: HTTP status code.
        detail: What happened this time and what to change.
        headers: Header fields of the answer.
        errors: The single faults, each `{"pointer": JSON pointer into the request body, "detail": sentence}`.
        members: Further members of the problem document.
    """

    type: str = ABOUT_BLANK
    title: str = "Internal Server Error"
    status: int = 500
    default_detail: ClassVar[str] = ""

    def __init__(
        self,
        detail: str = "",
        *,
        errors: Iterable[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        self.detail = detail or self.default_detail
        self.errors = [dict(error) for error in errors]
        self.headers = dict(headers or {})
        self.members = dict(members or {})
        super().__init__(self.detail or self.title)


class NotFound(OGCException):
    """Nothing is found at this path."""

    title, status = "Not Found", 404
    default_detail = "There is nothing at this address. The landing page links to everything that is."


class NoSuchProcess(OGCException):
    """No process of this id is offered (/req/core/process-exception/no-such-process)."""

    type, title, status = EXCEPTIONS + "no-such-process", "No such process", 404
    default_detail = "No process of this id is offered."


class NoSuchJob(OGCException):
    """No job of this id is known, or it has expired (/req/core/job-exception-no-such-job)."""

    type, title, status = EXCEPTIONS + "no-such-job", "No such job", 404
    default_detail = "No job of this id is known. It may have expired."


class JobGone(NoSuchJob):
    """The job has been deleted before."""

    title, status = "Job deleted", 410
    default_detail = "This job has already been deleted."


class ResultNotReady(OGCException):
    """The job has not ended yet (/req/core/job-results-exception/results-not-ready)."""

    type, title, status = EXCEPTIONS + "result-not-ready", "Results not ready", 404
    default_detail = (
        "The job has not ended yet. Ask for its status, and for the results once it is successful."
    )


class ResultNotAvailable(OGCException):
    """The job has no such results, and never will."""

    type, title, status = EXCEPTIONS + "result-not-available", "Results not available", 404
    default_detail = "The job has no results."


class ResultsExpired(ResultNotAvailable):
    """The job had results; they were kept for less time than the job."""

    title, status = "Results expired", 410


class InputsNotKept(OGCException):
    """What the job was given is not kept, or not here."""

    title, status = "Inputs not kept", 404
    default_detail = (
        "The inputs of this job are not kept. The operator can have them kept with keep_inputs, the author of a "
        "process with keep_inputs=True."
    )


class InsufficientStorage(OGCException):
    """There is no room left for what would have to be kept (RFC 4918, section 11.5)."""

    title, status = "Insufficient Storage", 507
    default_detail = "The server has no room left for this. Try again when jobs have been removed."

    def __init__(self, detail: str = "", *, retry_after_seconds: float = 60.0) -> None:
        super().__init__(detail, headers=_retry_after(retry_after_seconds))


class NoSuchOutput(OGCException):
    """The process has no output of this id."""

    type, title, status = EXCEPTIONS + "no-such-output", "No such output", 400
    default_detail = "The process has no output of this id."


class InvalidQueryParameter(OGCException):
    """A query parameter has a value that cannot be used."""

    type, title, status = EXCEPTIONS + "invalid-query-parameter-value", "Invalid query parameter value", 400


class InvalidParameterValue(OGCException):
    """The request body, an input or an output selection cannot be used; `errors` has the places."""

    type, title, status = "InvalidParameterValue", "Invalid parameter value", 400
    default_detail = "The execute request cannot be used as it is."


class InvalidHeader(OGCException):
    """A header field of the request has a value that cannot be used."""

    title, status = "Invalid header", 400


class KeyReused(OGCException):
    """The idempotency key came with another request before."""

    title, status = "Idempotency key reused", 422
    default_detail = (
        "This Idempotency-Key came with another request before. Send that one, or take a new key."
    )


class NothingStored(OGCException):
    """Only results that are kept were wanted, and there are none (RFC 9111, section 5.2.1.7)."""

    title, status = "Gateway Timeout", 504
    default_detail = (
        "There are no results of an equal request that could be given, and Cache-Control: only-if-cached lets none be "
        "made. Send the request without it."
    )


class BodyTooLarge(OGCException):
    """The body or a value is larger than the server takes."""

    title, status = "Content Too Large", 413


class UnsupportedMediaType(OGCException):
    """The body is of a media type the server does not read."""

    title, status = "Unsupported Media Type", 415
    default_detail = "Send the body as JSON, with the header Content-Type: application/json."


class NotAcceptable(OGCException):
    """Nothing the client accepts can be given."""

    title, status = "Not Acceptable", 406

    def __init__(self, offered: Sequence[str], *, what: str = "This resource") -> None:
        super().__init__(
            f"{what} is available as {', '.join(offered)}. Name one of them in the Accept header.",
            members={"available": list(offered)},
        )


class RangeNotSatisfiable(OGCException):
    """None of the wanted ranges lies within the value (RFC 9110, section 15.5.17)."""

    title, status = "Range Not Satisfiable", 416

    def __init__(self, length: int) -> None:
        super().__init__(
            f"The value has {length} bytes, and none of the wanted ranges lies within it.",
            headers={"Content-Range": f"bytes */{length}"},
        )


class Unauthorized(OGCException):
    """The request does not say who asks."""

    title, status = "Unauthorized", 401
    default_detail = "Send your credentials with the request."


class Forbidden(OGCException):
    """The request is understood and refused."""

    title, status = "Forbidden", 403


class MethodNotAllowed(OGCException):
    """The resource does not know this method."""

    title, status = "Method Not Allowed", 405

    def __init__(self, method: str, allowed: Iterable[str]) -> None:
        allow = ", ".join(sorted(allowed))
        super().__init__(f"{method} is not possible here. Possible: {allow}.", headers={"Allow": allow})


class NoSuchUpload(OGCException):
    """No upload of this id is known."""

    title, status = "No such upload", 404
    default_detail = "No upload of this id is known. Its time may be over; upload the file again."


class UploadGone(NoSuchUpload):
    """There was an upload of this id."""

    title, status = "Upload gone", 410
    default_detail = "This upload has expired or was deleted. Upload the file again."


class UploadConflict(OGCException):
    """The upload is not where the client believes it is."""

    title, status = "Upload conflict", 409


class UploadLocked(OGCException):
    """Another request is writing to the upload."""

    title, status = "Locked", 423
    default_detail = (
        "Another request is writing to this upload. Wait for its end, and ask for the offset with HEAD."
    )


class UnsupportedUploadVersion(OGCException):
    """The client speaks another version of the tus protocol."""

    title, status = "Precondition Failed", 412


class ChecksumMismatch(OGCException):
    """What came is not what the client has the checksum of (tus, checksum)."""

    title, status = "Checksum Mismatch", 460
    default_detail = "What came does not have the checksum in Upload-Checksum and was dropped. Send it again."


class TooManyRequests(OGCException):
    """The client asks too much."""

    title, status = "Too Many Requests", 429

    def __init__(self, detail: str, *, retry_after_seconds: float = 1.0) -> None:
        super().__init__(detail, headers=_retry_after(retry_after_seconds))


class ServiceUnavailable(OGCException):
    """The server cannot do this now; the same request may succeed later."""

    title, status = "Service Unavailable", 503

    def __init__(self, detail: str, *, retry_after_seconds: float = 5.0) -> None:
        super().__init__(detail, headers=_retry_after(retry_after_seconds))


class SyncTimeout(OGCException):
    """The synchronous execution took longer than the server waits."""

    title, status = "Gateway Timeout", 504
    default_detail = (
        "The execution took longer than this server lets a synchronous request wait. "
        "Send it again with the header Prefer: respond-async, and follow the job."
    )


class ProcessFailed(OGCException):
    """The process failed; type, title, status and detail are those kept with the job."""

    def __init__(self, problem: JobProblem) -> None:
        self.type, self.title, self.status = problem.type, problem.title, problem.status
        super().__init__(problem.detail or problem.title, errors=problem.errors)


class InternalError(OGCException):
    """The server is at fault; the log has the reason, the client is told where to point to."""

    default_detail = "Something went wrong in the server. The reason is in its log."


def problem(exception: OGCException, instance: str = "") -> dict[str, Any]:
    """Give the problem document of an exception; it never holds a null (RFC 9457 section 3, exception.yaml).

    Args:
        exception: What was raised.
        instance: URI of this occurrence, usually the path asked for.
    """
    document: dict[str, Any] = {
        "type": exception.type,
        "title": exception.title,
        "status": exception.status,
        "detail": _cut(exception.detail, LONGEST_DETAIL),
        "instance": instance if len(instance) <= LONGEST_INSTANCE else "",
        "errors": exception.errors,
    }
    present = {name: value for name, value in document.items() if value or name == "type"}
    return {**exception.members, **present}


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _retry_after(seconds: float) -> dict[str, str]:
    return {"Retry-After": str(max(1, math.ceil(seconds)))}
