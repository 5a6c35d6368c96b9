"""The paths of the API definition that do not depend on what is offered: service, processes, jobs."""

from collections.abc import Mapping
from typing import Any

from fastprocesses_host.ogc.links import EVENT_STREAM, HTML, JSON, OPENAPI_30, OPENAPI_31
from fastprocesses_host.ogc.openapi_parts import (
    Document,
    Edition,
    answer,
    elsewhere,
    failures,
    filter_parameters,
    header_references,
    json_content,
    limit_parameter,
    not_modified,
    operation,
    page_parameters,
    path_parameter,
    problem_references,
    query,
    reading,
    search_parameter,
)
from fastprocesses_host.ogc.results import MULTIPART

_KEPT = ("Vary", "Cache-Control", "ETag", "Content-Encoding")
_FRESH = ("Vary", "Cache-Control", "Content-Encoding")
_VALUE = ("Vary", "Cache-Control", "Content-Encoding", "ETag", "Accept-Ranges", "OGC-Output-Values-Count")


def service_paths() -> Document:
    """Describe the landing page, the conformance declaration, the definitions and the health checks."""
    return {
        "/": {"get": reading("getLandingPage", "service", "The landing page", "landingPage")},
        "/conformance": {
            "get": reading("getConformance", "service", "The conformance classes met", "confClasses")
        },
        "/api": {"get": _definition()},
        "/api/3.1": {"get": _definition_31()},
        "/health/live": {"get": _health("getLiveness", "Whether the server runs")},
        "/health/ready": {"get": _health("getReadiness", "Whether the server can do its work")},
    }


def process_paths() -> Document:
    """Describe the process list and the descriptions."""
    process_id = path_parameter("processID", "The id of a process, as in the list.")
    parameters = [*page_parameters(default=1000), search_parameter()]
    return {
        "/processes": {
            "get": reading(
                "getProcesses", "processes", "The process list", "processList", parameters=parameters
            )
        },
        "/processes/{processID}": {
            "get": reading(
                "getProcessDescription",
                "processes",
                "A process description",
                "process",
                problems=(404,),
                parameters=[process_id],
            )
        },
    }


def job_paths(edition: Edition) -> Document:
    """Describe the job list, jobs, their results, logs and events."""
    job_id = path_parameter("jobID", "The id of a job.")
    output_id = path_parameter("outputID", "The id of an output of the job's process.")
    n = path_parameter("n", "Which of the values, counted from 0.", {"type": "integer", "minimum": 0})
    return {
        "/jobs": {"get": _job_list(edition)},
        "/jobs/{jobID}": {"get": _status(job_id), "delete": _dismissal(job_id)},
        "/jobs/{jobID}/results": {"get": _results(job_id)},
        "/jobs/{jobID}/results/{outputID}": {
            "get": _value("getOutput", "The value of an output", [job_id, output_id])
        },
        "/jobs/{jobID}/results/{outputID}/{n}": {
            "get": _value("getOutputValue", "One of the values of an output", [job_id, output_id, n])
        },
        "/jobs/{jobID}/inputs": {"get": _inputs(job_id)},
        "/jobs/{jobID}/log": {"get": _log(job_id)},
        "/jobs/{jobID}/events": {"get": _events(job_id)},
    }


def result_responses(content: Mapping[str, Any]) -> Document:
    """Describe the answers that carry results (S2.8).

    Args:
        content: By media type, besides multipart.
    """
    parts = {media_type: {"schema": {"type": "object"}} for media_type in MULTIPART}
    text = "A results document, the value of the only output, or a part for each."
    return {
        "200": answer(text, {**content, **parts}, ("Vary", "Link", "Content-Encoding", "Preference-Applied")),
        "204": {
            "description": "No output was asked for, or all by reference: a Link header for each.",
            "headers": header_references(("Link", "Preference-Applied")),
        },
    }


def _definition() -> Document:
    schema = {"schema": {"type": "object"}}
    content = {OPENAPI_30: schema, OPENAPI_31: schema, HTML: {"schema": {"type": "string"}}}
    f = query("f", "The representation, whatever Accept says.", {"type": "string", "enum": ["json", "html"]})
    responses = {"200": answer("The definition", content, _KEPT), "304": not_modified()}
    problems = problem_references(400, 406, 500, 503)
    return operation("getApi", "service", "This API definition", {**responses, **problems}, [f])


def _definition_31() -> Document:
    content = {OPENAPI_31: {"schema": {"type": "object"}}}
    responses = {"200": answer("The definition", content, _KEPT), "304": not_modified()}
    problems = problem_references(400, 406, 500, 503)
    return operation("getApi31", "service", "This API definition as OpenAPI 3.1", {**responses, **problems})


def _health(operation_id: str, summary: str) -> Document:
    content = {JSON: {"schema": {"type": "object"}}}
    f = query("f", "The representation, whatever Accept says.", {"type": "string", "enum": ["json"]})
    responses = {"200": answer("Yes.", content, _FRESH), **problem_references(400, 406, 500, 503)}
    return operation(operation_id, "health", summary, responses, [f])


def _job_list(edition: Edition) -> Document:
    parameters = [*page_parameters(default=10), *filter_parameters(edition)]
    return reading(
        "getJobs", "jobs", "The job list", "jobList", problems=(404,), parameters=parameters, is_kept=False
    )


def _status(job_id: Document) -> Document:
    summary = "The status of a job"
    return reading(
        "getStatus", "jobs", summary, "statusInfo", problems=(404,), parameters=[job_id], is_kept=False
    )


def _dismissal(job_id: Document) -> Document:
    content = {**json_content("statusInfo"), HTML: {"schema": {"type": "string"}}}
    problems = problem_references(400, 403, 404, 406, 410, 413, 500, 503)
    responses = {"200": answer("The status of the job", content, _FRESH), **problems}
    return operation("dismiss", "jobs", "Dismiss a job, or delete one that has ended", responses, [job_id])


def _results(job_id: Document) -> Document:
    outputs = query(
        "outputs",
        "Only these outputs.",
        {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1},
        style="form",
        explode=False,
    )
    f = query("f", "The representation, whatever Accept says.", {"type": "string", "enum": ["json", "html"]})
    any_value: Document = {JSON: {"schema": {}}, HTML: {"schema": {"type": "string"}}, "*/*": {"schema": {}}}
    responses = result_responses(any_value)
    problems = problem_references(400, 404, 406, 410, 500, 503)
    told = {**responses, "303": elsewhere(), **failures(), **problems}
    return operation("getResults", "jobs", "The results of a job", told, [job_id, outputs, f])


def _value(operation_id: str, summary: str, parameters: list[Document]) -> Document:
    content: Document = {"*/*": {"schema": {}}}
    f = query("f", "The representation, whatever Accept says.", {"type": "string", "enum": ["json"]})
    responses = {
        "200": answer(summary, content, _VALUE),
        "206": answer("The parts that Range names", content, (*_VALUE, "Content-Range")),
        "303": elsewhere(),
        "304": not_modified(),
        **failures(),
        **problem_references(400, 404, 406, 410, 416, 500, 503),
    }
    return operation(operation_id, "jobs", summary, responses, [*parameters, f])


def _inputs(job_id: Document) -> Document:
    summary = "The inputs of a job, where they are kept: an execute request"
    return reading(
        "getInputs", "jobs", summary, "keptInputs", problems=(404,), parameters=[job_id], is_kept=False
    )


def _log(job_id: Document) -> Document:
    text = {"schema": {"type": "string"}}
    content = {**json_content("jobLog"), "text/plain": text, HTML: text}
    f = query(
        "f", "The representation, whatever Accept says.", {"type": "string", "enum": ["json", "text", "html"]}
    )
    problems = problem_references(400, 404, 406, 500, 503)
    responses = {"200": answer("The newest lines", content, _FRESH), **problems}
    return operation(
        "getLog", "jobs", "What a job's process wrote", responses, [job_id, limit_parameter(1000), f]
    )


def _events(job_id: Document) -> Document:
    told = (
        "Server-sent events, each with JSON for data: `status` (the status of the job, as it has become), `progress` "
        '(`{"progress": 40}`), `message` (`{"message": "…"}`), `log` (a line, with its `number`) and, behind the '
        "last one, `end`."
    )
    last = "The `id` of the last event that the client has had; what follows it is told."
    header: Document = {
        "name": "Last-Event-ID",
        "in": "header",
        "description": last,
        "schema": {"type": "string"},
    }
    responses = {
        "200": answer(told, {EVENT_STREAM: {"schema": {"type": "string"}}}, ("Vary", "Cache-Control")),
        "204": {"description": "Everything has been told: there is no need to come back."},
        **problem_references(400, 404, 406, 429, 500, 503),
    }
    return operation("getEvents", "jobs", "What happens to a job, as it happens", responses, [job_id, header])
