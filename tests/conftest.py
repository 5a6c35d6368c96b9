"""What tests share: a private store a session, a prefix of its own for each test, the data of the standard."""

import itertools
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastprocesses_host.private_store import find_program
from fastprocesses_host.store.client import Store
from fastprocesses_host.store.keys import Keys
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers
from xdist.scheduler import LoadScopeScheduling

from tests.support import StoreServer, short_folder

ROOT = Path(__file__).parents[1]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the long forms of tests too")


def pytest_configure(config: pytest.Config) -> None:
    """Hear what tests send to the programs they start, also where this run was started in the background.

    Properties are searched without a clock, the machines of tests being shared, and in the same places each time;
    the long form looks elsewhere every time.
    """
    remember_bytecode(config)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    is_repeatable = not config.getoption("--long")
    slow = [HealthCheck.too_slow]
    settings.register_profile(
        "steady", deadline=None, derandomize=is_repeatable, database=None, suppress_health_check=slow
    )
    settings.load_profile("steady")
    if is_repeatable:
        leave_words_alone()


def leave_words_alone() -> None:
    """Have Hypothesis try no values out of our modules: which of them are imported by then differs from run to run."""
    if hasattr(providers, "_get_local_constants"):  # older ones do not look there
        none = providers._local_constants
        providers._get_local_constants = lambda: none


def remember_bytecode(config: pytest.Config) -> None:
    """Have the many programs that tests start compiled once, where nothing may be written beside the source."""
    if sys.dont_write_bytecode:
        folder = tempfile.TemporaryDirectory(prefix="fpbytecode", ignore_cleanup_errors=True)
        config.add_cleanup(folder.cleanup)
        os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix = folder.name
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        sys.dont_write_bytecode = False


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("long") and not config.getoption("--long"):
            item.add_marker(pytest.mark.skip(reason="takes minutes; runs with --long"))
    items.sort(key=lambda item: [not item.nodeid.startswith(start) for start in BEGIN_FIRST])


BEGIN_FIRST = (
    "tests/web/",
    "tests/docs/",
    "tests/chaos/",
    "tests/sdk/test_testing",
    "tests/host/",
    "tests/acceptance/",
)
"""What takes longest: two that are busy, then many that mostly wait."""
OF_ONE_SERVICE = ("tests/web/", "tests/cite/", "tests/conformance/", "tests/retention/")
FILES_APART = ("tests/web/test_schemathesis.py", "tests/web/test_long_strings.py")
TESTS_APART = ("tests/chaos/test_bounds.py", "tests/chaos/test_kills.py", "tests/acceptance/test_rolling.py")


class ByService(LoadScopeScheduling):
    """Runs in one process what shares a service: a folder, a file, or one test that starts its own."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::")[0]
        if file in TESTS_APART:
            return nodeid
        if file in FILES_APART:
            return file
        return next((folder for folder in OF_ONE_SERVICE if file.startswith(folder)), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadScopeScheduling:
    return ByService(config, log)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The standard's schemas and examples and the input data, which live beside the project."""
    folder = (ROOT / os.environ.get("FASTPROCESSES_SHARED", "../shared")).resolve()
    if not folder.is_dir():
        pytest.skip("the official schemas and data are not here (FASTPROCESSES_SHARED)")
    return folder


@pytest.fixture(scope="session", params=["embedded", "redis-server"])
def any_store(request: pytest.FixtureRequest) -> Iterator[StoreServer]:
    """The core of the store's tests runs on the embedded server always, on Debian's where it is installed."""
    binary = str(find_program()) if request.param == "embedded" else shutil.which("redis-server")
    if binary is None:
        pytest.skip("redis-server is not installed")
    with short_folder() as folder:
        server = StoreServer(binary, folder)
        yield server
        server.kill()


@pytest.fixture(scope="session")
def embedded_store() -> Iterator[StoreServer]:
    """One embedded server for all tests that do not harm it."""
    with short_folder() as folder:
        server = StoreServer(str(find_program()), folder)
        yield server
        server.kill()


@pytest.fixture
def own_store() -> Iterator[StoreServer]:
    """A server for a test that kills or stops it."""
    with short_folder() as folder:
        server = StoreServer(str(find_program()), folder)
        yield server
        server.kill()


@pytest.fixture(scope="session")
def store_url(embedded_store: StoreServer) -> str:
    """The URL of the shared embedded server."""
    return embedded_store.url


_prefixes = itertools.count()


@pytest.fixture
def mark(tmp_path: Path) -> str:
    """The path of a file that a process touches when it begins."""
    return str(tmp_path / "mark")


@pytest.fixture
def key_prefix() -> str:
    """A prefix that no other test uses."""
    return f"t{os.getpid()}-{next(_prefixes)}"


@pytest.fixture
def store(any_store: StoreServer, key_prefix: str) -> Iterator[Store]:
    """A sync runner on a prefix of its own."""
    runner = Store(any_store.url, Keys.of(key_prefix))
    yield runner
    runner.close()
