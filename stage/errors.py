"""The execution family of errors: what failed, and the first cause of what was blocked."""

from __future__ import annotations

from typing import Any

from registry.errors import StageError

__all__ = ["ExecutionError", "QuantumFailed", "UpstreamFailed"]


class ExecutionError(StageError):
    """Something failed while quanta were run."""

    default_code = "execution"


class QuantumFailed(ExecutionError):  # noqa: N818 - an outcome's name, used as such in records
    """A task raised, or its worker died."""

    default_code = "quantum-failed"


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
