"""The plugins of this environment, as the metadata of their distributions tells them."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from fastprocesses_sdk.description import PluginRecord, ProcessRecord

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "fastprocesses.processes"


class InstalledPlugin(Struct, frozen=True, kw_only=True):
    """An entry point, as its distribution tells it, without importing anything."""

    name: str
    distribution: str
    version: str
    source: str
    requires: tuple[str, ...] = ()
    """What its distribution needs, as its metadata tells it."""

    def record(
        self,
        state: Literal["loaded", "quarantined"],
        *,
        reason: str = "",
        processes: Iterable[ProcessRecord] = (),
        reference_schemes: Iterable[str] = (),
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
            reference_schemes=list(reference_schemes),
        )


def installed_plugins() -> list[InstalledPlugin]:
    """Return all plugins of this environment, by distribution and name. Imports none."""
    from importlib.metadata import entry_points  # an executor runs plugins without looking for any

    found = [_installed(entry_point) for entry_point in entry_points(group=GROUP)]
    return sorted(set(found), key=lambda plugin: (plugin.distribution, plugin.name, plugin.source))


def _installed(entry_point: "EntryPoint") -> InstalledPlugin:
    distribution = entry_point.dist
    return InstalledPlugin(
        name=entry_point.name,
        distribution=(distribution.metadata["Name"] or "") if distribution else "",
        version=(distribution.metadata["Version"] or "") if distribution else "",
        source=entry_point.value,
        requires=tuple((distribution.requires if distribution else None) or ()),
    )
