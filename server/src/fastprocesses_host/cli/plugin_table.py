"""The plugins of this Python installation, for a reader and for a program."""

import msgspec
from fastprocesses_sdk.describe import discover
from fastprocesses_sdk.description import Discovery, PluginRecord

from fastprocesses_host.cli.tables import aligned, plain
from fastprocesses_host.settings import Settings

_HEADINGS = ("NAME", "VERSION", "SOURCE", "STATE", "PROCESSES")


def discovered(settings: Settings) -> Discovery:
    """Load every plugin in a child process and tell what became of it."""
    return discover(load_seconds=settings.plugin_load_seconds, settings=settings.plugins)


def as_document(found: Discovery) -> str:
    """Write all that is known as JSON."""
    return msgspec.json.format(msgspec.json.encode(found), indent=2).decode()


def as_table(found: Discovery) -> str:
    """Write one line a plugin, and the reason below one that is left out."""
    if not found.plugins:
        return "No plugins are installed here. Try `pip install fastprocesses-echo`."
    headings, *rows = aligned([_HEADINGS, *map(_row, found.plugins)]).split("\n")
    lines = [headings]
    for row, record in zip(rows, found.plugins, strict=True):
        lines.append(row)
        if record.reason:
            lines.append("    " + plain(" ".join(record.reason.split())))
    return "\n".join(lines)


def _row(record: PluginRecord) -> tuple[str, ...]:
    offered = [process.description.id for process in record.processes]
    offered += [f"{scheme}:" for scheme in record.reference_schemes]
    return record.name, record.version, record.source, record.state, ", ".join(offered) or "-"
