"""The process list and the descriptions: pages, links, and answers that need not be sent again."""

import pytest

REL = "http://www.opengis.net/def/rel/ogc/1.0/"


def ids(answer) -> list[str]:
    return [process["id"] for process in answer.json()["processes"]]


def link(document, rel: str) -> str:
    return next((link["href"] for link in document["links"] if link["rel"] == rel), "")


def test_all_processes_are_listed_in_order_without_limit(client):
    listed = ids(client.get("/processes"))

    assert listed == sorted(listed)
    assert {"echo", "greet", "several"} <= set(listed)


@pytest.mark.parametrize(
    ("limit", "count"), [("1", 1), ("+2", 2), ("03", 3), ("10000", None), ("10001", None), ("9" * 5000, None)]
)
def test_limit_is_obeyed_and_clamped(client, limit, count):
    listed = ids(client.get("/processes", params={"limit": limit}))
    assert len(listed) == (count or len(ids(client.get("/processes"))))


@pytest.mark.parametrize("limit", [1, 2, 4])
def test_pages_put_together_are_the_list_both_ways(client, limit):
    everything = ids(client.get("/processes"))
    page = client.get(f"/processes?limit={limit}")
    forwards, urls = ids(page), [str(page.url)]
    while following := link(page.json(), "next"):
        page = client.get(following)
        assert link(page.json(), "self") == following
        forwards += ids(page)
    backwards = ids(page)
    while previous := link(page.json(), "prev"):
        page = client.get(previous)
        backwards = ids(page) + backwards

    assert forwards == everything
    assert backwards == everything
    assert link(page.json(), "prev") == ""
    assert urls


def test_what_a_link_header_says_is_what_the_body_says(client):
    answer = client.get("/processes?limit=2")
    told = [(link["url"], link["rel"], link["type"]) for link in answer.links.values()]
    assert told == [(link["href"], link["rel"], link["type"]) for link in answer.json()["links"]]


@pytest.mark.parametrize(
    "path", ["/", "/conformance", "/api", "/processes", "/processes?limit=2", "/processes/echo"]
)
def test_what_the_client_has_is_not_sent_again(client, path):
    first = client.get(path)
    etag = first.headers["etag"]

    assert client.get(path).headers["etag"] == etag
    for known in (etag, f'"other", {etag}', etag.removeprefix("W/"), "*"):
        again = client.get(path, headers={"if-none-match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert client.get(path, headers={"if-none-match": '"other"'}).status_code == 200


def test_a_description_tells_all_a_client_needs(client):
    described = client.get("/processes/echo").json()

    assert next(iter(described["inputs"])) == "message"
    assert set(described["outputs"]) == set(described["inputs"])
    assert all(
        told["title"] and told["description"] and told["schema"] for told in described["inputs"].values()
    )
    assert link(described, REL + "execute").endswith("/processes/echo/execution")
    assert described["jobControlOptions"] == ["sync-execute", "async-execute", "dismiss"]
    assert client.post(link(described, REL + "execute"), json=described["example"]).status_code == 200


@pytest.mark.parametrize("path", ["/", "/processes", "/processes/echo", "/jobs"])
def test_links_are_absolute_and_have_rel_and_type(client, base_url, path):
    for told in client.get(path).json()["links"]:
        assert told["href"].startswith((base_url + "/", "https://www.opengis.net/def/profile/"))
        assert told["rel"]
        assert told["type"]


def test_the_landing_page_leads_everywhere(client):
    landing = client.get("/").json()
    api = next(told for told in landing["links"] if told["rel"] == "service-desc")

    assert landing["title"]
    assert landing["description"]
    assert api["type"] == "application/vnd.oai.openapi+json;version=3.0"
    for rel in ("conformance", "processes", "job-list"):
        assert link(landing, rel) == link(landing, REL + rel)
        assert client.get(link(landing, rel)).status_code == 200
    assert client.get(api["href"]).headers["content-type"] == api["type"]


def test_the_declared_classes_are_those_of_the_resources(client):
    declared = client.get("/conformance").json()["conformsTo"]

    assert "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/core" in declared
    assert len(declared) == len(set(declared))


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("grow", ["grow"]),
        ("GROSSE", ["grow"]),
        ("lasst wachsen", ["grow"]),
        ("make grow", ["grow"]),
        ("make nothing-of-the-kind", []),
        ("grow, only-sync", ["grow", "only-sync"]),
        ("alone run", ["only-async", "only-sync"]),
    ],
)
def test_processes_are_found_by_words(client, q, found):
    assert ids(client.get("/processes", params={"q": q})) == found


def test_the_pages_of_a_search_are_of_that_search(client):
    first = client.get("/processes?q=alone&limit=1")
    second = client.get(link(first.json(), "next"))

    assert ids(first) + ids(second) == ["only-async", "only-sync"]
    assert link(second.json(), "next") == ""
    assert ids(client.get(link(second.json(), "prev"))) == ["only-async"]
    assert ids(client.get("/processes?q=")) == ids(client.get("/processes"))


@pytest.mark.parametrize(
    "query",
    [
        "q=a&q=b",
        f"q={'x' * 501}",
        "cursor=x",
        "cursor=",
        "cursor=am9icyB4",
        "cursor=ZWNobw",
        "cursor=%F0%9F%A6%86",
    ],
)
def test_a_query_that_cannot_be_used_is_refused(client, query):
    answer = client.get(f"/processes?{query}")

    assert (answer.status_code, answer.json()["type"].rsplit("/", 1)[1]) == (
        400,
        "invalid-query-parameter-value",
    )
    assert len(answer.content) < 700


@pytest.mark.parametrize(
    ("accept_language", "language", "title"),
    [
        ("", "en", "Grow"),
        ("de", "de", "Wachsen"),
        ("de-AT, en;q=0.5", "de", "Wachsen"),
        ("fr, en;q=0.5, de;q=0.4", "en", "Grow"),
        ("pt", "pt-BR", "Crescer"),
        ("fr", "en", "Grow"),
    ],
)
def test_texts_are_in_the_language_the_client_likes(client, accept_language, language, title):
    headers = {"accept-language": accept_language}
    described = client.get("/processes/grow", headers=headers)
    listed = client.get("/processes", headers=headers)
    summary = next(told for told in listed.json()["processes"] if told["id"] == "grow")

    assert described.headers["content-language"] == language
    assert all("Accept-Language" in answer.headers["vary"].split(", ") for answer in (described, listed))
    assert described.json()["title"] == summary["title"] == title
    assert not {"translations", "language"} & (described.json().keys() | summary.keys())
    assert language in listed.headers["content-language"].split(", ")


def test_the_tag_of_one_language_is_not_that_of_another(client):
    german = client.get("/processes/grow", headers={"accept-language": "de"})
    etag = german.headers["etag"]
    again = client.get("/processes/grow", headers={"accept-language": "de", "if-none-match": etag})
    other = client.get("/processes/grow", headers={"accept-language": "en", "if-none-match": etag})

    assert german.json()["inputs"]["by"]["title"] == "Um"
    assert (again.status_code, other.status_code) == (304, 200)
    assert again.headers["content-language"] == "de"


def test_a_process_in_one_language_does_not_vary(client):
    answer = client.get("/processes/greet", headers={"accept-language": "de"})

    assert "content-language" not in answer.headers
    assert "language" not in answer.headers["vary"].lower()
