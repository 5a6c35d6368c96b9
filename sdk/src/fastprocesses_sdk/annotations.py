"""What an author writes beside a type: `Annotated[float, Input(gt=0, unit="m")]`."""

import re
from dataclasses import dataclass
from typing import Any, Literal, dataclass_transform

from msgspec import Struct

_NAME = r"[A-Za-z0-9!#$&^_.+-]+"
_MEDIA_TYPE = re.compile(rf"{_NAME}/{_NAME}(\s*;\s*{_NAME}=({_NAME}|\"[^\"]*\"))*")
Unbounded = Literal["unbounded"]


class Constraints(Struct, frozen=True, kw_only=True):
    """What a value must fulfil beyond its type. None: nothing."""

    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    le: float | None = None
    multiple_of: float | None = None
    min_length: int | None = None
    """Of a string, an array or an object."""
    max_length: int | None = None
    pattern: str | None = None
    """A regular expression found somewhere in the string; anchor it with ^ and $."""
    format: str | None = None
    """A format of JSON Schema for a string, for instance `uri` or `email`."""


class Input(Constraints, frozen=True, kw_only=True):
    """What is to be known of an input beyond its type: `Annotated[float, Input(gt=0, unit="m")]`.

    A text given here goes before that of the docstring.
    """

    title: str = ""
    description: str = ""
    unit: str = ""
    """Unit of measure of the numbers, told in the description."""
    occurs: tuple[int, int | Unbounded] | None = None
    """Of a `list[T]`: how often the input may be given; without it the list is one array."""


class Output(Struct, frozen=True, kw_only=True):
    """What is to be known of an output beyond its type: `-> Annotated[float, Output(unit="m²")]`."""

    name: str = ""
    """Id of the output; empty: `result`, or the field's name."""
    title: str = ""
    description: str = ""
    unit: str = ""


class Media:
    """In which media type a value comes: `Annotated[str, Media("application/xml")]`.

    On `str` the value is that text, on `bytes` it is binary (base64 inside JSON), on `Path` a file; on other types
    it names the media type of their JSON. Of several, callers choose; `job.format(output)` tells which.

    Args:
        *types: One or several media types; the first is the default.
    """

    __slots__ = ("types",)

    def __init__(self, *types: str) -> None:
        if not types or not all(isinstance(type_, str) and _MEDIA_TYPE.fullmatch(type_) for type_ in types):
            raise ValueError(f"Media takes media types such as 'image/png', not {types!r}.")
        if len(set(types)) < len(types):
            raise ValueError(f"Media is told a media type twice: {types!r}.")
        self.types = types

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Media) and self.types == other.types

    def __hash__(self) -> int:
        return hash(self.types)

    def __repr__(self) -> str:
        return f"Media({', '.join(map(repr, self.types))})"


@dataclass_transform(kw_only_default=True)
class Outputs:
    """Base of what a process with several outputs returns: the fields of the subclass are the outputs.

    A field `T | None = None` may be left out. The docstring of the subclass may tell about the fields under
    `Attributes:`.

    ```python
    class Statistics(fp.Outputs):
        mean: float
        median: float | None = None
    ```
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        dataclass(kw_only=True)(cls)
