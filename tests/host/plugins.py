"""Plugins that tests lay down for a worker: files of a folder, or code written in the test."""

import shutil
import textwrap
from pathlib import Path

PLUGIN = Path(__file__).parent / "plugin"


def install(folder: Path, modules: dict[str, str]) -> Path:
    """Lay modules down as installed plugins; the entry point of each has its name, `_` written `-`.

    Args:
        folder: To be put on PYTHONPATH.
        modules: Code by name; empty: the file of that name among the tests' plugins.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for file in (*PLUGIN.glob("*.yaml"), *PLUGIN.glob("*.json")):
        shutil.copy(file, folder)
    for name, code in modules.items():
        text = textwrap.dedent(code) or (PLUGIN / f"{name}.py").read_text()
        (folder / f"{name}.py").write_text(text)
        information = folder / f"{name}-1.0.dist-info"
        information.mkdir(exist_ok=True)
        dashed = name.replace("_", "-")
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dashed}\nVersion: 1.0\n")
        (information / "entry_points.txt").write_text(f"[fastprocesses.processes]\n{dashed} = {name}\n")
    return folder
