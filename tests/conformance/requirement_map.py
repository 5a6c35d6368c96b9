"""Which test shows which requirement: read off the tests' markers, written to server/docs/conformance.md.

`python -m tests.conformance.requirement_map` writes the page again.
"""

import ast
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "server/docs/conformance.md"
CLASS = "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/"

_FOLDERS = ("tests", "plugins")
_HEAD = """\
# Conformance

What the server declares at `/conformance` it earns by resources that are mounted, and each requirement of a declared
class of *OGC API - Processes - Part 1: Core*, version 1.0 (OGC 18-062r2), is shown by the tests named here. The page
is made by `python -m tests.conformance.requirement_map` from the markers of the tests; the tests fail when it is
out of date, or when a requirement has no test.

The official compliance suite (`ets-ogcapi-processes10` 1.3) passes all of its 54 checks; each of them is also a test of
our own, under its name there, in `tests/cite`.
"""


def classes() -> dict[str, Any]:
    """The declared classes with their requirements, by name."""
    return tomllib.loads(Path(__file__).with_name("requirements.toml").read_text("utf-8"))


def requirements() -> dict[str, str]:
    """What each requirement demands, by its id."""
    return {name: text for told in classes().values() for name, text in told["requirements"].items()}


def shown() -> dict[str, list[str]]:
    """The tests that carry the marker of a requirement, `path::function`, in order."""
    found: dict[str, list[str]] = defaultdict(list)
    for folder in _FOLDERS:
        for path in sorted((ROOT / folder).rglob("test_*.py")):
            for function, names in _marked(ast.parse(path.read_text("utf-8"))):
                for name in names:
                    found[name].append(f"{path.relative_to(ROOT)}::{function}")
    return found


def _marked(module: ast.Module) -> Iterator[tuple[str, list[str]]]:
    """Give each test function with the requirements that its decorators name, those of single rows included."""
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            parts = [part for decorator in node.decorator_list for part in ast.walk(decorator)]
            if any(isinstance(part, ast.Attribute) and part.attr == "requirement" for part in parts):
                texts = [part.value for part in parts if isinstance(part, ast.Constant)]
                yield node.name, [text for text in dict.fromkeys(texts) if str(text).startswith("/req/")]


def page(found: Mapping[str, list[str]]) -> str:
    """Write the page."""
    parts = [_HEAD]
    for name, told in classes().items():
        parts.append(
            f"## {told['title']}\n\n`{CLASS}{name}`\n\n| requirement | what it demands | tests |\n|---|---|---|"
        )
        rows = [_row(requirement, text, found) for requirement, text in told["requirements"].items()]
        parts[-1] += "\n" + "\n".join(rows) + "\n"
    return "\n".join(parts)


def _row(requirement: str, text: str, found: Mapping[str, list[str]]) -> str:
    tests = "<br>".join(f"`{test}`" for test in found.get(requirement, ()))
    return f"| `{requirement}` | {text} | {tests} |"


if __name__ == "__main__":
    PAGE.write_text(page(shown()), "utf-8")
