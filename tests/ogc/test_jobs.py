"""Status infos: members of both versions, times, links by state (S1.4, S2.7 row 3)."""

from datetime import datetime

import msgspec
import pytest
from fastprocesses_host.ogc.jobs import (
    AskedResults,
    JobProblem,
    Status,
    accepted_document,
    is_untouched,
    job_list,
    status_and_link,
    status_info,
    timestamp,
)
from fastprocesses_host.ogc.links import EVENTS, REL, Urls, link_header
from hypothesis import given
from hypothesis import strategies as st

from tests.ogc.examples import asked, job
from tests.ogc.official import faults

URLS = Urls("https://example.org")
PAGES = Urls("https://example.org", html=True)
RESULTS, EXCEPTIONS, JOB_LIST = REL + "results", REL + "exceptions", REL + "job-list"
LOG = REL + "log"


def secure(rel: str) -> str:
    return rel.replace("http:", "https:")


@pytest.mark.parametrize(
    ("status", "relations"),
    [
        (Status.CREATED, ["self", "monitor", EVENTS, LOG, secure(LOG), "up", JOB_LIST, secure(JOB_LIST)]),
        (Status.ACCEPTED, ["self", "monitor", EVENTS, LOG, secure(LOG), "up", JOB_LIST, secure(JOB_LIST)]),
        (Status.RUNNING, ["self", "monitor", EVENTS, LOG, secure(LOG), "up", JOB_LIST, secure(JOB_LIST)]),
        (
            Status.SUCCESSFUL,
            [
                RESULTS,
                secure(RESULTS),
                "self",
                "monitor",
                EVENTS,
                LOG,
                secure(LOG),
                "up",
                JOB_LIST,
                secure(JOB_LIST),
            ],
        ),
        (
            Status.FAILED,
            [
                "self",
                "monitor",
                EXCEPTIONS,
                secure(EXCEPTIONS),
                EVENTS,
                LOG,
                secure(LOG),
                "up",
                JOB_LIST,
                secure(JOB_LIST),
            ],
        ),
        (Status.DISMISSED, ["self", "monitor", EVENTS, LOG, secure(LOG), "up", JOB_LIST, secure(JOB_LIST)]),
    ],
)
def test_each_state_has_its_links(status, relations):
    assert [link.rel for link in status_info(job(status), URLS).links] == relations


def test_a_log_that_is_not_shown_is_not_linked_to():
    assert not [
        link
        for link in status_info(job(), Urls("https://example.org", logs=False)).links
        if "log" in link.href
    ]


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (Status.ACCEPTED, "Busy"),
        (Status.RUNNING, "Busy"),
        (Status.SUCCESSFUL, None),
        (Status.FAILED, "The layers do not overlap."),
        (Status.DISMISSED, None),
    ],
)
def test_what_a_job_was_doing_is_told_until_it_has_ended(status, message):
    info = msgspec.json.decode(
        msgspec.json.encode(status_info(job(status, message="Busy", progress=40), URLS))
    )

    assert info.get("message") == message


def test_the_results_come_first_and_as_json():
    """Clients take the first link, or the first whose relation has `results` in it."""
    links = status_info(job(), PAGES).links

    assert (links[0].href, links[0].type) == ("https://example.org/jobs/0198/results", "application/json")
    assert [link.type for link in links if link.rel == RESULTS] == ["application/json", "text/html"]


def test_a_job_that_was_asked_for_nothing_has_no_results_link():
    info = status_info(job(asked=msgspec.structs.replace(asked(), outputs={})), URLS)

    assert not [link for link in info.links if "results" in link.rel]


def test_a_status_info_has_the_members_of_both_versions():
    info = msgspec.json.decode(msgspec.json.encode(status_info(job(progress=40, message="Busy"), URLS)))

    del info["links"]
    assert info == {
        "jobID": "0198",
        "id": "0198",
        "type": "process",
        "processingEntityType": "ogc-api-processes",
        "processID": "echo",
        "process": "https://example.org/processes/echo",
        "status": "successful",
        "progress": 100,
        "created": "2025-11-22T08:26:40.123Z",
        "started": "2025-11-22T08:26:40.128Z",
        "finished": "2025-11-22T08:26:41.123Z",
        "updated": "2025-11-22T08:26:41.123Z",
    }


def test_a_failed_job_tells_why():
    info = msgspec.json.decode(msgspec.json.encode(status_info(job(Status.FAILED), URLS)))

    assert info["message"] == "The layers do not overlap."
    assert info["exception"] == {
        "type": "about:blank", "title": "No overlap", "status": 422, "detail": "The layers do not overlap.",
    }  # fmt: skip


@pytest.mark.parametrize(("progress", "told"), [(None, None), (0, 0), (40, 40), (140, 100), (-1, 0)])
def test_progress_is_an_integer_between_0_and_100(progress, told):
    info = msgspec.json.decode(msgspec.json.encode(status_info(job(Status.RUNNING, progress=progress), URLS)))

    assert info.get("progress") == told


@pytest.mark.parametrize("urls", [URLS, PAGES])
@pytest.mark.parametrize("status", [status for status in Status if status is not Status.CREATED])
@pytest.mark.parametrize("version", ["v1.0", "v2.0"])
def test_status_infos_are_valid_by_both_versions(shared, version, status, urls):
    """/req/core/job-success; the times must be dates, nothing may be null."""
    for known in (job(status), job(status, message="x", progress=3, problem=JobProblem())):
        assert faults(shared, version, "statusInfo", status_info(known, urls)) == []
        assert (
            faults(
                shared,
                version,
                "jobList",
                job_list([known], urls, next_url="https://example.org/jobs?cursor=x"),
            )
            == []
        )


def test_a_page_of_jobs_links_to_its_neighbours():
    page = job_list([job()], URLS, self_url="S", next_url="N", prev_url="P")

    assert [(link.rel, link.href) for link in page.links] == [("self", "S"), ("next", "N"), ("prev", "P")]


@given(st.integers(0, 253_402_300_799_999))
def test_times_have_milliseconds_and_z(milliseconds):
    text = timestamp(milliseconds)

    assert len(text) == 24
    assert text.endswith("Z")
    assert round(datetime.fromisoformat(text).timestamp() * 1000) == milliseconds


@pytest.mark.parametrize("urls", [URLS, PAGES])
@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize(
    "told",
    [
        {},
        {"asked": AskedResults(outputs={})},
        {"has_results": False},
        {"keeps_inputs": True},
        {"listed": False},
    ],
)
def test_links_that_were_written_once_are_those_of_each_job(urls, status, told):
    for job_id in ("01a20601-17a6-7415-8d94-a6d85f15f293", "01a20601-17a6-7415-8d94-a6d85f15f294"):
        made = job(id=job_id, status=status, **told)
        usual = status_info(made, urls)
        written, link = status_and_link(made, urls)
        assert msgspec.json.encode(written) == msgspec.json.encode(usual)
        assert link.decode() == link_header(usual.links)


@pytest.mark.parametrize("urls", [URLS, PAGES])
@pytest.mark.parametrize(
    "told",
    [
        {},
        {"keeps_inputs": True},
        {"listed": False},
        {"max_attempts": 3},
        {"process_id": 'a"b%d,"created":"1970-01-01T00:00:00.000Z"'},
    ],
)
def test_what_is_said_of_an_accepted_job_was_written_once(urls, told):
    for job_id, created in (
        ("01a20601-17a6-7415-8d94-a6d85f15f293", 1_700_000_000_123),
        ("01a20601-17a6-7415-8d94-a6d85f15f294", 0),
    ):
        made = job(id=job_id, status=Status.ACCEPTED, created=created, **told)
        assert is_untouched(made)
        document, url = accepted_document(made, urls)
        assert document == msgspec.json.encode(status_info(made, urls))
        assert url.decode() == urls.job(job_id)


@pytest.mark.parametrize(
    "told",
    [
        {"status": Status.RUNNING},
        {"started": 1},
        {"updated": 1},
        {"attempt": 1},
        {"progress": 0},
        {"message": "half way"},
        {"reason": "worker-lost"},
        {"run_id": "01a20601-17a6-7415-8d94-a6d85f15f294"},
    ],
)
def test_a_job_to_which_something_happened_is_not_untouched(told):
    assert not is_untouched(job(**{"status": Status.ACCEPTED, **told}))
