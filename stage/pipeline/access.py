"""How a task reaches its data: what it needs of a quantum and of a repository, whoever provides them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

__all__ = ["DeferredDataset", "QuantumLike", "RepoLike"]


class QuantumLike(Protocol):
    """What `Task.run_quantum` needs of a quantum; refs are whatever the repository takes."""

    @property
    def data_id(self) -> Mapping[str, Any]:
        """Values of the task's dimensions."""

    @property
    def inputs(self) -> Mapping[str, Sequence[Any]]:
        """Refs to read, by connection: only those that are there."""

    @property
    def outputs(self) -> Mapping[str, Sequence[Any]]:
        """Refs to write, by connection."""


class RepoLike(Protocol):
    """What a running task may touch: the refs of its quantum, nothing more."""

    def get(self, ref: Any, /) -> Any:
        """Return the object of an input.

        Parameters
        ----------
        ref : object
            One of the quantum's inputs.

        Returns
        -------
        object
            What its storage class says.
        """

    def put(self, obj: Any, ref: Any, /) -> Any:
        """Store the object of an output.

        Parameters
        ----------
        obj : object
            What the storage class of `ref` says.
        ref : object
            One of the quantum's outputs.

        Returns
        -------
        object
            Nothing that is used.
        """


class DeferredDataset:
    """An input that is read only when asked for.

    Parameters
    ----------
    repo : RepoLike
        Where it is.
    ref : object
        Which one.
    """

    def __init__(self, repo: RepoLike, ref: Any) -> None:
        self._repo = repo
        self.ref = ref

    @property
    def data_id(self) -> dict[str, Any]:
        """Its data ID."""
        return dict(self.ref.data_id)

    def get(self) -> Any:
        """Read it.

        Returns
        -------
        object
            A new one at each call.
        """
        return self._repo.get(self.ref)
