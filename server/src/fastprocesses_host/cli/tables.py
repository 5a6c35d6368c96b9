"""Rows of cells as aligned columns of plain text."""

import re
from collections.abc import Sequence

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Write rows as aligned columns, two blanks apart.

    What a server sends may hold control characters, which a terminal would obey: a blank stands for them.
    """
    if not rows:
        return ""
    cells = [[plain(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    )


def plain(text: str) -> str:
    """Give the text in one line, without control characters."""
    return _CONTROL.sub(" ", text).strip()


def shortened(text: str, width: int) -> str:
    """Cut a text that is longer than this, and show that it was cut."""
    text = plain(text)
    return text if len(text) <= width else text[: width - 1].rstrip() + "…"
