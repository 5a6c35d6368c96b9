"""What a value must fulfil beyond its type: in the schema, and in what msgspec checks."""

import math
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from fastprocesses_sdk.annotations import Constraints
from fastprocesses_sdk.errors import DeclarationError
from fastprocesses_sdk.patterns import as_python
from fastprocesses_sdk.shapes import Shape, read_custom

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


def constrained(shape: Shape, constraints: Constraints) -> Shape:
    """Return the shape of the values that fulfil the constraints too.

    Raises:
        DeclarationError: No value does, or the constraints say nothing about such values.
    """
    given = {
        name: value
        for name in Constraints.__struct_fields__
        if (value := getattr(constraints, name)) is not None
    }
    if not given:
        return shape
    named = _kind(shape)
    for name in given:
        if named not in _APPLIES[name]:
            raise DeclarationError(
                f"{name}= says nothing about a value of this type; it is for {_PLACE[name]}"
            )
    _check_order(constraints)
    schema = {**shape.schema, **_schema_of(constraints, named)}
    return msgspec.structs.replace(shape, wire=_constrained_wire(shape.wire, constraints), schema=schema)


def _kind(shape: Shape) -> str:
    """Name the JSON type that constraints may say something about; strings of a format have their own rules."""
    if "format" in shape.schema or "enum" in shape.schema or shape.geojson:
        return "fixed"
    return str(shape.schema.get("type", "union"))


def _check_order(constraints: Constraints) -> None:
    for strict, loose in (("gt", "ge"), ("lt", "le")):
        if getattr(constraints, strict) is not None and getattr(constraints, loose) is not None:
            raise DeclarationError(f"{strict}= and {loose}= say two things; write one of them")
    for name in ("gt", "ge", "lt", "le", "multiple_of"):
        value = getattr(constraints, name)
        if value is not None and (
            isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value)
        ):
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


def _check_lengths(constraints: Constraints) -> None:
    for name in ("min_length", "max_length"):
        value = getattr(constraints, name)
        if value is not None and (type(value) is not int or value < 0):
            raise DeclarationError(f"{name}= takes a whole number from 0 on, not {value!r}")
    least, most = constraints.min_length, constraints.max_length
    if least is not None and most is not None and least > most:
        raise DeclarationError(f"min_length={least} is above max_length={most}")


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
    names = ("gt", "ge", "lt", "le", "min_length", "max_length")
    meta = {name: value for name in names if (value := getattr(constraints, name)) is not None}
    if isinstance(constraints.multiple_of, int):
        meta["multiple_of"] = constraints.multiple_of
    if constraints.pattern is not None:
        meta["pattern"] = as_python(constraints.pattern)
    if not meta:
        return wire
    checked: Any = Annotated[wire, Meta(**meta)]
    try:
        msgspec.json.Decoder(checked, dec_hook=read_custom)
    except (TypeError, ValueError) as error:
        raise DeclarationError(f"the constraints do not suit the type: {error}") from None
    return checked
