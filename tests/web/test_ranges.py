"""Range headers, as far as they can be told without a server (RFC 9110, section 14)."""

import pytest
from fastprocesses_host.ogc.exceptions import RangeNotSatisfiable
from fastprocesses_host.web.ranges import MOST_RANGES, ByteRange, parse_ranges
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("header", "ranges"),
    [
        ("bytes=0-0", [(0, 1)]),
        ("bytes=2-4", [(2, 5)]),
        ("bytes=2-", [(2, 10)]),
        ("bytes=-3", [(7, 10)]),
        ("bytes=-30", [(0, 10)]),
        ("bytes=0-999", [(0, 10)]),
        ("Bytes = 2-4", [(2, 5)]),
        ("bytes=0-1, 4-5", [(0, 2), (4, 6)]),
        ("bytes=4-5,0-1", [(0, 2), (4, 6)]),
        ("bytes=0-3,2-5", [(0, 6)]),
        ("bytes=0-3,4-5", [(0, 6)]),
        ("bytes=,0-1,,", [(0, 2)]),
        ("bytes=0-1,50-60", [(0, 2)]),
        ("bytes=0-4,5-", []),
        ("bytes=" + ",".join(["0-0"] * (MOST_RANGES + 1)), []),
        # malformed: as if it were not there
        ("", []),
        ("bytes", []),
        ("bytes=", []),
        ("bytes=-", []),
        ("bytes=a-b", []),
        ("bytes=5-2", []),
        ("bytes=0-1,x", []),
        ("bytes=0--1", []),
        ("bytes=٠-١", []),
        ("items=0-1", []),
        ("bytes=" + "9" * 5000 + "-", []),
    ],
)
def test_ranges_are_read(header, ranges):
    assert parse_ranges(header, 10) == [ByteRange(*bounds) for bounds in ranges]


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=99-,50-60"])
def test_ranges_behind_the_end_are_refused_with_the_length(header):
    with pytest.raises(RangeNotSatisfiable) as raised:
        parse_ranges(header, 10)
    assert raised.value.headers == {"Content-Range": "bytes */10"}


def test_nothing_of_an_empty_value_can_be_had():
    for header in ("bytes=0-", "bytes=-1", "bytes=0-0"):
        with pytest.raises(RangeNotSatisfiable):
            parse_ranges(header, 0)


@given(
    st.integers(1, 60),
    st.lists(
        st.tuples(st.none() | st.integers(0, 80), st.none() | st.integers(0, 80)), min_size=1, max_size=9
    ),
)
def test_the_parts_hold_every_byte_that_is_asked_for_once(length, asked):
    """Against a value whose bytes are looked at one by one."""
    specs = [(first, last) for first, last in asked if (first, last) != (None, None)]
    if not specs or any(None not in spec and spec[0] > spec[1] for spec in specs):
        return
    wanted: set[int] = set()
    for first, last in specs:
        if first is None:
            wanted |= set(range(max(0, length - last), length))
        else:
            wanted |= set(range(first, length if last is None else min(last + 1, length)))
    text = ",".join(
        f"{'' if first is None else first}-{'' if last is None else last}" for first, last in specs
    )
    try:
        ranges = parse_ranges(f"bytes={text}", length)
    except RangeNotSatisfiable:
        assert not wanted
        return
    told = [byte for found in ranges for byte in range(found.start, found.stop)]

    assert told == sorted(wanted) or (ranges == [] and len(wanted) == length)


@given(st.text(max_size=40) | st.text("bytes=0123456789-, ", max_size=40))
def test_any_header_is_read_or_refused(header):
    try:
        ranges = parse_ranges(header, 10)
    except RangeNotSatisfiable:
        return
    assert all(0 <= found.start < found.stop <= 10 for found in ranges)
