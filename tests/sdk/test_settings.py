"""Settings of plugins: typed, each fault told with both ways to mend it, secrets never shown."""

import copy
import enum
import json
import logging
import os
import pickle
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import fastprocesses_sdk as fp
import msgspec
import pytest
from fastprocesses_sdk.configured import GivenSettings, OperatorSettings, PluginSettings, given_by
from fastprocesses_sdk.describe import discover
from fastprocesses_sdk.executor.protocol import Configure, encode_frame
from fastprocesses_sdk.starting import settings_types, start, start_functions
from hypothesis import given
from hypothesis import strategies as st

SECRET = "swordfish-47110815"


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Limits(msgspec.Struct):
    near: int
    far: int = 9


class Tiles(fp.Settings):
    url: str
    token: fp.Secret
    size: int = 256
    ratio: float = 0.5
    fast: bool = False
    layers: list[str] = msgspec.field(default_factory=list)
    keys: dict[str, fp.Secret] = msgspec.field(default_factory=dict)
    mode: Literal["near", "far"] = "near"
    colour: Colour = Colour.RED
    limits: Limits | None = None
    folder: Path | None = None
    either: int | str | None = None


GOOD = {"url": "https://tiles.example.org/", "token": SECRET}


def read(table: Mapping[str, Any] | None = None, texts: Mapping[str, str] | None = None) -> Tiles:
    settings = PluginSettings(
        GivenSettings(plugin="my-tiles", table=dict(table or {}), texts=dict(texts or {}))
    )
    settings.check([Tiles])
    return settings.of(Tiles)


def refusal(table: Mapping[str, Any] | None = None, texts: Mapping[str, str] | None = None) -> str:
    with pytest.raises(fp.PluginError) as caught:
        read(table, texts)
    return str(caught.value)


# Reading


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("SIZE", "512", 512),
        ("SIZE", "1e3", 1000),
        ("RATIO", "2", 2.0),
        ("FAST", "true", True),
        ("FAST", "0", False),
        ("LAYERS", '["a", "b"]', ["a", "b"]),
        ("LAYERS", "[]", []),
        ("MODE", "far", "far"),
        ("COLOUR", "blue", Colour.BLUE),
        ("LIMITS", '{"near": 1}', Limits(near=1)),
        ("FOLDER", "/srv/tiles", Path("/srv/tiles")),
        ("EITHER", "5", 5),
        ("EITHER", "007", "007"),
        ("EITHER", '"5"', '"5"'),
        ("EITHER", "null", "null"),
        ("EITHER", "[5]", "[5]"),
        ("EITHER", "five", "five"),
        ("URL", "5", "5"),
        ("URL", "null", "null"),
        ("URL", '"quoted"', '"quoted"'),
        ("URL", "", ""),
        ("url", "lower case", "lower case"),
    ],
)
def test_variables_become_values_of_their_type(name, text, value):
    assert getattr(read(GOOD, {name: text}), name.lower()) == value


def test_tables_have_types_already():
    table = {**GOOD, "size": 3, "fast": True, "layers": ["a"], "limits": {"near": 1}, "keys": {"a": "b"}}
    settings = read(table)

    assert (settings.size, settings.fast, settings.layers, settings.limits) == (
        3,
        True,
        ["a"],
        Limits(near=1),
    )
    assert settings.keys["a"].reveal() == "b"


def test_the_environment_goes_before_the_file():
    assert read({**GOOD, "size": 3}, {"SIZE": "4"}).size == 4


def test_names_of_plugins_are_found_in_the_environment():
    environ = {
        "FASTPROCESSES_PLUGINS__MY_TILES__URL": "u",
        "FASTPROCESSES_PLUGINS__MY_TILES_2__URL": "v",
        "FASTPROCESSES_PLUGINS__OTHER__URL": "w",
        "FASTPROCESSES_PLUGINS_FILE": "x",
        "PATH": "y",
    }
    settings = OperatorSettings.from_environ(environ, {"my-tiles": {"size": 1}, "stray": {}})

    assert settings.of("my-tiles").texts == {"URL": "u"}
    assert settings.of("my.tiles-2").texts == {"URL": "v"}
    assert settings.of("my-tiles").table == {"size": 1}
    assert settings.of("none") == GivenSettings(plugin="none")
    assert settings.strangers(["my-tiles", "my.tiles-2"]) == [
        "[plugins.stray]",
        "FASTPROCESSES_PLUGINS__OTHER__URL",
    ]


def test_two_types_share_one_table():
    class Size(fp.Settings):
        size: int = 1

    settings = PluginSettings(GivenSettings(plugin="p", table={**GOOD, "size": 7}))
    settings.check([Tiles, Size])

    assert (settings.of(Size).size, settings.of(Tiles).size) == (7, 7)
    assert settings.of(Size) is settings.of(Size)


# Faults

BOTH_WAYS = "{0} in [plugins.my-tiles] of the settings file, or FASTPROCESSES_PLUGINS__MY_TILES__{1} in the environment"
FAULTS = {
    "missing": ({"token": SECRET}, {}, "its setting 'url' is missing; set " + BOTH_WAYS.format("url", "URL")),
    "wrong in the file": (
        {**GOOD, "size": SECRET},
        {},
        "its setting 'size' cannot be used: Expected `int`, got `str`; correct " + BOTH_WAYS.format("size", "SIZE"),
    ),
    "wrong in the environment": (GOOD, {"SIZE": SECRET}, "its setting 'size' cannot be used: Expected `int`"),
    "no JSON": (GOOD, {"LAYERS": SECRET}, "its setting 'layers' cannot be used: Expected `array`"),
    "JSON of another type": (GOOD, {"LAYERS": json.dumps({"a": SECRET})}, "'layers' cannot be used: Expected `array`"),
    "JSON inside": (GOOD, {"LAYERS": "[1]"}, "'layers' cannot be used: Expected `str`, got `int` - at `$[0]`"),
    "deep JSON": (GOOD, {"LAYERS": "[" * 100_000}, "its setting 'layers' cannot be used"),
    "no choice": (GOOD, {"MODE": SECRET}, "'mode' cannot be used: it is none of the values allowed"),
    "no member": (GOOD, {"COLOUR": SECRET}, "'colour' cannot be used: it is none of the values allowed"),
    "no boolean": (GOOD, {"FAST": SECRET}, "'fast' cannot be used: Expected `bool`"),
    "a secret that is no text": ({**GOOD, "token": 4711}, {}, "'token' cannot be used: a secret is a text, not int"),
    "a list of secrets": ({**GOOD, "keys": {"a": 1}}, {}, "'keys' cannot be used: a secret is a text"),
    "unknown in the file": ({**GOOD, "ulr": SECRET}, {}, "there is no setting 'ulr' in [plugins.my-tiles]; it knows"),
    "unknown in the environment": (
        GOOD,
        {"ULR": SECRET},
        "there is no setting FASTPROCESSES_PLUGINS__MY_TILES__ULR; it knows colour, either, fast",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_names_the_setting_and_both_ways_but_no_value(name):
    table, texts, told = FAULTS[name]
    sentence = refusal(table, texts)

    assert told in sentence
    assert SECRET not in sentence
    assert "4711" not in sentence


def test_all_faults_are_told_at_once():
    sentence = refusal({"size": "x", "a": 1}, {"B": "2"})

    for part in ("'url' is missing", "'token' is missing", "'size' cannot be used", "'a' in", "MY_TILES__B"):
        assert part in sentence


def test_many_faults_are_counted():
    assert refusal({**GOOD, **{f"unknown_{number}": 1 for number in range(50)}}).endswith("; and 45 more")


def test_names_that_need_quotes_have_them():
    with pytest.raises(fp.PluginError, match=re.escape('[plugins."my.tiles"]')):
        PluginSettings(GivenSettings(plugin="my.tiles")).check([Tiles])


def test_a_plugin_without_settings_takes_none():
    PluginSettings(GivenSettings(plugin="p")).check([])
    with pytest.raises(fp.PluginError, match=r"no setting 'url' in \[plugins.p\]; it has no settings"):
        PluginSettings(GivenSettings(plugin="p", table={"url": "u"})).check([])


class Checked(fp.Settings):
    url: str
    token: fp.Secret
    odd: str = "no"

    def __post_init__(self) -> None:
        if self.odd == "value":
            raise ValueError(f"{self.url} with {self.token.reveal()} is not what I want")
        if self.odd == "key":
            raise KeyError("url")


@pytest.mark.parametrize(("odd", "told"), [("value", "*** with *** is not what I want"), ("key", "'url'")])
def test_what_an_author_checks_is_told_without_the_values(odd, told):
    given = GivenSettings(plugin="p", table={**GOOD, "odd": odd})

    with pytest.raises(fp.PluginError, match=r"its settings were refused") as caught:
        PluginSettings(given).check([Checked])

    assert told in str(caught.value)
    assert SECRET not in str(caught.value)


any_text = st.text(min_size=4)


@given(
    url=any_text, token=any_text, junk=st.dictionaries(st.sampled_from(["size", "fast", "mode"]), any_text)
)
def test_whatever_is_set_it_is_read_or_refused_without_a_word_of_it(url, token, junk):
    given = GivenSettings(plugin="p", table={"url": url}, texts={"TOKEN": token, **junk})
    try:
        settings = PluginSettings(given).of(Tiles)
    except fp.PluginError as error:
        told = str(error)
    else:
        told = f"{settings.token} {settings.token!r} {given!r}"
        assert (settings.url, settings.token.reveal()) == (url, token)

    assert not [text for text in (token, *junk.values()) if len(text) > 8 and text in told]


# Declaring


def test_settings_are_frozen_and_keyword_only():
    settings = Tiles(url="u", token=fp.Secret("t"))

    with pytest.raises(AttributeError):
        settings.url = "v"  # type: ignore[misc]
    with pytest.raises(TypeError):
        Tiles("u", fp.Secret("t"))  # type: ignore[misc]


def test_a_process_receives_settings_like_the_job():
    @fp.process
    def locate(x: int, *, job: fp.Job = fp.NO_JOB, settings: Tiles) -> str:
        return settings.url

    outputs = locate.run({"x": _one}, fp.NO_JOB, settings=PluginSettings(given_by("p", GOOD)))

    assert list(locate.description.inputs) == ["x"]
    assert locate.settings == {"settings": Tiles}
    assert outputs["result"].data == b'"https://tiles.example.org/"'
    assert locate(1, settings=Tiles(url="plain call", token=fp.Secret(""))) == "plain call"
    with pytest.raises(fp.PluginError, match="'url' is missing"):
        locate.run({"x": _one}, fp.NO_JOB)


def test_settings_reach_with_version_and_optional_arguments():
    @fp.process
    def locate(x: int, *, settings: Tiles | None = None) -> int:
        return settings.size if settings else 0

    process = locate.with_version("3")

    assert (
        process.run({"x": _one}, fp.NO_JOB, settings=PluginSettings(given_by("p", GOOD)))["result"].data
        == b"256"
    )


class _Value:
    data = b"1"
    media_type = ""
    path = ""

    def content(self) -> bytes:
        return self.data


_one: Any = _Value()


def base_itself(settings: fp.Settings) -> int: ...


class Custom:
    pass


class WithCustom(fp.Settings):
    thing: list[Custom]


class WithUnion(fp.Settings):
    thing: dict[str, int] | Limits


class Unresolved(fp.Settings):
    thing: "Nowhere"  # type: ignore[name-defined]  # noqa: F821


def custom(settings: WithCustom) -> int: ...
def union(settings: WithUnion) -> int: ...
def unresolved(settings: Unresolved) -> int: ...


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (base_itself, "write a subclass"),
        (custom, "field 'thing' of WithCustom cannot be a setting: Custom is not known"),
        (union, "field 'thing' of WithUnion cannot be a setting"),
        (unresolved, "annotations of Unresolved cannot be read"),
    ],
)
@pytest.mark.parametrize("declare", [fp.process, fp.on_start])
def test_settings_that_make_no_sense_are_told(function, told, declare):
    with pytest.raises(fp.DeclarationError, match=told):
        declare(function)


# Starting


def generator():
    yield


def needs_more(model: str): ...


def positional(settings: Tiles, /): ...


@fp.process
def a_process(x: int) -> int:
    return x


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (generator, "it yields"),
        (needs_more, "nothing is known for its argument 'model'"),
        (positional, "nothing is known for its argument 'settings'"),
        (a_process, "it is a process"),
        (5, "above a function"),
        (Tiles, "above a function"),
    ],
)
def test_a_start_function_that_makes_no_sense_is_told(function, told):
    with pytest.raises(fp.DeclarationError, match=told):
        fp.on_start(function)


def test_a_start_function_stays_a_function():
    @fp.on_start
    def begin(settings: Tiles, more: int = 2) -> str:
        """Begin."""
        return settings.url * more

    assert begin(settings=Tiles(url="u", token=fp.Secret("t"))) == "uu"
    assert (begin.__name__, begin.__doc__) == ("begin", "Begin.")
    assert "begin" in repr(begin)


PACKAGE = {
    "__init__.py": """
        import fastprocesses_sdk as fp
        from package_that_starts.inner import begin_inner, run
        from package_started_elsewhere import begin_other
        DONE = []
        @fp.on_start
        def begin(): DONE.append("package")
    """,
    "inner.py": """
        import fastprocesses_sdk as fp
        class Tiles(fp.Settings):
            url: str = "u"
        @fp.on_start
        async def begin_inner(settings: Tiles):
            import package_that_starts
            package_that_starts.DONE.append(f"inner {settings.url}")
        @fp.process
        def run(x: int) -> int:
            return x
    """,
}


def test_start_functions_of_the_plugin_run_and_of_others_do_not(tmp_path, monkeypatch):
    package = tmp_path / "package_that_starts"
    package.mkdir()
    for name, code in PACKAGE.items():
        (package / name).write_text(textwrap.dedent(code))
    (tmp_path / "package_started_elsewhere.py").write_text(
        "import fastprocesses_sdk as fp\n@fp.on_start\ndef begin_other(): raise RuntimeError\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import importlib

    module = importlib.import_module("package_that_starts")
    start("package_that_starts", [module.run], PluginSettings(given_by("p", {"url": "v"})))

    assert sorted(module.DONE) == ["inner v", "package"]
    assert [kind.__name__ for kind in settings_types("package_that_starts", [module.run])] == ["Tiles"]
    of_inner = start_functions("package_that_starts.inner:run", [module.run])
    assert [each.__name__ for each in of_inner] == ["begin_inner"]
    of_another = start_functions("json:run", [module.run])
    assert [each.__name__ for each in of_another] == ["begin_inner"], "the module of its process counts"


# Secrets

TOKEN = fp.Secret(SECRET)
HOLDER = Tiles(url="u", token=TOKEN)
SHOWN = {
    "str": lambda: str(TOKEN),
    "repr": lambda: repr(TOKEN),
    "format": lambda: f"{TOKEN:>40} {TOKEN!r} {TOKEN!s}",
    "percent": lambda: "%s %r" % (TOKEN, TOKEN),  # noqa: UP031
    "settings": lambda: f"{HOLDER} {HOLDER!r}",
    "rich": lambda: str(HOLDER.__rich_repr__()),
    "pickle": lambda: str(pickle.dumps(TOKEN)) + str(pickle.dumps(HOLDER)),
    "unpickled": lambda: repr(pickle.loads(pickle.dumps(HOLDER))),
    "asdict": lambda: str(msgspec.structs.asdict(HOLDER)),
    "given": lambda: repr(given_by("p", HOLDER)) + str(given_by("p", HOLDER).__rich_repr__()),
    "operator": lambda: repr(OperatorSettings(tables={"p": {"t": SECRET}}, texts={"P__T": SECRET})),
    "frame": lambda: repr(Configure("s", given_by("p", HOLDER))),
    "reader": lambda: repr(PluginSettings(given_by("p", HOLDER))),
}


@pytest.mark.parametrize("form", SHOWN)
def test_a_secret_shows_itself_in_no_form(form):
    shown = SHOWN[form]()

    assert SECRET not in shown
    assert shown


@pytest.mark.parametrize(
    "encode", [json.dumps, msgspec.json.encode, msgspec.msgpack.encode, msgspec.to_builtins, len, iter]
)
def test_a_secret_is_nothing_to_be_sent(encode):
    with pytest.raises(TypeError) as caught:
        encode(TOKEN)

    assert SECRET not in str(caught.value)


def test_a_secret_is_not_logged(caplog):
    logging.getLogger("plugin").warning("settings %s, token %r", HOLDER, TOKEN)

    assert SECRET not in caplog.text
    assert "***" in caplog.text


def test_a_secret_is_revealed_on_purpose_only():
    assert TOKEN.reveal() == SECRET
    assert copy.deepcopy(HOLDER).token.reveal() == SECRET
    assert copy.copy(TOKEN) is TOKEN
    with pytest.raises(ValueError, match="reveal it before"):
        pickle.loads(pickle.dumps(TOKEN)).reveal()


def test_secrets_compare_and_hash_by_what_they_hide():
    assert fp.Secret("a") == fp.Secret("a") != fp.Secret("b")
    assert fp.Secret("a") != "a"
    assert {fp.Secret("a"), fp.Secret("a")} == {fp.Secret("a")}
    assert not fp.Secret("")
    assert fp.Secret("ü\ud800") == fp.Secret("ü\ud800")
    left = pickle.loads(pickle.dumps(TOKEN))
    assert left != pickle.loads(pickle.dumps(TOKEN))
    with pytest.raises(TypeError):
        fp.Secret(5)  # type: ignore[arg-type]


def test_settings_given_by_a_test_are_as_an_operator_gives_them():
    settings = Tiles(url="u", token=TOKEN, folder=Path("/srv"), limits=Limits(near=1), keys={"a": TOKEN})

    assert PluginSettings(given_by("p", settings)).of(Tiles) == settings
    assert PluginSettings(given_by("p", None)).of(_AllDefaults).x == 1
    assert SECRET.encode() in encode_frame(Configure("s", given_by("p", settings))), (
        "the frame is how it travels"
    )


class _AllDefaults(fp.Settings):
    x: int = 1


# Discovery

PLUGINS = {
    "needs": """
        import fastprocesses_sdk as fp
        class Tiles(fp.Settings):
            url: str
            token: fp.Secret
        @fp.process
        def needs(*, settings: Tiles) -> str:
            return settings.url
    """,
    "starts": """
        import fastprocesses_sdk as fp
        class Tiles(fp.Settings):
            size: int
        @fp.on_start
        def begin(settings: Tiles): raise RuntimeError("not during discovery")
        @fp.process
        def starts(x: int) -> int:
            return x
    """,
    "without": """
        import os
        import fastprocesses_sdk as fp
        found = [name for name in os.environ if name.startswith("FASTPROCESSES_PLUGINS__")]
        assert not found, found
        @fp.process
        def without(x: int) -> int:
            return x
    """,
}


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    for name, code in PLUGINS.items():
        (tmp_path / f"plugin_{name}.py").write_text(textwrap.dedent(code))
        info = tmp_path / f"plugin_{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n")
        (info / "entry_points.txt").write_text(f"[fastprocesses.processes]\n{name} = plugin_{name}\n")
    return {**os.environ, "PYTHONPATH": str(tmp_path)}


def states(found: Any) -> dict[str, str]:
    return {record.name: record.reason or record.state for record in found.plugins if record.name in PLUGINS}


def test_a_plugin_that_lacks_a_setting_is_quarantined(environ):
    told = states(discover(environ=environ, settings=OperatorSettings()))

    assert "its setting 'url' is missing; set url in [plugins.needs]" in told["needs"]
    assert "FASTPROCESSES_PLUGINS__STARTS__SIZE" in told["starts"]
    assert told["without"] == "loaded"


def test_with_its_settings_a_plugin_is_loaded(environ):
    tables = {"needs": {"url": "u", "token": SECRET}, "starts": {"size": 1}}

    assert set(states(discover(environ=environ, settings=OperatorSettings(tables=tables))).values()) == {
        "loaded"
    }


def test_settings_are_taken_from_the_environment_where_nobody_hands_them_over(environ):
    environ |= {
        "FASTPROCESSES_PLUGINS__NEEDS__URL": "u",
        "FASTPROCESSES_PLUGINS__NEEDS__TOKEN": SECRET,
        "FASTPROCESSES_PLUGINS__STARTS__SIZE": SECRET,
    }
    found = discover(environ=environ)

    assert states(found)["needs"] == states(found)["without"] == "loaded"
    assert "its setting 'size' cannot be used: Expected `int`, got `str`" in states(found)["starts"]
    assert SECRET not in msgspec.json.encode(found).decode()


def test_large_settings_reach_discovery(environ):
    tables = {"needs": {"url": "u" * 3_000_000, "token": SECRET}, "starts": {"size": 1}}

    assert states(discover(environ=environ, settings=OperatorSettings(tables=tables)))["needs"] == "loaded"
