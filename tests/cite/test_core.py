"""The suite's checks of the landing page, the conformance declaration, the process list and one process."""

from uuid import uuid4

import pytest

from tests.cite.suite import JERSEY, OLD_JDK, REST_ASSURED

CORE = "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/core"
REL = "http://www.opengis.net/def/rel/ogc/1.0/"


@pytest.mark.parametrize("headers", [JERSEY, OLD_JDK], ids=["jersey", "old-jdk"])
def test_the_suite_starts_if_the_landing_page_has_a_content_type(suite, headers):
    answer = suite.get("", accept=None, headers=headers)
    assert answer.content_type


@pytest.mark.cite("GeneralHttp.testHttp")
@pytest.mark.requirement("/req/core/http")
def test_http(suite):
    assert suite.get("/", accept="*/*").version == 11


@pytest.mark.cite("LandingPage.testLandingPageRetrieval")
@pytest.mark.requirement("/req/core/landingpage-op")
def test_landing_page_retrieval(suite):
    assert suite.get("/", accept=REST_ASSURED["Accept"]).status == 200


@pytest.mark.cite("LandingPage.testLandingPageValidation")
@pytest.mark.requirement("/req/core/landingpage-success")
def test_landing_page_validation(suite, judge):
    answer = suite.get("/", accept=REST_ASSURED["Accept"])
    rels = {link["rel"] for link in answer.json["links"]}

    assert answer.status == 200
    assert rels & {"service-desc", "service-doc"}
    assert rels & {REL + "conformance", "conformance"}
    assert rels & {REL + "processes", "processes"}
    judge.document("landingPage", answer.json)


@pytest.mark.cite("Conformance.testValidateConformanceOperationAndResponse")
@pytest.mark.requirement("/req/core/conformance-op", "/req/core/conformance-success")
def test_validate_conformance_operation_and_response(suite, judge):
    answer = suite.get("/conformance", accept=REST_ASSURED["Accept"])

    assert answer.status == 200
    judge.document("confClasses", answer.json)
    assert CORE in answer.json["conformsTo"]


@pytest.mark.cite("ProcessList.testPlLimitDefinition")
@pytest.mark.requirement("/req/core/pl-limit-definition")
def test_pl_limit_definition(suite):
    """The suite looks for the parameter in a file of its own, where it is not; we look in our definition."""
    definition = suite.get("/api", accept=None).json
    found = [
        definition["components"]["parameters"][told["$ref"].rsplit("/", 1)[1]] if "$ref" in told else told
        for told in definition["paths"]["/processes"]["get"]["parameters"]
    ]
    limit = next(told for told in found if told["name"] == "limit")

    assert (limit["in"], limit.get("required", False), limit.get("explode", False)) == ("query", False, False)
    assert limit.get("style", "form") == "form"
    assert limit["schema"]["type"] == "integer"
    assert limit["schema"]["minimum"] == 1
    assert limit["schema"]["maximum"] >= limit["schema"]["default"] >= 1


@pytest.mark.cite("ProcessList.testPlLimitResponse")
@pytest.mark.requirement("/req/core/pl-limit-response")
def test_pl_limit_response(suite):
    assert len(suite.get("/processes?limit=1").json["processes"]) == 1


@pytest.mark.cite("ProcessList.testPlLinks")
@pytest.mark.requirement("/req/core/pl-links")
def test_pl_links(suite):
    assert isinstance(suite.get("/processes?limit=1").json["links"], list)


@pytest.mark.cite("ProcessList.testProcessList")
@pytest.mark.requirement("/req/core/process-list")
def test_process_list(suite):
    assert suite.get("/processes").json["processes"]


@pytest.mark.cite("ProcessList.testProcessListSuccess")
@pytest.mark.requirement("/req/core/process-list-success")
def test_process_list_success(suite, judge):
    judge.document("processList", suite.get("/processes").json)


@pytest.mark.cite("Process.testProcess")
@pytest.mark.requirement("/req/core/process", "/req/core/test-process")
def test_process(suite, judge):
    answer = suite.get("/processes/echo")

    assert answer.status == 200
    judge.response("process", answer)


@pytest.mark.cite("Process.testProcessSuccess")
@pytest.mark.requirement("/req/core/process-success")
def test_process_success(suite, judge):
    answer = suite.get("/processes/echo")

    assert answer.status == 200
    judge.response("process", answer)


@pytest.mark.cite("Process.testProcessExceptionNoSuchProcess")
@pytest.mark.requirement("/req/core/process-exception/no-such-process")
def test_process_exception_no_such_process(suite, judge):
    judge.response("exception", suite.get(f"/processes/invalid-process-{uuid4()}"), problem=True)
