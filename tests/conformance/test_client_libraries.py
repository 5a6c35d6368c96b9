"""Client libraries of others, their own code, against a running service."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from ogc_api_processes_client.api_client_wrapper import ApiClientWrapper
from ogc_api_processes_client.configuration import Configuration
from ogc_api_processes_client.exceptions import NotFoundException
from ogc_api_processes_client.models.execute import Execute
from owslib import ogcapi
from owslib.ogcapi.processes import Processes

from tests.support import wait_until

INPUTS = {"message": "hi"}


@pytest.fixture
def owslib(base_url: str, monkeypatch: pytest.MonkeyPatch) -> Processes:
    """The library keeps the headers of all its clients in one place."""
    monkeypatch.setattr(ogcapi, "REQUEST_HEADERS", dict(ogcapi.REQUEST_HEADERS))
    return Processes(base_url)


def test_owslib_finds_the_api_definition_and_the_classes(owslib):
    assert owslib.api()["openapi"].startswith("3.0.")
    assert (
        "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/core" in owslib.conformance()["conformsTo"]
    )


def test_owslib_lists_and_describes_processes(owslib):
    assert "echo" in [process["id"] for process in owslib.processes()]
    assert owslib.process("echo")["inputs"]["message"]["schema"] == {"type": "string"}


def test_owslib_executes_and_gets_a_document(owslib):
    assert owslib.execute("echo", INPUTS) == {"message": "hi", "pause": 0}
    assert owslib.execute("forms", {"measure": {"value": {"m": 1.5}}}, {"measure": {}}) == {
        "measure": {"value": {"m": 1.5}, "mediaType": "application/json"}
    }


def test_owslib_executes_and_gets_one_output_raw_where_that_is_json(owslib):
    point = owslib.execute("results", {}, {"point": {"transmissionMode": "value"}}, response="raw")
    assert point == {"type": "Point", "coordinates": [1, 2]}


def test_owslib_starts_a_job_and_follows_it(owslib, client):
    status = owslib.execute("echo", INPUTS, async_=True)
    location = owslib.response_headers["Location"]

    assert (status["type"], location.rsplit("/", 1)[1]) == ("process", status["jobID"])
    assert client.get(client.await_end(location) + "/results").json() == {"message": "hi", "pause": 0}


def test_owslib_raises_the_problem(owslib):
    with pytest.raises(RuntimeError) as caught:
        owslib.execute("echo", {"massage": "hi"})
    assert {error["pointer"] for error in json.loads(str(caught.value))["errors"]} == {
        "/inputs/massage",
        "/inputs/message",
    }


@pytest.fixture(scope="module")
def generated(base_url: str) -> Iterator[ApiClientWrapper]:
    wrapper = ApiClientWrapper(configuration=Configuration(host=base_url))
    yield wrapper
    wrapper.api_client.rest_client.pool_manager.clear()


def submit(generated: ApiClientWrapper, process_id: str, body: dict[str, Any]) -> str:
    """Start a job by the way that does not go through the library's model of an execute request.

    That model refuses every text, because it fits two of its alternatives.
    """
    headers = {"Prefer": "respond-async", "Content-Type": "application/json"}
    job_id: str = generated.execute_simple(process_id, body, _headers=headers).job_id
    wait_until(lambda: generated.get_status(job_id).status.value not in ("accepted", "running"))
    return job_id


def test_the_generated_client_reads_landing_page_classes_and_lists(generated):
    assert generated.get_landing_page().links[0].rel == "self"
    assert generated.get_conformance_classes().conforms_to
    assert {process.id for process in generated.get_processes().processes} >= {"echo", "forms"}


@pytest.mark.parametrize("process_id", ["echo", "forms", "results", "only-async", "buffer"])
def test_the_generated_client_reads_a_description(generated, process_id):
    described = generated.get_process_description(process_id)

    assert described.id == process_id
    assert described.outputs


@pytest.mark.parametrize("inputs", [{"number": 1.5}, {"truth": True}])
def test_the_generated_client_executes(generated, inputs):
    request = Execute.from_dict({"inputs": inputs, "response": "document"})
    assert generated.execute("forms", request).actual_instance == inputs


def test_the_generated_client_follows_a_job_to_its_results(generated):
    job_id = submit(generated, "results", {"outputs": {"table": {}, "point": {}, "number": {}, "box": {}}})
    status = generated.get_status(job_id)
    results = generated.get_result(job_id)

    assert (status.status.value, status.progress, status.process_id) == ("successful", 100, "results")
    assert "results" in status.links[0].rel
    assert results["number"].actual_instance.actual_instance == 1.5
    assert results["table"].actual_instance.value.oneof_schema_2_validator == {"a": 1}
    assert results["point"].actual_instance.media_type == "application/geo+json"


def test_the_generated_client_lists_and_dismisses_jobs(generated):
    job_id = submit(generated, "echo", {"inputs": INPUTS})

    assert job_id in {job.job_id for job in generated.get_jobs().jobs}
    assert generated.dismiss(job_id).status.value == "dismissed"
    with pytest.raises(NotFoundException) as caught:
        generated.get_status(job_id)
    assert caught.value.data.type.endswith("/no-such-job")
