"""`check_process` tells authors what to change, and nothing where there is nothing."""

from typing import Annotated, Any

import fastprocesses_sdk as fp
import msgspec
import pytest
from fastprocesses_sdk.testing import Finding, check_process
from fastprocesses_sdk.testing.checking import check_description
from hypothesis import given
from hypothesis import strategies as st


@fp.process
def good(distance: Annotated[float, fp.Input(gt=0, unit="m")], name: str = "a") -> float:
    """Double a distance.

    Args:
        distance: How far.
        name: What it is called.
    """
    return 2 * distance


@fp.process
def bare(distance: Annotated[float, fp.Input(unit="m")]) -> float:
    return distance


class Two(fp.Outputs):
    """Two outputs.

    Attributes:
        first: The one.
    """

    first: int
    second: int


@fp.process
def two() -> Two:
    """Give two."""
    return Two(first=1, second=2)


@fp.process
def without_example(code: Annotated[str, fp.Input(pattern="^[A-Z]{3}$")]) -> str:
    """Need a code.

    Args:
        code: Three letters.
    """
    return code


@fp.process
def tables(several: Annotated[list[fp.CSV], fp.Input(occurs=(1, 3))], one: fp.CSV) -> int:
    """Read tables.

    Args:
        several: Some.
        one: One more.
    """
    return len(several)


@fp.process
def without_raster(raster: fp.GeoTIFF) -> int:
    """Read a raster.

    Args:
        raster: To be read.
    """
    return 1


LINK = {"href": "https://example.org/a.tif", "type": "image/tiff; application=geotiff"}


@fp.process(example={"inputs": {"rasters": [LINK], "raster": LINK, "distance": 1}})
def linked(
    rasters: Annotated[list[fp.GeoTIFF], fp.Input(occurs=(1, 3))], raster: fp.GeoTIFF, distance: int
) -> int:
    """Read rasters that callers name by their addresses.

    Args:
        rasters: Some.
        raster: One more.
        distance: How far.
    """
    return distance


def described(**changes: Any) -> Any:
    """A process described by hand, with changes to its members or, under `schema`, to that of its input."""
    schema = changes.pop("schema", {"type": "integer"})
    inputs = changes.pop("input", {})
    told = {
        "id": "described",
        "version": "1",
        "title": "Described",
        "description": "By hand.",
        "inputs": {
            "x": fp.InputDescription(**{"title": "X", "description": "A number.", "schema": schema} | inputs)
        },
        "outputs": {"y": fp.OutputDescription(title="Y", description="It.", schema={"type": "integer"})},
        "example": {"inputs": {"x": 1}},
    }

    class Described:
        description = fp.ProcessDescription(**told | changes)

        def execute(self, inputs: Any, job: fp.Job) -> Any:
            return {"y": inputs["x"]}

    return Described


GOOD: dict[str, Any] = {
    "typed": good,
    "files": tables,
    "links": linked,
    "by hand": described(),
    "object": described()(),
    "content": described(
        schema={"type": "string", "contentMediaType": "image/png", "contentEncoding": "base64"},
        example={"inputs": {"x": "MTIz"}},
    ),
    "repeated": described(input={"max_occurs": "unbounded"}, example={"inputs": {"x": [1, 2]}}),
    "repeated default": described(
        input={"max_occurs": 3, "min_occurs": 0}, schema={"type": "integer", "default": [1]}
    ),
}
BAD: dict[str, tuple[Any, list[tuple[str, str, str]]]] = {
    "no texts": (
        bare,
        [
            ("warning", "description", "write a docstring"),
            ("warning", "inputs/distance/description", "under Args:"),
        ],
    ),
    "one of two outputs": (two, [("warning", "outputs/second/description", "Attributes:")]),
    "no example": (without_example, [("warning", "example", "write example=")]),
    "blank title": (described(title=" "), [("warning", "title", "no title")]),
    "a title that is none": (described(title=None), [("error", "", "$.title")]),
    "no outputs": (described(outputs={}), [("warning", "outputs", "no outputs")]),
    "no mode": (described(job_control_options=["dismiss"]), [("error", "jobControlOptions", "no way")]),
    "occurs": (
        described(input={"min_occurs": 3, "max_occurs": 2}),
        [("error", "inputs/x", "3 to 2 times")],
    ),
    "no schema": (described(schema={"type": "whole"}), [("error", "inputs/x/schema", "no JSON Schema")]),
    "pattern": (described(schema={"pattern": "("}), [("error", "inputs/x/schema", "no JSON Schema")]),
    "reference": (
        described(schema={"$defs": {"i": {"type": "integer"}}, "$ref": "#/$defs/i"}),
        [
            ("warning", "inputs/x/schema/$defs", "leave it out"),
            ("error", "inputs/x/schema/$ref", "write the schema"),
        ],
    ),
    "reference elsewhere": (
        described(schema={"$ref": "https://example.org/schema.json"}),
        [("error", "inputs/x/schema", "not fetched")],
    ),
    "default": (
        described(schema={"type": "integer", "default": "a"}),
        [("error", "inputs/x/schema/default", "does not fit")],
    ),
    "example": (described(example={"inputs": {"x": "a"}}), [("error", "example/inputs/x", "integer")]),
    "unknown in the example": (
        described(example={"inputs": {"x": 1, "z": 1}, "outputs": {"w": {}}}),
        [("error", "example/outputs/w", "no such output"), ("error", "example/inputs/z", "no such input")],
    ),
    "an example that is none": (described(example={"inputs": 5}), [("error", "example/inputs", "no inputs")]),
    "large": (described(description="x" * 2_000_000), [("error", "", "bytes")]),
}


@pytest.mark.parametrize("case", GOOD)
def test_nothing_is_found_where_nothing_is_wrong(case):
    assert check_process(GOOD[case]) == []


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_found_with_its_place(case):
    process, expected = BAD[case]

    is_by_hand = isinstance(process, type)  # much of it is refused before, where it is declared
    findings = check_description(process.description) if is_by_hand else check_process(process)

    assert [(found.severity, found.place) for found in findings] == [
        (one, place) for one, place, _ in expected
    ]
    for found, (_, _, part) in zip(findings, expected, strict=True):
        assert part.lower() in found.text.lower()
        assert found.text.endswith(".")


DIALECT: dict[str, tuple[dict[str, Any], list[tuple[str, str]]]] = {
    "const": ({"const": 1}, [("const", "enum")]),
    "deep": (
        {"oneOf": [{"type": "object", "properties": {"a": {"const": 1}}}, {"type": "integer"}]},
        [("oneOf/0/properties/a/const", "enum")],
    ),
    "bound": ({"exclusiveMinimum": 0}, [("exclusiveMinimum", "write minimum")]),
    "types": ({"type": ["integer", "string"]}, [("type", "oneOf")]),
    "unknown": ({"if": {"type": "string"}}, [("if", "leave it out")]),
    "null": ({"type": "integer", "default": None}, [("default", "leave it out")]),
}


@pytest.mark.parametrize("case", DIALECT)
def test_what_the_older_dialect_does_not_know_is_found(case):
    schema, expected = DIALECT[case]

    findings = check_description(described(schema=schema).description)

    assert [found.place for found in findings] == [f"inputs/x/schema/{place}" for place, _ in expected]
    assert all(part in found.text for found, (_, part) in zip(findings, expected, strict=True))


REFUSED = {
    "title": ({"title": None}, "`$.title`"),
    "schema": ({"schema": 5}, "`$.inputs[...].schema`"),
    "example": ({"example": {"inputs": {"x": 1, "z": 1}}}, "'z'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_even_be_declared_is_one_error(case):
    changes, part = REFUSED[case]

    (finding,) = check_process(described(**changes))

    assert (finding.severity, finding.place) == ("error", "")
    assert part in finding.text


def test_an_author_is_told_how_to_give_an_example_of_a_file():
    (finding,) = check_process(without_raster)

    assert "example={'inputs': {'raster': b'...'}}, the bytes of a small file." in finding.text


def test_beside_a_link_the_other_inputs_of_an_example_are_judged(monkeypatch):
    example = {"inputs": {"rasters": LINK, "raster": LINK, "distance": "far"}}
    monkeypatch.setattr(linked, "description", msgspec.structs.replace(linked.description, example=example))

    (finding,) = check_process(linked)

    assert (finding.severity, finding.place) == ("error", "example/inputs/distance")


def test_a_link_is_no_example_of_a_number():
    with pytest.raises(fp.DeclarationError, match="'distance' is missing"):

        @fp.process(example={"inputs": {"raster": LINK}})
        def measure(raster: fp.GeoTIFF, distance: int) -> int:
            return distance


def test_a_finding_reads_as_a_line():
    finding = Finding("error", "inputs/x", "Wrong.")

    assert str(finding) == "error: inputs/x: Wrong."


def test_an_example_that_only_the_process_refuses_is_found(monkeypatch):
    """A schema cannot say that a date exists; the type can."""
    example = {"inputs": {"distance": 1}}
    monkeypatch.setattr(
        good,
        "description",
        fp.ProcessDescription(
            **{name: getattr(good.description, name) for name in good.description.__struct_fields__}
            | {
                "example": example,
                "inputs": {"distance": fp.InputDescription(title="D", description="D.", schema={})},
            }
        ),
    )
    assert check_process(good) == []

    example["inputs"]["distance"] = "far"
    (finding,) = check_process(good)

    assert (finding.severity, finding.place) == ("error", "example/inputs/distance")


def test_what_is_no_process_is_told():
    with pytest.raises(TypeError, match=r"write @fp\.process"):
        check_process(test_what_is_no_process_is_told)


schemas = st.recursive(
    st.sampled_from(
        [{"type": "integer"}, {"type": 5}, {"enum": []}, {"pattern": "["}, {"$ref": "#/x"}, {}, 5]
    ),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "items": inner,
            "properties": st.dictionaries(st.text(max_size=2), inner, max_size=2),
            "oneOf": st.lists(inner, max_size=2),
            "default": st.none() | st.integers(),
        },
    ),
    max_leaves=5,
)


@given(schemas)
def test_whatever_a_schema_is_it_is_judged(schema):
    findings = check_process(described(schema=schema))

    assert all(isinstance(found, Finding) for found in findings)
