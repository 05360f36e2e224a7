"""What a registry holds in a form that two can be compared by: no ids, no times, no names of machines."""

from __future__ import annotations

from typing import Any

from registry.registry import Snapshot
from sync.repo import Repo

OF_THE_MOMENT = ("_log", "_metadata", "packages")
"""Datasets whose content tells when and where they were made."""


def dump(repo: Repo) -> dict[str, list[Any]]:
    """Return a repository's collections, datasets, records of quanta, and what these read and wrote."""
    with repo.registry.read() as snapshot:
        datasets = _datasets(snapshot)
        quanta = _quanta(snapshot)
        runs = sorted({key[0] for key in quanta.values()})
        read = snapshot.quantum_inputs(runs).rows(("quantum_id", "dataset_id", "connection", "was_read"))
        made = snapshot.quantum_outputs(runs).rows(("quantum_id", "dataset_id", "connection"))
        return {
            "collections": sorted((c.name, c.type.name, tuple(c.children)) for c in snapshot.collections()),
            "dataset types": [str(t) for t in snapshot.dataset_types()],
            "datasets": sorted(map(str, datasets.values())),
            "quanta": sorted(map(str, quanta.values())),
            "inputs": sorted(str((quanta[q], datasets[d][:-1], c, bool(w))) for q, d, c, w in read),
            "outputs": sorted(str((quanta[q], datasets[d][:-1], c)) for q, d, c in made),
        }


def _datasets(snapshot: Snapshot) -> dict[bytes, tuple[Any, ...]]:
    """Return of each dataset its type, data ID, RUN and the checksum of what is in it."""
    found = {}
    for type_ in snapshot.dataset_types():
        rows = snapshot.datasets(type_.name, ["*"], find_first=False, artifacts=True)
        names = [*type_.dimensions.required]
        is_same = not type_.name.endswith(OF_THE_MOMENT)
        for row in rows.rows(("id", "run", "checksum", *names)):
            found[row[0]] = (type_.name, *row[3:], row[1], row[2] if is_same else "")
    return found


def _quanta(snapshot: Snapshot) -> dict[bytes, tuple[Any, ...]]:
    """Return of each quantum its RUN, task, data ID, and what became of its last attempt."""
    rows = snapshot.quanta().rows(("id", "run", "task", "data_id", "status", "attempt", "message"))
    return {row[0]: tuple(row[1:]) for row in rows}
