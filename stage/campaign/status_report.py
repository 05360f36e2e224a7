"""What `status` tells: plain values, the same for text and for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stage.campaign.graph_reports import Document, GraphReport
from stage.campaign.reports import Failure, TaskCounts

__all__ = ["PushOutlook", "RunStatus", "StatusReport", "UpstreamStatus"]


@dataclass(frozen=True)
class RunStatus(Document):
    """One run of a campaign, as `status` tells it.

    Parameters
    ----------
    name : str
        The RUN.
    place : {"current", "past"}
        Where it is in the stack.
    tasks : mapping
        As in `RunReport`; besides ``begun`` for quanta of the current run that were begun and have no outcome, which
        ``missing`` does not count, and ``skipped`` for those that were left out of it as done elsewhere.
    failures : sequence of Failure
        The failed quanta.
    n_failures : int
        How many there are, of which `failures` may be the first few.
    push : str
        ``pushed``, ``to push``, ``nothing done``, or ``unknown``.
    steps_left : sequence of str
        Steps of the pipeline whose graphs are still to be built.
    datasets, size_bytes : int
        What it holds in staging.
    unmerged : int
        Quanta among `tasks` that are as jobs have recorded them, which nobody has merged into staging yet.
    driven : str
        Directory of the submission whose jobs run now; empty if there is none.
    """

    name: str
    place: str
    tasks: TaskCounts
    failures: Sequence[Failure] = ()
    n_failures: int = 0
    push: str = "unknown"
    steps_left: Sequence[str] = ()
    datasets: int = 0
    size_bytes: int = 0
    unmerged: int = 0
    driven: str = ""

    @property
    def totals(self) -> dict[str, int]:
        """Status to number of quanta, over all tasks."""
        out: dict[str, int] = {}
        for counts in self.tasks.values():
            for status, n in counts.items():
                out[status] = out.get(status, 0) + n
        return out

    @property
    def is_complete(self) -> bool:
        """Whether every quantum of every step is done."""
        open_ = ("failed", "blocked", "missing", "begun")
        return not self.steps_left and not any(self.totals.get(status) for status in open_)


@dataclass(frozen=True)
class PushOutlook(Document):
    """What a push would take, by what staging knows of earlier ones.

    Parameters
    ----------
    runs : sequence of str
        The runs.
    datasets, size_bytes : int
        What they hold; of a run that was pushed before, only what is new goes.
    """

    runs: Sequence[str] = ()
    datasets: int = 0
    size_bytes: int = 0


@dataclass(frozen=True)
class UpstreamStatus(Document):
    """What has moved upstream since the campaign fetched from it.

    Parameters
    ----------
    problem : str
        Why upstream, or a part of it, could not be asked; empty if all was.
    collections : sequence of str
        Inputs that hold something else than when the graph was built, or are gone; a sentence each.
    datasets : mapping of str to mapping
        Dataset type to ``new`` (a rebuild would read them too), ``replaced`` and ``removed`` datasets of what the graph
        reads; types of which nothing changed are absent.
    moved : mapping of str to mapping
        Kind of what was fetched (``record``, ``dataset``, ``collection``, ``member``, ``dataset-type``) to what a pull
        would do, to how many: ``new``, ``taken`` (changed upstream), ``removed`` (gone upstream), ``kept as used``,
        ``gone upstream`` (kept), ``conflict``.
    notes : sequence of str
        What else there is to know.
    runs : mapping of str to bool
        The campaign's runs, and whether upstream has one of that name.
    next_commands : sequence of str
        What brings staging, and then the graph, up to date.
    """

    problem: str = ""
    collections: Sequence[str] = ()
    datasets: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    moved: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    notes: Sequence[str] = ()
    runs: Mapping[str, bool] = field(default_factory=dict)
    next_commands: Sequence[str] = ()


@dataclass(frozen=True)
class StatusReport(Document):
    """Where a campaign stands.

    Parameters
    ----------
    name, doc, directory, upstream : str
        What it is, where, and of which repository (without what is secret in its URI).
    pipeline : str or None
        Its pipeline.
    collections : mapping
        ``inputs``, ``chain``, ``current_run``, ``past_runs``, ``stack``; ``dropped``: made here and in none of them any more.
    graph : GraphReport or None
        Its graph, if there is one.
    graph_problem : str
        Why the graph would not be run as it is; empty if it would.
    graph_notes : sequence of str
        What else has changed since it was built.
    runs : sequence of RunStatus
        The newest first.
    staging : mapping of str to int
        Numbers of ``datasets`` and ``runs`` in staging, ``size_bytes`` of the files that the campaign made, and
        ``database_bytes``; empty if there is none yet.
    staging_problem : str
        Why there is no staging although there was; empty otherwise.
    push : PushOutlook
        What a push would take.
    holder : str
        Who is changing the campaign; empty if nobody is.
    held_by : mapping, optional
        The same: ``host``, ``pid``, ``command``, ``since_ns``.
    asked_upstream : UpstreamStatus, optional
        What has moved upstream, if that was asked for.
    next_commands : sequence of str
        What can be done next, the likeliest first.
    artifacts : str
        How files of inputs are fetched: ``direct``, ``link``, ``symlink`` or ``copy``.
    outputs_in : str or None
        Where outputs go (without what is secret in its URI), if not into the campaign's own directory.
    kept_at : str
        Where the campaign is kept of which the directory is this machine's copy; empty if it is where it is.
    inputs_moved : mapping of str to int
        What has become upstream of datasets that quanta have read here, to how many, as pulls have noted it.
    """

    name: str
    doc: str
    directory: str
    upstream: str
    pipeline: str | None
    collections: Mapping[str, Any]
    graph: GraphReport | None
    graph_problem: str = ""
    graph_notes: Sequence[str] = ()
    runs: Sequence[RunStatus] = ()
    staging: Mapping[str, int] = field(default_factory=dict)
    staging_problem: str = ""
    push: PushOutlook = PushOutlook()
    holder: str = ""
    held_by: Mapping[str, Any] | None = None
    asked_upstream: UpstreamStatus | None = None
    next_commands: Sequence[str] = ()
    artifacts: str = "direct"
    outputs_in: str | None = None
    kept_at: str = ""
    inputs_moved: Mapping[str, int] = field(default_factory=dict)
