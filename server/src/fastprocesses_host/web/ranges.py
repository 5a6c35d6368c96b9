"""Parts of a value: Range and If-Range (RFC 9110, section 14)."""

import re
from typing import Final

from msgspec import Struct
from starlette.requests import Request

from fastprocesses_host.ogc.exceptions import RangeNotSatisfiable

MOST_RANGES: Final = 16
"""Who asks for more ranges at once is given the whole value."""

_SPEC: Final = re.compile(r"(\d{0,18})-(\d{0,18})", re.ASCII)


class ByteRange(Struct, frozen=True):
    """A part of a value: the bytes from `start`, `stop` not among them."""

    start: int
    stop: int

    def content_range(self, length: int) -> str:
        """Give the Content-Range header of the part of a value of so many bytes."""
        return f"bytes {self.start}-{self.stop - 1}/{length}"


def ranges_of(request: Request, length: int, etag: str) -> list[ByteRange]:
    """Give the parts of a value that a request asks for, in order and apart; none: the whole value.

    Args:
        request: Its method must be GET, the only one that ranges are defined for.
        length: Of the value, in bytes.
        etag: Of the value; If-Range must name it, or the whole value is wanted.

    Raises:
        RangeNotSatisfiable: 416, all ranges lie behind the end of the value.
    """
    header = request.headers.get("range", "")
    if_range = request.headers.get("if-range", "").strip()
    if request.method != "GET" or not header or (if_range and if_range != etag):
        return []
    return parse_ranges(header, length)


def parse_ranges(header: str, length: int) -> list[ByteRange]:
    """Read a Range header; one that is malformed, or of another unit than bytes, is as if it were not there.

    Raises:
        RangeNotSatisfiable: 416, see `ranges_of`.
    """
    unit, equals, told = header.partition("=")
    specs = [spec.strip() for spec in told.split(",") if spec.strip()]
    if unit.strip().lower() != "bytes" or not equals or not 0 < len(specs) <= MOST_RANGES:
        return []
    matches = [_SPEC.fullmatch(spec) for spec in specs]
    bounds = [(match[1], match[2]) for match in matches if match is not None and match[0] != "-"]
    if len(bounds) < len(specs) or any(first and last and int(first) > int(last) for first, last in bounds):
        return []
    ranges = [found for first, last in bounds if (found := _range(first, last, length)) is not None]
    if not ranges:
        raise RangeNotSatisfiable(length)
    merged = _merged(ranges)
    return [] if merged == [ByteRange(0, length)] and len(specs) > 1 else merged


def _range(first: str, last: str, length: int) -> ByteRange | None:
    if not first:
        start, stop = max(0, length - int(last)), length
    else:
        start, stop = int(first), min(int(last) + 1, length) if last else length
    return ByteRange(start, stop) if start < stop else None


def _merged(ranges: list[ByteRange]) -> list[ByteRange]:
    """Unite what overlaps or touches, so that no byte is sent twice."""
    merged: list[ByteRange] = []
    for found in sorted(ranges, key=lambda one: (one.start, one.stop)):
        if merged and found.start <= merged[-1].stop:
            merged[-1] = ByteRange(merged[-1].start, max(merged[-1].stop, found.stop))
        else:
            merged.append(found)
    return merged
