"""The plugin in the README is one."""

import re
import tomllib
from pathlib import Path

from fastprocesses_sdk import Feature, FeatureCollection
from fastprocesses_sdk.plugins import GROUP, load_plugin

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
