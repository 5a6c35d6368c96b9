"""Annotations → JSON Schema, and how such values are read, checked and written.

All come from one walk, so that what the schema accepts can be read. The schemas hold in JSON Schema 2020-12 and in
OpenAPI 3.0 alike: no `const`, no numeric `exclusiveMinimum`, no lists of types, no `$ref`, no null.
"""

import enum
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec

from fastprocesses_sdk.annotations import Media
from fastprocesses_sdk.constraints import constrained
from fastprocesses_sdk.encoded import Form
from fastprocesses_sdk.errors import DeclarationError
from fastprocesses_sdk.files import BYTES, file_shape, form_of
from fastprocesses_sdk.fitting import misfit, needs_look
from fastprocesses_sdk.geojson_wire import write_geojson
from fastprocesses_sdk.hints import is_union, name_of
from fastprocesses_sdk.hints import split as split
from fastprocesses_sdk.hints import without_none as without_none
from fastprocesses_sdk.notes import constraints_of, media_of
from fastprocesses_sdk.objects import object_shape
from fastprocesses_sdk.scalars import scalar_shape
from fastprocesses_sdk.shapes import JSON_MEDIA_TYPE as JSON_MEDIA_TYPE
from fastprocesses_sdk.shapes import Shape as Shape
from fastprocesses_sdk.shapes import converted, packed, read_custom, unpacked, wire_of
from fastprocesses_sdk.types import BBox, GeoJSON

SUPPORTED = (
    "int, float, Decimal, str, bool, date, datetime, time, timedelta, UUID, Literal, Enum, list[T], tuple[T, ...], "
    "dict[str, T], unions, Structs, dataclasses, TypedDicts, attrs classes, pydantic models, GeoJSON types, BBox, "
    "Link, and str, bytes or Path with Media"
)
_TYPE_NAMES = {str: "string", int: "integer"}


def shape_of(annotation: Any) -> Shape:
    """Read an annotation.

    Raises:
        DeclarationError: It means nothing in JSON; the sentence says what to write instead.
    """
    base, notes = split(annotation)
    media = media_of(notes)
    constraints = constraints_of(notes)
    if isinstance(base, type) and issubclass(base, pathlib.PurePath):
        return constrained(file_shape(media.types if media else ()), constraints)
    if base is bytes and media is None:
        raise DeclarationError("bytes need a media type; write Annotated[bytes, fp.Media('image/png')]")
    shape = constrained(_plain_shape(base), constraints)
    return _with_media(shape, base, media) if media else shape


def _plain_shape(base: Any) -> Shape:
    if base is bytes:
        return BYTES
    shape = scalar_shape(base) or _class_shape(base) or object_shape(base, shape_of)
    if shape is not None:
        return shape
    if is_union(base):
        return _union_shape(get_args(base))
    if isinstance(base, TypeVar):
        raise DeclarationError(f"{base} stands for any type; a process needs to know which")
    build = _GENERICS.get(get_origin(base))
    if build is None:
        raise DeclarationError(
            f"{name_of(base)} is not a type that JSON can carry{_instead_of(base)}; supported are {SUPPORTED}"
        )
    return build(get_args(base))


def _instead_of(base: Any) -> str:
    """Tell what to declare instead of a class of shapely, geopandas or numpy."""
    if hasattr(base, "__geo_interface__"):
        return "; declare fp.FeatureCollection or fp.Geometry, which are made of it with `.of(...)`"
    if (getattr(base, "__module__", ""), name_of(base)) == ("numpy", "ndarray"):
        return "; declare list[float], or a file as fp.GeoTIFF or fp.NetCDF"
    return ""


def _class_shape(base: Any) -> Shape | None:
    if not isinstance(base, type):
        return None
    if issubclass(base, GeoJSON):
        return _geojson_shape(base)
    if issubclass(base, BBox):
        return Shape(wire=base, schema=base.json_schema())
    if issubclass(base, enum.Enum):
        return _enum_shape(base)
    return None


def _geojson_shape(kind: type[GeoJSON]) -> Shape:
    schema = kind.json_schema()
    return Shape(
        wire=kind,
        schema=schema,
        media=(schema["contentMediaType"],),
        geojson=kind,
        pack=lambda value: msgspec.Raw(write_geojson(kind, value)),
    )


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


# Lists and objects of one type


def nested(shape: Shape) -> dict[str, Any]:
    """Return the schema of a value inside another: there no media type can be named, so any of several fits."""
    schema = shape.schema
    branches = schema.get("oneOf", ())
    if any("contentMediaType" in branch for branch in branches):
        return {("anyOf" if word == "oneOf" else word): rule for word, rule in schema.items()}
    return schema


def _list_shape(members: Sequence[Any]) -> Shape:
    return list_of(shape_of(members[0]))


def list_of(item: Shape) -> Shape:
    """Return the shape of an array of such values."""
    return Shape(
        wire=list[item.wire],  # type: ignore[name-defined]
        schema={"type": "array", "items": nested(item)},
        items=item,
        unpack=(lambda values: [unpacked(item, value) for value in values]) if item.unpack else None,
        pack=(lambda values: [packed(item, value) for value in _several(values)]) if item.pack else None,
    )


def _several(values: Any) -> Any:
    if not isinstance(values, list | tuple | set | frozenset):
        raise TypeError(f"Expected `list`, got `{type(values).__name__}`")
    return values


def _tuple_shape(members: Sequence[Any]) -> Shape:
    if not members:
        raise DeclarationError("a tuple needs members; write tuple[float, float], or tuple[float, ...]")
    if len(members) > 1 and members[1] is not ... and any(member != members[0] for member in members):
        raise DeclarationError(
            "the members of a tuple must be of one type; write list[T] or a union inside it"
        )
    is_endless = len(members) == 2 and members[1] is ...
    shape = _list_shape(members)
    assert shape.items is not None
    counted = (shape.items.wire, ...) if is_endless else (shape.items.wire,) * len(members)
    wire: Any = tuple.__class_getitem__(counted)
    unpack = shape.unpack
    size = {} if is_endless else {"minItems": len(members), "maxItems": len(members)}
    return msgspec.structs.replace(
        shape,
        wire=wire,
        schema={**shape.schema, **size},
        unpack=(lambda values: tuple(unpack(values))) if unpack else None,
    )


def _dict_shape(members: Sequence[Any]) -> Shape:
    key, value = members
    if key is not str:
        raise DeclarationError(f"the keys of a JSON object are strings; write dict[str, {name_of(value)}]")
    shape = shape_of(value)
    more = {"additionalProperties": nested(shape)} if shape.schema else {}
    return Shape(
        wire=dict[str, shape.wire],  # type: ignore[name-defined]
        schema={"type": "object", **more},
        unpack=(lambda values: {name: unpacked(shape, each) for name, each in values.items()})
        if shape.unpack
        else None,
        pack=(lambda values: {name: packed(shape, each) for name, each in _mapping(values).items()})
        if shape.pack
        else None,
    )


def _mapping(values: Any) -> Mapping[str, Any]:
    if not isinstance(values, Mapping):
        raise TypeError(f"Expected `dict`, got `{type(values).__name__}`")
    return values


_GENERICS: dict[Any, Callable[[Sequence[Any]], Shape]] = {
    Literal: _literal_shape,
    list: _list_shape,
    Sequence: _list_shape,
    tuple: _tuple_shape,
    dict: _dict_shape,
    Mapping: _dict_shape,
}


# Unions


def _union_shape(members: Sequence[Any]) -> Shape:
    if type(None) in members:
        raise DeclarationError("None has no place inside a type; only a whole argument can be optional")
    shapes = [shape_of(member) for member in members]
    media = tuple(dict.fromkeys(type_ for shape in shapes for type_ in shape.media))
    union = Shape(
        wire=None,
        schema=_alternatives([shape.schema for shape in shapes]),
        media=media,
        alternatives=tuple(shapes) if media else (),
        pack=(lambda value: _packed_first(shapes, value)) if any(shape.pack for shape in shapes) else None,
    )
    if any(shape.unpack for shape in shapes):
        return msgspec.structs.replace(union, wire=_first_fit(shapes, _fitted), unpack=_unpacked_fit)
    return msgspec.structs.replace(union, wire=_union_wire(shapes))


def _alternatives(schemas: list[dict[str, Any]]) -> dict[str, Any]:
    """One of several schemas; where two can hold at once, any of them."""
    if {"type": "number"} in schemas:
        schemas = [schema for schema in schemas if schema != {"type": "integer"}]
    if len(schemas) == 1:
        return schemas[0]
    schemas = [branch for schema in schemas for branch in _flat(schema)]
    pairs = [(one, other) for index, one in enumerate(schemas) for other in schemas[:index]]
    return {"oneOf" if all(_disjoint(one, other) for one, other in pairs) else "anyOf": schemas}


def _flat(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Part a choice of media types, each of which is an alternative of its own."""
    return schema["oneOf"] if schema.keys() == {"oneOf"} else [schema]


def _disjoint(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether no value fits both. Media types part them too: a value names its own, or has the first."""
    types_ = _json_types(one), _json_types(other)
    if not types_[0] & types_[1]:
        return True
    media = one.get("contentMediaType"), other.get("contentMediaType")
    if media[0] != media[1]:
        return True
    if "enum" in one and "enum" in other:
        return not any(value in other["enum"] for value in one["enum"])
    common = set(one.get("required", ())) & set(other.get("required", ()))
    return any(_disjoint_enums(one["properties"][name], other["properties"][name]) for name in common)


def _disjoint_enums(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether a member that both must have, and that names the kind, names different kinds."""
    return "enum" in one and "enum" in other and not any(value in other["enum"] for value in one["enum"])


def _json_types(schema: dict[str, Any]) -> set[str]:
    if "allOf" in schema:
        return _json_types(schema["allOf"][-1])
    for word in ("oneOf", "anyOf"):
        if word in schema and "type" not in schema:
            return set().union(*map(_json_types, schema[word]))
    named = schema.get("type")
    everything = {"object", "array", "string", "number", "boolean"}
    return {"number" if named == "integer" else named} if named else everything


def _union_wire(shapes: list[Shape]) -> Any:
    """Let msgspec choose where it can.

    Not where a member has constraints: msgspec 0.22 mixes their places up with those of lists and objects in the
    same union, and crashes.
    """
    wires = [shape.wire for shape in shapes]
    if any(get_origin(wire) is Annotated for wire in wires):
        return _first_fit(shapes, lambda shape, value: value)
    union: Any = Union[tuple(wires)]  # noqa: UP007 - built from a tuple
    try:
        msgspec.json.Decoder(union, dec_hook=read_custom)
    except TypeError:
        return _first_fit(shapes, lambda shape, value: value)
    return union


def _first_fit(shapes: list[Shape], fitted: Callable[[Shape, Any], Any]) -> Any:
    """Return the wire of a union whose members msgspec cannot tell apart: the first counts that fits."""
    looks = [needs_look(shape.schema) for shape in shapes]

    def of(value: Any) -> Any:
        problems = []
        late = []  # what only msgspec finds fitting: our own look may be stricter than a server's
        for shape, look in zip(shapes, looks, strict=True):
            try:
                fit = fitted(shape, converted(value, shape.wire))
            except (msgspec.ValidationError, ValueError) as error:
                problems.append(str(error))
                continue
            if not look or not misfit(shape.schema, value):
                return fit
            late.append(fit)
        if late:
            return late[0]
        raise ValueError(f"Fits none of the alternatives ({'; '.join(problems)})")

    return wire_of("FirstFit", of)


def _fitted(shape: Shape, value: Any) -> tuple[Shape, Any]:
    return shape, value


def _unpacked_fit(fit: tuple[Shape, Any]) -> Any:
    return unpacked(*fit)


def _packed_first(shapes: list[Shape], value: Any) -> Any:
    from fastprocesses_sdk.values import checked

    problems = []
    for shape in shapes:
        try:
            return msgspec.Raw(checked(shape, value))
        except (TypeError, ValueError) as error:
            problems.append(str(error))
    raise TypeError(f"Fits none of the alternatives ({'; '.join(problems)})")


def _with_media(shape: Shape, base: Any, media: Media) -> Shape:
    if base is str:
        form: Form = "text"
    elif base is bytes:
        form = "binary"
    else:
        form = "json"
        for type_ in media.types:
            if form_of(type_) != "json":
                raise DeclarationError(
                    f"{name_of(base)} is written as JSON, which {type_} is not; "
                    f"write Annotated[str, fp.Media({type_!r})], or bytes or Path"
                )
    branches = [{**shape.schema, "contentMediaType": type_} for type_ in media.types]
    schema = branches[0] if len(branches) == 1 else {"oneOf": branches}
    return msgspec.structs.replace(shape, schema=schema, media=media.types, form=form)
