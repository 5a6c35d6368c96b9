"""What operations of the API definition are put together from: parameters, headers, answers."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from fastprocesses_host.ogc.job_filters import MOST_PROCESSES
from fastprocesses_host.ogc.jobs import Status
from fastprocesses_host.ogc.links import HTML, JSON, OPENAPI_30, OPENAPI_31
from fastprocesses_host.ogc.negotiation import PROBLEM
from fastprocesses_host.ogc.openapi_schemas import openapi_schema, schema_31
from fastprocesses_host.ogc.repeats import KEY_PATTERN, LONGEST_KEY
from fastprocesses_host.ogc.search import LONGEST_QUERY

Document = dict[str, Any]

PROBLEMS: Mapping[int, str] = {
    400: "Something in the request cannot be used; `errors` has the places.",
    403: "The process does not allow this.",
    404: "There is no such thing, or it is not there yet.",
    406: "Nothing the client accepts can be given.",
    408: "The body came too slowly.",
    409: "The upload is elsewhere than the request says; Upload-Offset says where.",
    410: "It has been deleted before, or has expired.",
    412: "The server speaks another version of tus; Tus-Version says which.",
    413: "The body is too large, perhaps once it is decompressed.",
    415: "The body is not JSON, or compressed in a way the server does not read.",
    416: "The value has no such range.",
    422: "The Idempotency-Key came with another request before.",
    423: "Another request is writing to the upload.",
    429: "The caller has too much waiting, or kept; Retry-After says when to try again.",
    460: "What came does not have the checksum in Upload-Checksum, and was dropped.",
    500: "The process failed, or the server.",
    502: "The host of an input that is given by reference does not answer as it should.",
    503: "The server cannot do this now; Retry-After says when to try again.",
    504: "It took longer than a synchronous request may wait, or nothing was to be run and there are no results.",
    507: "There is no room for what is sent; Retry-After says when to try again.",
}

_PROBLEM_HEADERS: Mapping[int, Sequence[str]] = {
    409: ("Upload-Offset",),
    412: ("Tus-Version",),
    415: ("Accept-Post", "Accept-Patch", "Accept-Encoding"),
    416: ("Content-Range",),
    429: ("Retry-After",),
    503: ("Retry-After",),
    507: ("Retry-After",),
}

HEADERS: Mapping[str, str] = {
    "Accept-Encoding": "The content codings of bodies that the server reads.",
    "Accept-Patch": "The media types of what can be written to an upload.",
    "Accept-Post": "The media types of bodies that the server reads.",
    "Age": "How old the results are, in seconds; only of results that were made for an earlier request (RFC 9111).",
    "Allow": "The methods that are possible.",
    "Accept-Ranges": "Parts of the value can be asked for.",
    "Cache-Control": "Whether and how long the answer may be kept.",
    "Cache-Status": "Where results come from that may be shared: `hit`, or `fwd` and perhaps `collapsed` (RFC 9211).",
    "Content-Encoding": "How the answer is compressed: `gzip` or `zstd`, as Accept-Encoding allows.",
    "Content-Language": "The languages of the texts.",
    "Content-Range": "Which part of the value this is.",
    "ETag": "Changes with the document; send it back as If-None-Match.",
    "Link": "The links of the document, or to outputs (RFC 8288).",
    "Location": "The job's status, the new upload, or where a value lies.",
    "OGC-Output-Values-Count": "How many values the output has.",
    "Preference-Applied": "The preferences that were honoured (RFC 7240).",
    "Retry-After": "In how many seconds to try again.",
    "Tus-Checksum-Algorithm": "The algorithms that Upload-Checksum can name.",
    "Tus-Extension": "What the server does of tus beyond its core.",
    "Tus-Max-Size": "How many bytes an upload may have.",
    "Tus-Resumable": "The version of tus that was spoken.",
    "Tus-Version": "The versions of tus that the server speaks.",
    "Upload-Defer-Length": "1 as long as nobody has told how many bytes the upload will have.",
    "Upload-Expires": "Until when the upload is kept, if it is not written to again.",
    "Upload-Length": "How many bytes the upload will have.",
    "Upload-Metadata": "What the client told of the file when it began.",
    "Upload-Offset": "How many bytes of the upload are here.",
    "Vary": "The request headers that decide about the answer.",
}


class Edition(Struct, frozen=True, kw_only=True):
    """What differs between versions of OpenAPI."""

    openapi: str
    media_type: str
    schema: Callable[[Any], Document]
    """Gives a JSON Schema 2020-12 as this version writes it."""
    has_lists_of_durations: bool
    """minDuration and maxDuration are arrays, as in version 1.0 of the standard (S2.7 row 9)."""


EDITION_30 = Edition(
    openapi="3.0.3", media_type=OPENAPI_30, schema=openapi_schema, has_lists_of_durations=True
)
EDITION_31 = Edition(openapi="3.1.1", media_type=OPENAPI_31, schema=schema_31, has_lists_of_durations=False)


def operation(
    operation_id: str, tag: str, summary: str, responses: Document, parameters: Sequence[Document] = ()
) -> Document:
    """Give an operation."""
    told: Document = {"operationId": operation_id, "tags": [tag], "summary": summary}
    if parameters:
        told["parameters"] = list(parameters)
    return {**told, "responses": responses}


def reading(
    operation_id: str,
    tag: str,
    summary: str,
    schema: str,
    *,
    problems: Iterable[int] = (),
    parameters: Sequence[Document] = (),
    has_page: bool = True,
    is_kept: bool = True,
) -> Document:
    """Give the reading of a resource that is JSON, and HTML where it has a page.

    Args:
        operation_id: Of the operation.
        tag: Its group.
        summary: Of what is read.
        schema: Name of the component that it is.
        problems: Status codes besides those every resource has.
        parameters: Besides `f`.
        has_page: It is HTML too.
        is_kept: It has a tag, and is not sent again to who has it.
    """
    content = json_content(schema)
    formats = ["json"]
    if has_page:
        content[HTML] = {"schema": {"type": "string"}}
        formats.append("html")
    representation = query(
        "f", "The representation, whatever Accept says.", {"type": "string", "enum": formats}
    )
    headers = ("Vary", "Cache-Control", "Link", "Content-Encoding", *(("ETag",) if is_kept else ()))
    responses = {"200": answer(summary, content, headers)}
    if is_kept:
        responses["304"] = not_modified()
    told = {**responses, **problem_references(*sorted({400, 406, 500, 503, *problems}))}
    return operation(operation_id, tag, summary, told, [*parameters, representation])


def answer(description: str, content: Document, headers: Iterable[str] = ()) -> Document:
    """Give a response with a body."""
    return {"description": description, "headers": header_references(headers), "content": content}


def not_modified() -> Document:
    """Give the response to a client that has the document."""
    return {
        "description": "The document is the one that If-None-Match names.",
        "headers": header_references(("ETag", "Vary", "Cache-Control")),
    }


def elsewhere() -> Document:
    """Give the response that leads to an object store, which servers may be set up to give."""
    return {
        "description": "The value lies in an object store, at a signed URL that ends after a while.",
        "headers": header_references(("Location", "Vary", "Cache-Control")),
    }


def json_content(schema: str) -> Document:
    """Give the content that is a component as JSON."""
    return {JSON: {"schema": reference(schema)}}


def reference(schema: str) -> Document:
    """Point to a component schema."""
    return {"$ref": f"#/components/schemas/{schema}"}


def header_references(names: Iterable[str]) -> Document:
    """Point to header components."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def problem_references(*statuses: int) -> Document:
    """Point to the problems an operation may answer with."""
    return {str(status): {"$ref": f"#/components/responses/problem-{status}"} for status in statuses}


def header_components() -> Document:
    """Give every header we send."""
    return {name: {"description": text, "schema": {"type": "string"}} for name, text in HEADERS.items()}


def failures() -> Document:
    """Point to what a process that failed may answer besides: it chooses type, title and status itself."""
    return {status: {"$ref": "#/components/responses/failure"} for status in ("4XX", "5XX")}


def failure_component() -> Document:
    """Give the answer for a process that failed (/req/core/job-results-failed)."""
    return answer("The process failed; the status is the one it chose.", _problem_content(), ("Vary",))


def _problem_content() -> Document:
    schema = {"schema": reference("problem")}
    return {PROBLEM: schema, JSON: schema, HTML: {"schema": {"type": "string"}}}


def problem_components() -> Document:
    """Give every problem we answer with (RFC 9457)."""
    return {
        f"problem-{status}": answer(text, _problem_content(), ("Vary", *_PROBLEM_HEADERS.get(status, ())))
        for status, text in PROBLEMS.items()
    }


def query(name: str, description: str, schema: Document, **members: Any) -> Document:
    """Give a query parameter."""
    return {"name": name, "in": "query", "description": description, "schema": schema, **members}


def path_parameter(name: str, description: str, schema: Document | None = None) -> Document:
    """Give a path parameter."""
    told = schema or {"type": "string"}
    return {"name": name, "in": "path", "required": True, "description": description, "schema": told}


def prefer_header() -> Document:
    """Give the header Prefer."""
    text = "`respond-async`, `wait=<seconds>`, `return=minimal|representation` (RFC 7240)."
    return {"name": "Prefer", "in": "header", "description": text, "schema": {"type": "string"}}


def cache_control_header() -> Document:
    """Give the header Cache-Control of an execute request."""
    text = (
        "Of a process whose results are kept: `no-cache` and `max-age=<seconds>` say how old they may be, `no-store` "
        "that they are neither used nor kept, `only-if-cached` that nothing is to be run (RFC 9111)."
    )
    return {"name": "Cache-Control", "in": "header", "description": text, "schema": {"type": "string"}}


def idempotency_key_header() -> Document:
    """Give the header Idempotency-Key of an execute request."""
    text = (
        "A name of this very request, a UUID for instance: sent again with it, the request is not run again."
    )
    schema = {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY, "pattern": f"^({KEY_PATTERN})$"}
    return {"name": "Idempotency-Key", "in": "header", "description": text, "schema": schema}


def limit_parameter(default: int) -> Document:
    """Give `limit` (/req/core/pl-limit-definition)."""
    text = "How many entries there are at most; a larger number counts as the maximum."
    schema = {"type": "integer", "minimum": 1, "maximum": 10_000, "default": default}
    return query("limit", text, schema, style="form", explode=False)


def page_parameters(default: int) -> list[Document]:
    """Give the parameters of a list in pages."""
    cursor = "Where the page starts, from the link `next` of the page before."
    return [limit_parameter(default), query("cursor", cursor, {"type": "string", "minLength": 1})]


def search_parameter() -> Document:
    """Give `q` of the process list."""
    text = "Words that occur in id, title, description or keywords; alternatives between commas."
    return query("q", text, {"type": "string", "maxLength": LONGEST_QUERY})


def filter_parameters(edition: Edition) -> list[Document]:
    """Give the filters of the job list (/req/job-list/type-definition to max-duration-definition)."""
    seconds: Document = {"type": "integer", "minimum": 0}
    durations = _list_of(seconds) if edition.has_lists_of_durations else seconds
    statuses = [status.value for status in Status]
    lists = {"style": "form", "explode": False}
    return [
        query(
            "type", "Of what kind the jobs are.", _list_of({"type": "string", "enum": ["process"]}), **lists
        ),
        query(
            "processID",
            "Jobs of one of these processes.",
            {**_list_of({"type": "string", "minLength": 1}), "maxItems": MOST_PROCESSES},
            **lists,
        ),
        query(
            "status", "Jobs in one of these states.", _list_of({"type": "string", "enum": statuses}), **lists
        ),
        query(
            "datetime",
            "When the jobs were created: an instant, or an interval `a/b`, `../b`, `a/..` (RFC 3339).",
            {"type": "string", "pattern": _INTERVAL},
        ),
        query("minDuration", "Jobs that ran at least so many seconds.", durations, **lists),
        query("maxDuration", "Jobs that ran at most so many seconds.", durations, **lists),
    ]


def _list_of(schema: Document) -> Document:
    return {"type": "array", "items": schema, "minItems": 1}


_MOMENT = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
_INTERVAL = rf"^({_MOMENT}|({_MOMENT}|\.\.)?/({_MOMENT}|\.\.)?)$"
