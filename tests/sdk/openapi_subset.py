"""What the compliance suite's parser of schemas lets pass: the keywords of OpenAPI 3.0 and three more, no null."""

from typing import Any

KEYWORDS = {
    *("title", "description", "type", "enum", "format", "default", "nullable", "example", "deprecated"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *("minLength", "maxLength", "pattern", "minItems", "maxItems", "uniqueItems", "items"),
    *("minProperties", "maxProperties", "required", "properties", "additionalProperties"),
    *("not", "allOf", "oneOf", "anyOf", "readOnly", "writeOnly"),
    *("contentMediaType", "contentEncoding", "contentSchema"),
}


def outside_openapi(schema: Any, path: str = "") -> list[str]:
    """List what the compliance suite's parser of schemas would refuse."""
    if isinstance(schema, bool):
        return []
    found = [f"{path}/{word}" for word in schema if word not in KEYWORDS]
    if not isinstance(schema.get("type", ""), str):
        found.append(f"{path}/type")
    found += [f"{path}/{word}" for word in ("exclusiveMinimum", "exclusiveMaximum") if word in schema]
    found += [f"{path}/{word}" for word, value in schema.items() if holds_null(value)]
    for word in ("allOf", "oneOf", "anyOf"):
        for index, branch in enumerate(schema.get(word, ())):
            found += outside_openapi(branch, f"{path}/{word}/{index}")
    for word in ("not", "items", "additionalProperties"):
        if word in schema:
            found += outside_openapi(schema[word], f"{path}/{word}")
    for name, member in schema.get("properties", {}).items():
        found += outside_openapi(member, f"{path}/properties/{name}")
    return found


def holds_null(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(holds_null, value.values()))
    return value is None or (isinstance(value, list) and any(map(holds_null, value)))
