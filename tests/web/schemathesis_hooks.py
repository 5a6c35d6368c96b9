"""What schemathesis cannot know of the API definition: valid execute requests, cursors, and where we are lenient."""

from typing import Any

import schemathesis
from schemathesis.generation.modes import GenerationMode

MAX_LIMIT = 10_000

schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: dict[str, Any]) -> None:
    """Make requests valid or invalid that are meant to be, where the definition alone does not tell how."""
    if case.meta is None:
        return
    if case.meta.generation.mode == GenerationMode.POSITIVE:
        make_valid(case)
    else:
        make_invalid(case)


def make_valid(case: Any) -> None:
    """Leave out what only a link of ours or the calendar makes valid; send inputs that the process takes."""
    if case.query:
        case.query = {name: value for name, value in case.query.items() if name not in ("cursor", "datetime")}
    if case.operation.path.endswith("/execution"):
        content = case.operation.definition.raw["requestBody"]["content"]["application/json"]
        made_up = case.body if isinstance(case.body, dict) else {}
        kept = {name: made_up[name] for name in ("response",) if name in made_up}
        case.body = {**kept, **content.get("example", {"inputs": {}})}


def make_invalid(case: Any) -> None:
    """Take away what we read although it is not in the definition: clamped limits, members that are null."""
    limit = str((case.query or {}).get("limit", ""))
    if limit.removeprefix("+").isdigit() and int(limit) > MAX_LIMIT:
        case.query = {**case.query, "limit": "0"}
    if isinstance(case.body, dict):
        outputs = without_null(case.body.get("outputs", {}))
        told = {name: 5 if value is None else value for name, value in case.body.items()}
        case.body = {**told, "outputs": outputs} if "outputs" in told else told
        inputs = case.body.get("inputs")
        if isinstance(inputs, dict) and has_null(inputs):
            case.body["inputs"] = {**inputs, "no-such-input": 1}


def has_null(value: Any) -> bool:
    """Tell whether a null stands anywhere in a value."""
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return value is None or any(map(has_null, members))


def without_null(value: Any) -> Any:
    """Put a number, which is never allowed there, in the place of every null."""
    if isinstance(value, dict):
        return {name: without_null(member) for name, member in value.items()}
    return 5 if value is None else value
