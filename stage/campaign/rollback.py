"""Going back to what a campaign was after an earlier command: its state, its pipeline and its graph. Runs stay as they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from registry.errors import ConflictError, NotFoundError
from registry.model.collections import CollectionType
from stage.campaign.entries import Entry, positions, read_entry
from stage.campaign.graph_reports import Document
from stage.campaign.history import document_changes, newest_snapshot, read_history
from stage.campaign.kept_files import KeptFiles
from stage.campaign.repositories import open_staging
from stage.campaign.snapshots import Snapshot, digest_outside, look
from stage.campaign.state import CampaignState

if TYPE_CHECKING:
    from stage.campaign.change import Change
    from stage.campaign.layout import Layout

__all__ = ["RollbackReport", "plan_rollback", "roll_back"]


@dataclass(frozen=True)
class RollbackReport(Document):
    """What going back to an entry of the history changes.

    Parameters
    ----------
    to : int
        Number of the entry.
    command : str
        Its command.
    change : mapping
        Field of the state to what it is and what it was.
    quanta : sequence
        Label to number of quanta of the graph there is, and of the one there was; empty if it is the same one.
    restored, removed : sequence of str
        Files of the campaign that become what they were, and that go.
    leaving, returning : sequence of str
        Runs that leave the stack, and that come back to it. Those that leave stay in staging.
    lost : sequence of str
        Runs that were in the stack and are there no more; they are left out of it.
    notes : sequence of str
        What is not as it was.
    done : bool
        Whether it was done.
    """

    to: int
    command: str
    change: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    quanta: Sequence[Mapping[str, int]] = ()
    restored: Sequence[str] = ()
    removed: Sequence[str] = ()
    leaving: Sequence[str] = ()
    returning: Sequence[str] = ()
    lost: Sequence[str] = ()
    notes: Sequence[str] = ()
    done: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether the campaign is what it was then."""
        return not (self.change or self.restored or self.removed)


def plan_rollback(
    layout: Layout, state: CampaignState, to: int, *, without_lost: bool = False
) -> RollbackReport:
    """Say what going back would change; nothing is written.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    state : CampaignState
        Its state.
    to : int
        Number of an entry of the history.
    without_lost : bool, optional
        Whether runs of that time that were removed since may be left out.

    Returns
    -------
    RollbackReport
        Not done.

    Raises
    ------
    NotFoundError
        If there is no such entry, or it is not kept what the campaign was then.
    ConflictError
        If runs of that time were removed since.
    """
    entry = _entry(layout, to)
    now, then = look(layout, state, newest_snapshot(layout)), entry.snapshot
    found = _staged_runs(layout)
    old = CampaignState.from_document(dict(then.state), f"entry {to} of the history")
    lost = [run for run in old.collections.runs if run not in found]
    if lost and not without_lost:
        raise ConflictError(
            f"entry {to} has {_named(lost)}, removed since: it cannot be brought back",
            code="runs-removed",
            hint="Go back to a later entry (stage history), or leave what is gone out of the stack: --without-lost.",
            context={"runs": lost},
        )
    wanted = _state_then(old, state, lost)
    restored = [name for name, digest in then.files.items() if now.files.get(name) != digest]
    kept = KeptFiles(layout.history / "files")
    if missing := [name for name in restored if not kept.has(then.files[name])]:
        raise _not_kept(layout, to, f"{missing[0]} is kept no more as it was then")
    made = {layout.relative(str(layout.pipeline)), now.graph}
    same_graph = now.graph_digest == then.graph_digest
    return RollbackReport(
        to,
        entry.command,
        {name: list(pair) for name, pair in document_changes(now.state, wanted.to_document()).items()},
        () if same_graph else (dict(now.quanta), dict(then.quanta)),
        restored,
        [name for name in now.files if name in made and name not in then.files],
        [run for run in state.collections.runs if run not in wanted.collections.runs],
        [run for run in wanted.collections.runs if run not in state.collections.runs],
        lost,
        [
            *_outside_notes(then),
            *_run_notes(layout, wanted, state, found),
            *_name_notes(old, wanted),
        ],
    )


def roll_back(change: Change, to: int, *, without_lost: bool = False) -> RollbackReport:
    """Go back to what the campaign was after a command.

    Parameters
    ----------
    change : Change
        The change that is being made.
    to : int
        Number of an entry of the history.
    without_lost : bool, optional
        Whether runs of that time that were removed since may be left out.

    Returns
    -------
    RollbackReport
        What was done.

    Raises
    ------
    StageError
        If it cannot be done; all is as it was.
    """
    layout = change.layout
    plan = plan_rollback(layout, change.state, to, without_lost=without_lost)
    then = _entry(layout, to).snapshot
    kept = KeptFiles(layout.history / "files")
    for name in plan.restored:
        path = layout.root / name
        change.creating_tree(path.parent)
        path.parent.mkdir(parents=True, exist_ok=True)
        kept.bring_back(then.files[name], change.beside(path), as_copy=name != then.graph)
    for name in plan.removed:
        change.removing(layout.root / name)
    old = CampaignState.from_document(dict(then.state), f"entry {to} of the history")
    change.state = _state_then(old, change.state, plan.lost)
    return replace(plan, done=not plan.is_empty)


def _entry(layout: Layout, to: int) -> Entry:
    entry = read_entry(layout, to)
    if entry is not None:
        return entry
    if to in {known.position for known in read_history(layout)}:
        raise _not_kept(layout, to, "it is not kept what the campaign was then")
    raise NotFoundError(
        f"the history has no entry {to}", code="no-such-entry", hint="See their numbers: stage history."
    )


def _not_kept(layout: Layout, to: int, why: str) -> NotFoundError:
    first = positions(layout)[:1]
    return NotFoundError(
        f"the campaign cannot go back to entry {to}: {why}",
        code="not-kept",
        hint=f"The oldest entry to go back to is {first[0]}." if first else "No entry is kept yet.",
    )


def _state_then(old: CampaignState, state: CampaignState, lost: Iterable[str]) -> CampaignState:
    """Return the state to go back to: what was made since was made all the same."""
    c = old.collections
    gone = set(lost)
    wanted = replace(old, repo=state.repo).with_collections(
        current_run=None if c.current_run in gone else c.current_run,
        past_runs=tuple(run for run in c.past_runs if run not in gone),
        created=state.collections.created,
    )
    if state.collections.created and old.name != state.name:
        # Collections have this name now, so it is fixed.
        chain = state.name if c.chain == old.name else c.chain
        wanted = replace(wanted, name=state.name).with_collections(chain=chain)
    return wanted


def _staged_runs(layout: Layout) -> frozenset[str]:
    if not layout.staging.is_file():
        return frozenset()
    with open_staging(layout) as staging, staging.registry.read() as snapshot:
        return frozenset(found.name for found in snapshot.collections(types=[CollectionType.RUN]))


def _named(runs: Sequence[str]) -> str:
    return f"{'run' if len(runs) == 1 else 'the runs'} {', '.join(repr(run) for run in runs)}"


def _outside_notes(then: Snapshot) -> Iterable[str]:
    """Tell which files elsewhere are not what they were: only their names can be brought back."""
    for uri, digest in then.outside.items():
        now = digest_outside(uri, is_graph=uri == then.graph)
        if not now:
            yield f"{uri} is outside the campaign and cannot be read now; the campaign names it again"
        elif digest and now != digest:
            yield f"{uri} is outside the campaign and was changed since; only its name can be brought back"


def _run_notes(
    layout: Layout, wanted: CampaignState, state: CampaignState, found: frozenset[str]
) -> Iterable[str]:
    """Tell what becomes of runs that leave the stack, and which of those that return have lost their files."""
    before, after = state.collections.runs, wanted.collections.runs
    leaving = [run for run in before if run not in after and run in found]
    if leaving:
        is_one = len(leaving) == 1
        stays = "leaves the stack and stays" if is_one else "leave the stack and stay"
        yield f"{_named(leaving)} {stays} in staging; 'stage clean' removes what was dropped"
    returning = [run for run in after if run not in before]
    if not returning:
        return
    from sync.administration.prune import plan_prune

    with open_staging(layout) as staging:
        for run in returning:
            plan = plan_prune(staging, [run], mode="unstore")
            if plan.n_datasets and not plan.uris:
                yield f"the files of run '{run}' were removed since; it comes back without them"


def _name_notes(old: CampaignState, wanted: CampaignState) -> Iterable[str]:
    if old.name != wanted.name:
        yield f"the campaign was called '{old.name}' then; it has made collections as '{wanted.name}', and stays so"
