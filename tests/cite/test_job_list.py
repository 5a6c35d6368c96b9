"""The suite's checks of the job list; they run last there, so that there are jobs."""

import pytest


@pytest.fixture
def listed(suite, echo):
    assert suite.execute(echo.request(), prefer="respond-async").status == 201
    return suite.get("/jobs")


@pytest.mark.cite("JobList.testJobList")
@pytest.mark.requirement("/req/job-list/job-list-op")
def test_job_list(listed):
    assert listed.json["jobs"]


@pytest.mark.cite("JobList.testJobListSuccess")
@pytest.mark.requirement("/req/job-list/job-list-success")
def test_job_list_success(listed, judge):
    judge.document("jobList", listed.json)
