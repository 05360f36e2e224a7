"""Comparing the numbers that tasks noted, and those in small documents that they made."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from registry.errors import StageError
from registry.model.records import Artifact, QuantumStatus
from stage.campaign.metrics_report import MetricDifference, Metrics, MetricSummary, Spread
from stage.pipeline.node import METADATA

if TYPE_CHECKING:
    from stage.campaign.comparing_documents import Place
    from stage.campaign.comparing_report import OutputDifference

__all__ = ["MetricChoice", "metric_differences"]

_MOST_SAMPLED = 100
_MOST_SHOWN = 10
_MOST_BYTES = 1 << 16
_DOCUMENTS = frozenset({"Json", "JsonZst", "Yaml"})


@dataclass(frozen=True)
class MetricChoice:
    """Which numbers are compared, and how they are told.

    Parameters
    ----------
    glob : str or None
        Those whose names fit: ``task.key`` or ``dataset_type.key``. None for the notes of a hundred quanta only, chosen
        evenly, which is quick.
    rows : bool
        Whether each number that differs is told.
    """

    glob: str | None = None
    rows: bool = False


class _Pair(NamedTuple):
    """The numbers of one data ID in both runs."""

    source: str
    data_id: str
    old: Mapping[str, float]
    new: Mapping[str, float]


def metric_differences(
    old: Place, new: Place, n_common: int, outputs: Sequence[OutputDifference], choice: MetricChoice
) -> Metrics:
    """Compare numbers of two runs.

    Parameters
    ----------
    old, new : Place
        The runs.
    n_common : int
        How many quanta are complete in both.
    outputs : sequence of OutputDifference
        Dataset types of which something differs.
    choice : MetricChoice
        Which numbers, and how they are told.

    Returns
    -------
    Metrics
        Only what differs.
    """
    step = 1 if choice.glob is not None else max(1, -(-n_common // _MOST_SAMPLED))
    notes = list(_noted(old, new, step)) if n_common else []
    documents = [] if choice.glob is None else [p for d in outputs if d.n_changed for p in _made(old, new, d)]
    glob = choice.glob or "*"
    pairs = [_chosen(pair, glob) for pair in (*notes, *documents)]
    found = [difference for pair in pairs for difference in _differences(pair)]
    found.sort(key=lambda each: (-each.relative, each.source, each.data_id, each.key))
    return Metrics(
        len(notes), n_common, len(documents), len(found), _summaries(pairs),
        found if choice.rows else found[:_MOST_SHOWN],
    )  # fmt: skip


def _noted(old: Place, new: Place, step: int) -> Iterator[_Pair]:
    """Yield what the tasks of quanta noted that are complete in both runs; what cannot be read is left out."""
    rows = old.snapshot.same_quanta(old.run, new.snapshot, new.run, sorted(QuantumStatus.COMPLETE), step=step)
    notes = [
        {
            quantum: document["notes"]
            for quantum, document in _documents(
                place, place.snapshot.artifacts_of_quanta(ids, METADATA).rows(), "Json"
            )
            if isinstance(document, Mapping) and "notes" in document
        }
        for place, ids in ((old, rows["old"].tolist()), (new, rows["new"].tolist()))
    ]
    for task, data_id, before, after in rows.rows(("task", "data_id", "old", "new")):
        if before in notes[0] and after in notes[1]:
            yield _Pair(task, data_id, dict(_numbers(notes[0][before])), dict(_numbers(notes[1][after])))


def _made(old: Place, new: Place, difference: OutputDifference) -> Iterator[_Pair]:
    """Yield the numbers in documents of one type that have changed."""
    kind = difference.dataset_type
    if old.snapshot.dataset_type(kind).storage_class not in _DOCUMENTS:
        return
    rows = old.snapshot.changed_outputs(old.run, new.snapshot, new.run, kind)
    dims = [n for n in rows.names if n not in {"old", "new"}]
    contents = [dict(_content(place, rows[side].tolist())) for place, side in ((old, "old"), (new, "new"))]
    data_ids = rows.rows(dims) if dims else [()] * rows.n_rows
    for (before, after), values in zip(rows.rows(("old", "new")), data_ids, strict=True):
        if before in contents[0] and after in contents[1]:
            data_id = json.dumps(
                dict(zip(dims, values, strict=True)), ensure_ascii=False, separators=(",", ":")
            )
            yield _Pair(
                kind, data_id, dict(_numbers(contents[0][before])), dict(_numbers(contents[1][after]))
            )


def _content(place: Place, ids: Sequence[bytes]) -> Iterator[tuple[bytes, Any]]:
    for kind, rows in place.snapshot.datasets_by_id(ids, artifacts=True).items():
        is_small = [size is not None and size <= _MOST_BYTES for size in rows["size"].tolist()]
        small = rows.take(np.array(is_small, dtype=np.bool_))
        storage_class = place.snapshot.dataset_type(kind).storage_class
        yield from _documents(
            place, small.rows(("id", "uri", "size", "checksum", "formatter")), storage_class
        )


def _documents(
    place: Place, rows: Sequence[tuple[Any, ...]], storage_class: str
) -> Iterator[tuple[bytes, Any]]:
    for owner, *artifact in rows:
        try:
            yield owner, place.repo.datastore.get(Artifact(*artifact), storage_class)
        except StageError:
            continue


def _numbers(document: Any, key: str = "") -> Iterator[tuple[str, float]]:
    """Yield the numbers of a document, those of mappings within it with dots; lists are not metrics."""
    if isinstance(document, Mapping):
        for name, value in document.items():
            yield from _numbers(value, f"{key}.{name}" if key else str(name))
    elif isinstance(document, int | float) and not isinstance(document, bool):
        yield key, document


def _chosen(pair: _Pair, glob: str) -> _Pair:
    if glob == "*":
        return pair
    sides = (
        {k: v for k, v in side.items() if fnmatchcase(_name(pair.source, k), glob)}
        for side in (pair.old, pair.new)
    )
    return _Pair(pair.source, pair.data_id, *sides)


def _name(source: str, key: str) -> str:
    return f"{source}.{key}" if key else source


def _differences(pair: _Pair) -> Iterator[MetricDifference]:
    for key, before in pair.old.items():
        after = pair.new.get(key)
        if after is not None and _differ(before, after):
            change = float(after) - float(before)
            yield MetricDifference(
                pair.source, pair.data_id, key, before, after, change, _relative(float(before), float(after))
            )


def _differ(a: float, b: float) -> bool:
    return a != b and not (math.isnan(a) and math.isnan(b))


def _relative(a: float, b: float) -> float:
    size = max(abs(a), abs(b))
    return abs(a - b) / size if math.isfinite(size) and size else 1.0


def _summaries(pairs: Sequence[_Pair]) -> list[MetricSummary]:
    """Return each number that differs, over all data IDs."""
    values: dict[tuple[str, str], list[tuple[float | None, float | None]]] = {}
    for pair in pairs:
        for key in {**pair.old, **pair.new}:
            values.setdefault((pair.source, key), []).append((pair.old.get(key), pair.new.get(key)))
    made = [_summary(_name(*name), found) for name, found in sorted(values.items())]
    return [each for each in made if each.n_different or each.only_old or each.only_new]


def _summary(name: str, found: Sequence[tuple[float | None, float | None]]) -> MetricSummary:
    both = [(a, b) for a, b in found if a is not None and b is not None]
    old, new = (np.array([pair[side] for pair in both], dtype=np.float64) for side in (0, 1))
    with np.errstate(invalid="ignore", over="ignore"):
        change = new - old
    return MetricSummary(
        name, len(both), sum(_differ(a, b) for a, b in both),
        sum(b is None for _, b in found), sum(a is None for a, _ in found),
        _spread(old), _spread(new), _spread(change),
    )  # fmt: skip


def _spread(values: Any) -> Spread:
    known = values[~np.isnan(values)]
    if not len(known):
        return Spread(math.nan, math.nan, math.nan, math.nan)
    with np.errstate(invalid="ignore", over="ignore"):
        return Spread(float(np.median(known)), float(np.mean(known)), float(known.min()), float(known.max()))
