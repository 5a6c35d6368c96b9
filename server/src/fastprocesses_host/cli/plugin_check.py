"""What is to be changed about the plugins that are installed here, for their authors."""

from collections.abc import Iterator, Sequence

import msgspec
from fastprocesses_sdk.description import PluginRecord, ProcessRecord
from fastprocesses_sdk.testing.checking import Finding, check_description
from msgspec import Struct

_HOW_TO_INSTALL = """\
No plugins are installed here. A plugin is a distribution whose pyproject.toml has an entry point:

    [project.entry-points."fastprocesses.processes"]
    my-plugin = "my_plugin"

Install it beside fastprocesses-host (`pip install --editable .`) and check again."""


class CheckedProcess(Struct, frozen=True, kw_only=True):
    """A process and what is to be changed about it."""

    id: str
    findings: list[Finding]


class CheckedPlugin(Struct, frozen=True, kw_only=True):
    """A plugin and what is to be changed about it."""

    name: str
    distribution: str
    version: str
    source: str
    state: str
    reason: str
    """Why it is left out; empty: it is not."""
    processes: list[CheckedProcess]
    reference_schemes: list[str] = []
    """Of URLs that it fetches inputs from."""


class Report(Struct, frozen=True, kw_only=True):
    """What a check came to."""

    plugins: list[CheckedPlugin]
    errors: int
    """A plugin that is left out counts as one."""
    warnings: int

    def is_fine(self, *, strict: bool) -> bool:
        """Tell whether nothing is wrong; a check of no plugin at all finds nothing that works."""
        return bool(self.plugins) and not self.errors and not (strict and self.warnings)


def checked(plugins: Sequence[PluginRecord], name: str = "") -> Report:
    """Check plugins.

    Args:
        plugins: What became of all plugins that are installed.
        name: Only those with this entry point or of this distribution; empty: all.
    """
    found = [_checked_plugin(plugin) for plugin in plugins if not name or _is_named(plugin, name)]
    severities = [
        finding.severity for plugin in found for process in plugin.processes for finding in process.findings
    ]
    left_out = sum(plugin.state != "loaded" for plugin in found)
    return Report(
        plugins=found, errors=severities.count("error") + left_out, warnings=severities.count("warning")
    )


def nothing_to_check(plugins: Sequence[PluginRecord], name: str) -> str:
    """Say why there was no plugin to check, and what to do."""
    if not plugins:
        return _HOW_TO_INSTALL
    installed = ", ".join(dict.fromkeys(plugin.name for plugin in plugins))
    return f"No plugin {name} is installed here. Installed: {installed}."


def as_text(report: Report) -> str:
    """Write a paragraph a plugin, and what was found in one line at the end."""
    lines = [line for plugin in report.plugins for line in _plugin_lines(plugin)]
    count = sum(len(plugin.processes) for plugin in report.plugins)
    summary = [
        _counted(len(report.plugins), "plugin"),
        _counted(count, "process", "processes"),
        _counted(report.errors, "error"),
        _counted(report.warnings, "warning"),
    ]
    return "\n".join([*lines, ", ".join(summary)])


def as_document(report: Report) -> str:
    """Write all that was found as JSON."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2).decode()


def _checked_plugin(plugin: PluginRecord) -> CheckedPlugin:
    return CheckedPlugin(
        name=plugin.name,
        distribution=plugin.distribution,
        version=plugin.version,
        source=plugin.source,
        state=plugin.state,
        reason=" ".join(plugin.reason.split()),
        processes=[_checked_process(process) for process in plugin.processes],
        reference_schemes=plugin.reference_schemes,
    )


def _checked_process(process: ProcessRecord) -> CheckedProcess:
    return CheckedProcess(id=process.description.id, findings=check_description(process.description))


def _is_named(plugin: PluginRecord, name: str) -> bool:
    return name == plugin.name or _canonical(name) == _canonical(plugin.distribution)


def _canonical(distribution: str) -> str:
    return distribution.lower().replace("_", "-").replace(".", "-")


def _plugin_lines(plugin: CheckedPlugin) -> Iterator[str]:
    yield f"{plugin.name} ({plugin.distribution} {plugin.version}, {plugin.source})"
    if plugin.reason:
        yield f"  error: it is left out: {plugin.reason}"
    for process in plugin.processes:
        yield f"  {process.id}{'' if process.findings else ': nothing to change'}"
        yield from (f"    {finding}" for finding in process.findings)
    if plugin.reference_schemes:
        yield f"  fetches references of {', '.join(f'{scheme}:' for scheme in plugin.reference_schemes)}"


def _counted(number: int, one: str, several: str = "") -> str:
    return f"{number} {one if number == 1 else several or f'{one}s'}"
