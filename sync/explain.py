"""Conflicts in words: which thing, both values, and the command that goes on. Only ever runs for what differs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from registry.errors import ConflictError
from registry.model.columns import Columns
from registry.model.data_id import format_values
from registry.model.dataset_type import DatasetType
from registry.model.digest import digest_json
from registry.model.dimensions import DimensionElement, DimensionUniverse
from registry.model.refs import id_text
from sync.manifest import row_keys
from sync.plan_parts import Conflict
from sync.pushing.kinds import HINTS
from sync.wording import conflict_lines, winner_text

if TYPE_CHECKING:
    from registry.snapshot import Snapshot
    from sync.found import Failure

__all__ = [
    "HINTS",
    "artifact_conflict",
    "collection_conflict",
    "conflict",
    "dataset_type_conflict",
    "differing_datasets",
    "differing_records",
    "existing_datasets",
    "refusal",
    "schema_version",
    "shown",
    "universe_conflicts",
]

_ARTIFACT = ("size", "checksum")


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
        who = winner_text(first)
        text, hint = f"{verb} refused: {first}{f' ({who})' if who else ''}", first.hint
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
        out.append(conflict("universe-differs", "universe", "the dimension universe", *texts))
    other = schema_version(upstream)
    if version != other:
        what = "the registry's schema version"
        out.append(conflict("schema-version-differs", "schema", what, version, other))
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
    code = "dataset-type-unknown" if upstream is None else "dataset-type-differs"
    theirs = "none" if upstream is None else _definition(upstream)
    return conflict(code, "dataset-type", what, _definition(ours), theirs, about={"dataset_type": ours.name})


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
    return conflict("collection-type-differs", "collection", f"collection '{name}'", ours, upstream)


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
        ``record-differs``, or ``record-deleted`` where upstream has none any more; in order of key.
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
        about = {
            "element": element.name,
            "data_id": _data_id(element.required, row),
            **_differing(names, a, b),
        }
        code = "record-differs" if b is not None else "record-deleted"
        out.append(conflict(code, "record", what, *_unlike(names, a, b), about=about))
    return out


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
        ``dataset-differs``, in order of id. That one side has no artifact (any more), or never took its checksum, is no
        difference.
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
        about = {"id": id_text(key), "dataset_type": a[0], "run": a[2], **_differing(names, a, b)}
        what = f"{a[0]} {a[1]} ({id_text(key)})"
        out.append(conflict("dataset-differs", "dataset", what, *_unlike(names, a, b), about=about))
    return out


def _same_but_for_artifact(a: tuple[Any, ...], b: tuple[Any, ...]) -> bool:
    """Tell whether two datasets differ only in that one side has no artifact (any more), or no checksum of it."""
    facts = len(a) - len(_ARTIFACT)
    if a[:facts] != b[:facts]:
        return False
    if a[facts] is None or b[facts] is None:
        return True
    return bool(a[facts] == b[facts]) and not (a[-1] and b[-1])


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
            texts = id_text(mine[values]), id_text(held[values])
            about = {"id": texts[0], "upstream_id": texts[1], "dataset_type": dataset_type.name, "run": run,
                     "data_id": _data_id(dims, values)}  # fmt: skip
            out.append(conflict("dataset-exists", "dataset", what, *texts, about=about))
    return out


def artifact_conflict(failure: Failure) -> Conflict:
    """Say that another file has an artifact's name.

    Parameters
    ----------
    failure : Failure
        With the code ``artifact-differs``.

    Returns
    -------
    Conflict
        Of that code.
    """
    texts = failure.ours, failure.theirs
    return conflict(failure.code, "artifact", f"artifact '{failure.uri}'", *texts, about={"uri": failure.uri})


def conflict(
    code: str, kind: str, what: str, ours: str, upstream: str, *, about: Mapping[str, Any] | None = None
) -> Conflict:
    """Make a conflict with the way on from its kind.

    Parameters
    ----------
    code, kind, what, ours, upstream : str
        As in `Conflict`.
    about : mapping, optional
        The same facts for programs.

    Returns
    -------
    Conflict
        With its hint.
    """
    return Conflict(code, kind, what, ours, upstream, HINTS[code], about or {})


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


def _differing(
    names: Sequence[str], a: tuple[Any, ...] | None, b: tuple[Any, ...] | None
) -> dict[str, dict[str, list[Any]]]:
    """Return the columns in which two rows differ, with both values."""
    if a is None or b is None:
        return {}
    pairs = zip(names, a, b, strict=True)
    return {"fields": {name: [_plain(x), _plain(y)] for name, x, y in pairs if x != y}}


def _data_id(dimensions: Sequence[str], row: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(dimensions, row, strict=False))


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, str | int | float) else shown(value)


def _fields(names: Sequence[str], row: tuple[Any, ...], which: Sequence[int]) -> str:
    return ", ".join(f"{names[i]}={shown(row[i])}" for i in which)


def shown(value: Any) -> str:
    """Return a value as it is shown: long ones cut.

    Parameters
    ----------
    value : Any
        Of a row.

    Returns
    -------
    str
        At most 80 characters.
    """
    if isinstance(value, bytes):
        return f"0x{value[:8].hex()}" + ("…" if len(value) > 8 else "")
    text = repr(value)
    return text if len(text) <= 80 else text[:79] + "…"
