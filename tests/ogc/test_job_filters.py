"""The query parameters of the job list, read and checked (S1.5, job-list)."""

from datetime import UTC, datetime, timedelta

import pytest
from fastprocesses_host.ogc.exceptions import InvalidQueryParameter
from fastprocesses_host.ogc.job_filters import MOST_PROCESSES, JobFilters, job_filters, parse_interval
from hypothesis import given
from hypothesis import strategies as st

NOON = 1_779_019_200_000
"""2026-05-17T12:00:00Z"""
NEW_YEAR_2017 = 1_483_228_800_000
RAN = ("running", "successful", "failed", "dismissed")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-05-17T12:00:00Z", (NOON, NOON + 999)),
        ("2026-05-17t12:00:00z", (NOON, NOON + 999)),
        ("2026-05-17 12:00:00Z", (NOON, NOON + 999)),
        (" 2026-05-17T12:00:00Z ", (NOON, NOON + 999)),
        ("2026-05-17T12:00:00.250Z", (NOON + 250, NOON + 250)),
        ("2026-05-17T12:00:00.25Z", (NOON + 250, NOON + 250)),
        ("2026-05-17T12:00:00.000000000Z", (NOON, NOON)),
        ("2026-05-17T12:00:00.2500001Z", (NOON + 251, NOON + 250)),
        ("2026-05-17T14:00:00+02:00", (NOON, NOON + 999)),
        ("2026-05-17T14:00:00 02:00", (NOON, NOON + 999)),
        ("2026-05-17T06:30:00-05:30", (NOON, NOON + 999)),
        ("2026-05-17T12:00:00-00:00", (NOON, NOON + 999)),
        ("2016-12-31T23:59:60Z", (NEW_YEAR_2017, NEW_YEAR_2017 + 999)),
        ("2017-01-01T00:59:60+01:00", (NEW_YEAR_2017, NEW_YEAR_2017 + 999)),
        ("2026-05-17T12:00:00Z/2026-05-17T12:00:01Z", (NOON, NOON + 1000)),
        ("2026-05-17T12:00:00.0001Z/2026-05-17T12:00:01.0019Z", (NOON + 1, NOON + 1001)),
        ("2026-05-17T12:00:00Z/..", (NOON, None)),
        ("2026-05-17T12:00:00Z/", (NOON, None)),
        ("../2026-05-17T12:00:00Z", (None, NOON)),
        ("/2026-05-17T12:00:00Z", (None, NOON)),
        ("../..", (None, None)),
        ("2026-05-17T12:00:00Z/2026-05-17T12:00:00Z", (NOON, NOON)),
        ("0000-01-01T00:00:00Z/9999-12-31T23:59:59Z", (-62_167_219_200_000, 253_402_300_799_000)),
        ("0000-02-29T00:00:00Z/..", (-62_162_121_600_000, None)),
    ],
)
def test_instants_and_intervals_are_read(text, expected):
    assert parse_interval(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "..",
        "2026-05-17",
        "2026-05-17T12:00:00",
        "2026-05-17T12:00Z",
        "2026-02-30T12:00:00Z",
        "2025-02-29T12:00:00Z",
        "2026-05-17T24:00:00Z",
        "2026-05-17T12:00:61Z",
        "2026-05-17T12:00:60Z",
        "2016-12-31T23:59:60+01:00",
        "2026-05-17T12:00:00+24:00",
        "2026-05-17T12:00:00.Z",
        "2026-05-17T12:00:00,5Z",
        "٢026-05-17T12:00:00Z",
        "12026-05-17T12:00:00Z",
        "2026-05-17T12:00:00Z/2026-05-17T11:00:00Z",
        "2026-05-17T12:00:00Z/yesterday",
        "2026-05-17T12:00:00Z/../..",
        "2026-05-17T12:00:00Z/2026-05-17T12:00:01Z/..",
        "x" * 100_000,
    ],
)
def test_what_is_no_time_is_refused_in_a_short_sentence(text):
    with pytest.raises(InvalidQueryParameter) as raised:
        parse_interval(text)
    assert raised.value.detail.startswith("datetime ")
    assert len(raised.value.detail) < 300


@given(
    st.datetimes(timezones=st.just(UTC), max_value=datetime(9998, 1, 1)),  # noqa: DTZ001
    st.integers(-1439, 1439),
)
def test_the_same_moment_in_any_offset_is_the_same(moment, offset_minutes):
    sign, minutes = "-" if offset_minutes < 0 else "+", abs(offset_minutes)
    try:
        local = moment + timedelta(minutes=offset_minutes)
    except OverflowError:
        return
    text = f"{local:%H:%M:%S}.{local.microsecond:06}{sign}{minutes // 60:02}:{minutes % 60:02}"
    elsewhere = f"{local.year:04}-{local.month:02}-{local.day:02}T{text}"
    whole_ms, rest_us = divmod((moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1), 1000)

    assert parse_interval(f"{elsewhere}/..")[0] == whole_ms + (rest_us > 0)
    assert parse_interval(f"../{elsewhere}")[1] == whole_ms


@given(st.text(max_size=60) | st.text("0123456789-T:.Z/+ ", max_size=60))
def test_any_text_is_read_or_refused(text):
    try:
        first, last = parse_interval(text)
    except InvalidQueryParameter:
        return
    assert "/" in text or (first is not None and last is not None)


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ({}, JobFilters()),
        ({"types": ["process"]}, JobFilters()),
        ({"process_ids": ["a", "b", "a"]}, JobFilters(process_ids=("a", "b"))),
        ({"statuses": ["running", "failed", "running"]}, JobFilters(statuses=("running", "failed"))),
        ({"interval": "2026-05-17T12:00:00Z/.."}, JobFilters(created_from_ms=NOON)),
        ({"min_durations": ["5"]}, JobFilters(min_seconds=5, statuses=RAN)),
        ({"max_durations": ["0"]}, JobFilters(max_seconds=0, statuses=RAN)),
        ({"min_durations": ["7", "+5", "06"]}, JobFilters(min_seconds=5, statuses=RAN)),
        ({"max_durations": ["7", "5"]}, JobFilters(max_seconds=7, statuses=RAN)),
        (
            {"min_durations": ["1"], "max_durations": ["9"], "statuses": ["failed"]},
            JobFilters(min_seconds=1, max_seconds=9, statuses=("failed",)),
        ),
        ({"min_durations": ["9" * 5000]}, JobFilters(min_seconds=10**11, statuses=RAN)),
    ],
)
def test_filters_are_read(given_, expected):
    """Of several durations the loosest counts; with durations jobs that never started are not meant."""
    assert job_filters(**given_) == expected


@pytest.mark.parametrize(
    ("given_", "name"),
    [
        ({"types": ["process", "wps"]}, "type"),
        ({"types": ["Process"]}, "type"),
        ({"statuses": ["running", "done"]}, "status"),
        ({"statuses": ["RUNNING"]}, "status"),
        ({"min_durations": ["-1"]}, "minDuration"),
        ({"min_durations": ["1.5"]}, "minDuration"),
        ({"min_durations": ["1", "soon"]}, "minDuration"),
        ({"max_durations": ["١"]}, "maxDuration"),
        ({"max_durations": ["1e3"]}, "maxDuration"),
        ({"max_durations": ["x" * 100_000]}, "maxDuration"),
        ({"process_ids": [str(n) for n in range(MOST_PROCESSES + 1)]}, "processID"),
    ],
)
def test_a_bad_value_is_refused_by_the_name_of_its_parameter(given_, name):
    with pytest.raises(InvalidQueryParameter) as raised:
        job_filters(**given_)
    assert raised.value.detail.startswith(name)
    assert len(raised.value.detail) < 200
