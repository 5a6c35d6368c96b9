"""Files, objects and binary values on their whole way: checked by the host, run by a worker, kept, read again."""

import base64
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fastprocesses_host.ogc.exceptions import InvalidParameterValue
from fastprocesses_host.ogc.jobs import AskedOutput, AskedResults, Job, Status
from fastprocesses_host.settings import Settings

from tests.host.engine import Engine, running_engine
from tests.support import StoreServer, wait_until


@pytest.fixture(scope="module")
def engine(embedded_store: StoreServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("files")
    settings = Settings(
        redis_url=embedded_store.url,
        key_prefix="files",
        slots=1,
        value_store_url=f"file://{folder}/values",
    )
    with running_engine(settings, folder) as (engine, _):
        yield engine


def raw(engine: Engine, job: Job, output: str) -> bytes:
    return engine._portal.call(engine.host.output_bytes, job, output)


def done(engine: Engine, process_id: str, inputs: dict[str, Any], asked: AskedResults | None = None) -> Job:
    job = engine.final(engine.submit(process_id, inputs, asked=asked))
    assert job.status is Status.SUCCESSFUL, job.problem
    return job


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize("size", [10, 3_000_000], ids=["small", "large"])
def test_a_file_comes_in_and_another_goes_out(engine: Engine, size: int) -> None:
    data = os.urandom(size)
    job = done(engine, "double-file", {"raster": encoded(data)})

    assert raw(engine, job, "result") == data * 2
    assert job.outputs["result"].media_type == "image/tiff; application=geotiff"
    assert (job.outputs["result"].form, job.outputs["result"].length) == ("binary", 2 * size)
    assert bool(job.outputs["result"].location) == (size > 1_000_000)


def test_files_have_the_form_of_their_media_type(engine: Engine) -> None:
    places = {"type": "FeatureCollection", "features": []}
    parts = [os.urandom(5), os.urandom(2_000_000)]
    job = done(
        engine,
        "every-file",
        {"table": "a,ö\n", "places": places, "parts": list(map(encoded, parts)), "raster": "AAEC"},
    )

    assert {name: output.form for name, output in job.outputs.items()} == {
        "raster": "binary",
        "table": "text",
        "places": "json",
        "parts": "json",
    }
    assert raw(engine, job, "raster") == b"\0\1\2"
    assert raw(engine, job, "table").decode() == "a,ö\n"
    assert msgspec.json.decode(raw(engine, job, "places")) == places
    assert [base64.b64decode(part) for part in msgspec.json.decode(raw(engine, job, "parts"))] == parts


def test_objects_that_hold_binary_values_survive(engine: Engine) -> None:
    pieces = [{"name": "a", "image": "AAEC", "since": "2026-02-28"}, {"name": "b", "image": "/w=="}]
    inputs = {"pieces": pieces, "links": [{"href": "https://example.org/"}], "wait": "PT36H"}

    job = done(engine, "pieces", inputs)

    assert engine.value(job) == pieces


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"pieces": [{"name": "a", "image": "no base64!"}]}, "/inputs/pieces/0/image"),
        ({"pieces": [{"name": "", "image": ""}]}, "/inputs/pieces/0/name"),
        ({"pieces": [{"name": "a"}]}, "/inputs/pieces/0"),
        ({"links": [{"title": "no href"}]}, "/inputs/links/0"),
        ({"wait": "P1M"}, "/inputs/wait"),
        ({"wait": "soon"}, "/inputs/wait"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_told_at_once(engine: Engine, change: dict[str, Any], pointer: str) -> None:
    inputs = {"pieces": [], "links": [{"href": "https://example.org/"}], "wait": "PT36H", **change}

    with pytest.raises(InvalidParameterValue) as caught:
        engine.submit("pieces", inputs)

    assert [error["pointer"] for error in caught.value.errors][:1] == [pointer]


def test_the_caller_chooses_the_format(engine: Engine) -> None:
    asked = AskedResults(outputs={"result": AskedOutput(media_type="image/jpeg")})
    job = done(engine, "image", {}, asked)

    assert (raw(engine, job, "result"), job.outputs["result"].media_type) == (b"image/jpeg", "image/jpeg")
    assert raw(engine, done(engine, "image", {}), "result") == b"image/png"


@pytest.mark.parametrize("path", ["/etc/passwd", "../stray.csv", "missing.csv", "."])
def test_a_file_elsewhere_is_no_output(engine: Engine, path: str) -> None:
    job = engine.final(engine.submit("stray", {"path": path}))

    assert (job.status, job.reason) == (Status.FAILED, "error")
    assert "passwd" not in str(job.problem)


def test_a_description_by_hand_is_read_in_both_dialects(engine: Engine) -> None:
    job = done(engine, "turn", {"data": "AAEC", "share": 0.5})

    assert raw(engine, job, "result") == b"\2\1\0"
    with pytest.raises(InvalidParameterValue):
        engine.submit("turn", {"data": "AAEC", "share": 0})
    with pytest.raises(InvalidParameterValue):
        engine.submit("turn", {"data": "!"})


def test_inputs_are_removed_with_their_job(engine: Engine) -> None:
    job = done(engine, "double-file", {"raster": encoded(os.urandom(2_000_000))})
    location = job.outputs["result"].location

    def kept() -> list[str]:
        return [file.name for file in Path(f"{engine.folder}/values").rglob(f"{job.id}.*")]

    wait_until(lambda: kept() == [location.rsplit("/", 1)[1]], what="the deletion of the input")
