"""The directories of runs that are gone: their logs, records and graphs, and what is left of their place among the files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stage.campaign.change import Change

__all__ = ["forget_runs"]


def forget_runs(change: Change, names: Iterable[str]) -> None:
    """Remove the directories of runs that are gone, and the note that they were made.

    Parameters
    ----------
    change : Change
        The change that is being made.
    names : iterable of str
        The runs; directories of others in theirs stay.
    """
    gone = set(names)
    others = [n for n in change.state.collections.created if n not in gone]
    for run in gone:
        for root in (change.layout.submit(run), change.layout.logs / run):
            _remove_directory(root, [run_path for n in others if (run_path := _below(root, run, n))])
        _remove_empty(change.layout.data / run)
    change.state = change.state.with_collections(created=tuple(others))


def _below(root: Path, run: str, other: str) -> Path | None:
    """Return where below a run's directory another run has its own."""
    return root / other.removeprefix(f"{run}/") if other.startswith(f"{run}/") else None


def _remove_directory(root: Path, keep: Sequence[Path]) -> None:
    """Remove a directory and those above that are empty then; others' directories in it stay."""
    if not keep:
        shutil.rmtree(root, ignore_errors=True)
    elif root.is_dir():
        for path in root.iterdir():
            inner = [k for k in keep if k == path or path in k.parents]
            if path in inner:
                continue
            if path.is_dir() and not path.is_symlink():
                _remove_directory(path, inner)
            else:
                path.unlink(missing_ok=True)
    with suppress(OSError):  # not empty
        root.parent.rmdir()


def _remove_empty(root: Path) -> None:
    """Remove a directory as far as there is nothing in it: who removed the files may have been killed before that."""
    for folder, _, _ in os.walk(root, topdown=False):
        with suppress(OSError):  # not empty
            os.rmdir(folder)  # noqa: PTH106 - as it was walked
