"""The registry's side of a check: one short transaction for each question, so that nobody who writes waits for long."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from registry import integrity
from registry.errors import StageError
from sync.fsck.findings import Depth, Finding

if TYPE_CHECKING:
    from registry.integrity import Fault
    from registry.snapshot import Snapshot
    from sync.repo import Repo

__all__ = ["check_database", "finding_of"]

_BY_CODE = {
    "bad-repo-file": "repo-file-damaged", "repo-format": "repo-file-damaged", "schema-version": "schema-version",
    "damaged-universe": "universe-damaged", "not-a-database": "database-damaged", "not-a-registry": "database-damaged",
    "damaged-database": "database-damaged", "table-missing": "table-missing", "bad-statement": "database-damaged",
    "io-error": "database-damaged", "integrity": "database-damaged", "hot-journal": "hot-journal", "staging-lost": "staging-lost",
}  # fmt: skip
"""What an error that keeps a check from going on is a finding of."""


def finding_of(error: StageError, where: str) -> Finding:
    """Return the finding that an error tells of.

    Parameters
    ----------
    error : StageError
        What kept a check from going on.
    where : str
        What was looked at.

    Returns
    -------
    Finding
        With the error's message.

    Raises
    ------
    StageError
        The same, if it tells of nothing that is wrong with what is stored: nothing is there, or nobody answers.
    """
    code = _BY_CODE.get(error.code)
    if code is None:
        raise error
    return Finding(code, where, (where,), error.message)


def check_database(repo: Repo, depth: Depth) -> list[Finding]:
    """Look for what contradicts itself in a registry.

    Parameters
    ----------
    repo : Repo
        Open; read access is enough.
    depth : {"fast", "default", "full"}
        ``fast`` leaves out indexes, ``full`` works out anew what regions overlap.

    Returns
    -------
    list of Finding
        One a table and kind. A question that a damaged database does not answer is a finding itself.
    """
    questions: list[Callable[[Snapshot], Sequence[Fault]]] = [
        partial(integrity.engine_faults, quick=depth == "fast"), integrity.table_faults, integrity.reference_faults,
        integrity.member_faults, integrity.chain_faults, integrity.validity_faults, integrity.provenance_faults,
        integrity.overlap_faults if depth == "full" else integrity.bare_regions,
    ]  # fmt: skip
    faults: list[Fault] = []
    failed: list[Finding] = []
    for question in questions:
        try:
            with repo.registry.read() as snapshot:
                faults += question(snapshot)
        except StageError as exc:
            failed.append(finding_of(exc, str(repo.registry)))
    return [*_as_findings(faults), *_ledger(repo, failed), *_once(failed, faults)]


def _as_findings(faults: Iterable[Fault]) -> list[Finding]:
    # Rows without any counterpart are told of by more than one question: the same rows count once.
    merged: dict[tuple[str, str], dict[str, None]] = {}
    for code, table, items in faults:
        merged.setdefault((code, table), {}).update(dict.fromkeys(items))
    return [
        Finding(code, table, tuple(items), _said(code, tuple(items)))
        for (code, table), items in merged.items()
    ]


def _said(code: str, items: Sequence[str]) -> str:
    return items[0] if code == "database-damaged" else ""


def _once(failed: Sequence[Finding], faults: Sequence[Fault]) -> list[Finding]:
    """Leave out what only repeats: a table that is missing makes many a question fail."""
    known = {fault.code for fault in faults}
    # The first to fail says why.
    return list({f.code: f for f in reversed(failed) if f.code not in known}.values())


def _ledger(repo: Repo, failed: list[Finding]) -> list[Finding]:
    """Find RUNs that the ledger names and that are not there."""
    import json

    try:
        with repo.registry.read() as snapshot:
            rows = snapshot.table("push_ledger").rows(("runs",))
            known = {c.name for c in snapshot.collections()} if rows else set()
        named = {run for (runs,) in rows for run in json.loads(runs)}
    except StageError as exc:
        failed.append(finding_of(exc, str(repo.registry)))
        return []
    except (ValueError, TypeError):
        return [Finding("journal-damaged", "push_ledger", ("push_ledger",))]
    gone = tuple(sorted(named - known))
    return [Finding("ledger-run-missing", "push_ledger", gone)] if gone else []
