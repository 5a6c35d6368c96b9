"""The scripts as they are sent: the shared part, then the script's own; read once a process."""

import functools
import hashlib
from importlib import resources


@functools.cache
def script_text(name: str) -> bytes:
    """Give the text of one script."""
    folder = resources.files("fastprocesses_host.store").joinpath("scripts")
    return folder.joinpath("_common.lua").read_bytes() + folder.joinpath(f"{name}.lua").read_bytes()


@functools.cache
def script_sha(name: str) -> str:
    """Give the digest that the store knows a script by."""
    return hashlib.sha1(script_text(name), usedforsecurity=False).hexdigest()
