"""Signatures of calls to subscribers, as Standard Webhooks 1.0.0 has them (symmetric, `v1`)."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Sequence

_PREFIX = "whsec_"
_LEAST_BYTES, _MOST_BYTES = 24, 64


def read_secrets(text: str) -> tuple[bytes, ...]:
    """Read secrets, several with commas between while one takes the place of another.

    Raises:
        ValueError: one is not `whsec_` and base64 of 24 to 64 bytes; it is not told.
    """
    return tuple(_secret(part.strip()) for part in text.split(",") if part.strip())


def _secret(text: str) -> bytes:
    try:
        secret = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        secret = b""
    if not text.startswith(_PREFIX) or not _LEAST_BYTES <= len(secret) <= _MOST_BYTES:
        raise ValueError(f"must be {_PREFIX} and the base64 of {_LEAST_BYTES} to {_MOST_BYTES} random bytes")
    return secret


def signature(secrets: Sequence[bytes], call_id: str, timestamp: int, body: Iterable[bytes]) -> str:
    """Give the value of the header `webhook-signature`: one signature for each secret.

    Args:
        secrets: At least one.
        call_id: As `webhook-id` has it; without a full stop.
        timestamp: As `webhook-timestamp` has it, in seconds since 1970.
        body: What is sent, piece by piece.
    """
    signed = [hmac.new(secret, f"{call_id}.{timestamp}.".encode(), hashlib.sha256) for secret in secrets]
    for piece in body:
        for one in signed:
            one.update(piece)
    return " ".join(f"v1,{base64.b64encode(one.digest()).decode()}" for one in signed)
