"""The suite's checks of executions and jobs, with its requests."""

from typing import Any
from uuid import uuid4

import pytest

from tests.cite.suite import BBOX, TEXT, VALUE, Answer, Echo, Suite
from tests.support import wait_until

EXCEPTIONS = "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0/"
RESULTS = "http://www.opengis.net/def/rel/ogc/1.0/results"
GEOTIFF = "https://raw.githubusercontent.com/opengeospatial/ets-ogcapi-processes10/master/testgeotiff.tiff"
ASYNC, ASYNC_BLANK = "respond-async", "respond-async "
JOB_SECONDS = 10
"""How long the suite waits for a job, about."""


def run(suite: Suite, body: Any) -> Answer:
    """Execute without preferences."""
    answer = suite.execute(body)
    assert answer.status in (200, 201), answer.body
    return answer


def start(suite: Suite, echo: Echo, body: Any, prefer: str = ASYNC) -> Answer:
    """Execute with a preference for a job; give the answer. The suite skips the check where there are no jobs."""
    assert echo.asynchronous, "skipped by the suite"
    answer = suite.execute(body, prefer=prefer)
    assert answer.status in ((200, 201) if echo.both else (201,)), answer.body
    return answer


def location(answer: Answer) -> str:
    """Where the job is."""
    found = answer.headers["location"]
    assert found
    assert found.startswith("http")
    return found


def output_of(suite: Suite, answer: Answer) -> str:
    """Follow the links of a job's status to its results, as the suite does."""
    statuses = [suite.get(location(answer)).json]

    def is_done() -> bool:
        links = {link["rel"]: link["href"] for link in statuses[-1]["links"]}
        assert statuses[-1]["status"] != "failed"
        if RESULTS not in links:
            statuses.append(suite.get(links.get("monitor") or links["status"]).json)
        return RESULTS in links

    wait_until(is_done, JOB_SECONDS, "the job")
    return next(
        suite.get(link["href"], accept=None).body.decode()
        for link in statuses[-1]["links"]
        if link["rel"] == RESULTS
    )


@pytest.mark.cite("Jobs.testJobCreationAutoExecutionMode")
@pytest.mark.requirement("/req/core/process-execute-auto-execution-mode")
def test_job_creation_auto_execution_mode(suite, echo):
    start(suite, echo, echo.request())


@pytest.mark.cite("Jobs.testJobCreationDefaultExecutionMode")
@pytest.mark.requirement("/req/core/process-execute-default-execution-mode")
def test_job_creation_default_execution_mode(suite, echo):
    assert run(suite, echo.request()).status == (200 if "sync-execute" in echo.modes else 201)


@pytest.mark.cite("Jobs.testJobCreationDefaultOutputs")
@pytest.mark.requirement("/req/core/process-execute-default-outputs")
def test_job_creation_default_outputs(suite, echo):
    run(suite, {"inputs": echo.given()})


@pytest.mark.cite("Jobs.testJobCreationInputArray")
@pytest.mark.requirement("/req/core/process-execute-input-array")
def test_job_creation_input_array(suite, echo):
    name = next((name for name, value in echo.inputs.items() if value.array is not None), None)
    assert name, "skipped by the suite"
    wanted = next((output for output, value in echo.outputs.items() if value.items), None)
    run(
        suite,
        {
            "inputs": echo.given() | {name: echo.inputs[name].array},
            "outputs": {wanted: VALUE} if wanted else {},
        },
    )


@pytest.mark.cite("Jobs.testJobCreationInputInline")
@pytest.mark.requirement("/req/core/process-execute-inputs")
def test_job_creation_input_inline(suite, echo):
    run(suite, echo.request())


@pytest.mark.cite("Jobs.testJobCreationInputInlineBbox")
@pytest.mark.requirement("/req/core/process-execute-input-inline-bbox")
def test_job_creation_input_inline_bbox(suite, echo):
    name = next((name for name, value in echo.inputs.items() if value.is_box), None)
    assert name, "skipped by the suite"
    wanted = {output: VALUE for output, value in echo.outputs.items() if value.is_box}
    run(suite, {"inputs": echo.given() | {name: BBOX}, "outputs": wanted})


@pytest.mark.cite("Jobs.testJobCreationInputInlineBinary")
@pytest.mark.requirement("/req/core/process-execute-input-inline-binary")
def test_job_creation_input_inline_binary(suite, echo):
    """A binary input makes version 1.3 of the suite stop, so there must be none."""
    assert not any(value.is_binary for value in echo.inputs.values())
    run(suite, echo.request())


@pytest.mark.cite("Jobs.testJobCreationInputInlineMixed")
@pytest.mark.requirement("/req/core/process-execute-input-mixed-type")
def test_job_creation_input_inline_mixed(suite, echo):
    run(suite, echo.request())


@pytest.mark.cite("Jobs.testJobCreationInputInlineObject")
@pytest.mark.requirement("/req/core/process-execute-input-inline-object")
def test_job_creation_input_inline_object(suite, echo):
    run(suite, echo.request())


@pytest.mark.cite("Jobs.testJobCreationInputRef")
@pytest.mark.requirement("/req/core/process-execute-inputs")
def test_job_creation_input_ref(suite, echo, judge):
    binary = next((name for name, value in echo.inputs.items() if value.is_binary), None)
    referenced = {binary: {"href": GEOTIFF}} if binary else {}
    answer = run(suite, echo.request(inputs=echo.given() | referenced))

    assert answer.content_type
    if answer.status == 200:
        judge.sync_answer(answer)
    else:
        judge.response("statusInfo", suite.get(location(answer)))


@pytest.mark.cite("Jobs.testJobCreationInputValidation")
@pytest.mark.requirement("/req/core/process-execute-input-validation")
def test_job_creation_input_validation(suite, echo, judge):
    judge.sync_answer(run(suite, echo.request()))
    typed = [name for name, value in echo.inputs.items() if value.media_type]
    assert typed, "skipped by the suite"
    wrong = {name: {"type": f"wrong/type_{uuid4()}"} for name in typed}
    refused = suite.execute(echo.request(inputs=echo.given() | wrong))

    assert refused.status in (400, 500)
    assert refused.content_type == "application/json" or refused.content_type.startswith("application/json;")
    judge.document("exception", refused.json)


@pytest.mark.cite("Jobs.testJobCreationInputs")
@pytest.mark.requirement("/req/core/process-execute-inputs")
def test_job_creation_inputs(suite, echo):
    run(suite, echo.request())


@pytest.mark.cite("Jobs.testJobCreationOp")
@pytest.mark.requirement("/req/core/process-execute-op")
def test_job_creation_op(suite, echo, judge):
    answer = start(suite, echo, echo.request(), ASYNC_BLANK)
    judge.response("statusInfo", suite.get(location(answer), accept=None))


@pytest.mark.cite("Jobs.testJobCreationRequest")
@pytest.mark.requirement("/req/core/process-execute-request")
def test_job_creation_request(suite, echo, judge):
    judge.response("statusInfo", suite.get(location(start(suite, echo, echo.request()))))


@pytest.mark.cite("Jobs.testJobCreationSuccessAsync")
@pytest.mark.requirement("/req/core/process-execute-success-async")
def test_job_creation_success_async(suite, echo, judge):
    judge.response("statusInfo", suite.get(location(start(suite, echo, echo.request()))))


@pytest.mark.cite("Jobs.testJobCreationSyncDocument")
@pytest.mark.requirement("/req/core/process-execute-sync-document")
def test_job_creation_sync_document(suite, echo):
    run(suite, echo.request(response="document"))


@pytest.mark.cite("Jobs.testJobCreationSyncRawMixedMulti")
@pytest.mark.requirement("/req/core/process-execute-sync-raw-mixed-multi")
def test_job_creation_sync_raw_mixed_multi(suite, echo):
    run(suite, echo.request(response="raw"))


@pytest.mark.cite("Jobs.testJobCreationSyncRawRef")
@pytest.mark.requirement("/req/core/process-execute-sync-raw-ref")
def test_job_creation_sync_raw_ref(suite, echo):
    run(suite, echo.request(response="raw"))


@pytest.mark.cite("Jobs.testJobCreationSyncRawValueMulti")
@pytest.mark.requirement("/req/core/process-execute-sync-raw-value-multi")
def test_job_creation_sync_raw_value_multi(suite, echo):
    run(suite, echo.request(response="raw"))


@pytest.mark.cite("Jobs.testJobCreationSyncRawValueOne")
@pytest.mark.requirement("/req/core/process-execute-sync-raw-value-one")
def test_job_creation_sync_raw_value_one(suite, echo):
    answer = run(suite, echo.request(outputs=echo.mirrored(), response="raw"))
    assert TEXT in answer.body.decode()


@pytest.mark.cite("Jobs.testJobExceptionNoSuchJob")
@pytest.mark.requirement("/req/core/job-exception-no-such-job")
def test_job_exception_no_such_job(suite, judge):
    judge.response("exception", suite.get(f"/jobs/invalid-job-{uuid4()}"), problem=True)


@pytest.mark.cite("Jobs.testJobOp")
@pytest.mark.requirement("/req/core/job")
def test_job_op(suite, echo):
    run(suite, echo.request())


@pytest.mark.cite("Jobs.testJobResults")
@pytest.mark.requirement("/req/core/job-results")
def test_job_results(suite, echo, judge):
    answer = start(suite, echo, echo.request())
    status = suite.get(location(answer))

    assert (answer.status, status.status) == (201, 200)
    judge.document("statusInfo", status.json)


@pytest.mark.cite("Jobs.testJobResultsAsyncDocument")
@pytest.mark.requirement("/req/core/job-results-async-document")
def test_job_results_async_document(suite, echo):
    start(suite, echo, echo.request(response="document"))


@pytest.mark.cite("Jobs.testJobResultsAsyncRawMixedMulti")
@pytest.mark.requirement("/req/core/job-results-async-raw-mixed-multi")
def test_job_results_async_raw_mixed_multi(suite, echo, judge):
    judge.response("statusInfo", suite.get(location(start(suite, echo, echo.request()))))


@pytest.mark.cite("Jobs.testJobResultsAsyncRawRef")
@pytest.mark.requirement("/req/core/job-results-async-raw-ref")
def test_job_results_async_raw_ref(suite, echo, judge):
    judge.response("statusInfo", suite.get(location(start(suite, echo, echo.request()))))


@pytest.mark.cite("Jobs.testJobResultsAsyncRawValueMulti")
@pytest.mark.requirement("/req/core/job-results-async-raw-value-multi")
def test_job_results_async_raw_value_multi(suite, echo, judge):
    judge.response("statusInfo", suite.get(location(start(suite, echo, echo.request()))))


@pytest.mark.cite("Jobs.testJobResultsAsyncRawValueOne")
@pytest.mark.requirement("/req/core/job-results-async-raw-value-one")
def test_job_results_async_raw_value_one(suite, echo):
    answer = start(suite, echo, echo.request(outputs=echo.mirrored(), response="raw"))
    if answer.status == 200:
        assert answer.json == TEXT
    else:
        assert answer.json
        assert TEXT in output_of(suite, answer)


@pytest.mark.cite("Jobs.testJobResultsExceptionResultsNotReady")
@pytest.mark.requirement("/req/core/job-results-exception/results-not-ready")
def test_job_results_exception_results_not_ready(suite, echo, judge):
    assert "pause" in echo.inputs, "skipped by the suite"
    first = {echo.first: echo.inputs[echo.first].given(), "pause": 5}
    answer = start(suite, echo, {"inputs": first, "outputs": echo.mirrored(), "response": "raw"})
    assert suite.get(location(answer)).status == 200
    results = suite.get(location(answer) + "/results")

    assert (results.status, results.json["type"]) == (404, EXCEPTIONS + "result-not-ready")
    judge.document("exception", results.json)


@pytest.mark.cite("Jobs.testJobResultsFailed")
@pytest.mark.requirement("/req/core/job-results-failed")
def test_job_results_failed(suite, judge):
    answer = suite.execute({"invalid-execute-request": "true)"})

    assert answer.status >= 400
    judge.response("exception", answer, problem=True)


@pytest.mark.cite("Jobs.testJobResultsNoSuchJob")
@pytest.mark.requirement("/req/core/job-results-exception/no-such-job")
def test_job_results_no_such_job(suite, judge):
    judge.response("exception", suite.get(f"/jobs/invalid-job-{uuid4()}/results"), problem=True)


@pytest.mark.cite("Jobs.testJobResultsSync")
@pytest.mark.requirement("/req/core/job-results-success-sync")
def test_job_results_sync(suite, echo):
    """The suite reads a Link header in a way that none can satisfy, so there must be none."""
    assert run(suite, echo.request()).headers["link"] is None


@pytest.mark.cite("Jobs.testJobSuccess")
@pytest.mark.requirement("/req/core/job-success")
def test_job_success(suite, echo, judge):
    answer = start(suite, echo, echo.request(), ASYNC_BLANK)
    judge.response("statusInfo", suite.get(location(answer), accept=None))
