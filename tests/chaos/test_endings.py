"""How jobs end that are dismissed or killed while they run: soon, and with all that came of them."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.service import Service, service
from tests.acceptance.site import PLUGINS
from tests.chaos.test_bounds import SLACK_SECONDS, begun, submit
from tests.host.engine import is_gone
from tests.host.plugins import install
from tests.support import wait_until

DEFIANT = '''
    import os, signal, subprocess, sys, textwrap, time
    from pathlib import Path
    import fastprocesses_sdk as fp

    DEAF = """
    import os, signal, sys, time
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    if "daemon" in sys.argv[1]:
        os.setsid()
        if os.fork():
            os._exit(0)
    open(sys.argv[1], "w").write(str(os.getpid()))
    while True:
        time.sleep(60)
    """

    def deaf(path):
        subprocess.Popen([sys.executable, "-c", textwrap.dedent(DEAF), path])

    def written(path):
        return Path(path).exists() and Path(path).read_text()

    @fp.process
    def defy(mark: str) -> str:
        """Hear no signal and no exception, with a deaf child, a deaf daemon, and a fork that spins."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        deaf(mark + ".child")
        deaf(mark + ".daemon")
        if (pid := os.fork()) == 0:
            while True:
                pass
        Path(mark + ".fork").write_text(str(pid))
        while not all(map(written, (mark + ".child", mark + ".daemon"))):
            time.sleep(0.01)
        Path(mark).write_text(str(os.getpid()))
        while True:
            try:
                sum(range(10_000_000))
            except BaseException:
                continue
'''


@pytest.fixture(scope="module")
def defied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("defied")
    path = os.pathsep.join([PLUGINS["PYTHONPATH"], str(install(folder / "plugin", {"defiant": DEFIANT}))])
    with service(folder, environ=PLUGINS | {"PYTHONPATH": path}) as running:
        yield running


@pytest.mark.parametrize("process", ["defy", "family", "hold-the-gil", "sleep"])
def test_a_dismissed_job_has_stopped_with_all_that_came_of_it(
    defied: Service, mark: str, process: str
) -> None:
    inputs = {"family": {"seconds": 600}, "sleep": {"seconds": 600}}.get(process, {})
    location = submit(defied, process, mark=mark, **inputs)
    pids = [begun(mark)]
    names = {"defy": ("child", "daemon", "fork"), "family": ("child", "daemon")}.get(process, ())
    pids += [int(Path(f"{mark}.{name}").read_text()) for name in names]
    assert not any(map(is_gone, pids))

    assert defied.ask("DELETE", location).json["status"] == "dismissed"
    wait_until(lambda: all(map(is_gone, pids)), 3 + SLACK_SECONDS, "the end of them all")
    assert defied.ask("GET", location).json["status"] == "dismissed"
    assert defied.execute("double", {"number": 2}).body == b"4"


@pytest.mark.parametrize("how", ["segfault", "exit", "abort", "kill"])
def test_a_crash_is_told_at_once(defied: Service, how: str) -> None:
    defied.execute("double", {"number": 1})
    began = time.monotonic()
    answer = defied.execute("crash", {"how": how})
    assert answer.status == 500
    assert b"SIG" in answer.body or b"code 7" in answer.body
    assert time.monotonic() - began < 1 + SLACK_SECONDS


def test_an_executor_killed_from_outside_is_told_at_once(defied: Service, mark: str) -> None:
    location = submit(defied, "sleep", seconds=600, mark=mark)
    os.kill(begun(mark), signal.SIGKILL)
    defied.await_status(location, "failed", seconds=1 + SLACK_SECONDS)
