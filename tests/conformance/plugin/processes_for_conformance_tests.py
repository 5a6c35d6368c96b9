"""Processes that take and give values of every form the standard knows."""

from typing import Annotated, Literal, TypedDict

import fastprocesses_sdk as fp

Png = Annotated[bytes, fp.Media("image/png")]
Gml = Annotated[str, fp.Media("application/gml+xml; version=3.2")]


class Named(TypedDict):
    """An object with a binary value."""

    name: str
    image: Png


class Forms(fp.Outputs):
    """What was given, value by value."""

    text: str | None = None
    number: float | None = None
    truth: bool | None = None
    listed: list[int] | None = None
    several: list[float] | None = None
    measure: dict[str, float] | None = None
    image: Png | None = None
    images: list[Png] | None = None
    named: Named | None = None
    box: fp.BBox | None = None
    geometry: Gml | fp.Polygon | None = None
    mixed: float | bool | None = None


@fp.process
def forms(
    text: str | None = None,
    number: float | None = None,
    truth: bool | None = None,
    listed: list[int] | None = None,
    several: Annotated[list[float] | None, fp.Input(occurs=(0, 5))] = None,
    measure: dict[str, float] | None = None,
    image: Png | None = None,
    images: Annotated[list[Png] | None, fp.Input(occurs=(0, 3))] = None,
    named: Named | None = None,
    box: fp.BBox | None = None,
    geometry: Gml | fp.Polygon | None = None,
    mixed: float | bool | None = None,
) -> Forms:
    """Give back what was given."""
    return Forms(
        text=text,
        number=number,
        truth=truth,
        listed=listed,
        several=several,
        measure=measure,
        image=image,
        images=images,
        named=named,
        box=box,
        geometry=geometry,
        mixed=mixed,
    )


class Results(fp.Outputs):
    """Results of every kind."""

    text: str
    number: float
    truth: bool
    numbers: list[int]
    table: dict[str, int]
    image: Png
    images: list[Png]
    named: Named
    point: fp.Point
    box: fp.BBox


@fp.process
def results() -> Results:
    """Give a result of every kind."""
    return Results(
        text="teststring",
        number=1.5,
        truth=True,
        numbers=[1, 2],
        table={"a": 1},
        image=b"\x89PNG",
        images=[b"\x89", b"PNG"],
        named={"name": "a", "image": b"\x89PNG"},
        point=fp.Point(coordinates=[1, 2]),
        box=fp.BBox(bbox=[1, 2, 3, 4]),
    )


@fp.process(modes=["sync"])
def only_sync() -> str:
    """Run while the client waits."""
    return "done"


@fp.process(modes=["async"])
def only_async() -> str:
    """Run as a job."""
    return "done"


@fp.process
def refuse(status: int = 409) -> str:
    """Fail for a reason."""
    raise fp.ProcessError("The moon is not full.", title="Wrong moon", status=status)


@fp.process
def broken() -> str:
    """Fail by a bug."""
    raise KeyError("secret internals")


@fp.process
def widgets(
    choice: Literal["a", "b"] = "a",
    share: Annotated[float, fp.Input(ge=0, le=1)] = 0.5,
    count: Annotated[int, fp.Input(ge=1)] = 3,
    name: Annotated[str, fp.Input(pattern="[a-z]+", max_length=8)] = "abc",
    exact: bool = True,
    steps: Annotated[list[float], fp.Input(min_length=1)] = [1.0],  # noqa: B006
) -> str:
    """Take values that forms have widgets for."""
    return f"{choice} {share} {count} {name} {exact} {steps}"
