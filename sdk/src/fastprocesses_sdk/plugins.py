"""Entry points → plugins: a record that tells what became of each, and the processes of one that is to run.

An entry point of the group `fastprocesses.processes` names a module (its own processes are taken, in order),
one process, an iterable or a callable of processes, or an object with the hook `fastprocesses_processes`.
"""

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from importlib import import_module
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
from pluggy import PluginManager, PluginValidationError

from fastprocesses_sdk import __version__, hooks
from fastprocesses_sdk.configured import GivenSettings, PluginSettings
from fastprocesses_sdk.declare import declare
from fastprocesses_sdk.described import is_described
from fastprocesses_sdk.description import PluginRecord, ProcessRecord
from fastprocesses_sdk.errors import DeclarationError, PluginError, told
from fastprocesses_sdk.installed import InstalledPlugin
from fastprocesses_sdk.processes import Process
from fastprocesses_sdk.schemes import ReferenceScheme, declared_schemes
from fastprocesses_sdk.starting import settings_types

HOOK = hooks.fastprocesses_processes.__name__
MAX_DESCRIPTION_BYTES = 1 << 20
"""Of one process; what is larger carries data that belongs elsewhere."""
MAX_PROCESSES = 10_000
"""Of one plugin."""


def describe_plugin(plugin: InstalledPlugin, given: GivenSettings | None = None) -> PluginRecord:
    """Import a plugin and tell what it offers. Whatever it raises becomes the reason of its quarantine.

    Args:
        plugin: The plugin.
        given: What the operator set for it. None: its settings are not looked at.
    """
    try:
        _check_sdk(plugin)
        processes = load_plugin(plugin.source, plugin.distribution, plugin.version)
        records = [_checked(process) for process in processes.values()]
        schemes = declared_schemes(plugin.source, processes.values())
        if given is not None:
            PluginSettings(given).check(settings_types(plugin.source, processes.values()))
    except PluginError as error:
        return plugin.record("quarantined", reason=error.reason)
    except BaseException as error:
        return plugin.record("quarantined", reason=f"describing it failed: {_told(error)}")
    return plugin.record("loaded", processes=records, reference_schemes=schemes)


def load_plugin(source: str, distribution: str = "", version: str = "") -> Mapping[str, "Process[..., Any]"]:
    """Import a plugin and return its processes by id, in the order of their declaration.

    Args:
        source: Value of the entry point, `package.module` or `package.module:attribute`.
        distribution: Name of its distribution, for error texts.
        version: Version of its distribution, which its processes have unless they declare one.

    Raises:
        PluginError: It cannot be imported, or offers neither processes nor a scheme of references; the reason says
            what to do.
    """
    target = _resolve(source)
    found = _through_hook(target)
    if not found and not declared_schemes(source, ()):
        raise PluginError(f"no process found in {source}; did you forget @process?")
    processes: dict[str, Process[..., Any]] = {}
    for process in found:
        if process.id in processes:
            raise PluginError(
                f"it offers two processes with the id {process.id!r}; give one of them another id"
            )
        processes[process.id] = process.with_version(version)
    return processes


def _resolve(source: str) -> Any:
    try:
        return _named(source)
    except ModuleNotFoundError as error:
        raise PluginError(
            f"{source} cannot be imported: {error}; is everything it needs installed?"
        ) from error
    except AttributeError as error:
        if place := _place(error):
            raise PluginError(f"importing {source} failed: {told(error)}{place}; mend it there") from error
        raise PluginError(
            f"{source} cannot be found: {error}; correct the entry point, and install it again"
        ) from error
    except SystemExit as error:
        raise PluginError(
            f"importing {source} called sys.exit({error.code!r}){_place(error)}; what a program does when it is "
            'run belongs under `if __name__ == "__main__":`'
        ) from error
    except DeclarationError as error:
        raise PluginError(f"{error}{_place(error)}") from error
    except BaseException as error:
        raise PluginError(f"importing {source} failed: {_told(error)}; mend it there") from error


def _named(source: str) -> Any:
    """Give what the value of an entry point names.

    Like `EntryPoint.load`, without the modules that read metadata: they would take a megabyte of every executor.
    """
    module, _, attribute = source.partition("[")[0].partition(":")
    return reduce(getattr, filter(None, attribute.strip().split(".")), import_module(module.strip()))


# Collecting


class _Manager(PluginManager):
    """Takes every function named like a hook for one, so that a misspelt one is found, marked or not."""

    def parse_hookimpl_opts(self, plugin: object, name: str) -> Any:
        if name.startswith(f"{hooks.PROJECT}_") and callable(getattr(plugin, name, None)):
            return super().parse_hookimpl_opts(plugin, name) or {}
        return super().parse_hookimpl_opts(plugin, name)


class _Offer:
    """A plugin that has no hook of its own."""

    def __init__(self, collect: Callable[[], Iterable[Any]]) -> None:
        self.collect = collect

    @hooks.hookimpl
    def fastprocesses_processes(self) -> Iterable[Any]:
        return self.collect()


def _through_hook(target: Any) -> list["Process[..., Any]"]:
    """Register the plugin alone and call its hook: one that raises harms no other."""
    manager = _Manager(hooks.PROJECT)
    manager.add_hookspecs(hooks)
    try:
        manager.register(target if _has_hooks(target) else _Offer(lambda: _collected(target)))
        manager.check_pending()
        offered = [process for processes in getattr(manager.hook, HOOK)() for process in _each(processes)]
    except (PluginError, DeclarationError) as error:
        raise PluginError(str(error)) from error
    except PluginValidationError as error:
        told = " ".join(str(error).split())
        raise PluginError(f"{told}; the only hook is {HOOK}(), without arguments") from error
    except BaseException as error:
        raise PluginError(f"asking it for its processes failed: {_told(error)}; mend it there") from error
    return list({id(process): process for process in offered}.values())


def _has_hooks(target: Any) -> bool:
    if isinstance(target, Process) or (isinstance(target, type) and is_described(target)):
        return False
    return any(
        name.startswith(f"{hooks.PROJECT}_") and callable(getattr(target, name, None)) for name in dir(target)
    )


def _collected(target: Any) -> Iterable[Any]:
    if isinstance(target, ModuleType):
        return _own_processes(target)
    if isinstance(target, ReferenceScheme):
        return []
    if isinstance(target, Process) or is_described(target):
        return [target]
    if inspect.isroutine(target) or (callable(target) and not isinstance(target, type)):
        return _each(target())
    return _each(target)


def _own_processes(module: ModuleType) -> list[Any]:
    """Take the processes of a module in order: those declared anywhere in its package, those of others not."""
    found = [value for value in vars(module).values() if isinstance(value, Process) or _is_own_class(value)]
    declared = {
        type(getattr(value.function, "__self__", None)) for value in found if isinstance(value, Process)
    }
    own = _package_of(module.__name__)
    return [
        value
        for value in found
        if value not in declared and (value.__module__ == own or value.__module__.startswith(f"{own}."))
    ]


def _package_of(name: str) -> str:
    """Return the outermost package that a module belongs to; namespaces are shared by several."""
    parent = name.rpartition(".")[0]
    is_package = getattr(sys.modules.get(parent), "__file__", None) is not None
    return _package_of(parent) if is_package else name


def _is_own_class(value: Any) -> bool:
    return isinstance(value, type) and is_described(value)


def _each(offered: Any) -> list["Process[..., Any]"]:
    if isinstance(offered, Process) or is_described(offered):
        offered = [offered]
    elif isinstance(offered, Mapping):
        offered = offered.values()
    elif isinstance(offered, str | bytes) or not isinstance(offered, Iterable):
        raise PluginError(
            f"it offers something of type {type(offered).__name__}, which is no process; {_FORMS}"
        )
    found = [_as_process(each) for each in islice(offered, MAX_PROCESSES + 1)]
    if len(found) > MAX_PROCESSES:
        raise PluginError(f"it offers more than {MAX_PROCESSES} processes; does what it offers ever end?")
    return found


def _as_process(offered: Any) -> "Process[..., Any]":
    if isinstance(offered, Process):
        return offered
    if is_described(offered):
        return declare(offered, {})
    hint = "; write @fp.process above it" if inspect.isfunction(offered) else f"; {_FORMS}"
    raise PluginError(
        f"it offers {getattr(offered, '__qualname__', repr(offered)[:80])}, which is no process{hint}"
    )


_FORMS = (
    "an entry point names a module, a process, an iterable or callable of processes, "
    f"or an object with the hook {HOOK}()"
)


def _check_sdk(plugin: InstalledPlugin) -> None:
    from fastprocesses_sdk.requirements import sdk_conflict  # only discovery needs it

    conflict = sdk_conflict(plugin.distribution, plugin.requires, __version__)
    if conflict:
        raise PluginError(conflict)


def _checked(process: "Process[..., Any]") -> ProcessRecord:
    """Return its record if others can read it; a Struct takes any value, and a schema may be any dict."""
    try:
        record = process.record
        text = msgspec.json.encode(record)
        msgspec.json.decode(text, type=ProcessRecord)
    except (msgspec.ValidationError, TypeError, ValueError, RecursionError) as error:
        raise PluginError(f"the description of {process.id!r} cannot be told: {error}; correct it") from None
    if len(text) > MAX_DESCRIPTION_BYTES:
        raise PluginError(
            f"the description of {process.id!r} has {len(text)} bytes, more than the {MAX_DESCRIPTION_BYTES} "
            "allowed; take data out of its texts, its example and its schemas"
        )
    _check_schemas(record)
    return record


def _check_schemas(record: ProcessRecord) -> None:
    """Raise PluginError for what no validator would understand; only where there is a validator, as beside a server."""
    from fastprocesses_sdk import validation  # only discovery needs it

    if not validation.is_available():
        return
    for kind, described in (("input", record.description.inputs), ("output", record.description.outputs)):
        for name, each in described.items():
            fault = validation.structure_fault(each.schema)
            if fault:
                raise PluginError(
                    f"the schema of the {kind} {name!r} of {record.description.id!r} is no JSON Schema: {fault}; "
                    "correct it"
                )


def _told(error: BaseException) -> str:
    return " ".join(told(error).split())[:500] + _place(error)


def _place(error: BaseException) -> str:
    """Where it was raised, as `file.py:12`: the innermost line that is not of the import machinery or the SDK."""
    trace, place = error.__traceback__, ""
    own = str(Path(__file__).parent)
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith(("<", own)) and "importlib" not in file:
            place = f" (at {file.replace(chr(92), '/').rsplit('/', 1)[-1]}:{trace.tb_lineno})"
        trace = trace.tb_next
    return place
