"""Where things are in the directory of a submission: ``submit/<run>`` of a campaign."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["SubmitDir"]


@dataclass(frozen=True, slots=True)
class SubmitDir:
    """The paths of one submission.

    Parameters
    ----------
    root : pathlib.Path
        ``submitPath``, absolute.
    """

    root: Path

    @property
    def graph(self) -> Path:
        """The graph with the run of this submission."""
        return self.root / "graph.qg"

    @property
    def config(self) -> Path:
        """The submission's YAML with all that it includes, and what came from the command line."""
        return self.root / "config.yaml"

    @property
    def generation_log(self) -> Path:
        """What making the graph said."""
        return self.root / "quantumGraphGeneration.out"

    @property
    def workflow(self) -> Path:
        """The jobs, in a file of which each reads its own part."""
        return self.root / "workflow.jobs"

    @property
    def identity(self) -> Path:
        """What was submitted: id, name, engine, labels, times."""
        return self.root / "batch.json"

    @property
    def journal(self) -> Path:
        """What the head did and learned, a line each; a new head goes on from it."""
        return self.root / "journal.jsonl"

    @property
    def head_lock(self) -> Path:
        """Held by the head while it lives."""
        return self.root / "head.lock"

    @property
    def head_log(self) -> Path:
        """What the head said."""
        return self.root / "head.log"

    @property
    def head_request(self) -> Path:
        """What somebody asks of the head: to leave, or to cancel all."""
        return self.root / "head.request"

    @property
    def records(self) -> Path:
        """Directory of the record files."""
        return self.root / "records"

    @property
    def jobs(self) -> Path:
        """Directory of what jobs print, a directory a label."""
        return self.root / "jobs"

    @property
    def tag(self) -> str:
        """By what an engine knows what it has started for this submission."""
        return str(self.root)

    @property
    def engine(self) -> Path:
        """Directory of the files that the engine made for itself."""
        return self.root / "engine"

    @property
    def final_script(self) -> Path:
        """The commands of the final job."""
        return self.root / "final_job.bash"

    @property
    def final_log(self) -> Path:
        """What the final job said."""
        return self.root / "final_job.out"

    def record(self, number: int) -> Path:
        """Return the record file of a job.

        Parameters
        ----------
        number : int
            The job.

        Returns
        -------
        pathlib.Path
            ``records/<thousands>/<number>.jsonl``: no directory has more than a thousand.
        """
        return self.records / str(number // 1000) / f"{number}.jsonl"

    def job_log(self, label: str, name: str, attempt: int) -> Path:
        """Return where an attempt of a job prints to.

        Parameters
        ----------
        label, name : str
            The job's.
        attempt : int
            From 0.

        Returns
        -------
        pathlib.Path
            ``jobs/<label>/<name>.<attempt>.out``.
        """
        return self.jobs / label / f"{name}.{attempt}.out"
