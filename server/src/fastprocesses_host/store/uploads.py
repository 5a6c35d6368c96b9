"""Uploads in the store: what each is, how long it is kept, and how many bytes callers may have together.

The store knows an upload by a digest of its id: who reads the store cannot use, read or delete what others uploaded.
"""

import hashlib
import re
import secrets
import uuid
from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

from fastprocesses_host.store.operations import UPLOAD_TOMBSTONE_SECONDS, Operation
from fastprocesses_host.store.records import ANYBODY, pairs

_ID = re.compile(r"[A-Za-z0-9_-]{32}", re.ASCII)

Gone = Literal["unknown", "expired", "deleted"]
"""Why there is no upload: there never was one, or it was long ago; its time is over; it was deleted."""
Limit = Literal["caller-uploads", "caller-bytes", "bytes"]
"""Which limit is reached: uploads of one caller, their bytes, the bytes of all uploads."""


class UploadLimits(Struct, frozen=True, kw_only=True):
    """What uploads may be; 0: anything."""

    ttl_seconds: float
    """How long one is kept after it was last written to."""
    of_caller: int = 0
    """Most uploads of one caller."""
    bytes_of_caller: int = 0
    bytes_of_all: int = 0


class Upload(Struct, frozen=True, kw_only=True):
    """The record of an upload."""

    key: str
    length: int | None = None
    """How many bytes it will have; None: not told yet."""
    media_type: str = ""
    metadata: str = ""
    """As the client wrote it (tus, Upload-Metadata)."""
    location: str = ""
    """Of its bytes in the value store; empty: they lie in `parts`, or there are none."""
    parts: tuple[tuple[int, str], ...] = ()
    """Length and location of each, in order, where it is not one file that grows."""
    sure: int | None = None
    """So many bytes are what the client sent; what lies behind them was not compared with its checksum."""
    digested: tuple[int, str] | None = None
    """How many bytes there were when a digest of them was noted, and their SHA-256."""
    owner: str = ""
    caller: str = ANYBODY
    expires: int = 0
    """Milliseconds since 1970."""


class Kept(Struct, frozen=True):
    """What became of a change: it was done, and the upload expires then (ms); or why not."""

    outcome: Literal["ok"] | Gone | Limit
    expires: int


def new_upload_id() -> str:
    """Make an id that nobody can guess: 192 bits."""
    return secrets.token_urlsafe(24)


def is_upload_id(text: str) -> bool:
    """Tell whether a text has the form of our ids; what has not is never asked of the store."""
    return _ID.fullmatch(text) is not None


def upload_key(upload_id: str) -> str:
    """Give what the store and the value store know an upload by: a UUID, of a version that job ids never have."""
    digest = int.from_bytes(hashlib.sha256(upload_id.encode()).digest()[:16])
    digest = digest & ~(0xF << 76) & ~(0b11 << 62) | 8 << 76 | 0b10 << 62  # version 8 (RFC 9562, section 5.8)
    return str(uuid.UUID(int=digest))


def is_upload_key(text: str) -> bool:
    """Tell whether the owner of a value is an upload."""
    return len(text) == 36 and text[14] == "8"


def create(upload: Upload, *, reserved_bytes: int, limits: UploadLimits) -> Operation[Kept]:
    """Write the record of a new upload; again with its key changes nothing."""
    fields: dict[str, str | int | None] = {
        "v": 1,
        "cl": upload.caller,
        "ow": upload.owner,
        "ln": upload.length,
        "mt": upload.media_type,
        "md": upload.metadata,
        "lo": upload.location,
    }
    arguments = (
        upload.key,
        upload.caller,
        reserved_bytes,
        round(limits.ttl_seconds * 1000),
        limits.of_caller,
        limits.bytes_of_caller,
        limits.bytes_of_all,
        *(part for name, value in fields.items() if value not in (None, "") for part in (name, value)),
    )
    return Operation("upload_create", arguments, _kept)


def upload(key: str) -> Operation[Upload | Gone]:
    """Read the record of an upload."""

    def parse(answer: Any) -> Upload | Gone:
        if answer[0] != b"ok":
            return answer[0].decode()  # type: ignore[no-any-return]
        return _upload_of(key, pairs(answer[1]), answer[2])

    return Operation("upload", (key,), parse)


def keep(
    key: str,
    *,
    limits: UploadLimits,
    reserved_bytes: int | None = None,
    length: int | None = None,
    sure: int | Literal["all"] | None = None,
    digested: tuple[int, str] | None = None,
) -> Operation[Kept]:
    """Have an upload live on from now, and change what is known of it.

    Args:
        key: The upload.
        limits: Of uploads.
        reserved_bytes: How many bytes it may have; None: as before.
        length: How many it will have, where that is told only now.
        sure: How many of them are certainly the client's; `all`: all there are; None: as before.
        digested: How many there are, and their SHA-256.
    """
    fields: dict[str, str | int] = {}
    if length is not None:
        fields["ln"] = length
    if sure is not None:
        fields["su"] = "" if sure == "all" else sure
    if digested is not None:
        fields["sh"] = f"{digested[0]} {digested[1]}"
    return _change(key, limits, reserved_bytes, fields)


def _change(
    key: str, limits: UploadLimits, reserved_bytes: int | None, fields: Mapping[str, str | int]
) -> Operation[Kept]:
    arguments = (
        key,
        "" if reserved_bytes is None else reserved_bytes,
        round(limits.ttl_seconds * 1000),
        limits.bytes_of_caller,
        limits.bytes_of_all,
        *(part for pair in fields.items() for part in pair),
    )
    return Operation("upload_keep", arguments, _kept)


def remove(key: str) -> Operation[bool]:
    """Remove an upload; its bytes become garbage. Tells whether it was there."""
    arguments = (key, "deleted", round(UPLOAD_TOMBSTONE_SECONDS * 1000))
    return Operation("upload_remove", arguments, lambda answer: bool(answer[0] == b"ok"))


def lock(key: str, token: str, *, lease_seconds: float) -> Operation[str]:
    """Become the one who writes to an upload in parts, or stay so; `busy`: somebody else is."""
    return _write(key, token, "lock", round(lease_seconds * 1000))


def unlock(key: str, token: str) -> Operation[str]:
    """Let others write."""
    return _write(key, token, "unlock")


def add_part(
    key: str, token: str, *, offset: int, length: int, location: str, lease_seconds: float
) -> Operation[str]:
    """Put a part behind what there is; `busy`: somebody else has become the writer."""
    return _write(key, token, "part", offset, length, location, round(lease_seconds * 1000))


def cut_parts(key: str, token: str, *, length: int) -> Operation[str]:
    """Take away the parts behind this length."""
    return _write(key, token, "cut", length)


def become_whole(key: str, token: str, *, location: str) -> Operation[str]:
    """Have all of an upload at one place; the parts that are not it are garbage."""
    return _write(key, token, "whole", location)


def _write(key: str, token: str, what: str, *arguments: str | int) -> Operation[str]:
    return Operation("upload_write", (key, token, what, *arguments), lambda answer: str(answer[0].decode()))


def _kept(answer: Any) -> Kept:
    return Kept(answer[0].decode(), answer[1])


def _upload_of(key: str, record: Mapping[str, bytes], parts: list[bytes]) -> Upload:
    def text(name: str) -> str:
        return record.get(name, b"").decode()

    def number(name: str) -> int | None:
        return int(record[name]) if name in record else None

    return Upload(
        key=key,
        length=number("ln"),
        media_type=text("mt"),
        metadata=text("md"),
        location=text("lo"),
        parts=tuple(_part(part) for part in parts),
        sure=number("su"),
        digested=_part(record["sh"]) if "sh" in record else None,
        owner=text("ow"),
        caller=text("cl"),
        expires=number("ex") or 0,
    )


def _part(text: bytes) -> tuple[int, str]:
    length, _, told = text.decode().partition(" ")
    return int(length), told
