"""The scripts as they are sent: what each shares with others is there, in an order that Lua takes, and no more."""

import re
from importlib import resources

import pytest
from fastprocesses_host.store.records import Terms
from fastprocesses_host.store.script_files import JOB_FIELDS, script_source, script_text

FILES = sorted(
    file.name.removesuffix(".lua")
    for file in (resources.files("fastprocesses_host.store") / "scripts").iterdir()
)
SCRIPTS = [name for name in FILES if not name.startswith("_")]
NO_CODE = re.compile(r"'(?:[^'\\]|\\.)*'|--[^\n]*")


def code_of(script: str) -> str:
    return NO_CODE.sub("''", script_source(script).decode())


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
    assert "function subscribers" in script_source("finish").decode()
    assert "function subscribers" not in script_source("accept").decode()


def sent(script: str) -> str:
    return NO_CODE.sub("''", script_text(script).decode())


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_is_sent_with_places_in_place_of_names(script: str) -> None:
    assert re.findall(r"\b(?:job|run|follower)\.\w+", sent(script)) == []
    functions = {name for name in shared_names() if f"function {name}(" in code_of(script)}
    for name in functions - set(re.findall(r"^local function (\w+)", sent(script), re.MULTILINE)):
        assert re.findall(rf"(?<![.:\w]){name}\b", sent(script)) == [], name


def test_no_name_of_a_shared_function_is_that_of_something_else_too() -> None:
    own = re.compile(r"(?:local |for |function[^(\n]*\()([\w, ]+)")
    for script in SCRIPTS:
        names = shared_names() & set(re.findall(r"function (\w+)\(", code_of(script)))
        for match in own.finditer(re.sub(r"local function \w+", "function", code_of(script))):
            assert not names & {name.strip() for name in match[1].split(",")}, (script, match[0])


def test_the_terms_are_the_last_fields_of_a_job() -> None:
    assert len(JOB_FIELDS) - JOB_FIELDS.index("process") == len(Terms.__struct_fields__)


def test_what_gives_one_expression_is_sent_in_the_place_of_its_calls() -> None:
    sent_text = script_text("accept").decode()
    assert "local turn, count = redis.call('HGET', P .. ':turns:' .. job[17], job[4]), 0" in sent_text
    assert (
        "redis.call('HSET', P .. ':d:' .. job[17] .. '.msgs', id, '{\"queue_name\":\"' .. job[17]"
        in sent_text
    )
    assert "local found = redis.call('HMGET', P .. ':j:' .. id, 's', 't', 'c'" in script_text("tick").decode()
    assert re.search(
        r"or \(\w+(\[\d\])? ~= 'accepted' and \w+(\[\d\])? ~= 'running'\) then", script_text("tick").decode()
    )


def test_no_function_that_gives_one_expression_is_made() -> None:
    for script in SCRIPTS:
        assert "-- inline" not in script_text(script).decode()
