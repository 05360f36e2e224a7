"""Comparing two runs: only what differs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.model.records import QuantumStatus
from stage.campaign.comparing_columns import (
    collection_differences,
    input_differences,
    output_differences,
    quanta_differences,
)
from stage.campaign.comparing_documents import Place, setting_differences, version_differences
from stage.campaign.comparing_metrics import MetricChoice, metric_differences
from stage.campaign.comparing_places import Runs
from stage.campaign.comparing_report import QuantaDifference, RunDifferences, RunSide
from stage.pipeline.node import CONFIG, LOG, METADATA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.model.columns import Columns
    from stage.campaign.layout import Layout
    from stage.campaign.state import CampaignState

__all__ = ["compare", "diff_in_campaign", "diff_in_repo"]

_QUICK = MetricChoice()


def compare(old: Place, new: Place, choice: MetricChoice = _QUICK) -> RunDifferences:
    """Compare two runs.

    Parameters
    ----------
    old, new : Place
        The runs, of one registry or of two.
    choice : MetricChoice, optional
        Which numbers to compare, and how to tell them.

    Returns
    -------
    RunDifferences
        Only what differs; a number of statements that does not grow with the runs, but one for each dataset type.
    """
    places = (old, new)
    outcomes = [place.snapshot.count_outcomes(place.run) for place in places]
    counts = [_counts(place) for place in places]
    tasks = [
        _tasks(place, *found) for place, found in zip(places, zip(counts, outcomes, strict=True), strict=True)
    ]
    about = {f"{task}{ending}" for task in tasks[0] | tasks[1] for ending in (CONFIG, METADATA, LOG)} | {
        _packages()
    }
    types = [{kind: n for kind, n in count.items() if kind not in about} for count in counts]
    sides = [
        RunSide(place.run, place.repo.root, int(rows["n"].sum()), sum(held.values()))
        for place, rows, held in zip(places, outcomes, types, strict=True)
    ]
    inputs = old.snapshot.differing_inputs(old.run, new.snapshot, new.run)
    quanta = quanta_differences(old, new)
    outputs = output_differences(old, new, (types[0], types[1]))
    return RunDifferences(
        sides[0],
        sides[1],
        settings=setting_differences(old, new, sorted(tasks[0] & tasks[1])),
        versions=version_differences(old, new),
        collections=collection_differences(inputs[0]),
        inputs=input_differences(old, new, inputs),
        quanta=quanta,
        outputs=outputs,
        metrics=metric_differences(old, new, _n_complete(outcomes[0], quanta), outputs, choice),
    )


def _n_complete(outcomes: Columns, differences: Sequence[QuantaDifference]) -> int:
    """Return how many quanta are complete in both runs: those of the old one, without those that are not in the new."""
    complete = sum(n for status, n in outcomes.rows(("status", "n")) if status in QuantumStatus.COMPLETE)
    lost = sum(
        d.n for d in differences if d.old in QuantumStatus.COMPLETE and d.new not in QuantumStatus.COMPLETE
    )
    return int(complete - lost)


def diff_in_repo(
    repo: str, old: str, new: str, *, metrics: str | None = None, rows: bool = False
) -> RunDifferences:
    """Compare two runs of a repository.

    Parameters
    ----------
    repo : str
        Its root; it is only read.
    old, new : str
        RUN collections; of another campaign or repository with its place before it, ``PLACE:RUN``.
    metrics : str, optional
        Pattern of the numbers to compare, ``task.key`` or ``dataset_type.key``; by default the notes of a hundred
        quanta are.
    rows : bool, optional
        Whether to tell each number that differs.

    Returns
    -------
    RunDifferences
        Only what differs.

    Raises
    ------
    NotFoundError
        If there is no such repository or run.
    """
    with Runs(repo=repo) as known:
        return compare(known.find(old), known.find(new), MetricChoice(metrics, rows))


def diff_in_campaign(
    layout: Layout, state: CampaignState, old: str, new: str, choice: MetricChoice = _QUICK
) -> RunDifferences:
    """Compare two runs, each in the campaign's staging, or else upstream, or elsewhere.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    state : CampaignState
        Its state.
    old, new : str
        RUN collections; ``.`` is the campaign's newest. With a place before it, ``PLACE:RUN``, of another campaign or
        repository.
    choice : MetricChoice, optional
        Which numbers to compare, and how to tell them.

    Returns
    -------
    RunDifferences
        Only what differs.

    Raises
    ------
    NotFoundError
        If there is no such run, or the campaign has none yet.
    """
    with Runs(layout, state) as known:
        return compare(known.find(old), known.find(new), choice)


def _counts(place: Place) -> dict[str, int]:
    return dict(place.snapshot.count_datasets([place.run]).rows(("dataset_type", "n")))


def _tasks(place: Place, counts: dict[str, int], outcomes: Columns) -> set[str]:
    """Return the tasks of a run; of those none of whose quanta has an outcome yet, the configuration is there."""
    logged = {t.name.removesuffix(LOG) for t in place.snapshot.dataset_types(f"*{LOG}")}
    return {k.removesuffix(CONFIG) for k in counts if k.endswith(CONFIG)} & logged | set(
        outcomes["task"].tolist()
    )


def _packages() -> str:
    from stage.graph.layout import PACKAGES

    return PACKAGES
