"""Classes as JSON objects, of every kind that people write; and types that hold files and durations."""

import dataclasses
import datetime as dt
import sys
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NotRequired, Required, TypedDict, TypeVar

import attrs
import fastprocesses_sdk as fp
import msgspec
import pydantic
import pytest
from fastprocesses_sdk.schema import shape_of
from fastprocesses_sdk.values import InputValue

T = TypeVar("T")


@dataclasses.dataclass
class DataClass:
    """A thing.

    Attributes:
        count: How many.
    """

    count: int
    size: Annotated[float, fp.Input(gt=0, unit="m")] = 1.5
    note: str | None = None


class AStruct(msgspec.Struct):
    """A thing.

    Attributes:
        count: How many.
    """

    count: int
    size: Annotated[float, fp.Input(gt=0, unit="m")] = 1.5
    note: str | None = None


class Model(pydantic.BaseModel):
    count: int = pydantic.Field(description="How many.")
    size: Annotated[float, fp.Input(unit="m")] = pydantic.Field(gt=0, default=1.5)
    note: str | None = None


@attrs.define
class Attrs:
    """A thing.

    Attributes:
        count: How many.
    """

    count: int
    size: Annotated[float, fp.Input(gt=0, unit="m")] = 1.5
    note: str | None = None


@pytest.mark.parametrize("kind", [DataClass, AStruct, Model, Attrs])
def test_a_class_is_an_object_by_its_fields(kind):
    assert shape_of(kind).schema == {
        "type": "object",
        "required": ["count"],
        "properties": {
            "count": {"type": "integer", "description": "How many."},
            "size": {
                "type": "number",
                "minimum": 0,
                "not": {"enum": [0]},
                "description": "Unit: m.",
                "default": 1.5,
            },
            "note": {"type": "string"},
        },
    }


@pytest.mark.parametrize("kind", [DataClass, AStruct, Model, Attrs])
def test_a_class_is_received_and_given_back(kind):
    received = []

    def echo(x) -> None:
        received.append(x)
        return x

    echo.__annotations__ = {"x": kind, "return": kind}
    process = fp.process(echo)

    assert run(process, x={"count": 2}) == {"count": 2, "size": 1.5}
    assert received == [kind(count=2)]
    with pytest.raises(fp.ProcessError, match="'x'"):
        run(process, x={"count": "two"})


class Total(TypedDict):
    a: int
    b: NotRequired[str]
    c: float | None


class Partial(TypedDict, total=False):
    a: Required[int]
    b: str


def test_typed_dicts_say_what_may_be_left_out():
    assert shape_of(Total).schema["required"] == ["a"]
    assert shape_of(Partial).schema["required"] == ["a"]

    @fp.process
    def echo(x: Total, y: Partial) -> Total:
        assert x == {"a": 1, "c": None}
        assert y == {"a": 2}
        return x

    assert run(echo, x={"a": 1}, y={"a": 2}) == {"a": 1}


class Renamed(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    first_name: str
    last_name: str | msgspec.UnsetType = msgspec.UNSET


def test_names_in_json_are_those_of_the_class():
    schema = shape_of(Renamed).schema

    assert (list(schema["properties"]), schema["required"]) == (["firstName", "lastName"], ["firstName"])
    assert schema["additionalProperties"] is False


@dataclasses.dataclass
class Box(Generic[T]):
    content: T
    others: list[T]


def test_generic_classes_are_filled():
    properties = shape_of(Box[int]).schema["properties"]

    assert properties == {
        "content": {"type": "integer"},
        "others": {"type": "array", "items": {"type": "integer"}},
    }


class Circle(msgspec.Struct):
    kind: Literal["circle"]
    radius: float


@dataclasses.dataclass
class Square:
    kind: Literal["square"]
    side: float


def test_a_member_that_names_the_kind_parts_alternatives():
    @fp.process
    def area(shape: Circle | Square) -> str:
        return type(shape).__name__

    assert "oneOf" in area.description.inputs["shape"].schema
    assert run(area, shape={"kind": "square", "side": 2}) == "Square"
    assert run(area, shape={"kind": "circle", "radius": 2}) == "Circle"


class Even(pydantic.BaseModel):
    number: int

    @pydantic.field_validator("number")
    @classmethod
    def _check(cls, value: int) -> int:
        if value % 2:
            raise ValueError("not even")
        return value


def test_checks_of_the_class_reach_the_caller():
    @fp.process
    def half(x: Even) -> int:
        return x.number // 2

    with pytest.raises(fp.ProcessError, match="not even"):
        run(half, x={"number": 3})


@dataclasses.dataclass
class WithFiles:
    image: Annotated[bytes, fp.Media("image/png")]
    table: fp.CSV
    raster: fp.GeoTIFF | None = None


def test_objects_hold_binary_values_and_files():
    @fp.process
    def echo(x: WithFiles) -> WithFiles:
        assert x.image == b"ABC"
        assert x.table.read_text() == "a,b\n"
        assert x.table.suffix == ".csv"
        return x

    assert run(echo, x={"image": "QUJD", "table": "a,b\n"}) == {"image": "QUJD", "table": "a,b\n"}


def test_output_schemas_have_no_defaults_but_fields_may_be_called_so():
    @dataclasses.dataclass
    class Odd:
        default: int = 3

    def odd() -> None: ...

    odd.__annotations__ = {"return": Odd}
    schema = fp.process(odd).description.outputs["result"].schema
    assert schema["properties"] == {"default": {"type": "integer"}}


@pytest.mark.skipif(sys.version_info < (3, 12), reason="type statements are of 3.12")
def test_type_statements_are_read():
    names: dict[str, Any] = {"Annotated": Annotated, "fp": fp}
    exec(
        "type Metres = Annotated[float, fp.Input(unit='m')]\ntype Pair[T] = list[T]\ntype P = Pair[Metres]",
        names,
    )

    assert shape_of(names["P"]).schema == {"type": "array", "items": {"type": "number"}}


@dataclasses.dataclass
class Tree:
    children: "list[Tree]"


class NoFields(msgspec.Struct):
    pass


class ArrayLike(msgspec.Struct, array_like=True):
    x: int


class Open(pydantic.BaseModel, extra="allow"):
    x: int


class Root(pydantic.RootModel[int]):
    pass


@dataclasses.dataclass
class Unsupported:
    x: complex


@dataclasses.dataclass
class BareFile:
    x: Path


@dataclasses.dataclass
class Nowhere:
    x: "Missing"  # noqa: F821


@dataclasses.dataclass
class NeedsMore:
    x: int
    y: dataclasses.InitVar[int]


@dataclasses.dataclass
class WrongDefault:
    x: int = "a"  # type: ignore[assignment]


class Several(fp.Outputs):
    x: int


@pytest.mark.parametrize(
    ("annotation", "about"),
    [
        (Tree, "contains itself"),
        (list[Tree], "'children'"),
        (NoFields, "no fields"),
        (ArrayLike, "array_like"),
        (Open, "extra"),
        (Root, "RootModel"),
        (Unsupported, "'x'"),
        (BareFile, "'x'"),
        (Nowhere, "Missing"),
        (NeedsMore, "'y'"),
        (WrongDefault, "'x'"),
        (Several, "several outputs"),
        (Box, "T"),
        (T, "T"),
        (Path, "GeoTIFF"),
        (bytes, "Media"),
        (Annotated[float, fp.Input], "parentheses"),
        (Annotated[float, fp.Input(gt=0), fp.Input(gt=1)], "twice"),
        (Annotated[bytes, fp.Media("a/b"), fp.Media("a/c")], "two things"),
        (Annotated[float, fp.Media("image/png")], "JSON"),
        (Annotated[bytes, fp.Media("image/png"), fp.Input(min_length=1)], "min_length"),
        (Annotated[str, fp.Input(pattern=r"(?P<x>a)")], "Python alone"),
        (Annotated[str, fp.Input(title=3)], "title"),
        (Annotated[list[int], fp.Input(occurs=3)], "occurs"),
        (Annotated[int, fp.Output(name="x")], "Output"),
    ],
    ids=str,
)
def test_a_class_that_makes_no_sense_is_told(annotation, about):
    def mistaken(argument): ...

    mistaken.__annotations__ = {"argument": annotation, "return": int}
    with pytest.raises(fp.DeclarationError) as caught:
        fp.process(mistaken)

    assert "mistaken(): argument 'argument'" in str(caught.value)
    assert about in str(caught.value)
    assert "test_objects.py:" in str(caught.value)


DURATIONS = [
    ("P1D", dt.timedelta(days=1)),
    ("PT36H", dt.timedelta(hours=36)),
    ("P2W", dt.timedelta(weeks=2)),
    ("P1DT1H1M1S", dt.timedelta(days=1, hours=1, minutes=1, seconds=1)),
]


@pytest.mark.parametrize(("text", "value"), DURATIONS)
def test_durations_are_timedeltas(text, value):
    @fp.process
    def echo(x: dt.timedelta) -> dt.timedelta:
        assert x == value
        return x

    assert run(echo, x=run(echo, x=text)) == run(echo, x=text)


@pytest.mark.parametrize("value", [dt.timedelta(seconds=0.5), dt.timedelta(-1)])
def test_durations_that_have_no_form_are_refused(value):
    @fp.process
    def give() -> dt.timedelta:
        return value

    with pytest.raises(TypeError, match="whole seconds"):
        run(give)


def run(process: fp.Process[..., Any], **inputs: Any) -> Any:
    values = {name: InputValue(data=msgspec.json.encode(value)) for name, value in inputs.items()}
    return msgspec.json.decode(process.run(values, fp.Job())["result"].data)
