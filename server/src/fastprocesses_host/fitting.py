"""The formats an input can have, and which of them a value fits (S1.3, rules 7 and 9)."""

from collections.abc import Iterable, Sequence
from typing import Any

from fastprocesses_host.catalog import Format, InputSchema
from fastprocesses_host.ogc.negotiation import parse_media_type, same_media_type
from fastprocesses_host.schemas.faults import Fault, faults_of
from fastprocesses_host.schemas.validators import ValueSchema, is_base64

FAULTS_PER_VALUE = 5


class Rejected(Exception):
    """A value does not fit; `faults` say where and why, their places within the value."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = list(faults)

    def under(self, *path: str | int) -> "Rejected":
        """Give the same with places within what the value is a part of."""
        return Rejected(Fault((*path, *fault.path), fault.detail) for fault in self.faults)


def fitting(schema: InputSchema, value: Any, media_type: str) -> Format:
    """Find the format a value is in: the first that fits, of those that are named if any is (S1.3 rule 9).

    Raises:
        Rejected: there is none.
    """
    if schema.is_bbox:
        check_bbox(value)
    candidates = _named_formats(schema, value, media_type) if media_type else schema.formats
    for candidate in candidates:
        if candidate.schema.accepts(value):
            if candidate.is_binary and isinstance(value, str) and not is_base64(value):
                raise Rejected([Fault((), "This is not base64. Send binary values as base64 strings.")])
            return candidate
    faults = faults_of(told_of(schema, candidates), value, limit=FAULTS_PER_VALUE)
    raise Rejected(faults or [Fault((), "This fits none of the formats of the input.")])


def told_of(schema: InputSchema, candidates: Sequence[Format]) -> ValueSchema:
    """Give the schema whose faults are told: of all candidates together, the input's own where these are all."""
    if len(candidates) == 1:
        return candidates[0].schema
    if len(candidates) == len(schema.formats):
        return schema.whole
    return ValueSchema({"anyOf": [candidate.schema.schema for candidate in candidates]}, schema.whole.name)


def _named_formats(schema: InputSchema, value: Any, media_type: str) -> Sequence[Format]:
    """Find the formats a media type may stand for; JSON stands for all that are made of it.

    Raises:
        Rejected: there is none.
    """
    parsed = parse_media_type(media_type)
    is_text = isinstance(value, str) and same_media_type(media_type, "text/plain")

    def may_be(candidate: Format) -> bool:
        theirs = parse_media_type(candidate.media_type or "application/json")
        both_json = parsed is not None and parsed.is_json and theirs is not None and theirs.is_json
        return both_json or (is_text and not candidate.media_type)

    found = schema.formats_of(media_type) or [each for each in schema.formats if may_be(each)]
    if found:
        return found
    possible = ", ".join(dict.fromkeys(each.media_type or "application/json" for each in schema.formats))
    raise Rejected([Fault((), f"The media type {media_type[:100]} is not known here. Possible: {possible}.")])


def check_bbox(value: Any) -> None:
    """Check that a value is a bounding box (bbox.yaml, /req/core/process-execute-input-inline-bbox)."""
    numbers = value.get("bbox") if isinstance(value, dict) else None
    is_box = isinstance(numbers, list) and len(numbers) in (4, 6)
    if not is_box or not all(type(number) in (int, float) for number in numbers or ()):
        shape = '{"bbox": [west, south, east, north], "crs": URI}'
        raise Rejected([Fault((), f"A bounding box is an object with 4 or 6 numbers: {shape}.")])
    if not isinstance(value.get("crs", ""), str):
        raise Rejected([Fault(("crs",), "crs must be a URI.")])
