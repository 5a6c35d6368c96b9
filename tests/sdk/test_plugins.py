"""Plugins are described by real children; whatever one does, the others are described."""

import os
import sys
import textwrap
from pathlib import Path

import fastprocesses_sdk as fp
import pytest
from fastprocesses_sdk import __version__
from fastprocesses_sdk.conflicts import settled, standing_of
from fastprocesses_sdk.describe import discover
from fastprocesses_sdk.description import Discovery, PluginRecord, ProcessRecord
from fastprocesses_sdk.plugins import load_plugin
from hypothesis import given
from hypothesis import strategies as st

GOOD = """
    import fastprocesses_sdk as fp

    @fp.process
    def {name}(x: int) -> int:
        return x
"""

DESCRIBED = """
    import fastprocesses_sdk as fp

    @fp.process
    class Described:
        description = fp.ProcessDescription(
            id="{id}", version={version}, title={title}, description="D.",
            inputs={{"x": fp.InputDescription(title="X", description="X.", schema={schema})}},
        )

        def execute(self, inputs, job):
            return {{}}
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
    "misspells": "import os\nos.nowhere",
    "unspeakable": "class U(Exception):\n    def __str__(self): raise SystemExit(9)\nraise U",
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
    "huge": GOOD.format(name="huge").replace("@fp.process", "@fp.process(description='x' * 10_000_000)"),
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
    "endless": "import fastprocesses_sdk as fp, itertools\n@fp.process\ndef e(x: int) -> int: return x\n"
    "def fastprocesses_processes(): return itertools.repeat(e)",
    "no-text": DESCRIBED.format(id="no-text", version="'1'", title="None", schema="{}"),
    "odd-schema": DESCRIBED.format(
        id="odd-schema", version="'1'", title="'T'", schema="{'enum': {1, object()}}"
    ),
    "string-schema": DESCRIBED.format(id="string-schema", version="'1'", title="'T'", schema="'integer'"),
    "no-schema": DESCRIBED.format(id="no-schema", version="'1'", title="'T'", schema="{'type': 'whole'}"),
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
    "raises": "ZeroDivisionError: division by zero (at plugin_raises.py:1); mend it there",
    "exits": "sys.exit(3) (at plugin_exits.py:1); what a program does when it is run belongs under",
    "interrupts": "KeyboardInterrupt",
    "recurses": "RecursionError",
    "misses": "'a_module_that_does_not_exist'; is everything it needs installed?",
    "misspells": "importing plugin_misspells failed: AttributeError: module 'os' has no attribute 'nowhere' "
    "(at plugin_misspells.py:2); mend it there",
    "unspeakable": "importing plugin_unspeakable failed: U (at plugin_unspeakable.py:3); mend it there",
    "syntax": "SyntaxError",
    "hangs": "not loaded within 12 seconds; what takes long belongs into a process",
    "segfaults": "crashed the process (SIGSEGV); `python -X faulthandler",
    "leaves": "exit code 0",
    "closes": "cut the connection",
    "empty": "did you forget @process?",
    "undecorated": "did you forget @process?",
    "mistaken": "odd(): argument 'x'",
    "twice": "'one'",
    "taken": "'first' is taken by good-first (entry); choose another, or uninstall one of the two",
    "huge": "more than the 1048576 allowed; take data out",
    "misspelt": "'fastprocesses_proceses' in plugin",
    "hook-raises": "RuntimeError: not today (at plugin_hook_raises.py:1); mend it there",
    "hook-wrong": "which is no process",
    "hook-arguments": "config",
    "endless": "more than 10000 processes",
    "no-text": "Expected `str`, got `null` - at `$.title`; correct it (at plugin_no_text.py:4)",
    "odd-schema": "its description cannot be told",
    "string-schema": "Expected `object`, got `str` - at `$.inputs[...].schema`",
    "no-schema": "the schema of the input 'x' of 'no-schema' is no JSON Schema: /type: \"whole\"",
    "a-number": "int, which is no process",
    "no-attribute": "no attribute 'nowhere'; correct the entry point",
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


def install(folder: Path, name: str, code: str, attribute: str = "", metadata: str = "") -> None:
    """Lay a plugin down as an installed distribution."""
    module = f"plugin_{name.replace('-', '_')}"
    (folder / f"{module}.py").write_text(textwrap.dedent(code))
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n{metadata}")
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
    return discovered(folder, load_seconds=12)


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

    found = {record.distribution: record.state for record in discovered(tmp_path, load_seconds=60).plugins}

    assert (found["a-mine"], found["b-victim"]) == ("loaded", "loaded")


SDK_VERSIONS = {
    "": "",
    ">=0.1,<0.2": "",
    ">=0.1,<0.2; python_version < '3'": "",
    ">=9; extra == 'docs'": "",
    ">=9": "which is too old; run pip install --upgrade 'fastprocesses-sdk>=9'",
    "==0.9.*": "which is too old",
    "~=0.2.1": "which is too old",
    "<0.1": "which is too new; look for a newer wants-7",
    "==0.0.3": "which is too new",
    "!=0.1.0": "which is too new",
    "not a requirement": "",
}


@pytest.fixture(scope="module")
def wanting(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Discovery]:
    """A plugin for each requirement; when it is imported it leaves a file of its name."""
    folder = tmp_path_factory.mktemp("wanting")
    for number, wanted in enumerate(SDK_VERSIONS):
        metadata = f"Requires-Dist: other\nRequires-Dist: FastProcesses_SDK{wanted}\n"
        code = f"open({str(folder / f'imported-{number}')!r}, 'w')\n"
        code += textwrap.dedent(GOOD.format(name=f"wants_{number}"))
        install(folder, f"wants-{number}", code, metadata=metadata if wanted else "")
    return folder, discovered(folder, 60)


@pytest.mark.parametrize("wanted", SDK_VERSIONS)
def test_a_plugin_for_another_sdk_is_not_even_imported(wanting, wanted):
    folder, discovery = wanting
    number, expected = list(SDK_VERSIONS).index(wanted), SDK_VERSIONS[wanted]

    (record,) = (each for each in discovery.plugins if each.distribution == f"wants-{number}")

    assert expected in record.reason
    assert record.state == ("quarantined" if expected else "loaded")
    assert (folder / f"imported-{number}").exists() == (not expected)


def test_libraries_compute_in_one_thread_while_plugins_are_loaded_unless_told(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    monkeypatch.setenv("MKL_NUM_THREADS", "3")
    told = "os.environ['OPENBLAS_NUM_THREADS'] + ' and ' + os.environ['MKL_NUM_THREADS']"
    install(tmp_path, "asks", f"import os\nraise ValueError({told})")

    reasons = [plugin.reason for plugin in discovered(tmp_path, 30).plugins]

    assert any("1 and 3" in reason for reason in reasons), reasons


def test_while_one_takes_long_the_others_are_loaded(tmp_path):
    """Three wait until the last one is imported."""
    mark = str(tmp_path / "mark")
    waits = f"import pathlib, time\nwhile not pathlib.Path({mark!r}).exists(): time.sleep(0.05)\n"
    for number in range(3):
        code = waits + textwrap.dedent(GOOD.format(name=f"waits_{number}"))
        install(tmp_path, f"a-waits-{number}", code)
    code = f"import pathlib; pathlib.Path({mark!r}).touch()\n" + textwrap.dedent(GOOD.format(name="good"))
    install(tmp_path, "b-good", code)

    found = {record.distribution: record.reason for record in discovered(tmp_path, 60).plugins}

    assert [found[name] for name in ("a-waits-0", "a-waits-1", "a-waits-2", "b-good")] == [""] * 4


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


def test_a_class_that_was_made_a_process_by_a_call_is_offered_once(tmp_path, monkeypatch):
    code = textwrap.dedent(ATTRIBUTES["a-class"][1]) + "\nturn = fp.process(Turn)\n"
    install(tmp_path, "by-call", code)
    monkeypatch.syspath_prepend(str(tmp_path))

    assert list(load_plugin("plugin_by_call")) == ["turn"]


def test_a_package_offers_what_its_modules_declare(tmp_path, monkeypatch):
    package = tmp_path / "plugin_package"
    package.mkdir()
    (package / "inner.py").write_text(textwrap.dedent(GOOD.format(name="inner")))
    (package / "__init__.py").write_text(
        "from plugin_package.inner import inner\nfrom json import loads\nagain = inner\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))

    assert list(load_plugin("plugin_package")) == ["inner"]


def package(tmp_path: Path, name: str, **modules: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    for module, code in modules.items():
        (folder / f"{module}.py").write_text(textwrap.dedent(code))


def test_a_module_offers_what_its_package_declares_and_nothing_of_others(tmp_path, monkeypatch):
    install(tmp_path, "foreign", GOOD.format(name="foreign"))
    package(
        tmp_path,
        "plugin_siblings",
        __init__="",
        one=GOOD.format(name="one") + GOOD.format(name="unmentioned"),
        offered="from plugin_foreign import foreign\nfrom plugin_siblings.one import one\n"
        + textwrap.dedent(GOOD.format(name="two")),
    )
    monkeypatch.syspath_prepend(str(tmp_path))

    assert list(load_plugin("plugin_siblings.offered")) == ["one", "two"]


def test_a_namespace_is_no_package_of_ones_own(tmp_path, monkeypatch):
    (tmp_path / "plugin_space").mkdir()
    package(tmp_path, "plugin_space/theirs", __init__=GOOD.format(name="theirs"))
    package(
        tmp_path,
        "plugin_space/ours",
        __init__="from plugin_space.theirs import theirs\n" + textwrap.dedent(GOOD.format(name="ours")),
    )
    monkeypatch.syspath_prepend(str(tmp_path))

    assert list(load_plugin("plugin_space.ours")) == ["ours"]


def test_what_two_entry_points_of_a_distribution_share_is_offered_once(tmp_path):
    install(tmp_path, "shares", GOOD.format(name="shared") + GOOD.format(name="more"))
    info = tmp_path / "plugin_shares-1.0.dist-info"
    (info / "entry_points.txt").write_text(
        "[fastprocesses.processes]\na = plugin_shares:shared\nb = plugin_shares\n"
    )

    found = [record for record in discovered(tmp_path, 10).plugins if record.distribution == "shares"]

    offered = [(each.name, each.state, [one.description.id for one in each.processes]) for each in found]
    assert offered == [("a", "loaded", ["shared"]), ("b", "loaded", ["more"])]


# Who keeps an id


def plugin(distribution: str, *ids: str, state: str = "loaded") -> PluginRecord:
    processes = [
        ProcessRecord(
            description=fp.ProcessDescription(id=each, version="1", title=distribution, description="D."),
            policy=fp.Policy(),
            digest=distribution + each,
        )
        for each in ids
    ]
    return PluginRecord(
        name="entry", distribution=distribution, version="1", source="s", state=state, processes=processes
    )


A, B, C = ("a", "entry"), ("b", "entry"), ("c", "entry")
CONFLICTS: dict[str, tuple[list[PluginRecord], dict[str, tuple[str, str]], list[str]]] = {
    "none": ([plugin("a", "x"), plugin("b", "y")], {}, ["a", "b"]),
    "the alphabet": ([plugin("a", "x"), plugin("b", "x")], {}, ["a"]),
    "who stood": ([plugin("a", "x"), plugin("b", "x")], {"x": B}, ["b"]),
    "who stood with one of many": ([plugin("a", "w", "x"), plugin("b", "x", "y")], {"y": B, "x": B}, ["b"]),
    "who stood and is gone": ([plugin("a", "x"), plugin("c", "x")], {"x": B}, ["a"]),
    "who stood with something else": ([plugin("a", "x"), plugin("b", "y", "x")], {"y": B}, ["a"]),
    "an upgrade intrudes": ([plugin("a", "x", "y"), plugin("b", "y")], {"x": A, "y": B}, ["b"]),
    "both newcomers": ([plugin("a", "x"), plugin("b", "y"), plugin("c", "y")], {"x": A}, ["a", "b"]),
    "who stood fails": ([plugin("a", "x"), plugin("b", state="quarantined")], {"x": B}, ["a"]),
}


@pytest.mark.parametrize("case", CONFLICTS)
def test_an_id_is_kept_by(case):
    plugins, standing, kept = CONFLICTS[case]

    records = settled(plugins, standing)

    assert [each.distribution for each in records] == [each.distribution for each in plugins]
    assert [each.distribution for each in records if each.state == "loaded"] == kept
    assert all(each.reason and not each.processes for each in records if each.distribution not in kept) or (
        case == "who stood fails"
    )


IDS = st.lists(st.sampled_from("uvwxyz"), min_size=1, max_size=3, unique=True)


@given(st.lists(IDS, max_size=6), st.lists(IDS, max_size=3))
def test_whatever_is_installed_beside_it_a_plugin_that_stood_goes_on_standing(standing, newcomers):
    """Newcomers come first in the alphabet, and take nothing away."""
    before = settled([plugin(f"m{number}", *ids) for number, ids in enumerate(standing)])
    new = [plugin(f"a{number}", *ids) for number, ids in enumerate(newcomers)]

    after = settled([*new, *before], standing_of(before))

    offered = [(each.description.id, one.distribution) for one in after for each in one.processes]
    assert len({process_id for process_id, _ in offered}) == len(offered)
    assert standing_of(before).items() <= standing_of(after).items()


def test_what_cannot_be_loaded_says_why():
    with pytest.raises(fp.PluginError, match="a_module_that_is_not_there") as caught:
        load_plugin("a_module_that_is_not_there")

    assert caught.value.reason == str(caught.value)
