"""The registry's side of a check: one short transaction for each question, so that nobody who writes waits for long."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from registry import integrity
from registry.errors import StageError
from sync.fsck.findings import Depth, Finding
from sync.ledger import WITHDRAWN

_T = TypeVar("_T")

if TYPE_CHECKING:
    from registry.integrity import Fault
    from registry.snapshot import Snapshot
    from sync.repo import Repo

    _Question = Callable[[Snapshot], _T]

__all__ = ["check_database", "finding_of"]

_BY_CODE = {
    "bad-repo-file": "repo-file-damaged", "repo-format": "repo-file-damaged", "schema-version": "schema-version",
    "damaged-universe": "universe-damaged", "not-a-database": "database-damaged", "not-a-registry": "database-damaged",
    "damaged-database": "database-damaged", "table-missing": "table-missing", "bad-statement": "database-damaged",
    "io-error": "database-damaged", "integrity": "database-damaged", "bad-value": "database-damaged", "hot-journal": "hot-journal", "staging-lost": "staging-lost",
}  # fmt: skip
"""What an error that keeps a check from going on is a finding of; a question of a check has no values of its own."""
_DAMAGE = frozenset({"table-damaged", "index-damaged"})
"""Damage of which a server has said where it is."""
_LEFT = ("the registry's rows", "the datastore's files")
"""What is not looked at then."""


def finding_of(error: StageError, where: str, found: Iterable[str] = ()) -> Finding:
    """Return the finding that an error tells of.

    Parameters
    ----------
    error : StageError
        What kept a check from going on.
    where : str
        What was looked at.
    found : iterable of str, optional
        Codes of what was found before: looking at damaged pages may end in a lost connection.

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
    if code is None and not _DAMAGE.isdisjoint(found):
        return Finding("check-unfinished", where, (error.message,))
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
        ``fast`` leaves out holding indexes against their tables, ``full`` works out anew what regions overlap.

    Returns
    -------
    list of Finding
        One a table and kind. A question that a damaged database does not answer is a finding itself. Where a server
        finds its own pages damaged nobody asks for rows: such a question may get any answer, or end the server for all.
    """
    quick, full = depth == "fast", depth == "full"
    faults: list[Fault] = []
    failed: list[Finding] = []

    def ask(question: _Question[Iterable[_T]]) -> Iterable[_T]:
        try:
            with repo.registry.read() as snapshot:
                return question(snapshot)
        except StageError as exc:
            failed.append(finding_of(exc, str(repo.registry), (fault.code for fault in faults)))
            return ()

    faults += ask(partial(integrity.server_notes, full=full))
    for question in ask(partial(integrity.storage_questions, quick=quick, full=full)):
        faults += ask(question)
    if not _DAMAGE.isdisjoint(fault.code for fault in faults):
        why = [item for f in failed for item in f.items]
        left = Finding("check-unfinished", str(repo.registry), (*_LEFT, *dict.fromkeys(why)))
        return [*_as_findings(faults), left]
    for question in (
        partial(integrity.engine_faults, quick=quick), integrity.table_faults, integrity.reference_faults,
        integrity.member_faults, integrity.chain_faults, integrity.validity_faults, integrity.provenance_faults,
        integrity.overlap_faults if full else integrity.bare_regions,
    ):  # fmt: skip
        faults += ask(question)
    return [*_as_findings(faults), *_ledger(ask), *_once(failed, faults)]


def _as_findings(faults: Iterable[Fault]) -> list[Finding]:
    # Rows without any counterpart are told of by more than one question: the same rows count once.
    merged: dict[tuple[str, str], dict[str, None]] = {}
    details: dict[tuple[str, str], str] = {}
    for code, table, items, detail in faults:
        merged.setdefault((code, table), {}).update(dict.fromkeys(items))
        details.setdefault((code, table), detail)
    return [Finding(*key, tuple(items), details[key]) for key, items in merged.items()]


def _once(failed: Sequence[Finding], faults: Sequence[Fault]) -> list[Finding]:
    """Leave out what only repeats: a table that is missing makes many a question fail."""
    known = {fault.code for fault in faults}
    # The first to fail says why.
    return list({f.code: f for f in reversed(failed) if f.code not in known}.values())


def _ledger(ask: Callable[[_Question[Iterable[Sequence[str]]]], Iterable[Sequence[str]]]) -> list[Finding]:
    """Find RUNs that the ledger names and that are not there, though the push that brought them was not taken back."""
    import json

    def question(snapshot: Snapshot) -> Iterable[Sequence[str]]:
        texts = [str(text) for row in snapshot.table("push_ledger").rows(("runs", "summary")) for text in row]
        return texts, [c.name for c in snapshot.collections()] if texts else []

    texts, names = tuple(ask(question)) or ((), ())
    try:
        pushes = zip(map(json.loads, texts[::2]), map(json.loads, texts[1::2]), strict=True)
        named = {run for runs, summary in pushes if not summary.get(WITHDRAWN) for run in runs}
    except (ValueError, TypeError, AttributeError):
        return [Finding("journal-damaged", "push_ledger", ("push_ledger",))]
    gone = tuple(sorted(named - set(names)))
    return [Finding("ledger-run-missing", "push_ledger", gone)] if gone else []
