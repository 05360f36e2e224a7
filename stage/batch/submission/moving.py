"""A submission goes on elsewhere: what its engine still has is ended, and its jobs are made anew for another site."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.errors import BusyError, ConflictError, StorageError, UsageError, nearest
from stage.batch.config.settings import Settings
from stage.batch.driving.board import Board
from stage.batch.driving.journal import Journal, read_journal
from stage.batch.driving.ledger import Ledger
from stage.batch.driving.locking import head_lock, living_head
from stage.batch.engines.base import DrivenEngine, JobState
from stage.batch.engines.finding import engine_names, load_engine, save_engine
from stage.batch.layout import SubmitDir
from stage.batch.submission.engines import engine_name, find_for
from stage.batch.submission.identity import Identity, save_identity
from stage.batch.submission.settings_of import site_of, submission_settings, write_config
from stage.batch.submission.stages import Stages
from stage.batch.workflow.file import load_workflow, save_workflow

if TYPE_CHECKING:
    from stage.batch.engines.base import Engine
    from stage.batch.workflow.model import Workflow

__all__ = ["Moved", "move_submission"]

_log = logging.getLogger(__name__)
_LEAVE_S = 30.0
"""So long a head may take to let go."""
_RECALL_S = 120.0
"""So long an engine may take to end what it has."""
_POLL_S = 0.5


@dataclass(frozen=True)
class Moved:
    """Where a submission goes on.

    Parameters
    ----------
    identity : Identity
        With the new site and engine.
    n_left : int
        Jobs that have not succeeded.
    n_ended : int
        Jobs that were ended where they were.
    n_abandoned : int
        Jobs that could not be ended, and are left to themselves.
    """

    identity: Identity
    n_left: int
    n_ended: int = 0
    n_abandoned: int = 0


@dataclass(frozen=True, slots=True)
class _Aside(SubmitDir):
    """A submission's paths for an engine that only tries what it would write."""

    @property
    def engine(self) -> Path:
        """A directory that goes again."""
        return self.root / "engine.next"


def move_submission(
    where: SubmitDir, identity: Identity, site: str, engine: str, *, abandon: bool = False
) -> Moved:
    """Let a submission go on at another site, by another engine, or both. Its head leaves, and none is started.

    Parameters
    ----------
    where : SubmitDir
        A submission that was handed over.
    identity : Identity
        What it is.
    site : str
        The site of all its jobs from now on; empty for the same.
    engine : str
        What runs them there; empty for what the site says.
    abandon : bool, optional
        Whether jobs that cannot be ended where they are are left to themselves: what they record is not merged.

    Returns
    -------
    Moved
        What has become of its jobs.

    Raises
    ------
    UsageError
        If it cannot go there. All is as it was.
    StorageError
        If the new site does not answer, and all is as it was; or if jobs cannot be ended where they are: those that were
        are noted, and the same command goes on from there.
    BusyError
        If its head does not let go.
    """
    given = {"computeSite": site or identity.site, **({"wmsServiceClass": engine} if engine else {})}
    document = _document(where, given)
    with _tried(where, document) as settings:
        new_site, name = site_of(settings)
        _check_site(where, settings, new_site)
        new_identity = replace(identity, site=new_site, engine=name)
        workflow = _made_anew(where, new_identity, settings)
        new = _driven(find_for(settings, new_site, name, identity.name, workflow=workflow))
        old = _driven(load_engine(where))
        new.ping()
        aside = _Aside(where.root)
        try:
            new.prepare(workflow, aside)
        finally:
            shutil.rmtree(aside.engine, ignore_errors=True)
    with _without_head(where):
        moved = _recall(where, old, identity, abandon=abandon)
        _put_aside(where)
        write_config(where, document)
        save_workflow(workflow, where.workflow)
        new.prepare(workflow, where)
        save_engine(where, engine_name(new, name), new.settings)
    save_identity(where, new_identity)
    _log.info("%s goes on by %s at site '%s'", identity.name, name, new_site)
    return replace(moved, identity=new_identity)


def _document(where: SubmitDir, given: dict[str, Any]) -> dict[str, Any]:
    """Return the settings with another site; what was said of the engine with the first one counts no longer."""
    document = submission_settings(where).document()
    said = {k: v for k, v in (document.get("bps_cmdline") or {}).items() if k != "wmsServiceClass"}
    return {**document, "bps_cmdline": {**said, **given}}


@contextmanager
def _tried(where: SubmitDir, document: dict[str, Any]) -> Iterator[Settings]:
    """Read settings that are not written yet to where they will be."""
    aside = SubmitDir(where.root / "config.next")
    try:
        yield write_config(aside, document)
    finally:
        shutil.rmtree(aside.root, ignore_errors=True)


def _check_site(where: SubmitDir, settings: Settings, site: str) -> None:
    there = settings.get("site") or {}
    if site not in there and site not in engine_names():
        raise UsageError(
            f"this submission knows no site '{site}'",
            code="no-site",
            hint=f"{nearest(site, there)} Another is a section of {where.config}: site: {{{site}: {{…}}}}.",
        )


def _driven(engine: Engine) -> DrivenEngine:
    if isinstance(engine, DrivenEngine):
        return engine
    raise UsageError(
        f"engine '{engine.name}' walks through the jobs by itself: nothing of it can go on elsewhere, or come from there",
        code="cannot-move",
        hint="End it ('stage batch cancel'), and begin another run elsewhere: stage batch submit FILE --new-run.",
    )


def _made_anew(where: SubmitDir, identity: Identity, settings: Settings) -> Workflow:
    """Make the jobs for the new site, and see to it that they are the same ones."""
    if not where.graph.exists():
        raise UsageError(
            f"{identity.name} is a script of its own, not a graph",
            code="cannot-move",
            hint="Submit it again: stage batch submitcmd FILE --compute-site NAME.",
        )
    made, before = Stages(where, identity, settings).jobs(), load_workflow(where.workflow)
    same = (
        list(made.names) == list(before.names)
        and (made.quanta.indptr == before.quanta.indptr).all()
        and (made.quanta.indices == before.quanta.indices).all()
    )
    if not same:
        raise ConflictError(
            f"on site '{identity.site}' the jobs would be others: the site's settings cluster or name them differently",
            code="other-jobs",
            hint="Submit what is left as another run: stage batch submit FILE --new-run.",
        )
    return made


@contextmanager
def _without_head(where: SubmitDir) -> Iterator[None]:
    """Let a head that lives leave, and keep others from starting."""
    from stage.batch.driving.starting import stop_head

    if living_head(where) is not None:
        stop_head(where, cancel=False, timeout_s=_LEAVE_S)
    with head_lock(where):
        yield


def _recall(where: SubmitDir, engine: DrivenEngine, identity: Identity, *, abandon: bool) -> Moved:
    """End what the engine still has; what ends well meanwhile has ended well."""
    from stage.batch.driving.walk import Walk

    before = load_workflow(where.workflow)
    board = Board(before.n_jobs)
    for lines in read_journal(where.journal):
        board.replay(lines)
    n_left = before.n_jobs - board.counts().get(JobState.SUCCEEDED, 0)
    journal = Journal(where.journal)
    try:
        walk = Walk(Ledger(where, before, board, journal), engine)
        n_given, abandoned = walk.n_given, 0
        if n_given:
            try:
                _end_all(walk, engine, where)
            except (BusyError, StorageError) as error:
                if not abandon:
                    raise _not_ended(identity, walk.n_given, error) from error
                abandoned = walk.n_given
                walk.adopt(())
        journal.sync()
        left = before.n_jobs - board.counts().get(JobState.SUCCEEDED, 0)
    finally:
        journal.close()
    return Moved(identity, left, n_given - abandoned - (n_left - left), abandoned)


def _end_all(walk: Any, engine: DrivenEngine, where: SubmitDir) -> None:
    until = time.monotonic() + _RECALL_S
    try:
        walk.adopt(engine.open(where, walk.known()))
        walk.recall()
        while walk.n_given:
            walk.press()
            walk.hear(engine.poll(_POLL_S))
            if walk.n_given and time.monotonic() > until:
                raise BusyError(
                    f"{walk.n_given} jobs have not ended within {_RECALL_S:g} s", code="still-there"
                )
    finally:
        engine.close()


def _not_ended(identity: Identity, count: int, error: Exception) -> StorageError:
    jobs = "1 job" if count == 1 else f"{count:,} jobs"
    return StorageError(
        f"{jobs} that '{identity.engine}' at site '{identity.site}' may still run cannot be ended: {error}",
        code="still-elsewhere",
        hint="Once it answers, the same command goes on from here. If it is gone for good, leave them to themselves: "
        "add --abandon; what they record is not merged.",
    )


def _put_aside(where: SubmitDir) -> None:
    """Keep what the engine made for itself from one that comes after it; what says which engine it is stays."""
    kept = [p for p in where.engine.iterdir() if p.name != "engine.json" and not p.name.startswith("was-")]
    if kept:
        number = 1 + sum(p.name.startswith("was-") for p in where.engine.iterdir())
        (aside := where.engine / f"was-{number}").mkdir()
        for path in kept:
            path.rename(aside / path.name)
