"""Lists of jobs on disk: which job an element of an array is, written before the array is submitted.

Each is a directory ``engine/arrays/<number>`` with ``jobs`` (a line an element), ``id`` (Slurm's number of the array),
``said`` (what Slurm itself says of its elements) and ``ended`` (what elements leave when they end). One that Slurm has
not taken is set aside as ``<number>.void``: were it taken after all, its elements would find nothing to do.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from registry.errors import StorageError
from stage.batch.engines.base import JobRequest
from stage.batch.engines.slurm.script import FINAL_WORD, quoted
from sync.filesystem import files

__all__ = ["JobList", "LastWord", "Lists"]

_VOID = ".void"
_OF_MEMORY = re.compile(r"oom-?kill|out-of-memory|exceeded (job |step )?memory limit", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LastWord:
    """What an element left when it ended.

    Parameters
    ----------
    exit_code : int
        Of its program.
    job : str
        Slurm's number of it.
    host : str
        Where it ran.
    restart : int
        How often Slurm had started it before.
    """

    exit_code: int
    job: str
    host: str
    restart: int


class JobList:
    """One list.

    Parameters
    ----------
    folder : pathlib.Path
        Its directory.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def number(self) -> int:
        """Its number among those of the submission."""
        return int(self.folder.name)

    @property
    def said(self) -> Path:
        """What Slurm says of its elements."""
        return self.folder / "said"

    def write(self, elements: Mapping[int, JobRequest]) -> None:
        """Write which job each element is.

        Parameters
        ----------
        elements : mapping of int to JobRequest
            By index.

        Raises
        ------
        StorageError
            If it cannot be written.
        """
        lines = []
        for index, request in sorted(elements.items()):
            command = " ".join(map(quoted, request.command))
            lines.append(f"{index}\t{request.number}\t{request.attempt}\t{request.log}\t{command}\n")
        try:
            (self.folder / FINAL_WORD).mkdir(parents=True)
        except OSError as error:
            raise StorageError(
                f"cannot write {self.folder}: {error.strerror}", code="cannot-write"
            ) from error
        files.write_bytes(self.folder / "jobs", "".join(lines).encode())

    def read(self) -> dict[int, tuple[int, int]]:
        """Return which job each element is.

        Returns
        -------
        dict
            Job and attempt by index; empty if there is no list.
        """
        found = {}
        with contextlib.suppress(FileNotFoundError), (self.folder / "jobs").open() as lines:
            for line in lines:
                index, number, attempt = line.split("\t", 3)[:3]
                found[int(index)] = (int(number), int(attempt))
        return found

    def note_id(self, slurm_id: str) -> None:
        """Keep Slurm's number of it.

        Parameters
        ----------
        slurm_id : str
            The number.
        """
        files.write_bytes(self.folder / "id", slurm_id.encode())

    def noted_id(self) -> str:
        """Return Slurm's number of it.

        Returns
        -------
        str
            Empty if none was noted.
        """
        with contextlib.suppress(OSError):
            return (self.folder / "id").read_text("ascii")
        return ""

    def last_word(self, index: int, restart: int | None = None) -> LastWord | None:
        """Return what an element left when it ended.

        Parameters
        ----------
        index : int
            Which.
        restart : int, optional
            Of which of its starts; by default of the last that left something.

        Returns
        -------
        LastWord or None
            None if it left nothing, as when it was killed.
        """
        folder = self.folder / FINAL_WORD
        names = [f"{index}.{restart}"]
        if restart is None:
            found = (p.name for p in folder.glob(f"{index}.*") if p.suffix[1:].isdigit())
            names = sorted(found, key=lambda name: int(name.rpartition(".")[2]), reverse=True)
        for name in names:
            with contextlib.suppress(OSError, ValueError):
                code, job, host = (folder / name).read_text().split()
                return LastWord(int(code), job, host, int(name.rpartition(".")[2]))
        return None

    @property
    def has_last_words(self) -> bool:
        """Whether some element has ended by itself."""
        return any((self.folder / FINAL_WORD).iterdir()) if (self.folder / FINAL_WORD).is_dir() else False

    def words_of_memory(self, job: str) -> str:
        """Return what Slurm has said of a job's end for want of memory.

        Parameters
        ----------
        job : str
            Slurm's number of it.

        Returns
        -------
        str
            Its words; empty if it has said nothing like it.
        """
        step = re.compile(rf"(StepId=|job |JOB ){re.escape(job)}\b")
        with contextlib.suppress(OSError), self.said.open(errors="replace") as lines:
            for line in lines:
                if step.search(line) and _OF_MEMORY.search(line):
                    return line.partition("error: ")[2].strip() or line.strip()
        return ""

    def remove(self) -> None:
        """Remove it: Slurm has refused it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def give_up(self) -> None:
        """Set it aside: no element of it does anything from now on."""
        with contextlib.suppress(OSError):
            self.folder.rename(self.folder.with_name(self.folder.name + _VOID))


class Lists:
    """All lists of a submission.

    Parameters
    ----------
    folder : pathlib.Path
        Where they are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        names = [p.name for p in folder.iterdir()] if folder.is_dir() else []
        self._next = 1 + max(
            (int(n.removesuffix(_VOID)) for n in names if n.removesuffix(_VOID).isdigit()), default=0
        )

    def all(self) -> dict[int, JobList]:
        """Return those that were not set aside.

        Returns
        -------
        dict
            By number, in order.
        """
        found = (p for p in self._folder.iterdir() if p.name.isdigit()) if self._folder.is_dir() else ()
        return {int(p.name): JobList(p) for p in sorted(found)}

    def new(self, elements: Mapping[int, JobRequest]) -> JobList:
        """Write one more.

        Parameters
        ----------
        elements : mapping of int to JobRequest
            By index.

        Returns
        -------
        JobList
            On disk.
        """
        made = JobList(self._folder / f"{self._next:06d}")
        self._next += 1
        made.write(elements)
        return made
