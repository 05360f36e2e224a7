"""`Client`: the programs of Slurm, and what their words mean: busy, over a limit, refused."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from registry.errors import BusyError, StorageError

__all__ = ["Client", "OverLimitError", "RefusedError"]

_PACKAGE_HINT = "Run it where Slurm's programs are installed: on a login node of the cluster."
_BUSY = re.compile(
    r"Socket timed out|Resource temporarily unavailable|temporarily unable to accept job|Connection (refused|timed out)"
    r"|Unable to contact slurm controller|Zero Bytes were transmitted|Communication (connection|shutdown) failure"
    r"|controller is in standby mode|authentication error|Munge|Message receive failure|Transport endpoint",
    re.IGNORECASE,
)
_LIMIT = re.compile(
    r"MaxSubmitJob|job submit limit|Job array index too large|Job count limit|MaxJobCount", re.IGNORECASE
)
_KEPT = frozenset({"SLURM_CONF", "SLURM_CLUSTERS", "SLURM_JWT"})
_DROPPED = ("SLURM_", "SBATCH_", "SQUEUE_", "SCANCEL_", "SINFO_", "SACCT_", "SCONTROL_")
_FIELDS = "ArrayJobID:|,ArrayTaskID:|,JobID:|,State:|,Reason:|,RestartCnt:|,exit_code:|,NodeList:|,Name:|"


class RefusedError(StorageError):
    """Slurm does not take a job, and will not later."""

    default_code = "slurm-refused"


class OverLimitError(RefusedError):
    """Slurm takes fewer jobs at once, or has enough of this user's."""

    default_code = "slurm-limit"


class Client:
    """Asks Slurm through its programs.

    Parameters
    ----------
    timeout_s : float, optional
        After how long one that does not answer is given up.
    """

    def __init__(self, *, timeout_s: float = 60.0) -> None:
        self.timeout_s = timeout_s

    def ask(self, *command: str) -> str:
        """Run one of Slurm's programs.

        Parameters
        ----------
        *command : str
            Program and arguments.

        Returns
        -------
        str
            What it prints.

        Raises
        ------
        BusyError
            If the scheduler does not answer in time, or says that it is busy. What was asked may yet be done.
        OverLimitError
            If a limit of the site stands against it.
        RefusedError
            If it says no for another reason.
        StorageError
            If there is no such program here.
        """
        program = command[0]
        try:
            done = subprocess.run(
                command,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=self.timeout_s,
                check=False,
            )
        except FileNotFoundError as error:
            raise StorageError(f"there is no {program} here", code="no-slurm", hint=_PACKAGE_HINT) from error
        except OSError as error:
            raise BusyError(f"{program} cannot be started: {error.strerror}", code="slurm-busy") from error
        except subprocess.TimeoutExpired as error:
            raise BusyError(
                f"{program} has not answered for {self.timeout_s:g} s",
                code="slurm-busy",
                waited_s=self.timeout_s,
            ) from error
        if done.returncode == 0:
            return done.stdout
        words = said_by(done.stderr) or f"{program} ended with {done.returncode}"
        if _BUSY.search(done.stderr):
            raise BusyError(f"Slurm is busy: {words}", code="slurm-busy", holder="Slurm")
        kind = OverLimitError if _LIMIT.search(done.stderr) else RefusedError
        raise kind(f"Slurm says: {words}")

    def submit(self, script: Path, arguments: Sequence[str], options: Sequence[str]) -> str:
        """Submit a job script, with the options that are written in it.

        Parameters
        ----------
        script : pathlib.Path
            The script. Its options are given on the command line too, where no variable can override them.
        arguments : sequence of str
            What it is called with.
        options : sequence of str
            More options.

        Returns
        -------
        str
            Slurm's number of the job.

        Raises
        ------
        StageError
            As of `ask`.
        """
        said = self.ask("sbatch", "--parsable", *written_options(script), *options, str(script), *arguments)
        return said.strip().partition(";")[0]

    def queue(self) -> list[list[str]]:
        """Ask for all jobs of this user, with those that ended a short while ago: one query.

        Returns
        -------
        list of list of str
            Array, index or range of indices, job, state, reason, restarts, exit status, nodes, name.

        Raises
        ------
        StageError
            As of `ask`.
        """
        # Root may have submitted for others (sbatch --uid).
        mine = ("--me",) if os.getuid() else ()
        said = self.ask("squeue", *mine, "--noheader", "--states=all", "-O", _FIELDS)
        rows = (line.split("|") for line in said.splitlines())
        return [[*row[:8], "|".join(row[8:-1])] for row in rows if len(row) > 9]

    def configuration(self) -> dict[str, str]:
        """Ask how the site has set up Slurm.

        Returns
        -------
        dict
            Values by their names in slurm.conf.

        Raises
        ------
        StageError
            As of `ask`.
        """
        pairs = (
            line.split("=", 1) for line in self.ask("scontrol", "show", "config").splitlines() if "=" in line
        )
        return {name.strip(): value.strip() for name, value in pairs}

    def accounted(self, jobs: Sequence[str]) -> dict[str, tuple[str, str, str]]:
        """Ask the accounting for jobs that the scheduler has forgotten.

        Parameters
        ----------
        jobs : sequence of str
            Like ``12_3``.

        Returns
        -------
        dict
            State, exit status as Slurm's accounting writes it (``1:0``) and nodes, of those that it knows.

        Raises
        ------
        StageError
            As of `ask`.
        """
        command = ("sacct", "--noheader", "--parsable2", "--allocations", "--duplicates")
        said = self.ask(*command, "--format=JobID,State,ExitCode,NodeList", "--jobs", ",".join(jobs))
        found = {}
        for line in said.splitlines():
            job, state, status, nodes = (*line.split("|"), "", "", "")[:4]
            found[job] = (state.split(" ")[0], status, nodes)  # CANCELLED by 0
        return found


def said_by(text: str) -> str:
    """Return in one line what a program of Slurm complained of.

    Parameters
    ----------
    text : str
        What it printed there.

    Returns
    -------
    str
        Its own words, without its name.
    """
    lines = (re.sub(r"^\w+: (error|fatal): ", "", line).strip() for line in text.splitlines())
    return "; ".join(dict.fromkeys(line for line in lines if line))[:300]


def written_options(script: Path) -> list[str]:
    """Return the options that stand in a job script.

    Parameters
    ----------
    script : pathlib.Path
        With lines ``#SBATCH``.

    Returns
    -------
    list of str
        As for the command line.
    """
    found: list[str] = []
    for line in script.read_text().splitlines():
        if line.startswith("#SBATCH "):
            found += shlex.split(line.removeprefix("#SBATCH "))
        elif line and not line.startswith("#"):
            break
    return found


def _environment(inherited: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return variables without those that change what Slurm's programs do: the head may itself run in a job."""
    kept = {n: v for n, v in inherited.items() if n in _KEPT or not n.startswith(_DROPPED)}
    return {**kept, "LC_ALL": "C", "SLURM_BITSTR_LEN": "0"}
