"""Processes whose values are files, objects and everything else that a typed function can have."""

import dataclasses
import datetime as dt
from pathlib import Path
from typing import Annotated, Any

import fastprocesses_sdk as fp


@dataclasses.dataclass
class Piece:
    """A piece."""

    name: Annotated[str, fp.Input(min_length=1)]
    image: Annotated[bytes, fp.Media("image/png")]
    since: dt.date | None = None


class Pieces(fp.Outputs):
    """Files of several kinds."""

    raster: fp.GeoTIFF
    table: fp.CSV
    places: Annotated[Path, fp.Media("application/geo+json")]
    parts: list[fp.PNG]
    nothing: fp.CSV | None = None


@fp.process
def double_file(raster: fp.GeoTIFF, *, job: fp.Job = fp.NO_JOB) -> fp.GeoTIFF:
    """Write a file twice into another."""
    assert raster.is_relative_to(job.workdir)
    target = job.workdir / "double.tif"
    with target.open("wb") as out:
        for _ in range(2):
            out.write(raster.read_bytes())
    return target


@fp.process
def scribble(raster: fp.GeoTIFF) -> str:
    """Write into the file that came in; give what was there."""
    with raster.open("r+b") as file:
        before = file.read().decode()
        file.seek(0)
        file.write(b"XXX")
    return before


@fp.process
def every_file(
    table: fp.CSV,
    places: Annotated[Path, fp.Media("application/geo+json")],
    parts: list[fp.PNG],
    raster: fp.GeoTIFF,
) -> Pieces:
    """Give back files."""
    return Pieces(raster=raster, table=table, places=places, parts=parts)


@fp.process
def pieces(
    pieces: list[Piece], links: Annotated[list[fp.Link], fp.Input(occurs=(1, 2))], wait: dt.timedelta
) -> list[Piece]:
    """Give back objects."""
    assert all(link.href.startswith("https:") for link in links)
    assert wait == dt.timedelta(hours=36)
    return pieces


@fp.process
def image(*, job: fp.Job = fp.NO_JOB) -> Annotated[Path, fp.Media("image/png", "image/jpeg")]:
    """Write the format that is wanted."""
    target = job.workdir / "image"
    target.write_text(job.format("result"))
    return target


@fp.process
def stray(path: str) -> fp.CSV:
    """Give a file of somebody else."""
    return Path(path)


@fp.process
def gather(
    numbers: Annotated[list[int], fp.Input(occurs=(0, 3))] | None = None,
    images: Annotated[list[fp.PNG], fp.Input(occurs=(0, 3))] | None = None,
    note: str = "",
    image: Annotated[bytes, fp.Media("image/png")] = b"",
    places: fp.FeatureCollection | None = None,
    box: fp.BBox | None = None,
) -> dict[str, Any]:
    """Tell what came."""
    return {
        "numbers": numbers,
        "images": [image.read_bytes().decode() for image in images or ()],
        "note": note,
        "image": image.decode(),
        "places": None if places is None else len(places.features),
        "box": None if box is None else box.bbox,
    }


class Turn:
    """Described by hand, in the words of older drafts."""

    description = fp.ProcessDescription(
        id="turn",
        version="1",
        title="Turn",
        description="Turn bytes around.",
        inputs={
            "data": fp.InputDescription(
                title="Data", description="Bytes.", schema={"type": "string", "format": "byte"}
            ),
            "share": fp.InputDescription(
                title="Share",
                description="A share.",
                schema={"type": "number", "minimum": 0, "exclusiveMinimum": True},
                min_occurs=0,
            ),
        },
        outputs={
            "result": fp.OutputDescription(
                title="Data",
                description="Bytes.",
                schema={"type": "string", "contentEncoding": "binary", "contentMediaType": "image/png"},
            )
        },
    )

    def execute(self, inputs: dict[str, Any], job: fp.Job) -> dict[str, Any]:
        return {"result": inputs["data"][::-1]}
