"""Inputs by reference: fetched by a real worker from servers of this process, checked, and given to the process."""

import base64
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from fastprocesses_host.inputs import check_request
from fastprocesses_host.ogc.exceptions import InvalidParameterValue, ProcessFailed, SyncTimeout
from fastprocesses_host.ogc.execute import ExecuteRequest
from fastprocesses_host.ogc.jobs import Job, Status
from fastprocesses_host.ogc.preferences import ModeChoice
from fastprocesses_host.settings import Settings

from tests.host.engine import Engine, Worker, running_engine
from tests.host.hostile import Answer, HostileServer, endless, hostile, redirect, response, says, silent
from tests.support import StoreServer, files_under, wait_until

TIFF = b"II*\0" + bytes(range(256)) * 20
MAX_VALUE_BYTES = 6_000_000
MAX_BODY_BYTES = 3_000_000
SECRET = "Bearer s3cret"
PLACES = b'{"type": "FeatureCollection", "features": []}'


@pytest.fixture(scope="module")
def guarded_origin() -> Iterator[HostileServer]:
    """A host that wants to know who asks."""
    with hostile(asks_who_it_is) as server:
        yield server


def asks_who_it_is(connection: socket.socket, head: bytes) -> None:
    known = f"authorization: {SECRET}".encode().lower() in head.lower()
    connection.sendall(response(b"1" if known else b"who?", "200 OK" if known else "401 Unauthorized"))


@pytest.fixture(scope="module")
def running(
    embedded_store: StoreServer, tmp_path_factory: pytest.TempPathFactory, guarded_origin: HostileServer
) -> Iterator[tuple[Engine, list[Worker]]]:
    folder = tmp_path_factory.mktemp("references")
    headers = folder / "headers.toml"
    headers.write_text(f'["{guarded_origin.url("")}"]\nAuthorization = "{SECRET}"\n')
    settings = Settings(
        redis_url=embedded_store.url,
        key_prefix="references",
        slots=2,
        value_store_url=f"file://{folder}/values",
        outbound_private="127.0.0.0/30",
        outbound_stall_seconds=5,
        outbound_headers_file=str(headers),
        max_value_bytes=MAX_VALUE_BYTES,
        max_body_bytes=MAX_BODY_BYTES,
        max_references=3,
        max_fetched_bytes=8_000_000,
    )
    with running_engine(settings, folder) as started:
        yield started


@pytest.fixture
def engine(running: tuple[Engine, list[Worker]]) -> Engine:
    return running[0]


@pytest.fixture
def at() -> Iterator[Callable[..., str]]:
    """Give the URL of a server that says these bytes, or does this."""
    with ExitStack() as servers:

        def start(answer: bytes | Answer, *headers: str) -> str:
            if isinstance(answer, bytes):
                answer = says(response(answer, "200 OK", *headers))
            return servers.enter_context(hostile(answer)).url("/data")

        yield start


def typed(name: str) -> str:
    return f"Content-Type: {name}"


def gathered(engine: Engine, **inputs: Any) -> dict[str, Any]:
    told = engine.execute("gather", inputs)
    return {name: told[name] for name in inputs}


def failure(engine: Engine, process_id: str = "gather", **inputs: Any) -> Any:
    with pytest.raises(ProcessFailed) as failed:
        engine.execute(process_id, inputs)
    return failed.value


def file_output(engine: Engine, job: Job) -> bytes:
    assert job.status is Status.SUCCESSFUL, job.problem
    return engine._portal.call(engine.host.output_bytes, job, "result")


# What comes


@pytest.mark.requirement("/req/core/process-execute-inputs")
def test_a_file_comes_as_it_is(engine: Engine, at: Callable[..., str]) -> None:
    href = at(TIFF, typed("image/tiff"))
    job = engine.final(engine.submit("double-file", {"raster": {"href": href, "type": "image/tiff"}}))
    assert file_output(engine, job) == TIFF * 2
    [line] = [line["text"] for line in engine.log(job.id)]
    assert (
        line
        == f"Fetched the input raster from 127.0.0.1: {len(TIFF)} bytes, image/tiff; application=geotiff."
    )


def test_a_large_file_is_streamed(engine: Engine, at: Callable[..., str]) -> None:
    data = os.urandom(2_800_000)
    job = engine.final(engine.submit("double-file", {"raster": {"href": at(data)}}))
    assert file_output(engine, job) == data * 2


@pytest.mark.parametrize(
    ("name", "value", "content", "sent", "read"),
    [
        ("note", {}, b"hello", "text/plain", "hello"),
        ("note", {"type": "text/plain"}, b"hello", "text/plain; charset=utf-8", "hello"),
        ("note", {}, b"# A", "text/markdown", "# A"),
        ("note", {}, '"grün"'.encode(), "application/json", "grün"),
        ("places", {}, PLACES, "application/geo+json", 0),
        ("places", {}, PLACES, "application/json", 0),
        ("places", {}, b"\xef\xbb\xbf" + PLACES, "text/plain", 0),
        ("places", {"format": {"mediaType": "application/geo+json"}}, PLACES, "application/octet-stream", 0),
        ("places", {"mediaType": "application/json"}, PLACES, "", 0),
        ("box", {}, b'{"bbox": [1, 2, 3, 4]}', "application/json", [1, 2, 3, 4]),
        ("image", {}, b"png", "image/png", "png"),
        ("image", {"type": "image/png"}, b"png", "", "png"),
        ("numbers", {}, b"7", "text/plain", [7]),
    ],
)
def test_values_are_read_by_their_media_type(
    engine: Engine,
    at: Callable[..., str],
    name: str,
    value: dict[str, Any],
    content: bytes,
    sent: str,
    read: Any,
) -> None:
    href = at(content, *([typed(sent)] if sent else []))
    assert gathered(engine, **{name: {"href": href, **value}}) == {name: read}
    data = f"data:{sent};base64,{base64.b64encode(content).decode()}"
    assert gathered(engine, **{name: {"href": data, **value}}) == {name: read}


def test_values_of_an_array_may_come_from_anywhere(engine: Engine, at: Callable[..., str]) -> None:
    numbers = [1, {"href": at(b"2")}, {"href": "data:,3"}]
    assert gathered(engine, numbers=numbers) == {"numbers": [1, 2, 3]}
    assert gathered(engine, numbers={"href": at(b"2")}) == {"numbers": [2]}
    assert gathered(engine, numbers={"href": at(b"\xef\xbb\xbf [1, 2, 3]")}) == {"numbers": [1, 2, 3]}
    images = [{"href": at(b"a", typed("image/png"))}, base64.b64encode(b"b").decode(), {"href": at(b"c")}]
    assert gathered(engine, images=images) == {"images": ["a", "b", "c"]}
    assert gathered(engine, note=[{"href": at(b"alone")}]) == {"note": "alone"}


def test_what_is_asked_for_is_told(engine: Engine) -> None:
    with hostile(says(redirect("/there")), None) as server:
        failure(engine, places={"href": server.url()})
        accept = next(line for line in server.requests[0].splitlines() if line.lower().startswith("accept:"))
    assert accept.partition(": ")[2] == "application/geo+json, application/json;q=0.9, */*;q=0.1"


def test_credentials_are_the_operators(engine: Engine, guarded_origin: HostileServer) -> None:
    assert gathered(engine, numbers=[{"href": guarded_origin.url()}], note="x") != {}
    with hostile(asks_who_it_is) as another:
        told = failure(engine, note={"href": another.url()})
    assert (told.status, "401 Unauthorized" in told.detail) == (502, True)
    assert "s3cret" not in str(told.errors) + told.detail


# What goes wrong


@pytest.mark.requirement("/req/core/process-execute-input-validation")
@pytest.mark.parametrize(
    ("answer", "status", "word"),
    [
        (says(response(b"", "404 Not Found")), 502, "answers 404 Not Found"),
        (says(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort"), 502, "not whole"),
        (says(b"nonsense\r\n\r\n"), 502, "not HTTP"),
        (says(b""), 502, "not whole"),
        (says(redirect("file:///etc/passwd")), 400, "redirects"),
        (says(redirect("http://127.0.0.9/")), 400, "not a public one"),
        (says(redirect("http://169.254.169.254/")), 400, "not a public one"),
        (says(redirect("/again")), 502, "more than 5 redirects"),
        (endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 100_000), 413, f"larger than {MAX_VALUE_BYTES} bytes"),
        (says(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n"), 413, "larger than"),
        (silent, 504, "took too long"),
        (says(response(b"<html>", "200 OK", "Content-Type: text/html")), 400, "media type text/html"),
        (says(response(b"{", "200 OK", "Content-Type: application/json")), 400, "JSON"),
        (says(response(b"[" * 5000, "200 OK", "Content-Type: application/json")), 400, "nested too deep"),
        (says(response(b'{"type": "Point"}')), 400, "features"),
        (says(response(b"\xff\xfe{")), 400, "UTF-8"),
        (says(response(b" " * (MAX_BODY_BYTES + 1) + b"1")), 413, "document to be checked"),
    ],
)
def test_failures_name_the_input_and_are_the_answer(
    engine: Engine, answer: Answer, status: int, word: str
) -> None:
    with hostile(answer) as server:
        told = failure(engine, places={"href": server.url("/data?key=s3cret")})
    assert (told.status, word in told.detail, "nput places" in told.detail) == (status, True, True), (
        told.detail
    )
    assert told.errors[0]["pointer"].startswith("/inputs/places")
    assert "s3cret" not in str(told.errors) + told.detail
    if status == 400:
        assert (told.type, told.title) == ("InvalidParameterValue", "Invalid parameter value")


def test_a_job_tells_why_it_failed(engine: Engine, at: Callable[..., str]) -> None:
    job = engine.final(engine.submit("gather", {"numbers": [1, {"href": at(b"true")}]}))
    assert (job.status, job.reason) == (Status.FAILED, "input")
    assert job.problem is not None
    assert job.problem.errors[0]["pointer"] == "/inputs/numbers/1"
    assert "Input numbers (2): This must be an integer" in job.problem.detail


@pytest.mark.parametrize(
    ("content", "pointer", "word"),
    [
        (b"[1, true]", "/inputs/numbers/1", "an integer"),
        (b"[1, 2, 3, 4]", "/inputs/numbers", "At most 3"),
        (b'[{"href": "http://127.0.0.1/"}]', "/inputs/numbers", "References in what was fetched"),
    ],
)
def test_an_array_that_is_fetched_fits_as_one_that_is_sent(
    engine: Engine, at: Callable[..., str], content: bytes, pointer: str, word: str
) -> None:
    told = failure(engine, numbers={"href": at(content, typed("application/json"))})
    assert (told.status, told.errors[0]["pointer"]) == (400, pointer)
    assert word in told.detail


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ({"href": "ftp://example.org/x"}, "scheme ftp are not fetched"),
        ({"href": "file:///etc/passwd"}, "scheme file are not fetched"),
        ({"href": "../x"}, "no absolute URL"),
        ({"href": ""}, "no absolute URL"),
        (
            {"href": "http://example.org/", "type": "image/png"},
            "The media type image/png is not one of this input",
        ),
        ({"href": "http://example.org/", "type": 5}, "type must be a media type"),
        ({"href": "http://example.org/", "mediaType": "reference"}, "not one of this input"),
        ({"href": f"http://example.org/{'a' * 9000}"}, "longer than"),
        ({"href": "data:text/html,<html>"}, "media type text/html"),
        ({"href": "data:application/json"}, "comma"),
        ({"href": "data:application/json;base64,$$$$"}, "not base64"),
        ({"href": "data:application/json,{"}, "JSON"),
        ({"href": "data:application/json,[]"}, "an object"),
    ],
)
def test_what_cannot_be_fetched_is_told_at_once(engine: Engine, value: dict[str, Any], word: str) -> None:
    with pytest.raises(InvalidParameterValue, match="Input places") as refused:
        engine.submit("gather", {"places": value})
    assert word in str(refused.value.detail)
    assert refused.value.errors[0]["pointer"].startswith("/inputs/places")


def test_the_references_of_a_job_have_a_limit_together(engine: Engine, at: Callable[..., str]) -> None:
    told = failure(engine, images=[{"href": at(b"x" * 5_000_000)}, {"href": at(b"x" * 5_000_000)}])
    assert (told.status, told.errors[0]["pointer"]) == (413, "/inputs/images/1")
    assert "may have 8000000 bytes together" in told.detail


def test_a_request_has_so_many_references_at_most(engine: Engine) -> None:
    some = {"href": "http://example.org/"}
    with pytest.raises(InvalidParameterValue, match="4 values by reference; 3 is the most"):
        engine.submit("gather", {"numbers": [some, some, some], "note": some})


# Stopping


@pytest.mark.parametrize(
    "answer",
    [silent, endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 2000, pause_seconds=0.05)],
    ids=["silent", "slow"],
)
def test_a_dismissed_job_fetches_no_more(engine: Engine, answer: Answer) -> None:
    with hostile(answer) as server:
        job_id = engine.submit("double-file", {"raster": {"href": server.url()}})
        assert server.begun.wait(60)
        if answer is not silent:
            wait_until(lambda: "Fetching the input raster" in engine.job(job_id).message, 60, "progress")
        engine.dismiss(job_id)
        assert server.left.wait(30)  # within 3 s, on a machine that is not busy
    assert engine.job(job_id).status is Status.DISMISSED
    assert gathered(engine, numbers=[1]) == {"numbers": [1]}


def test_who_goes_away_has_nothing_fetched(engine: Engine) -> None:
    process = engine.host.catalog.get("double-file")
    with hostile(silent) as server:
        document = msgspec.json.encode({"href": server.url()})
        request = ExecuteRequest(inputs={"raster": msgspec.Raw(document)})

        async def disconnected() -> None:
            while not server.begun.is_set():
                await anyio.sleep(0.02)

        async def call() -> Job:
            return await engine.host.execute(
                "double-file",
                request,
                ModeChoice(mode="sync"),
                inputs=check_request(process, request),
                disconnected=disconnected,
            )

        with pytest.raises(SyncTimeout):
            engine._portal.call(call)
        assert server.left.wait(30)


def test_fetching_is_a_part_of_the_time_of_a_job(engine: Engine) -> None:
    slow = endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 2000, pause_seconds=0.05)
    with hostile(slow) as server:
        job = engine.final(engine.submit("too-long", {"kind": {"href": server.url()}}), 60)
    assert (job.status, job.reason) == (Status.FAILED, "reference")
    assert job.problem is not None
    assert job.problem.status == 504


def test_nothing_stays_where_a_worker_is_killed_while_it_fetches(
    embedded_store: StoreServer, tmp_path: Path
) -> None:
    mine = tmp_path / "temporary"
    mine.mkdir()
    settings = Settings(
        redis_url=embedded_store.url, key_prefix="killed", slots=1, outbound_private="127.0.0.1"
    )
    slow = endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 2000, pause_seconds=0.05)
    with pytest.MonkeyPatch.context() as patched, hostile(slow) as server:
        patched.setenv("TMPDIR", str(mine))
        with running_engine(settings, tmp_path) as (engine, [worker]):
            engine.submit("double-file", {"raster": {"href": server.url()}})
            wait_until(lambda: "fetched-" in str(files_under(mine)), 60, "the file")
            os.kill(worker.worker_process.pid, signal.SIGKILL)
            wait_until(
                lambda: not any("fetched-" in folder for folder, _, _ in os.walk(mine)),
                60,
                "the end of the file",
            )
            assert server.left.wait(60)
