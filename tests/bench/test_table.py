"""What the table says of a figure, and where it is written."""

from pathlib import Path

import pytest

from tests.bench.__main__ import WORKLOADS
from tests.bench.page import PAGE, write_section
from tests.bench.rows import Budget, Row, table


@pytest.mark.parametrize(
    ("value", "budget", "reached"),
    [
        (0.5, Budget(0.45, 0.5, at_least=True), "goal"),
        (0.47, Budget(0.45, 0.5, at_least=True), "must"),
        (0.44, Budget(0.45, 0.5, at_least=True), "MISSED"),
        (6.0, Budget(8, 6), "goal"),
        (7.9, Budget(8, 6), "must"),
        (8.1, Budget(8, 6), "MISSED"),
        (15.0, Budget(16), "must"),
        (3.0, Budget(), ""),
    ],
)
def test_what_is_reached(value: float, budget: Budget, reached: str) -> None:
    row = Row(name="a workload", measured="3 ms", value=value, budget=budget)
    assert row.reached == reached
    assert table([row]).splitlines()[2].split("|")[-2].strip() == reached


def test_a_section_is_replaced_and_the_rest_stays(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE.read_text("utf-8"), "utf-8")
    write_section("measured", "| a | table |", page)
    write_section("measured", "| another | table |", page)
    text = page.read_text("utf-8")
    assert "| another | table |" in text
    assert "| a | table |" not in text
    assert (
        text.split("<!-- end of measured -->")[1]
        == PAGE.read_text("utf-8").split("<!-- end of measured -->")[1]
    )
    with pytest.raises(ValueError, match="no section"):
        write_section("guessed", "", page)


def test_every_workload_says_what_it_is() -> None:
    assert all(work.__doc__ for work in WORKLOADS.values())
