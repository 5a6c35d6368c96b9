"""What a request says of answers that were given before: Cache-Control (RFC 9111) and Idempotency-Key."""

import re
from collections.abc import Sequence

from msgspec import Struct

from fastprocesses_host.ogc.exceptions import InvalidHeader

LONGEST_KEY = 255
"""Characters of the header field."""
KEY_PATTERN = r'"([ !#-\[\]-~]|\\["\\])+"|[!#-~]+'
"""A string of structured fields (RFC 9651, section 3.3.3), or the same without its quotes."""
_LONGEST_AGE_SECONDS = 2**31
"""What is longer counts as this (RFC 9111, section 1.2.2)."""
_DIRECTIVE = re.compile(r'\s*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)\s*(?:=\s*("(?:[^"\\]|\\.)*"|[^,"]*))?\s*(?:,|$)')
_KEY = re.compile(KEY_PATTERN)
_ESCAPED = re.compile(r'\\(["\\])')


class Repeats(Struct, frozen=True, kw_only=True):
    """Whether a request may be answered with what an equal one was given."""

    is_stored: bool = True
    """False: neither taken from results that are kept, nor kept (no-store)."""
    max_age_seconds: float | None = None
    """How old the results may be; None: as old as there are; 0: they are to be made now (no-cache)."""
    values_only: bool = False
    """Nothing is to be run for it (only-if-cached)."""
    key: str = ""
    """What the client calls this very request; empty: it does not say."""


PLAIN = Repeats()


def read_repeats(cache_control: Sequence[str] = (), idempotency_key: Sequence[str] = ()) -> Repeats:
    """Read the header fields of a request.

    Of a directive that is given twice the stricter counts; those that make no difference here are ignored.

    Args:
        cache_control: Values of the fields Cache-Control.
        idempotency_key: Values of the fields Idempotency-Key; a string in quotes, or without.

    Raises:
        InvalidHeader: the key is none.
    """
    directives = [(name.lower(), value) for name, value in _DIRECTIVE.findall(", ".join(cache_control))]
    names = {name for name, _ in directives}
    ages = [_seconds(value) for name, value in directives if name == "max-age"]
    return Repeats(
        is_stored="no-store" not in names,
        max_age_seconds=0.0 if "no-cache" in names else min(ages, default=None),
        values_only="only-if-cached" in names,
        key=_key(idempotency_key) if idempotency_key else "",
    )


def _seconds(value: str) -> float:
    """Read an age; one that cannot be read is taken for none at all."""
    digits = value.strip('" ')
    if not (digits.isascii() and digits.isdigit()):
        return 0.0
    return float(min(int(digits[:12]), _LONGEST_AGE_SECONDS))


def _key(values: Sequence[str]) -> str:
    if len(values) > 1:
        raise InvalidHeader(f"The header Idempotency-Key is given {len(values)} times. Give it once.")
    value = values[0].strip(" \t")
    if len(value) > LONGEST_KEY:
        raise InvalidHeader(
            f"The header Idempotency-Key has {len(value)} characters; {LONGEST_KEY} are the most. A UUID will do."
        )
    if not _KEY.fullmatch(value):
        raise InvalidHeader(
            "The header Idempotency-Key must be a string of printable ASCII characters, for instance "
            '"8e03978e-40d5-43dd-bc93-6894a57f9324".'
        )
    return _ESCAPED.sub(r"\1", value[1:-1]) if value.startswith('"') else value
