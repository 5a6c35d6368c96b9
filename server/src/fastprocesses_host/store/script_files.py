"""The scripts as they are sent: the shared part, what they include, then their own; read once a process."""

import functools
import hashlib
from importlib import resources

_INCLUDE = b"-- include: "
_WITH = b"-- with: "
"""Before the name of another script, which is then a function of this one."""


@functools.cache
def script_text(name: str) -> bytes:
    """Give the text of one script."""
    return _file("_common") + _whole(name)


@functools.cache
def script_sha(name: str) -> str:
    """Give the digest that the store knows a script by."""
    return hashlib.sha1(script_text(name), usedforsecurity=False).hexdigest()


def _whole(name: str) -> bytes:
    own = _file(name)
    first = own.split(b"\n", 1)[0]
    if first.startswith(_INCLUDE):
        return _file(first.removeprefix(_INCLUDE).decode()) + own
    if first.startswith(_WITH):
        other = first.removeprefix(_WITH).decode()
        return b"local function " + other.encode() + b"()\n" + _whole(other) + b"\nend\n" + own
    return own


def _file(name: str) -> bytes:
    return (resources.files("fastprocesses_host.store") / "scripts" / f"{name}.lua").read_bytes()
