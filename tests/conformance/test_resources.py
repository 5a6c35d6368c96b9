"""The resources of the core and their representations (clauses 7.1 to 7.10, classes json, html, oas30)."""

from html.parser import HTMLParser

import pytest
from openapi_spec_validator import validate

REL = "http://www.opengis.net/def/rel/ogc/1.0/"
EXCEPTIONS = "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0/"
JSON, HTML = "application/json", "text/html"
PAGES = ["/", "/conformance", "/processes", "/processes/forms", "/jobs"]


def links(document, rel: str) -> list[dict[str, str]]:
    return [link for link in document["links"] if link["rel"] == rel]


@pytest.fixture(scope="module")
def job(client) -> str:
    return client.finished_job("forms", {"inputs": {"text": "x"}})


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/", marks=pytest.mark.requirement("/req/core/landingpage-op")),
        pytest.param("/conformance", marks=pytest.mark.requirement("/req/core/conformance-op")),
        pytest.param("/api", marks=pytest.mark.requirement("/req/core/api-definition-op")),
        pytest.param("/processes", marks=pytest.mark.requirement("/req/core/process-list")),
        pytest.param("/processes/forms", marks=pytest.mark.requirement("/req/core/process")),
        pytest.param("/jobs", marks=pytest.mark.requirement("/req/job-list/job-list-op")),
    ],
)
def test_a_resource_answers(client, path):
    answer = client.get(path)

    assert answer.status_code == 200
    assert answer.http_version == "HTTP/1.1"


@pytest.mark.requirement("/req/core/job", "/req/core/job-results")
def test_a_job_and_its_results_answer(client, job):
    assert client.get(job).status_code == client.get(job + "/results").status_code == 200


@pytest.mark.requirement("/req/core/landingpage-success")
@pytest.mark.parametrize(
    "rels",
    [
        ("service-desc",),
        ("service-doc",),
        (REL + "conformance", "conformance"),
        (REL + "processes", "processes"),
        (REL + "job-list", "job-list"),
    ],
)
def test_the_landing_page_links_to_what_works(client, rels):
    landing = client.get("/").json()
    for rel in rels:
        assert links(landing, rel)
        for link in links(landing, rel):
            assert client.get(link["href"], headers={"accept": link["type"]}).status_code == 200


@pytest.mark.requirement("/req/core/api-definition-success", "/req/oas30/oas-definition-1")
@pytest.mark.parametrize("rel", ["service-desc", "service-doc"])
def test_an_api_definition_is_of_the_type_its_link_says(client, rel):
    for link in links(client.get("/").json(), rel):
        answer = client.get(link["href"])
        assert answer.status_code == 200
        assert answer.headers["content-type"].partition(";")[0] == link["type"].partition(";")[0]


@pytest.mark.requirement("/req/oas30/oas-definition-1", "/req/oas30/oas-definition-2")
def test_the_first_definition_is_valid_openapi_30(client):
    link = links(client.get("/").json(), "service-desc")[0]
    answer = client.get(link["href"])

    assert link["type"] == answer.headers["content-type"] == "application/vnd.oai.openapi+json;version=3.0"
    assert answer.json()["openapi"].startswith("3.0.")
    validate(answer.json())


@pytest.fixture(scope="module")
def definition(client):
    return client.get("/api").json()


@pytest.mark.requirement("/req/oas30/oas-impl")
def test_every_path_of_the_definition_is_there(client, definition, job):
    job_id = job.rsplit("/", 1)[1]
    known = {"{jobID}": job_id, "{processID}": "forms", "{outputID}": "text", "{N}": "0", "{index}": "0"}
    for path, operations in definition["paths"].items():
        for name, value in known.items():
            path = path.replace(name, value)
        for method in operations.keys() & {"get", "post", "delete"}:
            assert method.upper() in client.options(path).headers["allow"], path


@pytest.mark.requirement("/req/oas30/completeness")
@pytest.mark.parametrize(
    ("path", "method", "status", "media_type"),
    [
        ("/", "get", "200", JSON),
        ("/conformance", "get", "200", JSON),
        ("/processes", "get", "200", JSON),
        ("/processes/{processID}", "get", "200", JSON),
        ("/processes/forms/execution", "post", "200", JSON),
        ("/processes/forms/execution", "post", "201", JSON),
        ("/processes/only-async/execution", "post", "201", JSON),
        ("/jobs", "get", "200", JSON),
        ("/jobs/{jobID}", "get", "200", JSON),
        ("/jobs/{jobID}", "delete", "200", JSON),
        ("/jobs/{jobID}/results", "get", "200", JSON),
    ],
)
def test_the_definition_names_what_an_operation_answers(definition, path, method, status, media_type):
    answer = resolved(definition, definition["paths"][path][method]["responses"][status])
    assert media_type in answer["content"]


@pytest.mark.requirement("/req/oas30/exceptions-codes")
@pytest.mark.parametrize(
    ("path", "method", "statuses"),
    [
        ("/processes", "get", {"400", "406"}),
        ("/processes/{processID}", "get", {"404", "406"}),
        ("/processes/forms/execution", "post", {"400", "413", "415"}),
        ("/jobs", "get", {"400"}),
        ("/jobs/{jobID}", "get", {"404"}),
        ("/jobs/{jobID}", "delete", {"404", "410"}),
        ("/jobs/{jobID}/results", "get", {"404"}),
    ],
)
def test_the_definition_names_the_errors_of_an_operation(definition, path, method, statuses):
    responses = definition["paths"][path][method]["responses"]

    assert statuses <= set(responses)
    for status in statuses:
        assert "application/problem+json" in resolved(definition, responses[status])["content"]


@pytest.mark.requirement("/req/oas30/security")
def test_there_is_no_security_and_the_definition_says_none(client, definition):
    assert client.get("/jobs").status_code == 200
    assert "security" not in definition
    assert "securitySchemes" not in definition["components"]


def resolved(definition, part):
    if "$ref" not in part:
        return part
    found = definition
    for name in part["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return found


@pytest.mark.requirement("/req/core/conformance-success")
def test_conformance_lists_each_class_once(client):
    declared = client.get("/conformance").json()["conformsTo"]
    assert len(declared) == len(set(declared))


@pytest.mark.requirement("/req/core/process-list-success", "/req/core/test-process")
def test_the_list_has_a_summary_of_each_process(client):
    processes = {told["id"]: told for told in client.get("/processes").json()["processes"]}

    assert processes.keys() >= {"echo", "forms", "only-sync", "only-async"}
    assert processes["forms"]["jobControlOptions"] == ["sync-execute", "async-execute", "dismiss"]
    assert "async-execute" not in processes["only-sync"]["jobControlOptions"]
    assert "sync-execute" not in processes["only-async"]["jobControlOptions"]
    assert all(told["version"] for told in processes.values())


@pytest.mark.parametrize(
    ("path", "limit", "status"),
    [
        pytest.param(path, limit, status, marks=pytest.mark.requirement(*ids))
        for path, ids in (
            ("/processes", ("/req/core/pl-limit-definition", "/req/core/pl-limit-response")),
            ("/jobs", ("/req/job-list/limit-definition", "/req/job-list/limit-response")),
        )
        for limit, status in (
            ("1", 200),
            ("3", 200),
            ("10001", 200),
            ("0", 400),
            ("-1", 400),
            ("x", 400),
            ("", 400),
        )
    ],
)
def test_limit_limits(client, job, path, limit, status):
    answer = client.get(path, params={"limit": limit})

    assert answer.status_code == status
    if status == 200:
        listed = answer.json().get("processes") or answer.json().get("jobs")
        assert 1 <= len(listed) <= int(limit)
    else:
        assert answer.json()["type"] == EXCEPTIONS + "invalid-query-parameter-value"


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/processes", marks=pytest.mark.requirement("/req/core/pl-links")),
        pytest.param("/processes?limit=1", marks=pytest.mark.requirement("/req/core/pl-links")),
        pytest.param("/jobs", marks=pytest.mark.requirement("/req/job-list/links")),
        pytest.param("/jobs?limit=1&status=successful", marks=pytest.mark.requirement("/req/job-list/links")),
    ],
)
def test_a_list_links_to_itself_and_to_its_page(client, base_url, job, path):
    document = client.get(path).json()
    (alternate,) = links(document, "alternate")

    assert [link["href"] for link in links(document, "self")] == [base_url + path]
    assert alternate["type"] == HTML
    assert client.get(alternate["href"]).headers["content-type"].startswith(HTML)


@pytest.mark.parametrize(
    ("method", "path", "type_"),
    [
        pytest.param(
            "GET",
            "/processes/nothing",
            "no-such-process",
            marks=pytest.mark.requirement("/req/core/process-exception/no-such-process"),
        ),
        pytest.param(
            "POST",
            "/processes/nothing/execution",
            "no-such-process",
            marks=pytest.mark.requirement("/req/core/process-exception/no-such-process"),
        ),
        pytest.param(
            "GET",
            "/jobs/nothing",
            "no-such-job",
            marks=pytest.mark.requirement("/req/core/job-exception-no-such-job"),
        ),
        pytest.param(
            "GET",
            "/jobs/nothing/results",
            "no-such-job",
            marks=pytest.mark.requirement("/req/core/job-results-exception/no-such-job"),
        ),
        pytest.param(
            "DELETE",
            "/jobs/nothing",
            "no-such-job",
            marks=pytest.mark.requirement("/req/dismiss/job-dismiss-op"),
        ),
    ],
)
def test_what_is_unknown_is_404_of_its_type(client, method, path, type_):
    answer = client.request(method, path, **({"json": {}} if method == "POST" else {}))
    assert (answer.status_code, answer.json()["type"]) == (404, EXCEPTIONS + type_)


@pytest.mark.requirement("/req/json/definition")
@pytest.mark.parametrize("path", [*PAGES, "{job}", "{job}/results"])
@pytest.mark.parametrize(
    "wish", [{"headers": {"accept": JSON}}, {"params": {"f": "json"}}], ids=["accept", "f"]
)
def test_every_resource_is_given_as_json(client, job, path, wish):
    answer = client.get(path.replace("{job}", job), **wish)

    assert (answer.status_code, answer.headers["content-type"]) == (200, JSON)
    assert isinstance(answer.json(), dict)


@pytest.mark.requirement("/req/json/definition")
@pytest.mark.parametrize(
    ("body", "prefer"), [({"inputs": {"text": "x"}, "response": "document"}, ""), ({}, "respond-async")]
)
def test_an_execution_is_answered_as_json(client, body, prefer):
    answer = client.execute("forms", body, **({"prefer": prefer} if prefer else {}))
    assert answer.headers["content-type"] == JSON


@pytest.mark.requirement("/req/html/definition")
@pytest.mark.parametrize("path", [*PAGES, "{job}", "{job}/results"])
@pytest.mark.parametrize(
    "wish",
    [
        {"headers": {"accept": HTML}},
        {"headers": {"accept": "application/json;q=0.5, text/html"}},
        {"params": {"f": "html"}},
    ],
    ids=["accept", "q", "f"],
)
def test_every_resource_is_given_as_html(client, job, path, wish):
    answer = client.get(path.replace("{job}", job), **wish)

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(HTML)
    assert "accept" in answer.headers["vary"].lower()
    assert answer.text.lower().startswith("<!doctype html>")


@pytest.mark.requirement("/req/html/content")
@pytest.mark.parametrize("path", [*PAGES, "{job}"])
def test_a_page_has_what_the_json_has(client, job, path):
    """Texts and addresses; a page may leave out the link that leads to itself, and say numbers its own way."""
    document = client.get(path.replace("{job}", job)).json()
    page = Page(client.get(path.replace("{job}", job), params={"f": "html"}).text)

    for link in document.get("links", []):
        if link["rel"] not in ("self", "alternate", "monitor"):
            assert without_f(link["href"]) in page.hrefs, link
    for text in texts(document):
        assert " ".join(text.split()) in page.text


def texts(document) -> set[str]:
    """Titles, descriptions and ids, at any depth, but not those of links."""
    if isinstance(document, list):
        return set().union(*map(texts, document)) if document else set()
    if not isinstance(document, dict):
        return set()
    told = {document[name] for name in ("id", "title", "description", "jobID", "version") if name in document}
    told = {text for text in told if isinstance(text, str)}
    return told.union(
        *(texts(part) for name, part in document.items() if name not in ("links", "schema", "example"))
    )


def without_f(url: str) -> str:
    """Pages lead to pages, so what tells the representation is left out."""
    address, _, query = url.partition("?")
    kept = "&".join(part for part in query.split("&") if part and not part.startswith("f="))
    return f"{address}?{kept}" if kept else address


class Page:
    """What a browser would show of a page, and where its links lead."""

    def __init__(self, source: str) -> None:
        self.hrefs: set[str] = set()
        shown: list[str] = []
        parser = HTMLParser()
        parser.handle_data = shown.append  # type: ignore[method-assign]
        parser.handle_starttag = lambda _, attributes: self.hrefs.update(  # type: ignore[method-assign]
            without_f(value or "") for name, value in attributes if name == "href"
        )
        parser.feed(source)
        self.text = " ".join("".join(shown).split())
