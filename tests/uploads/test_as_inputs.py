"""What was uploaded, as inputs of jobs: found in the own store, kept for the job, checked as any reference is."""

import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from fastprocesses_host.app import create_app
from fastprocesses_host.settings import Settings
from starlette.testclient import TestClient

from tests.host.engine import Worker
from tests.support import StoreServer, wait_until
from tests.uploads.conftest import http
from tests.uploads.test_protocol import begun, files_of, sent
from tests.web.conftest import _served

BASE = "http://example.org"
TIFF = "image/tiff; application=geotiff"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("inputs")


@pytest.fixture(scope="module")
def settings(folder: Path, embedded_store: StoreServer) -> Settings:
    return Settings(
        redis_url=embedded_store.url,
        key_prefix="uploads",
        value_store_url=f"file://{folder}/values",
        slots=1,
        keep_inputs=True,
        outbound_hosts="",
    )


@pytest.fixture(scope="module")
def worker(settings: Settings, folder: Path) -> Iterator[Worker]:
    worker = Worker(settings, folder / "worker.log")
    yield worker
    worker.stop()


@pytest.fixture(scope="module")
def client(settings: Settings, worker: Worker) -> Iterator[TestClient]:
    with TestClient(create_app(settings), BASE) as client:
        wait_until(lambda: client.get("/health/ready").status_code == 200, 60, "the engine")
        yield client


def uploaded(client: TestClient, data: bytes, content_type: str = "") -> str:
    headers = {"Content-Type": content_type} if content_type else {}
    answer = client.post("/uploads", content=data, headers=headers)
    assert answer.status_code == 201, answer.text
    return answer.headers["location"]


def executed(client: TestClient, process_id: str, inputs: dict[str, Any], **headers: str) -> Any:
    return client.post(f"/processes/{process_id}/execution", json={"inputs": inputs}, headers=headers)


def final(client: TestClient, job: str) -> dict[str, Any]:
    states: list[dict[str, Any]] = []

    def ended() -> bool:
        states.append(client.get(job).json())
        return states[-1]["status"] not in ("accepted", "running")

    wait_until(ended, 60, "the job")
    return states[-1]


def test_a_file_that_was_uploaded_is_an_input(client):
    data = os.urandom(3_000_000)
    href = uploaded(client, data, "image/tiff")
    answer = executed(client, "double-file", {"raster": {"href": href}})

    assert answer.status_code == 200, answer.text
    assert answer.content == data * 2


@pytest.mark.parametrize(
    "base",
    [
        "http://other.example",
        "https://EXAMPLE.org:8443/a/b",
        "http://127.0.0.1:1",
        "http://user:pw@10.0.0.1/ogcapi",
        "http://[::1]",
    ],
)
def test_wherever_the_service_seems_to_be_nobody_is_asked_for_it(client, base):
    href = uploaded(client, b"GEO", "image/tiff").replace(BASE, base) + "?f=json"
    answer = executed(client, "double-file", {"raster": {"href": href, "type": "image/tiff"}})

    assert answer.content == b"GEOGEO", answer.text


def test_json_that_was_uploaded_is_checked_by_the_schema(client):
    places = {"type": "FeatureCollection", "features": []}
    good = uploaded(client, b"\xef\xbb\xbf" + json.dumps(places).encode(), "application/geo+json")
    bad = uploaded(client, b'{"type": "FeatureCollection"}', "application/geo+json")
    worse = uploaded(client, b'{"type":', "application/geo+json")

    for _ in range(2):  # the upload is as it was
        assert executed(client, "gather", {"places": {"href": good}}).json()["places"] == 0
    for href in (bad, worse):
        refused = executed(client, "gather", {"places": {"href": href}})
        assert refused.status_code == 400
        assert refused.json()["errors"][0]["pointer"].startswith("/inputs/places")


def test_text_and_bytes_and_several_values(client):
    text, image = uploaded(client, "ö".encode(), "text/plain"), uploaded(client, b"PNG", "image/png")
    inputs = {
        "note": {"href": text},
        "image": {"href": image},
        "images": [{"href": image}, "AAEC", {"href": image, "type": "image/png"}],
    }
    answer = executed(client, "gather", inputs).json()

    assert (answer["note"], answer["image"]) == ("ö", "PNG")
    assert answer["images"] == ["PNG", "\0\1\2", "PNG"]


def test_a_media_type_that_the_input_does_not_take_is_refused_at_once(client):
    href = uploaded(client, b"x", "text/html")
    answer = executed(client, "gather", {"note": "x", "image": {"href": href}})

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == "/inputs/image"
    assert "text/html" in answer.json()["detail"]


def test_an_upload_that_is_not_complete_is_refused_and_named(client):
    href = BASE + begun(client, 10)
    sent(client, href, b"12345", 0)
    answer = executed(client, "gather", {"image": {"href": href}})

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == "/inputs/image/href"
    assert "5 of 10 bytes" in answer.json()["detail"]
    assert href.rpartition("/")[2] not in answer.text


def test_an_upload_that_is_gone_or_never_was_is_refused_and_named(client):
    gone, never = uploaded(client, b"x"), f"{BASE}/uploads/{'a' * 32}"
    client.delete(gone)
    for href in (gone, never, f"{BASE}/uploads/x"):
        answer = executed(client, "gather", {"images": ["AAEC", {"href": href}]})
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["pointer"] == "/inputs/images/1/href"


def test_what_only_looks_like_an_upload_is_asked_of_its_own_server(client):
    answer = executed(client, "gather", {"image": {"href": f"https://elsewhere.example/uploads/{'a' * 32}"}})
    assert answer.status_code == 400
    assert "upload" not in answer.json()["detail"].lower().replace("/uploads/", "")


def test_a_job_has_it_whatever_becomes_of_the_upload(client, worker):
    data = os.urandom(2_000_000)
    href = uploaded(client, data, "image/tiff")
    worker.worker_process.suspend()
    try:
        job = executed(client, "double-file", {"raster": {"href": href}}, Prefer="respond-async")
        assert client.delete(href).status_code == 204
    finally:
        worker.worker_process.resume()
    location = job.headers["location"]
    info = final(client, location)

    assert info["status"] == "successful", info
    assert client.get(f"{location}/results/result").content == data * 2


def test_a_process_that_writes_to_its_file_does_no_harm_to_the_upload(client):
    href = uploaded(client, b"GEO", "image/tiff")
    for _ in range(2):
        assert executed(client, "scribble", {"raster": {"href": href}}).text == "GEO"


def test_the_bytes_are_gone_when_nobody_has_them_any_more(client, folder):
    data = os.urandom(2_000_000)
    href = uploaded(client, data, "image/png")
    job = executed(client, "gather", {"image": {"href": href}, "note": "x"}, Prefer="respond-async")
    location = job.headers["location"]
    final(client, location)
    assert data in files_of(folder)
    client.delete(href)
    client.delete(location)
    wait_until(lambda: data not in files_of(folder), 60)


def test_the_id_is_told_nowhere(client, folder, settings):
    href = uploaded(client, b"PNG", "image/png")
    job = executed(client, "gather", {"image": {"href": href}}, Prefer="respond-async").headers["location"]
    final(client, job)
    upload_id = href.rpartition("/")[2]
    told = [client.get(url).text for url in (job, f"{job}/inputs", f"{job}/log", "/jobs", "/jobs?f=html")]
    with redis.Redis.from_url(settings.redis_url) as store:
        told += [repr(key) + repr(store.dump(key)) for key in store.scan_iter(match="{uploads}*")]
    told.append((folder / "worker.log").read_text())

    assert "urn:fastprocesses:upload" in told[1]
    assert not any(upload_id in text for text in told)


def test_many_jobs_may_have_one_upload(client):
    href = uploaded(client, b"GEO", "image/tiff")
    answers: list[bytes] = []

    def execute() -> None:
        answers.append(executed(client, "double-file", {"raster": {"href": href}}).content)

    threads = [threading.Thread(target=execute) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers == [b"GEOGEO"] * 8


# What docs/uploads.md shows is run: with curl, and with a client of tus that others wrote.

PAGE = (Path(__file__).parents[2] / "server" / "docs" / "uploads.md").read_text("utf-8")
SHOWN = "http://127.0.0.1:8080"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def url(settings: Settings, client: TestClient) -> Iterator[str]:
    with _served(create_app(settings)) as (host, port):
        base = f"http://{host}:{port}"
        wait_until(lambda: http().get(f"{base}/health/ready").status_code == 200, 60, "the host")
        yield base


@pytest.fixture
def bash(url: str, tmp_path: Path) -> Callable[[str], str]:
    def run(script: str) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script.replace(SHOWN, url)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=100,
            env=os.environ | {"NO_PROXY": "*"},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_commands_do_what_they_say(bash, tmp_path):
    data = os.urandom(2_000_000)
    (tmp_path / "large.tif").write_bytes(data)
    whole, in_parts = blocks("sh")

    assert '"complete":true' in bash(whole)
    assert (tmp_path / "result.tif").read_bytes() == data * 2
    assert '"length":2000000,"offset":2000000,"complete":true' in bash(in_parts)


def test_a_client_of_tus_uploads_in_parts_and_goes_on(url, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_PROXY", "*")
    data = os.urandom(300_000)
    Path("large.tif").write_bytes(data)
    (code,) = blocks("python")
    code = code.replace(SHOWN, url).replace("16 * 1024 * 1024", "100_000")
    namespace: dict[str, str] = {}
    exec(compile(code, "uploads.md", "exec"), namespace)
    document = http().get(namespace["href"]).json()

    assert (document["complete"], document["length"], document["mediaType"]) == (True, 300_000, "image/tiff")

    from tusclient.client import TusClient

    client = TusClient(f"{url}/uploads")
    with Path("large.tif").open("rb") as file:
        uploader = client.uploader(file_stream=file, chunk_size=100_000)
        uploader.upload_chunk()
    with Path("large.tif").open("rb") as file:
        again = client.uploader(file_stream=file, chunk_size=100_000, url=uploader.url)
        assert again.get_offset() == 100_000
        again.upload()
    answer = http().post(
        f"{url}/processes/double-file/execution",
        json={"inputs": {"raster": {"href": again.url, "type": "image/tiff"}}},
    )
    assert answer.content == data * 2
