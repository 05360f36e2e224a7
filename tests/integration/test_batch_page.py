"""The page about batch: everything that it shows is done, from top to bottom, and gives what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.pages import run_page

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_the_page_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions print, and commands write, what stands below them; all jobs are processes of this machine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STAGE_STATE_DIR", str(tmp_path / "state"))
    _, kinds = run_page("batch.md")

    assert {"python", "console"} == set(kinds)
