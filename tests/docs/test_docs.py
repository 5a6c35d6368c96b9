"""Everything the manual of the SDK shows is run, and everything that is public is in its reference."""

from pathlib import Path

import fastprocesses_sdk as fp
import pytest

from tests.docs import reference
from tests.docs.pages import DOCS, ROOT, Page, Sandbox, links_of, pages
from tests.support import short_folder

NARRATIVE = [path for path in pages() if path.name not in {"README.md", "reference.md"}]


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    return Sandbox(tmp_path_factory.mktemp("sandbox") / "venv")


@pytest.mark.timeout(180)
@pytest.mark.parametrize("path", NARRATIVE, ids=lambda path: str(path.relative_to(DOCS)))
def test_a_page_does_what_it_says(path: Path, sandbox: Sandbox):
    with short_folder() as folder:
        assert Page(path, folder, sandbox).run() > 0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("```pycon\n>>> 1 + 1\n3\n```\n", "Expected"),
        ("```pycon\nnothing\n```\n", "ended with 1"),
        ("```sh\nfalse\n```\n", "ended with 1"),
        ("```sh\necho a\n```\n```output\nb\n```\n", "'b' is not in what was printed"),
        ("```output\na\n```\n", "no command has printed this"),
        ("```python\nraise SystemExit(3)\n```\n", "ended with 3"),
        ("```sh later\ntrue\n```\n", "a block that nobody runs"),
        ("```\ntrue\n```\n", "a block that nobody runs"),
        ("```rust file=a.rs\n```\n", "nobody can read this file"),
    ],
)
def test_a_page_that_does_not_is_found_out(text: str, reason: str, sandbox: Sandbox):
    with short_folder() as folder:
        (folder / "wrong.md").write_text(text)
        with pytest.raises(AssertionError, match=reason):
            Page(folder / "wrong.md", folder, sandbox).run()


def test_every_link_leads_to_a_page():
    for page in [*pages(), ROOT / "sdk" / "README.md"]:
        for target in links_of(page):
            assert target.exists(), f"{page.name} links to {target}"


def test_every_page_can_be_found_from_the_first():
    reached, left = set(), [DOCS / "README.md"]
    while left:
        page = left.pop()
        if page not in reached and page.suffix == ".md":
            reached.add(page)
            left += links_of(page)

    assert set(pages()) <= reached


def test_the_reference_is_what_the_docstrings_say():
    assert reference.PAGE.read_text("utf-8") == reference.write(), (
        "write it: uv run python -m tests.docs.reference"
    )


def test_every_public_name_is_in_the_reference():
    page = reference.PAGE.read_text("utf-8")
    headings = {line.removeprefix("### ") for line in page.splitlines() if line.startswith("### ")}
    names = {f"fp.{name}" for name in fp.__all__ if name != "__version__"}

    assert names | {f"fp.testing.{name}" for name in fp.testing.__all__} <= headings


def test_every_public_name_says_what_it_is():
    sdk = reference.load("fastprocesses_sdk")
    for module in (sdk, sdk["testing"]):
        for name in reference.public(module):
            if name not in {"__version__", "hookimpl"}:
                assert module[name].has_docstring, name
