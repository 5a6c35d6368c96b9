"""Entry points → plugins: a record that tells what became of each, and the processes of one that is to run.

An entry point of the group `fastprocesses.processes` names a module (its own processes are taken, in order),
one process, an iterable or a callable of processes, or an object with the hook `fastprocesses_processes`.
"""

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any, Literal

import msgspec
from msgspec import Struct
from pluggy import PluginManager

from fastprocesses_sdk import hooks
from fastprocesses_sdk.declare import declare
from fastprocesses_sdk.described import is_described
from fastprocesses_sdk.description import PluginRecord, ProcessRecord
from fastprocesses_sdk.errors import DeclarationError, PluginError
from fastprocesses_sdk.processes import Process

GROUP = "fastprocesses.processes"
HOOK = hooks.fastprocesses_processes.__name__
MAX_DESCRIPTION_BYTES = 1 << 20
"""Of one process; what is larger carries data that belongs elsewhere."""


class InstalledPlugin(Struct, frozen=True, kw_only=True):
    """An entry point, as its distribution tells it, without importing anything."""

    name: str
    distribution: str
    version: str
    source: str

    def record(
        self,
        state: Literal["loaded", "quarantined"],
        *,
        reason: str = "",
        processes: Iterable[ProcessRecord] = (),
    ) -> PluginRecord:
        """Tell what became of it."""
        return PluginRecord(
            name=self.name,
            distribution=self.distribution,
            version=self.version,
            source=self.source,
            state=state,
            reason=reason,
            processes=list(processes),
        )


def installed_plugins() -> list[InstalledPlugin]:
    """Return all plugins of this environment, by distribution and name. Imports none."""
    found = [_installed(entry_point) for entry_point in entry_points(group=GROUP)]
    return sorted(set(found), key=lambda plugin: (plugin.distribution, plugin.name, plugin.source))


def _installed(entry_point: EntryPoint) -> InstalledPlugin:
    distribution = entry_point.dist
    return InstalledPlugin(
        name=entry_point.name,
        distribution=(distribution.metadata["Name"] or "") if distribution else "",
        version=(distribution.metadata["Version"] or "") if distribution else "",
        source=entry_point.value,
    )


def describe_plugin(plugin: InstalledPlugin) -> PluginRecord:
    """Import a plugin and tell what it offers. Whatever it raises becomes the reason of its quarantine."""
    try:
        processes = load_plugin(plugin.source, plugin.distribution, plugin.version)
        records = [process.record for process in processes.values()]
        for record in records:
            _check_size(record)
    except PluginError as error:
        return plugin.record("quarantined", reason=error.reason)
    except BaseException as error:
        return plugin.record("quarantined", reason=f"describing it failed: {_told(error)}")
    return plugin.record("loaded", processes=records)


def load_plugin(source: str, distribution: str = "", version: str = "") -> Mapping[str, "Process[..., Any]"]:
    """Import a plugin and return its processes by id, in the order of their declaration.

    Args:
        source: Value of the entry point, `package.module` or `package.module:attribute`.
        distribution: Name of its distribution, for error texts.
        version: Version of its distribution, which its processes have unless they declare one.

    Raises:
        PluginError: It cannot be imported, or offers no processes; the reason says what to do.
    """
    target = _resolve(EntryPoint(name=distribution or source, value=source, group=GROUP))
    found = _through_hook(target)
    if not found:
        raise PluginError(f"no process found in {source}; did you forget @process?")
    processes: dict[str, Process[..., Any]] = {}
    for process in found:
        if process.id in processes:
            raise PluginError(
                f"it offers two processes with the id {process.id!r}; give one of them another id"
            )
        processes[process.id] = process.with_version(version)
    return processes


def _resolve(entry_point: EntryPoint) -> Any:
    try:
        return entry_point.load()
    except ModuleNotFoundError as error:
        raise PluginError(
            f"{entry_point.value} cannot be imported: {error}; is everything it needs installed?"
        ) from error
    except AttributeError as error:
        raise PluginError(f"{entry_point.value} cannot be found: {error}") from error
    except SystemExit as error:
        raise PluginError(f"importing {entry_point.value} called sys.exit({error.code!r})") from error
    except BaseException as error:
        raise PluginError(f"importing {entry_point.value} failed: {_told(error)}") from error


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
    except BaseException as error:
        raise PluginError(f"asking it for its processes failed: {_told(error)}") from error
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
    if isinstance(target, Process) or is_described(target):
        return [target]
    if inspect.isroutine(target) or (callable(target) and not isinstance(target, type)):
        return _each(target())
    return _each(target)


def _own_processes(module: ModuleType) -> list[Any]:
    """Take a module's processes in order: those of its submodules too, those of other packages not."""
    found = [value for value in vars(module).values() if isinstance(value, Process) or _is_own_class(value)]
    own = (module.__name__, f"{module.__name__}.")
    return [value for value in found if value.__module__ == own[0] or value.__module__.startswith(own[1])]


def _is_own_class(value: Any) -> bool:
    return isinstance(value, type) and is_described(value)


def _each(offered: Any) -> list["Process[..., Any]"]:
    if isinstance(offered, Process) or is_described(offered):
        offered = [offered]
    elif isinstance(offered, Mapping):
        offered = offered.values()
    elif isinstance(offered, str | bytes) or not isinstance(offered, Iterable):
        raise PluginError(f"it offers a {type(offered).__name__}, which is no process; {_FORMS}")
    return [_as_process(each) for each in offered]


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


def _check_size(record: ProcessRecord) -> None:
    size = len(msgspec.json.encode(record))
    if size > MAX_DESCRIPTION_BYTES:
        raise PluginError(
            f"the description of {record.description.id!r} has {size} bytes, "
            f"more than the {MAX_DESCRIPTION_BYTES} allowed"
        )


def _told(error: BaseException) -> str:
    text = " ".join(str(error).split())[:500]
    where = _place(error)
    return f"{type(error).__name__}: {text}{where}" if text else f"{type(error).__name__}{where}"


def _place(error: BaseException) -> str:
    """Where it was raised, as `file.py:12`: the innermost line that is not of the import machinery."""
    trace, place = error.__traceback__, ""
    own = sys.modules[__name__].__dict__["__file__"]
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith("<") and file != own and "importlib" not in file:
            place = f" (at {file.replace(chr(92), '/').rsplit('/', 1)[-1]}:{trace.tb_lineno})"
        trace = trace.tb_next
    return place
