"""What is told next to somebody who knows so much: every line once, of all else the newest, the end last."""

import json
from typing import Any

import pytest
from fastprocesses_host.ogc.events import Event, Position, Seen, ended, news
from fastprocesses_host.ogc.jobs import Status
from fastprocesses_host.ogc.links import Urls
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from tests.ogc.examples import job

URLS = Urls("https://example.org")

positions = st.builds(
    Position,
    lines=st.integers(0, 10**15 - 1),
    status=st.sampled_from(["", *Status]).map(str),
    attempt=st.integers(0, 999),
    percent=st.none() | st.integers(0, 100),
    message=st.sampled_from(["", "0a1b2c3d"]),
)


class Record(Struct):
    """A job as its record and its log tell it, of which the newest lines are kept."""

    status: Status = Status.ACCEPTED
    attempt: int = 0
    percent: int | None = None
    message: str = ""
    lines: int = 0
    kept: int = 0

    def seen_from(self, lines: int, limit: int) -> Seen:
        first = min(max(lines, self.lines - self.kept), self.lines)
        texts = [json.dumps({"text": str(number)}).encode() for number in range(first + 1, self.lines + 1)]
        now = job(self.status, attempt=self.attempt, progress=self.percent, message=self.message)
        return Seen(job=now, lines=texts[:limit], first=first, count=self.lines)


class Client(Struct):
    """What somebody has been told."""

    position: Position = Position()
    lines: list[int] = []
    status: str = ""
    percent: int | None = None
    message: str = ""

    def hear(self, event: Event) -> None:
        document: Any = json.loads(event.data)
        self.position = Position.read(event.position.id)
        match event.name:
            case "status":
                self.status, self.percent, self.message = (
                    document["status"],
                    document.get("progress"),
                    document.get("message", ""),
                )
            case "log" if "skipped" in document:
                self.lines += [0] * document["skipped"]
            case "log":
                assert document["number"] == int(document["text"]) == len(self.lines) + 1
                self.lines.append(document["number"])
            case "message":
                self.message = document["message"]
            case "progress":
                self.percent = document["progress"]


changes = st.one_of(
    st.tuples(st.just("lines"), st.integers(1, 5)),
    st.tuples(st.just("percent"), st.integers(-5, 120)),
    st.tuples(st.just("message"), st.sampled_from(["", "one", "two", "\u2028", "line\nend"])),
    st.tuples(st.just("forget"), st.integers(0, 3)),
    st.tuples(st.just("run"), st.just(0)),
    st.tuples(st.just("again"), st.just(0)),
    st.tuples(st.just("look"), st.integers(0, 6)),
)


def change(record: Record, what: str, value: Any) -> None:
    match what:
        case "lines":
            record.lines += value
            record.kept += value
        case "forget":
            record.kept = min(record.kept, value)
        case "percent" if record.status is Status.RUNNING:
            record.percent = value
        case "message" if record.status is Status.RUNNING:
            record.message = value or record.message
        case "run" if record.status is Status.ACCEPTED:
            record.status, record.attempt = Status.RUNNING, record.attempt + 1
        case "again" if record.status is Status.RUNNING:
            record.status, record.percent, record.message = Status.ACCEPTED, None, ""


def look(client: Client, record: Record, *, heard: int, limit: int) -> list[Event]:
    """Tell a client what is new, of which it hears so many events before its connection breaks."""
    events = news(client.position, record.seen_from(client.position.lines, limit), URLS)
    for event in events[:heard]:
        client.hear(event)
    return events


@given(st.lists(changes, max_size=30), st.integers(1, 4), st.sampled_from([Status.SUCCESSFUL, Status.FAILED]))
def test_whatever_breaks_in_between_each_line_is_told_once_and_the_newest_of_all_else(steps, limit, end):
    record, client = Record(), Client()
    for what, value in steps:
        change(record, what, value)
        if what == "look":
            look(client, record, heard=value, limit=limit)
    record.status = end
    while not client.position.is_end:
        assert look(client, record, heard=2, limit=limit), "it would never end"

    assert client.status == end
    assert len(client.lines) == record.lines
    assert client.lines.count(0) + record.kept <= record.lines or not client.lines.count(0)


@given(st.lists(changes, max_size=20), st.integers(1, 3))
def test_who_has_heard_all_knows_all_and_is_told_nothing_again(steps, limit):
    record, client = Record(), Client()
    for what, value in steps:
        change(record, what, value)
        if what == "look":
            look(client, record, heard=value, limit=limit)
    while look(client, record, heard=100, limit=limit):
        pass

    percent = None if record.percent is None else min(100, max(0, record.percent))
    assert (client.status, client.percent, client.message) == (record.status, percent, record.message)
    assert len(client.lines) == record.lines


def test_the_end_waits_for_the_log():
    seen = Record(Status.SUCCESSFUL, 1, 100, "last", 5, 5).seen_from(0, 3)

    assert [event.name for event in news(Position(), seen, URLS)] == [
        "log",
        "log",
        "log",
        "message",
        "progress",
    ]


def test_a_log_that_became_shorter_goes_on_from_its_end():
    """A store that was killed may have lost its last second."""
    seen = Record(Status.RUNNING, 1, None, "", 3, 3).seen_from(9, 10)
    told = Position(lines=9, status="running", attempt=1)

    assert news(told, seen, URLS) == []
    event = news(told, Record(Status.RUNNING, 1, 7, "", 3, 3).seen_from(9, 10), URLS)[0]
    assert event.position.lines == 3


@given(positions)
def test_an_id_tells_all_of_a_position(position: Position):
    assert Position.read(position.id) == position
    assert b"\n" not in position.id.encode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "17",
        "1.running.1.4",
        "1.running.1.400000.-",
        "x" * 100_000,
        "٣.running.1.-.-",
        "-1.-.0.-.-",
        "1.-.0.-.-\n",
    ],
)
def test_an_id_of_somebody_else_says_nothing(text: str):
    assert Position.read(text) == Position()


def test_events_are_lines_whatever_is_in_them():
    seen = Seen(job=job(Status.RUNNING, message="a\r\nb\u2028c"), lines=[b'{"text": "x\\ny\\rz"}'], count=1)
    for event in [*news(Position(), seen, URLS), ended(Position(), "final")]:
        name, last_id, data, *rest = event.encode().decode().split("\n")
        assert rest == ["", ""]
        assert "\r" not in data
        assert (name, last_id) == (f"event: {event.name}", f"id: {event.position.id}")
        assert json.loads(data.removeprefix("data: "))
