"""The scripts as they are sent: the shared part, what they include, then their own; read once a process."""

import functools
import hashlib
from importlib import resources

_INCLUDE = b"-- include: "


@functools.cache
def script_text(name: str) -> bytes:
    """Give the text of one script."""
    own = _file(name)
    first = own.split(b"\n", 1)[0]
    included = _file(first.removeprefix(_INCLUDE).decode()) if first.startswith(_INCLUDE) else b""
    return _file("_common") + included + own


@functools.cache
def script_sha(name: str) -> str:
    """Give the digest that the store knows a script by."""
    return hashlib.sha1(script_text(name), usedforsecurity=False).hexdigest()


def _file(name: str) -> bytes:
    return (resources.files("fastprocesses_host.store") / "scripts" / f"{name}.lua").read_bytes()
