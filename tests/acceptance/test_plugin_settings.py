"""Plugin settings of a service as an operator runs it: from a file or the environment, secrets nowhere else."""

import json
import re
import shlex
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from fastprocesses_host.settings import Settings, SettingsError

from tests.acceptance.service import Service, run_command, service
from tests.host.plugins import install
from tests.support import content_of, files_under, wait_until

MANUAL = (Path(__file__).parents[2] / "server" / "README.md").read_text("utf-8")
SECRET = "swordfish-47110815"
PLUGIN = "processes-with-settings"
VARIABLE = "FASTPROCESSES_PLUGINS__PROCESSES_WITH_SETTINGS__"


def table(**settings: Any) -> str:
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    return "\n".join([f"[plugins.{PLUGIN}]", *lines, ""])


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> str:
    modules = {"processes_with_settings": "", "processes_that_report": ""}
    return str(install(tmp_path_factory.mktemp("plugins"), modules))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("configured")


@pytest.fixture(scope="module")
def running(folder: Path, plugins: str) -> Iterator[Service]:
    config = folder / "service.toml"
    config.write_text(
        'title = "Configured"\n' + table(url="https://tiles.example.org/", token=SECRET, size=1)
    )
    config.chmod(0o600)
    environ = {"PYTHONPATH": plugins, VARIABLE + "SIZE": "2"}
    with service(folder, "--config", str(config), environ=environ) as started:
        yield started


def test_a_service_hands_settings_to_its_processes(running: Service) -> None:
    shown = running.execute("show", {}).json

    assert (shown["url"], shown["token"], shown["size"]) == (
        "https://tiles.example.org/",
        ["***", len(SECRET)],
        2,
    )


@pytest.mark.parametrize("how", ["returned", "declared", "bug"])
def test_a_secret_of_the_file_is_nowhere_else(running: Service, folder: Path, how: str) -> None:
    answer = running.execute("leak", {"how": how})
    location = running.execute("leak", {"how": how}, asynchronous=True).headers["Location"]
    running.await_status(location, "successful", "failed")
    told = [answer.body, *(running.ask("GET", location + end).body for end in ("", "/results", "/log"))]
    told += [running.log.read_bytes(), "\n".join(running.lines).encode()]
    for process in running.tree():
        proc = Path(f"/proc/{process.pid}")
        told += [content_of(proc / name) for name in ("environ", "cmdline")]
    told += [content_of(file) for file in files_under(folder / "data")]

    assert answer.status == {"returned": 200, "declared": 400, "bug": 500}[how]
    assert all(SECRET.encode() not in content for content in told)


def test_only_the_worker_is_told_of_plugins(running: Service) -> None:
    told = {
        process.pid: f"{process.cmdline()} {process.environ()}"
        for process in running.tree()
        if "FASTPROCESSES_PLUGINS" in str(process.environ())
    }
    ours = [psutil.Process(running.process.pid), running.child("worker")]

    assert set(told) <= {process.pid for process in (*ours, *ours[1].children())}
    assert not [text for text in told.values() if "fastprocesses_sdk.executor" in text]


def test_a_problem_of_a_process_reaches_the_client(running: Service) -> None:
    whole = {
        "type": "https://example.org/far",
        "title": "Far",
        "status": 422,
        "detail": "Too far.",
        "errors": [{"pointer": "/inputs/how", "detail": "Too far."}],
    }
    answer = running.execute("refuse", {"how": "whole"})
    location = running.execute("refuse", {"how": "whole"}, asynchronous=True).headers["Location"]
    running.await_status(location, "failed")
    results = running.ask("GET", location + "/results")

    for told in (answer, results):
        assert told.status == 422
        assert told.headers["Content-Type"] == "application/problem+json"
        assert told.json == whole | {"instance": told.json["instance"]}


def test_a_bug_of_a_process_reaches_the_operator_alone(running: Service) -> None:
    answer = running.execute("refuse", {"how": "cause"})

    assert (answer.status, answer.json["title"]) == (500, "The process failed")
    assert b"hidden from the caller" not in answer.body
    wait_until(lambda: "hidden from the caller" in running.log.read_text(), what="the traceback")


def test_a_change_is_there_after_a_restart(folder: Path, plugins: str, tmp_path: Path) -> None:
    config = tmp_path / "service.toml"
    for size in (10, 20):
        config.write_text(table(url="u", token=SECRET, size=size))
        with service(tmp_path, "--config", str(config), environ={"PYTHONPATH": plugins}) as started:
            assert started.execute("by-hand", {}).json == size
            if size == 10:
                config.write_text(table(url="u", token=SECRET, size=15))
                assert started.execute("by-hand", {}).json == 10, "not while it runs"
                worker = started.child("worker")
                worker.send_signal(signal.SIGKILL)
                wait_until(lambda worker=worker: not worker.is_running(), what="the worker's end")
                assert started.execute("by-hand", {}).json == 15, "a worker that starts again reads it"


# The command


def listed(*arguments: str, plugins: str, **environ: str) -> Any:
    done = run_command("plugins", "--json", *arguments, environ={"PYTHONPATH": plugins, **environ})
    assert done.returncode == 0, done.stderr
    assert SECRET not in done.stdout + done.stderr
    return {record["name"]: record for record in json.loads(done.stdout)["plugins"]}[PLUGIN]


def test_the_list_of_plugins_tells_what_is_missing(plugins: str) -> None:
    record = listed(plugins=plugins, **{VARIABLE + "TOKEN": SECRET, VARIABLE + "SIZE": SECRET})

    assert record["state"] == "quarantined"
    assert f"its setting 'url' is missing; set url in [plugins.{PLUGIN}]" in record["reason"]
    assert f"{VARIABLE}URL in the environment" in record["reason"]
    assert "its setting 'size' cannot be used: Expected `int`, got `str`" in record["reason"]


def test_the_list_of_plugins_reads_the_settings_file(plugins: str, tmp_path: Path) -> None:
    config = tmp_path / "service.toml"
    config.write_text(table(url="u", token=SECRET))

    record = listed("--config", str(config), plugins=plugins)

    assert record["state"] == "loaded"


# Reading


def test_tables_may_stand_in_a_file_of_their_own(tmp_path: Path) -> None:
    file = tmp_path / "plugins.toml"
    file.write_text(table(url="u", token=SECRET))
    environ = {"FASTPROCESSES_PLUGINS_FILE": str(file), "FASTPROCESSES_PLUGINS__TILES__SIZE": "3"}
    settings = Settings.from_env(environ)

    assert settings.plugins.of(PLUGIN).table == {"url": "u", "token": SECRET}
    assert settings.plugins.of("tiles").texts == {"SIZE": "3"}
    assert Settings.from_env(settings.to_env()) == settings
    assert SECRET not in str(settings) + str(settings.to_env())


def test_children_read_the_settings_file_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "service.toml").write_text("port = 0\n" + table(url="u", token=SECRET))
    monkeypatch.chdir(tmp_path)
    settings = Settings.from_env({"FASTPROCESSES_CONFIG": "service.toml"})
    monkeypatch.chdir("/")

    assert Settings.from_env(settings.to_env()) == settings
    assert SECRET not in str(settings.to_env())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("plugins = 5", "plugins must be tables: write [plugins.NAME]"),
        (f"plugins = ['{SECRET}']", "plugins must be tables"),
        (f"[plugins]\ntiles = '{SECRET}'", "plugins.tiles must be a table: write [plugins.tiles]"),
        (f"[plugins.tiles]\nsize = {10**30}", "plugins.tiles.size holds a number that is too large"),
        (f"[plugins.tiles]\ntoken = '{SECRET}", "is not valid TOML"),
        (f"[plugins.tiles]\ntoken = '{SECRET}'\ntoken = '{SECRET}'", "is not valid TOML"),
        (f"[plugin.tiles]\ntoken = '{SECRET}'", "unknown field `plugin`"),
    ],
)
def test_what_cannot_be_read_is_told_without_values(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "service.toml"
    file.write_text(text)

    with pytest.raises(SettingsError) as caught:
        Settings.from_env({"FASTPROCESSES_CONFIG": str(file)})

    assert told in str(caught.value)
    assert SECRET not in str(caught.value)


def test_tables_stand_in_one_file_only(tmp_path: Path) -> None:
    (tmp_path / "service.toml").write_text(f"plugins_file = '{tmp_path / 'plugins.toml'}'\n" + table(url="u"))
    (tmp_path / "plugins.toml").write_text(table(url="v"))

    with pytest.raises(SettingsError, match="Put them all into one of the two"):
        Settings.from_env({"FASTPROCESSES_CONFIG": str(tmp_path / "service.toml")})


def test_a_file_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        Settings.from_env({"FASTPROCESSES_PLUGINS_FILE": str(tmp_path / "plugins.toml")})


def test_the_settings_of_the_manual_can_be_read(tmp_path: Path) -> None:
    section = MANUAL.split("### Settings of plugins")[1].split("\n## ")[0]
    (toml,) = re.findall(r"```toml\n(.*?)```", section, re.DOTALL)
    (shell,) = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    (tmp_path / "service.toml").write_text(toml)
    environ = dict(shlex.split(line)[0].split("=", 1) for line in shell.splitlines())

    given = Settings.from_env({"FASTPROCESSES_CONFIG": str(tmp_path / "service.toml"), **environ}).plugins.of(
        "tiles"
    )

    assert set(given.table) == {"url", "token", "layers"}
    assert json.loads(given.texts["LAYERS"]) == given.table["layers"]
    assert "TOKEN" in given.texts
