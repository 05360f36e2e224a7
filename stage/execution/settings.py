"""`RunnerSettings`: what a runner of quanta is made from, in whatever process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from registry.errors import UsageError
from stage.execution.kept import DEFAULT_LIMIT

__all__ = ["RunnerSettings", "check_limits"]


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
        Whether to look for inputs that quanta of the same graph make, and for what earlier attempts have left, where
        nobody can tell what was made.
    replace : bool
        Whether outputs that are there may be replaced by other bytes.
    log_limit : int
        Bytes that are kept of the log of a quantum, half of them from its beginning and half from its end; 0 keeps all.
    wrap : str
        Command in which worker processes are started, with ``{command}`` for theirs; none if empty.
    keep_scratch : bool
        Whether the scratch directories of scripts that fail are kept, beside the logs.
    begin_at : mapping of str to int
        Task to the number of the command, from 1, that its quanta begin at.
    fence : str
        What appears when the job that runs them is started again: then nothing is written any more; none if empty.
    code_dirs : tuple of str
        Directories of users' modules that count before those that the graph names: of a machine that has its own.
    """

    graph_uri: str
    datastore_root: str
    task_path: tuple[str, ...] = ()
    logs_dir: str = ""
    log_level: str = "INFO"
    look_for_inputs: bool = False
    replace: bool = False
    log_limit: int = DEFAULT_LIMIT
    wrap: str = ""
    keep_scratch: bool = False
    begin_at: Mapping[str, int] = field(default_factory=dict)
    fence: str = ""
    code_dirs: tuple[str, ...] = ()

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
        return cls(**{**document, **{k: tuple(document[k]) for k in ("task_path", "code_dirs")}})

    def search_path(self, named: Sequence[str]) -> tuple[str, ...]:
        """Return where the users' own modules are looked for.

        Parameters
        ----------
        named : sequence of str
            The directories that the graph names.

        Returns
        -------
        tuple of str
            The first that has a module counts.
        """
        return (*self.code_dirs, *named, *self.task_path)


def check_limits(processes: int, timeout_s: float | None, retries: int) -> None:
    """Refuse limits that make no sense, or cannot be kept.

    Parameters
    ----------
    processes : int
        Number of worker processes.
    timeout_s : float or None
        Longest time for one quantum, in seconds.
    retries : int
        How often a quantum that failed is tried again.

    Raises
    ------
    UsageError
        If a number is too small, or there are no worker processes that could be ended after a time.
    """
    if retries < 0:
        raise UsageError(f"a quantum cannot be tried again {retries} times", code="bad-limit")
    if timeout_s is None:
        return
    if not timeout_s > 0:
        raise UsageError(f"a quantum cannot end within {timeout_s:g} s", code="bad-limit")
    if not processes:
        raise UsageError(
            "a quantum that runs in this process cannot be ended after a time",
            code="bad-limit",
            hint="Run it with worker processes: -j 1 or more.",
        )
