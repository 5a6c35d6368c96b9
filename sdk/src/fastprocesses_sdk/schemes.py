"""`@reference_scheme`: how a plugin fetches inputs that are given by URLs of a scheme of its own."""

import inspect
import os
import re
from collections.abc import Callable, Iterable, Mapping
from functools import update_wrapper
from pathlib import Path
from typing import Any, Generic, ParamSpec, TypeVar

from msgspec import Struct

from fastprocesses_sdk.arguments import is_job
from fastprocesses_sdk.configured import NO_SETTINGS, PluginSettings
from fastprocesses_sdk.errors import DeclarationError, PluginError
from fastprocesses_sdk.files import files_in
from fastprocesses_sdk.hints import hints_of
from fastprocesses_sdk.job import Job
from fastprocesses_sdk.looping import finished
from fastprocesses_sdk.modules import declared_in
from fastprocesses_sdk.processes import Process
from fastprocesses_sdk.settings import Settings, settings_arguments
from fastprocesses_sdk.telling import Told

P = ParamSpec("P")
R = TypeVar("R")

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{0,39}")
_SERVERS_OWN = {
    "http": "servers fetch it themselves",
    "https": "servers fetch it themselves",
    "data": "servers read it themselves",
    "file": "it would open the disk of the server to everybody",
    "urn": "it names things without saying where they are",
}
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Fetched(Struct, frozen=True):
    """What a URL led to.

    Args:
        path: The file with the content, in the folder that was given.
        media_type: What the content is, as far as its source tells; empty: it does not.
    """

    path: Path
    media_type: str = ""


class ReferenceScheme(Generic[P, R]):
    """A function that fetches what URLs of some schemes lead to. Calling it calls the function."""

    def __init__(
        self,
        function: Callable[P, R],
        schemes: tuple[str, ...],
        job_argument: str,
        settings: Mapping[str, type[Settings]],
    ) -> None:
        self.function = function
        self.schemes = schemes
        """In lower case."""
        self.settings = settings
        """The arguments that receive settings."""
        self._job_argument = job_argument
        update_wrapper(self, function, updated=())

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<ReferenceScheme {', '.join(self.schemes)}>"

    @property
    def name(self) -> str:
        """Name of the function."""
        return self.function.__qualname__

    def fetch(self, url: str, job: Job, settings: PluginSettings = NO_SETTINGS) -> Fetched:
        """Call the function for a URL, to its end; the folder is that of the job.

        Raises:
            PluginError: A setting is missing or wrong.
            TypeError: It did not return a path. What it raises itself passes.
        """
        given: dict[str, Any] = {name: settings.of(kind) for name, kind in self.settings.items()}
        if self._job_argument:
            given[self._job_argument] = job
        with files_in(lambda: job.workdir):
            returned: Any = finished(self.function(url, job.workdir, **given))  # type: ignore[arg-type]  # its arguments were looked at
        fetched = returned if isinstance(returned, Fetched) else Fetched(returned)
        if not isinstance(fetched.path, str | os.PathLike) or not isinstance(fetched.media_type, str):
            raise TypeError(f"{self.name}() returned {type(returned).__name__}, not a path or fp.Fetched")
        return Fetched(job.workdir / fetched.path, fetched.media_type)


def reference_scheme(*schemes: str) -> Callable[[Callable[P, R]], ReferenceScheme[P, R]]:
    """Have a function of a plugin fetch the inputs that are given by URLs of its schemes: `{"href": "s3://…"}`.

    It is called with the URL and with a folder, which goes when the content was taken, and returns the path of the
    file that it wrote there, or `fp.Fetched` to tell the media type too. Besides, it may take the job, an argument
    annotated with `fp.Job`, whose messages the caller sees, and settings, annotated with a subclass of
    `fp.Settings`; it may be `async`. It runs in an executor like a process, within the limits of the job. The URL
    is the caller's word: what it must not open, the function refuses. It raises `fp.ProcessError` for what the
    caller is to know.

    Args:
        *schemes: What stands before the colon.

    Raises:
        DeclarationError: A scheme cannot be a plugin's, or the function has arguments that nobody would fill.
    """

    def declare(function: Callable[P, R]) -> ReferenceScheme[P, R]:
        name = getattr(function, "__qualname__", type(function).__name__)
        with Told(f"{name}()"):
            if isinstance(function, Process) or not inspect.isfunction(function):
                raise DeclarationError("@fp.reference_scheme stands above a function of its own")
            if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
                raise DeclarationError("it yields; a function that fetches returns the path of a file")
            names = tuple(dict.fromkeys(_scheme(each) for each in schemes))
            if not names:
                raise DeclarationError('it names no scheme; write for instance @fp.reference_scheme("s3")')
            return ReferenceScheme(function, names, *_filled(function))

    if any(map(callable, schemes)):
        raise DeclarationError('name the schemes: @fp.reference_scheme("s3")')
    return declare


def declared_schemes(
    source: str, processes: Iterable[Process[..., Any]]
) -> dict[str, ReferenceScheme[..., Any]]:
    """Return by scheme what fetches in a plugin that was imported.

    Args:
        source: Value of its entry point.
        processes: Its processes.

    Raises:
        PluginError: It has two functions for one scheme.
    """
    found: dict[str, ReferenceScheme[..., Any]] = {}
    for each in declared_in(ReferenceScheme, source, processes):
        for scheme in each.schemes:
            if scheme in found:
                raise PluginError(
                    f"it has two functions for the scheme {scheme!r}, {found[scheme].name}() and {each.name}(); "
                    "take one away"
                )
            found[scheme] = each
    return found


def _scheme(given: Any) -> str:
    if not isinstance(given, str) or not _SCHEME.fullmatch(given.lower()):
        raise DeclarationError(
            f"{given!r} is no scheme; it begins with a letter, and has at most 40 letters, digits, +, - and ."
        )
    scheme = given.lower()
    if scheme in _SERVERS_OWN:
        raise DeclarationError(f"the scheme {scheme!r} cannot be a plugin's: {_SERVERS_OWN[scheme]}")
    return scheme


def _filled(function: Callable[..., Any]) -> tuple[str, dict[str, type[Settings]]]:
    """Give the argument for the job, empty where there is none, and those for settings."""
    hints, signature = hints_of(function), inspect.signature(function)
    settings = settings_arguments(hints, signature)
    first, others = list(signature.parameters.values())[:2], list(signature.parameters.values())[2:]
    if len(first) < 2 or any(each.kind not in _POSITIONAL or each.name in settings for each in first):
        raise DeclarationError(
            "its first two arguments are the URL and the folder, `(url: str, folder: Path)`"
        )
    job_argument = ""
    for parameter in others:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        by_name = parameter.kind is not parameter.POSITIONAL_ONLY
        if by_name and is_job(hints.get(parameter.name)):
            job_argument = parameter.name
        elif not (by_name and parameter.name in settings) and parameter.default is parameter.empty:
            raise DeclarationError(
                f"nothing is known for its argument {parameter.name!r}; besides the URL and the folder it may take "
                "the job, `job: fp.Job`, and settings, `settings: Mine` where Mine is a subclass of fp.Settings"
            )
    return job_argument, settings
