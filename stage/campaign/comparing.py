"""Comparing two runs: only what differs."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from registry.errors import NotFoundError, nearest
from registry.model.collections import CollectionType
from stage.campaign.comparing_columns import (
    collection_differences,
    input_differences,
    output_differences,
    quanta_differences,
)
from stage.campaign.comparing_documents import (
    Place,
    metric_differences,
    setting_differences,
    version_differences,
)
from stage.campaign.comparing_report import RunDifferences, RunSide
from stage.campaign.repositories import open_staging, open_upstream
from stage.pipeline.node import CONFIG, LOG, METADATA

if TYPE_CHECKING:
    from registry.model.columns import Columns
    from registry.registry import Snapshot
    from stage.campaign.layout import Layout
    from stage.campaign.state import CampaignState

__all__ = ["compare", "diff_in_campaign", "diff_in_repo"]


def compare(old: Place, new: Place) -> RunDifferences:
    """Compare two runs.

    Parameters
    ----------
    old, new : Place
        The runs, of one registry or of two.

    Returns
    -------
    RunDifferences
        Only what differs; a number of statements that does not grow with the runs, but one for each dataset type.
    """
    places, snapshots = (old, new), (old.snapshot, new.snapshot)
    quanta = (old.snapshot.outcomes(old.run), new.snapshot.outcomes(new.run))
    inputs = (old.snapshot.inputs_from_outside(old.run), new.snapshot.inputs_from_outside(new.run))
    counts = [_counts(place) for place in places]
    tasks = [_tasks(place, count, rows) for place, count, rows in zip(places, counts, quanta, strict=True)]
    about = {f"{task}{ending}" for task in tasks[0] | tasks[1] for ending in (CONFIG, METADATA, LOG)} | {
        _packages()
    }
    types = [{kind: n for kind, n in count.items() if kind not in about} for count in counts]
    sides = [
        RunSide(place.run, place.repo.root, rows.n_rows, sum(held.values()))
        for place, rows, held in zip(places, quanta, types, strict=True)
    ]
    return RunDifferences(
        sides[0],
        sides[1],
        settings=setting_differences(old, new, sorted(tasks[0] & tasks[1])),
        versions=version_differences(old, new),
        collections=collection_differences(inputs),
        inputs=input_differences(snapshots, inputs),
        quanta=quanta_differences(quanta),
        outputs=output_differences(snapshots, (old.run, new.run), (types[0], types[1])),
        metrics=metric_differences(old, new, quanta),
    )


def diff_in_repo(repo: str, old: str, new: str) -> RunDifferences:
    """Compare two runs of a repository.

    Parameters
    ----------
    repo : str
        Its root; it is only read.
    old, new : str
        RUN collections.

    Returns
    -------
    RunDifferences
        Only what differs.

    Raises
    ------
    NotFoundError
        If there is no such repository or run.
    """
    from sync.repo import Repo

    with Repo.open(repo) as opened, opened.registry.read() as snapshot:
        names = _runs(snapshot)
        for name in (old, new):
            if name not in names:
                raise _missing(name, names, opened.root)
        return compare(Place(opened, snapshot, old), Place(opened, snapshot, new))


def diff_in_campaign(layout: Layout, state: CampaignState, old: str, new: str) -> RunDifferences:
    """Compare two runs, each in the campaign's staging, or else upstream.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    state : CampaignState
        Its state.
    old, new : str
        RUN collections; ``.`` is the campaign's newest.

    Returns
    -------
    RunDifferences
        Only what differs.

    Raises
    ------
    NotFoundError
        If there is no such run, or the campaign has none yet.
    """
    with ExitStack() as stack:
        staging = stack.enter_context(open_staging(layout))
        ours = stack.enter_context(staging.registry.read())
        names, known = [_named(name, state) for name in (old, new)], _runs(ours)
        here = {name: Place(staging, ours, name) for name in names if name in known}
        elsewhere = [name for name in names if name not in here]
        if elsewhere:
            upstream = stack.enter_context(open_upstream(state))
            theirs = stack.enter_context(upstream.registry.read())
            there = _runs(theirs)
            for name in elsewhere:
                if name not in there:
                    raise _missing(name, known | there, "staging or upstream")
                here[name] = Place(upstream, theirs, name)
        return compare(here[names[0]], here[names[1]])


def _named(name: str, state: CampaignState) -> str:
    if name != ".":
        return name
    if not state.collections.runs:
        raise NotFoundError(
            f"campaign '{state.name}' has no run yet", code="no-run", hint="Begin one: stage run."
        )
    return state.collections.runs[0]


def _runs(snapshot: Snapshot) -> set[str]:
    return {c.name for c in snapshot.collections() if c.type is CollectionType.RUN}


def _missing(name: str, known: set[str], where: str) -> NotFoundError:
    return NotFoundError(f"no run '{name}' in {where}", code="no-such-run", hint=nearest(name, known))


def _counts(place: Place) -> dict[str, int]:
    return dict(place.snapshot.count_datasets([place.run]).rows(("dataset_type", "n")))


def _tasks(place: Place, counts: dict[str, int], quanta: Columns) -> set[str]:
    """Return the tasks of a run; of those none of whose quanta has an outcome yet, the configuration is there."""
    logged = {t.name.removesuffix(LOG) for t in place.snapshot.dataset_types(f"*{LOG}")}
    return {k.removesuffix(CONFIG) for k in counts if k.endswith(CONFIG)} & logged | set(
        quanta["task"].tolist()
    )


def _packages() -> str:
    from stage.graph.layout import PACKAGES

    return PACKAGES
