"""Searching processes by words (`q`)."""

import pytest
from fastprocesses_host.ogc.exceptions import InvalidQueryParameter
from fastprocesses_host.ogc.search import LONGEST_QUERY, folded, is_found, parse_query, search_text
from fastprocesses_sdk.description import ProcessDescription, Translation
from hypothesis import given
from hypothesis import strategies as st

BUFFER = ProcessDescription(
    id="geo-buffer",
    version="1",
    title="Grow Features",
    description="Grows every feature, whatever its Größe.",
    keywords=["Dilatation", "naïve"],
    translations={"fr": Translation(title="Élargir", keywords=["tampon"])},
)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", True),
        (" , ", True),
        ("buffer", True),
        ("GEO", True),
        ("grow", True),
        ("features grow", True),
        ("grow raster", False),
        ("raster", False),
        ("raster, grow", True),
        ("raster,vector", False),
        ("größe", True),
        ("GRÖSSE", True),
        ("grosse", True),
        ("naive dilatation", True),
        ("elargir", True),
        ("ÉLARGIR", True),
        ("tampon", True),
        ("ｂｕｆｆｅｒ", True),
        ("%", False),
        (".*", False),
    ],
)
def test_words_are_found_whatever_their_case_and_accents(query, found):
    assert is_found(parse_query(query), search_text(BUFFER)) == found


def test_a_query_without_end_is_refused():
    with pytest.raises(InvalidQueryParameter):
        parse_query("x" * (LONGEST_QUERY + 1))


@given(st.text(max_size=40))
def test_a_text_is_found_by_its_own_words(text):
    query = text.replace(",", " ")
    told = ProcessDescription(id="x", version="1", title=text, description="")

    assert is_found(parse_query(query), search_text(told))
    assert folded(folded(text)) == folded(text)
