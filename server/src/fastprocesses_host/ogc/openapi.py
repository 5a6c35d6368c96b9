"""The API definition, OpenAPI 3.0 and 3.1, made from what is offered (/req/oas30/oas-definition-1, -2)."""

from collections.abc import Iterable
from urllib.parse import quote

from fastprocesses_sdk.description import InputDescription, OutputDescription, ProcessDescription
from msgspec import UNSET

from fastprocesses_host.ogc.links import JSON, Urls
from fastprocesses_host.ogc.negotiation import parse_media_type
from fastprocesses_host.ogc.openapi_callbacks import callback_components, callback_references
from fastprocesses_host.ogc.openapi_parts import (
    EDITION_30,
    EDITION_31,
    Document,
    Edition,
    answer,
    cache_control_header,
    failure_component,
    failures,
    header_components,
    idempotency_key_header,
    json_content,
    path_parameter,
    prefer_header,
    problem_components,
    problem_references,
    reference,
)
from fastprocesses_host.ogc.openapi_paths import job_paths, process_paths, result_responses, service_paths
from fastprocesses_host.ogc.openapi_schemas import COMPONENTS
from fastprocesses_host.ogc.openapi_uploads import UPLOADS_TAG, upload_paths
from fastprocesses_host.ogc.processes import described_media_types


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
    info = {"title": title, "description": description, "version": version}
    return _definition(EDITION_30, descriptions, urls, info)


def openapi_31(
    descriptions: Iterable[ProcessDescription], urls: Urls, *, title: str, description: str, version: str
) -> Document:
    """Give the API definition as an OpenAPI 3.1 document; the arguments are those of `openapi_30`."""
    info = {"title": title, "description": description, "version": version}
    return _definition(EDITION_31, descriptions, urls, info)


def _definition(
    edition: Edition, descriptions: Iterable[ProcessDescription], urls: Urls, info: Document
) -> Document:
    executions = {
        f"/processes/{quote(offered.id, safe='')}/execution": {"post": _execution_of(offered, edition)}
        for offered in descriptions
    }
    return {
        "openapi": edition.openapi,
        "info": info,
        "servers": [{"url": urls.base or "/"}],
        "tags": [
            {"name": "service", "description": "What this is and what it conforms to."},
            {"name": "processes", "description": "What can be executed."},
            {"name": "jobs", "description": "What has been executed."},
            *([UPLOADS_TAG] if urls.takes_uploads else ()),
            {"name": "health", "description": "For whoever runs the server."},
        ],
        "paths": {
            **service_paths(),
            **process_paths(),
            "/processes/{processID}/execution": {"post": _execution_of_any()},
            **executions,
            **job_paths(edition),
            **(upload_paths() if urls.takes_uploads else {}),
        },
        "components": {
            "schemas": COMPONENTS,
            "headers": header_components(),
            "callbacks": callback_components(),
            "responses": {**problem_components(), "failure": failure_component()},
        },
    }


def _execution_of_any() -> Document:
    process_id = path_parameter("processID", "The id of a process, as in the list.")
    content: Document = {JSON: {"schema": {}}, "*/*": {"schema": {}}}
    return _execution("execute", "Execute a process", [process_id], _body(reference("execute")), content)


def _execution_of(process: ProcessDescription, edition: Edition) -> Document:
    """Describe the execution of one process, with its own inputs, example and outputs."""
    required = [input_id for input_id, told in process.inputs.items() if told.min_occurs > 0]
    inputs: Document = {
        "type": "object",
        "properties": {input_id: _input_schema(told, edition) for input_id, told in process.inputs.items()},
        "additionalProperties": False,
    }
    if required:
        inputs["required"] = required
    outputs: Document = {
        "type": "object",
        "properties": {output_id: reference("outputSelection") for output_id in process.outputs},
        "additionalProperties": False,
    }
    schema: Document = {
        "type": "object",
        "properties": {**COMPONENTS["execute"]["properties"], "inputs": inputs, "outputs": outputs},
    }
    if required:
        schema["required"] = ["inputs"]
    body = _body(schema, None if process.example is UNSET else process.example)
    content = _result_content(process, edition)
    operation = _execution(f"execute-{process.id}", f"Execute {process.title}", [], body, content)
    return {**operation, "description": process.description}


def _input_schema(told: InputDescription, edition: Edition) -> Document:
    """Describe what an input can be given as: a value, qualified or not, a reference, or an array of them (S1.3)."""
    value = edition.schema(told.schema)
    one: Document = {"anyOf": [value, _qualified(value), reference("referencedValue")]}
    if told.max_occurs != 1:
        several: Document = {"type": "array", "items": one, "minItems": told.min_occurs}
        if told.max_occurs != "unbounded":
            several["maxItems"] = told.max_occurs
        one = {"anyOf": [several, *one["anyOf"]]}
    return {"title": told.title, "description": told.description, **_with_default(one, value)}


def _with_default(schema: Document, value: Document) -> Document:
    return {**schema, "default": value["default"]} if "default" in value else schema


def _qualified(value: Document) -> Document:
    return {"allOf": [reference("qualifiedValue"), {"type": "object", "properties": {"value": value}}]}


def _result_content(process: ProcessDescription, edition: Edition) -> Document:
    """Describe the results of a process by media type: a document, or the value of the only output asked for."""
    values = [edition.schema(output.schema) for output in process.outputs.values()]
    content: Document = {JSON: {"schema": {"anyOf": [_results_document(process, edition), *values]}}}
    for output, value in zip(process.outputs.values(), values, strict=True):
        for media_type in described_media_types(output):
            content.setdefault(media_type, {"schema": _as_sent(media_type, value)})
    return content


def _results_document(process: ProcessDescription, edition: Edition) -> Document:
    """Describe the results document (results.yaml); outputs that were not asked for are not in it."""
    return {
        "type": "object",
        "properties": {
            output_id: {"title": output.title, "description": output.description, **_member(output, edition)}
            for output_id, output in process.outputs.items()
        },
    }


def _member(output: OutputDescription, edition: Edition) -> Document:
    return {"anyOf": [edition.schema(output.schema), reference("qualifiedValue"), reference("link")]}


def _as_sent(media_type: str, value: Document) -> Document:
    """Describe a value as the body: JSON by its schema, anything else as text or bytes."""
    parsed = parse_media_type(media_type)
    if parsed is not None and parsed.is_json:
        return value
    return {"type": "string"} if media_type.startswith("text/") else {"type": "string", "format": "binary"}


def _execution(
    operation_id: str, summary: str, parameters: list[Document], body: Document, content: Document
) -> Document:
    created = answer(
        "The job is accepted; its status is at Location.",
        json_content("statusInfo"),
        ("Location", "Preference-Applied", "Vary", "Age", "Cache-Status"),
    )
    told = {
        **result_responses(content),
        "201": created,
        **failures(),
        **problem_references(400, 404, 406, 408, 410, 413, 415, 422, 429, 500, 502, 503, 504, 507),
    }
    operation: Document = {"operationId": operation_id, "tags": ["processes"], "summary": summary}
    return {
        **operation,
        "parameters": [*parameters, prefer_header(), cache_control_header(), idempotency_key_header()],
        "requestBody": body,
        "responses": told,
        "callbacks": callback_references(),
    }


def _body(schema: Document, example: Document | None = None) -> Document:
    content: Document = {"schema": schema}
    if example is not None:
        content["example"] = example
    return {"required": True, "content": {JSON: content}}
