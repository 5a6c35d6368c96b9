"""What a request says beside its body: query parameters and headers, checked."""

import re
from functools import lru_cache
from typing import Final

from starlette.requests import Request

from fastprocesses_host.ogc.exceptions import InvalidQueryParameter, NotAcceptable
from fastprocesses_host.ogc.job_filters import NAMES as FILTERS
from fastprocesses_host.ogc.job_filters import JobFilters, job_filters
from fastprocesses_host.ogc.links import JSON
from fastprocesses_host.ogc.negotiation import RESULTS, choose_representation, profile_asked
from fastprocesses_host.ogc.preferences import Preferences, parse_prefer
from fastprocesses_host.ogc.results import Wish
from fastprocesses_host.web.head import Head, head_of

MAX_LIMIT: Final = 10_000

_INTEGER: Final = re.compile(r"[+-]?\d+", re.ASCII)


def accept_of(request: Request) -> str:
    """Give the Accept header, empty without one."""
    return head_of(request).once(accept_in)


def accept_in(head: Head) -> str:
    """Read the Accept header."""
    return ",".join(head.values(b"accept"))


def one_value(request: Request, name: str) -> str:
    """Give the value of a parameter, empty when it is not there.

    Raises:
        InvalidQueryParameter: 400, it is there twice.
    """
    values = request.query_params.getlist(name) if request.scope["query_string"] else []
    if len(values) > 1:
        raise InvalidQueryParameter(f"The query parameter {name} is given {len(values)} times; give it once.")
    return values[0] if values else ""


def list_of(request: Request, name: str) -> list[str]:
    """Give the values of a parameter that is a list, written `a,b` or given several times."""
    values = (value.strip() for text in request.query_params.getlist(name) for value in text.split(","))
    return [value for value in values if value]


def filters_of(request: Request) -> JobFilters:
    """Read the filters of the job list; lists are written `a,b` or the parameter is given several times.

    Raises:
        InvalidQueryParameter: 400, a value cannot be used, or a filter has none.
    """
    given = {name: list_of(request, name) for name in FILTERS if name in request.query_params}
    for name, values in given.items():
        if not values:
            raise InvalidQueryParameter(
                f"The query parameter {name} has no value. Give it one, or leave it out."
            )
    return job_filters(
        types=given.get("type", ()),
        process_ids=given.get("processID", ()),
        statuses=given.get("status", ()),
        interval=one_value(request, "datetime"),
        min_durations=given.get("minDuration", ()),
        max_durations=given.get("maxDuration", ()),
    )


def preferences_of(request: Request) -> Preferences:
    """Give what the Prefer headers say."""
    return head_of(request).once(preferences_in)


def preferences_in(head: Head) -> Preferences:
    """Read what the Prefer headers say."""
    return parse_prefer(head.values(b"prefer"))


def wish_of(request: Request) -> Wish:
    """Give how the results are wanted, by the headers of a request for them and by `f`.

    Args:
        request: For results.

    Raises:
        InvalidQueryParameter: 400, `f` is no representation. NotAcceptable: 406, one that we do not have.
    """
    head = head_of(request)
    if not request.scope["query_string"]:
        return head.once(_wish)
    profile = one_value(request, "profile")
    if "f" not in request.query_params:
        return _wish(head, profile=profile)
    check_representation(request)
    return _wish(head, accept=JSON, profile=profile)


def _wish(head: Head, *, accept: str | None = None, profile: str = "") -> Wish:
    accept = accept_in(head) if accept is None else accept
    preferences = preferences_in(head)
    return Wish(
        accept=accept,
        return_preference=preferences.return_preference,
        profile=profile_asked(
            RESULTS,
            accept=accept,
            accept_profile=",".join(head.values(b"accept-profile")),
            preferences=preferences,
            link=",".join(head.values(b"link")),
            query=profile,
        ),
    )


def limit_of(request: Request, default: int) -> int:
    """Read `limit`: more than the maximum is clamped, not refused (Part 1, /req/core/pl-limit-response).

    Raises:
        InvalidQueryParameter: 400, it is no integer or less than 1.
    """
    text = one_value(request, "limit").strip()
    if not text and "limit" not in request.query_params:
        return default
    if not _INTEGER.fullmatch(text) or text.startswith("-") or not text.strip("+0"):
        raise InvalidQueryParameter(f"limit must be an integer between 1 and {MAX_LIMIT}, not {text[:50]!r}.")
    # Python refuses to read thousands of digits, and there is no need to.
    digits = text.lstrip("+0")
    return MAX_LIMIT if len(digits) > len(str(MAX_LIMIT)) else min(int(digits), MAX_LIMIT)


def check_representation(request: Request) -> None:
    """Check that the client takes a representation we have: by `f`, else by Accept.

    Raises:
        InvalidQueryParameter: 400, `f` is no representation.
        NotAcceptable: 406, the client accepts none of them.
    """
    f = one_value(request, "f")
    if f.lower() == "html":
        raise NotAcceptable([JSON])
    _chosen(accept_of(request), f)


@lru_cache(maxsize=256)
def _chosen(accept: str, f: str) -> str:
    """Choose a representation; clients send few different headers, but every time."""
    return choose_representation(accept, f, html=False)
