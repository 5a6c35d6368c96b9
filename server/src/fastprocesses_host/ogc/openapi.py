"""The API definition, OpenAPI 3.0, made from what is offered (/req/oas30/oas-definition-1, -2)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from fastprocesses_sdk.description import InputDescription, ProcessDescription
from msgspec import UNSET

from fastprocesses_host.ogc.links import HTML, JSON, Urls
from fastprocesses_host.ogc.negotiation import PROBLEM
from fastprocesses_host.ogc.openapi_schemas import COMPONENTS, openapi_schema
from fastprocesses_host.ogc.processes import described_media_types
from fastprocesses_host.ogc.results import MULTIPART

Document = dict[str, Any]

_PROBLEMS: Mapping[int, str] = {
    400: "Something in the request cannot be used; `errors` has the places.",
    403: "The process does not allow this.",
    404: "There is no such thing, or it is not there yet.",
    406: "Nothing the client accepts can be given.",
    410: "The job has been deleted before.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    500: "The process failed, or the server.",
    503: "The server cannot do this now; Retry-After says when to try again.",
    504: "The execution took longer than a synchronous request may wait.",
}


def openapi_30(
    descriptions: Iterable[ProcessDescription], urls: Urls, *, title: str, description: str, version: str
) -> Document:
    """Give the API definition as an OpenAPI 3.0 document: every route, and each process with its own inputs.

    Args:
        descriptions: The offered processes.
        urls: Where things are.
        title: Of the service.
        description: Of the service.
        version: Of the server.
    """
    execution_paths: Document = {}
    for offered in descriptions:
        execution_paths[f"/processes/{quote(offered.id, safe='')}/execution"] = {
            "post": _execution_of(offered)
        }
    return {
        "openapi": "3.0.3",
        "info": {"title": title, "description": description, "version": version},
        "servers": [{"url": urls.base or "/"}],
        "tags": [
            {"name": "service", "description": "What this is and what it conforms to."},
            {"name": "processes", "description": "What can be executed."},
            {"name": "jobs", "description": "What has been executed."},
            {"name": "health", "description": "For whoever runs the server."},
        ],
        "paths": {**_service_paths(urls), **_process_paths(urls), **execution_paths, **_job_paths(urls)},
        "components": {
            "schemas": COMPONENTS,
            "responses": {f"problem-{status}": _problem_response(text) for status, text in _PROBLEMS.items()},
        },
    }


def _service_paths(urls: Urls) -> Document:
    definition = {"application/vnd.oai.openapi+json;version=3.0": {"schema": {"type": "object"}}}
    health = {JSON: {"schema": {"type": "object"}}}
    return {
        "/": {"get": _reading(urls, "getLandingPage", "service", "The landing page", "landingPage")},
        "/conformance": {
            "get": _reading(urls, "getConformance", "service", "The conformance classes met", "confClasses")
        },
        "/api": {
            "get": _operation(
                "getApi", "service", "This API definition", {"200": _content("The definition", definition)}
            )
        },
        "/health/live": {
            "get": _operation(
                "getLiveness", "health", "Whether the server runs", {"200": _content("It does", health)}
            )
        },
        "/health/ready": {
            "get": _operation(
                "getReadiness",
                "health",
                "Whether the server can do its work",
                {"200": _content("It can", health), **_problems(503)},
            )
        },
    }


def _process_paths(urls: Urls) -> Document:
    process_id = _path_parameter("processID", "The id of a process, as in the list.")
    return {
        "/processes": {
            "get": _reading(
                urls,
                "getProcesses",
                "processes",
                "The process list",
                "processList",
                (400,),
                _page_parameters(),
            )
        },
        "/processes/{processID}": {
            "get": _reading(
                urls,
                "getProcessDescription",
                "processes",
                "A process description",
                "process",
                (404,),
                [process_id],
            )
        },
        "/processes/{processID}/execution": {
            "post": _execution("execute", "Execute a process", [process_id], _body(_reference("execute")), [])
        },
    }


def _job_paths(urls: Urls) -> Document:
    job_id = _path_parameter("jobID", "The id of a job.")
    output_id = _path_parameter("outputID", "The id of an output of the job's process.")
    value: Document = {"*/*": {"schema": {}}}
    return {
        "/jobs": {
            "get": _reading(urls, "getJobs", "jobs", "The job list", "jobList", (400,), _page_parameters())
        },
        "/jobs/{jobID}": {
            "get": _reading(urls, "getStatus", "jobs", "The status of a job", "statusInfo", (404,), [job_id]),
            "delete": _operation(
                "dismiss",
                "jobs",
                "Dismiss a job, or delete one that has ended",
                {
                    "200": _content("The status of the job", _json("statusInfo")),
                    **_problems(403, 404, 410, 500, 503),
                },
                [job_id],
            ),
        },
        "/jobs/{jobID}/results": {
            "get": _operation(
                "getResults",
                "jobs",
                "The results of a job",
                {**_result_responses([]), **_problems(400, 404, 406, 500, 503)},
                [job_id],
            )
        },
        "/jobs/{jobID}/results/{outputID}": {
            "get": _operation(
                "getOutput",
                "jobs",
                "The value of one output",
                {"200": _content("The value", value), **_problems(400, 404, 406, 500, 503)},
                [job_id, output_id],
            )
        },
    }


def _execution_of(process: ProcessDescription) -> Document:
    """Describe the execution of one process, with its own inputs and example."""
    required = [input_id for input_id, told in process.inputs.items() if told.min_occurs > 0]
    inputs: Document = {
        "type": "object",
        "properties": {input_id: _input_schema(told) for input_id, told in process.inputs.items()},
        "additionalProperties": False,
    }
    if required:
        inputs["required"] = required
    outputs: Document = {
        "type": "object",
        "properties": {output_id: _reference("outputSelection") for output_id in process.outputs},
        "additionalProperties": False,
    }
    schema: Document = {
        "type": "object",
        "properties": {**COMPONENTS["execute"]["properties"], "inputs": inputs, "outputs": outputs},
    }
    if required:
        schema["required"] = ["inputs"]
    body = _body(schema, None if process.example is UNSET else process.example)
    media_types = [told for output in process.outputs.values() for told in described_media_types(output)]
    operation = _execution(f"execute-{process.id}", f"Execute {process.title}", [], body, media_types)
    return {**operation, "description": process.description}


def _input_schema(told: InputDescription) -> Document:
    schema = openapi_schema(told.schema)
    if told.max_occurs == "unbounded" or told.max_occurs > 1:
        schema = {"type": "array", "items": schema, "minItems": told.min_occurs}
        if told.max_occurs != "unbounded":
            schema["maxItems"] = told.max_occurs
    return {"title": told.title, "description": told.description, **schema}


def _execution(
    operation_id: str, summary: str, parameters: list[Document], body: Document, media_types: Sequence[str]
) -> Document:
    created = {
        **_content("The job is accepted; its status is at Location.", _json("statusInfo")),
        "headers": {
            "Location": _header("The job's status."),
            "Preference-Applied": _header("The preferences that were honoured."),
        },
    }
    prefer = {
        "name": "Prefer",
        "in": "header",
        "description": "`respond-async`, `wait=<seconds>`, `return=minimal|representation` (RFC 7240).",
        "schema": {"type": "string"},
    }
    responses = {
        **_result_responses(media_types),
        "201": created,
        **_problems(400, 404, 406, 413, 415, 500, 503, 504),
    }
    operation = _operation(operation_id, "processes", summary, responses, [*parameters, prefer])
    return {**operation, "requestBody": body}


def _result_responses(media_types: Sequence[str]) -> Document:
    """Describe the answers that carry results (S2.8)."""
    content: Document = {JSON: {"schema": {}}, MULTIPART[0]: {"schema": {"type": "object"}}}
    for media_type in media_types:
        content.setdefault(media_type, {"schema": {}})
    if not media_types:
        content["*/*"] = {"schema": {}}
    return {
        "200": _content("A results document, the value of the only output, or a part for each.", content),
        "204": {
            "description": "No output was asked for, or all by reference: a Link header for each.",
            "headers": {"Link": _header("An output each.")},
        },
    }


def _reading(
    urls: Urls,
    operation_id: str,
    tag: str,
    summary: str,
    schema: str,
    problems: Sequence[int] = (),
    parameters: Sequence[Document] = (),
) -> Document:
    """Describe the reading of a resource that is JSON, and HTML where there are pages."""
    content = _json(schema)
    formats = ["json"]
    if urls.html:
        content[HTML] = {"schema": {"type": "string"}}
        formats.append("html")
    f = {
        "name": "f",
        "in": "query",
        "description": "The representation, whatever Accept says.",
        "schema": {"type": "string", "enum": formats},
    }
    responses = {"200": _content(summary, content), **_problems(*sorted({400, 406, 500, 503, *problems}))}
    return _operation(operation_id, tag, summary, responses, [*parameters, f])


def _operation(
    operation_id: str, tag: str, summary: str, responses: Document, parameters: Sequence[Document] = ()
) -> Document:
    operation: Document = {"operationId": operation_id, "tags": [tag], "summary": summary}
    if parameters:
        operation["parameters"] = list(parameters)
    return {**operation, "responses": responses}


def _page_parameters() -> list[Document]:
    return [
        {
            "name": "limit",
            "in": "query",
            "description": "How many entries a page has at most; a larger number counts as the maximum.",
            "schema": {"type": "integer", "minimum": 1, "maximum": 10_000},
        },
        {
            "name": "cursor",
            "in": "query",
            "description": "Where the page starts, from the link `next` of the page before.",
            "schema": {"type": "string"},
        },
    ]


def _path_parameter(name: str, description: str) -> Document:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": {"type": "string"},
    }


def _body(schema: Document, example: Document | None = None) -> Document:
    content: Document = {"schema": schema}
    if example is not None:
        content["example"] = example
    return {"required": True, "content": {JSON: content}}


def _content(description: str, content: Document) -> Document:
    return {"description": description, "content": content}


def _json(schema: str) -> Document:
    return {JSON: {"schema": _reference(schema)}}


def _reference(schema: str) -> Document:
    return {"$ref": f"#/components/schemas/{schema}"}


def _header(description: str) -> Document:
    return {"description": description, "schema": {"type": "string"}}


def _problems(*statuses: int) -> Document:
    return {str(status): {"$ref": f"#/components/responses/problem-{status}"} for status in statuses}


def _problem_response(description: str) -> Document:
    schema = {"schema": _reference("problem")}
    return {"description": description, "content": {PROBLEM: schema, JSON: schema}}
