"""The scripts as they are sent: what each shares with others is there, in an order that Lua takes, and no more."""

import re
from importlib import resources

import pytest
from fastprocesses_host.store.script_files import script_text

FILES = sorted(
    file.name.removesuffix(".lua")
    for file in (resources.files("fastprocesses_host.store") / "scripts").iterdir()
)
SCRIPTS = [name for name in FILES if not name.startswith("_")]
NO_CODE = re.compile(r"'(?:[^'\\]|\\.)*'|--[^\n]*")


def code_of(script: str) -> str:
    return NO_CODE.sub("''", script_text(script).decode())


def shared_names() -> set[str]:
    parts = resources.files("fastprocesses_host.store") / "scripts"
    return {
        name
        for file in set(FILES) - set(SCRIPTS)
        for name in definitions((parts / f"{file}.lua").read_text())
    }


def definitions(code: str) -> dict[str, int]:
    """Give where each name of the left margin is first defined."""
    found: dict[str, int] = {}
    for match in re.finditer(r"^local (?:function )?([\w, ]+)", code, re.MULTILINE):
        for name in match[1].split(","):
            found.setdefault(name.strip(), match.start())
    return found


@pytest.mark.parametrize("script", SCRIPTS)
def test_what_a_script_uses_is_defined_above(script: str) -> None:
    code = code_of(script)
    above = definitions(code)
    for name in shared_names():
        for use in re.finditer(rf"(?<![.:\w]){name}\b(?! =)", code):
            assert name in above, f"{script} uses {name}, which is not there"
            assert above[name] <= use.start(), f"{script} uses {name} above its definition"


def test_a_script_has_no_more_than_it_needs() -> None:
    assert set(definitions(code_of("job"))) == {"P", "job_key", "record"}
    assert "function subscribers" in script_text("finish").decode()
    assert "function subscribers" not in script_text("accept").decode()
