"""Conflicts in words: which thing, both values, and the command that goes on. Only ever runs for what differs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from registry.errors import ConflictError
from registry.model.columns import Columns
from registry.model.data_id import format_values
from registry.model.dataset_type import DatasetType
from registry.model.digest import digest_json
from registry.model.dimensions import Column, DimensionElement, DimensionUniverse
from registry.model.refs import id_text
from sync.manifest import row_keys
from sync.plan import Conflict
from sync.wording import conflict_lines

if TYPE_CHECKING:
    from registry.snapshot import Snapshot

__all__ = [
    "HINTS",
    "collection_conflict",
    "dataset_type_conflict",
    "differing_datasets",
    "differing_records",
    "existing_datasets",
    "refusal",
    "schema_version",
    "taken_alternate_keys",
    "universe_conflicts",
]

HINTS = {
    "universe-differs": "Make a campaign of that upstream's universe: 'stage clone UPSTREAM DIRECTORY'.",
    "schema-version-differs": "Use the version of stage that upstream needs; 'stage repo info UPSTREAM' tells it.",
    "dataset-type-differs": (
        "Rename the dataset type in the pipeline, or leave it out: 'stage push --dataset-type GLOB'."
    ),
    "dataset-type-unknown": (
        "Run 'stage push --register-dataset-types', or have its keeper run 'stage repo register-dataset-type'."
    ),
    "record-differs": (
        "A push never changes upstream's records: set ours back to what 'stage query records' shows there, or ask "
        "its keeper."
    ),
    "collection-type-differs": (
        "Take another name: 'stage run --new-run' for a run, 'stage push --chain NAME' for a chain."
    ),
    "name-not-allowed": (
        "Name the runs so that they begin with it ('stage edit --next-run', then 'stage run --new-run'), the chain by "
        "'stage push --chain NAME', or ask its keeper."
    ),
    "dataset-exists": "Make them in a run of another name: 'stage run --new-run', then 'stage push'.",
    "dataset-differs": "Upstream's stays as it is; make ours anew: 'stage run --new-run', then 'stage push'.",
    "artifact-differs": "Have upstream's keeper look at that file, then run 'stage push' again.",
    "chain-changed": "Run 'stage push' again: it starts from the chain as it is now.",
}
"""The way on from each kind of conflict."""

_ARTIFACT = ("size", "checksum")
_AT_ONCE = 500


def refusal(verb: str, conflicts: Sequence[Conflict]) -> ConflictError:
    """Make the error that refuses a plan.

    Parameters
    ----------
    verb : str
        ``push`` or ``fetch``.
    conflicts : sequence of Conflict
        At least one.

    Returns
    -------
    ConflictError
        With the code of the first, and all of them in ``.conflicts``; with its hint if there are no others, else
        the message has the way on from each.
    """
    first = conflicts[0]
    if len(conflicts) == 1:
        text, hint = f"{verb} refused: {first}", first.hint
    else:
        text = "\n  ".join([f"{verb} refused: {len(conflicts):,} conflicts", *conflict_lines(conflicts)])
        hint = ""
    return ConflictError(text, code=first.code, hint=hint, conflicts=tuple(conflicts))


def schema_version(side: Snapshot) -> str:
    """Return a registry's schema version as it is now.

    Parameters
    ----------
    side : Snapshot
        Of the registry.

    Returns
    -------
    str
        The version; ``none`` where it says none.
    """
    found: list[str] = side.table("repository", key="schema_version")["value"].tolist()
    return " ".join(found) or "none"


def universe_conflicts(universe: DimensionUniverse, version: str, upstream: Snapshot) -> list[Conflict]:
    """Compare what has to agree before any row can be compared.

    Parameters
    ----------
    universe : DimensionUniverse
        Our dimensions.
    version : str
        Our schema version.
    upstream : Snapshot
        The other side.

    Returns
    -------
    list of Conflict
        ``universe-differs``, ``schema-version-differs``, or nothing.
    """
    out = []
    if universe != upstream.universe:
        texts = [
            f"{u.name} {u.version} ({digest_json(dict(u.source))[:8]})" for u in (universe, upstream.universe)
        ]
        out.append(_conflict("universe-differs", "universe", "the dimension universe", *texts))
    other = schema_version(upstream)
    if version != other:
        what = "the registry's schema version"
        out.append(_conflict("schema-version-differs", "schema", what, version, other))
    return out


def dataset_type_conflict(ours: DatasetType, upstream: DatasetType | None) -> Conflict:
    """Say how a dataset type differs, or that upstream lacks it.

    Parameters
    ----------
    ours : DatasetType
        Our definition.
    upstream : DatasetType or None
        Upstream's.

    Returns
    -------
    Conflict
        ``dataset-type-differs`` or ``dataset-type-unknown``.
    """
    what = f"dataset type '{ours.name}'"
    if upstream is None:
        return _conflict("dataset-type-unknown", "dataset-type", what, _definition(ours), "none")
    return _conflict("dataset-type-differs", "dataset-type", what, _definition(ours), _definition(upstream))


def _definition(dataset_type: DatasetType) -> str:
    calibration = ", calibration" if dataset_type.is_calibration else ""
    return f"{dataset_type.dimensions} as {dataset_type.storage_class}{calibration}"


def collection_conflict(name: str, ours: str, upstream: str) -> Conflict:
    """Say that a collection is of another type.

    Parameters
    ----------
    name : str
        Its name.
    ours, upstream : str
        Names of the two types.

    Returns
    -------
    Conflict
        ``collection-type-differs``.
    """
    return _conflict("collection-type-differs", "collection", f"collection '{name}'", ours, upstream)


def differing_records(
    element: DimensionElement, keys: Collection[bytes], ours: Columns, upstream: Columns
) -> list[Conflict]:
    """Say in which columns records differ.

    Parameters
    ----------
    element : DimensionElement
        The element.
    keys : collection of bytes
        Baseline keys of the records that differ.
    ours, upstream : Columns
        Records of both sides; one that a side lacks was deleted there.

    Returns
    -------
    list of Conflict
        ``record-differs``, in order of key.
    """
    names = element.record_columns
    sides = [
        _keyed(row_keys(side.rows(element.required)), side.rows(names), keys) for side in (ours, upstream)
    ]
    out = []
    for key in sorted(keys):
        a, b = (side.get(key) for side in sides)
        row = a or b or ()
        what = f"{element.name} {{{format_values(element.required, row[: len(element.required)])}}}"
        out.append(_conflict("record-differs", "record", what, *_unlike(names, a, b)))
    return out


def taken_alternate_keys(element: DimensionElement, new: Columns, upstream: Snapshot) -> list[Conflict]:
    """Find new records whose alternate key is another record's upstream.

    Parameters
    ----------
    element : DimensionElement
        The element.
    new : Columns
        Records that upstream lacks.
    upstream : Snapshot
        The other side.

    Returns
    -------
    list of Conflict
        ``record-differs``, naming both keys.
    """
    out = []
    others = tuple(name for name in element.required if name != element.name)
    for column in element.unique:
        for within in new.unique(others).rows() if others else [()]:
            data_id = dict(zip(others, within, strict=True))
            mine = new.take(np.array([row == within for row in new.rows(others)], dtype=np.bool_))
            ours = dict(zip(mine[column.name].tolist(), mine.rows(element.required), strict=True))
            ours.pop(None, None)
            for value, key in _holders(element, column, list(ours), data_id, upstream).items():
                what = f"{element.name} with {column.name}={_shown(value)}"
                texts = [f"{{{format_values(element.required, k)}}}" for k in (ours[value], key)]
                out.append(_conflict("record-differs", "record", what, *texts))
    return out


def _holders(
    element: DimensionElement,
    column: Column,
    values: list[Any],
    data_id: Mapping[str, Any],
    upstream: Snapshot,
) -> dict[Any, tuple[Any, ...]]:
    """Return the keys of upstream's records that have one of `values` in an alternate key."""
    names = (column.name, *element.required)
    if column.type in {"hash", "region"}:  # expressions cannot name bytes
        rows = upstream.records(element.name, data_id=data_id).rows(names)
    else:
        where = f"{element.name}.{column.name} IN (:values)"
        parts = [values[i : i + _AT_ONCE] for i in range(0, len(values), _AT_ONCE)]
        rows = [
            row
            for part in parts
            for row in upstream.records(
                element.name, where=where, bind={"values": part}, data_id=data_id
            ).rows(names)
        ]
    wanted = set(values)
    return {value: tuple(key) for value, *key in rows if value in wanted}


def differing_datasets(
    ids: Collection[bytes],
    types: Mapping[str, DatasetType],
    ours: Mapping[str, Columns],
    upstream: Mapping[str, Columns],
) -> list[Conflict]:
    """Say how datasets of one id differ.

    Parameters
    ----------
    ids : collection of bytes
        Those that differ.
    types : mapping of str to DatasetType
        By name.
    ours, upstream : mapping of str to Columns
        Rows of both sides by dataset type, as `Snapshot.datasets_by_id` gives them with artifacts.

    Returns
    -------
    list of Conflict
        ``dataset-differs``, in order of id. That one side has no artifact (any more) is no difference.
    """
    names = ("dataset type", "data ID", "run", *_ARTIFACT)
    sides = []
    for side in (ours, upstream):
        found: dict[bytes, tuple[Any, ...]] = {}
        for name, rows in side.items():
            dims = types[name].dimensions.required
            flat = rows.rows((*dims, "run", *_ARTIFACT))
            texts = [
                (name, "{" + format_values(dims, row[: len(dims)]) + "}", *row[len(dims) :]) for row in flat
            ]
            found |= _keyed(rows["id"].tolist(), texts, ids)
        sides.append(found)
    out = []
    for key in sorted(ids):
        a, b = (side.get(key) for side in sides)
        if a is None or b is None or _same_but_for_artifact(a, b):
            continue
        out.append(
            _conflict("dataset-differs", "dataset", f"{a[0]} {a[1]} ({id_text(key)})", *_unlike(names, a, b))
        )
    return out


def _same_but_for_artifact(a: tuple[Any, ...], b: tuple[Any, ...]) -> bool:
    """Tell whether two datasets differ only in that one side has no artifact (any more)."""
    facts = len(a) - len(_ARTIFACT)
    return a[:facts] == b[:facts] and (a[facts] is None or b[facts] is None)


def existing_datasets(
    dataset_type: DatasetType, run: str, ours: Columns, upstream: Columns
) -> list[Conflict]:
    """Say which data IDs of a RUN upstream are taken by other datasets than ours.

    Parameters
    ----------
    dataset_type : DatasetType
        The type.
    run : str
        The RUN.
    ours, upstream : Columns
        Required dimensions and ``id`` of both sides, not necessarily for the same data IDs.

    Returns
    -------
    list of Conflict
        ``dataset-exists``, in order of data ID.
    """
    dims = dataset_type.dimensions.required
    held = dict(zip(upstream.rows(dims), upstream["id"].tolist(), strict=True))
    mine = dict(zip(ours.rows(dims), ours["id"].tolist(), strict=True))
    out = []
    for values in sorted(held.keys() & mine.keys()):
        if held[values] != mine[values]:
            what = f"{dataset_type.name} {{{format_values(dims, values)}}} in run '{run}'"
            out.append(
                _conflict("dataset-exists", "dataset", what, id_text(mine[values]), id_text(held[values]))
            )
    return out


def _conflict(code: str, kind: str, what: str, ours: str, upstream: str) -> Conflict:
    return Conflict(code, kind, what, ours, upstream, HINTS[code])


def _keyed(
    keys: Sequence[bytes], rows: Sequence[tuple[Any, ...]], wanted: Collection[bytes]
) -> dict[bytes, tuple[Any, ...]]:
    mask = np.fromiter(map(wanted.__contains__, keys), np.bool_, len(keys))
    return {keys[i]: rows[i] for i in np.flatnonzero(mask).tolist()}


def _unlike(names: Sequence[str], a: tuple[Any, ...] | None, b: tuple[Any, ...] | None) -> tuple[str, str]:
    """Word the columns in which two rows differ, one text a side."""
    if a is None or b is None:
        gone = "deleted since it was fetched"
        return ("present" if a else gone, "present" if b else gone)
    unlike = [i for i in range(len(names)) if a[i] != b[i]]
    return _fields(names, a, unlike), _fields(names, b, unlike)


def _fields(names: Sequence[str], row: tuple[Any, ...], which: Sequence[int]) -> str:
    return ", ".join(f"{names[i]}={_shown(row[i])}" for i in which)


def _shown(value: Any) -> str:
    if isinstance(value, bytes):
        return f"0x{value[:8].hex()}" + ("…" if len(value) > 8 else "")
    text = repr(value)
    return text if len(text) <= 80 else text[:79] + "…"
