"""The datastore that quanta run on: a campaign's, or that of a job which may be started again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sync.input_store import InputStore

if TYPE_CHECKING:
    from stage.execution.settings import RunnerSettings
    from sync.job_store import Intermediates

__all__ = ["store_of"]


def store_of(settings: RunnerSettings, intermediates: Intermediates | None = None) -> InputStore:
    """Open the datastore of a runner.

    Parameters
    ----------
    settings : RunnerSettings
        Where it is, and what tells that it may no longer be written to.
    intermediates : Intermediates, optional
        What quanta of one job hand each other in memory.

    Returns
    -------
    InputStore
        With remote inputs kept on this machine.
    """
    if not settings.fence:
        return InputStore(settings.datastore_root, caches=True)
    from stage.execution.starts import Fence
    from sync.job_store import JobStore

    return JobStore(settings.datastore_root, Fence(settings.fence).check, intermediates, caches=True)
