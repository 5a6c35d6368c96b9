"""The filters of the job list, alone and together, through a real service (S1.5, job-list)."""

from urllib.parse import parse_qs, urlsplit

import pytest

EXCEPTIONS = "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0/"


@pytest.fixture(scope="module")
def jobs(client) -> list[dict]:
    """Status infos of jobs of three processes in three states, newest first, and nothing between them."""
    urls = []
    for number in range(3):
        urls.append(client.finished_job("greet", {"inputs": {"name": str(number)}}))
        urls.append(client.finished_job("refuse", {"inputs": {"how": "told"}}))
        urls.append(
            client.execute("echo", {"inputs": {"message": "x", "pause": 60}}, prefer="respond-async").headers[
                "location"
            ]
        )
        client.delete(urls[-1])
    return [client.get(url).json() for url in reversed(urls)]


def listed(client, jobs: list[dict], query: str) -> list[str]:
    """Ids on all pages of a query, as far back as the oldest of our jobs."""
    oldest = jobs[-1]["created"]
    found: list[str] = []
    url = f"/jobs?{query}"
    while url:
        page = client.get(url)
        assert page.status_code == 200, page.text
        found += [job["jobID"] for job in page.json()["jobs"] if job["created"] >= oldest]
        if any(job["created"] < oldest for job in page.json()["jobs"]):
            break
        url = next((link["href"] for link in page.json()["links"] if link["rel"] == "next"), "")
    return found


def ids(jobs: list[dict], **wanted: str) -> list[str]:
    return [
        job["jobID"] for job in jobs if all(job[name] in values.split(",") for name, values in wanted.items())
    ]


@pytest.mark.parametrize("limit", ["", "&limit=1", "&limit=2", "&limit=10000"])
@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("processID=greet", {"processID": "greet"}),
        ("processID=greet,echo", {"processID": "greet,echo"}),
        ("processID=greet&processID=refuse", {"processID": "greet,refuse"}),
        ("processID=greet,no-such-process", {"processID": "greet"}),
        ("status=failed", {"status": "failed"}),
        ("status=failed,dismissed", {"status": "failed,dismissed"}),
        ("status=failed&status=%20successful", {"status": "failed,successful"}),
        ("processID=greet,echo&status=successful", {"processID": "greet", "status": "successful"}),
        ("processID=greet&status=failed", {"processID": "greet", "status": "failed"}),
        ("type=process", {}),
        ("type=process&processID=echo&status=dismissed,failed", {"processID": "echo"}),
    ],
)
def test_jobs_of_a_process_or_state_are_listed(client, jobs, query, wanted, limit):
    assert listed(client, jobs, query + limit) == ids(jobs, **wanted)


def test_a_time_lists_the_jobs_that_were_created_in_it(client, jobs):
    created = [job["created"] for job in jobs]
    expected = [job["jobID"] for job in jobs]

    def between(interval: str) -> list[str]:
        return listed(client, jobs, f"datetime={interval}&limit=2")

    assert between(f"{created[-1]}/..") == expected
    assert between(f"{created[-1]}/") == expected
    assert between(f"{created[5]}/{created[2]}") == expected[2:6]
    assert between(f"{created[4]}/{created[4]}") == [expected[4]]
    assert between(created[4]) == [expected[4]]
    assert expected[4] in between(created[4][:19] + "Z")
    assert between(f"../{created[-1]}") == [expected[-1]]
    assert between(f"/{created[-1]}") == [expected[-1]]
    assert between(f"{created[-1].replace('Z', '000001Z')}/..") == expected[:-1]
    assert between(created[4].replace("Z", "%2B00:00")) == [expected[4]]
    assert between(created[4].replace("Z", "+00:00")) == [expected[4]]
    assert between("9999-01-01T00:00:00Z/..") == []
    assert between("../1969-01-01T00:00:00Z") == []
    assert between("../..")[:9] == expected


def test_durations_leave_out_what_never_ran(client, jobs):
    ran = [job["jobID"] for job in jobs if "started" in job]

    assert listed(client, jobs, "maxDuration=3600") == ran
    assert listed(client, jobs, "minDuration=0&maxDuration=3600&limit=1") == ran
    assert listed(client, jobs, "minDuration=0,3600&limit=3") == ran
    assert listed(client, jobs, "minDuration=3600") == []
    assert listed(client, jobs, "minDuration=0&status=failed") == ids(jobs, status="failed")
    assert listed(client, jobs, "minDuration=0&status=accepted") == []


def test_all_filters_together_narrow_each_other(client, jobs):
    query = f"type=process&processID=greet,refuse&status=successful&maxDuration=60&datetime={jobs[5]['created']}/.."

    assert listed(client, jobs, query + "&limit=1") == ids(jobs[:6], processID="greet")


def test_the_links_of_a_page_carry_its_filters_both_ways(client, jobs):
    query = "processID=greet&processID=refuse&status=failed,successful&maxDuration=60&limit=2"
    query += f"&datetime={jobs[-1]['created']}/.."
    pages = [client.get(f"/jobs?{query}").json()]
    while following := [link["href"] for link in pages[-1]["links"] if link["rel"] == "next"]:
        assert {**parse_qs(urlsplit(following[0]).query), "cursor": []} == {**parse_qs(query), "cursor": []}
        pages.append(client.get(following[0]).json())
    backwards = [pages[-1]]
    while previous := [link["href"] for link in backwards[-1]["links"] if link["rel"] == "prev"]:
        backwards.append(client.get(previous[0]).json())

    assert [len(page["jobs"]) for page in pages] == [2, 2, 2]
    assert [page["jobs"] for page in backwards[::-1] if page["jobs"]] == [page["jobs"] for page in pages]
    assert not [link for link in pages[0]["links"] if link["rel"] == "prev"]


def test_a_page_before_the_newest_job_is_the_first_page(client, jobs):
    first = client.get("/jobs?processID=refuse&limit=2").json()
    second = client.get(next(link["href"] for link in first["links"] if link["rel"] == "next")).json()
    back = next(link["href"] for link in second["links"] if link["rel"] == "prev")
    before = client.get(back).json()
    again = [link["href"] for link in before["links"] if link["rel"] == "prev"]

    assert before["jobs"] == first["jobs"]
    assert not again


@pytest.mark.parametrize(
    "query",
    [
        "status=done",
        "status=failed,done",
        "status=FAILED",
        "status=",
        "type=wps",
        "type=",
        "processID=",
        "processID=,",
        "datetime=yesterday",
        "datetime=",
        "datetime=2026-02-30T00:00:00Z",
        "datetime=2026-05-17T12:00:00Z/2026-05-17T11:00:00Z",
        "datetime=../..&datetime=../..",
        "minDuration=-1",
        "minDuration=1.5",
        "minDuration=soon",
        "maxDuration=",
        "maxDuration=1,x",
        "limit=0",
        "limit=x",
        "cursor=",
        "cursor=x",
        "cursor=am9icyB4",
        "cursor=cHJvY2Vzc2VzIGVjaG8",
        f"processID={','.join(map(str, range(101)))}",
    ],
)
def test_a_bad_value_is_a_problem_that_says_so(client, query):
    answer = client.get(f"/jobs?{query}")

    assert (answer.status_code, answer.json()["type"]) == (400, EXCEPTIONS + "invalid-query-parameter-value")
    assert len(answer.content) < 1000


def test_only_processes_that_nobody_knows_are_not_found(client, jobs):
    unknown = client.get("/jobs?processID=no-such-process,nor-this")

    assert (unknown.status_code, unknown.json()["type"]) == (404, EXCEPTIONS + "no-such-process")
    assert client.get("/jobs?processID=only-sync").json()["jobs"] == []
    assert client.get(f"/jobs?processID={'x' * 5000}").status_code == 404


def test_the_state_of_a_job_may_change_between_pages(client, jobs):
    """A cursor is a place in time, so nothing is lost or told twice when jobs end meanwhile."""
    first = client.get("/jobs?status=failed,successful,dismissed&limit=3").json()
    client.finished_job("greet", {"inputs": {"name": "late"}})
    following = next(link["href"] for link in first["links"] if link["rel"] == "next")
    second = client.get(following).json()

    assert [job["jobID"] for job in first["jobs"] + second["jobs"]] == ids(jobs)[:6]


def test_no_state_is_left_out_where_none_is_named(client, jobs):
    assert {job["status"] for job in client.get("/jobs?limit=1000").json()["jobs"]} >= {
        "successful",
        "failed",
        "dismissed",
    }
