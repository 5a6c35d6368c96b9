"""An object store on the whole way of values, and what callers are told when it stalls or is away."""

import base64
import json
import os
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import httpx2
import pytest
from fastprocesses_host.app import create_app
from fastprocesses_host.ogc.jobs import Job, Status
from fastprocesses_host.settings import Settings
from fastprocesses_host.store.values import ValuesAway
from msgspec.structs import replace

from tests.host.engine import Engine, Worker, running_host
from tests.object_store import BUCKET, OPTIONS, S3, S3Proxy, options, s3_server
from tests.support import StoreServer, wait_until

SMALL = os.urandom(40_000)
"""Small enough for the store; twice as much is not."""
LARGE = os.urandom(3_000_000)


class Place:
    """A host and a worker, each with a way to the object store of its own."""

    def __init__(self, engine: Engine, s3: S3, for_host: S3Proxy, for_worker: S3Proxy) -> None:
        self.engine, self.s3, self.for_host, self.for_worker = engine, s3, for_host, for_worker

    def submit(self, data: bytes) -> str:
        """Have a file doubled."""
        return self.engine.submit("double-file", {"raster": base64.b64encode(data).decode()})

    def done(self, data: bytes) -> Job:
        """Have a file doubled, and wait."""
        job = self.engine.final(self.submit(data), 60)
        assert job.status is Status.SUCCESSFUL, job.problem
        return job

    def ask(self, path: str, method: str = "GET", links: str = "proxied", **headers: str) -> httpx2.Response:
        """Send a request to the host."""
        settings = replace(self.engine.settings, result_links=links)
        app = create_app(settings, host=self.engine.host)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}

        async def send() -> httpx2.Response:
            transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
            async with httpx2.AsyncClient(transport=transport, base_url="http://test", timeout=120) as client:
                return await client.request(method, path, headers=sent)

        return self.engine._portal.call(send)


@pytest.fixture(scope="module")
def place(embedded_store: StoreServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("objects")
    with ExitStack() as stack:
        s3 = stack.enter_context(s3_server())
        for_host, for_worker = stack.enter_context(S3Proxy(s3)), stack.enter_context(S3Proxy(s3))
        settings = Settings(
            redis_url=embedded_store.url,
            key_prefix="objects",
            slots=1,
            data_dir=str(folder),
            value_store_url=f"s3://{BUCKET}/ours",
            value_store=options(for_host.url),
            value_store_timeout_seconds=1.5,
            value_store_retry_seconds=3.0,
            signed_url_seconds=77.0,
            max_inline_bytes=65_536,
        )
        worker = Worker(replace(settings, value_store=options(for_worker.url)), folder / "worker.log")
        stack.callback(worker.stop)
        engine = stack.enter_context(running_host(settings, folder))
        wait_until(lambda: not engine.host.readiness(), 60, "the engine")
        yield Place(engine, s3, for_host, for_worker)


@pytest.fixture(autouse=True)
def heal(place: Place) -> Iterator[None]:
    yield
    place.for_host.heal()
    place.for_worker.heal()


@pytest.fixture(scope="module")
def job(place: Place) -> Job:
    return place.done(LARGE)


def test_values_go_through_the_object_store_and_end_with_their_job(place: Place) -> None:
    mine = place.done(LARGE)
    assert mine.outputs["result"].location.startswith("s3:")
    answer = place.ask(f"/jobs/{mine.id}/results/result")
    assert (answer.status_code, answer.content) == (200, LARGE * 2)
    assert [key for key in place.s3.keys("ours/") if mine.id in key]

    place.engine.dismiss(mine.id)
    wait_until(lambda: not [key for key in place.s3.keys("ours/") if mine.id in key], 60, "the garbage")


def test_parts_of_a_value_are_read_as_parts(place: Place, job: Job) -> None:
    answer = place.ask(f"/jobs/{job.id}/results/result", Range="bytes=2999998-3000001")
    assert (answer.status_code, answer.content) == (206, (LARGE * 2)[2_999_998:3_000_002])
    assert answer.headers["content-range"] == "bytes 2999998-3000001/6000000"


@pytest.mark.parametrize("links", ["redirected", "signed"])
def test_values_are_handed_out_by_signed_urls(place: Place, job: Job, links: str) -> None:
    address = f"/jobs/{job.id}/results/result"
    answer = place.ask(address, links=links)
    assert (answer.status_code, answer.content) == (303, b"")
    assert "X-Amz-Expires=77&" in answer.headers["location"]
    assert answer.headers["cache-control"] == "private, no-cache"
    ask = urllib.request.Request(answer.headers["location"], headers={"Range": "bytes=7-9"})
    with urllib.request.urlopen(ask, timeout=60) as found:
        assert (found.status, found.read()) == (206, LARGE[7:10])
        assert found.headers["Content-Type"] == "image/tiff; application=geotiff"
    head = place.ask(address, "HEAD", links=links)
    assert (head.status_code, head.headers["content-length"]) == (200, "6000000")
    assert place.ask(address, links=links, If_None_Match=head.headers["etag"]).status_code == 304

    document = place.ask(f"/jobs/{job.id}/results", links=links)
    link = document.json()["result"]
    assert link["length"] == 6_000_000
    assert (
        (urllib.request.urlopen(link["href"], timeout=60).read() == LARGE * 2)
        if links == "signed"
        else (link["href"] == f"http://test{address}")
    )
    assert ("etag" in document.headers) == (links == "redirected")


def test_a_host_that_cannot_read_says_so(place: Place, job: Job) -> None:
    place.for_host.hold("replies")
    answer = place.ask(f"/jobs/{job.id}/results/result")
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert int(answer.headers["retry-after"]) > 0
    with pytest.raises(ValuesAway):
        place.submit(LARGE)


def failed(place: Place, job_id: str) -> Mapping[str, Any]:
    job = place.engine.final(job_id, 60)
    assert job.status is Status.FAILED
    answer = place.ask(f"/jobs/{job_id}/results")
    return {
        "reason": job.reason,
        "status": answer.status_code,
        "detail": json.loads(answer.content)["detail"],
    }


@pytest.mark.parametrize("how", ["stalled", "away"])
def test_a_job_whose_values_do_not_get_through_fails_in_time(place: Place, how: str) -> None:
    place.for_worker.is_refusing = how == "away"
    place.for_worker.hold("replies")
    place.for_worker.cut()

    assert failed(place, place.submit(SMALL)) == {
        "reason": "results-not-stored",
        "status": 503,
        "detail": "The results could not be stored: the value store does not answer. Submit the job again later.",
    }
    assert failed(place, place.submit(LARGE)) == {
        "reason": "inputs-away",
        "status": 503,
        "detail": "The inputs could not be fetched: the value store does not answer. Submit the job again later.",
    }
    place.for_worker.heal()
    place.done(SMALL)
    log = (place.engine.folder / "worker.log").read_text()
    assert "values did not get through" in log
    assert OPTIONS["secret_access_key"] not in log


def test_a_dismissed_job_does_not_wait_for_the_object_store(place: Place) -> None:
    place.for_worker.cut()
    place.for_worker.hold("replies")
    job_id = place.submit(SMALL)
    wait_until(lambda: place.for_worker.connections, 60, "the transfer")
    place.engine.dismiss(job_id)

    assert place.engine.final(place.engine.submit("image"), 60).status is Status.SUCCESSFUL
    assert place.engine.job(job_id).status is Status.DISMISSED
