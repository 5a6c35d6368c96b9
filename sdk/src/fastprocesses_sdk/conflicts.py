"""Of several plugins that offer a process of the same id one keeps it; the others are quarantined."""

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from fastprocesses_sdk.description import PluginRecord, ProcessRecord

Origin = tuple[str, str]
"""What stays the same when a plugin is upgraded: its distribution and the name of its entry point."""


def standing_of(plugins: Iterable[PluginRecord]) -> dict[str, Origin]:
    """Tell by process id which plugin offers it, for `settled` at the next start."""
    return {
        process.description.id: _origin(plugin)
        for plugin in plugins
        if plugin.state == "loaded"
        for process in plugin.processes
    }


def settled(
    plugins: Iterable[PluginRecord], standing: Mapping[str, Origin] | None = None
) -> list[PluginRecord]:
    """Quarantine each plugin that offers an id which another keeps; all of its processes or none are offered.

    Args:
        plugins: By distribution and entry point name, which decides where nothing else does.
        standing: Which plugin has offered a process until now. It keeps it.
    """
    records = list(plugins)
    before = _present(standing or {}, records)
    owners: dict[str, PluginRecord] = {}
    refused: dict[int, str] = {}
    for number in sorted(range(len(records)), key=lambda number: _intrudes(records[number], before)):
        records[number] = _without_repeated(records[number], owners)
        ids = _ids(records[number])
        taken = next((process_id for process_id in ids if process_id in owners), None)
        if taken is None:
            owners |= dict.fromkeys(ids, records[number])
        else:
            refused[number] = _reason(taken, owners[taken], is_standing=taken in before)
    return [
        replace(record, state="quarantined", reason=refused[number], processes=[])
        if number in refused
        else record
        for number, record in enumerate(records)
    ]


def _without_repeated(record: PluginRecord, owners: Mapping[str, PluginRecord]) -> PluginRecord:
    """Leave out what another entry point of the same distribution offers too: it is offered once."""
    kept = [each for each in record.processes if not _repeats(each, record, owners.get(each.description.id))]
    return replace(record, processes=kept)


def _repeats(process: ProcessRecord, record: PluginRecord, owner: PluginRecord | None) -> bool:
    if owner is None or not record.distribution or owner.distribution != record.distribution:
        return False
    return any(each.digest == process.digest for each in owner.processes)


def _present(standing: Mapping[str, Origin], records: list[PluginRecord]) -> dict[str, Origin]:
    """Take what has stood and is still offered."""
    offered = {(process_id, _origin(record)) for record in records for process_id in _ids(record)}
    return {process_id: origin for process_id, origin in standing.items() if (process_id, origin) in offered}


def _intrudes(record: PluginRecord, standing: Mapping[str, Origin]) -> bool:
    own = _origin(record)
    return any(standing.get(process_id, own) != own for process_id in _ids(record))


def _reason(process_id: str, owner: PluginRecord, *, is_standing: bool) -> str:
    since = ", which offered it before" if is_standing else ""
    return (
        f"the process id {process_id!r} is taken by {owner.distribution} ({owner.name}){since}; "
        "choose another, or uninstall one of the two"
    )


def _origin(record: PluginRecord) -> Origin:
    return record.distribution, record.name


def _ids(record: PluginRecord) -> list[str]:
    return [process.description.id for process in record.processes] if record.state == "loaded" else []
