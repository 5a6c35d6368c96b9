"""The package that `new` makes is one, and passes its tests at once."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from fastprocesses_host.cli.commands import app
from fastprocesses_host.exits import Exit
from fastprocesses_sdk.installed import GROUP
from fastprocesses_sdk.plugins import load_plugin
from typer.testing import CliRunner, Result

ROOT = Path(__file__).parents[2]
UV = os.environ.get("UV") or shutil.which("uv")


def new(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["new", *arguments])


def in_package(folder: Path, *command: str, environ: dict[str, str] | None = None) -> None:
    """Run a command in the package as its author does, and have it succeed."""
    without_ours = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "FASTPROC"))
    }
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=280, env=without_ours | (environ or {})
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("new") / "tree-count"
    done = new(
        "tree-count", "--folder", str(folder), "--title", 'Trees, "counted" & more.', "--author", "A <a@b.c>"
    )
    assert done.exit_code == 0, done.output
    return folder


def test_what_is_made_is_all_that_a_package_needs(package: Path):
    files = {str(path.relative_to(package)) for path in package.rglob("*") if path.is_file()}
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]

    assert files == {
        ".github/workflows/test.yml",
        ".gitignore",
        "README.md",
        "pyproject.toml",
        "src/tree_count/__init__.py",
        "src/tree_count/py.typed",
        "tests/test_processes.py",
        "trees.geojson",
    }
    assert "@trees.geojson" in (package / "README.md").read_text()
    assert project["name"] == "tree-count"
    assert project["description"] == 'Trees, "counted" & more.'
    assert project["authors"] == [{"name": "A", "email": "a@b.c"}]
    assert project["entry-points"][GROUP] == {"tree-count": "tree_count"}
    assert project["dependencies"] == ["fastprocesses-sdk>=0.1,<0.2"]
    assert yaml.safe_load((package / ".github/workflows/test.yml").read_text())["jobs"]


def test_its_entry_point_leads_to_its_process(package: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(package / "src"))

    assert list(load_plugin("tree_count")) == ["tree-count-count"]


def test_its_tests_pass(package: Path):
    in_package(package, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error")


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]])
def test_ruff_finds_nothing_to_change(package: Path, command: list[str]):
    in_package(package, sys.executable, "-m", "ruff", command[0], "--no-cache", *command[1:])


def test_strict_mypy_finds_nothing_to_change(package: Path):
    in_package(package, sys.executable, "-m", "mypy")


@pytest.mark.parametrize("name", ["a", "a" * 60, "a1-b2_c3"])
def test_names_of_all_lengths_stay_tidy(name: str, tmp_path: Path):
    assert new(name, "--folder", str(tmp_path / "made")).exit_code == 0

    in_package(tmp_path / "made", sys.executable, "-m", "ruff", "check", "--no-cache")
    in_package(tmp_path / "made", sys.executable, "-m", "ruff", "format", "--no-cache", "--check")
    project = tomllib.loads((tmp_path / "made" / "pyproject.toml").read_text())["project"]
    assert "authors" not in project


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("My Plugin", "as 'my-plugin'"),
        ("1-plugin", "as 'plugin'"),
        ("my--plugin", "as 'my-plugin'"),
        ("plugin-", "as 'plugin'"),
        ("../evil", "as 'evil'"),
        ("é", "a letter first."),
        ("", "a letter first."),
        ("a" * 61, "cannot be the name"),
        ("import", "'import' is there already"),
        ("json", "'json' is there already"),
        ("fastprocesses-sdk", "is there already"),
        ("{{name}}", "as 'name'"),
    ],
)
def test_a_name_that_cannot_be_one_is_told(name: str, sentence: str, tmp_path: Path):
    done = new("--folder", str(tmp_path / "made"), "--", name)

    assert done.exit_code == Exit.USAGE
    assert sentence in done.stderr
    assert not (tmp_path / "made").exists()


def test_a_folder_that_is_in_use_is_left_alone(tmp_path: Path):
    (tmp_path / "mine").write_text("kept")
    for folder in (tmp_path, tmp_path / "mine"):
        done = new("my-plugin", "--folder", str(folder))
        assert done.exit_code == Exit.USAGE
        assert "is there already" in done.stderr

    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_an_empty_folder_is_filled(tmp_path: Path):
    assert new("my-plugin", "--folder", str(tmp_path)).exit_code == 0
    assert (tmp_path / "pyproject.toml").exists()


def test_a_folder_that_cannot_be_written_is_told():
    done = new("my-plugin", "--folder", "/proc/nowhere/made")

    assert done.exit_code == Exit.FAILED
    assert "/proc/nowhere/made cannot be written" in done.stderr


@pytest.mark.parametrize("option", ["--title", "--author"])
def test_a_text_of_several_lines_is_refused(option: str, tmp_path: Path):
    done = new("my-plugin", "--folder", str(tmp_path / "made"), option, "a\nb")

    assert done.exit_code == Exit.USAGE
    assert f"{option} is a text in one line" in done.stderr


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.skipif(UV is None, reason="uv is not installed")
def test_installed_beside_the_server_it_is_checked_and_tested(package: Path, tmp_path: Path):
    assert UV is not None
    venv = tmp_path / "venv"
    ours = [str(ROOT / "sdk"), str(ROOT / "server")]
    in_package(package, UV, "venv", "--quiet", "--python", sys.executable, str(venv))
    in_package(package, UV, "pip", "install", "--quiet", "--python", str(venv), *ours, "-e", ".[test]")
    in_package(package, str(venv / "bin" / "python"), "-m", "pytest", "-q", "-p", "no:cacheprovider")
    in_package(
        package, str(venv / "bin" / "fastprocesses-host"), "plugins", "check", "tree-count", "--strict"
    )
    in_package(package, UV, "build", "--quiet", "--out-dir", str(tmp_path / "dist"))
    assert len(list((tmp_path / "dist").glob("tree_count-0.1.0*"))) == 2
