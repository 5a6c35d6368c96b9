"""Long strings of a body on their way to files: nothing is lost or changed, refused requests leave no file."""

import base64
import gzip
import hashlib
import http.client
import json
import os
import random
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from fastprocesses_host.schemas.validators import is_certainly_base64
from fastprocesses_host.store.values import FileValues
from fastprocesses_host.web.long_strings import BodyInParts
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.acceptance.service import Answer, Service, service
from tests.support import files_under, wait_until

MAX_BODY_BYTES = 24_000_000
MAX_VALUE_BYTES = 16_000_000
PLUGIN = '''
"""Processes that tell what they got."""
import hashlib
import time
from pathlib import Path
from typing import Annotated
import fastprocesses_sdk as fp

Binary = fp.Media("application/octet-stream")

def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()

@fp.process
def of_file(data: Annotated[Path, Binary], text: str = "", number: int = 0) -> str:
    """Digest a file."""
    return digest(data.read_bytes() + text.encode())

@fp.process
def of_bytes(data: Annotated[bytes, Binary]) -> str:
    """Digest bytes."""
    return digest(data)

@fp.process
def of_two(first: Annotated[bytes, Binary], second: Annotated[Path, Binary]) -> str:
    """Digest two values, one after the other."""
    return digest(first + second.read_bytes())

@fp.process
def of_several(
    data: Annotated[Path, Binary], parts: Annotated[list[Annotated[bytes, Binary]], fp.Input(occurs=(0, 3))] = ()
) -> str:
    """Digest a file and the parts after it."""
    return digest(data.read_bytes() + b"".join(parts))

@fp.process
def of_either(
    data: Annotated[Path, Binary], image: Annotated[Path, fp.Media("image/png", "image/jpeg")] | None = None
) -> str:
    """Digest a file and an image of either kind."""
    return digest(data.read_bytes() + (image.read_bytes() if image else b""))

@fp.process
def hold(file: str) -> str:
    """Wait until a file is there."""
    deadline = time.monotonic() + 100
    while not Path(file).exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return "held"
'''


# The body by itself


def feed(parts: BodyInParts, chunks: list[bytes]) -> None:
    for chunk in chunks:
        if parts.feed(chunk):
            parts.work()
    parts.end()


def cut_up(body: bytes, places: list[int]) -> list[bytes]:
    bounds = sorted({0, len(body), *(place % (len(body) + 1) for place in places)})
    return [body[start:stop] for start, stop in pairwise(bounds)]


def with_files(text: bytes, parts: BodyInParts) -> bytes:
    for document, file in parts.files.items():
        assert text.count(document) == 1
        text = text.replace(document, file.read_bytes())
    return text


encoded = st.binary(max_size=300).map(lambda data: base64.b64encode(data).decode())
odd = st.text(alphabet='ABab01+/-_="\\ {}[],:é\n', max_size=150)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | encoded | odd,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(encoded | odd, inner, max_size=4),
    max_leaves=8,
)
documents = st.builds(
    lambda value, is_ascii, indent: json.dumps(value, ensure_ascii=is_ascii, indent=indent).encode(),
    values,
    st.booleans(),
    st.sampled_from([None, 1]),
)
fragments = st.lists(
    st.sampled_from(
        [b'"', b"\\", b"\\\\", b"A" * 30, b"=", b"==", b"{", b"}", b":", b",", b" ", b"1" * 30, b"\xff"]
    ),
    max_size=40,
).map(b"".join)


@settings(deadline=None)
@given(
    st.one_of(documents, fragments, st.binary(max_size=200)),
    st.lists(st.integers(0, 100_000), max_size=60),
    st.integers(1, 40),
    st.integers(1, 100),
)
def test_any_body_is_what_it_was_however_it_arrives(
    body: bytes, places: list[int], longest_bytes: int, piece_bytes: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = FileValues(Path(folder))
        parts = BodyInParts(store, longest_bytes=longest_bytes, piece_bytes=piece_bytes)
        feed(parts, cut_up(body, places))

        assert parts.whole() == body
        assert with_files(parts.text, parts) == body
        for document, file in parts.files.items():
            assert len(file.read_bytes()) > longest_bytes
            assert is_certainly_base64(file.read_bytes())
            assert is_certainly_base64(document)
        assert is_json(parts.text) == is_json(body)

        parts.discard()
        store.close()
        assert files_in(Path(folder)) == []


def is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


@settings(deadline=None)
@given(st.integers(100, 2000), st.integers(1, 40))
def test_a_long_string_is_set_aside_wherever_it_begins_in_what_arrives(size: int, chunk_bytes: int) -> None:
    content = base64.b64encode(random.Random(size).randbytes(size))
    body = b'{"a": "short", "b": ["%s"], "c": 1}' % content
    with tempfile.TemporaryDirectory() as folder:
        store = FileValues(Path(folder))
        parts = BodyInParts(store, longest_bytes=20, piece_bytes=50)
        feed(parts, [body[start : start + chunk_bytes] for start in range(0, len(body), chunk_bytes)])

        [(document, file)] = parts.files.items()
        assert file.read_bytes() == b'"%s"' % content
        assert parts.text == b'{"a": "short", "b": [%s], "c": 1}' % document
        parts.discard()
        store.close()


def test_files_of_a_body_that_arrives_slowly_are_no_orphans(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FileValues(tmp_path)
    parts = BodyInParts(store, longest_bytes=10, piece_bytes=10)
    feed(parts, [b'["', b"A" * 100, b'",'])
    [file] = parts.files.values()
    os.utime(file, (0, 0))
    monkeypatch.setattr("time.monotonic", lambda: 1e12)
    parts.feed(b"1")

    assert list(store.orphans()) == []
    assert file.exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full disk to write to")
def test_a_full_disk_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FileValues(tmp_path)
    create = store.create

    def create_full() -> tuple[Path, BinaryIO]:
        path, file = create()
        file.close()
        return path, Path("/dev/full").open("wb")

    monkeypatch.setattr(store, "create", create_full)
    parts = BodyInParts(store, longest_bytes=10)
    with pytest.raises(OSError, match="No space left"):
        feed(parts, [b'["', b"A" * 2_000_000, b'"]'])
    parts.discard()

    assert files_in(tmp_path) == []


def files_in(folder: Path) -> list[Path]:
    return files_under(folder)


# The service


class Large:
    """A service that takes large inputs, and the folder where they lie."""

    def __init__(self, running: Service, folder: Path) -> None:
        self.running = running
        self.folder = folder
        self.values = folder / "data" / "values"

    def execute(self, process_id: str, body: Any, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.running.ask("POST", f"/processes/{process_id}/execution", data, named, seconds=60)

    @property
    def files(self) -> list[Path]:
        return files_in(self.values)

    def await_no_files(self) -> None:
        wait_until(lambda: not self.files, what="the deletion of all files")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Large]:
    folder = tmp_path_factory.mktemp("large")
    information = folder / "plugin" / "large-1.0.dist-info"
    information.mkdir(parents=True)
    (folder / "plugin" / "large_inputs.py").write_text(PLUGIN)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: large\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[fastprocesses.processes]\nlarge = large_inputs\n")
    environ = {
        "PYTHONPATH": str(folder / "plugin"),
        "FASTPROCESSES_SLOTS": "1",
        "FASTPROCESSES_MAX_BODY_BYTES": str(MAX_BODY_BYTES),
        "FASTPROCESSES_MAX_VALUE_BYTES": str(MAX_VALUE_BYTES),
        "FASTPROCESSES_MAX_QUEUED_JOBS": "2",
        "FASTPROCESSES_MAX_QUEUED_JOBS_PER_CALLER": "1",
        "FASTPROCESSES_TRUSTED_PROXIES": "127.0.0.1",
    }
    with service(folder, environ=environ) as started:
        yield Large(started, folder)


@pytest.fixture(autouse=True)
def nothing_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever a test does: once its jobs are over, no file is there any more."""
    yield
    if "large" in request.fixturenames:
        request.getfixturevalue("large").await_no_files()


@cache
def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


DATA = random.Random(0).randbytes(7_000_000)
MORE = random.Random(1).randbytes(5_000_000)
QUALIFIED = {"value": b64(DATA), "encoding": "base64", "mediaType": "application/octet-stream"}
URL_SAFE = base64.urlsafe_b64encode(DATA).decode().rstrip("=")

RIGHT: dict[str, tuple[str, Any, bytes]] = {
    "plain": ("of-file", {"data": b64(DATA)}, DATA),
    "URL-safe": ("of-file", {"data": URL_SAFE}, DATA),
    "qualified": ("of-file", {"data": QUALIFIED}, DATA),
    "of another media type": (
        "of-file",
        {"data": {**QUALIFIED, "mediaType": "application/octet-stream;a=b"}},
        b"",
    ),
    "in an array of one": ("of-file", {"data": [b64(DATA)]}, DATA),
    "bytes": ("of-bytes", {"data": b64(DATA)}, DATA),
    "two": ("of-two", {"first": b64(DATA), "second": b64(MORE)}, DATA + MORE),
    "one twice": ("of-two", {"first": b64(DATA), "second": b64(DATA)}, DATA + DATA),
    "beside an array": (
        "of-several",
        {"data": b64(DATA), "parts": [b64(MORE), b64(MORE)]},
        DATA + MORE + MORE,
    ),
    "beside several formats": ("of-either", {"data": b64(DATA), "image": b64(MORE)}, DATA + MORE),
    "beside a long text": ("of-file", {"data": b64(DATA), "text": "A" * 5_000_000}, DATA + b"A" * 5_000_000),
    "beside a text": ("of-file", {"text": 'Zürich \\ " ', "data": b64(DATA)}, DATA + 'Zürich \\ " '.encode()),
}


@pytest.mark.parametrize(("process_id", "inputs", "content"), RIGHT.values(), ids=RIGHT)
def test_large_values_arrive(large: Large, process_id: str, inputs: Any, content: bytes) -> None:
    answer = large.execute(process_id, {"inputs": inputs})

    if content:
        assert (answer.status, answer.body) == (200, sha256(content).encode()), answer.body[:500]
    else:
        assert answer.status == 400


ODD: dict[str, Callable[[], bytes]] = {
    "escaped": lambda: b'{"inputs": {"data": "%s"}}' % b64(DATA).replace("/", "\\/").encode(),
    "in lines": lambda: json.dumps({"inputs": {"data": base64.encodebytes(DATA).decode()}}).encode(),
    "an escape at its end": lambda: b'{"inputs": {"data": "%s\\u0020"}}' % b64(DATA).encode(),
    "equal names": lambda: with_both(b'{"inputs": {"data": "%s", "data": "%s"}}'),
    "equal members": lambda: with_both(b'{"inputs": {"data": "%s"}, "inputs": {"data": "%s"}}'),
    "an unknown member": lambda: with_both(b'{"note": "%s", "inputs": {"data": "%s"}}'),
    "a long name": lambda: b'{"%s": 1, "inputs": {"data": "%s"}}' % (b"A" * 3_000_000, b64(DATA).encode()),
    "a byte order mark": lambda: b'\xef\xbb\xbf{"inputs": {"data": "%s"}}' % b64(DATA).encode(),
}


def with_both(body: bytes) -> bytes:
    return body % (b64(MORE).encode(), b64(DATA).encode())


@pytest.mark.parametrize("body", ODD.values(), ids=ODD)
def test_an_odd_body_is_read_as_it_is_meant(large: Large, body: Callable[[], bytes]) -> None:
    answer = large.execute("of-file", body())

    assert (answer.status, answer.body) == (200, sha256(DATA).encode()), answer.body[:500]


WRONG: dict[str, tuple[bytes, str]] = {
    "another input": (b'{"inputs": {"data": "%s", "number": "x"}}', "/inputs/number"),
    "an unknown input": (b'{"inputs": {"data": "%s", "nothing": 1}}', "/inputs/nothing"),
    "padding in the middle": (b'{"inputs": {"data": "AA==%s"}}', "/inputs/data"),
    "one letter too many": (b'{"inputs": {"data": "A%s"}}', "/inputs/data"),
    "for a number": (b'{"inputs": {"data": "AAAA", "number": "%s"}}', "/inputs/number"),
    "as name of an input": (b'{"inputs": {"data": "AAAA", "%s": 1}}', ""),
    "unterminated": (b'{"inputs": {"data": "%s', ""),
    "cut off": (b'{"inputs": {"data": "%s"', ""),
    "two in a row": (b'{"inputs": {"data": "x"%s"', ""),
    "a reference": (b'{"inputs": {"data": {"href": "%s"}}}', "/inputs/data/href"),
}


@pytest.mark.parametrize(("body", "pointer"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_told_and_leaves_nothing(large: Large, body: bytes, pointer: str) -> None:
    content = b64(DATA[:6_000_000]).encode()
    answer = large.execute("of-file", body.replace(b"%s", content))

    assert answer.status == 400, answer.body[:500]
    assert len(answer.body) < 20_000
    if pointer:
        assert [error["pointer"] for error in answer.json["errors"]] == [pointer]
    assert large.files == []


def test_the_place_of_a_fault_is_that_in_the_body_as_it_was_sent(large: Large) -> None:
    body = b'{"inputs": {"data": "%s", oops}}' % b64(DATA).encode()
    answer = large.execute("of-file", body)

    assert answer.status == 400
    assert f"byte {body.index(b'oops')}" in answer.json["detail"]


def test_a_value_that_is_too_large_is_413(large: Large) -> None:
    answer = large.execute("of-file", {"inputs": {"data": "AAAA" * (MAX_VALUE_BYTES // 4)}})

    assert answer.status == 413
    assert f"{MAX_VALUE_BYTES + 2} bytes" in answer.json["detail"]
    assert large.files == []


@pytest.mark.parametrize("is_declared", [True, False])
def test_a_body_that_is_too_large_is_413(large: Large, is_declared: bool) -> None:
    body = b'{"inputs": {"data": "' + b"A" * MAX_BODY_BYTES + b'"}}'
    connection = http.client.HTTPConnection(large.running.url.removeprefix("http://"), timeout=60)
    pieces = (body[start : start + 65_536] for start in range(0, len(body), 65_536))
    headers = {"Content-Type": "application/json"} | (
        {"Content-Length": str(len(body))} if is_declared else {}
    )
    with closing(connection):
        connection.request(
            "POST", "/processes/of-file/execution", pieces, headers, encode_chunked=not is_declared
        )
        assert connection.getresponse().status == 413
    assert large.files == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"accept": "image/tiff"}, 406),
        ({"content_encoding": "br"}, 415),
        ({"Content_Type": "text/plain"}, 415),
    ],
    ids=str,
)
def test_what_is_not_negotiable_leaves_nothing(large: Large, headers: dict[str, str], status: int) -> None:
    answer = large.execute("of-file", {"inputs": {"data": b64(DATA)}}, **headers)

    assert answer.status == status
    assert large.files == []


def test_callers_that_are_sent_away_leave_nothing(large: Large, tmp_path: Path) -> None:
    body = {"inputs": {"data": b64(DATA)}}
    small = {"inputs": {"data": "AAAA"}}
    asynchronous = {"prefer": "respond-async"}
    with ExitStack() as stack:
        stack.callback((tmp_path / "go").touch)
        hold = large.execute("hold", {"inputs": {"file": str(tmp_path / "go")}}, **asynchronous)
        large.running.await_status(hold.headers["Location"], "running")
        accepted = large.execute("of-file", body, **asynchronous)
        [kept] = large.files
        same = large.execute("of-file", body, **asynchronous)
        other = large.execute("of-file", small, **asynchronous, x_forwarded_for="192.0.2.1")
        full = large.execute("of-file", body, **asynchronous, x_forwarded_for="192.0.2.2")
        full_sync = large.execute("of-file", body, x_forwarded_for="192.0.2.2")

        assert (hold.status, accepted.status, same.status, other.status) == (201, 201, 429, 201)
        assert (full.status, full_sync.status) == (503, 503)
        assert large.files == [kept]
    for answer in (accepted, other):
        large.running.await_status(answer.headers["Location"], "successful")
    result = large.running.ask("GET", accepted.headers["Location"] + "/results/result")
    assert result.body == sha256(DATA).encode()


def upload_half(large: Large) -> socket.socket:
    """Send half of a large input; give the connection once it lies in a file."""
    content = b64(DATA).encode()
    head = (
        b"POST /processes/of-file/execution HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n" % (len(content) + 24)
    )
    host, _, port = large.running.url.removeprefix("http://").partition(":")
    connection = socket.create_connection((host, int(port)), timeout=20)
    connection.sendall(head + b'{"inputs": {"data": "' + content[: len(content) // 2])
    wait_until(lambda: sum(file.stat().st_size for file in large.files) > 3_000_000, what="a file")
    return connection


def test_a_string_lies_in_a_file_while_it_arrives(large: Large) -> None:
    with closing(upload_half(large)) as connection:
        content = b64(DATA).encode()
        connection.sendall(content[len(content) // 2 :] + b'"}}')
        answer = b""
        while sha256(DATA).encode() not in answer:
            received = connection.recv(65_536)
            assert received, answer
            answer += received


def test_a_caller_that_goes_half_way_leaves_nothing(large: Large) -> None:
    upload_half(large).close()

    large.await_no_files()


def test_a_compressed_body_is_taken_too(large: Large) -> None:
    body = gzip.compress(json.dumps({"inputs": {"data": b64(DATA)}}).encode(), 1)
    answer = large.execute("of-file", body, content_encoding="gzip")

    assert (answer.status, answer.body) == (200, sha256(DATA).encode())
