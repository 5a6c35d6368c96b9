"""What an author should change before others see a process: its texts, its schemas, its example."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct

from fastprocesses_sdk import validation
from fastprocesses_sdk.declaration import described_text
from fastprocesses_sdk.description import InputDescription, OutputDescription, ProcessDescription
from fastprocesses_sdk.errors import DeclarationError, ProcessError
from fastprocesses_sdk.example import is_linked
from fastprocesses_sdk.files import files_in
from fastprocesses_sdk.plugins import MAX_DESCRIPTION_BYTES
from fastprocesses_sdk.testing.encoding import encoded_inputs, is_binary
from fastprocesses_sdk.testing.outcomes import InvalidInputs
from fastprocesses_sdk.testing.running import as_process

Described = InputDescription | OutputDescription


class Finding(Struct, frozen=True):
    """Something to change. An error keeps callers from using the process; a warning makes it harder for them."""

    severity: Literal["error", "warning"]
    place: str
    """Where: `inputs/distance/schema`, for instance; empty: the process as a whole."""
    text: str

    def __str__(self) -> str:
        return (
            f"{self.severity}: {self.place}: {self.text}" if self.place else f"{self.severity}: {self.text}"
        )


def check_process(process: Any) -> list[Finding]:
    """Judge a process: its texts, its schemas, its example. Empty: nothing is to be changed.

    ```python
    def test_the_process_is_well_described():
        assert fp.testing.check_process(buffer) == []
    ```

    Args:
        process: What `@fp.process` made, or a class or an object with a description and `execute`.
    """
    try:
        declared = as_process(process)
    except DeclarationError as error:
        return [Finding("error", "", f"{error}.")]
    findings = check_description(declared.description)
    if findings:
        return findings

    def read(inputs: Mapping[str, Any]) -> None:
        encoded = encoded_inputs(declared.description, inputs)
        with tempfile.TemporaryDirectory() as folder, files_in(lambda: Path(folder)):
            declared._decode(encoded)

    return _example_findings(declared.description, read)


def check_description(description: ProcessDescription) -> list[Finding]:
    """Judge what callers see of a process, as `check_process` does; its code is not looked at."""
    try:
        text = msgspec.json.encode(description)
        msgspec.json.decode(text, type=ProcessDescription)
    except (msgspec.ValidationError, TypeError, ValueError, RecursionError) as error:
        return [Finding("error", "", f"The description cannot be told: {error}.")]
    findings = [*_whole_findings(description, len(text)), *_text_findings(description)]
    for kind, each in (("inputs", description.inputs), ("outputs", description.outputs)):
        for name, described in each.items():
            findings += _schema_findings(f"{kind}/{name}", described)
    for name, told in description.inputs.items():
        findings += _occurrence_findings(f"inputs/{name}", told)
    if any(finding.severity == "error" for finding in findings):
        return findings  # an example cannot be judged by schemas that make no sense
    return [*findings, *_example_findings(description, lambda inputs: encoded_inputs(description, inputs))]


# The process


def _whole_findings(description: ProcessDescription, length: int) -> Iterator[Finding]:
    if length > MAX_DESCRIPTION_BYTES:
        yield Finding(
            "error", "", f"The description has {length} bytes; more than {MAX_DESCRIPTION_BYTES} are refused."
        )
    if not {"sync-execute", "async-execute"} & set(description.job_control_options):
        yield Finding("error", "jobControlOptions", "It can be executed in no way; add sync-execute.")
    if not description.outputs:
        yield Finding("warning", "outputs", "It has no outputs; callers get nothing.")


def _text_findings(description: ProcessDescription) -> Iterator[Finding]:
    if not description.title.strip():
        yield Finding("warning", "title", "It has no title; write one.")
    if not description.description.strip():
        yield Finding("warning", "description", "It is not described; write a docstring.")
    elif description.description.strip() == f"{description.title}.":
        yield Finding(
            "warning", "description", "It says no more than the title; write a docstring that does."
        )
    for name, told in description.inputs.items():
        yield from _missing_texts(f"inputs/{name}", name, told, "write about it under Args: in the docstring")
    for name, output in description.outputs.items():
        if (name, len(description.outputs)) == ("result", 1) and output.description.strip():
            continue  # what the only output is, the process says
        yield from _missing_texts(
            f"outputs/{name}", name, output, "write about it under Returns: or Attributes: in the docstring"
        )


def _missing_texts(place: str, name: str, told: Described, what_to_do: str) -> Iterator[Finding]:
    if not told.title.strip():
        yield Finding("warning", f"{place}/title", "It has no title; write one.")
    generated = described_text(name, "", "")
    text = told.description.strip()
    if text in ("", generated) or text.startswith(f"{generated} Unit: "):
        yield Finding("warning", f"{place}/description", f"It is not described; {what_to_do}.")


# Schemas

_KEYWORDS = """
    title multipleOf maximum exclusiveMaximum minimum exclusiveMinimum maxLength minLength pattern maxItems minItems
    uniqueItems maxProperties minProperties required enum type not allOf oneOf anyOf items properties
    additionalProperties description format default nullable readOnly writeOnly example deprecated
    contentMediaType contentEncoding contentSchema
"""
_KNOWN = frozenset(_KEYWORDS.split())
"""Keywords that OpenAPI 3.0 knows, in whose dialect descriptions are told too, and those about content."""
_INSTEAD = {
    "$ref": "write the schema out where it is used",
    "const": "write enum with one value",
    "exclusiveMinimum": "write minimum, and not: {enum: [...]} for the bound itself",
    "exclusiveMaximum": "write maximum, and not: {enum: [...]} for the bound itself",
    "examples": "write example",
    "prefixItems": "write items",
}
_ONE_INSIDE = ("not", "items", "additionalProperties")
_MANY_INSIDE = ("allOf", "oneOf", "anyOf")


def _schema_findings(place: str, described: Described) -> Iterator[Finding]:
    schema = described.schema
    fault = validation.schema_fault(schema)
    if fault:
        yield Finding("error", f"{place}/schema", f"This is no JSON Schema 2020-12: {fault}.")
        return
    yield from _dialect_findings(f"{place}/schema", schema)
    if schema.get("default") is not None and not _fits(described, schema["default"]):
        yield Finding("error", f"{place}/schema/default", "The default does not fit the schema.")


def _fits(described: Described, value: Any) -> bool:
    if validation.accepts(described.schema, value):
        return True
    is_repeated = isinstance(described, InputDescription) and described.max_occurs != 1
    return (
        is_repeated
        and isinstance(value, list)
        and all(validation.accepts(described.schema, item) for item in value)
    )


def _dialect_findings(place: str, schema: Any) -> Iterator[Finding]:
    """Tell what clients of version 1.0, which read OpenAPI 3.0, do not understand."""
    if not isinstance(schema, Mapping):
        return
    for keyword, rule in schema.items():
        is_numeric_bound = keyword.startswith("exclusive") and not isinstance(rule, bool)
        if keyword not in _KNOWN or is_numeric_bound:
            instead = _INSTEAD.get(keyword, "leave it out")
            severity: Literal["error", "warning"] = "error" if keyword == "$ref" else "warning"
            yield Finding(
                severity, f"{place}/{keyword}", f"Clients that read OpenAPI 3.0 do not know this; {instead}."
            )
    if isinstance(schema.get("type"), list):
        yield Finding("warning", f"{place}/type", "Several types are unknown to OpenAPI 3.0; write oneOf.")
    if "default" in schema and schema["default"] is None:
        yield Finding("warning", f"{place}/default", "A default of null is refused by clients; leave it out.")
    for inner, part in _parts(schema):
        yield from _dialect_findings(f"{place}/{inner}", part)


def _parts(schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for keyword in _ONE_INSIDE:
        if keyword in schema:
            yield keyword, schema[keyword]
    for keyword in _MANY_INSIDE:
        for number, part in enumerate(schema.get(keyword, ())):
            yield f"{keyword}/{number}", part
    for name, part in schema.get("properties", {}).items():
        yield f"properties/{name}", part


def _occurrence_findings(place: str, told: InputDescription) -> Iterator[Finding]:
    most = told.max_occurs
    if told.min_occurs < 0 or (most != "unbounded" and (most < 1 or most < told.min_occurs)):
        yield Finding("error", place, f"It can never occur {told.min_occurs} to {most} times.")


# The example


def _example_findings(
    description: ProcessDescription, read: Callable[[Mapping[str, Any]], object]
) -> list[Finding]:
    example = description.example
    if example is UNSET:
        return [Finding("warning", "example", _wanted_example(description))]
    inputs = example.get("inputs", {})
    if not isinstance(inputs, dict):
        return [Finding("error", "example/inputs", "These are no inputs; write {'inputs': {...}}.")]
    unknown = [name for name in example.get("outputs") or {} if name not in description.outputs]
    findings = [Finding("error", f"example/outputs/{name}", "There is no such output.") for name in unknown]
    try:
        _read_what_is_there(description, inputs, read)
    except InvalidInputs as refused:
        findings += [Finding("error", f"example/inputs/{place}", text) for place, text in refused.faults]
    except ProcessError as refused:
        findings.append(Finding("error", f"example/inputs/{refused.input}", refused.detail))
    return findings


def _wanted_example(description: ProcessDescription) -> str:
    binary = [name for name, told in description.inputs.items() if is_binary(told.schema)]
    inputs = f"{{'{binary[0]}': b'...'}}" if binary else "{...}"
    hint = ", the bytes of a small file" if binary else ""
    return f"There is none, and none can be made of the schemas; write example={{'inputs': {inputs}}}{hint}."


def _read_what_is_there(
    description: ProcessDescription, inputs: Mapping[str, Any], read: Callable[[Mapping[str, Any]], object]
) -> None:
    """Read the inputs of an example; where some are links, which nobody follows here, the others alone."""
    linked = {
        name for name, told in description.inputs.items() if name in inputs and is_linked(told, inputs[name])
    }
    if not linked:
        read(inputs)
        return
    others = {name: told for name, told in description.inputs.items() if name not in linked}
    values = {name: value for name, value in inputs.items() if name not in linked}
    encoded_inputs(msgspec.structs.replace(description, inputs=others), values)
