"""What reports of submissions say: plain values, the same for text and for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from stage.campaign.graph_reports import Document

__all__ = ["BatchReport", "CauseGroup", "HeldJob", "JobOutput", "LabelCounts", "RunDetail", "RunSummary"]


@dataclass(frozen=True)
class RunSummary(Document):
    """One submission in a line.

    Parameters
    ----------
    flag : str
        F where jobs failed, H where some are held, D where it was cancelled, ! where nobody drives it.
    state : str
        Of the whole, in the field's words.
    percent : int
        Jobs that succeeded, of all.
    id : int
        Its number.
    operator, project, campaign, payload, run : str
        Its labels, and the unique name of its run.
    submit_dir : str
        Its directory.
    user, host : str
        Whose it is, and where it was submitted.
    at_ns : int
        When; UTC nanoseconds since 1970.
    note : str
        What a person has to know of it, and may have to do; empty mostly.
    """

    flag: str
    state: str
    percent: int
    id: int
    operator: str
    project: str
    campaign: str
    payload: str
    run: str
    submit_dir: str
    user: str = ""
    host: str = ""
    at_ns: int = 0
    note: str = ""


@dataclass(frozen=True)
class LabelCounts(Document):
    """The jobs of one task or cluster.

    Parameters
    ----------
    label : str
        Which.
    states : mapping of str to int
        State to number of jobs.
    expected : int
        How many there are.
    attempts : int
        How often one was begun, all together.
    memory_asked : tuple of int
        Least and most that an attempt could have, in megabytes; zeros if nothing was said.
    memory_used : int
        Most that a quantum had, in megabytes, of those that were looked at; 0 if that is not known.
    site : str
        Where they run, in a submission that has several sites; empty in others.
    """

    label: str
    states: Mapping[str, int]
    expected: int
    attempts: int = 0
    memory_asked: tuple[int, int] = (0, 0)
    memory_used: int = 0
    site: str = ""


@dataclass(frozen=True)
class CauseGroup(Document):
    """Attempts that ended without success for one cause.

    Parameters
    ----------
    label : str
        Of which task or cluster.
    cause : str
        As engines and records tell.
    message : str
        The first line of what was said.
    attempts : int
        How many.
    jobs : int
        Of how many jobs.
    recovered : int
        Jobs of these that have succeeded since.
    exit_codes : sequence of int
        Codes with which they ended.
    example : str
        What one of them printed: a file.
    """

    label: str
    cause: str
    message: str
    attempts: int
    jobs: int
    recovered: int = 0
    exit_codes: Sequence[int] = ()
    example: str = ""


@dataclass(frozen=True)
class HeldJob(Document):
    """A job that is kept back until somebody acts.

    Parameters
    ----------
    job : str
        Its name.
    label : str
        Its task or cluster.
    message : str
        Why, in the engine's own words.
    """

    job: str
    label: str
    message: str


@dataclass(frozen=True)
class JobOutput(Document):
    """The end of what an attempt printed.

    Parameters
    ----------
    job : str
        Its name.
    path : str
        The file.
    text : str
        Its last lines.
    """

    job: str
    path: str
    text: str


@dataclass(frozen=True)
class RunDetail(Document):
    """One submission, task by task, over all attempts.

    Parameters
    ----------
    engine, site : str
        What runs it, and where.
    labels : sequence of LabelCounts
        In the order of the pipeline; the final job last.
    causes : sequence of CauseGroup
        The most frequent first.
    held : sequence of HeldJob
        The first of them.
    outputs : sequence of JobOutput
        Where asked for, what jobs that failed printed.
    sites : mapping of str to str
        Engine by site, where there are several.
    """

    engine: str
    site: str
    labels: Sequence[LabelCounts]
    causes: Sequence[CauseGroup] = ()
    held: Sequence[HeldJob] = ()
    outputs: Sequence[JobOutput] = ()
    sites: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class BatchReport(Document):
    """What ``stage batch report`` says.

    Parameters
    ----------
    runs : sequence of RunSummary
        The newest last.
    detail : RunDetail or None
        Where one was asked for.
    hist : float
        How many days back those are shown that have ended.
    """

    runs: Sequence[RunSummary]
    detail: RunDetail | None = None
    hist: float = field(default=0.0)
