"""Addresses and links (S1.8; what clients need of links)."""

import pytest
from fastprocesses_host.ogc.links import REL, Urls, as_html, as_json, landing_links, link_header
from fastprocesses_sdk.description import Link

from tests.ogc.official import faults

URLS = Urls("https://example.org/ogc")
PAGES = Urls("https://example.org/ogc", html=True)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        (URLS.landing(), "/"),
        (URLS.conformance(), "/conformance"),
        (URLS.api(), "/api"),
        (URLS.processes(), "/processes"),
        (URLS.process("a b/c"), "/processes/a%20b%2Fc"),
        (URLS.execution("echo"), "/processes/echo/execution"),
        (URLS.jobs(), "/jobs"),
        (URLS.job("1"), "/jobs/1"),
        (URLS.results("1"), "/jobs/1/results"),
        (URLS.output("1", "bild/ü"), "/jobs/1/results/bild%2F%C3%BC"),
        (URLS.output("1", "x", 0), "/jobs/1/results/x/0"),
    ],
)
def test_every_resource_has_an_absolute_address(url, path):
    assert url == "https://example.org/ogc" + path


def test_the_landing_page_links_to_everything_in_every_spelling():
    """/req/core/landingpage-success; clients look for short, http and https relations."""
    links = {link.rel: link for link in landing_links(URLS)}

    assert links["self"].href == "https://example.org/ogc/"
    definitions = [link for link in landing_links(URLS) if link.rel == "service-desc"]
    assert [definition.type for definition in definitions] == [
        "application/vnd.oai.openapi+json;version=3.0",
        "application/vnd.oai.openapi+json;version=3.1",
    ]
    for name, url in (
        ("conformance", URLS.conformance()),
        ("processes", URLS.processes()),
        ("job-list", URLS.jobs()),
    ):
        for rel in (name, REL + name, REL.replace("http", "https") + name):
            assert links[rel].href == url


def test_pages_are_linked_to_only_where_there_are_any():
    assert not {link.rel for link in landing_links(URLS)} & {"alternate", "service-doc"}
    assert {link.rel for link in landing_links(PAGES)} >= {"alternate", "service-doc"}


@pytest.mark.parametrize("urls", [URLS, PAGES])
@pytest.mark.parametrize("version", ["v1.0", "v2.0"])
def test_the_landing_page_is_valid_by_both_versions(shared, version, urls):
    document = {"title": "T", "description": "D", "links": landing_links(urls)}

    assert faults(shared, version, "landingPage", document) == []
    assert all(link.rel and link.type for link in landing_links(urls))


def test_the_second_spelling_of_relations_can_be_switched_off():
    assert not [
        link for link in landing_links(Urls("http://x", secure_relations=False)) if "https:" in link.rel
    ]


@pytest.mark.parametrize(
    ("link", "value"),
    [
        (Link(href="http://x/y", rel="self"), '<http://x/y>; rel="self"'),
        (
            Link(href="http://x/?a=b,c", rel="next", type="application/json", hreflang="en", title="Next"),
            '<http://x/?a=b,c>; rel="next"; type="application/json"; hreflang="en"; title="Next"',
        ),
        (
            Link(href="http://x/>;\r\n", rel="a", title='q"\\'),
            '<http://x/%3E;%0D%0A>; rel="a"; title="q\\"\\\\"',
        ),
        (
            Link(href="http://x/", rel="a", title="Fläche\r\n"),
            "<http://x/>; rel=\"a\"; title*=UTF-8''Fl%C3%A4che%0D%0A",
        ),
    ],
)
def test_link_headers_are_safe_whatever_is_in_them(link, value):
    assert link_header([link]) == value
    assert link_header([link, link]) == f"{value}, {value}"


@pytest.mark.parametrize(
    ("url", "html", "json"),
    [
        ("https://x/", "https://x/?f=html", "https://x/?f=json"),
        ("https://x/a?limit=2", "https://x/a?limit=2&f=html", "https://x/a?limit=2&f=json"),
        ("https://x/a?f=json&limit=2", "https://x/a?limit=2&f=html", "https://x/a?limit=2&f=json"),
        ("https://x/a?f=html&f=json", "https://x/a?f=html", "https://x/a?f=json"),
        ("https://x/a?foo=1&f", "https://x/a?foo=1&f=html", "https://x/a?foo=1&f=json"),
    ],
)
def test_a_url_names_one_representation(url, html, json):
    assert (as_html(url), as_json(url)) == (html, json)
