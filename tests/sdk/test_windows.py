"""On Windows authors write, describe, run and check processes; a service runs elsewhere."""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent / "windows"
PLUGINS = {
    "works": "import fastprocesses_sdk as fp\n@fp.process\ndef works(x: int) -> int:\n    return x\n",
    "hangs": "import time\ntime.sleep(600)\n",
    "exits": "import os\nos._exit(3)\n",
}


def test_an_author_can_work_on_windows(tmp_path):
    for name, code in PLUGINS.items():
        (tmp_path / f"windows_{name}.py").write_text(code)
        info = tmp_path / f"windows_{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: windows-{name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[fastprocesses.processes]\n{name} = windows_{name}\n")

    done = subprocess.run(
        [sys.executable, "-W", "error", str(HERE / "session.py")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(tmp_path)])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, "all of it works\n"), done.stderr
