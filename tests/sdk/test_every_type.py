"""Whatever the annotations: what a schema accepts is received, and what is given its schema accepts."""

import base64
import dataclasses
import datetime as dt
import enum
import re
import tempfile
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import fastprocesses_sdk as fp
import jsonschema
import jsonschema_rs
import msgspec
import pytest
from fastprocesses_host.schemas.validators import is_base64
from fastprocesses_sdk.files import files_in
from fastprocesses_sdk.schema import nested, shape_of
from fastprocesses_sdk.values import InputValue, reader_of, writer_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from tests.sdk.openapi_subset import outside_openapi


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Station:
    name: Annotated[str, fp.Input(min_length=1)]
    height: Annotated[float, fp.Input(ge=-500, unit="m")] = 0.0
    since: dt.date | None = None
    where: fp.Point | None = None
    default: list[int] = dataclasses.field(default_factory=list)


class Window(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    first_row: Annotated[int, msgspec.Meta(ge=0)]
    last_row: int = 10
    within: Station | None = None


class Row(TypedDict):
    id: int
    colour: Colour
    note: NotRequired[str]
    seen: dt.datetime | None


class Model(BaseModel):
    share: float = Field(gt=0, lt=1)
    code: str = Field(pattern="^[a-z]{2}$", default="aa")
    rows: list[int] = Field(default_factory=list, max_length=3)


class Circle(msgspec.Struct, tag="circle"):
    kind: Literal["circle"]
    radius: float


class Square(msgspec.Struct):
    kind: Literal["square"]
    side: float


LEAVES: list[Any] = [
    int,
    float,
    str,
    bool,
    Decimal,
    dt.date,
    dt.datetime,
    dt.time,
    dt.timedelta,
    uuid.UUID,
    Colour,
    Literal["a", "b"],
    Literal[1, "a"],
    Annotated[int, fp.Input(ge=1, le=9)],
    Annotated[int, fp.Input(multiple_of=3)],
    Annotated[float, fp.Input(gt=0, lt=1)],
    Annotated[float, fp.Input(multiple_of=0.1)],
    Annotated[str, fp.Input(min_length=1, max_length=3)],
    Annotated[str, fp.Input(pattern="^[a-c]+$")],
    Annotated[str, fp.Input(pattern=r"\d\s")],
    fp.URI,
    Annotated[str, fp.Input(format="email")],
    Annotated[bytes, fp.Media("image/png")],
    Annotated[bytes, fp.Media("image/png", "image/tiff")],
    Annotated[str, fp.Media("application/xml")],
    fp.GeoTIFF,
    fp.CSV,
    Annotated[Path, fp.Media("application/json")],
    Annotated[Path, fp.Media("application/geo+json", "text/csv")],
    fp.BBox,
    fp.Link,
    fp.Point,
    fp.LineString,
    fp.Feature,
    Station,
    Window,
    Row,
    Model,
    dict,
    Any,
]


def branches(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        inner.map(lambda item: list[item]),
        inner.map(lambda item: Annotated[list[item], fp.Input(min_length=1, max_length=2)]),
        inner.map(lambda item: dict[str, item]),
        inner.map(lambda item: tuple[item, ...]),
        inner.map(lambda item: tuple[item, item]),
        st.tuples(inner, inner).map(lambda pair: pair[0] | pair[1]),
    )


annotations = st.recursive(st.sampled_from(LEAVES), branches, max_leaves=3)

numbers = st.one_of(
    st.integers(-20, 20),
    st.floats(-10, 10),
    st.integers(1, 9).map(lambda tenth: tenth / 10),
    st.sampled_from([0, 1.0, 3.0, 1e300, 10**20]),
)
formats: dict[str, st.SearchStrategy[str]] = {
    "date": st.dates().map(str),
    "date-time": st.one_of(
        st.datetimes(timezones=st.just(dt.UTC)).map(dt.datetime.isoformat),
        st.sampled_from(["2016-12-31T23:59:60Z", "2026-01-01t00:00:00.1234567891z"]),
    ),
    "time": st.one_of(st.times().map(lambda time: f"{time}Z"), st.just("23:59:60+00:00")),
    "duration": st.sampled_from(["P1D", "PT36H", "P2W", "PT1H1M1S", "P1DT1M", "PT0S"]),
    "uuid": st.uuids().map(str),
    "uri": st.sampled_from(["https://example.org/a?b=c#d", "urn:x:y", "http://[::1]:80/%20"]),
    "email": st.sampled_from(["a@b.org", "a.b+c@example.com"]),
    "byte": st.binary(max_size=9).map(lambda data: base64.b64encode(data).decode()),
}


def values_of(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Make values that a schema mostly accepts."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    for word in ("oneOf", "anyOf"):
        if word in schema:
            return st.one_of(*map(values_of, schema[word]))
    if "allOf" in schema:
        return values_of(schema["allOf"][-1])
    build = {"string": _strings, "array": _arrays, "object": _objects}.get(schema.get("type", ""))
    if build:
        return build(schema)
    plain = {"integer": numbers, "number": numbers, "boolean": st.booleans()}
    return plain.get(schema.get("type", ""), st.one_of(numbers, st.text(max_size=3), st.just({"a": 1})))


def _strings(schema: dict[str, Any]) -> st.SearchStrategy[str]:
    if schema.get("format") in formats:
        return formats[schema["format"]]
    if "pattern" in schema:
        return st.from_regex(schema["pattern"].replace("$", r"\Z"))
    return st.text(min_size=schema.get("minLength", 0), max_size=schema.get("maxLength", 4))


def _arrays(schema: dict[str, Any]) -> st.SearchStrategy[list[Any]]:
    most = schema.get("maxItems", max(3, schema.get("minItems", 0)))
    return st.lists(values_of(schema["items"]), min_size=schema.get("minItems", 0), max_size=most)


def _objects(schema: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    properties = {name: values_of(each) for name, each in schema.get("properties", {}).items()}
    required = {name: properties[name] for name in schema.get("required", ())}
    optional = {name: each for name, each in properties.items() if name not in required}
    rest = schema.get("additionalProperties")
    if not properties and isinstance(rest, dict):
        return st.dictionaries(st.text(max_size=3), values_of(rest), max_size=2)
    return st.fixed_dictionaries(required, optional=optional)


def accepts(schema: dict[str, Any], value: Any) -> bool:
    """Ask as a server does: an alternative of its own for each media type."""
    alternatives = schema.get("oneOf") or [schema]
    if not any("contentMediaType" in each for each in alternatives):
        alternatives = [schema]
    return any(
        jsonschema_rs.Draft202012Validator(each, validate_formats=True, formats={"byte": is_base64}).is_valid(
            value
        )
        for each in alternatives
    )


@pytest.fixture(scope="module", autouse=True)
def folder():
    with tempfile.TemporaryDirectory() as name, files_in(lambda: Path(name)):
        yield Path(name)


def described(annotation: Any) -> fp.ProcessDescription | None:
    """Describe a process that takes and gives such values; None: its annotation makes no sense."""

    def echo(x): ...

    notes = getattr(annotation, "__metadata__", ())
    is_for_inputs = any(isinstance(note, fp.Input) for note in notes)
    echo.__annotations__ = {"x": annotation, "return": list[annotation] if is_for_inputs else annotation}
    try:
        return fp.process(echo).description
    except fp.DeclarationError:
        return None


MODEST = settings(
    deadline=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)


@pytest.mark.parametrize("annotation", LEAVES, ids=str)
@settings(deadline=None, max_examples=15, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_each_type_comes_in_and_goes_out(annotation, data):
    comes_in_and_goes_out(annotation, data)


@MODEST
@given(annotations, st.data())
def test_types_within_types_come_in_and_go_out(annotation, data):
    if described(annotation) is not None:
        comes_in_and_goes_out(annotation, data)


def comes_in_and_goes_out(annotation: Any, data: Any) -> None:
    description = described(annotation)
    assert description is not None
    schema = description.inputs["x"].schema
    value = data.draw(values_of(schema))
    if not accepts(schema, value):
        return
    shape = shape_of(annotation)
    received = reader_of(shape)(InputValue(data=msgspec.json.encode(value)))
    given_back = plain_output(shape, received)
    assert accepts(nested(shape), given_back), (received, given_back)


def plain_output(shape: Any, value: Any) -> Any:
    """Write a value as an output, and read it as a client does that finds it inside a document."""
    written = writer_of(shape)(value, "")
    content = Path(written.path).read_bytes() if written.path else written.data
    if written.form == "json":
        return msgspec.json.decode(content)
    return content.decode() if written.form == "text" else base64.b64encode(content).decode()


@dataclasses.dataclass
class Else:
    name: str = "x"


anything = st.one_of(
    st.none(),
    st.booleans(),
    numbers,
    st.just(float("nan")),
    st.text(max_size=3),
    st.sampled_from(["a", "ab\n", "1 ", "2026-01-01", "http://a b/", "a@", "red"]),
    st.binary(max_size=3),
    st.datetimes(),
    st.timedeltas(),
    st.sampled_from(
        [Colour.RED, Decimal("1.5"), Decimal("NaN"), dt.date(2026, 1, 1), Path("nowhere"), Else()]
    ),
    st.sampled_from([Station("a"), Station(""), Station("a", -999), Station("a", where=fp.Point([1.0]))]),
    st.sampled_from([Window(1), Window(-1), Window(1, within=Station("", since=dt.date(2026, 1, 1)))]),
    st.sampled_from([{"id": 1, "colour": Colour.RED}, {"id": "1", "colour": "red"}, {"id": 1}]),
    st.sampled_from(
        [Model.model_construct(share=2), Model(share=0.5), Model.model_construct(code="a\n", share=0.5)]
    ),
    st.sampled_from(
        [fp.Point([1.0]), fp.Point([1, 2]), fp.LineString([[1, 2]]), fp.Feature(), fp.BBox([1, 2, 3, 4])]
    ),
    st.sampled_from(
        [fp.BBox([1, 2, 3, float("inf")]), fp.BBox([1, 2, 3, 4], crs="no uri"), fp.Link(href="x")]
    ),
)
returned = st.recursive(
    anything,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(st.text(max_size=2), inner, max_size=2),
    ),
    max_leaves=4,
)


@MODEST
@given(annotations, returned)
def test_what_is_returned_is_refused_or_fits_its_schema(annotation, value):
    if described(annotation) is None:
        return
    shape = shape_of(annotation)
    try:
        given_back = plain_output(shape, value)
    except (TypeError, ValueError):
        return
    assert accepts(nested(shape), given_back), (value, given_back)


@pytest.mark.parametrize("annotation", LEAVES, ids=str)
@settings(deadline=None, max_examples=30, suppress_health_check=list(HealthCheck))
@given(value=returned)
def test_each_type_refuses_what_does_not_fit_its_schema(annotation, value):
    shape = shape_of(annotation)
    try:
        given_back = plain_output(shape, value)
    except (TypeError, ValueError):
        return
    assert accepts(nested(shape), given_back), (value, given_back)


@MODEST
@given(annotations)
def test_every_schema_is_valid_and_within_what_the_suite_reads(annotation):
    description = described(annotation)
    if description is None:
        return
    for told in (description.inputs["x"].schema, description.outputs["result"].schema):
        jsonschema.Draft202012Validator.check_schema(told)
        assert outside_openapi(told) == []
        assert "$ref" not in str(told)


def test_most_annotations_make_sense():
    assert all(described(annotation) for annotation in LEAVES)


def test_a_pattern_is_found_as_other_languages_find_it():
    shape = shape_of(Annotated[str, fp.Input(pattern=r"^\w+$")])

    for text in ("a\n", "é", "a b"):
        assert not accepts(shape.schema, text) or re.search(r"^\w+\Z", text, re.ASCII)
        with pytest.raises(ValueError, match=r"pattern|regex|w"):
            writer_of(shape)(text, "")
