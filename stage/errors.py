"""The execution family of errors: what failed, and the first cause of what was blocked."""

from __future__ import annotations

from typing import Any

from registry.errors import ConflictError, StageError

__all__ = ["ExecutionError", "QuantumFailed", "SupersededError", "UpstreamFailed"]


class ExecutionError(StageError):
    """Something failed while quanta were run."""

    default_code = "execution"


class QuantumFailed(ExecutionError):  # noqa: N818 - an outcome's name, used as such in records
    """A task raised, or its worker died."""

    default_code = "quantum-failed"


class SupersededError(ConflictError):
    """A job has been started again, and what this start of it would still write counts for nothing."""

    default_code = "job-superseded"


class UpstreamFailed(ExecutionError):  # noqa: N818 - an outcome's name, used as such in records
    """A quantum could not run because one before it failed.

    Parameters
    ----------
    message : str
        Which quantum was blocked.
    root : str, optional
        The quantum that failed first.
    **kwargs
        As for `StageError`.
    """

    default_code = "upstream-failed"

    def __init__(self, message: str = "", *, root: str = "", **kwargs: Any) -> None:
        super().__init__(message, **kwargs)
        self.root = root
