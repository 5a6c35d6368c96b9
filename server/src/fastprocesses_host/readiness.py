"""What a starting host tells its supervisor, and what the supervisor tells the user."""

from collections.abc import Iterator, Sequence

from fastprocesses_sdk.description import PluginRecord
from msgspec import Struct


class Readiness(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line from the host: what is still missing, or, when nothing is, the plugins it knows."""

    missing: list[str] = []
    plugins: list[PluginRecord] = []


def summary(*, version: str, url: str, plugins: Sequence[PluginRecord], data: str) -> str:
    """Tell whoever started the host what it offers, where its data lies and how it is stopped."""
    rows = [("URL", url), *_rows("Processes", _processes(plugins))]
    rows += _rows(
        "Plugins", (f"{record.name} ({_origin(record)})" for record in plugins if _is_loaded(record))
    )
    rows += _rows(
        "Left out",
        (
            f"{record.name} ({_origin(record)}): {record.reason}"
            for record in plugins
            if not _is_loaded(record)
        ),
    )
    rows += [("Data", data), ("Stop", "Ctrl-C")]
    lines = [f"  {label:<10} {text}" for label, text in rows]
    return "\n".join(["", f"fastprocesses-host {version} is ready.", "", *lines, ""])


def _processes(plugins: Sequence[PluginRecord]) -> Iterator[str]:
    offered = {
        process.description.id: process.description.title
        for record in plugins
        if _is_loaded(record)
        for process in record.processes
    }
    width = max(map(len, offered), default=0)
    for process_id, title in sorted(offered.items()):
        yield f"{process_id:<{width}}  {title}"


def _rows(label: str, texts: Iterator[str]) -> Iterator[tuple[str, str]]:
    for number, text in enumerate(texts):
        yield ("" if number else label), " ".join(text.splitlines()).rstrip()


def _is_loaded(record: PluginRecord) -> bool:
    return record.state == "loaded"


def _origin(record: PluginRecord) -> str:
    return f"{record.distribution} {record.version}"
