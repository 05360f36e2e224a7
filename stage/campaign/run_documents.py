"""What is written once for a run: the configurations of its tasks, the versions of packages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from registry.errors import StageError

if TYPE_CHECKING:
    from registry.registry import Snapshot
    from sync.repo import Repo

__all__ = ["run_document"]


def run_document(repo: Repo, snapshot: Snapshot, run: str, dataset_type: str) -> Mapping[str, Any]:
    """Read what was written once for a run: a task's configuration, the versions of packages.

    Parameters
    ----------
    repo : Repo
        Open.
    snapshot : Snapshot
        Of its registry.
    run : str
        The RUN.
    dataset_type : str
        A dataset type without dimensions.

    Returns
    -------
    mapping
        Empty if there is none, or it cannot be read.
    """
    try:
        ref = snapshot.find(dataset_type, {}, [run])
        artifact = None if ref is None else snapshot.artifact(ref.id)
        found = None if artifact is None else repo.datastore.get(artifact, "Json")
    except StageError:
        return {}
    return found if isinstance(found, Mapping) else {}
