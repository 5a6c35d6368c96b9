"""The header of a request, read once for all requests that are alike in it: clients send the same again and again."""

from collections.abc import Callable, Collection, Iterable
from functools import lru_cache
from typing import Any, Final, Self, TypeVar

from starlette.requests import HTTPConnection
from starlette.types import Scope

T = TypeVar("T")

_READ: Final = frozenset(
    {
        b"host",
        b"accept",
        b"accept-encoding",
        b"accept-profile",
        b"prefer",
        b"link",
        b"content-type",
        b"content-encoding",
    }
)
"""The fields that are told here: none that differs from request to request, as keys and ranges do."""
_HEAD: Final = "fastprocesses_host.head"

_Fields = tuple[tuple[bytes, bytes], ...]


class HeaderFields(tuple[tuple[bytes, bytes], ...]):  # noqa: SLOT001 - tuples have none
    """The fields of a header as a server tells them that gives the same to all requests whose header is the same.

    Attributes:
        names: Of the fields.
        head: What is read once of them.
    """

    names: frozenset[bytes]
    head: "Head"

    @classmethod
    def of(cls, fields: Iterable[tuple[bytes, bytes]]) -> Self:
        """Read them."""
        found = cls(fields)
        found.names = frozenset(name for name, _ in found)
        found.head = _head_in(found)
        return found


class Head:
    """Some fields of a header, and what was read in them."""

    def __init__(self, fields: _Fields) -> None:
        self._fields = fields
        self._read: dict[Callable[[Head], Any], Any] = {}

    def values(self, name: bytes) -> list[str]:
        """Give the values of a field, in the order they were sent."""
        return [value.decode("latin-1") for known, value in self._fields if known == name]

    def first(self, name: bytes) -> str:
        """Give the first value of a field, empty without one."""
        return next(iter(self.values(name)), "")

    def once(self, read: "Callable[[Head], T]") -> T:
        """Give what a function reads in this header; it is called for the first of all alike only.

        Whatever it raises, it raises for each of them.
        """
        try:
            found: T = self._read[read]
        except KeyError:
            found = self._read[read] = read(self)
        return found


def head_of(request: HTTPConnection) -> Head:
    """Give the header of a request."""
    scope = request.scope
    fields = scope["headers"]
    if type(fields) is HeaderFields:
        return fields.head
    head: Head | None = scope.get(_HEAD)
    if head is None:
        head = scope[_HEAD] = _head_in(fields)
    return head


def names_in(scope: Scope) -> Collection[bytes]:
    """Give the names of the fields in the header of a request."""
    fields = scope["headers"]
    return fields.names if type(fields) is HeaderFields else dict(fields)


def _head_in(fields: Iterable[tuple[bytes, bytes]]) -> Head:
    return _head(tuple([(name, value) for name, value in fields if name in _READ]))


@lru_cache(maxsize=128)
def _head(fields: _Fields) -> Head:
    return Head(fields)
