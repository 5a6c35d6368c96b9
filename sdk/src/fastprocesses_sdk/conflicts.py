"""Of several plugins that offer a process of the same id, or fetch the same scheme, one keeps it.

The others are quarantined. A scheme is written with its colon, which no id has: `s3:`.
"""

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from fastprocesses_sdk.description import PluginRecord, ProcessRecord

Origin = tuple[str, str]
"""What stays the same when a plugin is upgraded: its distribution and the name of its entry point."""


def standing_of(plugins: Iterable[PluginRecord]) -> dict[str, Origin]:
    """Tell by process id, and by scheme, which plugin offers it, for `settled` at the next start."""
    return {offered: _origin(plugin) for plugin in plugins for offered in _offers(plugin)}


def settled(
    plugins: Iterable[PluginRecord], standing: Mapping[str, Origin] | None = None
) -> list[PluginRecord]:
    """Quarantine each plugin that offers an id or a scheme which another keeps; all that it has is offered or nothing.

    Args:
        plugins: By distribution and entry point name, which decides where nothing else does.
        standing: Which plugin has offered a process or a scheme until now. It keeps it.
    """
    records = list(plugins)
    before = _present(standing or {}, records)
    owners: dict[str, PluginRecord] = {}
    refused: dict[int, str] = {}
    for number in sorted(range(len(records)), key=lambda number: _intrudes(records[number], before)):
        records[number] = _without_repeated(records[number], owners)
        offers = _offers(records[number])
        taken = next((offered for offered in offers if offered in owners), None)
        if taken is None:
            owners |= dict.fromkeys(offers, records[number])
        else:
            refused[number] = _reason(taken, owners[taken], is_standing=taken in before)
    return [
        replace(record, state="quarantined", reason=refused[number], processes=[], reference_schemes=[])
        if number in refused
        else record
        for number, record in enumerate(records)
    ]


def _without_repeated(record: PluginRecord, owners: Mapping[str, PluginRecord]) -> PluginRecord:
    """Leave out what another entry point of the same distribution offers too: it is offered once."""
    kept = [each for each in record.processes if not _repeats(each, record, owners.get(each.description.id))]
    schemes = [
        scheme
        for scheme in record.reference_schemes
        if not _is_of_same_distribution(record, owners.get(f"{scheme}:"))
    ]
    return replace(record, processes=kept, reference_schemes=schemes)


def _repeats(process: ProcessRecord, record: PluginRecord, owner: PluginRecord | None) -> bool:
    if owner is None or not _is_of_same_distribution(record, owner):
        return False
    return any(each.digest == process.digest for each in owner.processes)


def _is_of_same_distribution(record: PluginRecord, owner: PluginRecord | None) -> bool:
    return owner is not None and bool(record.distribution) and owner.distribution == record.distribution


def _present(standing: Mapping[str, Origin], records: list[PluginRecord]) -> dict[str, Origin]:
    """Take what has stood and is still offered."""
    offered = {(name, _origin(record)) for record in records for name in _offers(record)}
    return {name: origin for name, origin in standing.items() if (name, origin) in offered}


def _intrudes(record: PluginRecord, standing: Mapping[str, Origin]) -> bool:
    own = _origin(record)
    return any(standing.get(offered, own) != own for offered in _offers(record))


def _reason(offered: str, owner: PluginRecord, *, is_standing: bool) -> str:
    what = f"the scheme {offered[:-1]!r}" if offered.endswith(":") else f"the process id {offered!r}"
    since = ", which offered it before" if is_standing else ""
    return (
        f"{what} is taken by {owner.distribution} ({owner.name}){since}; "
        "choose another, or uninstall one of the two"
    )


def _origin(record: PluginRecord) -> Origin:
    return record.distribution, record.name


def _offers(record: PluginRecord) -> list[str]:
    if record.state != "loaded":
        return []
    return [
        *(process.description.id for process in record.processes),
        *(f"{scheme}:" for scheme in record.reference_schemes),
    ]
