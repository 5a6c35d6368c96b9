"""The paths of the API definition that take files: whole ones, and resumable ones by tus 1.0.0."""

from fastprocesses_host.ogc.openapi_parts import (
    Document,
    answer,
    header_references,
    json_content,
    operation,
    path_parameter,
    problem_references,
)

UPLOADS_TAG: Document = {
    "name": "uploads",
    "description": "Files for inputs: whole, or resumable by tus 1.0.0 (https://tus.io/protocols/resumable-upload).",
}
_PROGRESS = ("Tus-Resumable", "Upload-Offset", "Upload-Expires", "Cache-Control")
_STATE = (*_PROGRESS, "Upload-Length", "Upload-Defer-Length", "Upload-Metadata")
_NUMBER: Document = {"type": "integer", "minimum": 0}
_ANYTHING: Document = {"schema": {"type": "string", "format": "binary"}}
_BYTES = "application/offset+octet-stream"


def upload_paths() -> Document:
    """Describe where files are uploaded to, and what becomes of them."""
    upload_id = path_parameter("uploadID", "The id of an upload, which is the right to it.")
    return {
        "/uploads": {"post": _creation(), "options": _possibilities()},
        "/uploads/{uploadID}": {
            "get": _reading("getUpload", "How much of an upload is here; never its bytes", upload_id),
            "head": _reading("headUpload", "How much of an upload is here", upload_id, has_body=False),
            "patch": _writing("writeUpload", "Go on with an upload", upload_id),
            "post": _overridden(upload_id),
            "delete": _removal(upload_id),
        },
    }


def _creation() -> Document:
    parameters = [
        _header("Tus-Resumable", "With it an upload is begun by tus; without it the body is the whole file."),
        _header("Upload-Length", "How many bytes the upload will have.", _NUMBER),
        _header("Upload-Defer-Length", "1: that is told later.", {"type": "integer", "enum": [1]}),
        _header("Upload-Metadata", "Of the file: names with values in base64; `filetype` is its media type."),
        _header("Upload-Checksum", "Of the body: an algorithm, and the digest in base64."),
    ]
    headers = ("Location", "Vary", *_PROGRESS)
    told = operation(
        "createUpload",
        "uploads",
        "Upload a file, or begin to",
        {
            "201": answer("The upload; with tus nothing but its headers.", json_content("upload"), headers),
            **problem_references(400, 404, 408, 410, 412, 413, 415, 423, 429, 460, 500, 503, 507),
        },
        parameters,
    )
    return {**told, "requestBody": {"required": False, "content": {"*/*": _ANYTHING}}}


def _possibilities() -> Document:
    told = (
        "Allow",
        "Tus-Resumable",
        "Tus-Version",
        "Tus-Extension",
        "Tus-Max-Size",
        "Tus-Checksum-Algorithm",
    )
    response = {"description": "What is possible.", "headers": header_references(told)}
    return operation("getUploadOptions", "uploads", "What can be done by tus", {"204": response})


def _reading(operation_id: str, summary: str, upload_id: Document, *, has_body: bool = True) -> Document:
    response = (
        answer(summary, json_content("upload"), (*_STATE, "Vary"))
        if has_body
        else {"description": summary, "headers": header_references((*_STATE, "Vary"))}
    )
    problems = problem_references(400, 404, 406, 410, 412, 500, 503)
    return operation(operation_id, "uploads", summary, {"200": response, **problems}, [upload_id])


def _overridden(upload_id: Document) -> Document:
    """Describe what clients do that can send no PATCH."""
    method = _header(
        "X-HTTP-Method-Override",
        "The method that is meant.",
        {"type": "string", "enum": ["PATCH", "DELETE", "HEAD"]},
        required=True,
    )
    told = _writing("writeUploadByPost", "Go on with an upload, for clients without PATCH", upload_id)
    state = {
        "description": "How much of the upload is here.",
        "headers": header_references((*_STATE, "Vary")),
    }
    responses = {**told["responses"], "200": state}
    return {**told, "parameters": [*told["parameters"], method], "responses": responses}


def _writing(operation_id: str, summary: str, upload_id: Document) -> Document:
    parameters = [
        upload_id,
        _header("Tus-Resumable", "The version of tus.", {"type": "string", "enum": ["1.0.0"]}, required=True),
        _header("Upload-Offset", "Where the bytes belong: how many are here.", _NUMBER, required=True),
        _header("Upload-Length", "How many bytes the upload will have, if that was not told yet.", _NUMBER),
        _header("Upload-Checksum", "Of the body: an algorithm, and the digest in base64."),
    ]
    written = {"description": "The bytes are here.", "headers": header_references(_PROGRESS)}
    problems = problem_references(400, 404, 408, 409, 410, 412, 413, 415, 423, 429, 460, 500, 503, 507)
    told = operation(operation_id, "uploads", summary, {"204": written, **problems}, parameters)
    return {**told, "requestBody": {"required": True, "content": {_BYTES: _ANYTHING}}}


def _removal(upload_id: Document) -> Document:
    removed = {"description": "It is gone.", "headers": header_references(("Tus-Resumable",))}
    problems = problem_references(400, 404, 410, 412, 413, 500, 503)
    return operation("deleteUpload", "uploads", "Delete an upload", {"204": removed, **problems}, [upload_id])


def _header(
    name: str, description: str, schema: Document | None = None, *, required: bool = False
) -> Document:
    told: Document = {"name": name, "in": "header", "description": description, "required": required}
    return {**told, "schema": schema or {"type": "string"}}
