"""The pages of the SDK's manual, and how each block of them is run.

Every fenced block is one of these; another one is an error, so that none is left out by accident:

- any language with `file=PATH` is written to that file; TOML, JSON and YAML are read too, Python is compiled
- `python` is a module of its own, and is run
- `pycon` is an interactive session, compared with what it prints (doctest, `...` for anything)
- `sh` are commands, which succeed; `sh background` is a server that runs until the page ends
- `output` is what the commands before printed, in these lines among others, `…` for anything

All blocks of a page run in one folder of its own, in order, in a Python environment that has ours installed and into
which `pip install` installs.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import yaml

from tests.acceptance.service import Command

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "sdk" / "docs"

_FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
_READERS = {"json": json.loads, "toml": tomllib.loads, "yaml": yaml.safe_load}
_DOCTEST = """
import doctest, sys
sys.path[:0] = ["", "src"]
test = doctest.DocTestParser().get_doctest(sys.stdin.read(), {"__name__": "page"}, "page", "page", 0)
runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
sys.exit(1 if runner.run(test).failed or not runner.tries else 0)
"""


class Block(NamedTuple):
    """A fenced block of a page."""

    line: int
    language: str
    file: str
    flag: str
    code: str


def pages() -> list[Path]:
    return sorted(DOCS.rglob("*.md"))


def blocks_of(text: str) -> list[Block]:
    """Give the fenced blocks of a page, in order."""
    found = []
    for fence in _FENCE.finditer(text):
        language, *words = fence["info"].split() or [""]
        files = [word.removeprefix("file=") for word in words if word.startswith("file=")]
        flags = [word for word in words if not word.startswith("file=")]
        line = text.count("\n", 0, fence.start()) + 1
        found.append(Block(line, language, "".join(files), " ".join(flags), fence["code"]))
    return found


class Sandbox:
    """A Python environment that sees all of ours, and into which more can be installed."""

    def __init__(self, folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        self.bin = folder / "bin"
        site = next(folder.glob("lib/python*/site-packages"))
        ours = [path for path in sys.path if path.endswith("site-packages")]
        (site / "ours.pth").write_text("".join(f"import site; site.addsitedir({path!r})\n" for path in ours))
        for name in ("fastprocesses-host", "pytest"):
            module = {"fastprocesses-host": "fastprocesses_host.cli", "pytest": "pytest"}[name]
            start = "main" if name != "pytest" else "console_main"
            script = self.bin / name
            script.write_text(
                f"#!{self.bin / 'python'}\nimport sys\nfrom {module} import {start}\nsys.exit({start}())\n"
            )
            script.chmod(0o755)

    def environ(self, folder: Path) -> dict[str, str]:
        """Give the environment for commands in a folder: ours, without what would tie them to this run."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTEST", "FASTPROCESSES_", "VIRTUAL_ENV", "PYTHONPATH", "COVERAGE"))
        }
        return kept | {
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "FASTPROCESSES_DATA_DIR": str(folder / ".data"),
            "FASTPROCESSES_PORT": "0",
            "COLUMNS": "200",
            # What a package needs is there already: nothing is fetched.
            "PIP_NO_INDEX": "1",
            "PIP_NO_DEPS": "1",
            "PIP_NO_BUILD_ISOLATION": "0",  # pip reads it the wrong way round
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_ROOT_USER_ACTION": "ignore",
        }


class Page:
    """A page that is being run."""

    def __init__(self, path: Path, folder: Path, sandbox: Sandbox) -> None:
        self.path = path
        self.folder = folder
        self.environ = sandbox.environ(folder)
        self.python = str(sandbox.bin / "python")
        self.printed: str | None = None

    def run(self) -> int:
        """Run all blocks; give how many there were.

        Raises:
            AssertionError: one does not do what it should; names its line.
        """
        blocks = blocks_of(self.path.read_text("utf-8"))
        with ExitStack() as stack:
            for block in blocks:
                try:
                    self._run_block(block, stack)
                except AssertionError as error:
                    raise AssertionError(f"{self.path}:{block.line}: {error}") from None
        return len(blocks)

    def _run_block(self, block: Block, stack: ExitStack) -> None:
        if block.file:
            self._write(block)
        elif (block.language, block.flag) == ("python", ""):
            self._run([self.python, "-"], block.code)
        elif (block.language, block.flag) == ("pycon", ""):
            self._run([self.python, "-c", _DOCTEST], block.code)
        elif (block.language, block.flag) == ("sh", ""):
            self.printed = self._run(["bash", "-euo", "pipefail", "-c", block.code])
        elif (block.language, block.flag) == ("sh", "background"):
            self._serve(block, stack)
        elif (block.language, block.flag) == ("output", ""):
            self._compare(block.code)
        else:
            raise AssertionError(f"a block that nobody runs: {block.language} {block.flag}")

    def _write(self, block: Block) -> None:
        assert block.language == "python" or block.language in _READERS, "nobody can read this file"
        if block.language == "python":
            compile(block.code, block.file, "exec")
        else:
            _READERS[block.language](block.code)
        path = self.folder / block.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.code)

    def _run(self, command: list[str], stdin: str = "") -> str:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environ,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, f"ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def _serve(self, block: Block, stack: ExitStack) -> None:
        command = f"cd {self.folder}; exec env {block.code.strip()}"
        server = stack.enter_context(
            Command("bash", "-c", command, log=self.folder / ".log", environ=self.environ)
        )
        server.wait_for_line("Stop")

    def _compare(self, expected: str) -> None:
        assert self.printed is not None, "no command has printed this"
        for line in expected.splitlines():
            pattern = ".*".join(re.escape(part) for part in line.split("…"))
            found = re.search(f"^{pattern}$", self.printed, re.MULTILINE)
            assert found, f"{line!r} is not in what was printed:\n{self.printed}"


def links_of(path: Path) -> Iterator[Path]:
    """Give the pages that a page links to."""
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", path.read_text("utf-8")):
        if "://" not in target:
            yield (path.parent / target).resolve()
