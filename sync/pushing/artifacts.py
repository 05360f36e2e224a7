"""Whether rows about artifacts hold what such rows can hold: SQLite takes text where a number should be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from registry.errors import IntegrityError
from registry.model.refs import id_text

if TYPE_CHECKING:
    from sync.plan import DatasetBatch

__all__ = ["check_artifacts"]

_KINDS: dict[str, type] = {"uri": str, "size": int, "checksum": str, "formatter": str}


def check_artifacts(batches: Sequence[DatasetBatch]) -> None:
    """Refuse datasets whose artifact has a value of another kind than its column.

    Parameters
    ----------
    batches : sequence of DatasetBatch
        With their artifacts.

    Raises
    ------
    IntegrityError
        For the first; names the dataset, the column and the value.
    """
    for batch in batches:
        for name, kind in _KINDS.items():
            column = batch.rows[name]
            if column.dtype.kind == ("i" if kind is int else "U"):
                continue
            values: list[Any] = column.tolist()
            if not set(map(type, values)) <= {kind, type(None)}:
                bad = next(i for i, v in enumerate(values) if not isinstance(v, kind | None))
                raise _refused(batch, name, bad)


def _refused(batch: DatasetBatch, name: str, row: int) -> IntegrityError:
    dims = batch.dataset_type.dimensions.required
    values = batch.rows.rows(dims)[row] if dims else ()
    data_id = ", ".join(f"{d}={v}" for d, v in zip(dims, values, strict=True))
    dataset = f"{batch.dataset_type.name} {{{data_id}}} ({id_text(batch.rows['id'].tolist()[row])})"
    return IntegrityError(
        f"staging is damaged: the artifact of {dataset} has {batch.rows[name].tolist()[row]!r:.60} as its {name}",
        code="damaged-artifact",
        hint="Restore staging.sqlite3 from a copy, or make the dataset anew: 'stage run --new-run'.",
    )
