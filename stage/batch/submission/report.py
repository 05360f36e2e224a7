"""What the commands of a submission tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from stage.campaign.graph_reports import Document

__all__ = ["SubmitReport"]


@dataclass(frozen=True)
class SubmitReport(Document):
    """How far a submission has come.

    Parameters
    ----------
    submit_dir : str
        Its directory.
    run_id : int
        Its number; 0 until it is handed over.
    run_name : str
        Unique name of the run.
    run : str
        The RUN that it writes.
    stage : str
        The last stage that is done.
    engine, site : str
        What runs it, and where.
    n_quanta, n_jobs : int
        How much there is to do; jobs are known from the third stage on.
    notes : sequence of str
        What a person may want to know: settings that mean nothing here, and why; what has changed since.
    dropped : sequence of str
        Runs whose place it takes.
    files : mapping of str to str
        Where it was only shown: what would be in which file.
    dry_run : bool
        Whether nothing was written.
    state : str
        Where it was waited for: what became of it.
    sites : mapping of str to str
        Engine by site, where its jobs are for several.
    """

    submit_dir: str
    run_id: int
    run_name: str
    run: str
    stage: str
    engine: str
    site: str
    n_quanta: int = 0
    n_jobs: int = 0
    notes: Sequence[str] = ()
    dropped: Sequence[str] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    dry_run: bool = False
    state: str = ""
    sites: Mapping[str, str] = field(default_factory=dict)
