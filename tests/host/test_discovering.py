"""The plugins that a worker finds while it is being imported."""

from pathlib import Path

import pytest
from fastprocesses_host.engine.discovering import Discovering
from fastprocesses_host.settings import Settings


def test_the_folder_that_a_worker_stands_in_is_no_place_for_plugins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dramatiq's command has its modules imported all the same."""
    told = tmp_path / "stray-1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: stray\nVersion: 1.0\n")
    (told / "entry_points.txt").write_text("[fastprocesses.processes]\nstray = stray\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(".")
    found = Discovering(Settings()).result()
    assert "stray" not in [plugin.name for plugin in found.plugins]
