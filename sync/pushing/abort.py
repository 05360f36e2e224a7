"""Giving up pushes that were broken off: their files go from upstream, and their notes from staging's journal.

A process that was killed may have died at any moment, so nothing it noted says which files it had moved. They are found
anew: of the artifacts that it was to bring, those that lie upstream under their names, with the same bytes, and that no
row upstream names. What was being written aside goes with them.

The order of steps: upstream's ledger takes the push's id, so that the push, should it live after all, cannot commit any
more; then files go, some at a time, each time under upstream's lock and after a look at its rows; then the note goes.
Whoever else pushes the same datasets meanwhile sees by the ledger that files may have gone, and looks for its own.
"""

from __future__ import annotations

import os
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import numpy as np

from registry.errors import UsageError
from registry.model.columns import Columns
from registry.model.refs import id_text, new_id
from sync import journal
from sync.administration.prune import split_uris
from sync.faults import At, no_fault
from sync.filesystem import files
from sync.filesystem.listing import sizes_below
from sync.filesystem.local_files import is_aside
from sync.found import in_words, is_same, place
from sync.ledger import has_push
from sync.lookups import known_collections
from sync.outputs import OUTPUTS_IN, unmark_given
from sync.plan import CampaignInfo
from sync.pushing.outgoing import read_batches
from sync.pushing.removing import remove_unnamed
from sync.pushing.settled import VERB, noted_pushes
from sync.withdrawals import is_aborted, record_abort

if TYPE_CHECKING:
    from registry.snapshot import Snapshot
    from sync.journal import Entry
    from sync.repo import Repo

__all__ = ["Abandoned", "AbortPlan", "AbortResult", "execute_abort", "plan_abort"]


@dataclass(frozen=True)
class Abandoned:
    """One push that was broken off.

    Parameters
    ----------
    id : bytes
        The push.
    runs : tuple of str
        What it was about.
    at_ns : int
        When it was last heard of, in UTC nanoseconds since 1970.
    state : str
        How far it had come, as staging knows.
    committed : bool
        Whether upstream has it: then nothing is removed, and staging is told.
    """

    id: bytes
    runs: tuple[str, ...]
    at_ns: int
    state: str
    committed: bool

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON-like values.

        Returns
        -------
        dict
            One key a field.
        """
        return {**vars(self), "id": id_text(self.id), "runs": list(self.runs)}


@dataclass(frozen=True)
class AbortPlan:
    """What giving up pushes would remove.

    Parameters
    ----------
    campaign : CampaignInfo
        Whose they are.
    pushes : tuple of Abandoned
        The latest first.
    uris : sequence of str
        Files upstream that would go, relative to its datastore's root.
    size_bytes : int
        Bytes of those.
    n_named : int
        Files of theirs that rows upstream name: another push has published them.
    differing : sequence of str
        Files with the names of theirs and other bytes; those stay.
    lost_runs : tuple of str
        RUNs of theirs that staging does not have any more, so that nobody knows what was to go of them.
    brought : sequence of str
        All files that they were to bring, there or not.
    """

    campaign: CampaignInfo
    pushes: tuple[Abandoned, ...]
    uris: Sequence[str] = field(repr=False, default=())
    size_bytes: int = 0
    n_named: int = 0
    differing: Sequence[str] = ()
    lost_runs: tuple[str, ...] = ()
    brought: Sequence[str] = field(repr=False, default=())

    @property
    def is_empty(self) -> bool:
        """Whether no push was broken off."""
        return not self.pushes

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON-like values.

        Returns
        -------
        dict
            ``pushes``, ``files``, ``size_bytes``, ``files_published``, ``files_differing``, ``lost_runs``.
        """
        return {
            "pushes": [push.to_document() for push in self.pushes],
            "files": list(self.uris),
            "size_bytes": self.size_bytes,
            "files_published": self.n_named,
            "files_differing": list(self.differing),
            "lost_runs": list(self.lost_runs),
        }


@dataclass(frozen=True)
class AbortResult:
    """What giving up pushes did.

    Parameters
    ----------
    aborted, acknowledged : tuple of bytes
        Pushes that were given up; and those that upstream turned out to have.
    files : int
        Files removed upstream.
    kept : int
        Files that another push has published meanwhile.
    """

    aborted: tuple[bytes, ...] = ()
    acknowledged: tuple[bytes, ...] = ()
    files: int = 0
    kept: int = 0


def plan_abort(
    staging: Repo, upstream: Repo, runs: Sequence[str] = (), *, campaign: CampaignInfo
) -> AbortPlan:
    """Find pushes that were broken off and what they left upstream, without writing anywhere.

    Parameters
    ----------
    staging, upstream : Repo
        Open repositories; read access is enough.
    runs : sequence of str, optional
        Only pushes of these RUNs; all by default.
    campaign : CampaignInfo
        Whose they are.

    Returns
    -------
    AbortPlan
        What would go.

    Raises
    ------
    StorageError
        If upstream's files cannot be listed.
    UsageError
        If upstream is another system's repository.

    Notes
    -----
    One listing a directory; bytes are read only where two files are not one.
    """
    if upstream.is_foreign:
        raise UsageError(
            f"what a push left in {upstream.root} is for that system to find: its files are no longer known by our names",
            code="foreign-upstream",
            hint="Run 'stage push' again: it goes on with what is there.",
        )
    here = upstream.registry.repo_id.hex()
    with staging.registry.read() as ours, upstream.registry.read() as theirs:
        broken = [entry for entry in noted_pushes(ours) if _is_broken(entry, here, runs)]
        found = tuple(_abandoned(entry, theirs) for entry in broken)
        left = [e for e, push in zip(broken, found, strict=True) if not push.committed]
        about = dict.fromkeys(run for push in found if not push.committed for run in push.runs)
        known = known_collections(ours, about)
        artifacts = _artifacts(ours, left, known)
        uris = [uri for rows in artifacts for uri in rows["uri"].tolist()]
        named = theirs.recorded_uris(uris) if uris else set()
    there = sizes_below(upstream.datastore.root, _folders(artifacts))
    rows = Columns.concat(artifacts) if artifacts else Columns({"uri": [], "size": [], "checksum": []})
    same, differing = _look(rows, there, staging.datastore.root, upstream.datastore.root)
    going = [uri for uri in same if uri not in named] + [uri for uri in there if is_aside(uri)]
    return AbortPlan(
        campaign,
        found,
        going,
        sum(there[uri] for uri in going),
        len(named & there.keys()),
        tuple(differing),
        tuple(run for run in about if run not in known),
        uris,
    )


def _is_broken(entry: Entry, upstream_id: str, runs: Sequence[str]) -> bool:
    about = entry.payload["runs"]
    return (
        entry.state != journal.DONE
        and entry.payload["upstream"] in {"", upstream_id}
        and (not runs or not set(runs).isdisjoint(about))
    )


def _abandoned(entry: Entry, upstream: Snapshot) -> Abandoned:
    return Abandoned(
        entry.operation, tuple(entry.payload["runs"]), entry.at_ns, entry.state, has_push(upstream, entry.operation)
    )  # fmt: skip


def _artifacts(staging: Snapshot, entries: Sequence[Entry], known: Container[str]) -> list[Columns]:
    """Return the artifacts that pushes were to bring, by RUN and type; what lies elsewhere is nobody's to remove."""
    found: dict[tuple[str, str], Columns] = {}
    for entry in entries:
        globs = entry.payload["dataset_types"]
        for batch in read_batches(staging, [run for run in entry.payload["runs"] if run in known], ()):
            kind = batch.dataset_type.name
            if not globs or any(fnmatchcase(kind, glob) for glob in globs):
                found[batch.run, kind] = _inside(batch.rows.select(("uri", "size", "checksum")))
    return [rows for rows in found.values() if rows.n_rows]


def _inside(rows: Columns) -> Columns:
    here = set(split_uris([uri for uri in rows["uri"].tolist() if uri is not None])[0])
    return rows.take(np.array([uri in here for uri in rows["uri"].tolist()], dtype=np.bool_))


def _folders(artifacts: Sequence[Columns]) -> list[str]:
    """Return directories that hold all of them; of each RUN and type they lie together."""
    return [
        os.path.commonpath([uri.rpartition("/")[0] for uri in rows["uri"].tolist()]) for rows in artifacts
    ]


def _look(
    artifacts: Columns, there: Mapping[str, int], source: str, target: str
) -> tuple[list[str], list[str]]:
    """Return the artifacts of which upstream has the file with the same bytes; and what is said of others."""
    same, differing = [], []
    for uri, src, dst, size, checksum in place(artifacts, source, target) if there else ():
        # A file that is its own original was adopted where it lies: it is the campaign's.
        if uri not in there or src == dst:
            continue
        if is_same(src, dst, size, checksum):
            same.append(uri)
        else:
            found = in_words(*files.checksum(dst))
            differing.append(f"{uri}: expected {in_words(size, checksum)}, found {found}")
    return same, differing


def execute_abort(plan: AbortPlan, staging: Repo, upstream: Repo, *, at: At = no_fault) -> AbortResult:
    """Give up pushes: their files go, and then their notes; those that upstream has are acknowledged.

    Parameters
    ----------
    plan : AbortPlan
        From `plan_abort` on the same two repositories.
    staging, upstream : Repo
        Open for writing.
    at : callable
        Called between durable steps with the step's name: ``abort-noted`` (upstream), ``files-removing`` (after each
        part), ``files-removed``, ``forgotten`` (by staging).

    Returns
    -------
    AbortResult
        What went.

    Raises
    ------
    StorageError
        If a file cannot be removed. The pushes cannot be committed any more; aborting again goes on.
    BusyError
        If upstream or staging is locked for too long; aborting again goes on.
    """
    if plan.is_empty:
        return AbortResult()
    aborted, acknowledged = _note_upstream(plan, upstream)
    at("abort-noted")
    removed, kept = remove_unnamed(
        upstream, plan.uris if aborted else (), gone=plan.brought if aborted else (), at=at
    )
    at("files-removed")
    _keep_outputs(aborted, staging, upstream)
    with staging.registry.write() as tx:
        payloads = {entry.operation: entry.payload for entry in noted_pushes(tx)}
        for push in aborted:
            tx.delete_rows("journal", operation=push.id)
        for push in acknowledged:
            journal.note(tx, push.id, VERB, journal.DONE, payloads.get(push.id, {}))
    at("forgotten")
    return AbortResult(tuple(p.id for p in aborted), tuple(p.id for p in acknowledged), removed, kept)


def _keep_outputs(aborted: Sequence[Abandoned], staging: Repo, upstream: Repo) -> None:
    """Note that what would have been adopted where it lies stays the campaign's, unless upstream has the RUN by another push."""
    outputs = staging.registry.attribute(OUTPUTS_IN)
    if not outputs or not aborted:
        return
    runs = [run for push in aborted for run in push.runs]
    with upstream.registry.read() as snapshot:
        there = known_collections(snapshot, runs)
    unmark_given(outputs, [run for run in runs if run not in there])


def _note_upstream(plan: AbortPlan, upstream: Repo) -> tuple[list[Abandoned], list[Abandoned]]:
    """Take the pushes' ids in the ledger; return those that are given up, and those that are committed after all."""
    aborted, acknowledged = [], []
    with upstream.registry.write() as tx:
        for push in plan.pushes:
            if has_push(tx, push.id):
                acknowledged.append(push)
                continue
            # A second try says so anew: who pushes since the first has to look for files once more.
            row_id = new_id() if is_aborted(tx, push.id) else push.id
            record_abort(tx, row_id, push.id, plan.campaign, push.runs)
            aborted.append(push)
    return aborted, acknowledged
