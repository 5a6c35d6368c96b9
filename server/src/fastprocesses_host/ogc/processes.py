"""Processes as the standard shows them: the list, the summaries, the descriptions (S1.2, S1.5, S2.2)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fastprocesses_sdk.description import (
    JobControlOption,
    Link,
    OutputDescription,
    ProcessDescription,
    TransmissionMode,
)
from msgspec import UNSET, Struct
from msgspec.structs import replace

from fastprocesses_host.ogc.links import JSON, PROFILE, Urls, page_links

GEOJSON = "application/geo+json"
TEXT = "text/plain"
_SCALARS = frozenset({"string", "number", "integer", "boolean"})
_FORMATS = "www.opengis.net/def/format/ogcapi-processes/0/"


class ProcessSummary(Struct, frozen=True, kw_only=True, rename="camel"):
    """A process in the list (processSummary.yaml)."""

    id: str
    version: str
    title: str
    description: str
    keywords: list[str]
    metadata: list[dict[str, Any]]
    job_control_options: list[JobControlOption]
    output_transmission: list[TransmissionMode]
    links: list[Link]


class ProcessList(Struct, frozen=True, kw_only=True):
    """The process list (processList.yaml)."""

    processes: list[ProcessSummary]
    links: list[Link]


def process_summary(description: ProcessDescription, urls: Urls) -> ProcessSummary:
    """Give a process's entry in the list, with links to its description (/req/core/process-summary-links)."""
    return ProcessSummary(
        id=description.id,
        version=description.version,
        title=description.title,
        description=description.description,
        keywords=description.keywords,
        metadata=description.metadata,
        job_control_options=control_options(description),
        output_transmission=description.output_transmission,
        links=urls.representations(urls.process(description.id), f"Description of {description.title}"),
    )


def process_description(description: ProcessDescription, urls: Urls) -> ProcessDescription:
    """Give a process description with all its links (/req/ogc-process-description/json-encoding)."""
    return replace(
        description,
        language=UNSET,
        translations=UNSET,
        job_control_options=control_options(description),
        links=[*_process_links(description, urls), *description.links],
    )


def control_options(description: ProcessDescription) -> list[JobControlOption]:
    """Give how a process can be executed: one that says neither way runs synchronously (S1.3)."""
    options = description.job_control_options
    if "sync-execute" in options or "async-execute" in options:
        return options
    return ["sync-execute", *options]


def process_list(
    descriptions: Iterable[ProcessDescription],
    urls: Urls,
    *,
    self_url: str = "",
    next_url: str = "",
    prev_url: str = "",
) -> ProcessList:
    """Give a page of the process list (/req/core/process-list-success, /req/core/pl-links).

    Args:
        descriptions: The processes of this page.
        urls: Where things are.
        self_url: The address asked for, its query included.
        next_url: The next page; empty: there is none.
        prev_url: The page before; empty: there is none.
    """
    return ProcessList(
        processes=[process_summary(description, urls) for description in descriptions],
        links=page_links(
            urls, self_url or urls.processes(), "Processes", next_url=next_url, prev_url=prev_url
        ),
    )


def _process_links(description: ProcessDescription, urls: Urls) -> list[Link]:
    links = urls.representations(urls.process(description.id), "This document")
    links += urls.ogc("execute", urls.execution(description.id), "Execute this process")
    links += [
        Link(
            href=PROFILE + "ogc-process-description",
            rel="profile",
            type=JSON,
            title="Profile of this document",
        ),
        Link(href=urls.landing(), rel="service", type=JSON, title="The service that offers this process"),
        Link(href=urls.processes(), rel="up", type=JSON, title="Processes"),
    ]
    return links


def is_scalar(schema: Mapping[str, Any]) -> bool:
    """Tell whether all values of a schema are strings, numbers or booleans, as far as it says."""
    if "type" in schema:
        told = schema["type"]
        return bool(told) and _SCALARS.issuperset([told] if isinstance(told, str) else told)
    if "enum" in schema:
        return all(isinstance(value, str | int | float) for value in schema["enum"])
    branches = schema.get("oneOf") or schema.get("anyOf") or []
    return bool(branches) and all(isinstance(branch, Mapping) and is_scalar(branch) for branch in branches)


def described_media_types(output: OutputDescription) -> list[str]:
    """List the media types an output can be asked for in, the default first (S1.3, outputs).

    The first branch of a `oneOf` is the default. A value of a schema without a media type is JSON, a scalar
    text before that.
    """
    found = produced_media_types(output)
    if GEOJSON in found and JSON not in found:
        return [*found, JSON]
    return found or ([TEXT, JSON] if is_scalar(output.schema) else [JSON])


def produced_media_types(output: OutputDescription) -> list[str]:
    """List the media types the process itself can give an output in, the default first; none: it is JSON."""
    branches: Sequence[Any] = output.schema.get("oneOf") or output.schema.get("anyOf") or ()
    schemas = (output.schema, *(branch for branch in branches if isinstance(branch, Mapping)))
    return list(dict.fromkeys(filter(None, map(media_type_of, schemas))))


def media_type_of(schema: Mapping[str, Any]) -> str:
    """Give the media type that a schema names itself, not in its branches; empty: none, so it is JSON."""
    told = schema.get("contentMediaType")
    if isinstance(told, str) and told:
        return told
    return GEOJSON if format_code(schema).startswith("geojson-") else ""


def format_code(schema: Mapping[str, Any]) -> str:
    """Give the `format` of a schema as its short code (/rec/ogc-process-description/format-short-code)."""
    told = schema.get("format")
    if not isinstance(told, str):
        return ""
    return told.removeprefix("https://").removeprefix("http://").removeprefix(_FORMATS)
