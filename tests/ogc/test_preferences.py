"""The Prefer header and the execution mode (RFC 7240; S1.3, the mode table)."""

import pytest
from fastprocesses_host.ogc.preferences import ModeChoice, Preferences, choose_mode, parse_prefer
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], Preferences()),
        ([""], Preferences()),
        (["respond-async"], Preferences(respond_async=True)),
        (["respond-async "], Preferences(respond_async=True)),
        (["Respond-ASYNC"], Preferences(respond_async=True)),
        (["respond-async, wait=10"], Preferences(respond_async=True, wait_seconds=10)),
        (["respond-async", "wait=10"], Preferences(respond_async=True, wait_seconds=10)),
        (["wait = 10"], Preferences(wait_seconds=10)),
        (['wait="10"'], Preferences(wait_seconds=10)),
        (["wait=10, wait=20"], Preferences(wait_seconds=10)),
        (["wait=10", "wait=20"], Preferences(wait_seconds=10)),
        (["wait=-1"], Preferences()),
        (["wait=1.5"], Preferences()),
        (["wait=99999999999999999999"], Preferences()),
        (["wait"], Preferences()),
        (["return=minimal"], Preferences(return_preference="minimal")),
        (["return=representation"], Preferences(return_preference="representation")),
        (['Return="Representation"'], Preferences(return_preference="representation")),
        (["return=everything"], Preferences()),
        (
            ["respond-async;return=representation"],
            Preferences(respond_async=True, return_preference="representation"),
        ),
        (["respond-async; wait=5"], Preferences(respond_async=True, wait_seconds=5)),
        (["unknown; wait=5"], Preferences()),
        (["unknown; wait=5, respond-async"], Preferences(respond_async=True)),
        (["respond-sync"], Preferences()),
        (["handling=lenient, respond-async"], Preferences(respond_async=True)),
        (['status="created", respond-async'], Preferences(respond_async=True)),
        (["respond-async=false"], Preferences()),
        (['respond-async=""'], Preferences(respond_async=True)),
        (['foo="a, wait=3; b", wait=4'], Preferences(wait_seconds=4)),
        (['foo="\\", wait=3", wait=4'], Preferences(wait_seconds=4)),
        (['foo="never closed, respond-async'], Preferences()),
        ([",;,, ;respond-async,"], Preferences(respond_async=True)),
        (
            ['profile="https://www.opengis.net/def/profile/OGC/0/ogc-results"'],
            Preferences(profile="https://www.opengis.net/def/profile/OGC/0/ogc-results"),
        ),
    ],
)
def test_a_prefer_header_is_read_by_rfc_7240(headers, expected):
    assert parse_prefer(headers) == expected


@given(st.lists(st.text()))
def test_no_prefer_header_is_an_error(headers):
    assert isinstance(parse_prefer(headers), Preferences)


@given(st.permutations(["respond-async", "wait=7", "return=minimal", "foo", "bar; baz=1"]))
def test_the_order_of_preferences_does_not_matter(tokens):
    assert parse_prefer([", ".join(tokens)]) == parse_prefer(tokens)
    assert parse_prefer(tokens) == Preferences(
        respond_async=True, wait_seconds=7, return_preference="minimal"
    )


SYNC, ASYNC = ["sync-execute", "dismiss"], ["async-execute"]
BOTH, NEITHER = ["sync-execute", "async-execute", "dismiss"], ["dismiss"]


@pytest.mark.parametrize(
    ("options", "prefer", "mode", "wait_seconds", "applied"),
    [
        (SYNC, "", "sync", None, []),
        (SYNC, "respond-async", "sync", None, []),
        (SYNC, "wait=7", "sync", None, []),
        (SYNC, "respond-async, wait=7", "sync", None, []),
        (ASYNC, "", "async", None, []),
        (ASYNC, "respond-async", "async", None, ["respond-async"]),
        (ASYNC, "wait=7", "async", None, []),
        (ASYNC, "respond-async, wait=7", "async", None, ["respond-async"]),
        (BOTH, "", "sync", None, []),
        (BOTH, "respond-async", "async", None, ["respond-async"]),
        (BOTH, "wait=7", "wait", 7.0, ["wait=7"]),
        (BOTH, "respond-async, wait=7", "wait", 7.0, ["respond-async", "wait=7"]),
        (BOTH, "wait=3600", "wait", 60.0, ["wait=60"]),
        (BOTH, "wait=0", "async", None, ["wait=0"]),
        (BOTH, "respond-sync", "sync", None, []),
        (NEITHER, "", "sync", None, []),
        (NEITHER, "respond-async", "sync", None, []),
    ],
)
def test_the_mode_is_chosen_by_the_table(options, prefer, mode, wait_seconds, applied):
    """/req/core/process-execute-default-execution-mode, -auto-execution-mode, /rec/core/…-preference-applied."""
    expected = ModeChoice(mode=mode, wait_seconds=wait_seconds, applied=applied)

    assert choose_mode(options, parse_prefer([prefer]), max_wait_seconds=60.0) == expected
