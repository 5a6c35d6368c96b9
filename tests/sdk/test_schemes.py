"""Functions that fetch URLs of schemes of their own: declared, found in plugins, settled between them, called."""

from pathlib import Path

import fastprocesses_sdk as fp
import pytest
from fastprocesses_sdk.configured import GivenSettings
from fastprocesses_sdk.conflicts import settled, standing_of
from fastprocesses_sdk.description import PluginRecord
from fastprocesses_sdk.installed import InstalledPlugin
from fastprocesses_sdk.plugins import describe_plugin
from fastprocesses_sdk.schemes import ReferenceScheme


class Place(fp.Settings):
    """Of the operator."""

    root: str = "r"


def plain(url: str, folder: Path) -> Path:
    """Fetch."""
    target = folder / "file"
    target.write_text(url)
    return target


def generator(url: str, folder: Path):
    yield folder


def no_folder(url: str) -> str:
    return url


def by_name(*, url: str, folder: Path) -> Path:
    return folder


def settings_first(settings: Place, url: str, folder: Path) -> Path:
    return folder


def needs_more(url: str, folder: Path, model: str) -> Path:
    return folder


def unresolved(url: str, folder: "Nowhere") -> Path:  # noqa: F821
    return folder


@fp.process
def a_process(x: int) -> int:
    return x


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (generator, "it yields"),
        (no_folder, "its first two arguments are the URL and the folder"),
        (by_name, "its first two arguments"),
        (settings_first, "its first two arguments"),
        (needs_more, "nothing is known for its argument 'model'"),
        (unresolved, "an annotation cannot be read"),
        (a_process, "above a function of its own"),
        (Place, "above a function of its own"),
        (5, "above a function of its own"),
    ],
)
def test_a_function_that_makes_no_sense_is_told(function, told):
    with pytest.raises(fp.DeclarationError, match=told):
        fp.reference_scheme("s3")(function)


@pytest.mark.parametrize(
    ("schemes", "told"),
    [
        ((), "it names no scheme"),
        (("",), "'' is no scheme"),
        ((" ",), "' ' is no scheme"),
        (("s3:",), "'s3:' is no scheme"),
        (("3s",), "'3s' is no scheme"),
        (("s" * 41,), "is no scheme"),
        (("s3", 5), "5 is no scheme"),
        (("HTTP",), "'http' cannot be a plugin's: servers fetch it themselves"),
        (("https",), "servers fetch it"),
        (("data",), "servers read it"),
        (("s3", "file"), "it would open the disk"),
        (("urn",), "without saying where"),
    ],
)
def test_a_scheme_that_makes_no_sense_is_told(schemes, told):
    with pytest.raises(fp.DeclarationError, match=told):
        fp.reference_scheme(*schemes)(plain)


def test_without_brackets_it_says_what_to_write():
    with pytest.raises(fp.DeclarationError, match=r'name the schemes: @fp.reference_scheme\("s3"\)'):
        fp.reference_scheme(plain)


def test_it_stays_a_function(tmp_path):
    scheme = fp.reference_scheme("S3", "s3", "s3+x")(plain)
    assert scheme("s3://b/k", tmp_path).read_text() == "s3://b/k"
    assert (scheme.schemes, scheme.__name__, scheme.__doc__) == (("s3", "s3+x"), "plain", "Fetch.")
    assert "s3+x" in repr(scheme)


@pytest.mark.parametrize(
    ("returned", "path", "media_type"),
    [
        ("a", "a", ""),
        (Path("b/c"), "b/c", ""),
        (fp.Fetched(Path("a"), "text/csv"), "a", "text/csv"),
    ],
)
def test_what_it_returns_lies_in_the_folder(tmp_path, returned, path, media_type):
    @fp.reference_scheme("s3")
    async def fetch(url: str, folder: Path, /, *, me: fp.Job = fp.NO_JOB, settings: Place, more: int = 1):
        assert (url, folder, me.id, settings.root, more) == ("s3:x", tmp_path, "j", "r", 1)
        return returned

    fetched = fetch.fetch("s3:x", fp.Job(id="j", workdir=tmp_path))
    assert fetched == fp.Fetched(tmp_path / path, media_type)


@pytest.mark.parametrize("returned", [None, b"content", fp.Fetched(5), fp.Fetched(Path(), None)])
def test_what_is_no_path_is_refused(tmp_path, returned):
    scheme = fp.reference_scheme("s3")(lambda url, folder: returned)
    with pytest.raises(TypeError, match="not a path"):
        scheme.fetch("s3:x", fp.Job(id="j", workdir=tmp_path))


# Plugins

FETCHING = """
import fastprocesses_sdk as fp

class Place(fp.Settings):
    root: str

@fp.reference_scheme("s3", "gs")
def fetch(url, folder, *, settings: Place):
    return folder
"""
PROCESS = """
@fp.process
def run(x: int) -> int:
    return x
"""
AGAIN = """
@fp.reference_scheme("gs")
def fetch_too(url, folder):
    return folder
"""


def described(folder, monkeypatch, name, code, attribute="", given=None) -> PluginRecord:
    (folder / f"{name}.py").write_text(code)
    monkeypatch.syspath_prepend(str(folder))
    source = f"{name}:{attribute}" if attribute else name
    return describe_plugin(InstalledPlugin(name="p", distribution="d", version="1", source=source), given)


@pytest.mark.parametrize(
    ("name", "code", "attribute", "ids"),
    [
        ("schemes_alone", FETCHING, "", []),
        ("schemes_named", FETCHING, "fetch", []),
        ("schemes_and_process", FETCHING + PROCESS, "", ["run"]),
        ("schemes_of_process", FETCHING + PROCESS, "run", ["run"]),
    ],
)
def test_schemes_are_told_with_the_plugin(tmp_path, monkeypatch, name, code, attribute, ids):
    record = described(tmp_path, monkeypatch, name, code, attribute)
    assert (record.state, record.reason, record.reference_schemes) == ("loaded", "", ["s3", "gs"])
    assert [process.description.id for process in record.processes] == ids


def test_two_functions_for_a_scheme_are_told(tmp_path, monkeypatch):
    record = described(tmp_path, monkeypatch, "schemes_twice", FETCHING + AGAIN)
    assert record.state == "quarantined"
    assert "two functions for the scheme 'gs', fetch() and fetch_too(); take one away" in record.reason


def test_settings_that_fetching_needs_are_looked_at(tmp_path, monkeypatch):
    given = GivenSettings(plugin="p")
    record = described(tmp_path, monkeypatch, "schemes_unset", FETCHING, given=given)
    assert record.state == "quarantined"
    assert "root" in record.reason


def record(name: str, *schemes: str, distribution: str = "") -> PluginRecord:
    return PluginRecord(
        name=name,
        distribution=distribution or name,
        version="1",
        source=name,
        state="loaded",
        reference_schemes=list(schemes),
    )


def test_of_two_plugins_one_keeps_a_scheme():
    first, second = settled([record("a", "s3"), record("b", "gs", "s3")])
    assert (first.state, second.state, second.reference_schemes) == ("loaded", "quarantined", [])
    assert second.reason == "the scheme 's3' is taken by a (a); choose another, or uninstall one of the two"


def test_who_had_a_scheme_before_keeps_it():
    standing = standing_of([record("b", "s3")])
    first, second = settled([record("a", "s3"), record("b", "s3")], standing)
    assert (first.state, second.state) == ("quarantined", "loaded")
    assert "taken by b (b), which offered it before" in first.reason


def test_a_distribution_offers_a_scheme_once():
    first, second = settled([record("a", "s3", distribution="d"), record("b", "s3", "gs", distribution="d")])
    assert (first.reference_schemes, second.reference_schemes) == (["s3"], ["gs"])
    assert second.state == "loaded"


def test_the_type_is_not_taken_for_processes():
    assert not isinstance(fp.reference_scheme("s3")(plain), fp.Process)
    assert isinstance(fp.reference_scheme("s3")(plain), ReferenceScheme)
