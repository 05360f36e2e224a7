"""`Scripts`: the job scripts of a submission on disk, one for each kind of jobs."""

from __future__ import annotations

import re
from pathlib import Path

from registry.model.digest import digest_bytes
from stage.batch.engines.base import EngineSettings
from stage.batch.engines.slurm.options import SlurmOptions, sbatch_options
from stage.batch.engines.slurm.script import job_script
from stage.batch.workflow.model import JobSettings
from sync.filesystem import files

__all__ = ["Scripts"]

_SUFFIX = ".sbatch"


class Scripts:
    """Writes job scripts, each once.

    Parameters
    ----------
    folder : pathlib.Path
        Where they go.
    settings : EngineSettings
        The site's.
    options : SlurmOptions
        Its section.
    """

    def __init__(self, folder: Path, settings: EngineSettings, options: SlurmOptions) -> None:
        self._folder = folder
        self._settings = settings
        self._options = options
        self._paths: dict[int, tuple[JobSettings, Path]] = {}
        self._top = folder / "top-priority"
        self._top_priority = int(self._top.read_text()) if self._top.exists() else 0

    def write_top_priority(self, top: int) -> None:
        """Keep the highest priority of the workflow: Slurm lets users only step back behind it.

        Parameters
        ----------
        top : int
            The highest of all kinds of jobs.
        """
        self._top_priority = top
        if top:
            files.write_bytes(self._top, str(top).encode())

    def path(self, settings: JobSettings) -> Path:
        """Return the script for jobs of one kind; it is written if it is not there.

        Parameters
        ----------
        settings : JobSettings
            What they need.

        Returns
        -------
        pathlib.Path
            Of the name of their label; with a digest if another kind of that label has taken it.

        Raises
        ------
        UsageError
            If the jobs' own options are of the wrong kind.
        StorageError
            If it cannot be written.
        """
        known = self._paths.get(id(settings))
        if known is None:
            known = self._paths[id(settings)] = (settings, self._write(self.text(settings), settings.label))
        return known[1]

    def text(self, settings: JobSettings) -> str:
        """Return what stands in a script.

        Parameters
        ----------
        settings : JobSettings
            What its jobs need.

        Returns
        -------
        str
            The same for the same.
        """
        run = self._settings.run_name
        options = sbatch_options(settings, self._options, top_priority=self._top_priority, run=run)
        environment = {**self._settings.environment, **dict(settings.environment)}
        return job_script(options, self._options.setup, environment)

    def _write(self, text: str, label: str) -> Path:
        data = text.encode()
        name = re.sub(r"[^\w.+-]", "_", label)
        path = self._folder / f"{name}{_SUFFIX}"
        if path.exists() and path.read_bytes() != data:
            digest = digest_bytes(data).rpartition(":")[2][:8]
            path = self._folder / f"{name}-{digest}{_SUFFIX}"
        if not path.exists():
            files.write_bytes(path, data)
        return path
