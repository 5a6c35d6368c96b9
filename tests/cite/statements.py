"""What the suite's validators accept, stated by ourselves: no null, exact types, exactly one of alternatives.

Every answer is held against these statements; where the official files are at hand, `official.py` repeats it with
them.
"""

import base64
import binascii
import email
import re
from datetime import datetime
from email.policy import HTTP
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

Time = Annotated[datetime, Meta(tz=True)]
Json = dict[str, Any] | list[Any] | str | bool | float | int
Absent = UnsetType


class Link(Struct):
    href: str
    rel: str | Absent = UNSET
    type: str | Absent = UNSET
    hreflang: str | Absent = UNSET
    title: str | Absent = UNSET


class LandingPage(Struct):
    links: list[Link]
    title: str | Absent = UNSET
    description: str | Absent = UNSET


class Conformance(Struct):
    conformsTo: list[str]


class Problem(Struct):
    type: str
    title: str | Absent = UNSET
    status: int | Absent = UNSET
    detail: str | Absent = UNSET
    instance: str | Absent = UNSET


class StatusInfo(Struct):
    jobID: str
    type: Literal["process"]
    status: Literal["accepted", "running", "successful", "failed", "dismissed"]
    processID: str | Absent = UNSET
    message: str | Absent = UNSET
    created: Time | Absent = UNSET
    started: Time | Absent = UNSET
    finished: Time | Absent = UNSET
    updated: Time | Absent = UNSET
    progress: Annotated[int, Meta(ge=0, le=100)] | Absent = UNSET
    links: list[Link] | Absent = UNSET


class JobList(Struct):
    jobs: list[StatusInfo]
    links: list[Link]


class Metadata(Struct):
    title: str | Absent = UNSET
    role: str | Absent = UNSET
    href: str | Absent = UNSET


class Described(Struct, kw_only=True):
    title: str | Absent = UNSET
    description: str | Absent = UNSET
    keywords: list[str] | Absent = UNSET
    metadata: list[Metadata] | Absent = UNSET


class ProcessSummary(Described, kw_only=True):
    id: str
    version: str
    jobControlOptions: list[Literal["sync-execute", "async-execute", "dismiss"]] | Absent = UNSET
    outputTransmission: list[Literal["value", "reference"]] | Absent = UNSET
    links: list[Link] | Absent = UNSET


class ProcessList(Struct):
    processes: list[ProcessSummary]
    links: list[Link]


Count = Annotated[int, Meta(ge=0)]


class Schema(Struct, forbid_unknown_fields=True, rename={"not_": "not"}):
    """A schema object of OpenAPI 3.0 as the standard's schema.yaml has it: no other keyword, no `$ref`."""

    title: str | Absent = UNSET
    multipleOf: Annotated[float, Meta(gt=0)] | Absent = UNSET
    maximum: float | Absent = UNSET
    exclusiveMaximum: bool | Absent = UNSET
    minimum: float | Absent = UNSET
    exclusiveMinimum: bool | Absent = UNSET
    maxLength: Count | Absent = UNSET
    minLength: Count | Absent = UNSET
    pattern: str | Absent = UNSET
    maxItems: Count | Absent = UNSET
    minItems: Count | Absent = UNSET
    uniqueItems: bool | Absent = UNSET
    maxProperties: Count | Absent = UNSET
    minProperties: Count | Absent = UNSET
    required: Annotated[list[str], Meta(min_length=1)] | Absent = UNSET
    enum: Annotated[list[Json], Meta(min_length=1)] | Absent = UNSET
    type: Literal["array", "boolean", "integer", "number", "object", "string"] | Absent = UNSET
    not_: "Schema | Absent" = UNSET
    allOf: "list[Schema] | Absent" = UNSET
    oneOf: "list[Schema] | Absent" = UNSET
    anyOf: "list[Schema] | Absent" = UNSET
    items: "Schema | Absent" = UNSET
    properties: "dict[str, Schema] | Absent" = UNSET
    additionalProperties: "bool | Schema | Absent" = UNSET
    description: str | Absent = UNSET
    format: str | Absent = UNSET
    default: Json | Absent = UNSET
    nullable: bool | Absent = UNSET
    readOnly: bool | Absent = UNSET
    writeOnly: bool | Absent = UNSET
    example: Json | Absent = UNSET
    deprecated: bool | Absent = UNSET
    contentMediaType: str | Absent = UNSET
    contentEncoding: str | Absent = UNSET
    contentSchema: str | Absent = UNSET


class OutputDescription(Described, kw_only=True):
    schema: Schema


class InputDescription(OutputDescription, kw_only=True):
    minOccurs: int | Absent = UNSET
    maxOccurs: int | Literal["unbounded"] | Absent = UNSET


class Process(ProcessSummary, kw_only=True):
    inputs: dict[str, InputDescription] | Absent = UNSET
    outputs: dict[str, OutputDescription] | Absent = UNSET


STATEMENTS = {
    "landingPage": LandingPage,
    "confClasses": Conformance,
    "processList": ProcessList,
    "process": Process,
    "statusInfo": StatusInfo,
    "jobList": JobList,
    "exception": Problem,
}


def states(name: str, document: Any) -> None:
    """Refuse a document that the suite's validators would refuse.

    Raises:
        ValidationError: Saying what and where.
    """
    no_null(document)
    msgspec.convert(document, STATEMENTS[name])


def no_null(value: Any) -> None:
    """Refuse null at any depth: no official schema is nullable."""
    assert value is not None, "null"
    for member in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        no_null(member)


def alternatives_of_a_sync_answer(value: Any) -> list[str]:
    """Tell which alternatives of the answer to `execute` a JSON value is; the suite wants exactly one."""
    is_object = isinstance(value, dict)
    fitting = {
        "results": value is not None and (not is_object or all(map(_is_inline, value.values()))),
        "exception": is_object and isinstance(value.get("type"), str),
        "object": is_object,
        "binary": isinstance(value, str),
        "byte": _is_base64(value),
        "string": isinstance(value, str),
        "number": _is_number(value),
        "boolean": isinstance(value, bool),
    }
    return [name for name, fits in fitting.items() if fits]


def _is_inline(value: Any) -> bool:
    """Whether it is exactly one of the inline values, a qualified value and a link."""
    is_object = isinstance(value, dict)
    qualified = (
        is_object and "value" in value and (_plain(value["value"]) + isinstance(value["value"], dict)) == 1
    )
    link = is_object and isinstance(value.get("href"), str)
    return (_plain(value) == 1) + qualified + link == 1


def _plain(value: Any) -> int:
    """Count the alternatives of an inline value that is no object: an integer is a number, base64 is a string."""
    box = isinstance(value, dict) and isinstance(value.get("bbox"), list) and len(value["bbox"]) in (4, 6)
    return sum(
        [
            isinstance(value, str),
            _is_base64(value),
            _is_number(value),
            isinstance(value, int) and not isinstance(value, bool),
            isinstance(value, bool),
            isinstance(value, list),
            box,
        ]
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_base64(value: Any) -> bool:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9+/]*={0,2}", value):
        return False
    try:
        base64.b64decode(value, validate=True)
    except binascii.Error:
        return False
    return True


def text_parts(content_type: str, body: bytes) -> list[str]:
    """The parts of a multipart answer that the suite's mail library gives as text; JSON parts are not."""
    message = email.message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body, policy=HTTP)
    assert message.is_multipart()
    readable = ("text/plain", "text/html", "text/xml")
    return [part.get_content() for part in message.iter_parts() if part.get_content_type() in readable]
