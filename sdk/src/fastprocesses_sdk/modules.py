"""What else than processes is declared in the modules of a plugin."""

import sys
from collections.abc import Iterable
from typing import Any, TypeVar

T = TypeVar("T")


def declared_in(kind: type[T], source: str, processes: Iterable[Any]) -> list[T]:
    """Return the objects of a type that a plugin declares, in the order of their modules and lines.

    Args:
        kind: The type; its objects tell their `__module__` as functions do.
        source: Value of the entry point, which was imported; what this module and those below it declare counts.
        processes: Of the plugin; what their modules declare counts too.
    """
    module = source.split(":")[0].strip()
    exactly = {module, *(process.__module__ for process in processes)}
    names = [name for name in list(sys.modules) if name in exactly or name.startswith(f"{module}.")]
    found = [
        value
        for name in names
        for value in list(vars(sys.modules[name]).values())
        if isinstance(value, kind) and value.__module__ == name
    ]
    return list({id(each): each for each in found}.values())
