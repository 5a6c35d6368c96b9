"""`@on_start`: what a plugin does once in every executor, before the first of its jobs there."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar

from fastprocesses_sdk.configured import PluginSettings
from fastprocesses_sdk.errors import DeclarationError
from fastprocesses_sdk.hints import hints_of
from fastprocesses_sdk.looping import finished
from fastprocesses_sdk.modules import declared_in
from fastprocesses_sdk.processes import Process
from fastprocesses_sdk.schemes import ReferenceScheme, declared_schemes
from fastprocesses_sdk.settings import Settings, settings_arguments
from fastprocesses_sdk.telling import Told

P = ParamSpec("P")
R = TypeVar("R")


class OnStart(Generic[P, R]):
    """A function that runs once in every executor. Calling it calls the function."""

    def __init__(self, function: Callable[P, R], settings: Mapping[str, type[Settings]]) -> None:
        self.function = function
        self.settings = settings
        """The arguments that receive settings."""
        update_wrapper(self, function, updated=())

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<OnStart {self.function.__qualname__}>"

    def run(self, settings: PluginSettings) -> None:
        """Call the function with the settings it asks for, to its end; what it raises passes."""
        given: dict[str, Any] = {name: settings.of(kind) for name, kind in self.settings.items()}
        finished(self.function(**given), keeps_tasks=True)  # type: ignore[call-arg]  # its arguments were looked at


def on_start(function: Callable[P, R], /) -> OnStart[P, R]:
    """Have a function of a plugin run once in every executor, before the first job of the plugin there.

    It may be `async`, and may take settings: an argument annotated with a subclass of `fp.Settings`. What it
    prepares, a model or a connection, it keeps where processes find it, in a variable of its module; what is
    `async` in processes runs in the same event loop, and tasks that it began go on there. It has the
    time that plugins have to load; where it raises, the job fails and the executor is not used again.

    Raises:
        DeclarationError: It has an argument that nobody would fill.
    """
    name = getattr(function, "__qualname__", type(function).__name__)
    with Told(f"{name}()"):
        if isinstance(function, Process):
            raise DeclarationError("it is a process; @fp.on_start stands above a function of its own")
        if not inspect.isfunction(function):
            raise DeclarationError("@fp.on_start stands above a function, without anything in brackets")
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise DeclarationError("it yields; a function that runs at the start just returns")
        signature = inspect.signature(function)
        settings = settings_arguments(hints_of(function), signature)
        for parameter in signature.parameters.values():
            _check_filled(parameter, settings)
    return OnStart(function, settings)


def _check_filled(parameter: inspect.Parameter, settings: Mapping[str, type[Settings]]) -> None:
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        return
    if parameter.name in settings and parameter.kind is not parameter.POSITIONAL_ONLY:
        return
    if parameter.default is parameter.empty:
        raise DeclarationError(
            f"nothing is known for its argument {parameter.name!r}; it may take settings, "
            "`settings: Mine` where Mine is a subclass of fp.Settings"
        )


def start_functions(source: str, processes: Iterable[Process[..., Any]]) -> list[OnStart[..., Any]]:
    """Return the start functions of a plugin that was imported, in the order of their modules and lines.

    Args:
        source: Value of its entry point; functions of this module and of those below it count.
        processes: Its processes; functions of their modules count too.
    """
    return declared_in(OnStart, source, processes)


def start(source: str, processes: Iterable[Process[..., Any]], settings: PluginSettings) -> None:
    """Run the start functions of a plugin; what one raises passes, and the others are not run."""
    for function in start_functions(source, processes):
        function.run(settings)


def settings_types(source: str, processes: Iterable[Process[..., Any]]) -> list[type[Settings]]:
    """Return all types of settings that a plugin that was imported asks for."""
    offered = list(processes)
    askers: list[Process[..., Any] | OnStart[..., Any] | ReferenceScheme[..., Any]] = [
        *offered,
        *start_functions(source, offered),
        *declared_schemes(source, offered).values(),
    ]
    return list(dict.fromkeys(kind for each in askers for kind in each.settings.values()))
