"""The log of a job: what its process wrote, for its owner, and nothing of the server."""

import pytest
from fastprocesses_host.app import create_app
from fastprocesses_host.host import Host
from fastprocesses_host.settings import Settings
from starlette.testclient import TestClient

from tests.web.test_pages import check_page

REL = "http://www.opengis.net/def/rel/ogc/1.0/"


def log_of(client, inputs: dict, query: str = "", **headers: str):
    url = client.finished_job("talk", {"inputs": inputs})
    link = next(link["href"] for link in client.get(url).json()["links"] if link["rel"] == REL + "log")
    return client.get(link + query, headers=headers)


def test_all_that_a_process_wrote_is_told_in_order(client):
    answer = log_of(client, {"lines": 3})
    log = answer.json()
    lines = log["lines"]
    said = [(line["level"], line["text"]) for line in lines if line["text"].startswith("line")]

    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert said == [("info", "line 0"), ("info", "line 1"), ("info", "line 2")]
    assert {(line["level"], line["text"]) for line in lines} >= {("warning", "\x1b[31mred")}
    assert [line["fields"] for line in lines if line["text"] == "structured"] == [{"number": 2}]
    assert log["numberOfLines"] == len(lines) == 5
    assert all(line["time"].endswith("Z") for line in lines)


@pytest.mark.parametrize(("query", "headers"), [("?f=text", {}), ("", {"accept": "text/plain"})])
def test_the_log_is_plain_text_where_that_is_wanted(client, query, headers):
    answer = log_of(client, {"lines": 1}, query, **headers)

    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert "\x1b" not in answer.text
    assert len(answer.text.splitlines()) == 3
    assert 'warning structured {"number":2}' in answer.text


@pytest.mark.parametrize(
    ("query", "accept"), [("?f=html", "*/*"), ("", "text/html"), ("", "text/html, text/plain, */*;q=0.1")]
)
def test_the_log_is_a_page_for_a_browser(client, query, accept):
    url = client.finished_job("talk", {"inputs": {"lines": 2}}) + "/log"
    log = client.get(url).json()
    alternate = next(link["href"] for link in log["links"] if link.get("type") == "text/html")
    page = check_page(client.get(url + query, headers={"accept": accept}))

    assert alternate == url + "?f=html"
    assert "4 lines" in page.text
    assert {"line 0", "line 1", "structured", '{"number": 2}', "warning", "\\x1b[31mred"} <= {
        word.strip() for word in page.words
    }
    assert {link["href"] for link in log["links"] if link["rel"] == "up"} <= page.hrefs
    newest = check_page(client.get(url + "?f=html&limit=1"))
    assert "The newest 1 of 4 lines" in newest.text
    assert "line 0" not in newest.text


def test_the_newest_lines_are_kept_and_given(client):
    log = log_of(client, {"lines": 1500}, "?limit=2").json()
    everything = client.get(log["links"][0]["href"].partition("?")[0]).json()

    assert log["numberOfLines"] == everything["numberOfLines"] == len(everything["lines"]) == 1000
    assert log["lines"] == everything["lines"][-2:]


def test_a_caller_is_not_told_what_went_wrong_inside(client):
    log = log_of(client, {"fail": True})

    assert "secret internals" not in log.text
    assert "Traceback" not in log.text
    errors = [line["text"] for line in log.json()["lines"] if line["level"] == "error"]
    assert [text.partition(".")[0] for text in errors] == ["The process ended in an error of its own"]


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/jobs/x/log", {}, 404),
        ("/jobs/0190c3f2-0000-7000-8000-000000000000/log", {}, 404),
        ("/jobs/x/log?limit=0", {}, 400),
        ("/jobs/x/log?f=xml", {}, 400),
        ("/jobs/x/log", {"accept": "image/png"}, 406),
    ],
)
def test_what_cannot_be_had_is_told(client, path, headers, status):
    assert client.get(path, headers=headers).status_code == status


def test_head_of_a_log_is_its_get_without_the_body(client):
    url = client.finished_job("talk", {}) + "/log"

    assert client.head(url).headers["content-length"] == str(len(client.get(url).content))


def test_an_operator_may_keep_logs_to_himself():
    chosen = Settings(redis_url="unix:///nowhere", show_job_logs=False)
    answer = TestClient(create_app(chosen, host=Host(chosen))).get(
        "/jobs/0190c3f2-0000-7000-8000-000000000000/log"
    )

    assert (answer.status_code, answer.json()["type"]) == (404, "about:blank")
    assert "does not show" in answer.json()["detail"]
