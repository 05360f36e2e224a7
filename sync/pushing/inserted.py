"""What one push inserts, noted in its row of the ledger so that it can be taken back: no row a dataset.

Of a RUN that the push makes all belongs to it, but for what later pushes note of theirs; it notes numbers only. Of a RUN
that was there before, the ids of what it adds: sorted, byte by byte side by side, compressed. Ids of one graph follow
one another, so that ten thousand of them take a few kilobytes.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from registry.errors import IntegrityError
from registry.model.columns import Columns
from sync.pushing.members import members

if TYPE_CHECKING:
    from registry.snapshot import Snapshot
    from sync.plan import DatasetBatch, PushPlan

__all__ = [
    "ids_of",
    "inserted_by",
    "pack_ids",
    "pack_rows",
    "pack_uris",
    "unpack_ids",
    "unpack_rows",
    "unpack_uris",
]

_LINK = ("quantum_id", "dataset_id", "connection")


def inserted_by(plan: PushPlan, upstream: Snapshot, *, adopted: str | None = None) -> dict[str, Any]:
    """Return what a push is about to insert.

    Parameters
    ----------
    plan : PushPlan
        As it was checked inside the publishing transaction.
    upstream : Snapshot
        That transaction, before the rows are written.
    adopted : str, optional
        What the URIs of its artifacts begin with, where they are the campaign's own files.

    Returns
    -------
    dict
        JSON-like. ``size_bytes``; ``runs``: RUN to ``made`` (whether it is new), ``datasets`` and ``quanta`` (numbers);
        ``chain``: its name, whether it is new, the RUNs added, the one ``replaced``; ``adopted``; and of RUNs that are there ``ids`` of ``datasets`` and of
        ``artifacts`` of datasets that are there, ``quanta`` (id and attempt), ``inputs`` and ``outputs`` (of quanta that
        are there).

    Notes
    -----
    Reads upstream only for RUNs that are there and get quanta.
    """
    numbers = {run: {"made": run in plan.new_runs, "datasets": 0, "quanta": 0} for run in plan.runs}
    for batch in plan.new_datasets:
        numbers[batch.run]["datasets"] += batch.rows.n_rows
    out: dict[str, Any] = {"size_bytes": plan.size_bytes, "runs": numbers}
    if plan.chain is not None:
        before = plan.chain.expected
        added = [run for run in plan.chain.children if run not in (before or ())]
        out["chain"] = {"name": plan.chain.name, "made": before is None, "added": added}
        if plan.chain.replaced is not None:
            out["chain"]["replaced"] = plan.chain.replaced
    if adopted is not None:
        out["adopted"] = adopted
    added_to = [run for run in plan.runs if run not in plan.new_runs]
    out["ids"] = {
        "datasets": pack_ids(_ids(plan.new_datasets, added_to)),
        "artifacts": pack_ids(_ids(plan.new_artifacts, added_to)),
    }
    if plan.new_quanta.n_rows:
        _note_quanta(plan, upstream, added_to, out)
    return out


def _ids(batches: Sequence[DatasetBatch], runs: Sequence[str]) -> list[bytes]:
    return [i for batch in batches if batch.run in runs for i in batch.rows["id"].tolist()]


def _note_quanta(plan: PushPlan, upstream: Snapshot, runs: Sequence[str], out: dict[str, Any]) -> None:
    """Count the quanta of each RUN, and name those of RUNs that are there, with links of such as are there."""
    per_run, counts = np.unique(plan.new_quanta["run"].astype(str), return_counts=True)
    for run, n in zip(per_run.tolist(), counts.tolist(), strict=True):
        out["runs"][run]["quanta"] = n
    mine = plan.new_quanta.take(np.isin(plan.new_quanta["run"], list(runs)))
    if not mine.n_rows:
        return
    there = set(upstream.quanta(runs, latest=False, names=("id", "attempt")).rows())
    new = [row for row in mine.rows(("id", "attempt")) if row not in there]
    out["ids"]["quanta"] = pack_rows(new)
    again = {i for i, _ in there} & set(mine["id"].tolist())
    if again:
        out["ids"]["inputs"] = pack_rows(_new_links(plan.new_inputs, upstream.quantum_inputs(runs), again))
        out["ids"]["outputs"] = pack_rows(_new_links(plan.new_outputs, upstream.quantum_outputs(runs), again))


def _new_links(ours: Columns, theirs: Columns, quanta: set[bytes]) -> list[tuple[Any, ...]]:
    known = set(theirs.rows(_LINK))
    rows = ours.take(members(ours["quantum_id"].tolist(), quanta))
    return [row for row in rows.rows(_LINK) if row not in known]


def pack_ids(ids: Sequence[bytes]) -> str:
    """Return ids as text.

    Parameters
    ----------
    ids : sequence of bytes
        16 bytes each.

    Returns
    -------
    str
        ASCII.
    """
    rows = np.frombuffer(b"".join(sorted(ids)), np.uint8).reshape(len(ids), 16)
    return _pack(rows.T.tobytes())


def unpack_ids(text: str) -> list[bytes]:
    """Return what `pack_ids` was given.

    Parameters
    ----------
    text : str
        What it returned.

    Returns
    -------
    list of bytes
        Sorted.

    Raises
    ------
    IntegrityError
        If it is something else.
    """
    data = _unpack(text)
    if len(data) % 16:
        raise _damaged(f"{len(data)} bytes are no ids")
    rows = np.ascontiguousarray(np.frombuffer(data, np.uint8).reshape(16, len(data) // 16).T)
    return [row.tobytes() for row in rows]


def pack_rows(rows: Sequence[Sequence[Any]]) -> str:
    """Return short rows as text.

    Parameters
    ----------
    rows : sequence of sequences
        Ids, numbers and names.

    Returns
    -------
    str
        ASCII.
    """
    plain = [[v.hex() if isinstance(v, bytes) else v for v in row] for row in rows]
    return _pack(json.dumps(plain).encode())


def unpack_rows(text: str, names: Sequence[str]) -> Columns:
    """Return what `pack_rows` was given.

    Parameters
    ----------
    text : str
        What it returned.
    names : sequence of str
        The columns; those that end in ``id`` are ids.

    Returns
    -------
    Columns
        The rows.

    Raises
    ------
    IntegrityError
        If it is something else.
    """
    try:
        rows = json.loads(_unpack(text) or b"[]")
        made = [
            tuple(bytes.fromhex(v) if n.endswith("id") else v for n, v in zip(names, row, strict=True))
            for row in rows
        ]
    except (ValueError, TypeError) as exc:
        raise _damaged(str(exc)) from exc
    return Columns.from_rows(names, made) if made else Columns({name: [] for name in names})


def pack_uris(uris: Sequence[str]) -> str:
    """Return paths as text.

    Parameters
    ----------
    uris : sequence of str
        Relative to a datastore's root.

    Returns
    -------
    str
        ASCII.
    """
    return _pack(json.dumps(sorted(uris)).encode())


def unpack_uris(text: str) -> list[str]:
    """Return what `pack_uris` was given.

    Parameters
    ----------
    text : str
        What it returned.

    Returns
    -------
    list of str
        Sorted.

    Raises
    ------
    IntegrityError
        If it is something else.
    """
    try:
        found = json.loads(_unpack(text) or b"[]")
    except ValueError as exc:
        raise _damaged(str(exc)) from exc
    return [str(uri) for uri in found]


def ids_of(inserted: Mapping[str, Any], kind: str) -> str:
    """Return what was noted of one kind of thing.

    Parameters
    ----------
    inserted : mapping
        From `inserted_by`.
    kind : str
        ``datasets``, ``artifacts``, ``quanta``, ``inputs`` or ``outputs``.

    Returns
    -------
    str
        To be unpacked; empty if there is none.
    """
    return str(inserted.get("ids", {}).get(kind, ""))


def _pack(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data, 9)).decode() if data not in (b"", b"[]") else ""


def _unpack(text: str) -> bytes:
    try:
        return zlib.decompress(base64.b64decode(text, validate=True)) if text else b""
    except (ValueError, zlib.error) as exc:
        raise _damaged(str(exc)) from exc


def _damaged(why: str) -> IntegrityError:
    return IntegrityError(
        f"what a push noted of its rows cannot be read: {why}",
        code="damaged-ledger",
        hint="Restore the registry from a copy.",
    )
