"""The rows of the table: what was measured against what, and what it must and should be."""

from collections.abc import Sequence

import msgspec

HEAD = ("workload", "limit", "measured", "ratio", "must", "goal", "reached")


class Budget(msgspec.Struct, frozen=True):
    """What a ratio, or an absolute size, must and should be."""

    must: float | None = None
    goal: float | None = None
    at_least: bool = False


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One budget and what was measured."""

    name: str
    limit: str = ""
    measured: str
    value: float
    """The ratio to the limit; without one, what was measured."""
    unit: str = ""
    """Of the value; empty: it is a ratio."""
    budget: Budget = Budget()

    @property
    def reached(self) -> str:
        """Which of the two was reached."""
        if self.budget.must is None:
            return ""
        if self._is_within(self.budget.goal):
            return "goal"
        return "must" if self._is_within(self.budget.must) else "MISSED"

    def _is_within(self, bound: float | None) -> bool:
        if bound is None:
            return False
        return self.value >= bound if self.budget.at_least else self.value <= bound

    @property
    def cells(self) -> tuple[str, ...]:
        """What the table shows of it."""
        sign = ">=" if self.budget.at_least else "<="
        bounds = (
            "" if bound is None else f"{sign} {bound:g}" for bound in (self.budget.must, self.budget.goal)
        )
        ratio = "" if self.unit else f"{self.value:.2f}"
        return (self.name, self.limit, self.measured, ratio, *bounds, self.reached)


def table(rows: Sequence[Row]) -> str:
    """Give a table for people and for Markdown alike."""
    lines = [HEAD, *(row.cells for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    shown = [
        "| " + " | ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)) + " |"
        for line in lines
    ]
    return "\n".join([shown[0], rule, *shown[1:]])
