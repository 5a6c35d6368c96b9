"""The scripts as they are sent: the shared definitions that each needs, then its own text; made once a process."""

import functools
import hashlib
import re
from collections.abc import Iterator
from importlib import resources

from msgspec import Struct

_SHARED = (
    "_common",
    "_queue",
    "_stored",
    "_turns",
    "_endings",
    "_entering",
    "_log",
    "_take",
    "_again",
    "_owned",
    "_removal",
    "_room",
    "_uploads",
)
"""Files of shared definitions, each behind those it needs."""
_WITH = b"-- with: "
"""Before the name of another script, in the first line, which is then a function of this one."""
_NO_CODE = re.compile(rb"'(?:[^'\\]|\\.)*'|--[^\n]*")
_NAME = re.compile(rb"(?<![.:\w])[A-Za-z_]\w*")
_DEFINED = re.compile(rb"local function (\w+)|local ([\w, ]+?) *(?:=|$)|(\w+) = ")


class _Definition(Struct, frozen=True):
    """One definition of the shared files: its text, what it defines, and all names in it."""

    text: bytes
    defines: frozenset[bytes]
    names: frozenset[bytes]


@functools.cache
def script_text(name: str) -> bytes:
    """Give the text of one script: no more of the shared definitions than it needs, since each call makes them anew."""
    own = _with_others(_file(name))
    needed = _names_in(own)
    while more := {name for each in _definitions() if each.defines & needed for name in each.names} - needed:
        needed |= more
    return b"".join(each.text for each in _definitions() if each.defines & needed) + own


@functools.cache
def script_sha(name: str) -> str:
    """Give the digest that the store knows a script by."""
    return hashlib.sha1(script_text(name), usedforsecurity=False).hexdigest()


@functools.cache
def _definitions() -> tuple[_Definition, ...]:
    return tuple(
        _Definition(text, frozenset(_defined_by(text)), frozenset(_names_in(text)))
        for part in _SHARED
        for text in _split(_file(part))
    )


def _split(text: bytes) -> Iterator[bytes]:
    """Split a shared file: a definition goes from the left margin to the next one there, but for its last line."""
    lines: list[bytes] = []
    for line in text.splitlines(keepends=True):
        if re.match(rb"\w(?!nd\b)", line) and lines:
            yield b"".join(lines)
            lines = []
        if line.strip() and not line.lstrip().startswith(b"--"):
            lines.append(line)
    yield b"".join(lines)


def _defined_by(text: bytes) -> Iterator[bytes]:
    found = _DEFINED.match(text.split(b"\n", 1)[0])
    if found is None:
        raise AssertionError(text)
    for names in found.groups():
        yield from (name.strip() for name in (names or b"").split(b",") if name)


def _names_in(text: bytes) -> set[bytes]:
    return set(_NAME.findall(_NO_CODE.sub(b"", text)))


def _with_others(text: bytes) -> bytes:
    first = text.split(b"\n", 1)[0]
    others = first.removeprefix(_WITH).split() if first.startswith(_WITH) else []
    return (
        b"".join(b"local function " + name + b"()\n" + _file(name.decode()) + b"\nend\n" for name in others)
        + text
    )


def _file(name: str) -> bytes:
    return (resources.files("fastprocesses_host.store") / "scripts" / f"{name}.lua").read_bytes()
