"""Header fields of the protocol for resumable uploads, tus 1.0.0 (https://tus.io/protocols/resumable-upload)."""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final

from starlette.requests import Request

from fastprocesses_host.ogc.exceptions import (
    InvalidParameterValue,
    UnsupportedMediaType,
    UnsupportedUploadVersion,
)
from fastprocesses_host.ogc.negotiation import parse_media_type
from fastprocesses_host.uploads import Checksum, Received

VERSION: Final = "1.0.0"
EXTENSIONS: Final = "creation,creation-with-upload,creation-defer-length,expiration,termination,checksum"
CHECKSUM_ALGORITHMS: Final = ("sha1", "sha256", "sha512", "md5")
BYTES: Final = "application/offset+octet-stream"
"""The media type of what is sent to be written."""
LONGEST_METADATA: Final = 4096

_NUMBER: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
_NAME: Final = re.compile(r"[!-+\--~]{1,100}")
_TYPE_NAMES: Final = ("filetype", "contenttype", "content-type", "mediatype", "mimetype", "type")
"""How clients call the media type, in lower case."""
_LONGEST_MEDIA_TYPE: Final = 200


def server_headers(largest_bytes: int) -> dict[str, str]:
    """Give what OPTIONS tells."""
    return {
        "Tus-Version": VERSION,
        "Tus-Extension": EXTENSIONS,
        "Tus-Max-Size": str(largest_bytes),
        "Tus-Checksum-Algorithm": ",".join(CHECKSUM_ALGORITHMS),
    }


def upload_headers(received: Received) -> dict[str, str]:
    """Give what HEAD tells of an upload."""
    upload = received.upload
    known = {"Upload-Defer-Length": "1"} if upload.length is None else {"Upload-Length": str(upload.length)}
    metadata = {"Upload-Metadata": upload.metadata} if upload.metadata else {}
    return {**progress_headers(received), **known, **metadata}


def progress_headers(received: Received) -> dict[str, str]:
    """Give how far an upload is, and how long it is kept."""
    expires = datetime.fromtimestamp(received.upload.expires / 1000, UTC)
    return {
        "Upload-Offset": str(received.offset),
        "Upload-Expires": format_datetime(expires, usegmt=True),
        "Cache-Control": "no-store",
    }


def speaks_tus(request: Request) -> bool:
    """Tell whether a request is one of the protocol."""
    return "tus-resumable" in request.headers


def require_version(request: Request) -> None:
    """Check that a request of the protocol is of a version that is spoken here.

    Raises:
        UnsupportedUploadVersion: 412, it is not.
    """
    told = request.headers.get("tus-resumable", VERSION)
    if told != VERSION:
        raise UnsupportedUploadVersion(
            f"This server speaks tus {VERSION}, not {told[:20]!r}.", headers={"Tus-Version": VERSION}
        )


def length_of(request: Request) -> int | None:
    """Give how long a new upload will be; None: that is told later (creation-defer-length).

    Raises:
        InvalidParameterValue: neither is told, or both.
    """
    length, deferred = number_of(request, "Upload-Length"), request.headers.get("upload-defer-length")
    if deferred not in (None, "1"):
        raise InvalidParameterValue("Upload-Defer-Length can only be 1.")
    if (length is None) == (deferred is None):
        raise InvalidParameterValue("Tell either Upload-Length, in bytes, or Upload-Defer-Length: 1.")
    return length


def offset_of(request: Request) -> int:
    """Give where the bytes belong.

    Raises:
        InvalidParameterValue: that is not told.
    """
    offset = number_of(request, "Upload-Offset")
    if offset is None:
        raise InvalidParameterValue("Upload-Offset is missing. Ask for it with HEAD.")
    return offset


def number_of(request: Request, name: str) -> int | None:
    """Give the number in a header field; None where there is no such field.

    Raises:
        InvalidParameterValue: it is no whole number, negative, or of more than 18 digits.
    """
    text = request.headers.get(name)
    if text is None:
        return None
    if not _NUMBER.fullmatch(text):
        raise InvalidParameterValue(f"{name} must be a whole number of bytes, 0 or more, not {text[:30]!r}.")
    return int(text)


def require_bytes(request: Request) -> None:
    """Check that a body is declared to be bytes of an upload.

    Raises:
        UnsupportedMediaType: 415, it is not.
    """
    told = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if told != BYTES:
        raise UnsupportedMediaType(
            f"Send the bytes with the header Content-Type: {BYTES}.", headers={"Accept-Patch": BYTES}
        )


def checksum_of(request: Request) -> Checksum | None:
    """Give the checksum that the bytes are said to have (tus, checksum).

    Raises:
        InvalidParameterValue: it is of another kind than ours, or none at all.
    """
    text = request.headers.get("upload-checksum")
    if text is None:
        return None
    algorithm, _, told = text.strip().partition(" ")
    if algorithm not in CHECKSUM_ALGORITHMS:
        possible = ", ".join(CHECKSUM_ALGORITHMS)
        raise InvalidParameterValue(f"Upload-Checksum is of no algorithm that is known here: {possible}.")
    digest = _decoded(told.strip())
    if digest is None or len(digest) != hashlib.new(algorithm, usedforsecurity=False).digest_size:
        raise InvalidParameterValue(f"Upload-Checksum is not the digest of {algorithm} in base64.")
    return Checksum(algorithm, digest)


def metadata_of(request: Request) -> tuple[str, str]:
    """Give what the client tells of the file, as it wrote it, and the media type in that; empty: not told.

    Raises:
        InvalidParameterValue: it is too long, or not pairs of a name and base64.
    """
    text = request.headers.get("upload-metadata", "").strip()
    if len(text) > LONGEST_METADATA:
        raise InvalidParameterValue(f"Upload-Metadata may have at most {LONGEST_METADATA} characters.")
    return text, _media_type_in(_pairs(text))


def media_type_or_none(text: str) -> str:
    """Give a media type as it was told; empty where it is none."""
    parsed = parse_media_type(text) if len(text) <= _LONGEST_MEDIA_TYPE and text.isprintable() else None
    return "" if parsed is None or "*" in (parsed.type, parsed.subtype) else text.strip()


def _pairs(text: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        name, _, told = pair.partition(" ")
        value = _decoded(told.strip())
        if not _NAME.fullmatch(name) or value is None or name in pairs:
            raise InvalidParameterValue(
                "Upload-Metadata must be names, each once, with their values in base64, and commas between."
            )
        pairs[name] = value.decode("utf-8", "replace")
    return pairs


def _media_type_in(pairs: Mapping[str, str]) -> str:
    named = {name.lower(): value for name, value in pairs.items()}
    found = (media_type_or_none(named[name]) for name in _TYPE_NAMES if name in named)
    return next(filter(None, found), "")


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
