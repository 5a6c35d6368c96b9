"""The suite's checks of the process description."""

from typing import Any

import pytest


@pytest.fixture
def description(suite, judge) -> Any:
    """The suite reads the list, then the process, and validates it, in each of these checks."""
    assert suite.get("/processes").json["processes"]
    answer = suite.get("/processes/echo")
    assert answer.status == 200
    judge.response("process", answer)
    return answer.json


@pytest.mark.cite("OGCProcessDescription.testOGCProcessDescriptionJSON")
@pytest.mark.requirement("/req/ogc-process-description/json-encoding")
def test_ogc_process_description_json(description):
    assert description["id"] == "echo"


@pytest.mark.cite("OGCProcessDescription.testOGCProcessDescriptionInputsDef")
@pytest.mark.requirement("/req/ogc-process-description/inputs-def")
def test_ogc_process_description_inputs_def(description):
    assert "inputs" in description


@pytest.mark.cite("OGCProcessDescription.testOGCProcessDescriptionInputDef")
@pytest.mark.requirement("/req/ogc-process-description/input-def")
def test_ogc_process_description_input_def(description):
    assert all("schema" in told for told in description["inputs"].values())


@pytest.mark.cite("OGCProcessDescription.testOGCProcessDescriptionInputDefinitionOfMixedType")
@pytest.mark.requirement("/req/ogc-process-description/input-mixed-type")
def test_ogc_process_description_input_definition_of_mixed_type(description):
    assert any("oneOf" in told["schema"] for told in description["inputs"].values()), "skipped by the suite"


@pytest.mark.cite("OGCProcessDescription.testOGCProcessDescriptionOutputsDef")
@pytest.mark.requirement("/req/ogc-process-description/outputs-def")
def test_ogc_process_description_outputs_def(description):
    assert "outputs" in description


@pytest.mark.cite("OGCProcessDescription.testOGCProcessDescriptionOutputDef")
@pytest.mark.requirement("/req/ogc-process-description/output-def")
def test_ogc_process_description_output_def(description):
    assert all("schema" in told for told in description["outputs"].values())


@pytest.mark.cite("OGCProcessDescription.testOGCProcessDescriptionOutputDefinitionOfMixedType")
@pytest.mark.requirement("/req/ogc-process-description/output-mixed-type")
def test_ogc_process_description_output_definition_of_mixed_type(description):
    assert any("oneOf" in told["schema"] for told in description["outputs"].values()), "skipped by the suite"
