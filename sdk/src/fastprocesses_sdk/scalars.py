"""Values that JSON has as they are, and those that it has as strings of a format."""

import datetime as dt
import decimal
import re
import uuid
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from fastprocesses_sdk.patterns import as_python
from fastprocesses_sdk.shapes import Shape, wire_of

DURATION = "^P([0-9]{1,8}[WD])?(T([0-9]{1,8}[HMS])+)?$"
"""Durations without years and months, whose length nobody knows; their order is a matter of the format."""
_SECONDS = {"W": 604_800, "D": 86_400, "H": 3_600, "M": 60, "S": 1}
_LEAP_SECOND = re.compile(r"(?<=[0-9]:)60(?=[.Zz+-])")


def read_duration(value: Any) -> dt.timedelta:
    """Read `P1DT2H`, weeks, days, hours, minutes and seconds, all whole."""
    if not isinstance(value, str) or not re.search(as_python(DURATION), value):
        raise ValueError("Expected a duration such as P1DT2H30M, without years, months and fractions")
    parts = re.findall(r"([0-9]+)([WDHMS])", value)
    return dt.timedelta(seconds=sum(int(count) * _SECONDS[unit] for count, unit in parts))


def write_duration(value: Any) -> str:
    """Write a timedelta as days and seconds."""
    if not isinstance(value, dt.timedelta):
        raise TypeError(f"Expected `timedelta`, got `{type(value).__name__}`")
    if value < dt.timedelta(0) or value.microseconds or value.days >= 10**8:
        raise ValueError(f"Expected a duration of whole seconds, not below zero, got {value}; round it")
    seconds = f"T{value.seconds}S" if value.seconds else ""
    return f"P{value.days}D{seconds}" if value.days or not seconds else f"P{seconds}"


def _reads(type_: Any) -> Callable[[Any], Any]:
    """Read a time; a leap second, which Python does not have, is the second before it."""

    def read(value: Any) -> Any:
        if isinstance(value, str):
            value = _LEAP_SECOND.sub("59", value, count=1)
        return msgspec.convert(value, type_)

    return read


def _read_decimal(value: Any) -> decimal.Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"Expected a number, got `{type(value).__name__}`")  # noqa: TRY004 - from outside, no bug
    return decimal.Decimal(str(value))


def _write_decimal(value: Any) -> Any:
    if not isinstance(value, decimal.Decimal):
        raise TypeError(f"Expected `Decimal`, got `{type(value).__name__}`")
    if not value.is_finite():
        raise ValueError(f"Expected a finite number, got {value}")
    return msgspec.Raw(msgspec.json.Encoder(decimal_format="number").encode(value))


_SHAPES: dict[Any, Shape] = {
    bool: Shape(wire=bool, schema={"type": "boolean"}),
    int: Shape(wire=int, schema={"type": "integer"}),
    float: Shape(wire=float, schema={"type": "number"}),
    str: Shape(wire=str, schema={"type": "string"}),
    decimal.Decimal: Shape(
        wire=wire_of("Decimal", _read_decimal), schema={"type": "number"}, pack=_write_decimal
    ),
    dt.date: Shape(wire=dt.date, schema={"type": "string", "format": "date"}),
    dt.datetime: Shape(
        wire=wire_of("DateTime", _reads(Annotated[dt.datetime, Meta(tz=True)])),
        schema={"type": "string", "format": "date-time"},
    ),
    dt.time: Shape(
        wire=wire_of("Time", _reads(Annotated[dt.time, Meta(tz=True)])),
        schema={"type": "string", "format": "time"},
    ),
    dt.timedelta: Shape(
        wire=wire_of("Duration", read_duration),
        schema={"type": "string", "format": "duration", "pattern": DURATION},
        pack=write_duration,
    ),
    uuid.UUID: Shape(wire=uuid.UUID, schema={"type": "string", "format": "uuid"}),
    dict: Shape(wire=dict[str, Any], schema={"type": "object"}),
    list: Shape(wire=list[Any], schema={"type": "array", "items": {}}),
    Any: Shape(wire=Any, schema={}),
    object: Shape(wire=Any, schema={}),
}


def scalar_shape(base: Any) -> Shape | None:
    """Return the shape of a type that has one of its own; None: it has not."""
    try:
        return _SHAPES.get(base)
    except TypeError:  # not hashable, so none of them
        return None
