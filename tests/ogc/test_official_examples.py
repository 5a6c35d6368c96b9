"""The standard's own example requests, accepted by a process declared like the standard's example.

What the examples get wrong by the standard's own description, and what they only hint at, is put right here, each
with its reason; everything else is sent as it stands in the standard.
"""

import json
from copy import deepcopy
from typing import Any

import msgspec
import pytest
from fastprocesses_host.catalog import OfferedProcess
from fastprocesses_host.inputs import check_request
from fastprocesses_host.ogc.exceptions import InvalidParameterValue
from fastprocesses_host.ogc.execute import parse_execute_request
from fastprocesses_sdk.description import InputDescription, OutputDescription, ProcessDescription

from tests.ogc.examples import process

TIFF, JP2 = (
    {"v1.0": "application/tiff; application=geotiff", "v2.0": "image/tiff; application=geotiff"},
    {
        "v1.0": "application/jp2",
        "v2.0": "image/jp2",
    },
)


def offered(shared, version: str) -> OfferedProcess:
    """The process of the standard's ProcessDescription.json (that of 1.0: that of 2.0 is no valid JSON)."""
    raw = json.loads((shared / "ogc/v1.0/core/examples/json/ProcessDescription.json").read_bytes())
    # The schema requires a member `value` that it does not have, and its example has not.
    raw["inputs"]["measureInput"]["schema"]["required"] = ["measurement", "uom"]
    # The examples name the images by the media types of their version, and their output `imageOutput`.
    for branch, names in zip(raw["inputs"]["imagesInput"]["schema"]["oneOf"], (TIFF, JP2), strict=True):
        branch["contentMediaType"] = names[version]
    raw["outputs"]["imageOutput"] = {"schema": raw["inputs"]["imagesInput"]["schema"]}
    texts = {"title": "Example", "description": "Of the standard."}
    told = ProcessDescription(
        id=raw["id"],
        version=raw["version"],
        title=raw["title"],
        description=raw["description"],
        inputs={name: msgspec.convert(texts | one, InputDescription) for name, one in raw["inputs"].items()},
        outputs={
            name: msgspec.convert(texts | one, OutputDescription) for name, one in raw["outputs"].items()
        },
    )
    return process(told.inputs, told.outputs, id=told.id)


def example(shared, version: str) -> dict[str, Any]:
    body = json.loads((shared / f"ogc/{version}/core/examples/json/Execute.json").read_bytes())
    inputs = body["inputs"]
    # RFC 3339, which `date-time` stands for, has an offset.
    inputs["dateInput"] += "Z"
    # The property is described as a URI.
    inputs["complexObjectInput"]["value"]["property2"] = "https://example.org/value2"
    # A base64 text with its middle left out (` ... `) is none.
    inputs["imagesInput"][1]["value"] = "AAECAw=="
    return body


def checked(offered: OfferedProcess, body: Any) -> dict[str, Any]:
    request = parse_execute_request(json.dumps(body).encode())
    found = check_request(offered, request)
    return {name: (msgspec.json.decode(value.data), value.media_type) for name, value in found.items()}


@pytest.mark.parametrize("version", ["v1.0", "v2.0"])
def test_the_example_request_is_accepted_in_form(shared, version):
    body = example(shared, version)
    found = checked(offered(shared, version), body)
    sent = body["inputs"]

    assert set(found) == set(sent)
    assert found["complexObjectInput"] == (sent["complexObjectInput"]["value"], "")
    assert found["arrayInput"] == ([1, 2, 3, 4, 5, 6], "")
    assert found["geometryInput"][0] == [item["value"] for item in sent["geometryInput"]]
    assert found["boundingBoxInput"] == (sent["boundingBoxInput"], "")
    reference, image = found["imagesInput"][0]
    assert reference["href"] == sent["imagesInput"][0]["href"]
    assert image == {"value": "AAECAw==", "mediaType": JP2[version]}
    assert found["featureCollectionInput"][1] == "application/gml+xml; version=3.2"


@pytest.mark.parametrize("version", ["v1.0", "v2.0"])
def test_what_the_example_gets_wrong_is_told_with_its_place(shared, version):
    body = json.loads((shared / f"ogc/{version}/core/examples/json/Execute.json").read_bytes())
    with pytest.raises(InvalidParameterValue) as raised:
        checked(offered(shared, version), body)

    assert {error["pointer"] for error in raised.value.errors} == {
        "/inputs/dateInput",
        "/inputs/complexObjectInput/value/property2",
        "/inputs/imagesInput/1/value",
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("doubleInput", 0),
        ("doubleInput", 10.5),
        ("stringInput", "Value4"),
        ("arrayInput", [1]),
        ("boundingBoxInput", {"bbox": [1, 2, 3]}),
        ("geometryInput", [{"value": {"type": "Polygon"}}] * 2),
        ("geometryInput", ["<gml:Point/>"]),
        ("featureCollectionInput", {"type": "FeatureCollection"}),
    ],
)
def test_the_description_of_the_example_is_used_to_check(shared, name, value):
    """Draft 4 bounds and references to well-known schemas too; 0 is left out by `exclusiveMinimum: true`."""
    body = deepcopy(example(shared, "v1.0"))
    body["inputs"][name] = value
    with pytest.raises(InvalidParameterValue) as raised:
        checked(offered(shared, "v1.0"), body)

    assert raised.value.errors[0]["pointer"].startswith(f"/inputs/{name}")
