"""What is offered: the processes of all environments, with what their inputs must be."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import cached_property
from types import MappingProxyType
from typing import Any

import msgspec
from fastprocesses_sdk.description import PluginRecord, Policy, ProcessDescription
from fastprocesses_sdk.geojson_text import is_certainly
from msgspec import Raw, Struct
from msgspec.structs import replace

from fastprocesses_host.ogc.examples import with_qualified_example
from fastprocesses_host.ogc.exceptions import NoSuchProcess
from fastprocesses_host.ogc.languages import all_languages
from fastprocesses_host.ogc.negotiation import same_media_type
from fastprocesses_host.ogc.processes import format_code
from fastprocesses_host.ogc.search import search_text
from fastprocesses_host.schemas.reading import current, geojson_kind, is_any_base64
from fastprocesses_host.schemas.validators import ValueSchema, is_certainly_base64
from fastprocesses_host.store.announcements import Announcement


class Format(Struct, frozen=True):
    """One format an input can be sent in: a branch of its schema, or the schema itself."""

    media_type: str
    """As `contentMediaType` says; empty: plain JSON."""
    schema: ValueSchema
    is_binary: bool
    """Values are base64 (/req/ogc-process-description/input-binary)."""


class InputSchema:
    """What one value of an input must be.

    Args:
        input_id: The input.
        schema: Its schema; of several formats a `oneOf`, whose first branch is the default
            (/req/ogc-process-description/input-mixed-type).
        reference_schemes: Of URLs, besides those the server knows itself, that a value can be fetched from.
    """

    def __init__(
        self, input_id: str, schema: Mapping[str, Any], reference_schemes: Sequence[str] = ()
    ) -> None:
        self.reference_schemes = reference_schemes
        self._schema: Mapping[str, Any] = current(schema)
        self.whole = ValueSchema(self._schema, f"the input {input_id}")

    @cached_property
    def formats(self) -> tuple[Format, ...]:
        """The formats a value can have, the default first; one at least."""
        branches = self._schema.get("oneOf") or self._schema.get("anyOf") or ()
        if any(isinstance(branch, Mapping) and "contentMediaType" in branch for branch in branches):
            return tuple(_format(branch, ValueSchema(branch, self.whole.name)) for branch in branches)
        return (_format(self._schema, self.whole),)

    @cached_property
    def plain(self) -> Format | None:
        """The only format, where nothing but its schema decides whether a value is in it."""
        only, *others = self.formats
        return None if others or only.is_binary or self.is_bbox else only

    def recognises(self, document: bytes | Raw) -> bool:
        """Tell whether a JSON document, not decoded, certainly is a value: a GeoJSON object, or base64."""
        if self._geojson_kind:
            return is_certainly(self._geojson_kind, document)
        return self.is_any_base64 and is_certainly_base64(document)

    @cached_property
    def _geojson_kind(self) -> str:
        return geojson_kind(self._schema)

    @cached_property
    def is_any_base64(self) -> bool:
        """Whether values are all strings in base64, and nothing else."""
        return is_any_base64(self._schema)

    @cached_property
    def is_bbox(self) -> bool:
        """Whether values are bounding boxes (bbox.yaml)."""
        parts = (self._schema, *self._schema.get("allOf", ()))
        return any(isinstance(part, Mapping) and format_code(part) == "ogc-bbox" for part in parts)

    def formats_of(self, media_type: str) -> tuple[Format, ...]:
        """Find the formats of a media type; several branches may share one, as kinds of GeoJSON do."""
        return tuple(known for known in self.formats if same_media_type(known.media_type, media_type))

    def requires(self, member: str) -> bool:
        """Tell whether values are objects that must have a member of this name."""
        return _requires(self._schema, member)


class OfferedProcess(Struct, frozen=True, kw_only=True, dict=True):
    """A process that can be executed."""

    description: ProcessDescription
    policy: Policy
    digest: str
    environment: str
    """Where it is installed; its jobs run there."""
    plugin: str
    """Name of the plugin that offers it."""
    reference_schemes: tuple[str, ...] = ()
    """Of URLs that plugins beside it fetch inputs from."""

    @cached_property
    def search_text(self) -> str:
        """What a search looks into."""
        return search_text(self.description)

    @cached_property
    def input_schemas(self) -> Mapping[str, InputSchema]:
        """What the inputs must be; each is compiled when it is first used."""
        return MappingProxyType(
            {
                input_id: InputSchema(input_id, told.schema, self.reference_schemes)
                for input_id, told in self.description.inputs.items()
            }
        )

    @cached_property
    def input_places(self) -> Mapping[str, int]:
        """Where each input stands in the description."""
        return {input_id: place for place, input_id in enumerate(self.description.inputs)}

    @cached_property
    def required_inputs(self) -> frozenset[str]:
        """The inputs that must be given."""
        return frozenset(
            input_id for input_id, told in self.description.inputs.items() if told.min_occurs > 0
        )

    @cached_property
    def takes_base64(self) -> bool:
        """Whether there is an input whose values, given once each, are all strings in base64."""
        return any(
            told.max_occurs == 1 and self.input_schemas[input_id].is_any_base64
            for input_id, told in self.description.inputs.items()
        )


class Catalog(Struct, frozen=True, kw_only=True):
    """All that is offered at one time; it never changes."""

    processes: Mapping[str, OfferedProcess]
    """By id, in the order of the ids."""
    plugins: tuple[PluginRecord, ...]
    etag: str
    """Changes with every description."""
    languages: tuple[str, ...] = ()
    """Of the processes that have texts in several."""

    @classmethod
    def from_announcements(cls, announcements: Iterable[Announcement]) -> "Catalog":
        """Unite what the environments offer.

        Of processes of the same id the one of the first environment, by name, is offered; the other plugin is
        quarantined.
        """
        offered: dict[str, OfferedProcess] = {}
        plugins: list[PluginRecord] = []
        for announcement in sorted(announcements, key=lambda told: told.environment):
            environment, found = announcement.environment, announcement.discovery.plugins
            schemes = _reference_schemes(found)
            plugins += [_admitted(plugin, environment, schemes, offered) for plugin in found]
        processes = dict(sorted(offered.items()))
        return cls(
            processes=MappingProxyType(processes),
            plugins=tuple(plugins),
            etag=_etag(processes.values()),
            languages=all_languages(process.description for process in processes.values()),
        )

    def plugin_version(self, name: str) -> str:
        """Give the version of the distribution of a plugin; of several environments' that of the first."""
        return next((plugin.version for plugin in self.plugins if plugin.name == name), "")

    def get(self, process_id: str) -> OfferedProcess:
        """Find a process (/req/core/process-exception/no-such-process).

        Raises:
            NoSuchProcess: none of this id is offered.
        """
        if process_id in self.processes:
            return self.processes[process_id]
        raise NoSuchProcess(
            f"No process {process_id[:100]} is offered.{did_you_mean(process_id, self.processes)}"
        )


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Give a sentence that names the known name nearest to a wrong one; empty when none is near."""
    near = get_close_matches(name[:100], list(known), n=1)
    return f" Did you mean {near[0]}?" if near else ""


def _reference_schemes(plugins: Iterable[PluginRecord]) -> tuple[str, ...]:
    return tuple(
        sorted(scheme for each in plugins if each.state == "loaded" for scheme in each.reference_schemes)
    )


def _admitted(
    plugin: PluginRecord, environment: str, schemes: tuple[str, ...], offered: dict[str, OfferedProcess]
) -> PluginRecord:
    """Add the processes of a plugin to what is offered; all of them or none."""
    if plugin.state != "loaded":
        return plugin
    for record in plugin.processes:
        taken = offered.get(record.description.id)
        if taken is not None:
            where = f"{taken.plugin} in the environment {taken.environment}"
            reason = f"The process {record.description.id} is already offered by {where}."
            return replace(plugin, state="quarantined", reason=reason)
    for record in plugin.processes:
        offered[record.description.id] = OfferedProcess(
            description=with_qualified_example(record.description),
            policy=record.policy,
            digest=record.digest,
            environment=environment,
            plugin=plugin.name,
            reference_schemes=schemes,
        )
    return plugin


def _etag(processes: Iterable[OfferedProcess]) -> str:
    told = [(process.description.id, process.digest, process.environment) for process in processes]
    return hashlib.sha256(msgspec.json.encode(told)).hexdigest()[:16]


def _format(schema: Any, compiled: ValueSchema) -> Format:
    if not isinstance(schema, Mapping):
        return Format("", compiled, is_binary=False)
    is_binary = schema.get("contentEncoding") in ("base64", "binary") or schema.get("format") in (
        "byte",
        "binary",
    )
    return Format(str(schema.get("contentMediaType", "")), compiled, is_binary)


def _requires(schema: Any, member: str) -> bool:
    if not isinstance(schema, Mapping):
        return False
    if member in schema.get("required", ()):
        return True
    branches: Sequence[Any] = [
        branch for word in ("allOf", "oneOf", "anyOf") for branch in schema.get(word, ())
    ]
    return any(_requires(branch, member) for branch in branches)
