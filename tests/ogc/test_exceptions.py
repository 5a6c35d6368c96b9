"""Problems: the type table, the documents, the headers (S1.6)."""

import pytest
from fastprocesses_host.ogc import exceptions as exc
from fastprocesses_host.ogc.jobs import JobProblem

from tests.ogc.official import faults

OGC = "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0/"
TABLE = [
    (exc.InvalidQueryParameter("limit"), 400, OGC + "invalid-query-parameter-value"),
    (
        exc.InvalidParameterValue(errors=[{"pointer": "/inputs/x", "detail": "No."}]),
        400,
        "InvalidParameterValue",
    ),
    (exc.NoSuchOutput(), 400, OGC + "no-such-output"),
    (exc.Unauthorized(headers={"WWW-Authenticate": "Bearer"}), 401, "about:blank"),
    (exc.Forbidden("No."), 403, "about:blank"),
    (exc.NoSuchProcess(), 404, OGC + "no-such-process"),
    (exc.NoSuchJob(), 404, OGC + "no-such-job"),
    (exc.ResultNotReady(), 404, OGC + "result-not-ready"),
    (exc.ResultNotAvailable(), 404, OGC + "result-not-available"),
    (exc.InputsNotKept(), 404, "about:blank"),
    (exc.NotFound(), 404, "about:blank"),
    (exc.NoSuchUpload(), 404, "about:blank"),
    (exc.UploadGone(), 410, "about:blank"),
    (exc.UploadConflict("Elsewhere."), 409, "about:blank"),
    (exc.UploadLocked(), 423, "about:blank"),
    (exc.UnsupportedUploadVersion("No."), 412, "about:blank"),
    (exc.ChecksumMismatch(), 460, "about:blank"),
    (exc.MethodNotAllowed("PUT", ["HEAD", "GET"]), 405, "about:blank"),
    (exc.NotAcceptable(["application/json"]), 406, "about:blank"),
    (exc.JobGone(), 410, OGC + "no-such-job"),
    (exc.ResultsExpired(), 410, OGC + "result-not-available"),
    (exc.InvalidHeader("No."), 400, "about:blank"),
    (exc.KeyReused(), 422, "about:blank"),
    (exc.BodyTooLarge("Large."), 413, "about:blank"),
    (exc.UnsupportedMediaType(), 415, "about:blank"),
    (exc.RangeNotSatisfiable(10), 416, "about:blank"),
    (exc.TooManyRequests("Slow down."), 429, "about:blank"),
    (exc.InternalError(), 500, "about:blank"),
    (exc.ServiceUnavailable("Full."), 503, "about:blank"),
    (exc.SyncTimeout(), 504, "about:blank"),
    (exc.NothingStored(), 504, "about:blank"),
    (exc.InsufficientStorage(), 507, "about:blank"),
    (exc.ProcessFailed(JobProblem(type="urn:x", title="Bad", status=422, detail="So.")), 422, "urn:x"),
    (exc.ProcessFailed(JobProblem()), 500, "about:blank"),
]


@pytest.mark.parametrize(("exception", "status", "type_uri"), TABLE)
def test_every_problem_has_its_status_and_type(exception, status, type_uri):
    document = exc.problem(exception, "/jobs/1")

    assert (document["status"], document["type"], document["instance"]) == (status, type_uri, "/jobs/1")
    assert document["title"]
    assert document["detail"]


@pytest.mark.parametrize(("exception", "status", "type_uri"), TABLE)
@pytest.mark.parametrize("version", ["v1.0", "v2.0"])
def test_every_problem_is_valid_by_both_versions(shared, version, exception, status, type_uri):
    assert faults(shared, version, "exception", exc.problem(exception)) == []


def test_every_exception_of_the_module_is_in_the_table():
    known = {
        kind for kind in vars(exc).values() if isinstance(kind, type) and issubclass(kind, exc.OGCException)
    }

    assert known - {exc.OGCException} == {type(exception) for exception, _, _ in TABLE}


@pytest.mark.parametrize(
    ("exception", "headers"),
    [
        (exc.MethodNotAllowed("PUT", ["HEAD", "GET"]), {"Allow": "GET, HEAD"}),
        (exc.ServiceUnavailable("Full.", retry_after_seconds=2.1), {"Retry-After": "3"}),
        (exc.TooManyRequests("Slow down.", retry_after_seconds=0), {"Retry-After": "1"}),
        (exc.NoSuchJob(), {}),
    ],
)
def test_problems_bring_their_headers(exception, headers):
    assert exception.headers == headers


def test_a_problem_tells_what_there_is_and_where_the_faults_are():
    assert exc.problem(exc.NotAcceptable(["a/b"]))["available"] == ["a/b"]
    told = [{"pointer": "/inputs/x", "detail": "No."}]
    assert exc.problem(exc.InvalidParameterValue(errors=told))["errors"] == told


def test_a_failed_job_replays_its_own_problem():
    errors = [{"pointer": "/inputs/x", "detail": "No."}]
    kept = JobProblem(status=400, type="T", title="Bad", detail="So.", errors=errors)

    told = exc.problem(exc.ProcessFailed(kept))

    assert told == {"type": "T", "title": "Bad", "status": 400, "detail": "So.", "errors": errors}


def test_a_problem_does_not_give_back_all_that_was_sent():
    problem = exc.problem(exc.NotFound("x" * 100_000), "/" + "y" * 100_000)

    assert len(problem["detail"]) == exc.LONGEST_DETAIL
    assert "instance" not in problem
