"""Media types, representations and profiles (RFC 9110 section 12; S2.3, S1.6; what clients really send)."""

import pytest
from fastprocesses_host.ogc.exceptions import InvalidQueryParameter, NotAcceptable
from fastprocesses_host.ogc.negotiation import (
    accepts_only_json,
    choose_media_type,
    choose_representation,
    parse_accept,
    problem_media_type,
    profile_asked,
    same_media_type,
)
from fastprocesses_host.ogc.preferences import parse_prefer
from hypothesis import given
from hypothesis import strategies as st

JSON, HTML, GEOJSON = "application/json", "text/html", "application/geo+json"
JDK = "text/html, image/gif, image/jpeg, */*; q=0.2"
OLD_JDK = "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "offered", "chosen"),
    [
        ("", [JSON, HTML], JSON),
        ("*/*", [JSON, HTML], JSON),
        ("*", [JSON, HTML], JSON),
        ("/*", [JSON, HTML], JSON),
        ("*; q=.2", [JSON], JSON),
        ("garbage", [JSON], JSON),
        ("text/html", [JSON, HTML], HTML),
        ("TEXT/HTML", [JSON, HTML], HTML),
        ("text/*", [JSON, HTML], HTML),
        ("text/html;q=0.5, application/json", [JSON, HTML], JSON),
        ("text/html, application/json;q=0.9", [JSON, HTML], HTML),
        ("application/json, text/html", [JSON, HTML], JSON),
        ("text/html, */*", [JSON, HTML], HTML),
        (JDK, [JSON, HTML], HTML),
        (OLD_JDK, [JSON], JSON),
        (BROWSER, [JSON, HTML], HTML),
        ("image/png", [JSON, HTML], None),
        ("application/json;q=0", [JSON], None),
        ("application/json;q=0, */*", [JSON, HTML], HTML),
        ("application/json;q=nonsense", [JSON], JSON),
        ("application/json;q=7, text/html", [HTML, JSON], HTML),
        ("application/json; charset=utf-8", [JSON], JSON),
        ('application/json; profile="a;b,c"', [JSON], JSON),
        ("application/gml+xml", ["application/gml+xml; version=3.2"], "application/gml+xml; version=3.2"),
        ("application/gml+xml;version=3.1", ["application/gml+xml; version=3.2"], None),
        ("application/json", [GEOJSON], None),
        ("image/tiff", [], None),
        ("", [], None),
    ],
)
def test_a_media_type_is_chosen_by_accept(accept, offered, chosen):
    assert choose_media_type(accept, offered) == chosen


@given(st.text(alphabet=st.sampled_from('*/;,=q.0129 ajson+"\\')), st.text())
def test_no_accept_header_is_an_error(odd, text):
    for header in (odd, text):
        parse_accept(header)
        assert choose_media_type(header, [JSON, HTML]) in (JSON, HTML, None)


@pytest.mark.parametrize(
    ("accept", "f", "chosen"),
    [
        ("", None, "json"),
        ("*/*", None, "json"),
        ("text/html", None, "html"),
        ("text/html", "json", "json"),
        ("application/json", "html", "html"),
        ("application/json", "HTML", "html"),
        ("application/geo+json", None, "json"),
        (BROWSER, None, "html"),
    ],
)
def test_json_unless_html_is_asked_for(accept, f, chosen):
    assert choose_representation(accept, f) == chosen


def test_an_unknown_f_is_told():
    with pytest.raises(InvalidQueryParameter, match="json or html"):
        choose_representation("", "xml")


def test_what_cannot_be_given_is_not_acceptable():
    with pytest.raises(NotAcceptable) as raised:
        choose_representation("image/png")

    assert raised.value.members == {"available": [JSON, HTML]}


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", "application/problem+json"),
        ("*/*", "application/problem+json"),
        ("text/html", "application/problem+json"),
        ("application/json", "application/json"),
        ("application/json, */*", "application/json"),
        ("application/*", "application/problem+json"),
        ("application/json, application/problem+json", "application/problem+json"),
        ("application/json;q=0", "application/problem+json"),
        ("application/json, application/javascript, text/javascript, text/json", "application/json"),
    ],
)
def test_a_problem_is_plain_json_for_clients_that_know_only_that(accept, chosen):
    assert problem_media_type(accept) == chosen


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("application/gml+xml; version=3.2", "APPLICATION/GML+XML;version=3.2", True),
        ("a/b;x=1;y=2", "a/b; y=2; x=1", True),
        ("a/b;x=1", "a/b", False),
        ("nothing", "nothing", False),
    ],
)
def test_media_types_are_compared_as_sets(one, other, same):
    assert same_media_type(one, other) is same


@pytest.mark.parametrize(
    ("accept", "only"),
    [
        (JSON, True),
        (f"{JSON}, {GEOJSON};q=0.5", True),
        ("", False),
        ("*/*", False),
        (f"{JSON}, {HTML}", False),
    ],
)
def test_clients_that_accept_only_json_are_known(accept, only):
    assert accepts_only_json(accept) is only


URI = "https://www.opengis.net/def/profile/OGC/0/ogc-results"


@pytest.mark.parametrize(
    "ways",
    [
        {"accept": f'application/json; profile="{URI}"'},
        {"accept": f'text/html;q=0.1, application/json;profile="urn:x {URI}"'},
        {"accept_profile": f"<{URI}>"},
        {"accept_profile": f"<urn:other>;q=0.1, <{URI}>;q=0.9"},
        {"preferences": parse_prefer([f'profile="{URI}"'])},
        {"preferences": parse_prefer(["profile=ogc-results"])},
        {"link": f'<{URI}>; rel="profile"'},
        {"link": f"<{URI}>; rel=profile, <urn:x>; rel=self"},
        {"query": URI},
        {"query": URI.replace("https", "http")},
        {"query": "[ogc-profile:ogc-results]"},
        {"query": "ogc-results"},
    ],
)
def test_a_profile_is_asked_for_in_many_ways(ways):
    assert profile_asked("ogc-results", **ways)


@pytest.mark.parametrize(
    "ways",
    [
        {},
        {"query": "ogc-other"},
        {"link": f'<{URI}>; rel="self"'},
        {"accept": f"application/json;other={URI}"},
        {"accept_profile": "<<>,;\"'"},
    ],
)
def test_any_other_profile_is_no_error(ways):
    assert not profile_asked("ogc-results", **ways)
