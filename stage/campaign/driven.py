"""Runs whose jobs a head is driving now: nobody else may execute them, or remove what they make."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from registry.errors import BusyError
from stage.batch.layout import SubmitDir
from stage.campaign.lock import read_holder

if TYPE_CHECKING:
    from pathlib import Path

    from stage.campaign.layout import Layout
    from stage.campaign.lock import Holder

__all__ = ["driver_of", "refuse_driven"]


def driver_of(layout: Layout, run: str) -> tuple[Path, Holder] | None:
    """Return who drives the jobs of a run.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    run : str
        The RUN.

    Returns
    -------
    (pathlib.Path, Holder) or None
        The directory of the submission, of the run or of one of its steps, and its head; None if nobody does.
    """
    root = layout.submit(run)
    for folder in (root, *sorted(root.glob("step-*"))):
        holder = read_holder(SubmitDir(folder).head_lock)
        if holder is not None:
            return folder, holder
    return None


def refuse_driven(layout: Layout, runs: Iterable[str]) -> None:
    """Refuse what cannot go on beside the jobs of a submission.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    runs : iterable of str
        The RUNs that it is about.

    Raises
    ------
    BusyError
        If a head drives jobs of one of them, or of one of its steps.
    """
    for run in runs:
        found = driver_of(layout, run)
        if found is not None:
            folder, holder = found
            raise BusyError(
                f"run '{run}' is being executed by jobs, which {holder} drives",
                code="run-driven",
                holder=str(holder),
                hint=f"Wait for it to end, or end it: stage batch cancel --id {folder}.",
            )
