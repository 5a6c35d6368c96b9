"""Schemas for OpenAPI 3.0: the standard's documents, and JSON Schema 2020-12 brought down to it."""

from collections.abc import Mapping
from typing import Any

from fastprocesses_host.ogc.jobs import Status

Schema = dict[str, Any]

_KEPT = frozenset(
    {
        "title", "description", "type", "format", "default", "enum", "nullable", "example", "deprecated",
        "readOnly", "writeOnly", "multipleOf", "maximum", "minimum", "exclusiveMaximum", "exclusiveMinimum",
        "maxLength", "minLength", "pattern", "maxItems", "minItems", "uniqueItems", "maxProperties",
        "minProperties", "required", "not", "allOf", "oneOf", "anyOf", "items", "properties",
        "additionalProperties",
    }
)  # fmt: skip
"""The keywords of a schema object of OpenAPI 3.0; the others would make the document invalid."""

_JSON_TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object"})


def openapi_schema(schema: Any) -> Schema:
    """Give a JSON Schema 2020-12 as a schema object of OpenAPI 3.0.

    What OpenAPI 3.0 cannot say is left out: the result accepts all that the schema accepts, perhaps more.
    """
    if not isinstance(schema, Mapping):
        return {"not": {}} if schema is False else {}
    if "$ref" in schema or "$dynamicRef" in schema:
        return {}
    kept: Schema = {word: rule for word, rule in schema.items() if word in _KEPT}
    _set_values(kept, schema)
    _set_bounds(kept)
    _set_types(kept)
    _set_parts(kept, schema)
    return kept


def schema_31(schema: Any) -> Schema:
    """Give a JSON Schema 2020-12 as a schema object of OpenAPI 3.1, which is the same.

    References within the schema would lead elsewhere in the document; a schema that has some accepts anything here.
    """
    if not isinstance(schema, Mapping):
        return {"not": {}} if schema is False else {}
    return (
        {} if _has_reference(schema) else {word: rule for word, rule in schema.items() if word != "$schema"}
    )


def _has_reference(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(word in value for word in _REFERRING) or any(map(_has_reference, value.values()))
    return isinstance(value, list | tuple) and any(map(_has_reference, value))


_REFERRING = ("$ref", "$dynamicRef", "$id", "$anchor", "$dynamicAnchor")


def _set_values(kept: Schema, schema: Mapping[str, Any]) -> None:
    if "const" in schema:
        kept["enum"] = [schema["const"]]
    if schema.get("examples"):
        kept.setdefault("example", schema["examples"][0])
    if schema.get("contentEncoding") == "base64":
        kept.setdefault("format", "byte")
    if "contentMediaType" in schema:
        kept["x-contentMediaType"] = schema["contentMediaType"]
    for word in ("required", "enum"):
        if not kept.get(word, True):
            del kept[word]
    if kept.get("default", ...) is None:
        del kept["default"]


def _set_bounds(kept: Schema) -> None:
    """Write exclusive bounds as numbers with a flag."""
    for exclusive, bound, tighter in (
        ("exclusiveMinimum", "minimum", max),
        ("exclusiveMaximum", "maximum", min),
    ):
        limit = kept.get(exclusive)
        if limit is None or isinstance(limit, bool):
            continue
        del kept[exclusive]
        if tighter(limit, kept.get(bound, limit)) == limit:
            kept[bound], kept[exclusive] = limit, True


def _set_types(kept: Schema) -> None:
    """Write several types as alternatives and null as a flag."""
    told = kept.pop("type", None)
    types = [told] if isinstance(told, str) else list(told or ())
    if "null" in types:
        kept["nullable"] = True
    named = [name for name in types if name in _JSON_TYPES]
    if len(named) == 1:
        kept["type"] = named[0]
    elif named:
        alternatives = {"anyOf": [_array({"type": name}) for name in named]}
        kept["allOf"] = [*kept.get("allOf", ()), alternatives]


def _set_parts(kept: Schema, schema: Mapping[str, Any]) -> None:
    for word in ("allOf", "oneOf", "anyOf"):
        if word in kept:
            kept[word] = [openapi_schema(part) for part in kept[word]]
            if not kept[word]:
                del kept[word]
    if "oneOf" in kept:  # its branches may have lost what told them apart
        kept["allOf"] = [*kept.get("allOf", ()), {"anyOf": kept.pop("oneOf")}]
    if "properties" in kept:
        kept["properties"] = {name: openapi_schema(part) for name, part in kept["properties"].items()}
    if "additionalProperties" in kept:
        _set_additional(kept, schema)
    if "items" in kept or "prefixItems" in schema:
        kept["items"] = {} if "prefixItems" in schema else openapi_schema(kept["items"])
    if "not" in kept and openapi_schema(kept["not"]) != kept["not"]:
        del kept["not"]
    _array(kept)


def _set_additional(kept: Schema, schema: Mapping[str, Any]) -> None:
    if "patternProperties" in schema:
        del kept["additionalProperties"]
    elif not isinstance(kept["additionalProperties"], bool):
        kept["additionalProperties"] = openapi_schema(kept["additionalProperties"])


def _array(schema: Schema) -> Schema:
    """Say what the items of an array are, as OpenAPI 3.0 demands."""
    if schema.get("type") == "array":
        schema.setdefault("items", {})
    return schema


def _object(properties: Schema, *required: str) -> Schema:
    schema: Schema = {"type": "object", "properties": properties}
    if required:
        schema["required"] = list(required)
    return schema


def _list_of(schema: str) -> Schema:
    return {"type": "array", "items": {"$ref": f"#/components/schemas/{schema}"}}


_STRING: Schema = {"type": "string"}
_STRINGS: Schema = {"type": "array", "items": _STRING}
_INTEGER: Schema = {"type": "integer"}
_TIME: Schema = {"type": "string", "format": "date-time"}
_DESCRIPTIONS: Schema = {"type": "object", "additionalProperties": {"type": "object"}}
_FORMAT: Schema = {
    "mediaType": _STRING,
    "encoding": _STRING,
    "schema": {"anyOf": [_STRING, {"type": "object"}]},
}
_SUMMARY: Schema = {
    "id": _STRING,
    "version": _STRING,
    "title": _STRING,
    "description": _STRING,
    "keywords": _STRINGS,
    "metadata": {"type": "array", "items": {"type": "object"}},
    "jobControlOptions": {
        "type": "array",
        "items": {"type": "string", "enum": ["sync-execute", "async-execute", "dismiss"]},
    },
    "outputTransmission": {"type": "array", "items": {"type": "string", "enum": ["value", "reference"]}},
    "links": _list_of("link"),
}

COMPONENTS: Mapping[str, Schema] = {
    "link": _object(
        {"href": _STRING, "rel": _STRING, "type": _STRING, "title": _STRING, "hreflang": _STRING},
        "href",
        "rel",
    ),
    "landingPage": _object({"title": _STRING, "description": _STRING, "links": _list_of("link")}, "links"),
    "confClasses": _object({"conformsTo": _STRINGS}, "conformsTo"),
    "processSummary": _object(_SUMMARY, "id", "version", "links"),
    "processList": _object(
        {"processes": _list_of("processSummary"), "links": _list_of("link")}, "processes", "links"
    ),
    "process": _object(
        {**_SUMMARY, "inputs": _DESCRIPTIONS, "outputs": _DESCRIPTIONS, "example": {"type": "object"}},
        "id",
        "version",
        "inputs",
        "outputs",
    ),
    "outputSelection": _object(
        {
            **_FORMAT,
            "format": _object(_FORMAT),
            "transmissionMode": {"type": "string", "enum": ["value", "reference"]},
        }
    ),
    "qualifiedValue": _object(
        {"value": {}, **_FORMAT, "format": _object(_FORMAT)},
        "value",
    ),
    "referencedValue": {
        **_object(
            {
                "href": {
                    "type": "string",
                    "format": "uri",
                    "description": "http, https or data, or of a scheme that a plugin knows.",
                },
                **dict.fromkeys(("type", "rel", "hreflang", "title"), _STRING),
                **_FORMAT,
                "format": _object(_FORMAT),
            },
            "href",
        ),
        "description": "Where the value is; the job fetches it, and then it is checked as one given inline.",
    },
    "execute": _object(
        {
            "inputs": {"type": "object", "additionalProperties": {}},
            "outputs": {
                "type": "object",
                "additionalProperties": {"$ref": "#/components/schemas/outputSelection"},
            },
            "response": {"type": "string", "enum": ["raw", "document"]},
            "subscriber": {"$ref": "#/components/schemas/subscriber"},
        }
    ),
    "subscriber": {
        "type": "object",
        "description": "Addresses that are called about the job: with its results, with each step, with its failure.",
        "properties": {
            "successUri": {"type": "string", "format": "uri"},
            "inProgressUri": {"type": "string", "format": "uri"},
            "failedUri": {"type": "string", "format": "uri"},
        },
    },
    "statusInfo": _object(
        {
            "jobID": _STRING,
            "id": _STRING,
            "type": {"type": "string", "enum": ["process"]},
            "processingEntityType": _STRING,
            "processID": _STRING,
            "process": _STRING,
            "status": {"type": "string", "enum": [status.value for status in Status]},
            "message": _STRING,
            "progress": {"type": "integer", "minimum": 0, "maximum": 100},
            "created": _TIME,
            "started": _TIME,
            "finished": _TIME,
            "updated": _TIME,
            "expires": _TIME,
            "fastprocesses:resultsExpire": _TIME,
            "exception": {"$ref": "#/components/schemas/problem"},
            "fastprocesses:attempts": _INTEGER,
            "fastprocesses:reason": _STRING,
            "links": _list_of("link"),
        },
        "jobID",
        "id",
        "type",
        "processID",
        "status",
        "created",
        "links",
    ),
    "jobList": _object({"jobs": _list_of("statusInfo"), "links": _list_of("link")}, "jobs", "links"),
    "upload": _object(
        {
            "href": {"type": "string", "format": "uri", "description": "With it an input names the upload."},
            "mediaType": _STRING,
            "length": _INTEGER,
            "offset": _INTEGER,
            "complete": {"type": "boolean"},
            "expires": _TIME,
        },
        "href",
        "offset",
        "complete",
        "expires",
    ),
    "keptInputs": _object(
        {
            "inputs": {"type": "object"},
            "outputs": {
                "type": "object",
                "additionalProperties": {"$ref": "#/components/schemas/outputSelection"},
            },
            "response": {"type": "string", "enum": ["raw", "document"]},
            "links": _list_of("link"),
        },
        "inputs",
        "links",
    ),
    "jobLog": _object(
        {
            "jobID": _STRING,
            "numberOfLines": _INTEGER,
            "lines": {
                "type": "array",
                "items": _object(
                    {"time": _TIME, "level": _STRING, "text": _STRING, "fields": {"type": "object"}},
                    "level",
                    "text",
                ),
            },
            "links": _list_of("link"),
        },
        "jobID",
        "lines",
        "links",
    ),
    "problem": _object(
        {
            "type": _STRING,
            "title": _STRING,
            "status": _INTEGER,
            "detail": _STRING,
            "instance": _STRING,
            "errors": {"type": "array", "items": _object({"pointer": _STRING, "detail": _STRING}, "detail")},
        },
        "type",
    ),
}
"""The documents of the standard, as this server writes them."""
