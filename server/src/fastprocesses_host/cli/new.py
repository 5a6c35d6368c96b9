"""`new`: the package of a plugin, made of a template, that passes its tests at once."""

import importlib.metadata
import keyword
import re
import sys
from email.utils import parseaddr
from pathlib import Path
from typing import Final

from msgspec import Struct

from fastprocesses_host.cli.told import CallError
from fastprocesses_host.exits import Exit

TEMPLATE: Final = Path(__file__).parent / "plugin_template"

_NAME: Final = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
_LONGEST_NAME: Final = 60
_TAKEN: Final = frozenset(
    {"fastprocesses_sdk", "fastprocesses_host", "pytest_fastprocesses", "tests", "test", "src"}
)


class NewPlugin(Struct, frozen=True, kw_only=True):
    """What is to be made.

    Args:
        name: Of the distribution and of its entry point.
        folder: Where; it is not there yet, or empty.
        title: What it is, in a line.
        author: `Name`, `Name <mail@example.org>`, or nothing.
    """

    name: str
    folder: Path
    title: str
    author: str = ""

    @property
    def module(self) -> str:
        """The name of its Python package."""
        return self.name.replace("-", "_")


def make(plugin: NewPlugin) -> None:
    """Make the package.

    Raises:
        CallError: the name cannot be one, the folder is in use, or it cannot be written.
    """
    _check_name(plugin.name, plugin.module)
    _check_line("--title", plugin.title)
    _check_line("--author", plugin.author)
    _check_folder(plugin.folder)
    from copier import run_copy  # slow to import, and seldom needed

    try:
        plugin.folder.mkdir(parents=True, exist_ok=True)
        run_copy(
            str(TEMPLATE), plugin.folder, data=_answers(plugin), defaults=True, quiet=True, skip_tasks=True
        )
    except OSError as error:
        raise CallError(f"{plugin.folder} cannot be written: {error.strerror}.", Exit.FAILED) from None


def next_steps(plugin: NewPlugin) -> str:
    """Say what to do with the package."""
    return "\n".join(
        [
            f"{plugin.folder} is made. Next:",
            f"  cd {plugin.folder}",
            "  pip install -e '.[test]' && pytest",
            f"  fastprocesses-host plugins check {plugin.name}",
            "  fastprocesses-host run",
        ]
    )


def _answers(plugin: NewPlugin) -> dict[str, str]:
    author, email = parseaddr(plugin.author) if "@" in plugin.author else (plugin.author, "")
    major, minor = importlib.metadata.version("fastprocesses-sdk").split(".")[:2]
    following = f"{major}.{int(minor) + 1}" if major == "0" else str(int(major) + 1)
    return {
        "name": plugin.name,
        "module": plugin.module,
        "title": plugin.title,
        "author": author,
        "email": email,
        "sdk_version": f"{major}.{minor}",
        "sdk_next": following,
    }


def _check_name(name: str, module: str) -> None:
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        like = "-".join(re.findall(r"[a-z0-9]+", name.lower())).lstrip("0123456789-")[:_LONGEST_NAME]
        raise _usage(
            f"{name!r} cannot be the name of a plugin: lower-case letters, digits and '-', a letter first"
            + (f", as {like!r}." if like else ".")
        )
    if keyword.iskeyword(module) or module in sys.stdlib_module_names or module in _TAKEN:
        raise _usage(
            f"{name!r} cannot be the name of a plugin: a Python package {module!r} is there already."
        )


def _check_line(option: str, text: str) -> None:
    if not text.isprintable():
        raise _usage(f"{option} is a text in one line.")


def _check_folder(folder: Path) -> None:
    try:
        taken = folder.exists() and (not folder.is_dir() or bool(list(folder.iterdir())))
    except OSError as error:
        raise _usage(f"{folder} cannot be read: {error.strerror}.") from None
    if taken:
        raise _usage(f"{folder} is there already. Choose another folder with --folder, or remove that one.")


def _usage(sentence: str) -> CallError:
    return CallError(sentence, Exit.USAGE)
