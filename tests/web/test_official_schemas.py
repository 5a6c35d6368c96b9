"""What the service answers fits the official schemas of both versions."""

import pytest
from openapi_spec_validator import validate

from tests.ogc import official

VERSIONS = ["v1.0", "v2.0"]


def faults(shared, version, schema, document) -> list[str]:
    """Version 2.0 calls processID a URI; `format` asserts nothing, and clients of 1.0 need the plain id."""
    found = official.faults(shared, version, schema, document)
    return [fault for fault in found if not ("processID" in fault and fault.endswith("is not a 'uri'"))]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("path", "schema"),
    [
        ("/", "landingPage"),
        ("/conformance", "confClasses"),
        ("/processes", "processList"),
        ("/processes?limit=1", "processList"),
        ("/processes/echo", "process"),
        ("/processes/several", "process"),
        ("/processes/nothing", "exception"),
        ("/jobs/nothing", "exception"),
        ("/jobs?limit=0", "exception"),
        ("/nothing", "exception"),
    ],
)
def test_a_document_fits_its_schema(client, shared, version, path, schema):
    assert faults(shared, version, schema, client.get(path).json()) == []


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("process_id", "inputs"),
    [("greet", {"name": "you"}), ("refuse", {"how": "told"}), ("refuse", {"how": "typed"}), ("several", {})],
)
def test_a_job_fits_its_schemas_from_its_first_answer_to_its_results(
    client, shared, version, process_id, inputs
):
    accepted = client.execute(process_id, {"inputs": inputs}, prefer="respond-async")
    final = client.get(client.await_end(accepted.headers["location"])).json()
    results = client.get(accepted.headers["location"] + "/results").json()

    assert faults(shared, version, "statusInfo", accepted.json()) == []
    assert faults(shared, version, "statusInfo", final) == []
    assert faults(shared, version, "jobList", client.get("/jobs").json()) == []
    kind = "results" if final["status"] == "successful" else "exception"
    assert faults(shared, version, kind, results) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_a_dismissed_job_fits_its_schema(client, shared, version):
    url = client.execute("echo", {"inputs": {"message": "x", "pause": 60}}, prefer="respond-async").headers[
        "location"
    ]
    assert faults(shared, version, "statusInfo", client.delete(url).json()) == []


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("response", ["document", ""])
def test_a_results_document_fits_its_schema(client, shared, version, response):
    body = {
        "inputs": {
            "message": "x",
            "bbox": {"bbox": [1, 2, 3, 4]},
            "text": "<a/>",
            "mixed": 1.5,
            "numbers": [1],
        }
    }
    answer = client.execute("echo", body | ({"response": response} if response else {}))
    assert faults(shared, version, "results", answer.json()) == []


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("body", [b"", b"[]", b'{"inputs": {"message": 1, "unknown": 2}}'])
def test_a_refused_request_fits_the_schema_of_exceptions(client, shared, version, body):
    answer = client.post(
        "/processes/echo/execution", content=body, headers={"content-type": "application/json"}
    )
    assert faults(shared, version, "exception", answer.json()) == []


def test_the_api_definition_is_valid_and_names_every_process_and_route(client):
    definition = client.get("/api").json()
    validate(definition)

    listed = [process["id"] for process in client.get("/processes").json()["processes"]]
    assert all(f"/processes/{process_id}/execution" in definition["paths"] for process_id in listed)
    assert {"/", "/jobs", "/jobs/{jobID}", "/jobs/{jobID}/results/{outputID}"} <= set(definition["paths"])
