"""Jobs followed by events, of servers that send them well, badly, or not at all."""

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from fastprocesses_host.cli.commands import app
from fastprocesses_host.cli.following import TooLong, lines_of
from fastprocesses_host.exits import Exit
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from tests.cli.foreign import ForeignServer, foreign_server

STREAM = "text/event-stream"
LINKS = [{"href": "j/events", "rel": "events", "type": f"{STREAM};charset=utf-8"}]
RUNNING = {"jobID": "j", "status": "running", "links": LINKS}
SUCCESSFUL = {"jobID": "j", "status": "successful", "links": LINKS}


@pytest.fixture
def server() -> Iterator[ForeignServer]:
    with foreign_server() as started:
        yield started


def event(name: str, last_id: str = "", **document: Any) -> bytes:
    return f"event: {name}\nid: {last_id}\ndata: {json.dumps(document)}\n\n".encode()


def stream(server: ForeignServer, *pieces: bytes, media_type: str = STREAM, status: int = 200) -> None:
    server.page("/jobs/j/events", b"".join(pieces), status, Content_Type=media_type)


def watch(server: ForeignServer, *options: str) -> Result:
    environ = {"FASTPROCESSES_SERVER": server.url}
    return CliRunner(env=environ).invoke(app, ["status", "j", "--watch", *options])


def asked(server: ForeignServer, path: str) -> list[dict[str, str]]:
    return [headers for _, told, headers, _ in server.asked if told == path]


def test_lines_of_the_log_are_shown_and_the_end_is_heard(server: ForeignServer):
    server.jobs["j"] = [RUNNING]
    stream(
        server,
        b"\xef\xbb\xbfretry: 10\r\n: hello\r\r",
        event("log", "1", text="one\x1b[31m", fields={"n": 1}),
        event("log", "2", text="two \x85\u2028 lines", level="warning"),
        event("status", "3", **SUCCESSFUL | {"progress": 100}),
    )
    done = watch(server, "--log")

    assert done.stderr.splitlines() == ['info    one\\x1b[31m {"n":1}', "warning two \\x85\\u2028 lines"]
    assert "successful" in done.stdout
    assert "100 %" in done.stdout
    assert done.exit_code == 0
    assert len(asked(server, "/jobs/j")) == 1, "who hears has no need to ask"
    assert asked(server, "/jobs/j/events")[0]["Accept"] == STREAM


@pytest.mark.parametrize("options", [(), ("--no-log",)])
def test_the_log_is_not_shown_in_a_pipe_unless_it_is_wanted(server: ForeignServer, options: tuple[str, ...]):
    server.jobs["j"] = [RUNNING]
    stream(server, event("log", text="one"), event("status", **SUCCESSFUL))

    assert watch(server, *options).stderr == ""


def test_a_connection_that_is_lost_is_taken_up_where_it_was(server: ForeignServer):
    server.jobs["j"] = [RUNNING, RUNNING, RUNNING, SUCCESSFUL]
    stream(server, event("progress", "7.x", progress=40))
    done = watch(server)

    assert done.exit_code == 0
    assert [headers.get("Last-Event-ID") for headers in asked(server, "/jobs/j/events")] == [
        None,
        "7.x",
        "7.x",
    ]


@pytest.mark.parametrize(
    ("content", "media_type", "status"),
    [
        (b"<p>Nothing</p>", "text/html", 404),
        (b"{}", "application/json", 200),
        (b"", STREAM, 200),
        (b"data: no JSON\n\ndata: [1]\n\nevent: ping\ndata: {}\n\n", STREAM, 200),
        (b"event: status\ndata: {", STREAM, 200),
        (b"data: " + b"x" * 5_000_000, STREAM, 200),
        (b"data: x\n" * 2000, STREAM, 200),
        (b"", STREAM, 204),
        (b"{}", "application/problem+json", 429),
        (b"{}", "application/problem+json", 503),
    ],
)
def test_a_stream_that_is_of_no_use_is_left_for_asking(
    server: ForeignServer, content: bytes, media_type: str, status: int
):
    server.jobs["j"] = [RUNNING, RUNNING, SUCCESSFUL]
    stream(server, content, media_type=media_type, status=status)
    done = watch(server)

    assert (done.exit_code, done.stderr) == (0, "")
    assert len(asked(server, "/jobs/j/events")) == 1
    assert len(asked(server, "/jobs/j")) == 3


def test_a_job_that_fails_in_its_stream_fails_the_command(server: ForeignServer):
    server.jobs["j"] = [RUNNING]
    stream(server, event("status", status="failed", exception={"title": "Wet", "detail": "It rained."}))
    done = watch(server)

    assert done.exit_code == Exit.JOB
    assert "It rained." in done.stderr


def test_credentials_are_not_sent_to_another_server_that_a_link_names(server: ForeignServer):
    with foreign_server() as other:
        stream(other, event("status", **SUCCESSFUL))
        link = LINKS[0] | {"href": other.url + "/jobs/j/events"}
        server.jobs["j"] = [RUNNING | {"links": [link]}]
        done = watch(server, "--token", "secret")

        assert done.exit_code == 0, done.output
        assert "Authorization" in server.asked[0][2]
        assert "Authorization" not in other.asked[0][2]


@given(
    st.lists(st.sampled_from([b"", b"data: x", b": y", "\x85\u2028é".encode()]), max_size=8),
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
    st.lists(st.integers(0, 60), max_size=6),
)
def test_lines_end_alike_however_they_arrive(lines: list[bytes], end: bytes, cuts: list[int]):
    whole = b"".join(line + end for line in lines) + b"rest"
    places = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    pieces = [whole[start:stop] for start, stop in pairwise(places)]

    assert list(lines_of(pieces)) == lines


def test_a_line_without_an_end_is_not_held():
    with pytest.raises(TooLong):
        list(lines_of(b"x" * 1_000_000 for _ in range(100)))
