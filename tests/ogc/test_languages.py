"""Texts in the language a client likes best (RFC 9110 section 12.5.4, RFC 4647)."""

import pytest
from fastprocesses_host.ogc.languages import (
    all_languages,
    choose_language,
    in_language,
    languages_of,
    rank_languages,
)
from fastprocesses_sdk.description import InputDescription, ProcessDescription, TranslatedText, Translation
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

OFFERED = ("en", "de", "de-CH", "pt-BR")
PLAIN = ProcessDescription(
    id="buffer",
    version="1",
    title="Buffer",
    description="Buffers.",
    keywords=["grow"],
    inputs={name: InputDescription(title=name, description="To be grown.", schema={}) for name in ("a", "b")},
)
GERMAN = Translation(title="Puffer", inputs={"a": TranslatedText(title="Das A")})
BOTH = replace(PLAIN, translations={"de": GERMAN})


@pytest.mark.parametrize(
    ("header", "ranked"),
    [
        ("", ()),
        ("de", ("de", "de-CH")),
        ("DE-ch", ("de-CH",)),
        ("de-AT", ("de", "de-CH")),
        ("de-AT, en", ("de", "de-CH", "en")),
        ("fr", ()),
        ("fr, en;q=0.5", ("en",)),
        ("en;q=0.5, de;q=0.9", ("de", "de-CH", "en")),
        ("pt", ("pt-BR",)),
        ("pt-PT", ("pt-BR",)),
        ("*", OFFERED),
        ("de-CH, *;q=0.1", ("de-CH", "en", "de", "pt-BR")),
        ("de, de-CH;q=0", ("de",)),
        ("en;q=0", ()),
        ("de;q=nonsense", ("de", "de-CH")),
        (",;, q=1 ;;", ()),
        ("e", ()),
    ],
)
def test_languages_are_ranked_as_the_client_likes_them(header, ranked):
    assert rank_languages(header, OFFERED) == ranked


@given(st.text(max_size=60))
def test_any_header_is_read(header):
    assert set(rank_languages(header, OFFERED)) <= set(OFFERED)


def test_a_process_without_translations_has_no_choice():
    assert languages_of(PLAIN) == ()
    assert choose_language(("de",), ()) == ""
    assert all_languages([PLAIN]) == ()


@pytest.mark.parametrize(
    ("own", "ranked", "chosen"),
    [
        (UNSET, (), "en"),
        (UNSET, ("de", "en"), "de"),
        (UNSET, ("en", "de"), "en"),
        (UNSET, ("fr",), "en"),
        ("it", ("en",), "it"),
        ("it", ("fr", "de"), "de"),
    ],
)
def test_the_language_of_a_process_is_the_best_it_has(own, ranked, chosen):
    assert choose_language(ranked, languages_of(replace(BOTH, language=own))) == chosen


def test_what_is_not_translated_stays_and_the_other_languages_are_left_out():
    german, own = in_language(BOTH, "de"), in_language(BOTH, "en")

    assert (german.title, german.description, german.keywords) == ("Puffer", "Buffers.", ["grow"])
    assert (german.inputs["a"].title, german.inputs["a"].description) == ("Das A", "To be grown.")
    assert german.inputs["b"] == PLAIN.inputs["b"]
    assert own == PLAIN
    assert german.translations is own.translations is UNSET
