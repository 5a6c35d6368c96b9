"""Who wants to be called about a job, read from an execute request (subscriber.yaml, S2.7 rows 15 and 17)."""

import re
from typing import Any, Literal
from urllib.parse import urlsplit

from msgspec import Struct

Step = Literal["progress", "success", "failure"]
"""What a subscriber is told of: a step of status or progress, the results, or why there are none."""

LONGEST_URI = 2000
_WEB_URI = re.compile(r"https?://[!-~]+", re.IGNORECASE)
_PORTS = {"http": 80, "https": 443}


class SubscriberFault(ValueError):
    """A member of the subscriber cannot be used; the text says what to change.

    Attributes:
        place: JSON pointer to it, into the request.
    """

    def __init__(self, place: str, sentence: str) -> None:
        super().__init__(sentence)
        self.place = place


class Subscriber(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where the client wants to be told of its job. The addresses may hold secrets: they are shown to nobody."""

    success_uri: str = ""
    in_progress_uri: str = ""
    failed_uri: str = ""
    base_url: str = ""
    """The service as the client sees it: what the calls say has links."""

    @property
    def wants_calls(self) -> bool:
        """Whether anything is to be called at all."""
        return bool(self.success_uri or self.in_progress_uri or self.failed_uri)

    @property
    def members(self) -> dict[str, str]:
        """The addresses that are given, by the names that the standard gives them."""
        named = {
            "successUri": self.success_uri,
            "inProgressUri": self.in_progress_uri,
            "failedUri": self.failed_uri,
        }
        return {name: uri for name, uri in named.items() if uri}

    @property
    def lane(self) -> str:
        """Host and port of the first address: subscribers of different ones never wait for each other."""
        parts = urlsplit(next(iter(self.members.values())))
        return f"{parts.hostname}:{parts.port or _PORTS[parts.scheme.lower()]}"

    def uri(self, step: Step) -> str:
        """Give the address to call for a step; empty: none is called."""
        uris: dict[Step, str] = {
            "progress": self.in_progress_uri,
            "success": self.success_uri,
            "failure": self.failed_uri,
        }
        return uris[step]


def read_subscriber(told: Any) -> Subscriber:
    """Read the member of a request. What is null or empty counts as absent; other members are ignored.

    The schema of 1.0 requires a `successUrl` and describes a `successUri`: it is read either way, the second first.

    Raises:
        SubscriberFault: it, or an address in it, cannot be used.
    """
    if not isinstance(told, dict):
        raise SubscriberFault(
            "/subscriber", "subscriber must be an object with successUri, inProgressUri or failedUri."
        )
    success_name = "successUrl" if told.get("successUrl") and not told.get("successUri") else "successUri"
    names = (success_name, "inProgressUri", "failedUri")
    success, in_progress, failed = (_uri(name, told.get(name) or "") for name in names)
    return Subscriber(success_uri=success, in_progress_uri=in_progress, failed_uri=failed)


def _uri(name: str, uri: Any) -> str:
    if uri == "":
        return ""
    if fault := _fault_of(uri):
        raise SubscriberFault(f"/subscriber/{name}", f"{name} {fault}")
    return str(uri)


def _fault_of(uri: Any) -> str:
    if isinstance(uri, str) and len(uri) > LONGEST_URI:
        return f"may have {LONGEST_URI} characters at most."
    if not isinstance(uri, str) or not _WEB_URI.fullmatch(uri):
        return "must be a URI that is absolute, http or https."
    try:
        parts = urlsplit(uri)
        is_whole = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return "must be a URI that is absolute, http or https."
    if not is_whole:
        return "must be a URI that is absolute, http or https."
    if "@" in parts.netloc:
        return "must not have a user or a password in it. A token can stand in its path or query."
    return ""
