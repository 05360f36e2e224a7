"""What is kept of one attempt at a quantum besides its log: its metadata."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from typing import Any

from registry.model.refs import id_text
from stage.execution.earlier import iso_text, stored_text
from stage.execution.limited import LimitedRepo
from stage.execution.trial import Trial, plain

__all__ = ["metadata_of"]


def metadata_of(
    trial: Trial, repo: LimitedRepo, versions: Mapping[str, Any], *, wrap: str = ""
) -> dict[str, Any]:
    """Return the metadata of an attempt that has ended.

    Parameters
    ----------
    trial : Trial
        The attempt.
    repo : LimitedRepo
        What it has read and written.
    versions : mapping
        Of the task's code, and of packages that differ from those of the run.
    wrap : str, optional
        The command that wraps this process.

    Returns
    -------
    dict
        JSON values: times, memory, host, versions, what was asked for, read and stored.
    """
    quantum, usage = trial.quantum, trial.usage
    ids = {d.ordinal: d.id for refs in quantum.inputs.values() for d in refs}
    return {
        "quantum": id_text(quantum.id),
        "task": quantum.label,
        "data_id": quantum.data_id,
        "status": trial.status,
        "message": trial.message,
        "attempt": trial.attempt,
        "started": iso_text(usage.started_ns),
        "finished": iso_text(usage.finished_ns),
        "wall_s": usage.wall_s,
        "cpu_s": usage.cpu_ns * 1e-9,
        "peak_bytes": usage.peak_bytes,
        "host": platform.node(),
        "pid": os.getpid(),
        "versions": {"python": platform.python_version(), **versions},
        **({"memory_mb": trial.memory_mb} if trial.memory_mb else {}),
        **({"cpus": trial.cpus} if trial.cpus else {}),
        **({"wrapped_in": wrap} if wrap else {}),
        "read": [id_text(ids[d]) for d in repo.read],
        "outputs": len(repo.written),
        "stored": stored_text(quantum, repo.written),
        "notes": plain(trial.notes),
    }
