"""Where a child process finds a process that was declared here."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from fastprocesses_sdk.executor.piped import Module
from fastprocesses_sdk.processes import Process

_MAIN = "__mp_main__"
"""What `__main__` is called in a child, as multiprocessing has it: `if __name__ == "__main__"` is not entered."""


def located(process: "Process[..., Any]", given: Any) -> tuple[str, list[Module]]:
    """Give the source under which a child can import a process, and the modules it may not find by itself.

    Args:
        process: The process.
        given: What it was made of: itself, or a class or object with a description.

    Raises:
        LookupError: It is no attribute of any module; the sentence says what to do.
    """
    for module, attribute in _places(process, given):
        name = _MAIN if module.__name__ == "__main__" else module.__name__
        if name != _MAIN or _file(module):
            return f"{name}:{attribute}", _modules(module, name)
    raise LookupError(
        f"The process {process.id} is not at the top of a module, where a child process could import it from; "
        "define it there, or run it here: Runner(in_process=True).run(...)."
    )


def _places(process: "Process[..., Any]", given: Any) -> Iterator[tuple[ModuleType, str]]:
    home = sys.modules.get(getattr(given, "__module__", "") or "")
    for module in [*([home] if home else []), *list(sys.modules.values())]:
        if isinstance(module, ModuleType):
            for attribute, value in list(vars(module).items()):
                if value is given or _is_same(value, process):
                    yield module, attribute


def _is_same(value: Any, process: "Process[..., Any]") -> bool:
    return isinstance(value, Process) and value.id == process.id and value.function == process.function


def _modules(module: ModuleType, name: str) -> list[Module]:
    """Tell where the module and the packages above it lie, wherever that can be told."""
    names = module.__name__.split(".")
    parents = [sys.modules.get(".".join(names[:length])) for length in range(1, len(names))]
    told = [_told(parent, parent.__name__) for parent in parents if parent is not None]
    return [each for each in [*told, _told(module, name)] if each.file or each.folders]


def _told(module: ModuleType, name: str) -> Module:
    return Module(name, _file(module), [str(folder) for folder in getattr(module, "__path__", ())])


def _file(module: ModuleType) -> str:
    """The file with the module's source; empty where there is none, in an interactive session for instance."""
    file = getattr(module, "__file__", None)
    return str(Path(file).resolve()) if file and file.endswith(".py") and Path(file).is_file() else ""
