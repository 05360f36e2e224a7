"""Where datasets of a type are: whether the search path holds any, and if not, what does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stage.graph.explaining.steps import path_text

if TYPE_CHECKING:
    from stage.graph.building.question import Place, View

__all__ = ["nowhere"]


def nowhere(view: View, path: Sequence[Place], dataset_type: str) -> tuple[str, str] | None:
    """Say that a dataset type has nothing on a search path, and where it has.

    Parameters
    ----------
    view : View
        Where to look.
    path : sequence of Place
        The search path.
    dataset_type : str
        Its name.

    Returns
    -------
    (str, str) or None
        What is wrong, and one next step; None if the path holds some.
    """
    here = view.contents(path) if path else None
    if here is not None and (here["dataset_type"] == dataset_type).any():
        return None
    everywhere = view.contents()
    runs = everywhere["run"][everywhere["dataset_type"] == dataset_type].tolist()
    text = f"there is no '{dataset_type}' in {path_text(path)}"
    if here is None or not here.n_rows:
        names = list(dict.fromkeys(everywhere["dataset_type"].tolist()))
        what = "calibrations only" if path and _has_calibrations(view, path, names) else "no dataset at all"
        text += f", which {'hold' if len(path) > 1 else 'holds'} {what}"
    if not runs:
        return f"{text}, nor anywhere else", "Make or ingest some first."
    shown = ", ".join(runs[:5]) + (f" and {len(runs) - 5} more" if len(runs) > 5 else "")
    return text, f"There are some in: {shown}. Add these to the inputs."


def _has_calibrations(view: View, path: Sequence[Place], names: Sequence[str]) -> bool:
    """Tell whether a path holds datasets for times: these are not among its contents, which are found by data ID alone."""
    kinds = view.dataset_types(names).values()
    return any(view.every_dataset(kind, path).n_rows for kind in kinds if view.is_calibration(kind))
