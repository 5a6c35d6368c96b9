"""The calls to subscribers in the API definition, described once (/req/callback/job-callback)."""

from fastprocesses_host.ogc.links import JSON
from fastprocesses_host.ogc.openapi_parts import Document, reference

_CALLS = {
    "jobCompleted": (
        "successUri",
        "The results of the job as one document; its status, if no outputs were asked for.",
        {"type": "object", "additionalProperties": {}},
    ),
    "jobInProgress": (
        "inProgressUri",
        "The status of the job, after it or the progress changed.",
        reference("statusInfo"),
    ),
    "jobFailed": ("failedUri", "Why the job failed, as its results would tell.", reference("problem")),
}
_HEADERS = {
    "Link": "The status of the job, with the relation `monitor`.",
    "webhook-id": "Names what is told: a call that is made again has the same.",
    "webhook-timestamp": "When the call was made, in seconds since 1970.",
    "webhook-signature": "Where the server has a secret: `v1,` and the HMAC-SHA256 of id, timestamp and body, as "
    "Standard Webhooks has it.",
}


def callback_components() -> Document:
    """Describe each call under the name by which operations refer to it."""
    return {
        name: {f"{{$request.body#/subscriber/{member}}}": {"post": _call(member, told, schema)}}
        for name, (member, told, schema) in _CALLS.items()
    }


def callback_references() -> Document:
    """Point to the calls that an execution may lead to."""
    return {name: {"$ref": f"#/components/callbacks/{name}"} for name in _CALLS}


def _call(member: str, told: str, schema: Document) -> Document:
    return {
        "summary": f"Call the {member} of the subscriber",
        "description": f"{told} Any status 2xx is success; other calls are made again, a few times.",
        "parameters": [_header(name, described) for name, described in _HEADERS.items()],
        "requestBody": {"required": True, "content": {JSON: {"schema": schema}}},
        "responses": {"2XX": {"description": "It was received."}},
    }


def _header(name: str, told: str) -> Document:
    is_always = name != "webhook-signature"
    return {
        "name": name,
        "in": "header",
        "required": is_always,
        "description": told,
        "schema": {"type": "string"},
    }
