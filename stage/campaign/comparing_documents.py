"""Comparing what is written about two runs: settings of tasks, versions of packages, numbers that tasks noted."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from registry.errors import StageError
from registry.model.columns import Columns
from registry.model.records import QuantumStatus
from stage.campaign.comparing_columns import places
from stage.campaign.comparing_report import MetricDifference, Metrics, ValueDifference
from stage.campaign.run_documents import run_document
from stage.pipeline.node import CONFIG, METADATA

if TYPE_CHECKING:
    from registry.registry import Snapshot
    from sync.repo import Repo

__all__ = ["Place", "metric_differences", "setting_differences", "version_differences"]

_MOST_READ = 100
_MOST_SHOWN = 10


class Place(NamedTuple):
    """Where one of two runs is.

    Parameters
    ----------
    repo : Repo
        Its repository, open.
    snapshot : Snapshot
        Of that repository's registry.
    run : str
        The RUN.
    """

    repo: Repo
    snapshot: Snapshot
    run: str

    def document(self, dataset_type: str) -> Mapping[str, Any]:
        """Read what was written once for the run.

        Parameters
        ----------
        dataset_type : str
            A dataset type without dimensions.

        Returns
        -------
        mapping
            Empty if there is none.
        """
        return run_document(self.repo, self.snapshot, self.run, dataset_type)


def setting_differences(old: Place, new: Place, tasks: Sequence[str]) -> list[ValueDifference]:
    """Compare the settings of tasks.

    Parameters
    ----------
    old, new : Place
        The runs.
    tasks : sequence of str
        Tasks that both have.

    Returns
    -------
    list of ValueDifference
        By task and key.
    """
    from stage.execution.prep import config_differences

    return [
        ValueDifference(task, *found)
        for task in tasks
        for found in config_differences(old.document(task + CONFIG), new.document(task + CONFIG))
    ]


def version_differences(old: Place, new: Place) -> list[ValueDifference]:
    """Compare the versions of packages.

    Parameters
    ----------
    old, new : Place
        The runs.

    Returns
    -------
    list of ValueDifference
        By package.
    """
    from stage.execution.prep import config_differences
    from stage.graph.layout import PACKAGES

    # Names of packages may have dots, which would divide them where documents are compared.
    before, after = (
        {name: {"": version} for name, version in p.document(PACKAGES).items()} for p in (old, new)
    )
    return [
        ValueDifference("", name, a, b)
        for name in sorted({*before, *after}, key=str.lower)
        for _, a, b in config_differences(before.get(name, {}), after.get(name, {}))
    ]


def metric_differences(old: Place, new: Place, quanta: tuple[Columns, Columns]) -> Metrics:
    """Compare numbers that tasks noted in the metadata of their quanta.

    Parameters
    ----------
    old, new : Place
        The runs.
    quanta : (Columns, Columns)
        ``id``, ``task``, ``data_id``, ``status`` of both.

    Returns
    -------
    Metrics
        Of so many quanta as can be read quickly, chosen evenly.
    """
    mine, theirs = (rows.take(_is_complete(rows)) for rows in quanta)
    if not mine.n_rows or not theirs.n_rows:
        return Metrics()
    at = places(mine, theirs, ("task", "data_id"))
    common = np.flatnonzero(at >= 0)
    step = max(1, -(-len(common) // _MOST_READ))
    chosen = common[::step]
    notes = [
        _notes(place, rows["id"][there].tolist())
        for place, rows, there in ((old, mine, chosen), (new, theirs, at[chosen]))
    ]
    ids = zip(mine["id"][chosen].tolist(), theirs["id"][at[chosen]].tolist(), strict=True)
    found = [
        MetricDifference(task, data_id, *difference)
        for (a, b), (task, data_id) in zip(ids, mine.take(chosen).rows(("task", "data_id")), strict=True)
        if a in notes[0] and b in notes[1]
        for difference in _numbers(notes[0][a], notes[1][b])
    ]
    found.sort(key=lambda each: (-each.relative, each.task, each.data_id, each.key))
    return Metrics(len(chosen), len(common), len(found), found[:_MOST_SHOWN])


def _is_complete(rows: Columns) -> Any:
    return np.logical_or.reduce([rows["status"] == status for status in sorted(QuantumStatus.COMPLETE)])


def _notes(place: Place, quanta: Sequence[bytes]) -> dict[bytes, Mapping[str, Any]]:
    """Read what the tasks of some quanta noted; what cannot be read is left out."""
    links = place.snapshot.lineage(quanta, depth=0)
    of = links.take(links["connection"] == METADATA).rows(("quantum_id", "dataset_id"))
    out = {}
    for quantum, dataset in of:
        try:
            artifact = place.snapshot.artifact(dataset)
            document = {} if artifact is None else place.repo.datastore.get(artifact, "Json")
        except StageError:
            continue
        if isinstance(document, Mapping) and isinstance(document.get("notes"), Mapping):
            out[quantum] = document["notes"]
    return out


def _numbers(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, float, float, float]]:
    """Yield the numbers in which two documents differ, and by how much."""
    from stage.execution.prep import config_differences

    for key, a, b in config_differences(old, new):
        if _is_number(a) and _is_number(b):
            yield key, a, b, _relative(float(a), float(b))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _relative(a: float, b: float) -> float:
    size = max(abs(a), abs(b))
    return abs(a - b) / size if math.isfinite(size) and size else 1.0
