"""Large values in an object store, over the real protocol: whole or not there, streamed, bounded in time."""

import asyncio
import io
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import obstore
import pytest
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from fastprocesses_host.store import multipart
from fastprocesses_host.store.object_values import PART_BYTES, ObjectValues, _Transfer
from fastprocesses_host.store.values import NoSuchValue, TransferStopped, ValuesAway

from tests.object_store import BUCKET, OPTIONS, S3, S3Proxy, options, s3_server

JOB = "018bcfe5-6800-77be-a29b-df0345e8cb02"
LARGE = os.urandom(2 * PART_BYTES + 12_345)


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with s3_server() as server:
        yield server


@pytest.fixture
def proxy(s3: S3) -> Iterator[S3Proxy]:
    with S3Proxy(s3) as proxy:
        yield proxy


def opened(
    endpoint: str,
    folder: Path,
    *,
    timeout_seconds: float = 30.0,
    patience_seconds: float = 0.0,
    prefix: str = "one",
) -> ObjectValues:
    return ObjectValues(
        f"s3://{BUCKET}/{prefix}",
        options(endpoint).options,
        folder / "spool",
        timeout_seconds=timeout_seconds,
        patience_seconds=patience_seconds,
    )


@pytest.fixture
def values(s3: S3, tmp_path: Path) -> Iterator[ObjectValues]:
    values = opened(s3.url, tmp_path)
    yield values
    values.close()


async def collected(values: ObjectValues, location: str, start: int, stop: int) -> bytes:
    return b"".join([chunk async for chunk in values.chunks(location, start, stop)])


@pytest.mark.parametrize("content", [b"", b"small", LARGE], ids=["empty", "small", "in parts"])
def test_values_come_back_by_every_way(values: ObjectValues, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "result").write_bytes(content)
    for location in (values.put(JOB, content), values.move(JOB, tmp_path / "result")):
        assert location.startswith(f"s3:02/{JOB}.")
        assert values.length(location) == len(content)
        with values.open(location) as file:
            assert file.read() == content
            file.seek(3)
            assert file.read(2) == content[3:5]
        assert asyncio.run(collected(values, location, 0, len(content))) == content
        if content:
            assert asyncio.run(collected(values, location, 2, 4)) == content[2:4]
        assert values.local(location, tmp_path).read_bytes() == content
        other = values.copy(JOB[:-2] + "03", location)
        values.delete(location)
        values.delete(location)
        assert values.local(other, tmp_path).read_bytes() == content
        with pytest.raises(NoSuchValue):
            values.open(location)
    assert not (tmp_path / "result").exists()


def test_a_body_lies_here_until_it_is_kept(values: ObjectValues) -> None:
    path, file = values.create()
    with file:
        file.write(b"content")
    location = values.link(JOB, path)
    path.unlink()
    with values.open(location) as stored:
        assert stored.read() == b"content"


@pytest.mark.parametrize(
    "location", ["", "s3:", f"file:02/{JOB}.0123456789abcdef", "s3:../other", f"s3:02/{JOB}"]
)
def test_other_locations_are_refused(values: ObjectValues, tmp_path: Path, location: str) -> None:
    for use in (values.open, values.length, values.delete, lambda place: values.local(place, tmp_path)):
        with pytest.raises(NoSuchValue):
            use(location)


def test_a_signed_url_gives_the_value_and_its_type(values: ObjectValues) -> None:
    location = values.put(JOB, LARGE, media_type="image/tiff")
    url = values.signed_url(location, seconds=60)
    assert url is not None
    assert "X-Amz-Expires=60&" in url
    assert OPTIONS["secret_access_key"] not in url
    ask = urllib.request.Request(url, headers={"Range": "bytes=5-8"})
    with urllib.request.urlopen(ask, timeout=60) as answer:
        assert (answer.status, answer.headers["Content-Type"], answer.read()) == (
            206,
            "image/tiff",
            LARGE[5:9],
        )


def test_only_old_values_of_ours_are_orphans(s3: S3, tmp_path: Path) -> None:
    values = opened(s3.url, tmp_path, prefix="orphans")
    elsewhere = opened(s3.url, tmp_path, prefix="orphans-not")
    location = values.put(JOB, b"content")
    elsewhere.put(JOB, b"content")
    stranger = urllib.request.Request(f"{s3.url}/{BUCKET}/orphans/readme.txt", b"not ours", method="PUT")
    urllib.request.urlopen(stranger, timeout=60).close()

    assert list(values.orphans()) == []
    assert list(values.orphans(now_seconds=time.time() + 4000)) == [(JOB, location)]


def begun_upload(s3: S3, key: str) -> None:
    ask = urllib.request.Request(f"{s3.url}/{BUCKET}/{key}?uploads", b"", method="POST")
    urllib.request.urlopen(ask, timeout=60).close()


def test_uploads_that_a_crash_left_are_aborted(s3: S3, tmp_path: Path) -> None:
    values = opened(s3.url, tmp_path, prefix="left")
    ours = f"left/02/{JOB}.0123456789abcdef"
    for key in (ours, "left/something-else", f"left-not/02/{JOB}.0123456789abcdef"):
        begun_upload(s3, key)

    assert list(values.orphans(now_seconds=1.0)) == []  # none is as old
    assert f"<Key>{ours}</Key>" in s3.uploads()
    assert list(values.orphans(now_seconds=time.time() + 4000)) == []

    uploads = s3.uploads()
    assert f"<Key>{ours}</Key>" not in uploads
    assert "<Key>left/something-else</Key>" in uploads
    assert "<Key>left-not/" in uploads


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"session_token": "a/token+="},
        {"virtual_hosted_style_request": "true", "endpoint": "https://values.s3.test"},
    ],
    ids=["path", "session", "host"],
)
def test_requests_of_our_own_are_signed_as_others_sign_them(more: dict[str, str], tmp_path: Path) -> None:
    given = {**OPTIONS, "endpoint": "https://s3.test:9000", **more}
    values = ObjectValues("s3://values/a/b", given, tmp_path, timeout_seconds=1.0)
    signed = obstore.sign(values._quick, "GET", "-", timedelta(seconds=60))
    bucket = multipart._Bucket(signed, given["secret_access_key"], given, 1.0)
    host, path = urlsplit(given["endpoint"]).netloc, "/" if more.get("endpoint") else "/values"

    target = urlsplit(
        bucket._signed("GET", path, {"uploads": "", "prefix": bucket.prefix, "key-marker": "ä b/"})
    )
    ours = dict(parse_qsl(target.query, keep_blank_values=True))
    asked = {name: text for name, text in ours.items() if not name.startswith("X-Amz-")}
    theirs = AWSRequest("GET", f"https://{host}{path}", params=asked)
    credentials = Credentials(given["access_key_id"], given["secret_access_key"], more.get("session_token"))
    when = datetime.strptime(ours["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.auth.get_current_datetime", lambda *_, **__: when)
        S3SigV4QueryAuth(credentials, "s3", given["region"], expires=300).add_auth(theirs)

    assert (bucket.prefix, asked["prefix"]) == ("a/b/", "a/b/")
    assert ours == dict(parse_qsl(urlsplit(theirs.url).query, keep_blank_values=True))


def test_what_moved_once_is_no_progress() -> None:
    transfer = _Transfer(0.5, threading.Event())
    attempts = 0

    def attempt() -> None:
        nonlocal attempts
        attempts += 1
        list(transfer.pieces(io.BytesIO(LARGE)))
        raise ValuesAway("the parts could not be put together")

    with pytest.raises(ValuesAway):
        transfer.until_it_succeeds(attempt)
    assert attempts > 1


def test_what_went_wrong_is_told_without_secrets(tmp_path: Path) -> None:
    values = opened("http://127.0.0.1:1", tmp_path, timeout_seconds=1.0)
    location = f"s3:02/{JOB}.0123456789abcdef"
    uses = [
        lambda: values.put(JOB, b"content"),
        lambda: values.local(location, tmp_path),
        lambda: values.length(location),
        lambda: values.delete(location),
        lambda: list(values.orphans()),
        lambda: asyncio.run(collected(values, location, 0, 10)),
    ]
    for use in uses:
        with pytest.raises(ValuesAway) as told:
            use()
        assert "\n" not in told.value.reason
        assert OPTIONS["secret_access_key"] not in told.value.reason + str(told.value)
    assert list(tmp_path.iterdir()) == []


def test_unknown_options_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no_such_option"):
        ObjectValues("s3://values", {"no_such_option": "x"}, tmp_path, timeout_seconds=1.0)


def test_a_stalled_store_is_given_up(proxy: S3Proxy, tmp_path: Path) -> None:
    values = opened(proxy.url, tmp_path, timeout_seconds=1.0)
    location = values.put(JOB, b"content")
    proxy.hold("replies")
    for use in (lambda: values.put(JOB, LARGE), lambda: asyncio.run(collected(values, location, 0, 7))):
        begun_seconds = time.monotonic()
        with pytest.raises(ValuesAway):
            use()
        assert time.monotonic() - begun_seconds < 60


def test_a_transfer_outlasts_cuts_and_pauses(s3: S3, proxy: S3Proxy, tmp_path: Path) -> None:
    values = opened(proxy.url, tmp_path, timeout_seconds=5.0, patience_seconds=60.0, prefix="cut")
    (tmp_path / "result").write_bytes(LARGE)
    ended = threading.Event()

    def harm() -> None:
        while proxy.done["cut"] < 6:
            proxy.is_refusing = not proxy.is_refusing
            proxy.cut()
            if ended.wait(0.05):
                break
        proxy.heal()

    harming = threading.Thread(target=harm)
    harming.start()
    try:
        location = values.move(JOB, tmp_path / "result")
        assert values.local(location, tmp_path).read_bytes() == LARGE
    finally:
        ended.set()
        harming.join()
    assert proxy.done["cut"]
    assert len(s3.keys("cut/")) == 1


def test_a_transfer_that_nobody_wants_any_more_ends_at_once(s3: S3, proxy: S3Proxy, tmp_path: Path) -> None:
    values = opened(proxy.url, tmp_path, timeout_seconds=5.0, patience_seconds=60.0, prefix="stopped")
    location = values.put(JOB, LARGE)
    (tmp_path / "result").write_bytes(LARGE)
    for use in (
        lambda stopped: values.move(JOB, tmp_path / "result", stopped=stopped),
        lambda stopped: values.local(location, tmp_path, stopped=stopped),
    ):
        proxy.hold("replies")
        asked: list[float] = []
        with pytest.raises(TransferStopped):
            use(lambda asked=asked: len(asked) > 2 or asked.append(time.monotonic()) is not None)
        proxy.release()
    transfers = [thread for thread in threading.enumerate() if thread.name == "transfer"]
    for thread in transfers:  # which tidy up behind themselves
        thread.join(60)
    assert [f"s3:{key.removeprefix('stopped/')}" for key in s3.keys("stopped/")] == [location]
    assert "<Key>stopped/" not in s3.uploads()
    assert [file.name for file in tmp_path.iterdir()] == ["result"]


def test_a_cut_read_is_an_error_and_never_short(proxy: S3Proxy, tmp_path: Path) -> None:
    values = opened(proxy.url, tmp_path, timeout_seconds=5.0)
    location = values.put(JOB, LARGE)

    async def read() -> int:
        length = 0
        async for chunk in values.chunks(location, 0, len(LARGE)):
            length += len(chunk)
            proxy.is_refusing = True
            proxy.cut()
        return length

    with pytest.raises(ValuesAway):
        asyncio.run(read())
