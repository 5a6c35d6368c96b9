"""What a plugin can implement (pluggy)."""

from collections.abc import Iterable
from typing import Any

import pluggy

PROJECT = "fastprocesses"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a plugin's function as an implementation of the hook of the same name."""


@hookspec
def fastprocesses_processes() -> Iterable[Any]:  # type: ignore[empty-body]
    """Return the plugin's processes: what `@process` made, or classes with a description and `execute`."""
