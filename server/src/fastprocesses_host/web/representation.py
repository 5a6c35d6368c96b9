"""JSON or a page: which of the two a request wants (/req/json/definition, /req/html/definition)."""

from functools import lru_cache
from typing import Literal

from starlette.requests import Request

from fastprocesses_host.ogc.exceptions import InvalidQueryParameter
from fastprocesses_host.ogc.links import HTML, JSON
from fastprocesses_host.ogc.negotiation import (
    PROBLEM,
    MediaType,
    choose_media_type,
    choose_representation,
    parse_accept,
)
from fastprocesses_host.web.head import Head, head_of
from fastprocesses_host.web.query import accept_in, accept_of, one_value

Representation = Literal["json", "html"]


def representation_of(request: Request, *, has_page: bool) -> Representation:
    """Choose by `f`, else by Accept; JSON unless a page is asked for.

    Raises:
        InvalidQueryParameter: 400, `f` is no representation of the resource.
        NotAcceptable: 406, the client accepts none of them.
    """
    if not request.scope["query_string"]:
        return head_of(request).once(_with_page if has_page else _without_page)
    f = one_value(request, "f")
    if not f and "f" in request.query_params:
        raise InvalidQueryParameter("f has no value. Give it one, or leave it out.")
    return _chosen(accept_of(request), f, has_page)


def _with_page(head: Head) -> Representation:
    return _chosen(accept_in(head), "", has_page=True)


def _without_page(head: Head) -> Representation:
    return _chosen(accept_in(head), "", has_page=False)


def prefers_page(request: Request, *others: str) -> bool:
    """Tell whether a page is wanted where the client may choose among other media types too; never raises.

    Args:
        request: Its `f` wins, when it is one of ours.
        others: The media types that go before the page where the client likes them as much.
    """
    told = request.query_params.get("f", "").lower() if request.scope["query_string"] else ""
    return told == "html" or (not told and _is_best(accept_of(request), others))


def wants_problem_page(request: Request) -> bool:
    """Tell whether a problem is shown as a page (S1.6)."""
    return prefers_page(request, PROBLEM, JSON)


@lru_cache(maxsize=256)
def _chosen(accept: str, f: str, has_page: bool) -> Representation:
    """Choose a representation; clients send few different headers, but every time."""
    return choose_representation(accept, f, html=has_page)


@lru_cache(maxsize=256)
def _is_best(accept: str, others: tuple[str, ...]) -> bool:
    """Tell whether HTML is liked better than `others`, and no other media type is liked better than HTML."""
    if not accept or choose_media_type(accept, [*others, HTML]) != HTML:
        return False
    ranges = parse_accept(accept)
    liked = max(told.quality for told in ranges if told.media_type.covers(_HTML))
    return all(told.quality <= liked for told in ranges)


_HTML = MediaType("text", "html")
