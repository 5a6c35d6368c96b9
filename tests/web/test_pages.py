"""The HTML pages: valid, complete, harmless, and only for those who ask for them (/req/html/definition, content)."""

import re
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pytest
from fastprocesses_host.app import create_app
from fastprocesses_host.host import Host
from fastprocesses_host.settings import Settings
from fastprocesses_host.web.templating import followable, gist, media_type, paragraphs, templates
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient
from tinyhtml5.parser import HTMLParser as StrictParser

HTML = {"accept": "text/html"}
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
HOSTILE = """</title></textarea><script>alert(1)</script><img src=x onerror=alert(1)>"'&amp;\u202e{{7*7}}"""
VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """What a page says: its elements, its text, and that all it opens it closes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), "an attribute stands twice"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, *tags: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag in tags]

    @property
    def hrefs(self) -> set[str | None]:
        return {attributes.get("href") for attributes in self.all("a")}


def check_page(answer: Any, *, scripts: bool = False) -> Page:
    """Check what holds for every page of ours."""
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "Accept" in answer.headers["vary"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert ("script-src 'self'" in policy) is scripts
    parser = StrictParser()
    parser.parse(answer.text)
    assert parser.errors == []
    page = Page(answer.text)
    assert answer.text.startswith("<!DOCTYPE html>")
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("title")) == len(page.all("h1")) == len(page.all("main")) == 1
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all("meta")
    assert all(header.get("scope") for header in page.all("th"))
    headings = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert headings[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(headings))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in page.elements:
        assert "style" not in attributes
        assert not any(name.startswith("on") for name in attributes)
        assert tag not in ("style", "iframe", "object", "base")
    assert all(element.get("src") for element in page.all("script"))
    assert bool(page.all("script")) is scripts
    return page


def leaves(document: Any) -> set[str]:
    """Give everything a JSON document says, as text."""
    if isinstance(document, dict):
        return set().union(*map(leaves, document.values())) if document else set()
    if isinstance(document, list):
        return set().union(*map(leaves, document)) if document else set()
    return (
        {" ".join(document.split())} if isinstance(document, str) else {str(document).replace("True", "true")}
    )


def links_of(document: Any) -> set[str]:
    if isinstance(document, dict):
        own = {document["href"]} if "href" in document else set()
        return own.union(*map(links_of, document.values())) if document else own
    return set().union(*map(links_of, document)) if isinstance(document, list) and document else set()


@pytest.fixture(scope="module")
def jobs(client) -> dict[str, str]:
    """Jobs of every end, by what they are; each the path of its status."""
    executed = {
        "several": ("several", {"inputs": {"size": 3}}),
        "told": ("refuse", {"inputs": {"how": "told"}}),
        "bug": ("refuse", {"inputs": {"how": "bug"}}),
        "markup": ("markup", {"inputs": {"text": HOSTILE}}),
        "hostile": ("greet", {"inputs": {"name": HOSTILE}}),
        "raw": ("markup", {"inputs": {"text": "x"}, "response": "raw"}),
        "large": ("greet", {"inputs": {"name": "x" * 300_000}}),
    }
    urls = {name: client.finished_job(process, body) for name, (process, body) in executed.items()}
    return {name: url.removeprefix(str(client.base_url).rstrip("/")) for name, url in urls.items()}


DOCUMENTS = [
    "/",
    "/conformance",
    "/processes",
    "/processes?limit=2",
    "/processes?limit=2&q=nothing+like+it",
    "/processes/echo",
    "/processes/several",
    "/processes/buffer",
    "/jobs",
    "/jobs?limit=2",
    "/jobs?status=accepted",
    "several",
    "told",
    "bug",
]


@pytest.mark.parametrize("path", DOCUMENTS)
def test_a_page_says_all_that_the_json_says(client, jobs, path):
    path = jobs.get(path, path)
    document = client.get(path).json()
    answer = client.get(path, headers=HTML)
    page = check_page(answer)

    assert answer.status_code == 200
    said = page.text + " ".join(f" {attributes.get('href')} " for attributes in page.all("a"))
    urls = links_of(document)
    missing = {leaf for leaf in leaves(document) - urls if leaf not in said and f'"{leaf}"' not in said}
    assert {
        leaf for leaf in missing if not re.fullmatch(r"\S+ \(HTML\)|.* \(HTML\)|This document.*", leaf)
    } == set()
    own = (
        {link["href"] for link in document["links"] if link["rel"] in ("self", "alternate")}
        if "links" in document
        else set()
    )
    assert urls - own <= page.hrefs


@pytest.mark.parametrize("path", DOCUMENTS)
def test_json_and_page_lead_to_each_other(client, jobs, path):
    path = jobs.get(path, path)
    answer = client.get(path, headers=HTML)
    page = check_page(answer)
    (alternate,) = [link for link in page.all("link") if link.get("rel") == "alternate"]

    assert alternate["type"] == "application/json"
    assert alternate["href"] in page.hrefs
    assert answer.links["alternate"]["url"] == alternate["href"]
    told = client.get(alternate["href"], headers=HTML)
    assert told.headers["content-type"] == "application/json"
    if "links" in told.json():
        (back,) = [
            link
            for link in told.json()["links"]
            if link["rel"] == "alternate" and link["type"] == "text/html"
        ]
        assert client.get(back["href"]).headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    "path", ["/", "/conformance", "/processes", "/processes/echo", "/jobs", "several", "/api"]
)
@pytest.mark.parametrize(
    ("accept", "is_page"),
    [
        (None, False),
        ("*/*", False),
        ("/*", False),
        ("application/json", False),
        ("application/json, text/html", False),
        ("text/html;q=0.5, application/json", False),
        ("text/html", True),
        ("text/html;q=0.5, application/json;q=0.4", True),
        (BROWSER, True),
    ],
)
def test_json_unless_a_page_is_asked_for(client, jobs, path, accept, is_page):
    path = jobs.get(path, path)
    headers = {"accept": accept} if accept else {}
    answer = client.get(path, headers=headers)

    assert answer.headers["content-type"].startswith("text/html") is is_page
    assert (
        client.get(path, headers=headers, params={"f": "html"})
        .headers["content-type"]
        .startswith("text/html")
    )
    assert "json" in client.get(path, headers=headers, params={"f": "json"}).headers["content-type"]


@pytest.mark.parametrize("path", ["/processes", "/processes/echo", "/conformance", "/", "/api"])
def test_a_page_that_is_known_is_not_sent_again(client, path):
    page, document = client.get(path, headers=HTML), client.get(path)

    assert page.headers["etag"] != document.headers["etag"]
    again = client.get(path, headers={**HTML, "if-none-match": page.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get(path, headers={**HTML, "if-none-match": document.headers["etag"]}).status_code == 200
    assert client.head(path, headers=HTML).headers["content-type"] == page.headers["content-type"]


def test_the_page_of_results_shows_small_values_and_links_to_all(client, jobs):
    page = check_page(client.get(f"{jobs['several']}/results", headers=HTML))

    assert all(word in page.text for word in ("teststring", "1.5", '"a": 1', "image/png"))
    for output_id in ("text", "number", "table", "image"):
        assert f"{str(client.base_url).rstrip('/')}{jobs['several']}/results/{output_id}" in page.hrefs
    selected = check_page(client.get(f"{jobs['several']}/results?outputs=text", headers=HTML))
    assert "teststring" in selected.text
    assert "image/png" not in selected.text
    large = client.get(f"{jobs['large']}/results", headers=HTML)
    assert "xxxxxxxx" not in check_page(large).text
    assert len(large.content) < 20_000


def test_results_are_a_page_only_when_asked_for_or_html_themselves(client, jobs):
    path = f"{jobs['several']}/results"
    assert client.get(path, headers={"accept": "*/*"}).headers["content-type"] == "application/json"
    for name in ("several", "raw"):
        check_page(client.get(f"{jobs[name]}/results", params={"f": "html"}))
    assert client.get(f"{jobs['raw']}/results", headers=HTML).text == "<p>x</p>"
    image = client.get(f"{jobs['several']}/results/image", headers={"accept": BROWSER})
    assert image.headers["content-type"] == "image/png"


def test_values_that_are_pages_are_kept_away_from_our_origin(client, jobs):
    for path in (f"{jobs['raw']}/results", f"{jobs['markup']}/results/result"):
        answer = client.get(path, headers=HTML)
        assert answer.headers["content-type"].startswith("text/html")
        assert answer.headers["content-security-policy"].startswith("sandbox ")
        assert "allow-same-origin" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", ["hostile", "markup"])
def test_hostile_values_are_text(client, jobs, name):
    page = check_page(client.get(f"{jobs[name]}/results", headers=HTML))
    assert " ".join(HOSTILE.split()) in page.text
    assert page.all("img") == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nothing", 404),
        ("/<script>alert(1)</script>", 404),
        ("/processes/<b>x", 404),
        ("/processes?limit=<b>", 400),
        ("/jobs/x", 404),
        ("/jobs/x/results", 404),
        ("told", 200),
        ("told/results", 409),
        ("bug/results", 500),
    ],
)
def test_problems_are_pages_for_those_who_ask_for_pages(client, jobs, path, status):
    name = path.partition("/")[0]
    path = path.replace(name, jobs[name]) if name in jobs else path
    answer = client.get(path, headers=HTML)
    page = check_page(answer)

    assert answer.status_code == status
    if status >= 400:
        problem = client.get(path, headers={"accept": "application/json"}).json()
        assert problem["title"] in page.text
        assert " ".join(problem["detail"].split()) in page.text
        assert (
            client.get(path, headers={"accept": f"{BROWSER}, application/problem+json"}).headers[
                "content-type"
            ]
            == "application/problem+json"
        )


def test_the_faults_of_a_request_are_in_its_problem_page(client):
    answer = client.post("/processes/add/execution", json={"inputs": {"a": "<b>", "c": 1}}, headers=HTML)
    page = check_page(answer)
    assert "/inputs/a" in page.text
    assert "/inputs/c" in page.text


def test_a_bad_host_has_a_page_too():
    settings = Settings(redis_url="unix:///nowhere")
    client = TestClient(create_app(settings, host=Host(settings)), root_path="/ogc")
    answer = client.get("/ogc/", headers={**HTML, "host": 'a"b'})
    assert answer.status_code == 400
    assert 'href="/ogc/static/pages.css"' in answer.text


def test_the_interactive_page_has_all_it_needs_from_here(client):
    page = check_page(client.get("/api", headers=HTML), scripts=True)
    base = str(client.base_url).rstrip("/")
    needed = [element["src"] for element in page.all("script")]
    needed += [link["href"] for link in page.all("link") if link["rel"] == "stylesheet"]

    assert len(needed) == 4
    for url in needed:
        assert url.startswith(base)
        answer = client.get(url)
        assert answer.status_code == 200
        assert answer.headers["content-type"].split(";")[0] in ("text/css", "text/javascript")
        assert answer.headers["cache-control"] == "public, no-cache"
    (place,) = [element for element in page.all("div") if element.get("id") == "swagger-ui"]
    definition = client.get(place["data-definition"], headers=HTML)
    assert definition.headers["content-type"] == "application/vnd.oai.openapi+json;version=3.0"


def test_the_definition_comes_in_the_version_that_is_asked_for(client):
    types = {
        3.0: "application/vnd.oai.openapi+json;version=3.0",
        3.1: "application/vnd.oai.openapi+json;version=3.1",
    }
    for accept, expected in [("*/*", 3.0), ("application/json", 3.0), (types[3.0], 3.0), (types[3.1], 3.1)]:
        answer = client.get("/api", headers={"accept": accept})
        assert answer.headers["content-type"] == types[expected]
        assert answer.json()["openapi"].startswith(str(expected))
    landing = client.get("/").json()["links"]
    for link in landing:
        if link["rel"] == "service-desc":
            assert client.get(link["href"]).headers["content-type"] == link["type"]
    (documentation,) = [link["href"] for link in landing if link["rel"] == "service-doc"]
    check_page(client.get(documentation), scripts=True)
    assert client.get("/api?f=xml").status_code == client.get("/api?f=").status_code == 400


@pytest.mark.parametrize("name", ["../app.py", "..%2f..%2fapp.py", "macros.html", "", "pages.css/", "%00"])
def test_only_the_files_of_pages_are_given(client, name):
    assert client.get(f"/static/{name}").status_code == (200 if name == "pages.css/" else 404)


def test_the_classes_that_pages_and_definition_earn_are_declared(client):
    declared = client.get("/conformance").json()["conformsTo"]
    for name in ("html", "oas30"):
        assert f"http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/{name}" in declared
        assert f"http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/{name}" in declared


@pytest.mark.parametrize(
    "href",
    ["javascript:alert(1)", " JaVaScRiPt:alert(1)", "data:text/html,x", "vbscript:x", "//evil.example", "file:///x", "",
     None, 5, "java\nscript:alert(1)", "\x01javascript:alert(1)", "https:"],
)  # fmt: skip
def test_a_page_links_to_no_script(href):
    assert followable(href) == ""


@given(st.text() | st.text().map("https://a".__add__) | st.text().map("/".__add__))
def test_what_a_page_links_to_needs_no_quotes(href):
    url = followable(href)
    assert not set(url) & set(" \"'<>\t\r\n") - {"'"}
    assert url == "" or url.lower().startswith(("http://", "https://", "mailto:", "/", "?", "#"))


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=4) | st.just("href"), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(JSON_VALUES)
def test_any_value_can_be_shown(value):
    macros = templates().get_template("macros.html").module
    Page(f"<main>{macros.value(value)}{macros.members({'x': value})}{macros.rest({'x': value}, ())}</main>")  # type: ignore[attr-defined]


@given(JSON_VALUES.filter(lambda value: isinstance(value, dict | bool)))
def test_the_gist_of_any_schema_is_a_text(schema):
    assert isinstance(gist(schema), str)


def test_small_things_pages_are_made_of():
    assert gist({"type": "number", "minimum": 0, "default": 5}) == "number, ≥ 0, default 5"
    assert gist({"oneOf": [{"type": "string"}, {"enum": [1, "a"]}]}) == "string or one of 1, a"
    assert gist({"type": ["string", "null"]}) == "string or null"
    assert gist({"type": None, "minimum": 0}) == "any value, ≥ 0"
    assert media_type("image/tiff; application=geotiff") == "image/tiff; application=geotiff"
    assert media_type('a"><script>') == ""
    assert paragraphs("a\nb\n\n \n- c\n- d\n") == ["a\nb", "- c\n- d"]
