"""Versions of code and packages where a quantum runs, against those that its run has recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from registry.errors import StageError
from stage.execution.limited import artifact_of
from stage.pipeline.importing import code_version, split_target

if TYPE_CHECKING:
    from stage.graph.access import QuantumSource
    from stage.pipeline.node import TaskNode
    from sync.datastore import Datastore

__all__ = ["VersionsHere"]

_MISSING = "not there"
_SHOWN = 3


class VersionsHere:
    """What this process has, compared once with what the run has recorded.

    Parameters
    ----------
    graph : QuantumSource
        With a RUN.
    store : Datastore
        Has what the run has recorded.
    asks_packages : bool
        Whether packages may differ: where this process is not of the environment in which the run was prepared.
    """

    def __init__(self, graph: QuantumSource, store: Datastore, *, asks_packages: bool) -> None:
        self._graph, self._store = graph, store
        self._packages: dict[str, tuple[str, str]] | None = None if asks_packages else {}
        self._tasks: dict[str, str] = {}

    def task(self, node: TaskNode) -> str:
        """Return the version of a task's code here.

        Parameters
        ----------
        node : TaskNode
            The task, imported already.

        Returns
        -------
        str
            Empty where the code does not say.
        """
        if node.label not in self._tasks:
            self._tasks[node.label] = code_version(split_target(node.target)[0])
        return self._tasks[node.label]

    def packages(self) -> dict[str, tuple[str, str]]:
        """Return the packages that are not of the recorded version.

        Returns
        -------
        dict of str to (str, str)
            Recorded version and version here, by name; empty where nothing was recorded.
        """
        if self._packages is None:
            self._packages = self._differing()
        return self._packages

    def _differing(self) -> dict[str, tuple[str, str]]:
        planned = self._graph.packages
        if planned is None:
            return {}
        try:
            recorded: Any = self._store.get(artifact_of(planned), planned.storage_class)
        except StageError:
            return {}
        from stage.execution.prep import package_versions

        here = package_versions()
        pairs = {n: (recorded.get(n, _MISSING), here.get(n, _MISSING)) for n in {**recorded, **here}}
        return {name: pair for name, pair in sorted(pairs.items()) if pair[0] != pair[1]}

    def warnings(self, node: TaskNode) -> list[str]:
        """Say what is not as the run has recorded it.

        Parameters
        ----------
        node : TaskNode
            The task that is to run, imported already.

        Returns
        -------
        list of str
            Empty if all is the same.
        """
        out = []
        if (here := self.task(node)) != node.version:
            out.append(
                f"the code of task '{node.label}' is version {here or 'unknown'} here, "
                f"and was {node.version or 'unknown'} when the graph was built"
            )
        if differing := self.packages():
            shown = ", ".join(f"{n} {was} (here {now})" for n, (was, now) in list(differing.items())[:_SHOWN])
            more = f" and {len(differing) - _SHOWN} more" if len(differing) > _SHOWN else ""
            out.append(f"packages are not those that the run was prepared with: {shown}{more}")
        return out

    def document(self, node: TaskNode) -> dict[str, Any]:
        """Return the versions that a quantum ran with, for its metadata.

        Parameters
        ----------
        node : TaskNode
            Its task.

        Returns
        -------
        dict
            ``task``; ``planned`` if it is not that of the graph, and ``packages`` that differ: recorded, and here.
        """
        task = self.task(node)
        packages = {name: list(pair) for name, pair in self.packages().items()}
        return {
            "task": task,
            **({"planned": node.version} if task != node.version else {}),
            **({"packages": packages} if packages else {}),
        }
