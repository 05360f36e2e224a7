"""The quanta of a campaign's graph that a run leaves out, since they are done elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from stage.campaign.categories import category_collections, check_category
from stage.campaign.graphs import open_graph
from stage.campaign.plan_outlook import CODES, Outlook
from stage.campaign.plan_past import NO_WORK, SUCCEEDED, past_runs
from stage.graph.building.relate import match_rows

if TYPE_CHECKING:
    import numpy.typing as npt

    from registry.snapshot import Snapshot
    from stage.campaign.deciding import Decision
    from stage.campaign.layout import Layout
    from stage.campaign.run_options import RunOptions
    from stage.campaign.state import CampaignState
    from stage.graph.graph import QuantumGraph

__all__ = ["left_out"]


def left_out(
    layout: Layout,
    snapshot: Snapshot,
    state: CampaignState,
    decided: Decision,
    *,
    options: RunOptions,
    earlier: Sequence[str],
) -> Outlook | None:
    """Say of the quanta that a run does not have where they are done.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    snapshot : Snapshot
        Of staging.
    state : CampaignState
        Its state.
    decided : Decision
        The run.
    options : RunOptions
        Which says where to look for what is done.
    earlier : sequence of str
        Earlier RUNs, the newest first.

    Returns
    -------
    Outlook or None
        Of the graph that the run's was made from; None if nothing is left out.
    """
    whole = decided.whole
    if not decided.is_new and open_graph(layout, state).layout.n_quanta > whole.n_quanta:
        # It was left out when the run was begun.
        whole = open_graph(layout, state).load().retarget(decided.run)
    if whole.n_quanta <= decided.graph.n_quanta:
        return None
    gone = _missing(whole, decided.graph)
    runs, which = past_runs(layout, snapshot, earlier, whole, gone)
    done = np.zeros(whole.n_quanta, dtype=np.bool_)
    for place, run in enumerate(runs):
        done |= (which == place) & np.isin(run.status, (SUCCEEDED, NO_WORK))
    which[~done] = -1
    category = check_category(options.skip_existing_in)
    outside = [c for c in category_collections(state.collections, category) if c in state.collections.inputs]
    reason = np.full(whole.n_quanta, CODES["nothing-to-read"], dtype=np.int8)
    # What no run of the campaign has done is done in the inputs, where these were looked through.
    reason[done | (bool(outside) & ~done)] = CODES["elsewhere"]
    nowhere = np.full(whole.n_quanta, -1, dtype=np.int64)
    return Outlook(whole, reason, gone, nowhere, None, runs, which, elsewhere=", ".join(outside))


def _missing(whole: QuantumGraph, part: QuantumGraph) -> npt.NDArray[np.bool_]:
    """Return which quanta of a graph another one does not have."""
    out = np.ones(whole.n_quanta, dtype=np.bool_)
    for task, rows in zip(whole.layout.tasks, whole.task_rows, strict=True):
        theirs = part.task_rows[part.layout.task_index[task.label]].table
        there = match_rows(rows.table, theirs, rows.table.names) >= 0
        out[task.offset : task.offset + task.n_quanta] = ~there
    return out
