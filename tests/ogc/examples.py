"""Processes, jobs and outputs to test with."""

from typing import Any

import msgspec
from fastprocesses_host.catalog import OfferedProcess
from fastprocesses_host.ogc.jobs import AskedOutput, AskedResults, Job, JobProblem, OutputValue, Status
from fastprocesses_sdk.description import InputDescription, OutputDescription, Policy, ProcessDescription

BBOX_SCHEMA = {
    "allOf": [
        {"format": "ogc-bbox"},
        {
            "type": "object",
            "required": ["bbox"],
            "properties": {
                "bbox": {"type": "array", "minItems": 4, "maxItems": 6, "items": {"type": "number"}},
                "crs": {"type": "string", "format": "uri"},
            },
        },
    ]
}
GML, TIFF = "application/gml+xml; version=3.2", "image/tiff; application=geotiff"


def described_input(schema: dict[str, Any], **members: Any) -> InputDescription:
    return InputDescription(title="An input", description="To test with.", schema=schema, **members)


def described_output(schema: dict[str, Any]) -> OutputDescription:
    return OutputDescription(title="An output", description="To test with.", schema=schema)


def process(
    inputs: dict[str, InputDescription] | None = None,
    outputs: dict[str, OutputDescription] | None = None,
    **members: Any,
) -> OfferedProcess:
    description = ProcessDescription(
        id=members.pop("id", "test"),
        version="1.0.0",
        title="Test",
        description="To test with.",
        inputs=inputs or {},
        outputs=outputs if outputs is not None else {"result": described_output({"type": "string"})},
        **members,
    )
    return OfferedProcess(
        description=description,
        policy=Policy(),
        digest=description.digest,
        environment="default",
        plugin="tests",
    )


OUTPUTS = {
    "text": described_output({"type": "string"}),
    "features": described_output({"type": "object", "format": "geojson-feature-collection"}),
    "image": described_output({"type": "string", "contentEncoding": "base64", "contentMediaType": TIFF}),
    "choice": described_output(
        {
            "oneOf": [
                {"type": "string", "contentMediaType": GML},
                {"type": "object", "contentMediaType": "application/geo+json"},
            ]
        }
    ),
}
VALUES = {
    "text": OutputValue(form="json", media_type="application/json", length=5),
    "features": OutputValue(form="json", media_type="application/geo+json", length=3_000_000),
    "image": OutputValue(form="binary", media_type=TIFF, length=400),
    "choice": OutputValue(form="text", media_type=GML, length=60),
}
OFFERED = {
    "text": ["text/plain", "application/json"],
    "features": ["application/geo+json", "application/json"],
    "image": [TIFF],
    "choice": [GML],
}


def asked(*outputs: str, **members: Any) -> AskedResults:
    """Ask for outputs, each `id` or `id=transmissionMode`."""
    selections: dict[str, AskedOutput] = {}
    for text in outputs:
        output_id, _, mode = text.partition("=")
        selections[output_id] = msgspec.convert({"transmission_mode": mode}, AskedOutput)
    marked = members.get("response") or any(selection.transmission_mode for selection in selections.values())
    members.setdefault("dialect", "1.0" if marked else "2.0")
    return AskedResults(outputs=selections or None, **members)


def job(status: Status = Status.SUCCESSFUL, **members: Any) -> Job:
    created = 1_763_800_000_123
    known: dict[str, Any] = {"id": "0198", "process_id": "echo", "status": status, "created": created}
    if status not in (Status.CREATED, Status.ACCEPTED):
        known |= {"started": created + 5, "updated": created + 5}
    if status.is_final:
        known |= {"finished": created + 1_000, "updated": created + 1_000}
    if status is Status.SUCCESSFUL:
        known |= {"outputs": VALUES}
    if status is Status.FAILED:
        known |= {"problem": JobProblem(status=422, title="No overlap", detail="The layers do not overlap.")}
    return Job(**known | members)
