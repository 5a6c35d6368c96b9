"""Processes that answer in every way the web layer knows."""

from typing import Annotated, Literal

import fastprocesses_sdk as fp


@fp.process
def greet(name: str) -> str:
    """Greet."""
    return f"Hello {name}"


@fp.process
def add(a: float, b: float = 1) -> float:
    """Add."""
    return a + b


@fp.process
def picture(size: int = 8) -> Annotated[bytes, fp.Media("image/png")]:
    """Give bytes of an image type."""
    return bytes(number % 256 for number in range(size))


@fp.process
def markup(text: str = "x") -> Annotated[str, fp.Media("text/html")]:
    """Give a text of a media type."""
    return f"<p>{text}</p>"


@fp.process
def point(x: float = 1, y: float = 2) -> fp.Point:
    """Give GeoJSON."""
    return fp.Point(coordinates=[x, y])


class Several(fp.Outputs):
    """Outputs of every form."""

    text: str
    number: float
    table: dict[str, int]
    image: Annotated[bytes, fp.Media("image/png")]


@fp.process
def several(size: int = 4) -> Several:
    """Give several outputs."""
    return Several(text="teststring", number=1.5, table={"a": 1}, image=b"\x89" * size)


@fp.process(modes=["sync"])
def only_sync() -> bool:
    """Run synchronously alone."""
    return True


@fp.process(modes=["async"])
def only_async() -> bool:
    """Run asynchronously alone."""
    return True


@fp.process
def refuse(how: Literal["told", "typed", "bug"]) -> str:
    """Fail in several ways."""
    if how == "told":
        raise fp.ProcessError("The moon is not full.", title="Wrong moon", status=409, input="how")
    if how == "typed":
        raise fp.ProcessError("No.", type="https://example.org/problems/no", status=400)
    raise KeyError("secret internals")
