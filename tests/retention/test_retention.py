"""How long what is kept: results and logs that go before their job, inputs that stay, jobs that an operator removes."""

import base64
import json
from datetime import datetime

import pytest
from fastprocesses_host.cli.commands import app
from typer.testing import CliRunner

from tests.retention.conftest import MB, Site
from tests.support import wait_until


def links(status: dict, end: str) -> list[str]:
    return [link["href"] for link in status["links"] if link["rel"].endswith(end)]


@pytest.mark.parametrize("size", [1000, 2 * MB])
def test_results_and_log_may_go_before_their_job(site: Site, size: int) -> None:
    status = site.ended("brief", {"size": size})
    url = f"/jobs/{status['jobID']}"

    assert site.client.get(url + "/results").status_code in {200, 410}
    wait_until(lambda: site.client.get(url + "/results").status_code == 410, 30)

    answer = site.client.get(url + "/results")
    problem = answer.json()
    assert problem["title"] == "Results expired"
    assert "limited time" in problem["detail"]
    assert site.client.get(url + "/results/result").status_code == 410
    later = site.client.get(url).json()
    assert later["status"] == "successful"
    assert not links(later, "/results")
    wait_until(lambda: site.client.get(url + "/log").json()["lines"] == [], 30)
    wait_until(lambda: not site.files(), 30)
    assert site.counted() == {}
    kept_seconds = datetime.fromisoformat(later["expires"]) - datetime.fromisoformat(later["finished"])
    assert kept_seconds.total_seconds() == 3600
    assert later["fastprocesses:resultsExpire"] < later["expires"]
    page = site.client.get(url + "?f=html").text
    assert "fastprocesses:resultsExpire" in page
    site.delete(later)


def test_a_status_tells_when_the_job_goes(site: Site) -> None:
    status = site.ended("make", {"size": 1000})

    kept = datetime.fromisoformat(status["expires"]) - datetime.fromisoformat(status["finished"])

    assert kept.total_seconds() == site.settings.job_ttl_seconds
    assert "fastprocesses:resultsExpire" not in status
    assert links(status, "/results")
    site.delete(status)


def test_inputs_that_are_kept_can_be_sent_again(site: Site) -> None:
    data = base64.b64encode(bytes(2 * MB)).decode()
    inputs = {"text": "größe", "data": data, "several": [1, 2, 3]}
    status = site.ended("remembered", inputs)
    (url,) = set(links(status, "/job-inputs"))

    answer = site.client.get(url, headers={"Accept-Encoding": "identity"})

    document = answer.json()
    assert int(answer.headers["content-length"]) == len(answer.content) > 2 * MB
    assert document["inputs"] == inputs
    assert document["response"] == "raw"
    again = site.client.post("/processes/remembered/execution", json=document)
    assert again.status_code == 200, again.text
    assert again.text == site.client.get(f"/jobs/{status['jobID']}/results").text == "größe 2000000 6"
    page = site.client.get(url + "?f=html").text
    assert "größe" in page
    assert "Too large for this page" in page
    assert len(page) < 50_000
    site.delete(status)
    assert site.client.get(url).status_code == 404


def test_inputs_in_another_media_type_are_told_with_it(site: Site) -> None:
    inputs = {"text": "x", "data": {"value": "aGVsbG8=", "mediaType": "application/octet-stream"}}
    status = site.ended("remembered", inputs)

    document = site.client.get(f"/jobs/{status['jobID']}/inputs").json()

    assert document["inputs"] == {"text": "x", "data": "aGVsbG8="}
    site.delete(status)


def test_inputs_are_kept_only_where_that_is_wanted(site: Site) -> None:
    status = site.ended("make", {"size": 1000})

    answer = site.client.get(f"/jobs/{status['jobID']}/inputs")

    assert answer.status_code == 404
    assert "keep_inputs" in answer.json()["detail"]
    assert not links(status, "/job-inputs")
    site.delete(status)


def purge(site: Site, *arguments: str, answer: str = "") -> tuple[int, str]:
    command = ["jobs", "purge", "--redis-url", site.settings.redis_url, *arguments]
    done = CliRunner().invoke(app, command, input=answer)
    return done.exit_code, done.output


def test_jobs_are_purged_by_choice(site: Site) -> None:
    small = [site.ended("make", {"size": 200_000}) for _ in range(2)]
    kept = site.ended("repeat-blob", {"data": base64.b64encode(bytes(200_000)).decode()})
    failed = site.ended("make", {"size": 9 * MB})
    assert failed["status"] == "failed"

    assert purge(site, "--process", "make", "--dry-run") == (0, "3 jobs would be removed.\n")
    assert purge(site, "--process", "make", "--older-than", "1h", "--yes") == (0, "0 jobs removed.\n")
    code, told = purge(site, "--process", "make")
    assert (code, "Say --yes" in told) == (2, True)
    assert purge(site, "--status", "failed", "--yes") == (0, "1 job removed.\n")
    assert purge(site, "--process", "make", "--yes") == (0, "2 jobs removed.\n")

    for job in (*small, failed):
        assert site.client.get(f"/jobs/{job['jobID']}").status_code == 404
    assert site.client.get(f"/jobs/{kept['jobID']}").status_code == 200
    assert site.client.get("/jobs").json()["jobs"][0]["jobID"] == kept["jobID"]
    code, told = purge(site, "--all", "--json", "--yes")
    assert json.loads(told) == {"chosen": 1, "removed": 1, "underWay": 0}
    wait_until(lambda: not site.files(), 30)
    assert site.counted() == {}


def test_jobs_under_way_are_purged_only_with_dismiss(site: Site) -> None:
    url = site.submit("patient", {}).headers["location"]

    assert purge(site, "--all", "--yes") == (0, "0 jobs removed. 1 job under way left alone.\n")
    assert site.client.get(url).status_code == 200
    assert purge(site, "--all", "--dismiss", "--yes") == (0, "1 job removed.\n")

    assert site.client.get(url).status_code == 404
    wait_until(lambda: not site.in_folders(), 30, "an empty folder")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [((), "Say which"), (("--older-than", "soon"), "no time span"), (("--status", "done"), "none of")],
)
def test_what_is_to_be_purged_has_to_be_said(site: Site, arguments: tuple[str, ...], told: str) -> None:
    code, output = purge(site, *arguments)

    assert code == 2
    assert told in output
