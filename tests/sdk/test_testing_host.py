"""The fixture `fastprocesses_host`: a real service for the tests of a plugin, which ends with them in any case."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

from tests.support import wait_until

pytestmark = pytest.mark.timeout(240)  # several times pytest and services, maybe on a busy machine

USES = """
    import pytest
    from fastprocesses_sdk.testing.hosting import RequestRefused

    @pytest.fixture(scope="session")
    def fastprocesses_environ():
        return {"FASTPROCESSES_TITLE": "Of the tests"}

    def test_a_process_is_executed(fastprocesses_host):
        run = fastprocesses_host.execute("echo", {"message": "hello", "text": "<a/>"})

        assert run.outputs == {"message": "hello", "pause": 0, "text": "<a/>"}
        assert run.media_types["text"] == "application/xml"
        assert fastprocesses_host.ask("GET", "/?f=json")["title"] == "Of the tests"

    def test_a_refusal_is_told(fastprocesses_host):
        with pytest.raises(RequestRefused, match="(?s)400: Input pause.*worker ready") as caught:
            fastprocesses_host.execute("echo", {"message": "hello", "pause": -1})

        assert caught.value.status == 400
        assert caught.value.problem["errors"][0]["pointer"] == "/inputs/pause"
        with pytest.raises(RequestRefused, match="404"):
            fastprocesses_host.execute("nothing")
"""
STAYS = """
    import pathlib, time

    def test_it_stays(fastprocesses_host):
        pathlib.Path("ready").touch()
        time.sleep(600)
"""
NEEDS_NOTHING = """
    import sys

    def test_nothing_was_imported_for_it():
        assert "pytest_fastprocesses" in sys.modules
        assert "fastprocesses_sdk" not in sys.modules
        assert "msgspec" not in sys.modules
"""
NEEDS_IT = """
    def test_it(fastprocesses_host):
        pass
"""


def command(folder: Path, *options: str, conftest: str = "", **files: str) -> list[str]:
    """Write test files, and give the command that runs them alone."""
    (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    (folder / "conftest.py").write_text(textwrap.dedent(conftest))
    for name, code in files.items():
        (folder / f"test_{name}.py").write_text(textwrap.dedent(code))
    base = folder / "base"
    return [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={base}", *options]


def run(folder: Path, *options: str, conftest: str = "", **files: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    return subprocess.run(
        command(folder, *options, conftest=conftest, **files),
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )


def processes_of(folder: Path) -> list[psutil.Process]:
    """All that have the folder in their command line."""
    found = []
    for process in psutil.process_iter():
        try:
            if any(str(folder) in word for word in process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_tests_have_a_service_of_their_own_each_worker_another(tmp_path):
    done = run(tmp_path, "-n", "2", "--dist", "loadfile", one=USES, other=USES)

    assert "4 passed" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0
    wait_until(lambda: not processes_of(tmp_path), what="the end of the services")


def test_a_service_ends_with_tests_that_are_killed(tmp_path):
    with subprocess.Popen(command(tmp_path, stays=STAYS), cwd=tmp_path, stdout=subprocess.DEVNULL) as tests:
        wait_until((tmp_path / "ready").exists, 150, "the service")
        assert processes_of(tmp_path / "base")
        tests.send_signal(signal.SIGKILL)

    wait_until(lambda: not processes_of(tmp_path), 40, "the end of the service")


def test_tests_that_need_no_service_do_not_pay_for_it(tmp_path):
    done = run(tmp_path, nothing=NEEDS_NOTHING)

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_plugin_can_be_left_out(tmp_path):
    done = run(tmp_path, "-p", "no:fastprocesses", it=NEEDS_IT)

    assert "fixture 'fastprocesses_host' not found" in done.stdout


def test_a_sentence_says_what_is_missing(tmp_path):
    no_host = run(tmp_path, conftest="import sys; sys.modules['fastprocesses_host'] = None", it=NEEDS_IT)
    no_plugin = run(
        tmp_path,
        conftest="import importlib.metadata; importlib.metadata.entry_points = lambda **_: ()",
        it=NEEDS_IT,
    )

    assert "run pip install 'fastprocesses-sdk[test]'" in no_host.stdout
    assert "pip install --editable ." in no_plugin.stdout
    assert "Traceback" not in no_host.stdout + no_plugin.stdout
