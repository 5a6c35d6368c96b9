"""What the README shows is run: requests against a host, the process in the SDK's hands."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from fastprocesses_host.settings import PREFIX, Settings

from tests.acceptance.service import Service

DEPLOY = Path(__file__).parents[2] / "deploy"
README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")


def _blocks(language: str, heading: str) -> list[str]:
    section = README.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_first_requests_do_what_they_say(running: Service, folder: Path):
    answers = []
    before = ""
    for block in _blocks("sh", "First requests"):
        script = (before + block).replace("http://127.0.0.1:8080", running.url)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=30,
            env=os.environ | {"NO_PROXY": "*"},
        )
        assert done.returncode == 0, done.stderr
        answers.append(_documents(done.stdout))
        if job := re.search(r"(?im)^location: *(\S+)", _read(folder / "headers.txt")):
            before = f"job={job[1]}\n"

    sync, submitted, results, dismissed = answers
    names = [feature["properties"]["name"] for feature in sync[-1]["features"]]
    assert names == ["Bonn", "Quito"]
    assert sync[-1]["features"][0]["geometry"]["type"] == "Polygon"
    assert [document["processID"] for document in submitted] == ["buffer", "buffer"]
    assert results[-1]["features"] == sync[-1]["features"]
    assert dismissed[-1]["status"] == "dismissed"


def _documents(text: str) -> list[dict]:
    decoder, documents, position = json.JSONDecoder(), [], 0
    while position < len(text.rstrip()):
        document, position = decoder.raw_decode(text, position)
        documents.append(document)
        position += len(text[position:]) - len(text[position:].lstrip())
    return documents


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def test_the_process_shown_is_one():
    (code,) = _blocks("python", "Write a process")
    namespace: dict = {}
    exec(compile(code, "README.md", "exec"), namespace)
    greet = namespace["greet"]

    assert greet("you", times=2) == "hello you, hello you"
    assert greet.description.id == "greet"
    assert greet.description.inputs["name"].description == "Whom to greet."


def test_the_two_commands_are_there():
    assert _blocks("sh", "Start")[0] == "pip install uv && uv run fastprocesses-host run\n"
    assert _blocks("sh", "Development")[0].startswith("pip install uv && uv run pytest\n")


def test_the_samples_for_operation_use_settings_that_exist():
    compose = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text("utf-8"))
    lines = (DEPLOY / "systemd" / "fastprocesses.env").read_text("utf-8").splitlines()
    commented = [line.removeprefix("# ") for line in lines]
    systemd = dict(line.split("=", 1) for line in commented if line.startswith(PREFIX))

    for environ in (compose["x-settings"], systemd):
        assert {name.removeprefix(PREFIX).lower() for name in environ} <= set(Settings.__struct_fields__)
        assert Settings.from_env(environ).redis_url


@pytest.mark.parametrize(
    "page", ["README.md", "server/README.md", "server/docs/callbacks.md", "server/docs/uploads.md"]
)
def test_every_execute_request_that_is_shown_says_its_media_type(page: str):
    text = (DEPLOY.parent / page).read_text("utf-8")
    requests = re.findall(r"curl [^\n`]*/execution(?:\\\n|[^\n`])*", text)

    assert requests
    assert [one for one in requests if "Content-Type: application/json" not in one] == []
