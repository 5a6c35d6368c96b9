"""Process list, summaries and descriptions (S1.2, S1.5, S2.2)."""

import json

import msgspec
import pytest
from fastprocesses_host.ogc.links import REL, Urls
from fastprocesses_host.ogc.processes import (
    described_media_types,
    is_scalar,
    process_description,
    process_list,
    process_summary,
    produced_media_types,
)
from fastprocesses_sdk.description import Link, ProcessDescription

from tests.ogc.examples import BBOX_SCHEMA, GML, OUTPUTS, TIFF, described_input, described_output, process
from tests.ogc.official import faults

URLS, PAGES = Urls("https://example.org"), Urls("https://example.org", html=True)
JSON = "application/json"

INPUTS = {
    "text": described_input({"type": "string", "default": "x"}, min_occurs=0),
    "numbers": described_input({"type": "array", "items": {"type": "number"}}, max_occurs="unbounded"),
    "bbox": described_input(BBOX_SCHEMA, max_occurs=3),
}
DESCRIPTION = process(
    INPUTS,
    OUTPUTS,
    keywords=["a"],
    example={"inputs": {"text": "x"}},
    links=[Link(href="https://docs.example.org", rel="about", type="text/html")],
).description


def official_echo(shared) -> ProcessDescription:
    raw = json.loads((shared / "cite/echo-process.json").read_bytes())
    for told in [*raw["inputs"].values(), *raw["outputs"].values()]:
        told.setdefault("description", told["title"])
    return msgspec.convert(raw, ProcessDescription)


def test_a_description_has_all_its_links_and_then_the_plugins_own():
    relations = [link.rel for link in process_description(DESCRIPTION, PAGES).links]

    execute = REL + "execute"
    assert relations == [
        "self", "alternate", execute, execute.replace("http", "https"), "profile", "service", "up", "about",
    ]  # fmt: skip


def test_the_execute_link_leads_to_the_execution():
    links = process_description(DESCRIPTION, URLS).links

    assert [link.href for link in links if link.rel == REL + "execute"] == [
        "https://example.org/processes/test/execution"
    ]
    assert all(link.type for link in links)


def test_a_summary_links_to_the_description():
    """/req/core/process-summary-links."""
    links = process_summary(DESCRIPTION, PAGES).links

    assert [(link.rel, link.type) for link in links] == [("self", JSON), ("alternate", "text/html")]
    assert links[0].href == "https://example.org/processes/test"


def test_a_page_links_to_itself_and_its_neighbours():
    page = process_list([DESCRIPTION], PAGES, self_url="https://x/?limit=1", next_url="N")

    assert [(link.rel, link.href) for link in page.links] == [
        ("self", "https://x/?limit=1"), ("alternate", "https://x/?limit=1&f=html"), ("next", "N"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["dismiss"], ["sync-execute", "dismiss"]),
        ([], ["sync-execute"]),
        (["async-execute"], ["async-execute"]),
        (["sync-execute", "async-execute", "dismiss"], ["sync-execute", "async-execute", "dismiss"]),
    ],
)
def test_the_way_a_process_runs_is_always_told(options, told):
    """Neither option listed: synchronous (S1.3)."""
    description = process(job_control_options=options).description

    assert process_description(description, URLS).job_control_options == told
    assert process_summary(description, URLS).job_control_options == told


@pytest.mark.parametrize("urls", [URLS, PAGES])
@pytest.mark.parametrize("version", ["v1.0", "v2.0"])
def test_lists_and_descriptions_are_valid_by_both_versions(shared, version, urls):
    for description in (DESCRIPTION, official_echo(shared)):
        assert faults(shared, version, "process", process_description(description, urls)) == []
        assert faults(shared, version, "processSummary", process_summary(description, urls)) == []
        assert faults(shared, version, "processList", process_list([description], urls)) == []


def test_a_description_on_the_wire_has_the_standards_names():
    wire = msgspec.json.decode(msgspec.json.encode(process_description(DESCRIPTION, URLS)))

    assert {"jobControlOptions", "outputTransmission", "inputs", "outputs", "example"} <= wire.keys()
    assert wire["inputs"]["numbers"]["maxOccurs"] == "unbounded"
    assert wire["inputs"]["text"]["minOccurs"] == 0
    assert list(wire["inputs"]) == list(INPUTS)


@pytest.mark.parametrize(
    ("schema", "offered", "produced"),
    [
        ({"type": "string"}, ["text/plain", JSON], []),
        ({"type": "object"}, [JSON], []),
        ({"format": "geojson-feature"}, ["application/geo+json", JSON], ["application/geo+json"]),
        (
            {"format": "http://www.opengis.net/def/format/ogcapi-processes/0/geojson-geometry"},
            ["application/geo+json", JSON],
            ["application/geo+json"],
        ),
        (OUTPUTS["image"].schema, [TIFF], [TIFF]),
        (OUTPUTS["choice"].schema, [GML, "application/geo+json", JSON], [GML, "application/geo+json"]),
    ],
)
def test_the_media_types_of_an_output_are_read_off_its_schema(schema, offered, produced):
    assert described_media_types(described_output(schema)) == offered
    assert produced_media_types(described_output(schema)) == produced


@pytest.mark.parametrize(
    ("schema", "scalar"),
    [
        ({"type": ["string", "null"]}, False),
        ({"type": ["string", "number"]}, True),
        ({"type": []}, False),
        ({}, False),
    ],
)
def test_scalars_are_known_by_their_schema(schema, scalar):
    assert is_scalar(schema) is scalar
