"""Large files of the command line: uploaded where the server takes uploads, on from where they were cut."""

import base64
import os
import queue
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fastprocesses_host.app import create_app
from fastprocesses_host.cli import uploading
from fastprocesses_host.cli.assignments import read_assignments
from fastprocesses_host.cli.caller import Caller, Refused
from fastprocesses_host.cli.uploading import Uploader
from fastprocesses_host.settings import Settings
from fastprocesses_host.store.upload_files import FileWriter

from tests.uploads.test_protocol import files_of
from tests.web.conftest import _served

TIFF = {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/tiff; application=geotiff"}


@pytest.fixture
def caller(settings_of: Callable[..., Settings]) -> Iterator[Caller]:
    with _served(create_app(settings_of())) as (host, port), Caller(f"http://{host}:{port}") as caller:
        yield caller


def given(caller: Caller, schema: Any, text: str) -> Any:
    description = {"inputs": {"x": {"schema": schema}}}
    return read_assignments(description, [f"x={text}"], uploads=Uploader(caller, quiet=True))["x"]


def written(folder: Path, name: str, length: int) -> tuple[str, bytes]:
    data = os.urandom(length)
    (folder / name).write_bytes(data)
    return f"@{folder / name}", data


def test_a_large_file_is_uploaded_and_named(caller, tmp_path):
    text, data = written(tmp_path, "a.tif", 2_000_000)
    value = given(caller, TIFF, text)

    assert value["type"] == "image/tiff"
    assert value["href"].startswith(f"{caller.server}/uploads/")
    assert files_of(tmp_path) == [data]
    with closing(caller.fetch(value["href"])) as answer:
        assert answer.json()["mediaType"] == "image/tiff"


def test_one_that_the_input_does_not_know_is_what_it_asks_for(caller, tmp_path):
    text, _ = written(tmp_path, "a.zip", 2_000_000)
    assert given(caller, TIFF, text)["type"] == TIFF["contentMediaType"]


def test_a_small_one_is_sent_inline(caller, tmp_path):
    text, data = written(tmp_path, "a.tif", 1000)
    assert base64.b64decode(given(caller, TIFF, text)["value"]) == data
    assert not (tmp_path / "values").is_dir() or files_of(tmp_path) == []


def test_where_there_are_no_uploads_all_are_sent_inline(settings_of, tmp_path):
    text, data = written(tmp_path, "a.tif", 2_000_000)
    app = create_app(settings_of(value_store_url=""))
    with _served(app) as (host, port), Caller(f"http://{host}:{port}") as caller:
        assert base64.b64decode(given(caller, TIFF, text)["value"]) == data


def test_an_upload_that_breaks_goes_on_where_it_broke(caller, tmp_path, monkeypatch):
    monkeypatch.setattr(uploading, "_SHORTEST_PAUSE_SECONDS", 0.01)
    text, data = written(tmp_path, "a.tif", 5_000_000)
    write, offsets = FileWriter.write, queue.Queue[int]()

    def breaks(self, pieces):
        offsets.put(self.length)
        write(self, pieces)
        if offsets.qsize() in (2, 3):
            raise RuntimeError("a host that breaks")

    monkeypatch.setattr(FileWriter, "write", breaks)
    given(caller, TIFF, text)

    seen = [offsets.get() for _ in range(offsets.qsize())]
    assert seen == sorted(set(seen)), "something was sent twice"
    assert len(seen) > 3
    assert files_of(tmp_path) == [data]


def test_what_the_server_does_not_want_is_told(settings_of, tmp_path):
    text, _ = written(tmp_path, "a.tif", 2_000_000)
    app = create_app(settings_of(max_upload_bytes=1_500_000))
    with (
        _served(app) as (host, port),
        Caller(f"http://{host}:{port}") as caller,
        pytest.raises(Refused, match="1500000"),
    ):
        given(caller, TIFF, text)


def test_a_server_that_stays_away_is_given_up(caller, tmp_path, monkeypatch):
    monkeypatch.setattr(uploading, "_SHORTEST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(uploading, "_PATIENCE_SECONDS", 0.1)
    text, _ = written(tmp_path, "a.tif", 2_000_000)

    def breaks(self, pieces):
        raise RuntimeError("a host that is broken")

    monkeypatch.setattr(FileWriter, "write", breaks)
    with pytest.raises(Refused, match="500"):
        given(caller, TIFF, text)
