"""Log lines, as a terminal and as a program get them."""

import json
import subprocess
import sys

import pytest
from fastprocesses_host.logs import render_console, render_json, stamper
from hypothesis import given
from hypothesis import strategies as st

SCRIPT = """
import logging, sys, warnings
from fastprocesses_host.logs import configure_logging, get_logger, job_context
from fastprocesses_host.settings import Settings
configure_logging(Settings(log_level=sys.argv[2], log_format=sys.argv[1]), "worker")
log = get_logger()
with job_context("0190-abcd"):
    log.info("job started", process="echo")
    logging.getLogger("somebody").warning("theirs: %s", 1)
    try:
        1 / 0
    except ZeroDivisionError:
        log.exception("it broke")
log.debug("a detail")
logging.getLogger("dramatiq.worker").info("chatter")
print("rich" in sys.modules)
"""


def logged(log_format: str, level: str = "info") -> tuple[str, str]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, log_format, level],
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )
    return done.stdout, done.stderr


@pytest.mark.parametrize("log_format", ["json", "auto"])
def test_a_program_gets_one_json_document_a_line(log_format: str):
    _, text = logged(log_format)
    ours, theirs, broke = (json.loads(line) for line in text.splitlines())

    assert list(ours)[:4] == ["time", "level", "part", "message"]
    assert (ours["message"], ours["process"], ours["job_id"]) == ("job started", "echo", "0190-abcd")
    assert (theirs["message"], theirs["level"], theirs["part"]) == ("theirs: 1", "warning", "worker")
    assert theirs["job_id"] == "0190-abcd"
    assert broke["exception"].endswith("ZeroDivisionError: division by zero")


def test_a_reader_gets_short_lines_with_the_job():
    _, text = logged("console")
    lines = text.splitlines()

    assert lines[0][8:] == " info    worker  job started  process=echo job_id=0190-abcd"
    assert "Traceback" in text


def test_debug_shows_what_libraries_chat():
    assert "a detail" in logged("json", "debug")[1]
    assert "chatter" in logged("json", "debug")[1]


def test_logging_does_not_import_what_it_does_not_use():
    assert logged("json")[0].strip() == "False"


names = st.sampled_from(["event", "message", "level", "part", "time", "job_id", "exception"]) | st.text(
    max_size=10
)
events = st.dictionaries(names, st.text(max_size=40))


@given(events, st.booleans())
def test_no_value_can_write_a_line_or_a_control_sequence_of_its_own(event: dict[str, str], colour: bool):
    told = render_console(
        {name: value for name, value in event.items() if name != "exception"}, colour=colour
    )

    assert "\n" not in told
    allowed = {"\x1b"} if colour else set()
    assert (
        not {character for character in told if ord(character) < 32 or 127 <= ord(character) < 160} - allowed
    )


@given(events)
def test_every_event_is_one_json_line(event: dict[str, str]):
    line = render_json(stamper("host")(None, "info", dict(event)))

    assert b"\n" not in line
    read = json.loads(line)
    assert read["message"] == event.get("event", "")
    assert read.get("message_") == event.get("message", event.get("message_"))


def test_a_log_that_takes_no_lines_breaks_nothing():
    full = "import os; os.dup2(os.open('/dev/full', os.O_WRONLY), 2)"
    done = subprocess.run(
        [sys.executable, "-c", f"{full}\n{SCRIPT}\nprint('done')", "json", "info"],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert done.stdout.splitlines()[-1] == "done"
