"""The page about what is asked afterwards: everything that it shows is done, from top to bottom, and gives what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.pages import run_page

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_the_page_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions print, and commands write, what stands below them."""
    monkeypatch.chdir(tmp_path)
    _, kinds = run_page("afterwards.md")

    assert {"python", "console"} == set(kinds)
