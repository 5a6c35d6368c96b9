"""The public API is one list, and cheap to import."""

import importlib.metadata
import inspect
import subprocess
import sys
from typing import get_type_hints

import fastprocesses_sdk as fp
import pytest


def test_everything_listed_is_there_and_documented():
    assert len(set(fp.__all__)) == len(fp.__all__)
    for name in fp.__all__:
        value = getattr(fp, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__doc__, name


def test_it_tells_what_it_has_before_that_is_imported():
    code = "import sys, fastprocesses_sdk as fp; sys.exit(not {*fp.__all__, 'testing'} <= {*dir(fp)})"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    with pytest.raises(AttributeError, match="nothing_of_it"):
        _ = fp.nothing_of_it


def test_the_version_is_that_of_the_distribution():
    assert fp.__version__ == importlib.metadata.version("fastprocesses-sdk")


@pytest.mark.parametrize(
    "module",
    [
        *("asyncio", "docstring_parser", "subprocess", "importlib.metadata", "numpy", "jsonschema"),
        *("msgspec", "pluggy"),  # children of the server need some of its modules, and no process
    ],
)
def test_importing_the_sdk_leaves_out_what_is_slow(module):
    code = f"import sys, fastprocesses_sdk; sys.exit({module!r} in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_importing_needs_no_posix():
    code = (
        "import sys\n"
        "for name in ('fcntl', 'pwd', 'grp', 'resource', 'termios'): sys.modules[name] = None\n"
        "import fastprocesses_sdk, fastprocesses_sdk.plugins, fastprocesses_sdk.describe\n"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_declared_function_keeps_its_signature():
    @fp.process
    def add(a: int, b: int = 1) -> int:
        return a + b

    assert str(inspect.signature(add)) == "(a: int, b: int = 1) -> int"
    assert get_type_hints(add.function) == {"a": int, "b": int, "return": int}


def test_type_checkers_see_the_signature(tmp_path):
    (tmp_path / "typed.py").write_text(
        "import fastprocesses_sdk as fp\n"
        "@fp.process\n"
        "def add(a: int, *, job: fp.Job = fp.NO_JOB) -> int:\n"
        "    return a\n"
        "@fp.process(retryable=True)\n"
        "def turn(a: str) -> str:\n"
        "    return a\n"
        "class Both(fp.Outputs):\n"
        "    one: int\n"
        "    two: str | None = None\n"
        "reveal_type(add(1))\n"
        "reveal_type(turn('a'))\n"
        "reveal_type(Both(one=1).two)\n"
        "add('a')\n"
        "turn(a='a', b=1)\n"
        "Both()\n"
        "fp.process(timeout='1')\n"
        "fp.proces\n"
    )
    api = pytest.importorskip("mypy.api")

    told, _, _ = api.run(
        ["--strict", "--no-error-summary", "--cache-dir", str(tmp_path), str(tmp_path / "typed.py")]
    )

    lines = [line.split(": ", 2)[2] if line.count(": ") > 1 else line for line in told.splitlines()]
    assert [line for line in lines if "Revealed" in line] == [
        'Revealed type is "int"',
        'Revealed type is "str"',
        'Revealed type is "str | None"',
    ]
    errors = [int(line.split(":")[1]) for line in told.splitlines() if ": error:" in line]
    assert errors == [14, 15, 16, 17, 18]


@pytest.mark.parametrize("module", ["errors", "types", "settings"])
def test_a_module_of_public_names_is_there_whatever_was_imported_before(module):
    code = f"import fastprocesses_sdk as fp; assert fp.{module}.__name__ == 'fastprocesses_sdk.{module}'"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
