"""What an author writes who lets a strict type checker look on."""

import dataclasses
import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

import fastprocesses_sdk as fp
import msgspec


class Extent(TypedDict):
    box: fp.BBox
    crs: str


@dataclasses.dataclass
class Station:
    name: Annotated[str, fp.Input(min_length=1)]
    height: Annotated[float, fp.Input(unit="m")] = 0.0


class Window(msgspec.Struct):
    first_row: int
    last_row: int = 10


class Report(fp.Outputs):
    table: fp.CSV
    pictures: list[fp.PNG]
    mean: Annotated[float, fp.Output(unit="m")] | None = None


@fp.process(keywords=["report"], examples=[{"stations": [{"name": "a"}]}])
def report(
    stations: list[Station],
    raster: fp.GeoTIFF | None = None,
    window: Window | None = None,
    page: fp.URI = "https://example.org/",
    wait: dt.timedelta = dt.timedelta(hours=1),
    scale: Annotated[float, fp.Input(gt=0, unit="m")] = 1.0,
    style: Literal["plain", "rich"] = "plain",
    several: Annotated[list[fp.GeoTIFF], fp.Input(occurs=(1, "unbounded"))] | None = None,
    *,
    job: fp.Job = fp.NO_JOB,
) -> Report:
    """Report."""
    table: Path = job.workdir / "table.csv"
    lines = [f"{each.name},{each.height * scale}" for each in job.track(stations)]
    table.write_text("\n".join(lines))
    if raster is not None:
        job.log(raster.name)
    return Report(table=table, pictures=[], mean=scale)


@fp.process
def extent(box: fp.BBox, link: fp.Link) -> Extent:
    """Tell."""
    return {"box": box, "crs": link.href}


@fp.process
async def picture(size: int = 8) -> Annotated[bytes, fp.Media("image/png", "image/jpeg")]:
    """Draw."""
    return bytes(size)


class Turn:
    description = fp.ProcessDescription(id="turn", version="1", title="Turn", description="Turn.")

    def execute(self, inputs: Mapping[str, Any], job: fp.Job) -> Mapping[str, Any]:
        return {}


class Tiles(fp.Settings):
    url: str
    token: fp.Secret
    size: int = 256


@fp.on_start
async def prepare(settings: Tiles) -> None:
    """Open what all jobs use."""
    url: str = settings.url + settings.token.reveal()
    print(url)


@fp.process(timeout_seconds=5, translations={"de": fp.Translation(title="Ort")})
async def locate(name: str, *, settings: Tiles) -> str:
    """Locate."""
    if not name:
        raise fp.ProcessError("Name it.", status=422, input="name")
    return f"{settings.url}/{settings.size}"


async def call() -> str:
    return await locate("a", settings=Tiles(url="u", token=fp.Secret("s")))


def check() -> None:
    run: fp.testing.Run = fp.testing.run_process(extent, box=[1, 2, 3, 4], link={"href": "x"})
    steps: list[int] = run.progress
    findings: list[fp.testing.Finding] = fp.testing.check_process(Turn)
    fp.testing.Runner(settings=Tiles(url="u", token=fp.Secret("s")), formats={"a": "b"}).run(locate, name="a")
    print(steps, findings)


turn: fp.Process[..., Turn] = fp.process(Turn)
called: Report = report([Station("a")])
found: Extent = extent(fp.BBox([1, 2, 3, 4]), fp.Link(href="x"))
