"""The data of the compliance suite lives beside the project."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    folder = (Path(__file__).parents[3] / os.environ.get("FASTPROCESSES_SHARED", "../shared")).resolve()
    if not folder.is_dir():
        pytest.skip("the official description is not here (FASTPROCESSES_SHARED)")
    return folder
