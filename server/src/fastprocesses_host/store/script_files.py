"""The scripts as they are sent: the shared parts that they include, then their own; read once a process."""

import functools
import hashlib
from collections.abc import Iterator
from importlib import resources

_INCLUDE = b"-- include: "
"""Before the names of parts that a script or a part needs, in its first line; each comes once, behind what it needs."""
_WITH = b"-- with: "
"""Before the name of another script, in the line after that, which is then a function of this one."""


@functools.cache
def script_text(name: str) -> bytes:
    """Give the text of one script: no more of the shared parts than it needs, since each call makes them anew."""
    names = dict.fromkeys(["_common", *_parts_of(_file(name)), name])
    return b"".join(_body(_file(name)) for name in names)


@functools.cache
def script_sha(name: str) -> str:
    """Give the digest that the store knows a script by."""
    return hashlib.sha1(script_text(name), usedforsecurity=False).hexdigest()


def _parts_of(text: bytes) -> Iterator[str]:
    for part in _named(text, _INCLUDE):
        yield from _parts_of(_file(part))
        yield part


def _body(text: bytes) -> bytes:
    return b"".join(_as_function(other) for other in _named(text, _WITH)) + text


def _as_function(name: str) -> bytes:
    return b"local function " + name.encode() + b"()\n" + _file(name) + b"\nend\n"


def _named(text: bytes, header: bytes) -> list[str]:
    lines = [line for line in text.split(b"\n", 2)[:2] if line.startswith(header)]
    return [name.decode() for line in lines for name in line.removeprefix(header).split()]


def _file(name: str) -> bytes:
    return (resources.files("fastprocesses_host.store") / "scripts" / f"{name}.lua").read_bytes()
