"""Uploads where the value store is an object store: parts, written by any host, that become one object."""

import base64
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from fastprocesses_host.app import create_app
from fastprocesses_host.settings import Settings
from fastprocesses_host.store import upload_parts
from starlette.testclient import TestClient

from tests.host.engine import Worker
from tests.object_store import BUCKET, S3, S3Proxy, options, s3_server
from tests.support import StoreServer, wait_until
from tests.uploads.conftest import http
from tests.uploads.test_as_inputs import executed, final
from tests.uploads.test_cut import begun as begun_at
from tests.uploads.test_cut import goes_on, offset_of, patch_under_way
from tests.uploads.test_protocol import TUS, begun, sent
from tests.web.conftest import _served

PART_BYTES = 1_000_000
pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with s3_server() as server:
        yield server


@pytest.fixture(scope="module")
def proxy(s3: S3) -> Iterator[S3Proxy]:
    with S3Proxy(s3) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def settings(
    embedded_store: StoreServer, tmp_path_factory: pytest.TempPathFactory, proxy: S3Proxy
) -> Settings:
    return Settings(
        redis_url=embedded_store.url,
        key_prefix="upobjects",
        slots=1,
        data_dir=str(tmp_path_factory.mktemp("spool")),
        value_store_url=f"s3://{BUCKET}/up",
        value_store=options(proxy.url),
        value_store_timeout_seconds=1.5,
        min_free_disk_bytes=0,
    )


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch, proxy: S3Proxy) -> Iterator[None]:
    monkeypatch.setattr(upload_parts, "PART_BYTES", PART_BYTES)
    yield
    proxy.heal()


@pytest.fixture(scope="module")
def client(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings), "http://example.org") as client:
        yield client


def objects(s3: S3) -> list[str]:
    return s3.keys("up/")


def spooled(settings: Settings) -> list[Path]:
    return [file for file in Path(settings.data_dir).rglob("*") if file.is_file()]


def test_in_parts_over_two_hosts_that_become_one_object(client, settings, s3):
    path, data = begun(client, 2_500_000), os.urandom(2_500_000)
    before = len(objects(s3))
    assert sent(client, path, data[:1_700_000], 0).status_code == 204
    assert len(objects(s3)) > before
    with TestClient(create_app(settings), "http://other.example") as other:
        head = other.head(path, headers=TUS)
        assert head.headers["upload-offset"] == "1700000"
        assert sent(other, path, data[1_700_000:], 1_700_000).headers["upload-offset"] == "2500000"
    assert client.get(path).json()["complete"] is True
    assert spooled(settings) == []

    with redis.Redis.from_url(settings.redis_url) as store:
        records = [store.hgetall(key) for key in store.scan_iter(match="{upobjects}:u:*")]
    [record] = [record for record in records if record[b"ln"] == b"2500000"]
    location = record[b"lo"].decode()
    values = client.app.state.host.values
    with values.open(location) as file:
        assert file.read() == data


def test_what_is_deleted_is_gone_with_its_parts(client, s3):
    before = len(objects(s3))
    path = begun(client, 3_000_000)
    sent(client, path, os.urandom(2_000_000), 0)
    assert len(objects(s3)) > before
    assert client.delete(path, headers=TUS).status_code == 204
    assert len(objects(s3)) == before


def test_what_has_another_checksum_is_dropped_with_its_parts(client, s3):
    path, data = begun(client, 2_000_000), os.urandom(2_000_000)
    sent(client, path, data[:500_000], 0)
    rest = data[500_000:]
    right = f"sha1 {base64.b64encode(hashlib.sha1(rest, usedforsecurity=False).digest()).decode()}"
    wrong = sent(client, path, rest[:-1] + b"x", 500_000, Upload_Checksum=right)

    assert wrong.status_code == 460
    assert client.head(path, headers=TUS).headers["upload-offset"] == "500000"
    assert sent(client, path, rest, 500_000, Upload_Checksum=right).status_code == 204
    assert client.get(path).json()["complete"] is True


def test_what_came_before_a_connection_broke_is_kept_and_two_never_write(settings):
    with _served(create_app(settings)) as (host, port):
        url, data = begun_at(f"http://{host}:{port}", 1_000_000), os.urandom(1_000_000)
        with patch_under_way(url, 0, len(data)) as connection:
            wait_until(lambda: writes(settings, url), 60)
            assert http().patch(url, content=b"x", headers=at(0)).status_code == 423
            connection.sendall(data[:600_000])
        wait_until(lambda: offset_of(url) == 600_000, 60)
        goes_on(url, data)
        assert http().get(url).json()["complete"] is True


def at(offset: int) -> dict[str, str]:
    return {**TUS, "Content-Type": "application/offset+octet-stream", "Upload-Offset": str(offset)}


def writes(settings: Settings, url: str) -> bool:
    """Whether somebody writes to the upload."""
    from fastprocesses_host.store.uploads import upload_key

    with redis.Redis.from_url(settings.redis_url) as store:
        key = "{%s}:u:%s" % (settings.key_prefix, upload_key(url.rpartition("/")[2]))  # noqa: UP031
        return bool(store.hexists(key, "wr"))


def test_the_lease_of_a_host_that_is_gone_ends(client, settings, monkeypatch):
    path = begun(client, 10)
    with redis.Redis.from_url(settings.redis_url) as store:
        from fastprocesses_host.store.uploads import upload_key

        key = "{%s}:u:%s" % (settings.key_prefix, upload_key(path.rpartition("/")[2]))  # noqa: UP031
        store.hset(key, mapping={"wr": "gone", "wu": 2**50})
        assert sent(client, path, b"1234567890", 0).status_code == 423
        store.hset(key, "wu", 1)
    assert sent(client, path, b"1234567890", 0).status_code == 204


def test_an_object_store_that_is_away_is_told_and_loses_nothing(client, proxy, settings):
    path, data = begun(client, 1_000_000), os.urandom(1_000_000)
    assert sent(client, path, data[:400_000], 0).status_code == 204
    proxy.hold("replies")
    away = sent(client, path, data[400_000:], 400_000)
    proxy.heal()

    assert away.status_code == 503, away.text
    offset = int(client.head(path, headers=TUS).headers["upload-offset"])
    assert sent(client, path, data[offset:], offset).status_code == 204
    assert client.get(path).json()["complete"] is True
    assert spooled(settings) == []


@pytest.mark.long
def test_as_the_input_of_a_job(client, settings, tmp_path, s3):
    worker = Worker(settings, tmp_path / "worker.log")
    try:
        wait_until(lambda: client.get("/health/ready").status_code == 200, 60, "the engine")
        data = os.urandom(2_000_000)
        href = client.post("/uploads", content=iter([data]), headers={"Content-Type": "image/tiff"}).headers[
            "location"
        ]
        inputs: dict[str, Any] = {"raster": {"href": href}}
        job = executed(client, "double-file", inputs, Prefer="respond-async").headers["location"]
        client.delete(href)
        assert final(client, job)["status"] == "successful"
        assert client.get(f"{job}/results/result").content == data * 2
    finally:
        worker.stop()
