"""Content codings: what is compressed for whom, and compressed bodies, hostile ones too."""

import gzip
import json
import sys
import zlib
from contextlib import suppress
from functools import partial

import httpx2
import pytest
from fastprocesses_host.ogc.exceptions import BodyTooLarge, InvalidParameterValue
from fastprocesses_host.web.coding import choose_coding, decode, encode
from hypothesis import given
from hypothesis import strategies as st

from tests.web.conftest import MAX_BODY_BYTES

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LARGE, SMALL = "/processes", "/conformance"
DECOMPRESS = {"gzip": gzip.decompress, "zstd": zstd.decompress, None: bytes}
COMPRESS = {"gzip": partial(gzip.compress, mtime=0), "zstd": zstd.compress}
ANY = {"inputs": {"name": "you"}}


def raw_get(client, path: str, accept_encoding: str | None, **headers: str) -> tuple[httpx2.Response, bytes]:
    """Give the answer and its bytes as they were sent."""
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    url = path if path.startswith("http") else str(client.base_url).rstrip("/") + path
    with httpx2.Client() as plain:
        del plain.headers["accept-encoding"]
        if accept_encoding is not None:
            told["accept-encoding"] = accept_encoding
        with plain.stream("GET", url, headers=told) as answer:
            return answer, b"".join(answer.iter_raw())


@pytest.mark.parametrize(
    ("accept", "coding", "must"),
    [
        ("", None, False),
        ("identity", None, False),
        ("gzip", "gzip", False),
        ("x-gzip", "gzip", False),
        ("GZIP;Q=0.5", "gzip", False),
        ("zstd", "zstd", False),
        ("gzip, deflate, br, zstd", "zstd", False),
        ("gzip;q=1.0, zstd;q=0.5", "gzip", False),
        ("*", "gzip", False),
        ("*;q=0.1", "gzip", False),
        ("br, deflate", None, False),
        ("gzip;q=0", None, False),
        ("gzip;q=0, zstd;q=0.0", None, False),
        ("gzip;q=0.5, identity", None, False),
        ("gzip;q=0.5, identity;q=0.5", "gzip", False),
        ("gzip, identity;q=0", "gzip", True),
        ("gzip, *;q=0", "gzip", True),
        ("identity;q=0", None, True),
        ("*;q=0", None, True),
        ("*;q=0, identity", None, False),
        ("gzip;q=x", "gzip", False),
        (",;q=,gzip", "gzip", False),
    ],
)
def test_the_coding_that_the_client_likes_best_is_chosen(accept, coding, must):
    choice = choose_coding(accept)
    assert (choice.coding, choice.must) == (coding, must)


@given(st.text())
def test_no_header_is_too_odd(accept):
    assert choose_coding(accept).coding in (None, "gzip", "zstd")


@pytest.mark.parametrize("accept", [None, "identity", "gzip", "zstd", "gzip;q=0", "br", "gzip, identity;q=0"])
@pytest.mark.parametrize("path", [LARGE, "/api", "/processes?f=html", "/static/swagger-ui-bundle.js"])
def test_large_answers_are_compressed_as_asked(client, path, accept):
    plain = client.get(path, headers={"accept-encoding": "identity"}).content
    answer, body = raw_get(client, path, accept)
    coding = choose_coding(accept or "").coding

    assert answer.headers.get("content-encoding") == coding
    assert "Accept-Encoding" in answer.headers["vary"]
    assert int(answer.headers["content-length"]) == len(body)
    assert DECOMPRESS[coding](body) == plain
    assert coding is None or len(body) < len(plain) / 2


def test_small_answers_are_compressed_only_when_they_must_be(client):
    answer, body = raw_get(client, SMALL, "gzip, zstd")
    forced, compressed = raw_get(client, SMALL, "gzip, identity;q=0")

    assert "content-encoding" not in answer.headers
    assert forced.headers["content-encoding"] == "gzip"
    assert gzip.decompress(compressed) == body


def test_who_accepts_nothing_is_refused_before_anything_runs(client):
    before = len(client.get("/jobs?limit=10000").json()["jobs"])
    answer = client.execute("greet", ANY, prefer="respond-async", accept_encoding="identity;q=0, br")

    assert answer.status_code == 406
    assert answer.json()["available"] == ["gzip", "zstd", "identity"]
    assert len(client.get("/jobs?limit=10000").json()["jobs"]) == before


def test_what_is_known_is_not_sent_again_in_any_coding(client):
    tags = set()
    for coding in ("identity", "gzip", "zstd"):
        answer, _ = raw_get(client, LARGE, coding)
        tags.add(answer.headers["etag"])
        again, body = raw_get(client, LARGE, coding, if_none_match=answer.headers["etag"])
        assert (again.status_code, body) == (304, b"")
    assert all(tag.startswith("W/") for tag in tags), "one strong tag for different bytes"
    static, _ = raw_get(client, "/static/swagger-ui.css", "gzip")
    assert static.headers["etag"].startswith("W/")
    assert (
        raw_get(client, "/static/swagger-ui.css", "gzip", if_none_match=static.headers["etag"])[0].status_code
        == 304
    )


def test_the_same_answer_is_compressed_alike_each_time(client):
    assert raw_get(client, LARGE, "gzip")[1] == raw_get(client, LARGE, "gzip")[1]


@pytest.mark.parametrize("size", [10_000, 1_000_000])
def test_images_are_not_compressed_again_and_text_is_streams_included(client, size):
    job = client.finished_job("picture", {"inputs": {"size": size}})
    image, body = raw_get(client, f"{job}/results/result", "gzip, zstd", accept="image/png")
    assert "content-encoding" not in image.headers
    assert len(body) == size

    job = client.finished_job("greet", {"inputs": {"name": "x" * size}})
    for coding, decompress in DECOMPRESS.items():
        text, body = raw_get(client, f"{job}/results/result", coding or "identity", accept="text/plain")
        assert text.headers.get("content-encoding") == coding
        assert decompress(body) == b"Hello " + b"x" * size


def test_a_part_of_a_value_is_sent_as_it_is(client):
    job = client.finished_job("greet", {"inputs": {"name": "x" * 200_000}})
    answer, body = raw_get(client, f"{job}/results/result", "gzip", accept="text/plain", range="bytes=0-9999")

    assert "content-encoding" not in answer.headers
    assert body[:6] == b"Hello "


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "GZIP", "zstd", "identity", "identity, gzip", ""])
def test_compressed_bodies_are_read(client, coding):
    body = json.dumps(ANY).encode()
    compress = COMPRESS.get(coding.lower().removeprefix("x-").removeprefix("identity, "), bytes)
    headers = {"content-type": "application/json", "content-encoding": coding}
    answer = client.post("/processes/greet/execution", content=compress(body), headers=headers)
    assert answer.text == "Hello you"


@pytest.mark.parametrize("coding", ["br", "deflate", "gzip, gzip", "gzip, zstd", "x" * 5000, 'a"b'])
def test_other_codings_are_refused_with_those_that_are_read(client, coding):
    headers = {"content-type": "application/json", "content-encoding": coding}
    answer = client.post("/processes/greet/execution", content=b"...", headers=headers)

    assert answer.status_code == 415
    assert answer.headers["accept-encoding"] == "gzip, zstd, identity"


@pytest.mark.parametrize("coding", COMPRESS)
def test_a_body_that_grows_too_large_is_refused(client, coding):
    bomb = COMPRESS[coding](b" " * (MAX_BODY_BYTES * 100))
    headers = {"content-type": "application/json", "content-encoding": coding}
    answer = client.post("/processes/greet/execution", content=bomb, headers=headers)

    assert len(bomb) < MAX_BODY_BYTES
    assert answer.status_code == 413


WHOLE = {coding: compress(json.dumps(ANY).encode()) for coding, compress in COMPRESS.items()}


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        (coding, damaged)
        for coding, whole in WHOLE.items()
        for damaged in (
            whole[:-1],
            whole[:5],
            b"garbage",
            b"{}",
            whole + b"garbage",
            whole[1:],
            WHOLE["gzip"][:9],
        )
    ]
    + [("gzip", WHOLE["zstd"]), ("zstd", WHOLE["gzip"]), ("gzip", zlib.compress(b"{}"))],
)
def test_a_damaged_body_is_refused(client, coding, body):
    headers = {"content-type": "application/json", "content-encoding": coding}
    answer = client.post("/processes/greet/execution", content=body, headers=headers)

    assert answer.status_code == 400
    assert coding in answer.json()["detail"]


@given(st.sampled_from(["gzip", "zstd"]), st.lists(st.binary(max_size=3000), min_size=1, max_size=4))
def test_what_was_encoded_is_decoded_however_many_members_it_has(coding, parts):
    body = b"".join(encode(part, coding) for part in parts)
    assert decode(body, coding, max_bytes=20_000) == b"".join(parts)


@given(st.sampled_from(["gzip", "zstd"]), st.binary(max_size=200), st.booleans())
def test_no_bytes_are_too_odd(coding, data, prefixed):
    body = encode(b"abc", coding)[:10] + data if prefixed else data
    with suppress(InvalidParameterValue, BodyTooLarge):
        assert len(decode(body, coding, max_bytes=1000)) <= 1000


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_endless_empty_members_are_refused(coding):
    with pytest.raises(InvalidParameterValue):
        decode(encode(b"", coding) * 100_000, coding, max_bytes=1000)


def test_a_zstd_window_larger_than_http_allows_is_refused():
    options = {zstd.CompressionParameter.window_log: 27, zstd.CompressionParameter.compression_level: 1}
    compressor = zstd.ZstdCompressor(options=options)
    body = compressor.compress(bytes(1000)) + compressor.flush()  # streamed: the frame tells its window
    with pytest.raises(InvalidParameterValue):
        decode(body, "zstd", max_bytes=10_000)
