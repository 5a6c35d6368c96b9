"""A job as the standard sees it: its states, what it keeps of its request, its status info."""

from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, Literal
from uuid import uuid4

import msgspec
from fastprocesses_sdk.description import Link
from msgspec import UNSET, Raw, Struct, UnsetType, field

from fastprocesses_host.ogc.links import (
    EVENT_STREAM,
    EVENTS,
    HTML,
    JSON,
    Urls,
    as_html,
    link_header,
    page_links,
)


class Status(StrEnum):
    """The states of a job (Part 1, statusCode.yaml; `created` is Part 4)."""

    CREATED = "created"
    ACCEPTED = "accepted"
    RUNNING = "running"
    SUCCESSFUL = "successful"
    FAILED = "failed"
    DISMISSED = "dismissed"

    @property
    def is_final(self) -> bool:
        """Whether a job in this state never changes again."""
        return self in _FINAL


_ACCEPTED, _SUCCESSFUL, _FAILED = Status.ACCEPTED, Status.SUCCESSFUL, Status.FAILED
"""In Python 3.11 each look into the class is a call."""
_FINAL = (_SUCCESSFUL, _FAILED, Status.DISMISSED)


class AskedOutput(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an execute request says of one output (output.yaml)."""

    media_type: str = ""
    encoding: str = ""
    schema: str | dict[str, Any] = ""
    transmission_mode: Literal["", "value", "reference"] = ""


class AskedResults(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How the execute request wants its results; kept with the job, it governs `/results` (S2.7 row 1)."""

    outputs: dict[str, AskedOutput] | None = None
    """None: every output; empty: none."""
    response: Literal["", "raw", "document"] = ""
    dialect: Literal["1.0", "2.0"] = "2.0"
    accept: str = ""
    return_preference: Literal["", "minimal", "representation"] = ""
    profile: bool = False
    """The profile ogc-results was asked for."""


class JobProblem(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a job failed, as its caller is told (RFC 9457)."""

    type: str = "about:blank"
    title: str = "The process failed"
    status: int = 500
    detail: str = ""
    errors: list[dict[str, str]] = field(default_factory=list)


class OutputValue(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One stored output value, without its bytes."""

    form: Literal["json", "text", "binary"]
    """`json`: the bytes are a JSON document; `text`: UTF-8 text; `binary`: anything."""
    media_type: str
    length: int
    """Size in bytes."""
    location: str = ""
    """URL in the value store; empty: the bytes lie in the store itself."""


class Job(Struct, frozen=True, kw_only=True):
    """One job as its record tells it. Times are milliseconds of the store's clock since 1970."""

    id: str
    process_id: str
    status: Status
    created: int
    process_version: str = ""
    description_digest: str = ""
    environment: str = "default"
    started: int | None = None
    finished: int | None = None
    updated: int | None = None
    expires: int | None = None
    results_expire: int | None = None
    """When the results are removed, where that is before the job is."""
    has_results: bool = True
    """False: they have been removed."""
    log_expires: int | None = None
    keeps_inputs: bool = False
    progress: int | None = None
    message: str = ""
    mode: Literal["sync", "async"] = "async"
    listed: bool = True
    owner: str = ""
    attempt: int = 0
    max_attempts: int = 1
    asked: AskedResults = AskedResults()
    outputs: dict[str, OutputValue] = field(default_factory=dict)
    reason: str = ""
    """Machine-readable reason of a failure, for instance `timeout` or `worker-lost`."""
    problem: JobProblem | None = None
    values: dict[str, bytes] = field(default_factory=dict)
    """Small output values that came along with the record; others are read one by one."""
    run_id: str = ""
    """The run that has the values, where it may be shared with other jobs; empty: the job's own."""
    is_joined: bool = False
    """The run was under way when the job came."""
    results_age_ms: int | None = None
    """How old the results were when the job came; None: they were made for it."""

    @property
    def values_of(self) -> str:
        """Id under which the values lie."""
        return self.run_id or self.id


class Problem(Struct, frozen=True, kw_only=True):
    """Why a job failed, as its status info tells it (exception.yaml)."""

    type: str
    title: str
    status: int
    detail: str | UnsetType = UNSET
    errors: list[dict[str, str]] | UnsetType = UNSET


class StatusInfo(
    Struct,
    frozen=True,
    kw_only=True,
    rename={
        "job_id": "jobID",
        "process_id": "processID",
        "processing_entity_type": "processingEntityType",
        "results_expire": "fastprocesses:resultsExpire",
        "attempts": "fastprocesses:attempts",
        "reason": "fastprocesses:reason",
    },
):
    """A job as its status resource shows it, with the members of 1.0 and 2.0 (S2.7 row 3)."""

    job_id: str
    id: str
    type: Literal["process"] = "process"
    processing_entity_type: Literal["ogc-api-processes"] = "ogc-api-processes"
    process_id: str
    process: str
    status: Status
    message: str | UnsetType = UNSET
    progress: int | UnsetType = UNSET
    created: str
    started: str | UnsetType = UNSET
    finished: str | UnsetType = UNSET
    updated: str | UnsetType = UNSET
    expires: str | UnsetType = UNSET
    """When the job is removed, with all that belongs to it; known once it has ended."""
    results_expire: str | UnsetType = UNSET
    """When its results are, where that is earlier; it may be past."""
    exception: Problem | UnsetType = UNSET
    attempts: int | UnsetType = UNSET
    """Runs that were begun; of jobs that may have several."""
    reason: str | UnsetType = UNSET
    """Why the job ended without results, or its last run did: `timeout`, `worker-lost`, `crashed`, …"""
    links: list[Link] | Raw


class JobList(Struct, frozen=True, kw_only=True):
    """A page of the job list (jobList.yaml)."""

    jobs: list[StatusInfo]
    links: list[Link]


def status_info(job: Job, urls: Urls) -> StatusInfo:
    """Give a job's status info (/req/core/job-success, /rec/core/job-status)."""
    return _status_info(job, urls.process(job.process_id), job_links(job, urls))


def status_and_link(job: Job, urls: Urls) -> tuple[StatusInfo, bytes]:
    """Give a job's status info with its links as they are written, and the Link header that says the same, written too.

    The links of jobs that are alike differ in the ids of these alone, so they are written once.
    """
    document, header, process_url = _written_links(
        urls,
        job.process_id,
        job.status,
        has_results=job.has_results and job.asked.outputs != {},
        keeps_inputs=job.keeps_inputs,
        listed=job.listed,
    )
    written = job.id.encode()
    return _status_info(job, process_url, Raw(written.join(document))), written.join(header)


def is_untouched(job: Job) -> bool:
    """Tell whether a job has been accepted, and nothing else has happened to it."""
    return (
        job.status is _ACCEPTED
        and job.updated is None
        and job.started is None
        and job.progress is None
        and not (job.run_id or job.attempt or job.message or job.reason)
    )


def accepted_document(job: Job, urls: Urls) -> tuple[bytes, bytes]:
    """Write the status info of an untouched job, and its URL; those of jobs that are alike differ in id and time."""
    before, after, url = _written_accepted(
        urls, job.process_id, job.keeps_inputs, job.listed, job.max_attempts
    )
    job_id, time = job.id.encode(), timestamp(job.created).encode()
    document = b"".join([job_id.join(before), time, b'","updated":"', time, job_id.join(after)])
    return document, url + job_id


@lru_cache(maxsize=256)
def _written_accepted(
    urls: Urls,
    process_id: str,
    keeps_inputs: bool,
    listed: bool,
    max_attempts: int,
) -> tuple[list[bytes], list[bytes], bytes]:
    """Give what stands before the times in such a document, and after them, both parted at the id of the job.

    And what stands before the id in its URL.
    """
    job = Job(
        id=_ANY_JOB,
        process_id=process_id,
        status=_ACCEPTED,
        created=0,
        keeps_inputs=keeps_inputs,
        listed=listed,
        max_attempts=max_attempts,
    )
    time = f'"{timestamp(0)}"'.encode()  # nowhere else: in a text its quotes would be escaped
    before, _, after = msgspec.json.encode(status_info(job, urls)).split(time)
    url = urls.job(_ANY_JOB).removesuffix(_ANY_JOB).encode("latin-1")
    return (before + b'"').split(_ANY_JOB.encode()), (b'"' + after).split(_ANY_JOB.encode()), url


_ANY_JOB = str(uuid4())
"""Stands for the id of a job in links; new in each process, so that it stands nowhere else."""


@lru_cache(maxsize=256)
def _written_links(
    urls: Urls, process_id: str, status: Status, *, has_results: bool, keeps_inputs: bool, listed: bool
) -> tuple[list[bytes], list[bytes], str]:
    """Give the links of a job and its Link header, both parted where the id of the job stands; and its process' URL."""
    job = Job(
        id=_ANY_JOB,
        process_id=process_id,
        status=status,
        created=0,
        has_results=has_results,
        keeps_inputs=keeps_inputs,
        listed=listed,
    )
    links = job_links(job, urls)
    any_job = _ANY_JOB.encode()
    document, header = msgspec.json.encode(links), link_header(links).encode("latin-1")
    return document.split(any_job), header.split(any_job), urls.process(process_id)


def _status_info(job: Job, process_url: str, links: list[Link] | Raw) -> StatusInfo:
    job_id, status, created = job.id, job.status, timestamp(job.created)
    told = _times(job, created)
    if message := _message(job):
        told["message"] = message
    if status is _SUCCESSFUL:
        told["progress"] = 100
    elif job.progress is not None:
        told["progress"] = min(100, max(0, job.progress))
    if status is _FAILED:
        told["exception"] = _told(job.problem)
    if job.attempt > 1 or job.max_attempts > 1:
        told["attempts"] = job.attempt
    if job.reason and status is not _SUCCESSFUL:
        told["reason"] = job.reason
    return StatusInfo(
        job_id=job_id,
        id=job_id,
        process_id=job.process_id,
        process=process_url,
        status=status,
        created=created,
        links=links,
        **told,
    )


def _times(job: Job, created: str) -> dict[str, Any]:
    """Tell when what happened to a job, as far as it has; the same time is written once."""
    times: dict[str, Any] = {"updated": created}
    if job.started is not None:
        times["started"] = timestamp(job.started)
    if job.finished is not None:
        times["finished"] = timestamp(job.finished)
    if job.updated is not None:
        times["updated"] = times["finished"] if job.updated == job.finished else timestamp(job.updated)
    if job.expires is not None:
        times["expires"] = timestamp(job.expires)
    if job.results_expire is not None:
        times["results_expire"] = timestamp(job.results_expire)
    return times


def job_list(
    jobs: Iterable[Job], urls: Urls, *, self_url: str = "", next_url: str = "", prev_url: str = ""
) -> JobList:
    """Give a page of the job list (/req/job-list/job-list-success, /req/job-list/links).

    Args:
        jobs: Of this page.
        urls: Where things are.
        self_url: The address asked for, its query included.
        next_url: The next page; empty: there is none.
        prev_url: The page before; empty: there is none.
    """
    links = page_links(urls, self_url or urls.jobs(), "Jobs", next_url=next_url, prev_url=prev_url)
    return JobList(jobs=[status_info(job, urls) for job in jobs], links=links)


def job_links(job: Job, urls: Urls) -> list[Link]:
    """Link from a job to what belongs to it; the results come first once there are any (S1.4)."""
    links = [*_results_links(job, urls)]
    status_url = urls.job(job.id)
    links += [
        Link(href=status_url, rel="self", type=JSON, title="This document"),
        Link(href=status_url, rel="monitor", type=JSON, title="Status of the job"),
    ]
    if urls.html:
        links.append(
            Link(href=as_html(status_url), rel="alternate", type=HTML, title="Status of the job (HTML)")
        )
    if job.status is _FAILED:
        links += urls.ogc("exceptions", urls.results(job.id), "Why the job failed")
    if job.keeps_inputs:
        links += urls.ogc("job-inputs", urls.inputs(job.id), "Inputs of the job")
    if job.listed:
        title = "What happens to the job, as it happens"
        links.append(Link(href=urls.events(job.id), rel=EVENTS, type=EVENT_STREAM, title=title))
    if urls.logs:
        links += urls.ogc("log", urls.log(job.id), "Log of the job")
    links.append(Link(href=urls.process(job.process_id), rel="up", type=JSON, title="The process"))
    return links + urls.ogc("job-list", urls.jobs(), "Jobs")


def timestamp(milliseconds: int) -> str:
    """Give a time as RFC 3339 has it, in UTC with milliseconds and Z."""
    return f"{_second(milliseconds // 1000)}.{milliseconds % 1000:03d}Z"


@lru_cache(maxsize=1024)
def _second(seconds: int) -> str:
    """Write a second; jobs of one time share it, and one that is asked for again has it already."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]


def _results_links(job: Job, urls: Urls) -> list[Link]:
    if job.status is not _SUCCESSFUL or job.asked.outputs == {} or not job.has_results:
        return []
    url = urls.results(job.id)
    links = urls.ogc("results", url, "Results")
    if urls.html:
        links += urls.ogc("results", as_html(url), "Results (HTML)", media_type=HTML)[:1]
    return links


def _message(job: Job) -> str:
    """Give what is worth telling now: what a job was doing last says nothing of one that has ended."""
    status = job.status
    if status is _SUCCESSFUL:
        return _source(job)
    if status is _FAILED and job.problem:
        return job.problem.detail or job.problem.title
    return "" if status.is_final else job.message


def _source(job: Job) -> str:
    """Tell where the results of a job come from that were not made for it alone."""
    if job.results_age_ms is not None:
        seconds = job.results_age_ms // 1000
        return f"The results are those of an equal request, made {seconds} s before this one."
    return "The results are those of a run that was under way for an equal request." if job.is_joined else ""


def _told(problem: JobProblem | None) -> Problem | UnsetType:
    if problem is None:
        return UNSET
    return Problem(
        type=problem.type,
        title=problem.title,
        status=problem.status,
        detail=problem.detail or UNSET,
        errors=problem.errors or UNSET,
    )
