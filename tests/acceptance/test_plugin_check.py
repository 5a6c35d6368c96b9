"""`fastprocesses-host plugins check` tells authors what to change, and CI with its exit code."""

import json
import textwrap
from pathlib import Path
from typing import Any

import fastprocesses_sdk as fp
import pytest
from fastprocesses_host.cli.plugin_check import checked, nothing_to_check
from fastprocesses_host.exits import Exit
from fastprocesses_sdk.description import PluginRecord, ProcessRecord

from tests.acceptance.service import run_command, service

PLUGINS = {
    "good": """
        import fastprocesses_sdk as fp

        @fp.process
        def tidy(number: int) -> int:
            '''Give a number back.

            Args:
                number: Any.
            '''
            return number
    """,
    "terse": """
        import fastprocesses_sdk as fp

        @fp.process
        def terse(number: int) -> int:
            return number
    """,
    "wrong": """
        import fastprocesses_sdk as fp

        @fp.process
        class Wrong:
            description = fp.ProcessDescription(
                id="wrong", version="1", title="Wrong", description="An example that does not fit.",
                inputs={"x": fp.InputDescription(title="X", description="A number.", schema={"type": "integer"})},
                outputs={"y": fp.OutputDescription(title="Y", description="A number.", schema={"type": "integer"})},
                example={"inputs": {"x": "one"}},
            )

            def execute(self, inputs, job):
                return {"y": inputs["x"]}
    """,
    "broken": "raise ImportError('no licence found')",
}


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("checked")
    for name, code in PLUGINS.items():
        (folder / f"checked_{name}.py").write_text(textwrap.dedent(code))
        info = folder / f"checked_{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: checked_{name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[fastprocesses.processes]\n{name} = checked_{name}\n")
    return {"PYTHONPATH": str(folder)}


def test_each_plugin_and_process_is_told_with_what_to_change(environ):
    done = run_command("plugins", "check", environ=environ)

    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (Exit.PLUGIN, "")
    assert lines[lines.index("good (checked_good 1.0, checked_good)") + 1] == "  tidy: nothing to change"
    at = lines.index("terse (checked_terse 1.0, checked_terse)")
    assert lines[at + 1] == "  terse"
    assert lines[at + 2].startswith("    warning: description: It says no more than the title")
    assert any(
        line.startswith("  error: it is left out: ") and "the input 'x' does not fit" in line
        for line in lines
    )
    assert any(line.startswith("  error: it is left out: ") and "no licence found" in line for line in lines)
    assert lines[-1].endswith("2 errors, 2 warnings")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["good"], Exit.OK),
        (["checked-good", "--strict"], Exit.OK),
        (["terse"], Exit.OK),
        (["terse", "--strict"], Exit.PLUGIN),
        (["wrong"], Exit.PLUGIN),
        (["broken"], Exit.PLUGIN),
        (["Checked.Broken"], Exit.PLUGIN),
    ],
    ids=str,
)
def test_the_exit_code_tells_whether_anything_is_wrong(environ, arguments, code):
    done = run_command("plugins", "check", *arguments, "--json", environ=environ)

    report = json.loads(done.stdout)
    assert done.returncode == code
    assert [plugin["distribution"].split("_")[1] in arguments[0].lower() for plugin in report["plugins"]] == [
        True
    ]


def test_a_plugin_that_is_not_installed_is_told(environ):
    done = run_command("plugins", "check", "nowhere", environ=environ)

    assert (done.returncode, done.stdout) == (Exit.PLUGIN, "")
    assert done.stderr.startswith("No plugin nowhere is installed here. Installed: ")


def test_where_nothing_is_installed_it_says_how_a_plugin_is_made():
    report = checked([])

    assert not report.is_fine(strict=False)
    assert '[project.entry-points."fastprocesses.processes"]' in nothing_to_check([], "")


def offer(folder: Path, name: str) -> None:
    """Install a plugin that offers the process `shared` under its own name."""
    (folder / f"{name}.py").write_text(
        "import fastprocesses_sdk as fp\n"
        f"@fp.process(id='shared', title={name!r})\n"
        "def shared(x: int) -> int:\n    return x\n"
    )
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[fastprocesses.processes]\n{name} = {name}\n")


@pytest.mark.timeout(180)
def test_a_new_plugin_takes_no_process_away_from_one_that_offers_it(tmp_path: Path):
    titles = []
    for name in ("offers_shared", "also_offers_shared"):
        offer(tmp_path, name)
        with service(tmp_path, environ={"PYTHONPATH": str(tmp_path)}) as running:
            titles.append(running.ask("GET", "/processes/shared").json["title"])
            running.stop()  # in order: the worker signs off, and nothing of its offer is left

    assert titles == ["offers_shared", "offers_shared"]
    assert (
        "is taken by offers_shared (offers_shared), which offered it before" in (tmp_path / "log").read_text()
    )


def test_findings_are_counted():
    def record(name: str, **changes: Any) -> ProcessRecord:
        told = {"id": name, "version": "1", "title": name, "description": "A process.", "outputs": {}}
        description = fp.ProcessDescription(**told | changes)
        return ProcessRecord(description=description, policy=fp.Policy(), digest="")

    plugin = PluginRecord(
        name="a", distribution="d", version="1", source="s", state="loaded",
        processes=[record("one", example={"inputs": {}}), record("two", title="", example={"inputs": 5})],
    )  # fmt: skip

    report = checked([plugin])

    assert (report.errors, report.warnings) == (1, 3)
