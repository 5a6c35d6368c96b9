"""`fastprocesses-host run` as a user meets it: one command, stopped, killed, started again."""

import json
import signal
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from fastprocesses_host.exits import Exit
from fastprocesses_host.private_store import private_store

from tests.acceptance.service import Service, run_command, service, survivors
from tests.support import wait_until

MISBEHAVING = Path(__file__).parents[1] / "plugins"


def test_the_start_tells_url_processes_plugins_data_and_how_to_stop(running: Service):
    text = "\n".join(running.lines)

    assert running.url.startswith("http://127.0.0.1:")
    assert all(f" {process}  " in text for process in ("echo", "buffer", "centroid", "measure"))
    assert "fastprocesses-vector 0." in text
    assert running.wait_for_line("Data").endswith("/data")
    assert running.wait_for_line("Stop") == "Stop       Ctrl-C"


def test_a_process_is_executed_and_its_answer_is_the_result(running: Service):
    answer = running.execute("echo", {"message": "hello", "numbers": [1, 2]})

    assert answer.status == 200
    assert answer.json["message"] == "hello"
    assert answer.json["numbers"] == [1, 2]


def test_a_job_is_accepted_watched_and_its_results_fetched(running: Service):
    accepted = running.execute("echo", {"message": "later"}, asynchronous=True)
    final = running.await_status(accepted.headers["Location"], "successful")
    results = running.ask("GET", accepted.headers["Location"] + "/results")

    assert accepted.status == 201
    assert accepted.json["jobID"] == final["jobID"]
    assert results.json["message"] == "later"


def test_a_running_job_is_stopped_within_three_seconds(running: Service):
    location = running.execute("echo", {"message": "slow", "pause": 60}, asynchronous=True).headers[
        "Location"
    ]
    running.await_status(location, "running")
    executors = [process for process in running.tree() if "fastprocesses_sdk.executor" in _line(process)]

    assert running.ask("DELETE", location).json["status"] == "dismissed"
    wait_until(lambda: any(not _is_there(process) for process in executors), 3 + 6, "the end of the executor")


def test_a_second_start_on_the_same_data_is_refused_with_the_process_that_has_it(running: Service):
    data = running.wait_for_line("Data").split(maxsplit=1)[1]
    done = run_command("run", "--port", "0", "--data-dir", data)

    assert done.returncode == Exit.IN_USE
    assert f"The data folder {data} is in use by process {running.process.pid}." in done.stderr


def test_a_port_in_use_is_refused(running: Service, folder: Path):
    port = running.url.rsplit(":", 1)[1]
    done = run_command("run", "--port", port, "--data-dir", str(folder))

    assert done.returncode == Exit.IN_USE
    assert f"127.0.0.1:{port} is in use by another program" in done.stderr


@pytest.mark.parametrize("part", ["valkey-server", "host", "worker"])
def test_a_part_that_dies_is_started_again_and_jobs_go_on(running: Service, part: str):
    location = running.execute("echo", {"message": "before"}, asynchronous=True).headers["Location"]
    running.await_status(location, "successful")
    child = running.child(part)
    family = [child, *child.children(recursive=True)]
    child.kill()
    assert survivors(family) == []

    def goes_on() -> bool:
        with suppress(OSError):
            answer = running.execute("echo", {"message": "after"})
            return answer.status == 200 and bool(answer.json["message"] == "after")
        return False

    wait_until(goes_on, 20, "the next job")
    assert running.ask("GET", location + "/results").json["message"] == "before"


def test_jobs_and_results_are_there_after_stop_and_start(folder: Path):
    environ = {"FASTPROCESSES_DRAIN_SECONDS": "4", "FASTPROCESSES_RECORD_SYNC_JOBS": "true"}
    with service(folder, environ=environ) as first, ThreadPoolExecutor(1) as pool:
        done = first.execute("echo", {"message": "kept"}, asynchronous=True).headers["Location"]
        first.await_status(done, "successful")
        waiting = pool.submit(first.execute, "echo", {"message": "busy", "pause": 60})
        wait_until(lambda: '"running"' in first.ask("GET", "/jobs").body.decode(), 40, "the job")
        tree, runtime_dir = first.tree(), _runtime_dir(first)
        began = time.monotonic()

        assert first.stop(signal.SIGINT) == Exit.OK
        assert time.monotonic() - began < 4 + 7
        assert survivors(tree, 3) == []
        assert not runtime_dir.exists()
        assert waiting.result().status == 503, "who waits is told to come back"

    with service(folder, environ={"PYTHONPATH": str(MISBEHAVING)}) as second:
        path = done.removeprefix(first.url)
        assert second.ask("GET", path).json["status"] == "successful"
        assert second.ask("GET", path + "/results").json["message"] == "kept"
        wait_until(lambda: second.ask("GET", "/processes/family").status == 200, 40, "the plugin")
        mark = folder / "mark"
        second.execute("family", {"seconds": 600, "mark": str(mark)}, asynchronous=True)
        wait_until(mark.exists, 40, "the job's children")
        tree = second.tree()
        second.process.kill()

        assert second.process.wait(5) == -signal.SIGKILL
        daemon = int((folder / "mark.daemon").read_text())
        assert daemon in {process.pid for process in tree}, "a grandchild in a session of its own"
        assert survivors(tree) == []


def test_what_a_killed_start_left_is_cleaned_up_by_the_next(folder: Path):
    left = Path(tempfile.mkdtemp(prefix="fastprocesses-run-"))
    (left / "store.sock").touch()
    (folder / "lock").write_text(json.dumps({"pid": 1, "runtime_dir": str(left)}))

    with private_store(folder) as store:
        assert not left.exists()
        assert store.socket.parent.stat().st_mode & 0o777 == 0o700
        assert len(bytes(store.socket)) < 100
    assert not store.socket.parent.exists()


def test_a_folder_of_others_is_never_cleaned_up(folder: Path):
    theirs = folder / "theirs"
    theirs.mkdir()
    (folder / "lock").write_text(json.dumps({"runtime_dir": str(theirs)}))

    with private_store(folder):
        assert theirs.exists()


def test_listening_beyond_loopback_without_authentication_is_warned_of(folder: Path):
    with Service(folder, "--host", "0.0.0.0", "--data-dir", str(folder / "data"), wait=False) as command:
        wait_until(lambda: "there is no authentication" in command.log.read_text(), 20, "the warning")


def _runtime_dir(running: Service) -> Path:
    title = " ".join(running.child("valkey-server").cmdline())
    return Path(title.split("unixsocket:")[1].split()[0]).parent


def _line(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def _is_there(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
