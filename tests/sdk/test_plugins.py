"""Plugins are described by real children; whatever one does, the others are described."""

import os
import sys
import textwrap
from pathlib import Path

import fastprocesses_sdk as fp
import pytest
from fastprocesses_sdk import __version__
from fastprocesses_sdk.describe import discover
from fastprocesses_sdk.description import Discovery, PluginRecord
from fastprocesses_sdk.plugins import load_plugin

GOOD = """
    import fastprocesses_sdk as fp

    @fp.process
    def {name}(x: int) -> int:
        return x
"""

PLUGINS: dict[str, str] = {
    "good-first": GOOD.format(name="first"),
    "prints": "print('on standard output')\n" + textwrap.dedent(GOOD.format(name="prints")),
    "writes": 'import os\nos.write(1, b\'{"on": "fd 1"}\')\n' + textwrap.dedent(GOOD.format(name="writes")),
    "threads": "import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()\n"
    + textwrap.dedent(GOOD.format(name="threads")),
    "raises": "1 / 0",
    "exits": "import sys; sys.exit(3)",
    "interrupts": "raise KeyboardInterrupt",
    "recurses": "def f(): f()\nf()",
    "misses": "import a_module_that_does_not_exist",
    "syntax": "def",
    "hangs": "import time; time.sleep(600)",
    "segfaults": "import ctypes; ctypes.string_at(0)",
    "leaves": "import os; os._exit(0)",
    "closes": "import os; os.closerange(3, 100)\nimport time; time.sleep(600)",
    "empty": "x = 1",
    "undecorated": "def f(x: int) -> int: return x",
    "mistaken": "import fastprocesses_sdk as fp\n@fp.process\ndef odd(x) -> int: return x",
    "twice": GOOD.format(name="one")
    + GOOD.format(name="two").replace("@fp.process", "@fp.process(id='one')"),
    "taken": GOOD.format(name="first"),
    "huge": GOOD.format(name="huge").replace("@fp.process", "@fp.process(description='x' * 2_000_000)"),
    "hooked": """
        import fastprocesses_sdk as fp

        @fp.process
        def by_hook(x: int) -> int:
            return x

        @fp.hookimpl
        def fastprocesses_processes():
            return [by_hook]
    """,
    "misspelt": "def fastprocesses_proceses(): return []",
    "hook-raises": "def fastprocesses_processes(): raise RuntimeError('not today')",
    "hook-wrong": "def fastprocesses_processes(): return [1]",
    "hook-arguments": "def fastprocesses_processes(config): return []",
    "imports-others": "from plugin_good_first import first\n" + textwrap.dedent(GOOD.format(name="own")),
    "z-good-last": GOOD.format(name="last"),
}

ATTRIBUTES: dict[str, tuple[str, str]] = {
    "one-process": ("only", GOOD.format(name="only") + GOOD.format(name="other")),
    "a-list": ("some", GOOD.format(name="listed") + "\n    some = [listed]"),
    "a-callable": ("offer", GOOD.format(name="called") + "\n    def offer():\n        yield called"),
    "an-object": (
        "plugin",
        GOOD.format(name="of_object")
        + "\n    class Plugin:\n        @fp.hookimpl\n        def fastprocesses_processes(self):\n"
        "            return (of_object,)\n    plugin = Plugin()",
    ),
    "a-class": (
        "Turn",
        """
        import fastprocesses_sdk as fp

        class Turn:
            description = fp.ProcessDescription(id="turn", version="1", title="Turn", description="Turn.")

            def execute(self, inputs, job):
                return {}
        """,
    ),
    "a-number": ("x", "x = 5"),
    "no-attribute": ("nowhere", "x = 5"),
    "a-function": ("f", "def f(x: int) -> int: return x"),
}

REASONS = {
    "raises": "ZeroDivisionError: division by zero (at plugin_raises.py:1)",
    "exits": "sys.exit(3)",
    "interrupts": "KeyboardInterrupt",
    "recurses": "RecursionError",
    "misses": "a_module_that_does_not_exist",
    "syntax": "SyntaxError",
    "hangs": "not loaded within",
    "segfaults": "SIGSEGV",
    "leaves": "exit code 0",
    "closes": "cut the connection",
    "empty": "did you forget @process?",
    "undecorated": "did you forget @process?",
    "mistaken": "odd(): argument 'x'",
    "twice": "'one'",
    "taken": "'first' is taken by good-first",
    "huge": "bytes",
    "misspelt": "fastprocesses_proceses",
    "hook-raises": "not today",
    "hook-wrong": "which is no process",
    "hook-arguments": "config",
    "a-number": "int, which is no process",
    "no-attribute": "nowhere",
    "a-function": "f()",
}
OFFERED = {
    "good-first": ["first"],
    "prints": ["prints"],
    "writes": ["writes"],
    "threads": ["threads"],
    "hooked": ["by-hook"],
    "imports-others": ["own"],
    "z-good-last": ["last"],
    "one-process": ["only"],
    "a-list": ["listed"],
    "a-callable": ["called"],
    "an-object": ["of-object"],
    "a-class": ["turn"],
}


def install(folder: Path, name: str, code: str, attribute: str = "") -> None:
    """Lay a plugin down as an installed distribution."""
    module = f"plugin_{name.replace('-', '_')}"
    (folder / f"{module}.py").write_text(textwrap.dedent(code))
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n")
    source = f"{module}:{attribute}" if attribute else module
    (info / "entry_points.txt").write_text(f"[fastprocesses.processes]\nentry = {source}\n")


def discovered(folder: Path, load_seconds: float) -> Discovery:
    return discover(load_seconds=load_seconds, environ={**os.environ, "PYTHONPATH": str(folder)})


@pytest.fixture(scope="module")
def discovery(tmp_path_factory: pytest.TempPathFactory) -> Discovery:
    folder = tmp_path_factory.mktemp("plugins")
    for name, code in PLUGINS.items():
        install(folder, name, code)
    for name, (attribute, code) in ATTRIBUTES.items():
        install(folder, name, code, attribute)
    return discovered(folder, load_seconds=2)


@pytest.fixture(scope="module")
def records(discovery: Discovery) -> dict[str, PluginRecord]:
    return {record.distribution: record for record in discovery.plugins}


def test_the_tables_are_whole(records):
    assert {*PLUGINS, *ATTRIBUTES} == {*REASONS, *OFFERED}
    assert {*REASONS, *OFFERED} <= set(records)


@pytest.mark.parametrize("name", OFFERED)
def test_what_works_is_offered(records, name):
    record = records[name]

    assert (record.state, record.reason) == ("loaded", "")
    assert [process.description.id for process in record.processes] == OFFERED[name]
    assert all(process.digest == process.description.digest for process in record.processes)


@pytest.mark.parametrize("name", REASONS)
def test_what_is_broken_is_quarantined_with_its_reason(records, name):
    record = records[name]

    assert (record.state, record.processes) == ("quarantined", [])
    assert REASONS[name] in record.reason


def test_plugins_are_told_in_order_with_their_origin(discovery, records):
    names = [record.distribution for record in discovery.plugins]

    assert names == sorted(names)
    assert discovery.sdk_version == __version__
    assert records["good-first"].source == "plugin_good_first"
    assert records["one-process"].source == "plugin_one_process:only"


def test_processes_have_the_version_of_their_distribution(records):
    (process,) = records["good-first"].processes

    assert (records["good-first"].version, process.description.version) == ("1.5", "1.5")


def test_a_plugin_is_not_blamed_for_anothers_doing(tmp_path):
    install(tmp_path, "a-mine", GOOD.format(name="mine"))
    crashes_in_company = "import os, sys\nif 'plugin_a_mine' in sys.modules: os._exit(7)\n"
    install(tmp_path, "b-victim", crashes_in_company + textwrap.dedent(GOOD.format(name="victim")))

    found = {record.distribution: record.state for record in discovered(tmp_path, load_seconds=10).plugins}

    assert (found["a-mine"], found["b-victim"]) == ("loaded", "loaded")


def test_an_environment_without_the_sdk_is_told():
    with pytest.raises(RuntimeError, match="fastprocesses-sdk"):
        discover(environ={"PYTHONHOME": "/nonexistent"}, python=sys.executable)


# Loading to run


def test_a_plugin_is_loaded_by_its_source(tmp_path, monkeypatch):
    install(tmp_path, "loadable", GOOD.format(name="b") + GOOD.format(name="a"))
    monkeypatch.syspath_prepend(str(tmp_path))

    processes = load_plugin("plugin_loadable", "loadable", "1.5")

    assert list(processes) == ["b", "a"]
    assert processes["a"].description.version == "1.5"
    assert processes["a"](4) == 4


def test_a_package_offers_what_its_modules_declare(tmp_path, monkeypatch):
    package = tmp_path / "plugin_package"
    package.mkdir()
    (package / "inner.py").write_text(textwrap.dedent(GOOD.format(name="inner")))
    (package / "__init__.py").write_text(
        "from plugin_package.inner import inner\nfrom json import loads\nagain = inner\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))

    assert list(load_plugin("plugin_package")) == ["inner"]


def test_what_cannot_be_loaded_says_why():
    with pytest.raises(fp.PluginError, match="a_module_that_is_not_there") as caught:
        load_plugin("a_module_that_is_not_there")

    assert caught.value.reason == str(caught.value)
