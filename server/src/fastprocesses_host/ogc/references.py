"""Input values that are somewhere else: links in place of them (S1.3 rule 3), and `data:` URLs (RFC 2397)."""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from urllib.parse import unquote, unquote_to_bytes

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/=]")
_STRONG_TAG = re.compile(r'"[\x21\x23-\x7e\x80-\xff]{1,500}"')


SERVERS_SCHEMES = ("http", "https")
"""Of URLs that the server fetches itself; others are fetched by plugins."""

REFERENCED = "reference"
"""Stands for the media type of an input whose document tells where its values are; no value can have it."""


class GivenValue(Struct, frozen=True, rename="camel", omit_defaults=True):
    """One value of an input as a request gives it."""

    value: Raw | UnsetType = UNSET
    """Of a value that was given inline, and checked."""
    href: str = ""
    """Where the value is; empty: in `value`, or at `location`."""
    media_type: str = ""
    """As the request states it, or as the value was found to have it; empty: neither."""
    location: str = ""
    """Of what was uploaded here before, in the value store; with it there is no `href`."""
    length: int = 0
    """How many bytes lie there."""
    sent: str = ""
    """The media type that it was uploaded with; empty: none."""
    version: str = ""
    """What changes with what is there: for a URL as `version_told` gives it, for what was uploaded its SHA-256; empty:
    not known."""


class Referenced(Struct, frozen=True):
    """An input of which a value, or several, have to be fetched."""

    values: tuple[GivenValue, ...]
    is_list: bool = False
    """The input may occur several times: its document is an array."""

    @property
    def hrefs(self) -> tuple[str, ...]:
        """Where the values are that have to be fetched."""
        return tuple(value.href for value in self.values if value.href)

    @property
    def names_uploads(self) -> bool:
        """Whether a value, or several, were uploaded here."""
        return any(value.location for value in self.values)

    @property
    def is_known(self) -> bool:
        """Whether it is known which content all the values have, before any is fetched."""
        return all(value.version for value in self.values if value.href or value.location)


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(GivenValue)
_list_decoder = msgspec.json.Decoder(tuple[GivenValue, ...])


def encode_referenced(referenced: Referenced) -> bytes:
    """Give the JSON document of an input by reference, much as a request has it."""
    return _encoder.encode(referenced.values if referenced.is_list else referenced.values[0])


def decode_referenced(document: bytes) -> Referenced:
    """Read the document of an input by reference."""
    if document.startswith(b"["):
        return Referenced(_list_decoder.decode(document), is_list=True)
    return Referenced((_decoder.decode(document),))


def version_told(url: str, headers: Mapping[str, str]) -> str:
    """Give what changes with the content behind a URL, by its entity tag (RFC 9110, section 8.8.3).

    Args:
        url: What answered, after all redirects: what is elsewhere may have the same tag, and other content.
        headers: Of the answer, by their names in lower case.

    Returns:
        A digest; empty: there is no tag, it is one that cannot be read, or weak, so that bytes may differ.
    """
    tag = headers.get("etag", "")
    if not _STRONG_TAG.fullmatch(tag):
        return ""
    return hashlib.sha256(f"{url}\n{tag}".encode()).hexdigest()


def scheme_of(href: str) -> str:
    """Give the scheme of a URL, in lower case; empty: it has none."""
    found = _SCHEME.match(href)
    return found[1].lower() if found else ""


def data_of(href: str) -> tuple[str, bytes]:
    """Give the media type and the content of a `data:` URL.

    Returns:
        The media type is empty where the URL does not tell it.

    Raises:
        ValueError: the URL is not whole; the sentence says what is missing.
    """
    told, comma, text = href[len("data:") :].partition(",")
    if not comma:
        raise ValueError("A data: URL has a comma before its data, for instance data:text/plain,hello.")
    content = unquote_to_bytes(text)
    media_type, is_base64 = told, False
    if told.lower().replace(" ", "").endswith(";base64"):
        media_type, is_base64 = told.rpartition(";")[0], True
    return unquote(media_type).strip(), _debased(content) if is_base64 else content


def _debased(text: bytes) -> bytes:
    text = text.translate(bytes.maketrans(b"-_", b"+/"), b" \t\r\n").rstrip(b"=")
    try:
        if _NOT_BASE64.search(text):
            raise binascii.Error
        return base64.b64decode(text + b"=" * (-len(text) % 4))
    except binascii.Error:
        raise ValueError("The data of this data: URL is not base64, though the URL says so.") from None
