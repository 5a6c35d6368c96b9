"""Annotations become schemas that every reader of descriptions understands, and that agree with what is read."""

import datetime as dt
import enum
import uuid
from typing import Annotated, Any, Literal, NewType

import fastprocesses_sdk as fp
import jsonschema
import jsonschema_rs
import msgspec
import pytest
from fastprocesses_sdk.schema import shape_of
from fastprocesses_sdk.types import CRS84
from fastprocesses_sdk.values import InputValue, reader_of
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sdk.openapi_subset import outside_openapi


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


Metres = NewType("Metres", float)

SCHEMAS: list[tuple[Any, dict[str, Any]]] = [
    (int, {"type": "integer"}),
    (float, {"type": "number"}),
    (str, {"type": "string"}),
    (bool, {"type": "boolean"}),
    (Metres, {"type": "number"}),
    (object, {}),
    (dict, {"type": "object"}),
    (dict[str, Any], {"type": "object"}),
    (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
    (list, {"type": "array", "items": {}}),
    (list[float], {"type": "array", "items": {"type": "number"}}),
    (tuple[int, ...], {"type": "array", "items": {"type": "integer"}}),
    (tuple[float, float], {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}),
    (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
    (Literal[1, 2], {"type": "integer", "enum": [1, 2]}),
    (Literal["a", 1], {"enum": ["a", 1]}),
    (Colour, {"type": "string", "enum": ["red", "blue"]}),
    (Level, {"type": "integer", "enum": [1, 2]}),
    (dt.date, {"type": "string", "format": "date"}),
    (dt.datetime, {"type": "string", "format": "date-time"}),
    (uuid.UUID, {"type": "string", "format": "uuid"}),
    (float | bool, {"oneOf": [{"type": "number"}, {"type": "boolean"}]}),
    (int | float, {"type": "number"}),
    (Literal["auto"] | float, {"oneOf": [{"type": "string", "enum": ["auto"]}, {"type": "number"}]}),
    (dt.date | str, {"anyOf": [{"type": "string", "format": "date"}, {"type": "string"}]}),
    (Annotated[str, fp.Media("application/xml")], {"type": "string", "contentMediaType": "application/xml"}),
    (
        Annotated[bytes, fp.Media("image/png", "image/tiff")],
        {
            "oneOf": [
                {
                    "type": "string",
                    "format": "byte",
                    "contentEncoding": "base64",
                    "contentMediaType": "image/png",
                },
                {
                    "type": "string",
                    "format": "byte",
                    "contentEncoding": "base64",
                    "contentMediaType": "image/tiff",
                },
            ]
        },
    ),
    (Annotated[float, fp.Input(gt=0)], {"type": "number", "minimum": 0, "not": {"enum": [0]}}),
    (
        Annotated[float, fp.Input(gt=0, lt=1)],
        {"type": "number", "minimum": 0, "maximum": 1, "not": {"enum": [0, 1]}},
    ),
    (Annotated[int, fp.Input(ge=1, le=9)], {"type": "integer", "minimum": 1, "maximum": 9}),
    (Annotated[int, msgspec.Meta(ge=1)], {"type": "integer", "minimum": 1}),
    (Annotated[float, fp.Input(multiple_of=0.5)], {"type": "number", "multipleOf": 0.5}),
    (
        Annotated[str, fp.Input(min_length=1, max_length=3, pattern="^a")],
        {"type": "string", "minLength": 1, "maxLength": 3, "pattern": "^a"},
    ),
    (Annotated[str, fp.Input(format="uri")], {"type": "string", "format": "uri"}),
    (
        Annotated[list[int], fp.Input(min_length=1)],
        {"type": "array", "items": {"type": "integer"}, "minItems": 1},
    ),
    (Annotated[dict[str, Any], fp.Input(max_length=2)], {"type": "object", "maxProperties": 2}),
]
GEO: list[Any] = [
    fp.Geometry,
    fp.Point,
    fp.MultiPoint,
    fp.LineString,
    fp.MultiLineString,
    fp.Polygon,
    fp.MultiPolygon,
    fp.GeometryCollection,
    fp.Feature,
    fp.FeatureCollection,
    fp.BBox,
    list[fp.Point | fp.Polygon],
    fp.FeatureCollection | Annotated[str, fp.Media("application/xml")],
]
EVERY = [*(annotation for annotation, _ in SCHEMAS), *GEO]


@pytest.mark.parametrize(("annotation", "schema"), SCHEMAS)
def test_an_annotation_has_its_schema(annotation, schema):
    assert shape_of(annotation).schema == schema


def test_a_bounding_box_is_named_by_its_format_first():
    first, second = shape_of(fp.BBox).schema["allOf"]

    assert first == {"format": "ogc-bbox"}
    assert second["properties"]["crs"]["default"] == CRS84


@pytest.mark.parametrize("annotation", EVERY)
def test_schemas_hold_in_2020_12_and_in_openapi_3_0(annotation):
    schema = shape_of(annotation).schema

    jsonschema.Draft202012Validator.check_schema(schema)
    assert outside_openapi(schema) == []


numbers = st.one_of(st.integers(-3, 10), st.floats(-3, 10), st.sampled_from([0, 0.0, 1.0, 1e300, 10**20]))
texts = st.one_of(
    st.text(max_size=4),
    st.sampled_from(
        [
            "a",
            "ab",
            "red",
            "auto",
            "2026-02-30",
            "2026-02-28",
            "2026-02-28T10:00:00Z",
            "2026-02-28T10:00:00",
            "QUI=",
        ]
    ),
    st.uuids().map(str),
)
positions = st.lists(numbers, max_size=3)
coordinates = st.one_of(
    positions, st.lists(positions, max_size=4), st.lists(st.lists(positions, max_size=5), max_size=2)
)
kinds = st.sampled_from(
    ["Point", "LineString", "Polygon", "MultiPoint", "MultiPolygon", "GeometryCollection", "Else"]
)
geometries = st.fixed_dictionaries(
    {"type": kinds}, optional={"coordinates": coordinates, "geometries": st.just([])}
)
features = st.fixed_dictionaries(
    {"type": st.sampled_from(["Feature", "Point"])},
    optional={
        "geometry": st.none() | geometries,
        "properties": st.none() | st.dictionaries(texts, numbers, max_size=1),
        "id": st.one_of(texts, numbers, st.none()),
        "foreign": st.none() | numbers,
    },
)
collections = st.fixed_dictionaries(
    {"type": st.just("FeatureCollection")}, optional={"features": st.lists(features, max_size=2)}
)
boxes = st.fixed_dictionaries(
    {"bbox": st.lists(numbers, max_size=7)},
    optional={"crs": texts},
)
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)
anything = st.one_of(
    scalars,
    st.lists(scalars, max_size=3),
    st.dictionaries(texts, scalars, max_size=3),
    geometries,
    st.lists(geometries, max_size=2),
    features,
    collections,
    boxes,
)
_SCHEMAS = [shape_of(each).schema for each in EVERY]
_READERS = [reader_of(shape_of(each)) for each in EVERY]
_FORMATS = jsonschema.Draft202012Validator.FORMAT_CHECKER
_STRICT = [jsonschema.Draft202012Validator(schema, format_checker=_FORMATS) for schema in _SCHEMAS]
_PLAIN = [jsonschema.Draft202012Validator(schema) for schema in _SCHEMAS]
_FAST = [jsonschema_rs.Draft202012Validator(schema, validate_formats=False) for schema in _SCHEMAS]


@settings(deadline=None, max_examples=300)
@given(anything)
def test_what_a_schema_accepts_is_read(value):
    document = msgspec.json.encode(value)
    for validator, read in zip(_STRICT, _READERS, strict=True):
        if "contentEncoding" not in str(validator.schema) and validator.is_valid(value):
            read(InputValue(data=document))


@settings(deadline=None, max_examples=300)
@given(anything)
def test_both_validators_agree_on_our_schemas(value):
    for plain, fast in zip(_PLAIN, _FAST, strict=True):
        assert fast.is_valid(value) == plain.is_valid(value)


REFUSED = [
    (int, b"1.5"),
    (int, b"true"),
    (int, b'"1"'),
    (bool, b"1"),
    (str, b"1"),
    (float, b"null"),
    (Annotated[float, fp.Input(gt=0)], b"0"),
    (Annotated[str, fp.Input(pattern="^a$")], b'"b"'),
    (Literal["a"], b'"b"'),
    (list[int], b"[1, 1.5]"),
    (fp.Point, b'{"type": "Polygon", "coordinates": []}'),
    (fp.BBox, b'{"bbox": [1, 2, 3, 4, 5]}'),
    (fp.Point | fp.Polygon, b'{"type": "LineString", "coordinates": []}'),
]


@pytest.mark.parametrize(("annotation", "document"), REFUSED, ids=str)
def test_what_is_no_such_value_is_refused(annotation, document):
    with pytest.raises((msgspec.DecodeError, ValueError)):
        reader_of(shape_of(annotation))(InputValue(data=document))


def test_whole_floats_are_integers_as_in_json_schema():
    assert reader_of(shape_of(list[int]))(InputValue(data=b"[1.0, 2]")) == [1, 2]


class Frame:
    """As those of geopandas."""

    @property
    def __geo_interface__(self) -> dict[str, object]:
        return {}


def test_instead_of_a_class_of_geopandas_a_type_is_named():
    with pytest.raises(fp.DeclarationError, match=r"Frame is not a type.*; declare fp\.FeatureCollection"):
        shape_of(Frame)


def test_instead_of_an_array_of_numpy_a_type_is_named():
    numpy = pytest.importorskip("numpy")

    with pytest.raises(fp.DeclarationError, match=r"ndarray.*; declare list\[float\], or a file"):
        shape_of(numpy.ndarray)
