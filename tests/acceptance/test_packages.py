"""The packages as users get them: built, looked into, installed with plain pip, run."""

import email
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

import pytest

from tests.acceptance.service import Service, clean_environ

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "fastprocesses_sdk": ROOT / "sdk",
    "fastprocesses_host": ROOT / "server",
    "fastprocesses_echo": ROOT / "plugins" / "echo",
    "fastprocesses_vector": ROOT / "plugins" / "vector",
}
UV = os.environ.get("UV") or shutil.which("uv")

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(900),
    pytest.mark.skipif(UV is None, reason="uv is not installed"),
]


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel and an sdist of each package."""
    folder = tmp_path_factory.mktemp("dist")
    assert UV is not None
    subprocess.run([UV, "build", "--quiet", "--all-packages", "--out-dir", str(folder)], cwd=ROOT, check=True)
    return folder


@pytest.fixture(scope="module")
def installed(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of scripts of an environment that has the wheels and nothing else of ours."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    environ = {
        name: value for name, value in clean_environ().items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}
    }
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, env=environ)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", *map(str, dist.glob("*.whl"))], check=True, env=environ)
    subprocess.run([*pip, "check"], check=True, env=environ)
    yield folder / "bin"
    shutil.rmtree(folder)


def wheel_of(dist: Path, package: str) -> zipfile.ZipFile:
    (path,) = dist.glob(f"{package}-*.whl")
    return zipfile.ZipFile(path)


def metadata_of(wheel: zipfile.ZipFile) -> Message:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return email.message_from_bytes(wheel.read(name))


@pytest.mark.parametrize("package", PACKAGES)
def test_the_wheel_has_all_files_and_metadata(dist: Path, package: str):
    source = PACKAGES[package] / "src"
    files = {
        str(path.relative_to(source))
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with wheel_of(dist, package) as wheel:
        names = set(wheel.namelist())
        metadata = metadata_of(wheel)

    assert files <= names
    assert f"{package}/py.typed" in names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["License-File"] == "LICENSE"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["Summary"]
    assert len(str(metadata.get_payload())) > 100, "the README is the description"


@pytest.mark.parametrize("package", PACKAGES)
def test_the_sdist_has_what_the_wheel_is_built_from(dist: Path, package: str):
    (path,) = dist.glob(f"{package}-*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}

    wanted = {"LICENSE", "README.md", "pyproject.toml", "PKG-INFO", f"src/{package}/py.typed"}
    if (PACKAGES[package] / "CHANGELOG.md").exists():
        wanted.add("CHANGELOG.md")
    assert wanted <= names


@pytest.mark.parametrize("package", PACKAGES)
def test_nothing_of_this_machine_is_in_the_wheel(dist: Path, package: str):
    with wheel_of(dist, package) as wheel:
        for name in wheel.namelist():
            assert str(ROOT).encode() not in wheel.read(name), name


def test_installed_with_pip_it_lists_its_plugins_and_runs_a_job(installed: Path, tmp_path: Path):
    command = str(installed / "fastprocesses-host")
    listed = subprocess.run([command, "plugins"], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert "quarantined" not in listed.stdout

    point = {"type": "Feature", "properties": {}, "geometry": {"type": "Point", "coordinates": [7.1, 50.7]}}
    features = {"type": "FeatureCollection", "features": [point]}
    with Service(tmp_path, "--data-dir", str(tmp_path / "data"), command=command) as service:
        buffered = service.execute("buffer", {"features": features, "distance": 1000})
        document = service.ask("GET", "/api")

    assert buffered.json["features"][0]["geometry"]["type"] == "Polygon"
    assert document.json["openapi"].startswith("3.")
