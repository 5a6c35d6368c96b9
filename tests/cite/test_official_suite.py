"""The official compliance suite itself, where its jar is at hand (CITE_JAR names it)."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cite.test_strictness import suite_names


@pytest.mark.timeout(300)
@pytest.mark.skipif(not os.environ.get("CITE_JAR"), reason="the compliance suite is not here (CITE_JAR)")
@pytest.mark.skipif(not shutil.which("javac"), reason="the compliance suite needs a JDK")
def test_the_suite_passes_and_has_the_checks_that_are_written_here(iut, shared, tmp_path: Path):
    ran = subprocess.run(
        [str(shared / "cite/run"), iut, "echo", str(tmp_path)], capture_output=True, text=True, timeout=280
    )
    passed = [
        line.split("] ", 1)[1].split()[0] for line in ran.stdout.splitlines() if line.startswith("PASS")
    ]

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert sorted(passed) == sorted(suite_names())
