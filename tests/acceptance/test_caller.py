"""The commands of callers against a real service, as a user types them."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastprocesses_host.cli.commands import app
from fastprocesses_host.exits import Exit
from typer.testing import CliRunner

from tests.acceptance.service import COMMAND, Service, clean_environ, run_command

MANUAL = (Path(__file__).parents[2] / "server" / "README.md").read_text("utf-8")
BONN = {
    "type": "FeatureCollection",
    "features": [
        {
            "type": "Feature",
            "properties": {"name": "Bonn"},
            "geometry": {"type": "Point", "coordinates": [7.1, 50.7]},
        }
    ],
}


@pytest.fixture
def features(folder: Path) -> Path:
    path = folder / "in.geojson"
    path.write_text(json.dumps(BONN))
    return path


def call(service: Service, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run a command in this process, which takes a tenth of the time."""
    environ = {"FASTPROCESSES_SERVER": service.url, "COLUMNS": "200"}
    done = CliRunner(env=environ).invoke(app, arguments, input=stdin)
    return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout_bytes, done.stderr_bytes)


def test_the_processes_of_a_service_are_listed_and_described(running: Service):
    listed = call(running, "processes").stdout.decode().splitlines()
    described = call(running, "describe", "buffer").stdout.decode()
    document = json.loads(call(running, "describe", "buffer", "--json").stdout)

    assert listed[0].split() == ["ID", "VERSION", "TITLE"]
    assert any(line.startswith("buffer ") for line in listed)
    assert "distance" in described
    assert "round | flat | square" in described
    assert document["id"] == "buffer"


def test_a_file_goes_in_and_a_file_comes_out(running: Service, folder: Path, features: Path):
    out = folder / "out.geojson"
    done = call(
        running, "execute", "buffer", "-i", "distance=100", "-i", f"features=@{features}", "-o", str(out)
    )

    assert (done.returncode, done.stdout) == (0, b"")
    assert json.loads(out.read_text())["features"][0]["geometry"]["type"] == "Polygon"


@pytest.mark.parametrize("mode", [["--sync"], []])
def test_it_works_in_a_pipe(running: Service, mode: list[str]):
    done = subprocess.run(
        [COMMAND, "execute", "buffer", "-i", "distance=100", "-i", "features=@-", *mode],
        input=json.dumps(BONN).encode(),
        capture_output=True,
        timeout=60,
        env=clean_environ() | {"FASTPROCESSES_SERVER": running.url},
    )

    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout)["features"][0]["properties"] == {"name": "Bonn"}


def test_values_of_every_kind_arrive(running: Service, folder: Path):
    given = ["message=hi", "numbers=1", "numbers=2", "bbox=7,50,8,51", "text=<a/>", "mixed=true"]
    done = call(running, "execute", "echo", *(word for each in given for word in ("-i", each)))
    found = json.loads(done.stdout)

    assert found["message"] == "hi"
    assert found["numbers"] == [1, 2]
    assert found["bbox"]["bbox"] == [7, 50, 8, 51]
    assert found["text"] == "<a/>"
    assert found["mixed"] is True


def test_only_the_outputs_that_are_named_are_asked_for(running: Service, folder: Path):
    named = ["-o", f"message={folder}/message.txt", "-o", f"pause={folder}/pause.json"]
    done = call(running, "execute", "echo", "-i", "message=hi", *named)

    assert done.returncode == 0, done.stderr
    assert (folder / "message.txt").read_text() == "hi"
    assert (folder / "pause.json").read_text() == "0"


def test_outputs_go_into_a_folder_by_their_names(running: Service, folder: Path):
    call(running, "execute", "echo", "-i", "message=hi", "-i", "text=<a/>", "-o", f"{folder}/new/")

    assert (folder / "new" / "message.txt").read_text() == "hi"
    assert (folder / "new" / "text.xml").read_text() == "<a/>"


def test_an_input_that_does_not_fit_is_told_by_the_server(running: Service, features: Path):
    done = call(running, "execute", "buffer", "-i", "distance=-1", "-i", f"features=@{features}")

    assert done.returncode == Exit.REFUSED
    assert done.stderr.startswith(b"error: Invalid parameter value (400): ")
    assert b"distance" in done.stderr


def test_a_process_that_is_not_there_is_told(running: Service):
    done = call(running, "execute", "no/such process")

    assert done.returncode == Exit.REFUSED
    assert b"No such process (404)" in done.stderr


def test_a_job_is_left_alone_found_again_and_dismissed(running: Service):
    job = (
        call(running, "execute", "echo", "-i", "message=hi", "-i", "pause=60", "--no-wait")
        .stdout.decode()
        .strip()
    )
    running.await_status(f"/jobs/{job}", "running")

    told = json.loads(call(running, "status", job, "--json").stdout)
    early = call(running, "results", job)
    listed = json.loads(call(running, "jobs", "--process", "echo", "--status", "running", "--json").stdout)
    dismissed = call(running, "dismiss", job)
    afterwards = call(running, "status", job, "--watch")

    assert (told["jobID"], told["status"]) == (job, "running")
    assert early.returncode == Exit.REFUSED
    assert b"status" in early.stderr
    assert job in {each["jobID"] for each in listed["jobs"]}
    assert (dismissed.returncode, dismissed.stderr.decode()) == (0, f"The job {job} is dismissed.\n")
    assert afterwards.returncode == Exit.JOB
    assert b"is dismissed" in afterwards.stderr


def test_results_are_fetched_later(running: Service, folder: Path, features: Path):
    done = call(
        running, "execute", "buffer", "-i", "distance=1", "-i", f"features=@{features}", "--no-wait", "--json"
    )
    job = json.loads(done.stdout)["jobID"]

    assert call(running, "status", job, "--watch").returncode == 0
    assert json.loads(call(running, "results", job).stdout)["type"] == "FeatureCollection"
    assert call(running, "results", job, "-o", str(folder / "out.geojson")).returncode == 0
    assert json.loads((folder / "out.geojson").read_text())["type"] == "FeatureCollection"


def test_a_service_is_found_by_its_data_folder(running: Service):
    folder = next(line.split()[1] for line in running.lines if line.strip().startswith("Data"))
    done = run_command("processes", environ={"FASTPROCESSES_DATA_DIR": folder, "FASTPROCESSES_PORT": "9"})

    assert done.returncode == 0, done.stderr
    assert "buffer" in done.stdout


def test_without_a_service_the_port_of_the_settings_is_asked(folder: Path):
    done = run_command(
        "processes", environ={"FASTPROCESSES_DATA_DIR": str(folder), "FASTPROCESSES_PORT": "9"}
    )

    assert done.returncode == Exit.UNREACHABLE
    assert "No server answers at http://127.0.0.1:9" in done.stderr


@pytest.mark.timeout(120)
def test_what_the_manual_shows_works(running: Service, folder: Path):
    section = MANUAL.split("\n## Call a server\n", 1)[1].split("\n## ", 1)[0]
    block = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert block
    (folder / "places.geojson").write_text(json.dumps(BONN))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block[1]],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=110,
        env=clean_environ()
        | {"FASTPROCESSES_SERVER": running.url, "PATH": f"{Path(COMMAND).parent}:{os.environ['PATH']}"},
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((folder / "buffered.geojson").read_text())["type"] == "FeatureCollection"
    assert json.loads((folder / "outputs" / "numbers.json").read_text()) == [1, 2]
    assert "later" in done.stdout


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, service: Service, *arguments: str) -> None:
        primary, secondary = pty.openpty()
        self.process = subprocess.Popen(
            [COMMAND, *arguments],
            stdin=secondary,
            stdout=subprocess.PIPE,
            stderr=secondary,
            env=clean_environ() | {"FASTPROCESSES_SERVER": service.url, "TERM": "xterm", "COLUMNS": "120"},
        )
        os.close(secondary)
        self._primary = primary
        self.shown = ""

    def read_until(self, text: str, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while text not in self.shown:
            ready, _, _ = select.select([self._primary], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"{text!r} was not shown: {self.shown!r}"
            try:
                self.shown += os.read(self._primary, 65_536).decode("utf-8", "replace")
            except OSError as error:
                raise AssertionError(f"ended before it showed {text!r}: {self.shown!r}") from error

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()
        os.close(self._primary)


@pytest.fixture
def terminal(running: Service) -> Iterator[Any]:
    opened: list[Terminal] = []

    def open_(*arguments: str) -> Terminal:
        opened.append(Terminal(running, *arguments))
        return opened[-1]

    yield open_
    for each in opened:
        each.close()


def newest_job(service: Service) -> dict[str, Any]:
    found = json.loads(call(service, "jobs", "--limit", "1", "--json").stdout)["jobs"]
    return dict(found[0])


def test_progress_is_shown_on_a_terminal_and_a_result_apart_from_it(terminal: Any):
    shown = terminal("execute", "echo", "-i", "message=hi", "-i", "pause=4", "-o", "message=-")
    shown.read_until("Waiting for 4 s")
    shown.read_until(" %")

    assert shown.process.communicate(timeout=60)[0] == b"hi"
    assert shown.process.returncode == 0


def test_interrupting_the_wait_leaves_the_job_and_says_how_to_go_on(running: Service, terminal: Any):
    waiting = terminal("execute", "echo", "-i", "message=hi", "-i", "pause=60")
    waiting.read_until("Waiting for 60 s")
    job = newest_job(running)["jobID"]
    waiting.process.send_signal(signal.SIGINT)
    waiting.read_until("stops it")

    assert waiting.process.wait(60) == Exit.INTERRUPTED
    assert f"The job {job} goes on." in waiting.shown
    assert f"fastprocesses-host status --watch {job} --server {running.url}" in waiting.shown
    assert newest_job(running)["status"] == "running"
    assert call(running, "dismiss", job).returncode == 0


def test_interrupting_stops_the_job_where_that_was_said(running: Service, terminal: Any):
    waiting = terminal("execute", "echo", "-i", "message=hi", "-i", "pause=60", "--dismiss-on-interrupt")
    waiting.read_until("Waiting for 60 s")
    job = newest_job(running)["jobID"]
    waiting.process.send_signal(signal.SIGINT)
    waiting.read_until(f"The job {job} is dismissed.")

    assert waiting.process.wait(60) == Exit.INTERRUPTED
    assert newest_job(running)["status"] == "dismissed"
