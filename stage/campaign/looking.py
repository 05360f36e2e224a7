"""What a campaign is going to ask of its upstream: an adapter on another system's repository reads no more than that."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stage.campaign.change import Change
    from stage.campaign.layout import Layout
    from stage.campaign.state import CampaignState
    from sync.repo import Repo

__all__ = ["look_at_inputs"]


def look_at_inputs(
    layout: Layout, state: CampaignState, upstream: Repo, change: Change | None = None
) -> None:
    """Have upstream show the dataset types of the campaign's pipeline in its input collections.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    state : CampaignState
        Its state, whose pipeline and inputs count.
    upstream : Repo
        Open; one of ours shows everything, and then nothing is done.
    change : Change, optional
        A change that is being made, which may have a newer local pipeline.
    """
    if not upstream.is_foreign or state.pipeline is None:
        return
    from stage.campaign.graphs import load_pipeline

    nodes = load_pipeline(layout, state, change).nodes
    classes = {c.dataset_type: c.storage_class for node in nodes for c in node.connections}
    own = set(state.collections.runs)
    inputs = [name for name in state.collections.inputs if name not in own]
    upstream.look_at([(name, where) for name in classes for where in inputs], classes)
