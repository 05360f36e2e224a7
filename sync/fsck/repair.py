"""The repair of what a check found: only what loses nothing, and what was given up by name."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from registry.errors import NotFoundError
from registry.integrity import artifacts_recorded, rebuild_overlaps
from registry.keeping import take_artifacts
from registry.model.refs import id_text
from sync import journal
from sync.administration.orphans import OrphanPlan, execute_orphans
from sync.faults import At, no_fault
from sync.filesystem import files
from sync.fsck.findings import Finding, FsckPlan, Repaired
from sync.unstoring import LOST, forget_unstorings

if TYPE_CHECKING:
    from sync.repo import Repo

__all__ = ["execute_repair", "left_after"]

_GIVEN_UP = ("artifact-missing", "artifact-size", "artifact-checksum", "outside-missing", "outside-size", "outside-checksum")  # fmt: skip


def execute_repair(
    plan: FsckPlan, repo: Repo, *, lost: Sequence[str] = (), at: At = no_fault
) -> tuple[Repaired, ...]:
    """Repair what can be repaired without loss.

    Parameters
    ----------
    plan : FsckPlan
        From `sync.fsck.plan.plan_fsck` on the same repository.
    repo : Repo
        Open to write.
    lost : sequence of str, optional
        Files that are given up, among those that the plan finds missing or damaged: URIs as they are recorded
        (patterns allowed), or ids of datasets. Their artifact records go, the datasets stay, and the journal keeps
        what was recorded of them.
    at : callable, optional
        Called between durable steps: ``overlaps-rebuilt``, ``artifacts-given-up``, ``journal-cleared``,
        ``orphans-removed``.

    Returns
    -------
    tuple of Repaired
        What was done.

    Raises
    ------
    NotFoundError
        If nothing that is missing or damaged goes by a name in `lost`. Nothing was done.
    StorageError
        If files cannot be removed; all others are.

    Notes
    -----
    No file that a row names is removed: what is left over is held against the rows once more before it goes.
    """
    given_up = _chosen(plan, repo, lost) if lost else []
    done = [_overlaps(plan, repo)]
    at("overlaps-rebuilt")
    done += _give_up(given_up, repo)
    at("artifacts-given-up")
    done.append(_forget(plan, repo))
    at("journal-cleared")
    done += [_remove(plan, repo, code) for code in ("orphan-file", "part-file")]
    at("orphans-removed")
    return tuple(d for d in done if d is not None)


def left_after(plan: FsckPlan, done: Sequence[Repaired]) -> FsckPlan:
    """Return what is still wrong after a repair.

    Parameters
    ----------
    plan : FsckPlan
        What was wrong.
    done : sequence of Repaired
        What was repaired.

    Returns
    -------
    FsckPlan
        Without those things.
    """
    gone: dict[str, set[str]] = {}
    for repaired in done:
        gone.setdefault(repaired.code, set()).update(repaired.items)
    left = []
    for f in plan.findings:
        items = tuple(i for i in f.items if i not in gone.get(f.code, ()))
        if items:
            left.append(Finding(f.code, f.where, items, f.detail))
    return FsckPlan(plan.place, plan.depth, tuple(left), plan.checked, plan.n_young)


def _items(plan: FsckPlan, code: str) -> list[str]:
    return [item for f in plan.findings if f.code == code for item in f.items]


def _overlaps(plan: FsckPlan, repo: Repo) -> Repaired | None:
    items = _items(plan, "overlap-differs")
    if not items:
        return None
    with repo.registry.write() as change:
        n = rebuild_overlaps(change)
    return Repaired("overlap-differs", f"noted anew what the regions of {n:,} records overlap", items)


_Given = tuple[bytes, str, int, str, str]


def _chosen(plan: FsckPlan, repo: Repo, lost: Sequence[str]) -> list[_Given]:
    """Return the records that are given up: id, URI, size, checksum, and the finding that they are of."""
    wrong = {item: code for code in _GIVEN_UP for item in _items(plan, code)}
    with repo.registry.read() as snapshot:
        rows = artifacts_recorded(snapshot).rows(("id", "uri", "size", "checksum"))
    known = [(*row, wrong[files.redact(row[1])]) for row in rows if files.redact(row[1]) in wrong]
    out: dict[bytes, _Given] = {}
    for name in lost:
        found = [r for r in known if name == id_text(r[0]) or name == r[1] or fnmatchcase(r[1], name)]
        if not found:
            raise NotFoundError(
                f"no file that is missing or damaged goes by the name '{name}'",
                code="not-lost",
                hint="Name the id of a dataset, or a path as 'fsck' shows it; what is in its place is not given up.",
            )
        out |= {row[0]: row for row in found}
    return list(out.values())


def _give_up(chosen: Sequence[_Given], repo: Repo) -> list[Repaired]:
    if not chosen:
        return []
    by_code: dict[str, list[str]] = {}
    with repo.registry.write() as change:
        take_artifacts(change, [row[0] for row in chosen])
        for number, uri, size, checksum, code in chosen:
            payload = {"uri": uri, "size": size, "checksum": checksum, "found": code}
            journal.note(change, number, LOST, LOST, payload)
            by_code.setdefault(code, []).append(files.redact(uri))
    what = "gave up by name; the datasets stay on record, without a file"
    return [Repaired(code, what, uris) for code, uris in by_code.items()]


def _forget(plan: FsckPlan, repo: Repo) -> Repaired | None:
    items = _items(plan, "journal-ended")
    if not items:
        return None
    with repo.registry.write() as change:
        for item in items:
            change.delete_rows("journal", operation=bytes.fromhex(item.replace("-", "")))
    return Repaired("journal-ended", "forgot notes of pushes that have ended", items)


def _remove(plan: FsckPlan, repo: Repo, code: str) -> Repaired | None:
    items = _items(plan, code)
    if not items:
        return None
    n = execute_orphans(OrphanPlan(items, 0, 0), repo)
    if code == "orphan-file":
        with repo.registry.write() as change:
            forget_unstorings(change)
    return Repaired(code, f"removed {n:,} files that no row names", items)
