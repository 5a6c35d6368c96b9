"""What a request says of answers that were given before: Cache-Control and Idempotency-Key."""

import pytest
from fastprocesses_host.ogc.exceptions import InvalidHeader
from fastprocesses_host.ogc.repeats import PLAIN, Repeats, read_repeats
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("headers", "repeats"),
    [
        ([], PLAIN),
        ([""], PLAIN),
        (['no-transform, max-stale=5, x="a, no-store"'], PLAIN),
        (["no-store"], Repeats(is_stored=False)),
        (["NO-Cache"], Repeats(max_age_seconds=0)),
        (['no-cache="field"'], Repeats(max_age_seconds=0)),
        (["max-age=60"], Repeats(max_age_seconds=60)),
        (['max-age="60"'], Repeats(max_age_seconds=60)),
        ([" max-age = 60 ,, only-if-cached"], Repeats(max_age_seconds=60, values_only=True)),
        (["max-age=60", "max-age=5"], Repeats(max_age_seconds=5)),
        (["max-age=60, no-cache"], Repeats(max_age_seconds=0)),
        (["max-age=-1"], Repeats(max_age_seconds=0)),
        (["max-age"], Repeats(max_age_seconds=0)),
        (["max-age=1e3"], Repeats(max_age_seconds=0)),
        (["max-age=" + "9" * 5000], Repeats(max_age_seconds=2**31)),
    ],
)
def test_cache_control(headers: list[str], repeats: Repeats) -> None:
    assert read_repeats(headers) == repeats


@given(st.lists(st.text(max_size=200), max_size=3))
def test_cache_control_is_never_refused(headers: list[str]) -> None:
    repeats = read_repeats(headers)
    assert repeats.max_age_seconds is None or repeats.max_age_seconds >= 0


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ('"8e03978e-40d5-43dd-bc93-6894a57f9324"', "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        (' "a b" ', "a b"),
        (r'"a\"b\\"', 'a"b\\'),
        ("x" * 255, "x" * 255),
    ],
)
def test_keys(value: str, key: str) -> None:
    assert read_repeats(idempotency_key=[value]).key == key


@pytest.mark.parametrize(
    "value", ["", '""', '"', "a b", '"a', 'a"b', "ä", "a\x00b", r'"\a"', '"a";p=1', "x" * 256]
)
def test_what_is_no_key(value: str) -> None:
    with pytest.raises(InvalidHeader):
        read_repeats(idempotency_key=[value])


def test_two_keys_are_none() -> None:
    with pytest.raises(InvalidHeader, match="2 times"):
        read_repeats(idempotency_key=["a", "a"])
