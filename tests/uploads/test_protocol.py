"""Uploads as clients of tus 1.0.0 make them, and as curl does; and as nobody should."""

import base64
import hashlib
import re
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.support import content_of, files_under

TUS = {"Tus-Resumable": "1.0.0"}
BYTES = {**TUS, "Content-Type": "application/offset+octet-stream"}


def begun(client: TestClient, length: int | None = 10, **headers: str) -> str:
    """Begin an upload; give its path."""
    told = {"Upload-Defer-Length": "1"} if length is None else {"Upload-Length": str(length)}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = client.post("/uploads", headers={**TUS, **told, **named})
    assert answer.status_code == 201, answer.text
    return answer.headers["location"].removeprefix("http://example.org")


def sent(client: TestClient, path: str, data: bytes, offset: int, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.patch(path, content=data, headers={**BYTES, "Upload-Offset": str(offset), **named})


def offset_of(client: TestClient, path: str) -> int:
    answer = client.head(path, headers=TUS)
    assert answer.status_code == 200
    return int(answer.headers["upload-offset"])


def files_of(folder: Path) -> list[bytes]:
    return [content_of(file) for file in files_under(folder / "values")]


def test_what_is_possible_is_told(opened):
    client = opened(max_upload_bytes=123)
    answer = client.options("/uploads")

    assert answer.status_code == 204
    assert answer.headers["tus-version"] == "1.0.0"
    assert answer.headers["tus-max-size"] == "123"
    assert set(answer.headers["tus-extension"].split(",")) == {
        "creation",
        "creation-with-upload",
        "creation-defer-length",
        "expiration",
        "termination",
        "checksum",
    }
    assert "sha1" in answer.headers["tus-checksum-algorithm"].split(",")
    assert answer.headers["allow"] == "OPTIONS, POST"


def test_an_upload_in_two_parts(client, tmp_path):
    path = begun(client)
    first = sent(client, path, b"12345", 0)
    between = client.head(path, headers=TUS)
    last = sent(client, path, b"67890", 5)

    assert (first.status_code, first.headers["upload-offset"]) == (204, "5")
    assert (between.headers["upload-offset"], between.headers["upload-length"]) == ("5", "10")
    assert between.headers["cache-control"] == "no-store"
    assert parsedate_to_datetime(first.headers["upload-expires"])
    assert (last.status_code, last.headers["upload-offset"]) == (204, "10")
    assert {answer.headers["tus-resumable"] for answer in (first, between, last)} == {"1.0.0"}
    assert files_of(tmp_path) == [b"1234567890"]


def test_its_place_is_what_nobody_can_guess_and_nobody_is_shown(client, tmp_path, embedded_store):
    paths = {begun(client) for _ in range(3)}
    ids = [path.removeprefix("/uploads/") for path in paths]

    assert len(paths) == 3
    assert all(re.fullmatch(r"[\w-]{32}", upload_id) for upload_id in ids)
    assert client.get("/uploads").status_code == 405
    stored = b"".join(path.name.encode() for path in tmp_path.rglob("*"))
    import redis

    with redis.Redis.from_url(embedded_store.url) as store:
        stored += b"".join(store.scan_iter(count=1000))
        for key in store.scan_iter(match="*:u:*"):
            stored += b"".join(store.hvals(key))
    assert not any(upload_id.encode() in stored for upload_id in ids)


def test_begun_with_its_first_bytes(client, tmp_path):
    headers = {**BYTES, "Upload-Length": "6"}
    answer = client.post("/uploads", content=b"abc", headers=headers)
    whole = client.post("/uploads", content=b"abcdef", headers=headers)

    assert (answer.status_code, answer.headers["upload-offset"]) == (201, "3")
    assert (whole.status_code, whole.headers["upload-offset"]) == (201, "6")
    assert client.get(whole.headers["location"]).json()["complete"] is True
    assert sorted(files_of(tmp_path)) == [b"abc", b"abcdef"]


def test_one_whose_length_is_told_later(client):
    path = begun(client, None)
    before = client.head(path, headers=TUS).headers
    assert sent(client, path, b"abc", 0).status_code == 204
    assert sent(client, path, b"de", 3, Upload_Length="6").status_code == 204
    after = client.head(path, headers=TUS).headers

    assert before["upload-defer-length"] == "1"
    assert "upload-length" not in before
    assert (after["upload-length"], after["upload-offset"]) == ("6", "5")
    assert sent(client, path, b"f", 5, Upload_Length="7").status_code == 409
    assert sent(client, path, b"f", 5, Upload_Length="6").status_code == 204
    assert client.get(path).json()["complete"] is True


def test_one_of_no_bytes_is_complete_at_once(client):
    path = begun(client, 0)
    assert client.get(path).json()["complete"] is True
    assert sent(client, path, b"", 0).status_code == 204
    assert sent(client, path, b"x", 0).status_code == 413


def test_what_is_told_of_the_file_is_given_back(client):
    told = f"filename {base64.b64encode(b'a.tif').decode()},filetype {base64.b64encode(b'image/tiff').decode()},is_x"
    path = begun(client, Upload_Metadata=told)

    assert client.head(path, headers=TUS).headers["upload-metadata"] == told
    assert client.get(path).json()["mediaType"] == "image/tiff"


@pytest.mark.parametrize("algorithm", ["sha1", "md5", "sha256"])
def test_what_has_another_checksum_is_dropped(client, algorithm):
    path = begun(client)
    right = base64.b64encode(hashlib.new(algorithm, b"12345").digest()).decode()
    wrong = sent(client, path, b"12346", 0, Upload_Checksum=f"{algorithm} {right}")

    assert wrong.status_code == 460
    assert wrong.headers["tus-resumable"] == "1.0.0"
    assert offset_of(client, path) == 0
    assert sent(client, path, b"12345", 0, Upload_Checksum=f"{algorithm} {right}").status_code == 204
    assert sent(client, path, b"67890", 5).status_code == 204
    assert client.get(path).json()["complete"] is True


def test_what_is_deleted_is_gone_with_its_bytes(client, tmp_path):
    path = begun(client)
    sent(client, path, b"12345", 0)

    assert client.delete(path, headers=TUS).status_code == 204
    assert client.head(path, headers=TUS).status_code == 410
    assert sent(client, path, b"67890", 5).status_code == 410
    assert client.delete(path, headers=TUS).status_code == 410
    assert files_of(tmp_path) == []


def test_clients_without_patch_say_so_in_a_header(client):
    path = begun(client)
    headers = {**BYTES, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}

    assert client.post(path, content=b"12345", headers=headers).headers["upload-offset"] == "5"
    assert client.post(path, headers={**TUS, "X-HTTP-Method-Override": "DELETE"}).status_code == 204
    assert client.post(path, headers=TUS).status_code == 400


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 400),
        ({"Upload-Length": "-1"}, 400),
        ({"Upload-Length": "1e3"}, 400),
        ({"Upload-Length": "ten"}, 400),
        ({"Upload-Length": "٣"}, 400),
        ({"Upload-Length": "9" * 40}, 400),
        ({"Upload-Length": "999999999999"}, 413),
        ({"Upload-Defer-Length": "2"}, 400),
        ({"Upload-Length": "3", "Upload-Defer-Length": "1"}, 400),
        ({"Upload-Length": "3", "Upload-Metadata": "name ***"}, 400),
        ({"Upload-Length": "3", "Upload-Metadata": "a YQ==,a YQ=="}, 400),
        ({"Upload-Length": "3", "Upload-Metadata": "x" * 5000}, 400),
        ({"Upload-Length": "3", "Tus-Resumable": "0.2.2"}, 412),
    ],
)
def test_what_cannot_be_begun(client, tmp_path, headers, status):
    answer = client.post(
        "/uploads", headers={**TUS, **{name: value.encode() for name, value in headers.items()}}
    )

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["tus-resumable"] == "1.0.0"
    assert answer.json()["detail"]
    if status == 412:
        assert answer.headers["tus-version"] == "1.0.0"
    assert files_of(tmp_path) == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Upload-Offset": None}, 400),
        ({"Upload-Offset": "-1"}, 400),
        ({"Upload-Offset": "0x3"}, 400),
        ({"Upload-Offset": "4"}, 409),
        ({"Upload-Offset": "9" * 18}, 409),
        ({"Content-Type": "application/octet-stream"}, 415),
        ({"Content-Type": None}, 415),
        ({"Tus-Resumable": None}, 400),
        ({"Tus-Resumable": "2.0.0"}, 412),
        ({"Upload-Checksum": "crc32 AAAA"}, 400),
        ({"Upload-Checksum": "sha1 AAAA"}, 400),
        ({"Upload-Checksum": "sha1"}, 400),
        ({"Upload-Length": "2"}, 409),
        ({"Upload-Length": "11"}, 409),
    ],
)
def test_what_cannot_be_written(client, headers, status):
    path = begun(client)
    sent(client, path, b"123", 0)
    told = {**BYTES, "Upload-Offset": "3", **headers}
    answer = client.patch(
        path, content=b"45", headers={name: value for name, value in told.items() if value is not None}
    )

    assert answer.status_code == status
    assert answer.json()["status"] == status
    assert offset_of(client, path) == 3
    if status == 409 and "Upload-Offset" in headers:
        assert answer.headers["upload-offset"] == "3"


def test_more_than_was_said_is_refused_and_nothing_of_it_kept(client):
    path = begun(client)
    sent(client, path, b"123", 0)
    told = sent(client, path, b"45678901", 3)
    untold = client.patch(path, content=iter([b"4567", b"8901"]), headers={**BYTES, "Upload-Offset": "3"})

    assert (told.status_code, untold.status_code) == (413, 413)
    assert "10 bytes" in untold.json()["detail"]
    assert offset_of(client, path) == 3


@pytest.mark.parametrize(
    "upload_id",
    [
        "x",
        "%2e%2e",
        "..%2F..%2Fetc%2Fpasswd",
        "..%5C..",
        "%00",
        "a" * 32,
        "a" * 5000,
        "A" * 31 + "%2F",
        "0" * 36,
        "é" * 16,
    ],
)
@pytest.mark.parametrize("method", ["HEAD", "GET", "PATCH", "DELETE"])
def test_ids_that_were_never_given(client, method, upload_id):
    headers = {**BYTES, "Upload-Offset": "0"} if method == "PATCH" else TUS
    answer = client.request(method, f"/uploads/{upload_id}", headers=headers)
    assert answer.status_code in (404, 405)


def test_a_whole_file_in_one_request(client, tmp_path):
    answer = client.post("/uploads", content=b"GEOTIFF", headers={"Content-Type": "image/tiff"})
    document = answer.json()

    assert answer.status_code == 201
    assert answer.headers["location"] == document["href"]
    assert document["href"].startswith("http://example.org/uploads/")
    assert (document["complete"], document["length"], document["offset"]) == (True, 7, 7)
    assert document["mediaType"] == "image/tiff"
    assert files_of(tmp_path) == [b"GEOTIFF"]


def test_a_whole_file_whose_length_is_not_told(client, tmp_path):
    answer = client.post("/uploads", content=iter([b"GEO", b"", b"TIFF"]))

    assert answer.json()["length"] == 7
    assert "mediaType" not in answer.json()
    assert files_of(tmp_path) == [b"GEOTIFF"]


@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "nonsense", "*/*", "a/b" * 100]
)
def test_a_content_type_that_says_nothing_is_none(client, content_type):
    answer = client.post("/uploads", content=b"x", headers={"Content-Type": content_type})
    assert "mediaType" not in answer.json()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "multipart/form-data; boundary=x"}, 415),
        ({"Content-Encoding": "gzip"}, 415),
    ],
)
def test_a_file_that_is_wrapped_is_refused(client, headers, status):
    answer = client.post("/uploads", content=b"x", headers=headers)
    assert answer.status_code == status
    assert "Send the bytes" in answer.json()["detail"]


def test_a_whole_file_that_is_too_large_is_refused_and_not_kept(opened, tmp_path):
    client = opened(max_upload_bytes=5)
    told = client.post("/uploads", content=b"123456")
    untold = client.post("/uploads", content=iter([b"123", b"456"]))

    assert (told.status_code, untold.status_code) == (413, 413)
    assert client.post("/uploads", content=b"12345").status_code == 201
    assert files_of(tmp_path) == [b"12345"]


def test_uploads_may_be_larger_than_other_bodies(opened):
    client = opened(max_body_bytes=10)
    assert client.post("/uploads", content=b"x" * 100).status_code == 201


def test_its_bytes_are_given_to_nobody(client):
    location = client.post("/uploads", content=b"<script>").headers["location"]
    answer = client.get(location)

    assert answer.headers["content-type"] == "application/json"
    assert "script" not in answer.text


def test_a_caller_has_only_so_many(opened, tmp_path):
    client, other = opened(max_uploads_per_caller=2), opened(max_uploads_per_caller=2)
    paths = [begun(client) for _ in range(2)]
    refused = client.post("/uploads", headers={**TUS, "Upload-Length": "1"})

    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 0
    assert begun(other)
    assert len(files_of(tmp_path)) == 3
    assert client.delete(paths[0]).status_code == 204
    assert begun(client)


def test_a_caller_has_only_so_many_bytes(opened):
    client, other = opened(max_caller_bytes=10), opened(max_caller_bytes=10)
    path = begun(client, 6)
    assert client.post("/uploads", content=b"12345").status_code == 429
    assert client.post("/uploads", content=iter([b"123", b"45"])).status_code == 429
    assert client.post("/uploads", content=b"1234").status_code == 201
    assert client.post("/uploads", content=b"1").status_code == 429
    assert other.post("/uploads", content=b"1234567890").status_code == 201
    assert client.delete(path).status_code == 204
    assert client.post("/uploads", content=b"123456").status_code == 201


def test_one_of_unknown_length_counts_for_what_it_has(opened):
    client = opened(max_caller_bytes=10)
    path = begun(client, None)
    assert sent(client, path, b"12345678", 0).status_code == 204
    assert client.post("/uploads", content=b"123").status_code == 429
    assert sent(client, path, b"901", 8).status_code == 429
    assert sent(client, path, b"90", 8, Upload_Length="10").status_code == 204
    assert client.get(path).json()["complete"] is True


def test_all_together_have_only_so_many_bytes(opened):
    client, other = opened(max_stored_bytes=10), opened(max_stored_bytes=10)
    begun(client, 6)
    refused = other.post("/uploads", content=b"12345")

    assert refused.status_code == 507
    assert int(refused.headers["retry-after"]) > 0


def test_no_disk_is_filled(opened, tmp_path):
    client = opened(min_free_disk_bytes=2**62)
    refused = client.post("/uploads", content=b"12345")

    assert refused.status_code == 507
    assert files_of(tmp_path) == []


def test_without_a_value_store_there_are_none(opened):
    client = opened(value_store_url="")
    for answer in (client.post("/uploads", content=b"x"), client.get("/uploads/" + "a" * 32)):
        assert answer.status_code == 404
        assert "value_store_url" in answer.json()["detail"]
    assert not any("uploads" in link["href"] for link in client.get("/").json()["links"])


def test_the_landing_page_says_where(client):
    links = client.get("/").json()["links"]
    (link,) = [link for link in links if link["href"].endswith("/uploads")]
    assert link["rel"] == "https://tus.io/protocols/resumable-upload"


def test_scripts_of_other_sites_may_upload(client):
    origin = {"Origin": "https://maps.example"}
    asked = {
        "Access-Control-Request-Method": "PATCH",
        "Access-Control-Request-Headers": "tus-resumable,upload-offset",
    }
    preflight = client.options("/uploads/x", headers={**origin, **asked})
    answer = client.post("/uploads", headers={**TUS, **origin, "Upload-Length": "3"})
    exposed = {name.strip().lower() for name in answer.headers["access-control-expose-headers"].split(",")}

    assert "PATCH" in preflight.headers["access-control-allow-methods"]
    assert preflight.headers["access-control-allow-headers"] == "tus-resumable,upload-offset"
    assert exposed >= {
        "location",
        "upload-offset",
        "upload-length",
        "tus-resumable",
        "upload-expires",
        "tus-max-size",
    }
