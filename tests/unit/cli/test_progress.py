"""The live table of a run."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from cli.progress import _table
from stage.execution.progress import ProgressEvent, TaskCounts

EVENT = ProgressEvent({"calibrate": TaskCounts(total=1200, succeeded=300, running=2, failed=1)}, 10.0)


def drawn(columns: int) -> str:
    """Draw the table on a terminal of so many columns."""
    console = Console(file=io.StringIO(), width=columns, force_terminal=False)
    console.print(_table(EVENT, columns))
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


@pytest.mark.parametrize("columns", [48, 60, 80, 200])
def test_numbers_are_whole_on_any_terminal(columns: int) -> None:
    """Names and numbers are never cut; the bar takes what is left, or goes."""
    text = drawn(columns)

    assert "…" not in text
    assert "calibrate" in text
    assert "1,200" in text
    assert ("━" in text) == (columns >= 60)
    assert max(map(len, text.splitlines())) <= columns
