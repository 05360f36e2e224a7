"""What a campaign is going to ask of its upstream: an adapter on another system's repository reads no more than that."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stage.campaign.change import Change
    from sync.repo import Repo

__all__ = ["look_at_inputs"]


def look_at_inputs(change: Change, upstream: Repo) -> None:
    """Have upstream show the dataset types of the campaign's pipeline in its input collections.

    Parameters
    ----------
    change : Change
        The change that is being made, whose pipeline and inputs count.
    upstream : Repo
        Open; one of ours shows everything, and then nothing is done.
    """
    if not upstream.is_foreign or change.state.pipeline is None:
        return
    from stage.campaign.graphs import load_pipeline

    nodes = load_pipeline(change.layout, change.state, change).nodes
    classes = {c.dataset_type: c.storage_class for node in nodes for c in node.connections}
    own = set(change.state.collections.runs)
    inputs = [name for name in change.state.collections.inputs if name not in own]
    upstream.look_at([(name, where) for name in classes for where in inputs], classes)
