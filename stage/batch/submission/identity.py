"""``batch.json``: what a submission is, and how far it has come."""

from __future__ import annotations

import getpass
import json
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.errors import IntegrityError, NotFoundError, SchemaVersionError
from stage.campaign.files import write_atomically

if TYPE_CHECKING:
    from stage.batch.layout import SubmitDir

__all__ = ["Identity", "SubmitStage", "load_identity", "save_identity", "user_name"]

_FORMAT, _VERSION = "stage-batch", 1


class SubmitStage(StrEnum):
    """The stages of a submission, in order."""

    ACQUIRE = "acquire"
    CLUSTER = "cluster"
    TRANSFORM = "transform"
    PREPARE = "prepare"
    SUBMIT = "submit"

    @property
    def number(self) -> int:
        """Its place, from 0."""
        return list(SubmitStage).index(self)


@dataclass(frozen=True, slots=True)
class Identity:
    """What a submission is.

    Parameters
    ----------
    name : str
        Unique name of the run (``uniqProcName``).
    run : str
        The RUN that it writes; empty for one that runs a script of its own.
    site, engine : str
        Where it goes, and what runs it.
    labels : mapping of str to str
        ``operator``, ``project``, ``campaign``, ``payload``.
    user, host : str
        Whose it is, and where it was made.
    id : int, optional
        Its number in the index; 0 until it is handed over.
    times : mapping of str to int, optional
        Stage to when it was done, in UTC nanoseconds since 1970.
    n_quanta, n_jobs : int, optional
        How much there is to do.
    finish : bool, optional
        Whether the RUN ends when all of it is done; None for the default.
    step : int, optional
        Which step of the pipeline it is, from 1; 0 for a pipeline without.
    handle : str, optional
        What an engine that needs no head calls it.
    is_begun : bool, optional
        Whether its jobs were about to begin: whoever finds only this cannot know whether they have.
    """

    name: str
    run: str
    site: str
    engine: str
    labels: Mapping[str, str]
    user: str
    host: str
    id: int = 0
    times: Mapping[str, int] = field(default_factory=dict)
    n_quanta: int = 0
    n_jobs: int = 0
    finish: bool | None = None
    step: int = 0
    handle: str = ""
    is_begun: bool = False

    def has_done(self, stage: SubmitStage) -> bool:
        """Tell whether a stage is done.

        Parameters
        ----------
        stage : SubmitStage
            Which.

        Returns
        -------
        bool
            Whether it is, and no earlier one was done again since.
        """
        return stage.value in self.times

    def after(self, stage: SubmitStage, **changes: Any) -> Identity:
        """Return it with a stage done: those after it have to be done again.

        Parameters
        ----------
        stage : SubmitStage
            Which.
        **changes
            What else is known now.

        Returns
        -------
        Identity
            To be saved.
        """
        kept = {
            s.value: self.times[s.value] for s in list(SubmitStage)[: stage.number] if s.value in self.times
        }
        return replace(self, times={**kept, stage.value: time.time_ns()}, **changes)


def user_name() -> str:
    """Return who this is, as the system knows it.

    Returns
    -------
    str
        The login name, else the number.
    """
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError):
        try:
            return getpass.getuser()
        except (OSError, KeyError):
            return str(os.getuid())


def new_identity(name: str, run: str, site: str, engine: str, labels: Mapping[str, str]) -> Identity:
    """Return the identity of a submission that is begun here and now.

    Parameters
    ----------
    name, run, site, engine : str
        See `Identity`.
    labels : mapping of str to str
        See `Identity`.

    Returns
    -------
    Identity
        With no stage done.
    """
    return Identity(name, run, site, engine, dict(labels), user_name(), socket.gethostname())


def save_identity(where: SubmitDir, identity: Identity) -> None:
    """Write ``batch.json``, whole or not at all.

    Parameters
    ----------
    where : SubmitDir
        The submission's directory.
    identity : Identity
        What it is.
    """
    where.root.mkdir(parents=True, exist_ok=True)
    document = {"format": _FORMAT, "version": _VERSION, **asdict(identity)}
    write_atomically(where.identity, json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n")


def load_identity(where: SubmitDir) -> Identity:
    """Read ``batch.json``.

    Parameters
    ----------
    where : SubmitDir
        The submission's directory.

    Returns
    -------
    Identity
        What it says.

    Raises
    ------
    NotFoundError
        If there is none.
    IntegrityError
        If it is damaged.
    SchemaVersionError
        If another version wrote it.
    """
    path: Path = where.identity
    try:
        document: Any = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise NotFoundError(
            f"{where.root} is no submission: it has no {path.name}",
            code="no-such-submission",
            hint="List those of the last week: stage batch report --hist 7.",
        ) from None
    except (OSError, ValueError) as error:
        raise _damaged(path, str(error)) from error
    if not isinstance(document, dict) or document.pop("format", None) != _FORMAT:
        raise _damaged(path, "it is something else")
    version = document.pop("version", None)
    if version != _VERSION:
        raise SchemaVersionError(
            f"{path} has version {version}",
            found=str(version),
            supported=str(_VERSION),
            hint="Use the version of stage that wrote it, or a newer one.",
        )
    known = {f.name for f in fields(Identity)}
    try:
        return Identity(**{name: value for name, value in document.items() if name in known})
    except TypeError as error:
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, why: str) -> IntegrityError:
    return IntegrityError(
        f"{path} cannot be read: {why}", code="bad-submission", hint="Submit again: stage batch submit FILE."
    )
