"""Properties of the code are tried in the same places in every run."""

import sys
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


def tried() -> list[str]:
    """Give the texts that a property is tried with."""
    texts: list[str] = []

    @settings(derandomize=True, max_examples=300, database=None, deadline=None)
    @given(st.text(max_size=5))
    def anything_goes(text: str) -> None:
        texts.append(text)

    anything_goes()
    return texts


def test_where_a_property_is_searched_does_not_depend_on_what_is_imported(
    tmp_path, monkeypatch, request: pytest.FixtureRequest
):
    if request.config.getoption("--long"):
        pytest.skip("the long form looks elsewhere every time")
    # No folder of tests, whose words Hypothesis leaves alone.
    file = tmp_path / "words.py"
    file.write_text("\n".join(f"word_{number} = 'w{number}'" for number in range(100)))
    before = tried()
    module = ModuleType("words")
    module.__file__ = str(file)
    monkeypatch.setitem(sys.modules, "words", module)

    assert tried() == before
