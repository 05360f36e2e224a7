"""Taking a push back upstream, while nobody depends on it: plan, rows in one transaction, then files.

What goes is what the push has inserted (`sync.pushing.inserted`): datasets with their artifact records and files, quanta
with what they read and made, RUNs that it has made, and its entries in a chain. Dataset types and dimension records stay:
others may use them. The ledger keeps the push's row, marked, with the files that are still to be removed, until they are:
taking back the same push again goes on with those.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from registry import keeping, withdrawing
from registry.errors import ConflictError, StageError, StorageError, UsageError
from registry.model.refs import id_text
from registry.roles import database_user, push_prefix
from sync.dependents import Dependent, dependents_of
from sync.faults import At, no_fault
from sync.filesystem import files
from sync.filesystem.listing import sizes_below
from sync.ledger import Push, find_push, pushes
from sync.lookups import known_collections
from sync.outputs import unmark_given
from sync.pushing.asking import quoted
from sync.pushing.holding import Holding, holding_of
from sync.pushing.inserted import pack_uris, unpack_uris
from sync.pushing.removing import remove_unnamed
from sync.pushing.replacing import run_to_restore
from sync.withdrawals import rewrite_push

if TYPE_CHECKING:
    from registry.change import Change
    from registry.model.collections import Collection
    from registry.snapshot import Snapshot
    from sync.repo import Repo

__all__ = ["UnpushPlan", "UnpushResult", "execute_unpush", "plan_unpush"]

_SHOWN = 20


@dataclass(frozen=True)
class UnpushPlan:
    """What taking a push back would remove.

    Parameters
    ----------
    push : Push
        The push.
    dependents : tuple of Dependent
        What depends on it; `execute_unpush` refuses a plan with any.
    datasets : mapping of str to int
        Dataset type to number of datasets.
    quanta : int
        Attempts at quanta.
    runs : tuple of str
        RUNs that go.
    chain : str or None
        The chain that its RUNs leave.
    restored : str or None
        The RUN that gets back the place in it that it had given up to this push.
    uris : sequence of str
        Files that go, relative to the datastore's root.
    size_bytes : int
        Bytes of those.
    n_outside : int
        Files that stay where they are: outside the datastore, or the campaign's own.
    taken_back : bool
        Whether it was taken back before: only files are left to be removed then.
    """

    push: Push
    dependents: tuple[Dependent, ...] = ()
    datasets: Mapping[str, int] = field(default_factory=dict)
    quanta: int = 0
    runs: tuple[str, ...] = ()
    chain: str | None = None
    restored: str | None = None
    uris: Sequence[str] = field(repr=False, default=())
    size_bytes: int = 0
    n_outside: int = 0
    taken_back: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether it was taken back before, with all its files."""
        return self.taken_back and not _noted_files(self.push)

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON-like values.

        Returns
        -------
        dict
            Counts, not the datasets one by one.
        """
        return {
            "push": self.push.to_document(),
            "dependents": [vars(dependent) for dependent in self.dependents],
            "datasets": dict(self.datasets),
            "quanta": self.quanta,
            "runs": list(self.runs),
            "chain": self.chain,
            "restored": self.restored,
            "files": len(self.uris),
            "size_bytes": self.size_bytes,
            "files_outside": self.n_outside,
            "taken_back": self.taken_back,
        }


@dataclass(frozen=True)
class UnpushResult:
    """What taking a push back removed.

    Parameters
    ----------
    datasets, quanta : int
        Rows that went.
    files : int
        Files that went.
    kept : int
        Files that stay since other rows name them.
    """

    datasets: int = 0
    quanta: int = 0
    files: int = 0
    kept: int = 0


def plan_unpush(upstream: Repo, what: str) -> UnpushPlan:
    """Say what taking a push back would remove and who depends on it, without writing anywhere.

    Parameters
    ----------
    upstream : Repo
        Open; read access is enough.
    what : str
        The push: its id, or the beginning of that; or a RUN, for its last push that stands.

    Returns
    -------
    UnpushPlan
        What would go.

    Raises
    ------
    NotFoundError
        If there is no such push.
    UsageError
        If several are meant, or this user may only add.
    ConflictError
        If nobody noted what it has inserted.

    Notes
    -----
    A fixed number of statements a dataset type.
    """
    with upstream.registry.read() as snapshot:
        push = find_push(snapshot, what)
        _check_keeper(snapshot, push)
        if push.withdrawn is not None:
            return _left_over(push, upstream)
        held = holding_of(snapshot, push)
        ledger = pushes(snapshot)
        dependents = _placed(dependents_of(snapshot, push, held, ledger), upstream)
        chain = _chain_of(snapshot, push)
        restored = None if chain is None else _to_restore(snapshot, push, ledger, chain.children)
    return UnpushPlan(
        push, dependents, held.counts, held.n_quanta, held.made, None if chain is None else chain.name, restored, held.uris,
        held.size_bytes, held.n_outside,
    )  # fmt: skip


def _placed(dependents: Sequence[Dependent], upstream: Repo) -> tuple[Dependent, ...]:
    """Write into the ways on where the repository is, so that they can be typed as they stand."""
    here = quoted(files.redact(str(upstream.root)))
    return tuple(replace(d, hint=d.hint.replace(" REPO ", f" {here} ")) for d in dependents)


def _check_keeper(snapshot: Snapshot, push: Push) -> None:
    if push_prefix(snapshot) is not None:
        raise UsageError(
            f"role '{database_user(snapshot)}' may only add to this repository, so it cannot take back push "
            f"{id_text(push.id)} of campaign '{push.campaign}'",
            code="not-the-keeper",
            hint="Ask the repository's keeper, who owns its tables.",
        )


def _left_over(push: Push, upstream: Repo) -> UnpushPlan:
    """Plan the rest of a push that was taken back: those of its files that are still there."""
    noted = _noted_files(push)
    there = sizes_below(upstream.datastore.root, {uri.rpartition("/")[0] for uri in noted})
    left = [uri for uri in noted if uri in there]
    return UnpushPlan(push, uris=left, size_bytes=sum(there[uri] for uri in left), taken_back=True)


def _noted_files(push: Push) -> list[str]:
    """Return the files of a push that were to go when it was taken back; none once they have."""
    return unpack_uris(str((push.withdrawn or {}).get("files", "")))


def _chain_of(snapshot: Snapshot, push: Push) -> Collection | None:
    if push.chain is None:
        return None
    name, added, _ = push.chain
    found = known_collections(snapshot, [name])
    return next((c for c in found.values() if added & set(c.children)), None)


def _to_restore(
    snapshot: Snapshot, push: Push, ledger: Sequence[Push], children: Sequence[str]
) -> str | None:
    """Return the RUN that goes back into the chain, unless somebody has put it there by now."""
    if push.replaced is None:
        return None
    names = [p.replaced for p in ledger if p.replaced is not None]
    found = run_to_restore(push, ledger, list(known_collections(snapshot, names)))
    return None if found in children else found


def execute_unpush(plan: UnpushPlan, upstream: Repo, *, at: At = no_fault) -> UnpushResult:
    """Take a push back: its rows in one transaction, then its files.

    Parameters
    ----------
    plan : UnpushPlan
        From `plan_unpush` on the same repository.
    upstream : Repo
        Open for writing.
    at : callable
        Called between durable steps with the step's name: ``rows-removed`` (before the commit), ``taken-back`` (after
        it), ``files-removing`` (after each part), ``files-removed``, ``finished``.

    Returns
    -------
    UnpushResult
        What went.

    Raises
    ------
    ConflictError
        If something depends on it, by the plan or by now. Nothing was removed.
    StorageError
        If files cannot be removed. Their rows are gone; taking it back again goes on with them.
    BusyError
        If upstream is locked for too long; as above, or nothing was removed.
    """
    if plan.dependents:
        raise _refused(plan.push, plan.dependents)
    if plan.is_empty:
        return UnpushResult()
    push, held = _take_back(plan, upstream, at)
    at("taken-back")
    uris = plan.uris if held is None else held.uris
    try:
        removed, kept = remove_unnamed(upstream, uris, gone=_noted_files(plan.push), at=at)
    except StorageError as exc:
        exc.add_note(
            "The push is taken back, but for files that are left; the same command again goes on with them."
        )
        raise
    at("files-removed")
    if push.adopted is not None:
        _give_back(upstream, push)
    with upstream.registry.write() as tx:
        rewrite_push(tx, push, withdrawn={"files": ""})
    at("finished")
    return UnpushResult(
        0 if held is None else len(held.ids), 0 if held is None else held.n_quanta, removed, kept
    )


def _take_back(plan: UnpushPlan, upstream: Repo, at: At) -> tuple[Push, Holding | None]:
    """Remove the rows, unless that was done before; return the push as the ledger has it then, and what went."""
    with upstream.registry.write() as tx:
        (push,) = pushes(tx, id=plan.push.id)
        held = None
        if push.withdrawn is None:
            held = holding_of(tx, push)
            dependents = _placed(dependents_of(tx, push, held, pushes(tx)), upstream)
            if dependents:
                raise _refused(push, dependents)
            _remove_rows(tx, push, held)
        # Said anew each time: who pushes since the last has to look for files once more.
        mark = {"files": pack_uris(plan.uris if held is None else held.uris), "tries": _tries(push) + 1}
        rewrite_push(tx, push, withdrawn=mark)
        (push,) = pushes(tx, id=push.id)
        at("rows-removed")
    return push, held


def _give_back(upstream: Repo, push: Push) -> None:
    """Note where a campaign keeps its outputs that those of RUNs which are gone are its own again.

    It may not be for the keeper to write there; then the campaign goes on with a new run.
    """
    with upstream.registry.read() as snapshot:
        there = known_collections(snapshot, push.runs)
    gone = [run for run in push.runs if run not in there]
    with contextlib.suppress(StageError):
        unmark_given(files.join(upstream.datastore.root, (push.adopted or "").rstrip("/")), gone)


def _tries(push: Push) -> int:
    return int((push.withdrawn or {}).get("tries", 0))


def _remove_rows(tx: Change, push: Push, held: Holding) -> None:
    """Delete everything set-wise, what refers to others first."""
    _leave_chain(tx, push)
    if held.added_quanta.n_rows:
        withdrawing.forget_quanta(tx, held.added_quanta)
    withdrawing.forget_links(tx, "quantum_input", held.inputs)
    withdrawing.forget_links(tx, "quantum_output", held.outputs)
    if held.bare:
        keeping.take_artifacts(tx, held.bare)
    if held.added_ids:
        tx.delete_datasets(held.added_ids)
    for run in held.made:
        tx.remove_collection(run)


def _leave_chain(tx: Change, push: Push) -> None:
    """Take the RUNs that the push has put into a chain out of it, and put back there what they replaced.

    A chain that it made and that is empty then goes.
    """
    if push.chain is None:
        return
    chain, added, made = push.chain
    for name, collection in known_collections(tx, [chain]).items():
        going = [run for run in collection.children if run in added]
        restored = _to_restore(tx, push, pushes(tx), collection.children) if going else None
        if restored is not None:
            left = [restored if run == going[-1] else run for run in collection.children]
            left = [run for run in left if run not in going]
            tx.set_chain(name, left, expected=collection.children)
        elif going:
            tx.remove_from_chain(name, going)
        if made and set(collection.children) <= set(going) and not tx.collection_users(name)[0]:
            tx.remove_collection(name)


def _refused(push: Push, dependents: Sequence[Dependent]) -> ConflictError:
    n = len(dependents)
    error = ConflictError(
        f"push {id_text(push.id)} of campaign '{push.campaign}' cannot be taken back: "
        f"{n} {'thing depends' if n == 1 else 'things depend'} on it ({dependents[0]})",
        code="push-in-use",
        hint=dependents[0].hint,
        context={"dependents": [vars(dependent) for dependent in dependents]},
    )
    for dependent in dependents[1:_SHOWN]:
        error.add_note(f"{dependent}. {dependent.hint}")
    if n > _SHOWN:
        error.add_note(f"and {n - _SHOWN} more")
    return error
