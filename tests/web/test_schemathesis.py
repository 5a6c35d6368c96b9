"""A fuzzer that reads the API definition: every answer is as described, valid requests pass, invalid ones do not."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.service import service
from tests.web.conftest import install_plugin

ROOT = Path(__file__).parents[2]
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
SERVICE = r"^/($|conformance|api|health|processes$|processes/\{|jobs)"
PROCESSES = r"^/processes/several/execution$"


@pytest.fixture
def fresh_url(tmp_path: Path) -> Iterator[str]:
    """A service without jobs: the fuzzer picks up what it sees, and jobs of other tests fail on purpose."""
    environ = {"PYTHONPATH": str(install_plugin(tmp_path / "plugin"))}
    with service(tmp_path, environ=environ) as started:
        yield started.url


def fuzz(base_url: str, folder: Path, *options: str) -> None:
    """Run schemathesis with the same cases each time; it says itself what it has found and how to see it again."""
    program = [str(Path(sys.executable).parent / "schemathesis"), "--config-file", str(CONFIGURATION)]
    command = [*program, "run", f"{base_url}/api", "--seed", "1"]
    settings = ["--warnings", "off", "--continue-on-failure", "--generation-database", "none", "--no-color"]
    done = subprocess.run(
        [*command, *settings, *options],
        cwd=folder,
        env=os.environ | {"SCHEMATHESIS_HOOKS": "tests.web.schemathesis_hooks", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5_000:]


@pytest.mark.timeout(150)
@pytest.mark.parametrize("paths", [SERVICE, PROCESSES], ids=["service", "processes"])
def test_a_fuzzer_finds_nothing(fresh_url, tmp_path, paths):
    phases = ("--phases", "examples,coverage,fuzzing", "--max-examples", "5")
    fuzz(fresh_url, tmp_path, *phases, "--include-path-regex", paths)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_fuzzer_finds_nothing_in_a_long_time_and_in_sequences(fresh_url, tmp_path):
    on_purpose = "^/processes/(talk|refuse|patient)/"  # these fail by themselves
    phases = ("--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "50")
    fuzz(fresh_url, tmp_path, *phases, "--exclude-path-regex", on_purpose)
