"""Plugin settings and start functions through a real worker: typed, told once, and secrets nowhere."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from fastprocesses_host.ogc.jobs import Status
from fastprocesses_host.settings import Settings

from tests.host.engine import Engine, Worker, is_gone, running_engine
from tests.host.plugins import install
from tests.support import StoreServer, content_of, files_under, wait_until

SECRET = "swordfish-47110815"
PREFIX = "FASTPROCESSES_PLUGINS__PROCESSES_WITH_SETTINGS__"

FILE = """
[plugins.processes-with-settings]
url = "https://tiles.example.org/"
size = 128
ratio = 2
limits = { near = 1, far = 2 }

[plugins.processes-of-nobody]
token = "not-shown-either-1234"
"""
ENVIRONMENT = {
    "TOKEN": SECRET,
    "SIZE": "512",
    "FAST": "true",
    "LAYERS": '["roads", "rivers"]',
    "MODE": "far",
    "FOLDER": "/srv/tiles",
}

START = """
    import os, sys, time
    from pathlib import Path
    import fastprocesses_sdk as fp

    MARK = Path(__file__).with_suffix(".mark")
    COUNT = []

    @fp.on_start
    {is_async}def begin(){returns}:
        {code}
        COUNT.append(1)

    @fp.process(id={id!r})
    def run() -> list[int]:
        return [len(COUNT), os.getpid()]
"""
STARTS = {
    "raises": "raise RuntimeError('no licence for ' + str(os.getpid()))",
    "declares": "raise fp.ProcessError('Not for the caller.')",
    "exits": "sys.exit(5)",
    "interrupts": "raise KeyboardInterrupt",
    "async_raises": "raise RuntimeError('no licence')",
    "crashes": "os._exit(3)",
    "hangs": "MARK.write_text(str(os.getpid())); time.sleep(600)",
    "fails_once": "first = not MARK.exists(); MARK.write_text(str(os.getpid())); assert not first, 'not yet'",
    "returns": "pass",
}


def start_plugin(name: str) -> str:
    is_async = "async " if name.startswith("async") else ""
    return START.format(
        id=f"start-{name.replace('_', '-')}", code=STARTS[name], is_async=is_async, returns=" -> None"
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("settings")


@pytest.fixture(scope="module")
def running(embedded_store: StoreServer, folder: Path) -> Iterator[tuple[Engine, list[Worker]]]:
    modules = {"processes_with_settings": ""} | {f"start_{name}": start_plugin(name) for name in STARTS}
    (folder / "settings.toml").write_text(FILE)
    settings = Settings(redis_url=embedded_store.url, key_prefix="settings", slots=2, plugin_load_seconds=6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(install(folder / "plugins", modules)))
        patch.setenv("FASTPROCESSES_CONFIG", str(folder / "settings.toml"))
        for name, text in ENVIRONMENT.items():
            patch.setenv(PREFIX + name, text)
        with running_engine(settings, folder) as started:
            yield started


@pytest.fixture
def engine(running: tuple[Engine, list[Worker]]) -> Engine:
    return running[0]


@pytest.fixture
def worker(running: tuple[Engine, list[Worker]]) -> Worker:
    return running[1][0]


def test_settings_come_from_file_and_environment_each_of_its_type(engine: Engine) -> None:
    shown = engine.execute("show")

    assert shown["url"] == "https://tiles.example.org/"
    assert shown["token"] == ["***", len(SECRET)]
    assert (shown["size"], shown["ratio"], shown["fast"], shown["mode"]) == (512, 2.0, True, "far")
    assert (shown["layers"], shown["limits"]) == (["roads", "rivers"], {"near": 1, "far": 2})
    assert shown["folder"] == "/srv/tiles"


def test_a_class_receives_settings_too(engine: Engine) -> None:
    assert engine.execute("by-hand") == 512


def test_start_functions_run_once_in_every_executor_before_the_first_job(engine: Engine) -> None:
    starts: dict[int, list[str]] = {}
    for _ in range(6):
        shown = engine.execute("show")
        starts[shown["pid"]] = shown["started"]
        assert shown["environment"] == "stays"

    assert all(started == ["sync 512", f"async {len(SECRET)} 512"] for started in starts.values())
    assert len(starts) <= 2


def everything_known(engine: Engine, worker: Worker) -> Iterator[tuple[str, bytes]]:
    """All places in which a secret could have been left: what they are, and what is in them."""
    yield "the worker's log", worker.log_file.read_bytes()
    with redis.Redis.from_url(engine.settings.redis_url) as client:
        for key in client.keys("*"):
            yield f"the store's {key!r}", client.dump(key) or b""
    for process in worker.worker_process.children(recursive=True):
        folder = Path(f"/proc/{process.pid}")
        yield f"the environment of {process.pid}", content_of(folder / "environ")
        yield f"the command line of {process.pid}", content_of(folder / "cmdline")
    for file in files_under(Path(engine.folder)):
        if file.name != "settings.toml":
            yield str(file), content_of(file)


@pytest.mark.parametrize("how", ["returned", "declared", "bug"])
def test_a_secret_is_shown_nowhere(engine: Engine, worker: Worker, how: str) -> None:
    job = engine.final(engine.submit("leak", {"how": how}))
    wait_until(lambda: job.id in worker.log_file.read_text(), what="the operator's lines")

    assert job.status == (Status.SUCCESSFUL if how == "returned" else Status.FAILED)
    lines = engine.log(job.id)
    assert any("***" in line["text"] for line in lines)
    assert SECRET not in str(job.problem) + job.message + json.dumps(lines)
    if how == "returned":
        assert SECRET not in engine.value(job)
    for place, content in everything_known(engine, worker):
        assert SECRET.encode() not in content, place


def test_executors_are_not_told_in_their_surroundings(engine: Engine) -> None:
    told = str(engine.execute("read-surroundings"))

    assert "EXECUTOR_ID" in told
    assert SECRET not in told
    assert "FASTPROCESSES_PLUGINS" not in told
    assert "settings.toml" not in told


def test_settings_of_no_plugin_are_told_without_their_values(engine: Engine, worker: Worker) -> None:
    log = worker.log_file.read_text()

    assert "[plugins.processes-of-nobody]" in log
    assert "not-shown-either" not in log


@pytest.mark.parametrize("name", ["raises", "declares", "exits", "interrupts", "async_raises"])
def test_a_start_that_fails_is_the_plugin_s_problem(engine: Engine, worker: Worker, name: str) -> None:
    job = engine.final(engine.submit(f"start-{name.replace('_', '-')}"))

    assert (job.status, job.reason, job.problem.status) == (Status.FAILED, "plugin", 500)
    assert "could not be loaded" in job.problem.detail
    assert "licence" not in str(job.problem) + str(engine.log(job.id))
    wait_until(lambda: traceback_of(worker, job.id), what="the operator's line")
    assert f"start_{name}.py" in traceback_of(worker, job.id)


def traceback_of(worker: Worker, job_id: str) -> str:
    lines = [json.loads(line) for line in worker.log_file.read_text().splitlines() if line.startswith("{")]
    told: dict[str, Any] = {line["job_id"]: line["exception"] for line in lines if "exception" in line}
    return str(told.get(job_id, ""))


def test_an_executor_whose_start_failed_is_not_used_again(engine: Engine, folder: Path) -> None:
    first = engine.final(engine.submit("start-fails-once"))
    pid = int((folder / "plugins" / "start_fails_once.mark").read_text())
    count, next_pid = engine.execute("start-fails-once")

    assert (first.status, first.reason) == (Status.FAILED, "plugin")
    assert (count, next_pid != pid) == (1, True)
    wait_until(lambda: is_gone(pid), what="the end of the executor")


def test_a_start_that_hangs_is_stopped_by_a_limit(engine: Engine, folder: Path) -> None:
    mark = folder / "plugins" / "start_hangs.mark"
    mark.unlink(missing_ok=True)
    job = engine.final(engine.submit("start-hangs"))
    pid = int(mark.read_text())

    assert (job.status, job.reason) == (Status.FAILED, "plugin")
    assert "too long to load" in job.problem.detail
    wait_until(lambda: is_gone(pid), what="the end of the executor")


def test_a_job_is_dismissed_while_its_plugin_starts(engine: Engine, folder: Path) -> None:
    mark = folder / "plugins" / "start_hangs.mark"
    mark.unlink(missing_ok=True)
    job_id = engine.submit("start-hangs")
    wait_until(lambda: mark.exists() and mark.read_text(), what="the start")
    pid = int(mark.read_text())
    engine.dismiss(job_id)

    wait_until(lambda: is_gone(pid), 3 + 8, "the end of the executor")
    assert engine.job(job_id).status == Status.DISMISSED


def test_a_start_that_crashes_fails_its_job_and_no_other(engine: Engine) -> None:
    job = engine.final(engine.submit("start-crashes"))

    assert (job.status, job.reason) == (Status.FAILED, "plugin")
    assert "exited with code 3 while it was loaded" in job.problem.detail
    assert engine.execute("start-returns")[0] == 1
