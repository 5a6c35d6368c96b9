"""A service with processes for values of every form, and a client that checks every answer it gets."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.service import Service, service
from tests.web.conftest import Client, check_any_answer

SLOTS = 2
MAX_BODY_BYTES = 1_000_000
PLUGIN = Path(__file__).parent / "plugin"


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("conformance")
    plugin = shutil.copytree(PLUGIN, folder / "plugin", ignore=shutil.ignore_patterns("__pycache__"))
    information = plugin / "conformance_tests-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: conformance-tests\nVersion: 1.0\n")
    entry_points = "[fastprocesses.processes]\nconformance = processes_for_conformance_tests\n"
    (information / "entry_points.txt").write_text(entry_points)
    environ = {
        "PYTHONPATH": str(plugin),
        "FASTPROCESSES_SLOTS": str(SLOTS),
        "FASTPROCESSES_MAX_BODY_BYTES": str(MAX_BODY_BYTES),
    }
    with service(folder, environ=environ) as started:
        yield started


@pytest.fixture(scope="session")
def base_url(running: Service) -> str:
    return running.url


@pytest.fixture(scope="session")
def client(base_url: str) -> Iterator[Client]:
    with Client(base_url=base_url, event_hooks={"response": [check_any_answer]}, timeout=30) as opened:
        yield opened
