"""`Home`: what a submission has where it was made: its graph, its jobs, and the datastore of its campaign."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from registry.errors import InternalError, UsageError
from stage.batch.layout import SubmitDir
from sync.fetching.binding import Binding, read_binding
from sync.filesystem import files
from sync.input_store import InputStore

if TYPE_CHECKING:
    from stage.batch.workflow.model import Workflow
    from stage.graph.file.reader import GraphFile
    from stage.graph.table import Ints

__all__ = ["Home", "home_of"]

_OPTION = "--datastore"


@dataclass
class Home:
    """A submission at home.

    Parameters
    ----------
    where : SubmitDir
        Its directory.
    graph : GraphFile or None
        None where it has none: then no job has inputs or records.
    workflow : Workflow or None
        Its jobs.
    data : str
        Root of the datastore; empty without a graph.
    campaign : str
        The campaign's directory; empty where it lies in none.
    lock : threading.Lock
        Held by who reads the graph, since several threads do.
    """

    where: SubmitDir
    graph: GraphFile | None = None
    workflow: Workflow | None = None
    data: str = ""
    campaign: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @cached_property
    def binding(self) -> Binding:
        """What the datastore says of upstream's files."""
        return read_binding(self.data) if self.data else Binding()

    @cached_property
    def store(self) -> InputStore:
        """The datastore, as those see it that read their inputs."""
        return InputStore(self.data)

    def quanta_of(self, number: int) -> Sequence[int]:
        """Return the quanta of a job.

        Parameters
        ----------
        number : int
            The job.

        Returns
        -------
        sequence of int
            None where the workflow does not have it.
        """
        if self.workflow is None or not 0 <= number < self.workflow.n_jobs:
            return ()
        found: list[int] = self.workflow.quanta.of(number).tolist()
        return found

    @property
    def file(self) -> GraphFile:
        """The graph, where there is one."""
        if self.graph is None:
            raise InternalError("the submission has no graph")
        return self.graph

    @cached_property
    def makers(self) -> Ints:
        """For each dataset of the graph the quantum that makes it, or -1."""
        from stage.graph.dependencies import producers

        return producers(self.file.load())

    @cached_property
    def job_of(self) -> Ints:
        """For each quantum of the graph its job, or -1."""
        import numpy as np

        out = np.full(self.file.n_quanta, -1, dtype=np.int64)
        if self.workflow is not None:
            out[self.workflow.quanta.indices] = self.workflow.quanta.rows()
        return out

    def close(self) -> None:
        """Let go of the graph."""
        if self.graph is not None:
            self.graph.close()


def home_of(where: SubmitDir) -> Home:
    """Look at a submission.

    Parameters
    ----------
    where : SubmitDir
        Its directory.

    Returns
    -------
    Home
        With its graph open.

    Raises
    ------
    UsageError
        If its outputs go to a store: who moves files has to find them at home.
    """
    from stage.batch.workflow.file import load_workflow

    workflow = load_workflow(where.workflow) if where.workflow.exists() else None
    if not where.graph.exists():
        return Home(where, None, workflow)
    from stage.graph.file.reader import GraphFile

    graph = GraphFile.open(where.graph)
    try:
        campaign, data = _campaign_of(where, graph.header.output_run)
        data = _said(workflow) or data
        check_outputs(data)
    except BaseException:
        graph.close()
        raise
    return Home(where, graph, workflow, files.absolute(data).rstrip("/") if data else "", campaign)


def check_outputs(data: str) -> None:
    """Refuse outputs that are no files at home.

    Parameters
    ----------
    data : str
        Root of the datastore.

    Raises
    ------
    UsageError
        If it is a store.
    """
    if data and not files.is_local(data):
        raise UsageError(
            f"the campaign's outputs go to {files.redact(data)}, and a site that is reached by ssh brings them home as files",
            code="far-outputs",
            hint="Run it on a site without 'ssh', or make a campaign whose outputs are files.",
        )


def _campaign_of(where: SubmitDir, run: str) -> tuple[str, str]:
    """Return the directory of the campaign that a submission lies in, and the root of its datastore."""
    from stage.campaign.jobs import datastore_of

    graph = where.graph.absolute()
    try:
        data = datastore_of(str(graph), run)
    except UsageError:
        return "", ""
    return str(graph.parent.parents[run.count("/") + 1]), data


def _said(workflow: Workflow | None) -> str:
    """Return the datastore that the commands of jobs name."""
    for settings in workflow.settings if workflow is not None else ():
        try:
            words = shlex.split(settings.arguments)
        except ValueError:
            continue
        for word, following in zip(words, [*words[1:], ""], strict=True):
            if word == _OPTION or word.startswith(f"{_OPTION}="):
                found = following if word == _OPTION else word.partition("=")[2]
                return "" if "{" in found else found
    return ""
