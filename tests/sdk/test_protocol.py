"""Frames between worker and executor: whole however they are cut, unknown ones ignored, nonsense refused."""

import msgspec
import pytest
from fastprocesses_sdk.executor import protocol
from fastprocesses_sdk.executor.protocol import Cancel, Fetch, FrameReader, Log, Output, Progress, Result
from hypothesis import given
from hypothesis import strategies as st

FRAMES = [
    Progress("j", "c", 40, None),
    Cancel("j", "c"),
    Log("j", "c", "info", "text", {"n": 1}),
    Fetch("j", "c", "memo", "memo", "1", "s3", "s3://b/k", "/w"),
    Result("j", "c", {"result": Output("json", "application/json", b"42")}),
]


@given(st.lists(st.sampled_from(FRAMES)), st.lists(st.integers(1, 50), min_size=1))
def test_frames_are_whole_however_they_are_cut(frames: list[protocol.AnyFrame], sizes: list[int]) -> None:
    data = b"".join(map(protocol.encode_frame, frames))
    reader, got, position = FrameReader(), [], 0
    while position < len(data):
        size = sizes[len(got) % len(sizes)]
        got += reader.feed(data[position : position + size])
        position += size
    assert got == frames


def test_unknown_frames_and_more_fields_are_no_harm() -> None:
    def framed(value: list[object]) -> bytes:
        body = msgspec.msgpack.encode(value)
        return len(body).to_bytes(4, "little") + body

    data = framed(["hologram", 1, 2]) + framed(["cancel", "j", "c", "a field of a later version"])
    assert list(FrameReader().feed(data)) == [Cancel("j", "c")]


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff", b"\x02\x00\x00\x00\xc1\xc1"])
def test_nonsense_is_refused(data: bytes) -> None:
    with pytest.raises(protocol.ProtocolError):
        list(FrameReader().feed(data))
