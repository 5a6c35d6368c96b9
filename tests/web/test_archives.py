"""Several results in one ZIP file (S2.5, where the client asks for it)."""

import io
import json
import zipfile

import pytest
from fastprocesses_host.web.archives import file_name
from hypothesis import given
from hypothesis import strategies as st

ZIP = "application/zip"


def files(answer) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("size", [4, 300_000])
def test_every_output_is_a_file(client, size):
    body = {"inputs": {"size": size}}
    direct = client.execute("several", body, accept=ZIP)
    url = client.finished_job("several", body) + "/results"
    kept, head = client.get(url, headers={"accept": ZIP}), client.head(url, headers={"accept": ZIP})

    assert (
        direct.headers["content-type"] == kept.headers["content-type"] == head.headers["content-type"] == ZIP
    )
    assert direct.headers["content-length"] == str(len(direct.content))
    assert files(direct) == files(kept)
    assert files(direct) == {
        "text.txt": b"teststring",
        "number.txt": b"1.5",
        "table.json": json.dumps({"a": 1}, separators=(",", ":")).encode(),
        "image.png": b"\x89" * size,
    }


def test_the_same_results_are_the_same_archive(client):
    url = client.finished_job("several", {}) + "/results"
    first, second = (client.get(url, headers={"accept": ZIP}) for _ in range(2))
    again = client.get(url, headers={"accept": ZIP, "if-none-match": first.headers["etag"]})

    assert (first.content, first.headers["etag"]) == (second.content, second.headers["etag"])
    assert again.status_code == 304


def test_a_client_that_likes_json_as_much_is_given_a_document(client):
    assert client.execute("several", {}, accept=f"{ZIP}, application/json").headers["content-type"] == (
        "application/json"
    )
    assert (
        client.execute("several", {}, accept=f"application/json;q=0.5, {ZIP}").headers["content-type"] == ZIP
    )


@pytest.mark.parametrize(
    ("output_id", "media_type", "name"),
    [
        ("map", "image/tiff; application=geotiff", "map.tif"),
        ("map.tif", "image/tiff", "map.tif"),
        ("a/b", "application/geo+json", "a%2Fb.geojson"),
        ("../x", "text/plain", "%2Fx.txt"),
        ("", "application/unheard-of", "output"),
    ],
)
def test_files_are_named_by_output_and_type(output_id, media_type, name):
    assert file_name(output_id, media_type) == name


@given(st.text(max_size=30))
def test_no_name_leads_out_of_the_folder(output_id):
    name = file_name(output_id, "text/plain")

    assert name
    assert not set(name) & set("/\\:\0\r\n")
    assert not name.startswith(".")
