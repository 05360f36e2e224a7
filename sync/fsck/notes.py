"""What a campaign's staging has noted of pushes and pulls: those that were broken off, and those that nobody needs any more."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from registry.model.refs import id_text
from sync import journal
from sync.fsck.findings import Finding

if TYPE_CHECKING:
    from sync.repo import Repo

__all__ = ["noted_work"]


def noted_work(repo: Repo) -> list[Finding]:
    """Find notes of pushes and pulls: broken off, or ended and of RUNs that are no more.

    Parameters
    ----------
    repo : Repo
        A campaign's staging, open.

    Returns
    -------
    list of Finding
        ``push-unfinished``, ``pull-unfinished``, ``journal-ended``, ``journal-damaged``.
    """
    with repo.registry.read() as snapshot:
        rows = snapshot.table("journal", item=b"push").rows(("operation", "state", "payload"))
        pulls = snapshot.table("journal", item=b"pull").rows(("operation", "state"))
        known = {c.name for c in snapshot.collections()}
    try:
        noted = [
            (operation, state, list(json.loads(payload).get("runs", ())))
            for operation, state, payload in rows
        ]
    except (ValueError, TypeError, AttributeError):
        return [Finding("journal-damaged", "journal", ("journal",))]
    begun = [f"{id_text(o)} of {', '.join(runs)}" for o, state, runs in noted if state != journal.DONE]
    over = [
        id_text(o) for o, state, runs in noted if state == journal.DONE and runs and not known & set(runs)
    ]
    pulled = [id_text(operation) for operation, state in pulls if state != journal.DONE]
    found = (("push-unfinished", begun), ("pull-unfinished", pulled), ("journal-ended", over))
    return [Finding(code, "journal", tuple(items)) for code, items in found if items]
