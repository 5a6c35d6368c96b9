"""Classes whose instances are JSON objects: Structs, dataclasses, TypedDicts, attrs classes, pydantic models.

What the class says of its fields, names, defaults, constraints and texts, becomes the schema; values are checked
against it and then handed to the class itself, so that its own checks run too.
"""

import contextlib
import dataclasses
import inspect
import sys
import typing
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Annotated, Any, NotRequired, Required, TypeVar, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, UNSET, Struct, UnsetType

from fastprocesses_sdk.annotations import Output, Outputs
from fastprocesses_sdk.docstrings import texts_of
from fastprocesses_sdk.errors import DeclarationError
from fastprocesses_sdk.hints import hints_of, split, without_none
from fastprocesses_sdk.notes import note_of
from fastprocesses_sdk.shapes import Shape, packed, unpacked
from fastprocesses_sdk.telling import Told, field_texts

ShapeOf = Callable[[Any], Shape]
_REQUIRED = {Required, NotRequired}
if sys.version_info >= (3, 13):
    _REQUIRED.add(typing.ReadOnly)


class Member(Struct, frozen=True, kw_only=True):
    """A field of a class, as the class tells it."""

    attribute: str
    key: str
    """Its name in JSON."""
    annotation: Any
    is_required: bool
    default: Any = UNSET
    text: str = ""


class _Field(Struct, frozen=True):
    """A member, and how its values go in and out."""

    told: Member
    shape: Shape
    is_required: bool
    is_nullable: bool
    """None stands for a value that is not there."""


class Kind(Struct, frozen=True, kw_only=True):
    """How one kind of class is read, made and looked into."""

    members: Callable[[Any], list[Member]]
    make: Callable[[Any, dict[str, Any]], Any] = lambda cls, values: cls(**values)
    is_instance: Callable[[Any, Any], bool] = lambda value, cls: isinstance(value, cls)
    get: Callable[[Any, str], Any] = getattr
    is_closed: Callable[[Any], bool] = lambda cls: False
    """Whether it refuses members it does not name."""


_open: ContextVar[tuple[Any, ...]] = ContextVar("open", default=())


def object_shape(annotation: Any, shape_of: ShapeOf) -> Shape | None:
    """Return the shape of a class whose instances are objects; None: it is none of those.

    Raises:
        DeclarationError: It is one, but its fields make no sense in JSON.
    """
    cls = get_origin(annotation) or annotation
    kind = kind_of(cls)
    if kind is None:
        return None
    if issubclass(cls, Outputs):
        raise DeclarationError(
            f"{cls.__name__} has several outputs, so it is returned as it is; for an object write a dataclass"
        )
    with Told(f"class {cls.__name__}"), _entered(annotation, cls.__name__):
        fields = [_field(member, shape_of) for member in _members(kind, cls, annotation)]
        if not fields:
            raise DeclarationError("it has no fields; for any object write dict[str, Any]")
        _check_keys(fields)
        return _shape(kind, cls, fields)


def kind_of(cls: Any) -> Kind | None:
    """Tell which kind of class it is; None: none that is an object in JSON."""
    if not isinstance(cls, type):
        return None
    if typing.is_typeddict(cls) or hasattr(cls, "__required_keys__"):
        return _TYPED_DICT
    if issubclass(cls, Struct):
        return _STRUCT
    if dataclasses.is_dataclass(cls):
        return _DATACLASS
    if hasattr(cls, "__attrs_attrs__"):
        return _ATTRS
    if hasattr(cls, "model_fields") and hasattr(cls, "model_validate"):
        return _PYDANTIC
    return None


@contextlib.contextmanager
def _entered(annotation: Any, name: str) -> Iterator[None]:
    """Refuse to enter a class a second time on the way down."""
    path = _open.get()
    if annotation in path:
        raise DeclarationError(
            f"{name} contains itself, and descriptions cannot say that; write dict[str, Any] in its place"
        )
    token = _open.set((*path, annotation))
    try:
        yield
    finally:
        _open.reset(token)


def _members(kind: Kind, cls: Any, annotation: Any) -> Iterator[Member]:
    """Read the fields, type variables put in place, texts of the docstring added."""
    given = _type_arguments(cls, get_args(annotation))
    docstring = cls.__doc__ or ""
    texts = {} if docstring.startswith(f"{cls.__name__}(") else texts_of(cls).arguments
    for member in kind.members(cls):
        yield msgspec.structs.replace(
            member,
            annotation=_substituted(member.annotation, given),
            text=member.text or texts.get(member.attribute, ""),
        )


def _type_arguments(cls: Any, given: tuple[Any, ...]) -> dict[Any, Any]:
    parameters = getattr(cls, "__parameters__", ())
    return dict(zip(parameters, given, strict=False))


def _substituted(annotation: Any, given: Mapping[Any, Any]) -> Any:
    if isinstance(annotation, TypeVar):
        return given.get(annotation, annotation)
    free = getattr(annotation, "__parameters__", ())
    if not free or isinstance(annotation, type):
        return annotation
    return annotation[tuple(given.get(each, each) for each in free)]


def _field(member: Member, shape_of: ShapeOf) -> _Field:
    with Told(f"field {member.attribute!r}"):
        narrowed, is_optional = without_none(member.annotation)
        notes = split(narrowed)[1]
        if note_of(notes, Output):
            raise DeclarationError("fp.Output is for outputs; inside an object write fp.Input")
        shape = shape_of(narrowed)
        schema = {**shape.schema, **field_texts(notes, member.text)}
        if member.default is not UNSET and member.default is not None and not shape.is_file:
            schema |= _default(member.default, shape)
        shape = msgspec.structs.replace(shape, schema=schema)
        return _Field(member, shape, member.is_required and not is_optional, is_optional)


def _default(default: Any, shape: Shape) -> dict[str, Any]:
    from fastprocesses_sdk.values import plain_default

    plain = plain_default(shape, default)
    return {} if plain is None else {"default": plain}


def _check_keys(fields: list[_Field]) -> None:
    keys = [field.told.key for field in fields]
    for key in keys:
        if keys.count(key) > 1:
            raise DeclarationError(f"two of its fields are called {key!r} in JSON")


def _shape(kind: Kind, cls: Any, fields: list[_Field]) -> Shape:
    required = [field.told.key for field in fields if field.is_required]
    closed = kind.is_closed(cls)
    schema = {
        "type": "object",
        **({"required": required} if required else {}),
        "properties": {field.told.key: field.shape.schema for field in fields},
        **({"additionalProperties": False} if closed else {}),
    }
    return Shape(
        wire=_wire(cls, fields, closed=closed),
        schema=schema,
        unpack=lambda decoded: _made(kind, cls, fields, decoded),
        pack=lambda value: _packed(kind, cls, fields, value),
    )


def _wire(cls: Any, fields: list[_Field], *, closed: bool) -> Any:
    """Make the Struct that msgspec decodes; its fields are numbered, whatever they are called in JSON."""
    declared: list[Any] = []
    for place, field in enumerate(fields):
        wire = field.shape.wire
        if field.is_required:
            declared.append((f"f{place}", wire))
        else:
            declared.append((f"f{place}", typing.Union[wire, UnsetType], UNSET))  # noqa: UP007
    names = {f"f{place}": field.told.key for place, field in enumerate(fields)}
    return msgspec.defstruct(
        cls.__name__, declared, rename=names, kw_only=True, forbid_unknown_fields=closed, frozen=True
    )


def _made(kind: Kind, cls: Any, fields: list[_Field], decoded: Any) -> Any:
    values: dict[str, Any] = {}
    for place, field in enumerate(fields):
        value = getattr(decoded, f"f{place}")
        if value is not UNSET:
            values[field.told.attribute] = unpacked(field.shape, value)
        elif field.told.is_required:  # it may be None, and is
            values[field.told.attribute] = None
    return kind.make(cls, values)


def _packed(kind: Kind, cls: Any, fields: list[_Field], value: Any) -> dict[str, Any]:
    if not kind.is_instance(value, cls):
        raise TypeError(f"Expected `{cls.__name__}`, got `{type(value).__name__}`")
    members = {}
    for field in fields:
        member = kind.get(value, field.told.attribute)
        if member is UNSET or (member is None and field.is_nullable):
            continue
        try:
            members[field.told.key] = packed(field.shape, member)
        except (TypeError, ValueError) as error:
            kind_of_error = TypeError if isinstance(error, TypeError) else ValueError
            raise kind_of_error(f"{error} - at `{field.told.key}`") from None
    return members


# The kinds of classes


def _struct_members(cls: Any) -> list[Member]:
    if cls.__struct_config__.array_like:
        raise DeclarationError("an array_like Struct is no object; write tuple[...] or list[T]")
    hints = hints_of(cls)
    members = []
    for field in msgspec.structs.fields(cls):
        annotation, may_be_unset = _without_unset(hints[field.name])
        members.append(
            Member(
                attribute=field.name,
                key=field.encode_name,
                annotation=annotation,
                is_required=field.required and not may_be_unset,
                default=UNSET if field.default is NODEFAULT else field.default,
            )
        )
    return members


def _without_unset(annotation: Any) -> tuple[Any, bool]:
    base, notes = split(annotation)
    if UnsetType not in get_args(base):
        return annotation, False
    kept = tuple(member for member in get_args(base) if member is not UnsetType)
    narrowed: Any = typing.Union[kept]  # noqa: UP007 - built from a tuple
    return (Annotated[(narrowed, *notes)] if notes else narrowed), True


def _dataclass_members(cls: Any) -> list[Member]:
    hints = hints_of(cls)
    members = [
        Member(
            attribute=field.name,
            key=field.name,
            annotation=hints[field.name],
            is_required=field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING,
            default=UNSET if field.default is dataclasses.MISSING else field.default,
        )
        for field in dataclasses.fields(cls)
        if field.init
    ]
    _check_constructor(cls, {member.attribute for member in members})
    return members


def _check_constructor(cls: Any, names: set[str]) -> None:
    for parameter in inspect.signature(cls).parameters.values():
        is_needed = parameter.default is parameter.empty and parameter.kind not in (
            parameter.VAR_KEYWORD,
            parameter.VAR_POSITIONAL,
        )
        if parameter.name not in names and is_needed:
            raise DeclarationError(f"its constructor needs {parameter.name!r}, which is no field")


def _typed_dict_members(cls: Any) -> list[Member]:
    members = []
    for name, annotation in hints_of(cls).items():
        is_required = name in cls.__required_keys__
        while get_origin(annotation) in _REQUIRED:
            if get_origin(annotation) in (Required, NotRequired):
                is_required = get_origin(annotation) is Required
            annotation = get_args(annotation)[0]
        members.append(Member(attribute=name, key=name, annotation=annotation, is_required=is_required))
    return members


def _attrs_members(cls: Any) -> list[Member]:
    hints = hints_of(cls)
    members = []
    for field in cls.__attrs_attrs__:
        if not field.init:
            continue
        if field.name not in hints:
            raise DeclarationError(f"its field {field.name!r} has no type")
        is_factory = type(field.default).__name__ == "Factory"
        has_default = is_factory or field.default is not sys.modules["attr"].NOTHING
        members.append(
            Member(
                attribute=field.name,
                key=field.alias,
                annotation=hints[field.name],
                is_required=not has_default,
                default=field.default if has_default and not is_factory else UNSET,
            )
        )
    return members


def _pydantic_members(cls: Any) -> list[Member]:
    config = cls.model_config
    if config.get("extra") == "allow":
        raise DeclarationError(
            "members that a model does not name are not kept; take extra='allow' away, or write dict[str, Any]"
        )
    members = []
    for name, field in cls.model_fields.items():
        annotation = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
        members.append(
            Member(
                attribute=name,
                key=_alias(name, field),
                annotation=annotation,
                is_required=field.is_required(),
                default=UNSET if field.is_required() or field.default_factory else field.default,
                text=field.description or "",
            )
        )
    if "root" in cls.model_fields:
        raise DeclarationError("a RootModel is no object; write the type of its root")
    return members


def _alias(name: str, field: Any) -> str:
    alias = field.validation_alias if field.validation_alias is not None else field.alias
    if alias is not None and not isinstance(alias, str):
        raise DeclarationError(f"its field {name!r} has an alias that is no plain name")
    return str(alias or name)


def _validated(cls: Any, values: dict[str, Any]) -> Any:
    fields = cls.model_fields
    return cls.model_validate({_alias(name, fields[name]): value for name, value in values.items()})


_STRUCT = Kind(
    members=_struct_members, is_closed=lambda cls: bool(cls.__struct_config__.forbid_unknown_fields)
)
_DATACLASS = Kind(members=_dataclass_members)
_TYPED_DICT = Kind(
    members=_typed_dict_members,
    make=lambda cls, values: values,
    is_instance=lambda value, cls: isinstance(value, Mapping),
    get=lambda value, name: value.get(name, UNSET),
)
_ATTRS = Kind(
    members=_attrs_members,
    make=lambda cls, values: cls(**{_attrs_alias(cls, name): value for name, value in values.items()}),
)
_PYDANTIC = Kind(
    members=_pydantic_members,
    make=_validated,
    is_closed=lambda cls: cls.model_config.get("extra") == "forbid",
)


def _attrs_alias(cls: Any, name: str) -> str:
    return str(next(field.alias for field in cls.__attrs_attrs__ if field.name == name))
