"""The lines of a job's log as they are stored, told and written as text."""

import msgspec
from fastprocesses_host.ogc.job_log import as_text, job_log, log_lines
from fastprocesses_host.ogc.links import Urls
from hypothesis import given
from hypothesis import strategies as st

from tests.ogc.examples import job

STORED = [
    b'{"time":1763800000123,"level":"warning","text":"Reading","fields":{"n":2}}',
    b'{"level":"info","text":"x"}',
]


def test_lines_are_told_without_what_they_do_not_have():
    told = msgspec.json.decode(msgspec.json.encode(log_lines(STORED)))

    assert told == [
        {"time": "2025-11-22T08:26:40.123Z", "level": "warning", "text": "Reading", "fields": {"n": 2}},
        {"level": "info", "text": "x"},
    ]


def test_lines_are_written_one_each():
    assert as_text(log_lines(STORED)) == ('2025-11-22T08:26:40.123Z warning Reading {"n":2}\ninfo    x\n')


@given(st.text())
def test_whatever_was_written_stays_one_line_of_plain_text(text):
    line = msgspec.json.encode({"level": "info", "text": text})
    written = as_text(log_lines([line]))

    assert len(written.splitlines()) == 1
    assert "\x1b" not in written


def test_the_document_says_how_many_lines_there_are_and_leads_back():
    told = job_log(job(), log_lines(STORED), 7, Urls("https://example.org"))

    assert (told.job_id, told.number_of_lines, len(told.lines)) == ("0198", 7, 2)
    assert {link.rel: link.href for link in told.links} == {
        "self": "https://example.org/jobs/0198/log",
        "alternate": "https://example.org/jobs/0198/log?f=text",
        "up": "https://example.org/jobs/0198",
    }
