"""Speaking with a pool: by HTCondor's Python library where it is installed, otherwise by its commands."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from registry.errors import StorageError, UsageError

__all__ = ["Client", "Commands", "Library", "escaped", "find_client"]

_TIMEOUT_S = 120
_CLUSTER = re.compile(r"cluster (\d+)")
_MOST = 400


class Client(Protocol):
    """What is asked of a pool."""

    def version(self) -> str:
        """Return what answers, with its version; raises StorageError if nothing does."""

    def submit_dag(self, dag: Path, name: str) -> int:
        """Submit a DAG, or what is left of it by its latest rescue file.

        Parameters
        ----------
        dag : pathlib.Path
            Its file.
        name : str
            What the queue shows.

        Returns
        -------
        int
            The cluster of DAGMan's job.
        """

    def act(self, action: str, constraint: str) -> int:
        """Do something with jobs.

        Parameters
        ----------
        action : str
            remove or release.
        constraint : str
            Which.

        Returns
        -------
        int
            How many.
        """

    def query(self, constraint: str, attributes: Sequence[str]) -> list[dict[str, Any]]:
        """Ask for jobs in the queue.

        Parameters
        ----------
        constraint : str
            Which.
        attributes : sequence of str
            What of them.

        Returns
        -------
        list of dict
            One each.
        """

    def slots(self, attributes: Sequence[str]) -> list[dict[str, Any]]:
        """Ask for what machines have.

        Parameters
        ----------
        attributes : sequence of str
            What of them.

        Returns
        -------
        list of dict
            One each.
        """


def escaped(text: str) -> str:
    """Return a text as it stands between the quotes of an expression.

    Parameters
    ----------
    text : str
        Any.

    Returns
    -------
    str
        With backslashes before backslashes and quotes.
    """
    return text.replace("\\", "\\\\").replace('"', '\\"')


def find_client() -> Client:
    """Return what speaks with the pool from here.

    Returns
    -------
    Client
        The library, or the commands.

    Raises
    ------
    UsageError
        If neither is installed.
    """
    try:
        return Library(importlib.import_module("htcondor2"))
    except ImportError:
        if shutil.which("condor_submit_dag") is not None:
            return Commands()
    raise UsageError(
        "there is no HTCondor here: neither the Python module htcondor2 nor the command condor_submit_dag",
        code="no-htcondor",
        hint="Submit from a machine of the pool, or install the library: pip install htcondor.",
    )


class Library:
    """The Python library.

    Parameters
    ----------
    module : module
        htcondor2.
    """

    def __init__(self, module: Any) -> None:
        self._htcondor = module

    def version(self) -> str:
        """Ask the scheduler whether it is there.

        Returns
        -------
        str
            Its name, and the library's version.
        """
        with _worded("ask the scheduler"):
            self._schedd().query(constraint="false", projection=["ClusterId"])
        number = re.search(r"\d[\d.]*", str(self._htcondor.version()))
        return f"HTCondor {number[0] if number else ''}".strip()

    def submit_dag(self, dag: Path, name: str) -> int:
        """Submit a DAG.

        Parameters
        ----------
        dag : pathlib.Path
            Its file.
        name : str
            What the queue shows.

        Returns
        -------
        int
            The cluster of DAGMan's job.
        """
        with _worded(f"submit {dag}"):
            description = self._htcondor.Submit.from_dag(
                str(dag), {"BatchName": name, "UseDagDir": True, "UpdateSubmit": True, "AutoRescue": 1}
            )
            return int(self._schedd().submit(description).cluster())

    def act(self, action: str, constraint: str) -> int:
        """Do something with jobs.

        Parameters
        ----------
        action : str
            remove or release.
        constraint : str
            Which.

        Returns
        -------
        int
            How many.
        """
        with _worded(f"{action} jobs"):
            done = self._schedd().act(getattr(self._htcondor.JobAction, action.title()), constraint)
            return int(done["TotalSuccess"])

    def query(self, constraint: str, attributes: Sequence[str]) -> list[dict[str, Any]]:
        """Ask for jobs in the queue.

        Parameters
        ----------
        constraint : str
            Which.
        attributes : sequence of str
            What of them.

        Returns
        -------
        list of dict
            One each.
        """
        with _worded("ask for jobs"):
            found = self._schedd().query(constraint=constraint, projection=list(attributes))
            return [{name: ad.get(name) for name in attributes} for ad in found]

    def slots(self, attributes: Sequence[str]) -> list[dict[str, Any]]:
        """Ask for what machines have.

        Parameters
        ----------
        attributes : sequence of str
            What of them.

        Returns
        -------
        list of dict
            One each.
        """
        with _worded("ask the pool"):
            found = self._htcondor.Collector().query(
                self._htcondor.AdType.Startd, constraint='SlotType =!= "Dynamic"', projection=list(attributes)
            )
            return [{name: ad.get(name) for name in attributes} for ad in found]

    def _schedd(self) -> Any:
        return self._htcondor.Schedd()


class Commands:
    """The commands ``condor_…``."""

    def version(self) -> str:
        """Ask the scheduler whether it is there.

        Returns
        -------
        str
            The version.
        """
        _run(["condor_q", "-totals"])
        number = re.search(r"\d+\.\d+[\d.]*", _run(["condor_version"]))
        return f"HTCondor {number[0] if number else ''}".strip()

    def submit_dag(self, dag: Path, name: str) -> int:
        """Submit a DAG.

        Parameters
        ----------
        dag : pathlib.Path
            Its file.
        name : str
            What the queue shows.

        Returns
        -------
        int
            The cluster of DAGMan's job.
        """
        said = _run(
            [
                "condor_submit_dag",
                "-usedagdir",
                "-update_submit",
                "-autorescue",
                "1",
                "-batch-name",
                name,
                str(dag),
            ]
        )
        found = _CLUSTER.search(said)
        if found is None:
            raise StorageError(
                f"condor_submit_dag did not say what it has submitted: {said[-_MOST:]}",
                code="htcondor-failed",
            )
        return int(found[1])

    def act(self, action: str, constraint: str) -> int:
        """Do something with jobs.

        Parameters
        ----------
        action : str
            remove or release.
        constraint : str
            Which.

        Returns
        -------
        int
            How many.
        """
        n = len(self.query(constraint, ["ClusterId"]))
        if n:
            _run(["condor_rm" if action == "remove" else "condor_release", "-constraint", constraint])
        return n

    def query(self, constraint: str, attributes: Sequence[str]) -> list[dict[str, Any]]:
        """Ask for jobs in the queue.

        Parameters
        ----------
        constraint : str
            Which.
        attributes : sequence of str
            What of them.

        Returns
        -------
        list of dict
            One each.
        """
        return _rows(
            ["condor_q", "-allusers", "-json", "-constraint", constraint, "-attributes", ",".join(attributes)]
        )

    def slots(self, attributes: Sequence[str]) -> list[dict[str, Any]]:
        """Ask for what machines have.

        Parameters
        ----------
        attributes : sequence of str
            What of them.

        Returns
        -------
        list of dict
            One each.
        """
        dynamic = 'SlotType =!= "Dynamic"'
        return _rows(["condor_status", "-json", "-constraint", dynamic, "-attributes", ",".join(attributes)])


def _rows(command: list[str]) -> list[dict[str, Any]]:
    said = _run(command).strip()
    if not said:
        return []
    try:
        found: list[dict[str, Any]] = json.loads(said)
    except ValueError as error:
        raise StorageError(f"{command[0]} gave no JSON: {said[:_MOST]}", code="htcondor-failed") from error
    return found


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StorageError(
            f"{command[0]} cannot be run: {error}", code="htcondor-failed", hint="Is HTCondor installed here?"
        ) from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-_MOST:]
        raise StorageError(
            f"{command[0]} failed with exit code {done.returncode}: {said}",
            code="htcondor-failed",
            hint="stage batch ping says whether the scheduler answers.",
        )
    return done.stdout


class _worded:  # noqa: N801 - read as a sentence: with _worded("submit it")
    """Puts errors of the library into our words."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Word what went wrong."""
        if isinstance(error, Exception):
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise StorageError(
                f"HTCondor did not {self._what}: {lines[0][:_MOST]}",
                code="htcondor-failed",
                hint="Is the scheduler up? condor_q says.",
            ) from error
