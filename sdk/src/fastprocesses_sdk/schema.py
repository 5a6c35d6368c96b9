"""Annotations → JSON Schema, and the type by which msgspec reads and checks such a value.

Both come from one walk, so that what the schema accepts can be read. The schemas hold in JSON Schema 2020-12
and in OpenAPI 3.0 alike: no `const`, no numeric `exclusiveMinimum`, no lists of types, no `$ref`, no null.
"""

import datetime as dt
import enum
import math
import re
import types
import typing
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec import Meta, Struct

from fastprocesses_sdk.annotations import Constraints, Media, constraints_of, note_of
from fastprocesses_sdk.errors import DeclarationError
from fastprocesses_sdk.types import BBox, GeoJSON

JSON_MEDIA_TYPE = "application/json"
SUPPORTED = (
    "int, float, str, bool, date, datetime, UUID, Literal, Enum, list[T], tuple[T, ...], dict[str, T], "
    "unions, GeoJSON types, BBox, and str or bytes with Media"
)

_SCALARS: dict[Any, tuple[Any, dict[str, Any]]] = {
    bool: (bool, {"type": "boolean"}),
    int: (int, {"type": "integer"}),
    float: (float, {"type": "number"}),
    str: (str, {"type": "string"}),
    bytes: (bytes, {"type": "string", "contentEncoding": "base64"}),
    dt.date: (dt.date, {"type": "string", "format": "date"}),
    dt.datetime: (
        Annotated[dt.datetime, Meta(tz=True)],
        {"type": "string", "format": "date-time"},
    ),
    uuid.UUID: (uuid.UUID, {"type": "string", "format": "uuid"}),
    dict: (dict[str, Any], {"type": "object"}),
    list: (list[Any], {"type": "array", "items": {}}),
    Any: (Any, {}),
    object: (Any, {}),
}
_TYPE_NAMES = {str: "string", int: "integer", bool: "boolean"}


class Shape(Struct, frozen=True, kw_only=True):
    """What an annotation means."""

    wire: Any
    """The type msgspec decodes to, constraints included."""
    schema: dict[str, Any]
    media: tuple[str, ...] = ()
    """Media types of the value, the default first; empty: plain JSON."""
    form: Literal["json", "text", "binary"] = "json"
    """How a value of a media type stands outside JSON."""
    geojson: type[GeoJSON] | None = None
    alternatives: tuple["Shape", ...] = ()
    """Of a union in which some value has a media type: its members."""


def shape_of(annotation: Any) -> Shape:
    """Read an annotation.

    Raises:
        DeclarationError: It means nothing in JSON; the sentence says what to write instead.
    """
    base, notes = split(annotation)
    shape = _constrained(_plain_shape(base), constraints_of(notes))
    media = note_of(notes, Media)
    if base is bytes and media is None:
        raise DeclarationError("bytes need a media type; write Annotated[bytes, fp.Media('image/png')]")
    return _with_media(shape, base, media) if media else shape


def split(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """Part a type from the notes beside it, through aliases and new types."""
    if get_origin(annotation) is Annotated:
        base, notes = split(annotation.__origin__)
        return base, (*notes, *annotation.__metadata__)
    if isinstance(annotation, typing.NewType):
        return split(annotation.__supertype__)
    if type(annotation).__name__ == "TypeAliasType":
        return split(annotation.__value__)
    return annotation, ()


def without_none(annotation: Any) -> tuple[Any, bool]:
    """Take None out of a union; the notes stay. The flag says whether it was in."""
    base, notes = split(annotation)
    if not _is_union(base):
        return annotation, False
    members = get_args(base)
    kept = tuple(member for member in members if member is not type(None))
    if len(kept) == len(members):
        return annotation, False
    narrowed: Any = Union[kept]  # noqa: UP007 - built from a tuple
    return (Annotated[(narrowed, *notes)] if notes else narrowed), True


def _plain_shape(base: Any) -> Shape:
    if _hashable(base) and base in _SCALARS:
        wire, schema = _SCALARS[base]
        return Shape(wire=wire, schema=dict(schema))
    if isinstance(base, type) and not get_args(base):
        return _class_shape(base)
    if _is_union(base):
        return _union_shape(get_args(base))
    build = _GENERICS.get(get_origin(base))
    if build is None:
        raise DeclarationError(f"{_told(base)} is not a type that JSON can carry; supported are {SUPPORTED}")
    return build(get_args(base))


def _class_shape(base: type) -> Shape:
    if issubclass(base, GeoJSON):
        schema = base.json_schema()
        return Shape(wire=base, schema=schema, media=(schema["contentMediaType"],), geojson=base)
    if issubclass(base, BBox):
        return Shape(wire=base, schema=base.json_schema())
    if issubclass(base, enum.Enum):
        return _enum_shape(base)
    raise DeclarationError(f"{_told(base)} is not a type that JSON can carry; supported are {SUPPORTED}")


def _enum_shape(base: type[enum.Enum]) -> Shape:
    values = [member.value for member in base]
    if not values or not all(type(value) in (str, int) for value in values):
        raise DeclarationError(
            f"the members of the enumeration {base.__name__} must be strings or whole numbers"
        )
    return Shape(wire=base, schema=_enumeration(values))


def _literal_shape(values: Sequence[Any]) -> Shape:
    if not all(type(value) in (str, int) for value in values):
        raise DeclarationError(f"Literal takes strings or whole numbers, not {list(values)!r}")
    literal: Any = Literal.__getitem__(tuple(values))
    return Shape(wire=literal, schema=_enumeration(list(values)))


def _enumeration(values: list[Any]) -> dict[str, Any]:
    kinds = {type(value) for value in values}
    named = {"type": _TYPE_NAMES[kinds.pop()]} if len(kinds) == 1 else {}
    return {**named, "enum": values}


def _list_shape(members: Sequence[Any]) -> Shape:
    item = shape_of(members[0])
    return Shape(wire=list[item.wire], schema={"type": "array", "items": item.schema})  # type: ignore[name-defined]


def _tuple_shape(members: Sequence[Any]) -> Shape:
    item = shape_of(members[0])
    schema = {"type": "array", "items": item.schema}
    if len(members) == 2 and members[1] is ...:
        endless: Any = tuple.__class_getitem__((item.wire, ...))
        return Shape(wire=endless, schema=schema)
    if any(member != members[0] for member in members):
        raise DeclarationError(
            "the members of a tuple must be of one type; write list[T] or a union inside it"
        )
    wire: Any = tuple.__class_getitem__((item.wire,) * len(members))
    return Shape(wire=wire, schema={**schema, "minItems": len(members), "maxItems": len(members)})


def _dict_shape(members: Sequence[Any]) -> Shape:
    key, value = members
    if key is not str:
        raise DeclarationError(f"the keys of a JSON object are strings; write dict[str, {_told(value)}]")
    shape = shape_of(value)
    more = {"additionalProperties": shape.schema} if shape.schema else {}
    return Shape(wire=dict[str, shape.wire], schema={"type": "object", **more})  # type: ignore[name-defined]


_GENERICS: dict[Any, Callable[[Sequence[Any]], Shape]] = {
    Literal: _literal_shape,
    list: _list_shape,
    Sequence: _list_shape,
    tuple: _tuple_shape,
    dict: _dict_shape,
    Mapping: _dict_shape,
}


def _union_shape(members: Sequence[Any]) -> Shape:
    if type(None) in members:
        raise DeclarationError("None has no place inside a type; only a whole argument can be optional")
    shapes = [shape_of(member) for member in members]
    wire = _union_wire([shape.wire for shape in shapes])
    schema = _alternatives([shape.schema for shape in shapes])
    media = tuple(dict.fromkeys(type_ for shape in shapes for type_ in shape.media))
    return Shape(wire=wire, schema=schema, media=media, alternatives=tuple(shapes) if media else ())


def _alternatives(schemas: list[dict[str, Any]]) -> dict[str, Any]:
    """One of several schemas; where two can hold at once, any of them."""
    if {"type": "number"} in schemas:
        schemas = [schema for schema in schemas if schema != {"type": "integer"}]
    if len(schemas) == 1:
        return schemas[0]
    pairs = [(one, other) for index, one in enumerate(schemas) for other in schemas[:index]]
    return {"oneOf" if all(_disjoint(one, other) for one, other in pairs) else "anyOf": schemas}


def _disjoint(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether no value fits both. Media types part them too: a value names its own, or has the first."""
    types_ = _json_types(one), _json_types(other)
    if not types_[0] & types_[1]:
        return True
    media = one.get("contentMediaType"), other.get("contentMediaType")
    if media[0] != media[1]:
        return True
    kinds = [schema.get("properties", {}).get("type", {}).get("enum") for schema in (one, other)]
    return None not in kinds and kinds[0] != kinds[1]


def _json_types(schema: dict[str, Any]) -> set[str]:
    if "allOf" in schema:
        return _json_types(schema["allOf"][-1])
    named = schema.get("type")
    everything = {"object", "array", "string", "number", "boolean"}
    return {"number" if named == "integer" else named} if named else everything


def _union_wire(wires: list[Any]) -> Any:
    union: Any = Union[tuple(wires)]  # noqa: UP007 - built from a tuple
    try:
        msgspec.json.Decoder(union)
    except TypeError:
        return _first_fit(wires)
    return union


class _Chameleon(type):
    """Type of a union that msgspec cannot tell apart: values are instances of its members, not of it."""

    def __instancecheck__(cls, instance: object) -> bool:
        return True


def _first_fit(wires: list[Any]) -> type:
    def of(value: Any) -> Any:
        problems = []
        for wire in wires:
            try:
                return msgspec.convert(value, wire, dec_hook=read_custom)
            except msgspec.ValidationError as error:
                problems.append(str(error))
        raise ValueError(f"Fits none of the alternatives ({'; '.join(problems)})")

    return _Chameleon("FirstFit", (), {"of": staticmethod(of)})


def read_custom(type_: Any, value: Any) -> Any:
    """Make a value of one of our own types from plain JSON (msgspec's `dec_hook`)."""
    return type_.of(value)


def _with_media(shape: Shape, base: Any, media: Media) -> Shape:
    form: Literal["json", "text", "binary"] = "binary" if base is bytes else "text" if base is str else "json"
    branches = [{**shape.schema, "contentMediaType": type_} for type_ in media.types]
    schema = branches[0] if len(branches) == 1 else {"oneOf": branches}
    return msgspec.structs.replace(shape, schema=schema, media=media.types, form=form)


# Constraints


def _constrained(shape: Shape, constraints: Constraints) -> Shape:
    given = {
        name: value
        for name in Constraints.__struct_fields__
        if (value := getattr(constraints, name)) is not None
    }
    if not given:
        return shape
    named = shape.schema.get("type", "union")
    for name in given:
        if named not in _APPLIES[name]:
            raise DeclarationError(
                f"{name}= says nothing about a value of this type; it is for {_PLACE[name]}"
            )
    _check_order(constraints)
    schema = {**shape.schema, **_schema_of(constraints, named)}
    return msgspec.structs.replace(shape, wire=_constrained_wire(shape.wire, constraints), schema=schema)


_NUMBERS = ("integer", "number")
_SIZED = ("string", "array", "object")
_APPLIES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("gt", "ge", "lt", "le", "multiple_of"), _NUMBERS),
    **dict.fromkeys(("min_length", "max_length"), _SIZED),
    **dict.fromkeys(("pattern", "format"), ("string",)),
}
_PLACE = {
    **dict.fromkeys(
        ("gt", "ge", "lt", "le", "multiple_of"), "int and float; in a union write it beside the member"
    ),
    **dict.fromkeys(("min_length", "max_length"), "str, list and dict"),
    **dict.fromkeys(("pattern", "format"), "str"),
}


def _check_order(constraints: Constraints) -> None:
    for strict, loose in (("gt", "ge"), ("lt", "le")):
        if getattr(constraints, strict) is not None and getattr(constraints, loose) is not None:
            raise DeclarationError(f"{strict}= and {loose}= say two things; write one of them")
    for name in ("gt", "ge", "lt", "le", "multiple_of"):
        value = getattr(constraints, name)
        if value is not None and (isinstance(value, bool) or not math.isfinite(value)):
            raise DeclarationError(f"{name}= takes a finite number, not {value!r}")
    low = constraints.ge if constraints.gt is None else constraints.gt
    high = constraints.le if constraints.lt is None else constraints.lt
    if low is not None and high is not None:
        strict_bound = constraints.gt is not None or constraints.lt is not None
        if low > high or (low == high and strict_bound):
            raise DeclarationError(
                f"no number lies above {low} and below {high}; the lower bound must be the smaller"
            )
    _check_lengths(constraints)
    if constraints.multiple_of is not None and constraints.multiple_of <= 0:
        raise DeclarationError(f"multiple_of= takes a number above 0, not {constraints.multiple_of!r}")
    if constraints.pattern is not None:
        _check_pattern(constraints.pattern)


def _check_lengths(constraints: Constraints) -> None:
    for name in ("min_length", "max_length"):
        value = getattr(constraints, name)
        if value is not None and (type(value) is not int or value < 0):
            raise DeclarationError(f"{name}= takes a whole number from 0 on, not {value!r}")
    least, most = constraints.min_length, constraints.max_length
    if least is not None and most is not None and least > most:
        raise DeclarationError(f"min_length={least} is above max_length={most}")


def _check_pattern(pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise DeclarationError(f"pattern={pattern!r} is not a regular expression: {error}") from None


def _schema_of(constraints: Constraints, named: str) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    excluded = [bound for bound in (constraints.gt, constraints.lt) if bound is not None]
    bounds = {"minimum": (constraints.ge, constraints.gt), "maximum": (constraints.le, constraints.lt)}
    for keyword, (loose, strict) in bounds.items():
        if (bound := loose if strict is None else strict) is not None:
            schema[keyword] = bound
    if excluded:
        schema["not"] = {"enum": excluded}
    if constraints.multiple_of is not None:
        schema["multipleOf"] = constraints.multiple_of
    suffix = {"string": "Length", "array": "Items", "object": "Properties"}.get(named, "")
    lengths = {"min": constraints.min_length, "max": constraints.max_length}
    schema |= {f"{end}{suffix}": length for end, length in lengths.items() if length is not None}
    texts = {"pattern": constraints.pattern, "format": constraints.format}
    return schema | {name: text for name, text in texts.items() if text is not None}


def _constrained_wire(wire: Any, constraints: Constraints) -> Any:
    """Let msgspec check what it can; what it cannot, the schema says."""
    names = ("gt", "ge", "lt", "le", "min_length", "max_length", "pattern")
    meta = {name: value for name in names if (value := getattr(constraints, name)) is not None}
    if isinstance(constraints.multiple_of, int):
        meta["multiple_of"] = constraints.multiple_of
    if not meta:
        return wire
    checked: Any = Annotated[wire, Meta(**meta)]
    try:
        msgspec.json.Decoder(checked, dec_hook=read_custom)
    except (TypeError, ValueError) as error:
        raise DeclarationError(f"the constraints do not suit the type: {error}") from None
    return checked


def _is_union(base: Any) -> bool:
    return get_origin(base) in (Union, types.UnionType)


def _hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _told(annotation: Any) -> str:
    return (
        annotation.__name__ if isinstance(annotation, type) and not get_args(annotation) else str(annotation)
    )
