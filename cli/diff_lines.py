"""In what two runs differ, as lines for a person."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cli.render import count_text, table_text
from cli.wording import data_id_text

if TYPE_CHECKING:
    from stage.campaign.comparing_report import RunDifferences, RunSide
    from stage.campaign.metrics_report import Metrics

__all__ = ["diff_lines"]


def diff_lines(found: RunDifferences, *, all_rows: bool = False) -> Iterable[str]:
    """Word in what two runs differ.

    Parameters
    ----------
    found : RunDifferences
        What differs.
    all_rows : bool, optional
        Whether it has each number that differs.

    Yields
    ------
    str
        Lines; one where nothing does.
    """
    yield from (_side_line(word, side) for word, side in (("old", found.old), ("new", found.new)))
    if found.same:
        yield "the same: settings, versions, inputs, quanta, outputs"
        return
    for title, names, rows in _tables(found):
        if rows:
            yield f"\n{title}"
            yield table_text(names, rows)
    if found.metrics.summaries:
        yield from _metric_lines(found.metrics, all_rows=all_rows)


def _side_line(word: str, side: RunSide) -> str:
    quanta, datasets = count_text(side.n_quanta, "quantum", "quanta"), count_text(side.n_datasets, "dataset")
    return f"{word}  {side.run}: {quanta}, {datasets}"


_Table = tuple[str, Sequence[str], list[tuple[Any, ...]]]


def _tables(found: RunDifferences) -> Iterable[_Table]:
    yield (
        "settings",
        ("task", "setting", "old", "new"),
        [(d.task, d.key, _value(d.old), _value(d.new)) for d in found.settings],
    )
    yield "versions", ("package", "old", "new"), [(d.key, d.old, d.new) for d in found.versions]
    yield (
        "inputs, by collection", ("collection", "old", "new"),
        [(name, *pair) for name, pair in found.collections.items()],
    )  # fmt: skip
    yield (
        "inputs that were read", ("dataset type", "both", "only old", "only new", "offered to both", "data IDs"),
        [
            (d.dataset_type, d.n_same, d.only_old, d.only_new, d.n_offered, _some(d.data_ids, d.only_old + d.only_new))
            for d in found.inputs
        ],
    )  # fmt: skip
    yield (
        "quanta", ("task", "old", "new", "quanta", "data IDs"),
        [(d.task, d.old, d.new, d.n, _some(d.data_ids, d.n)) for d in found.quanta],
    )  # fmt: skip
    is_known = not any(d.n_unknown for d in found.outputs)
    yield (
        "outputs",
        ("dataset type", "same", "changed", "only old", "only new", *(() if is_known else ("not known",)), "data IDs"),
        [
            (
                d.dataset_type, d.n_same, d.n_changed, d.only_old, d.only_new, *(() if is_known else (d.n_unknown,)),
                _some(d.data_ids, d.n_changed + d.only_old + d.only_new),
            )
            for d in found.outputs
        ],
    )  # fmt: skip


def _value(value: Any) -> str:
    return "(not there)" if value == "(not there)" else json.dumps(value, ensure_ascii=False)


def _metric_lines(metrics: Metrics, *, all_rows: bool) -> Iterable[str]:
    compared = f"of {metrics.n_compared:,} quanta"
    if metrics.n_compared < metrics.n_common:
        compared += f", chosen evenly from {metrics.n_common:,} (all of them: --metrics '*')"
    if metrics.n_documents:
        compared += f" and {count_text(metrics.n_documents, 'document')}"
    yield f"\nmetrics: {count_text(metrics.n_different, 'number')} differ, {compared}"
    yield table_text(
        (
            "metric", "n", "differ", "old median", "new median", "old mean", "new mean",
            "median change", "smallest", "largest",
        ),
        [
            (
                m.name, m.n, m.n_different, *map(_short, (m.old.median, m.new.median, m.old.mean, m.new.mean)),
                *map(_signed, (m.change.median, m.change.min, m.change.max)),
            )
            for m in metrics.summaries
            if m.n
        ],
    )  # fmt: skip
    for title, alone in (("only in old", "only_old"), ("only in new", "only_new")):
        names = [f"{m.name} ({getattr(m, alone):,})" for m in metrics.summaries if getattr(m, alone)]
        if names:
            yield f"{title}: {', '.join(names)}"
    if metrics.largest:
        yield "\nevery number that differs" if all_rows else "\nnumbers that differ most"
        yield table_text(
            ("metric", "data ID", "old", "new", "change", "relative"),
            [
                (m.name, data_id_text(m.data_id), m.old, m.new, _signed(m.change), f"{m.relative:.2%}")
                for m in metrics.largest
            ],
        )


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def _signed(value: float) -> str:
    return f"{value:+.6g}"


def _some(data_ids: Sequence[Mapping[str, Any]], n: int) -> str:
    shown = "; ".join(
        ", ".join(f"{k}={v}" for k, v in each.items()) or "(no dimensions)" for each in data_ids[:3]
    )
    return shown + ("; …" if n > min(3, len(data_ids)) else "")
