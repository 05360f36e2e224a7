"""How often each promise was put to the test, told at the end of a run: kills survived, races ended, damage found.

A test that has the fixture `survived` says what it did: ``survived("kills", "push", 40)``; one that does it once in each of
its cases has the mark ``survives("kills", "push")``. The numbers are added up over all worker processes, and are of tests
that passed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

__all__ = ["pytest_collection_modifyitems", "pytest_terminal_summary", "survived"]

_KEY = "survived"
_ROWS = {
    "kills": "killed, repeated, and equal to an undisturbed one",
    "races": "processes at once, equal to one after the other",
    "damage": "kinds of damage planted and found",
    "storage": "failures of storage, with nothing half registered",
    "steps": "random steps against a model",
    "fuzzed": "hostile inputs refused, with nothing written",
}
"""What a promise is put to the test by, in the order in which it is told."""


@pytest.fixture
def survived(request: pytest.FixtureRequest) -> Callable[[str, str, int], None]:
    """A function that notes what a test has put the system through: kind, what was done, and how often."""

    def note(kind: str, what: str, times: int = 1) -> None:
        assert kind in _ROWS, f"no kind '{kind}'"
        request.node.user_properties.append((_KEY, (kind, what, times)))

    return note


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Note what tests say of themselves by their marks."""
    for item in items:
        for mark in item.iter_markers("survives"):
            kind, what, *times = mark.args
            assert kind in _ROWS, f"no kind '{kind}'"
            item.user_properties.append((_KEY, (kind, what, times[0] if times else 1)))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the table."""
    found: Counter[tuple[str, str]] = Counter()
    for report in terminalreporter.stats.get("passed", []):
        for name, value in report.user_properties if report.when == "call" else ():
            if name == _KEY:
                kind, what, times = value
                found[kind, what] += times
    if not found:
        return
    terminalreporter.section("promises")
    for kind, words in _ROWS.items():
        told = [f"{what} {n:,}" for (of, what), n in sorted(found.items()) if of == kind]
        if told:
            terminalreporter.write_line(f"{words}: {', '.join(told)}")
