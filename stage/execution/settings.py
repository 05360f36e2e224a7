"""`RunnerSettings`: what a runner of quanta is made from, in whatever process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["RunnerSettings"]


@dataclass(frozen=True)
class RunnerSettings:
    """What a runner is made from, in whatever process.

    Parameters
    ----------
    graph_uri : str
        The graph file; it has a RUN.
    datastore_root : str
        Root of the datastore that takes the outputs, and has the inputs whose URIs are relative.
    task_path : tuple of str
        Directories of the users' own modules, besides those that the graph names.
    logs_dir : str
        Where logs can be followed while quanta run: ``<logs_dir>/<label>/…``; nowhere if empty.
    log_level : str
        Lowest level that logs keep.
    look_for_inputs : bool
        Whether to look for inputs that quanta of the same graph make, where nobody can tell which were made.
    """

    graph_uri: str
    datastore_root: str
    task_path: tuple[str, ...] = ()
    logs_dir: str = ""
    log_level: str = "INFO"
    look_for_inputs: bool = False

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON values.

        Returns
        -------
        dict
            One key a field.
        """
        return asdict(self)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> RunnerSettings:
        """Make one from its document.

        Parameters
        ----------
        document : mapping
            As `to_document` gives it.

        Returns
        -------
        RunnerSettings
            Equal to the first.
        """
        return cls(**{**document, "task_path": tuple(document["task_path"])})
