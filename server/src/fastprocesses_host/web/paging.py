"""Lists in pages: `limit`, an opaque `cursor`, links to neighbours (/rec/core/next-1, /per/core/prev)."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Collection
from typing import Final
from urllib.parse import quote, urlencode

from starlette.requests import Request

from fastprocesses_host.ogc.exceptions import InvalidQueryParameter
from fastprocesses_host.web.query import one_value

_QUERY: Final = "%/?:@!$&'()*+,;=-._~"
"""What a query may hold unescaped (RFC 3986, section 3.4), and the escapes it has."""


def cursor_of(request: Request, kind: str) -> str:
    """Read `cursor`: the place in the list that a link of ours named, empty for the beginning.

    Args:
        request: For a page.
        kind: Of which list; a cursor of another one is refused.

    Raises:
        InvalidQueryParameter: 400, no link of ours says so.
    """
    text = one_value(request, "cursor")
    if not text and "cursor" not in request.query_params:
        return ""
    try:
        told, separator, place = urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode().partition(" ")
    except (Error, ValueError):
        told, separator, place = "", "", ""
    if told != kind or not separator or _encoded(kind, place) != text:
        raise InvalidQueryParameter("The cursor is damaged. Follow the links next and prev as they are.")
    return place


def page_url(request: Request, url: str, place: str, *, kind: str, carried: Collection[str] = ()) -> str:
    """Give the URL of another page of the list at `url`.

    Args:
        request: For the page at hand.
        url: Of the list.
        place: What `cursor_of` will give there; empty: the beginning.
        kind: Of which list, as for `cursor_of`.
        carried: Names of the query parameters that go on to that page, besides `limit` and `f`.
    """
    kept = ("limit", "f", *carried)
    query = [(name, value) for name, value in request.query_params.multi_items() if name in kept]
    if place:
        query.append(("cursor", _encoded(kind, place)))
    return f"{url}?{urlencode(query)}" if query else url


def _encoded(kind: str, place: str) -> str:
    return urlsafe_b64encode(f"{kind} {place}".encode()).decode().rstrip("=")


def self_url(request: Request, url: str) -> str:
    """Give the URL of the page at hand, as it was asked for."""
    query = request.scope["query_string"].decode("latin-1")
    return f"{url}?{quote(query, safe=_QUERY)}" if query else url
