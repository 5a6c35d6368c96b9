"""The plugin in the README is one."""

import re
import tomllib
from pathlib import Path

import pytest
from fastprocesses_sdk import NO_JOB, Feature, FeatureCollection, Job, ProcessError
from fastprocesses_sdk.configured import GivenSettings, PluginSettings
from fastprocesses_sdk.installed import GROUP
from fastprocesses_sdk.plugins import load_plugin
from fastprocesses_sdk.schemes import declared_schemes
from fastprocesses_sdk.starting import start
from fastprocesses_sdk.values import InputValue

README = (Path(__file__).parents[2] / "sdk" / "README.md").read_text()


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", README, re.DOTALL)
    assert found
    return found[1]


def test_the_plugin_of_the_readme_works(tmp_path, monkeypatch):
    (tmp_path / "my_plugin.py").write_text(block("python"))
    monkeypatch.syspath_prepend(str(tmp_path))
    (source,) = tomllib.loads(block("toml"))["project"]["entry-points"][GROUP].values()

    tag = load_plugin(source)["tag"]

    assert tag(FeatureCollection([Feature()]), 2.5).features[0].properties == {
        "weight": 2.5,
        "mood": "bright",
    }
    assert tag.description.inputs["weight"].description == "How heavy each is. Unit: kg."
    assert isinstance(tag.description.example, dict)


def test_the_settings_of_the_readme_reach_its_process(tmp_path, monkeypatch):
    (tmp_path / "my_settings.py").write_text(re.findall(r"```python\n(.*?)```", README, re.DOTALL)[1])
    monkeypatch.syspath_prepend(str(tmp_path))
    given = GivenSettings(
        plugin="tiles", table={"url": "https://example.org"}, texts={"TOKEN": "t", "SIZE": "3"}
    )
    settings = PluginSettings(given)

    locate = load_plugin("my_settings")["locate"]
    start("my_settings", [locate], settings)
    outputs = locate.run({"name": InputValue(data=b'"a"')}, NO_JOB, settings=settings)

    assert outputs["result"].data == b'"https://example.org/3/a"'


def test_the_scheme_of_the_readme_fetches(tmp_path, monkeypatch):
    (tmp_path / "my_archive.py").write_text(re.findall(r"```python\n(.*?)```", README, re.DOTALL)[2])
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "rain.csv").write_text("mm\n1\n")
    settings = PluginSettings(GivenSettings(plugin="archive", table={"root": str(tmp_path / "root")}))

    assert load_plugin("my_archive") == {}
    scheme = declared_schemes("my_archive", ())["archive"]
    fetched = scheme.fetch("archive:rain", Job(id="j", workdir=tmp_path), settings)

    assert (fetched.path.read_text(), fetched.media_type) == ("mm\n1\n", "text/csv")
    for url in ("archive:snow", "archive:../rain", "archive:/etc/passwd"):
        with pytest.raises(ProcessError, match="has no table"):
            scheme.fetch(url, Job(id="j", workdir=tmp_path), settings)
