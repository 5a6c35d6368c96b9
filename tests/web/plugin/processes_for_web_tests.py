"""Processes that answer in every way the web layer knows."""

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

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


@fp.process
def talk(lines: int = 1, fail: bool = False, *, job: fp.Job = fp.NO_JOB) -> str:
    """Write to the log in every way."""
    job.progress(50, "Talking")
    job.log("structured", "warning", number=2)
    for number in range(lines):
        print(f"line {number}")
    print("\x1b[31mred", file=sys.stderr)
    if fail:
        raise KeyError("secret internals")
    return "said"


@fp.process
def numbers(count: int = 3) -> list[int]:
    """Give an array."""
    return list(range(count))


@fp.process
class Patient:
    """Runs until a file is there, and cannot be dismissed."""

    description = fp.ProcessDescription(
        id="patient",
        version="1",
        title="Patient",
        description="Waits for a file.",
        job_control_options=["async-execute"],
        inputs={
            "file": fp.InputDescription(title="File", description="Its path.", schema={"type": "string"})
        },
        outputs={
            "result": fp.OutputDescription(title="Done", description="Yes.", schema={"type": "boolean"})
        },
    )

    def execute(self, inputs: Mapping[str, Any], job: fp.Job) -> Mapping[str, Any]:
        deadline = time.monotonic() + 60
        file = inputs["file"]
        while Path(file).is_absolute() and not Path(file).exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        return {"result": True}


@fp.process
class Pictures:
    """Gives several binary values as one output."""

    description = fp.ProcessDescription(
        id="pictures",
        version="1",
        title="Pictures",
        description="Two images.",
        outputs={
            "result": fp.OutputDescription(
                title="Images",
                description="All of them.",
                schema={
                    "type": "array",
                    "items": {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"},
                },
            )
        },
    )

    def execute(self, inputs: Mapping[str, Any], job: fp.Job) -> Mapping[str, Any]:
        return {"result": ["AAA=", "AQE="]}


ODD_IDS = ["a/b", "a b", "ü", "a%2Fb", "x?y#z", "0", "x\r\ny"]


@fp.process
class Odd:
    """Has outputs of ids that mean something in URLs and headers; each is its own id."""

    description = fp.ProcessDescription(
        id="odd",
        version="1",
        title="Odd",
        description="Odd ids.",
        outputs={
            name: fp.OutputDescription(title="Id", description="Itself.", schema={"type": "string"})
            for name in ODD_IDS
        },
    )

    def execute(self, inputs: Mapping[str, Any], job: fp.Job) -> Mapping[str, Any]:
        return {name: name for name in ODD_IDS}


@fp.process(
    keywords=["Größe"],
    translations={
        "de": fp.Translation(
            title="Wachsen",
            description="Lässt etwas wachsen.",
            inputs={"by": fp.TranslatedText(title="Um", description="Um wie viel.")},
        ),
        "pt-BR": fp.Translation(title="Crescer"),
    },
)
def grow(by: int = 1) -> int:
    """Make something grow."""
    return 1 + by
