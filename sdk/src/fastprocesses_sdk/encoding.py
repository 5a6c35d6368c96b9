"""Python values as JSON, of whatever library they are."""

import contextlib
import datetime as dt
import gc
from collections.abc import Iterator
from typing import Any

import msgspec

LARGE_BYTES = 1 << 18
"""Below that, the garbage collector costs less than looking after it."""


def _write_custom(value: Any) -> Any:
    geo = getattr(value, "__geo_interface__", None)
    if geo is not None:
        return geo
    if type(value).__module__ == "numpy":
        return value.tolist()
    if isinstance(value, dt.datetime | dt.timedelta):  # of a subclass, as those of pandas
        return _plain_time(value)
    raise TypeError(f"There is no JSON for a `{type(value).__name__}`")


def _plain_time(value: dt.datetime | dt.timedelta) -> dt.datetime | dt.timedelta | None:
    if value != value:  # "not a time"
        return None
    if isinstance(value, dt.datetime):
        return dt.datetime.combine(value.date(), value.timetz())
    return dt.timedelta(value.days, value.seconds, value.microseconds)


encode = msgspec.json.Encoder(enc_hook=_write_custom).encode
"""Encode as JSON, whatever has `__geo_interface__`, numpy's values and pandas' times included.

Raises TypeError where there is no JSON for a value.
"""


@contextlib.contextmanager
def uncollected(data: bytes) -> Iterator[None]:
    """Keep the garbage collector from walking over a large value again and again while it grows."""
    if len(data) < LARGE_BYTES or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
