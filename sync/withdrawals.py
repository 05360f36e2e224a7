"""Pushes that were withdrawn: given up by their campaign before the commit, or taken back by the repository's keeper.

Each is said in the ledger before a file is removed, so that whoever pushes meanwhile knows to look for files again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from registry import withdrawing
from registry.model.columns import Columns
from registry.model.digest import digest_json
from registry.model.refs import new_id
from sync.ledger import ABORTED, WITHDRAWN, Push, insert_push, known_as, pushes
from sync.plan import CampaignInfo

if TYPE_CHECKING:
    from registry.change import Change
    from registry.snapshot import Snapshot

__all__ = [
    "TAKEN_BACK",
    "is_aborted",
    "note_removal",
    "record_abort",
    "rewrite_push",
    "state_of_withdrawals",
    "taken_back",
]

TAKEN_BACK = "taken-back"
"""Said of a push that was withdrawn after its commit."""
_REMOVALS = "files.removed"
"""Fact of a repository that changes before files are removed that no row names."""
_MARK = f'"{WITHDRAWN}"'


def record_abort(
    upstream: Change, row_id: bytes, push_id: bytes, campaign: CampaignInfo, runs: Sequence[str]
) -> None:
    """Write down that a push is given up: its files may go at any moment from now on.

    Parameters
    ----------
    upstream : Change
        A write transaction.
    row_id : bytes
        Id of the row: the push's own, which then cannot be committed any more; another one if the ledger has that.
    push_id : bytes
        The push.
    campaign : CampaignInfo
        Whose.
    runs : sequence of str
        What it was about.
    """
    user, host = known_as(upstream)
    mark = {"how": ABORTED, "push": push_id.hex(), "who": user, "host": host, "at_ns": time.time_ns()}
    insert_push(upstream, row_id, campaign, runs, {"counts": {}, WITHDRAWN: mark})


def rewrite_push(upstream: Change, push: Push, *, withdrawn: Mapping[str, Any] | None = None) -> None:
    """Mark a push as taken back, or change what is noted of that.

    Parameters
    ----------
    upstream : Change
        A write transaction.
    push : Push
        A push of the ledger.
    withdrawn : mapping, optional
        Further values of the mark; what it has already stays.
    """
    user, host = known_as(upstream)
    first = {"how": TAKEN_BACK, "who": user, "host": host, "at_ns": time.time_ns()}
    summary = {**push.summary, WITHDRAWN: {**first, **(push.withdrawn or {}), **(withdrawn or {})}}
    names = ("id", "campaign_id", "campaign", "who", "host", "at_ns", "runs", "summary")
    row = (
        push.id, push.campaign_id, push.campaign, push.who, push.host, push.at_ns, json.dumps(list(push.runs)),
        json.dumps(summary),
    )  # fmt: skip
    upstream.insert_rows("push_ledger", Columns.from_rows(names, [row]), on_existing="replace")


def is_aborted(upstream: Snapshot, push_id: bytes) -> bool:
    """Tell whether a push was given up.

    Parameters
    ----------
    upstream : Snapshot
        Of the upstream registry.
    push_id : bytes
        The push's id.

    Returns
    -------
    bool
        Whether its ledger says so.
    """
    return any(push.is_aborted for push in pushes(upstream, id=push_id))


def taken_back(upstream: Snapshot, push_ids: Sequence[bytes]) -> dict[bytes, Push]:
    """Return those of some pushes that were taken back.

    Parameters
    ----------
    upstream : Snapshot
        Of the upstream registry.
    push_ids : sequence of bytes
        Their ids.

    Returns
    -------
    dict of bytes to Push
        By id.
    """
    asked = set(push_ids) & withdrawing.pushes_with(upstream, _MARK).keys()
    found = [push for push_id in asked for push in pushes(upstream, id=push_id)]
    return {push.id: push for push in found if push.withdrawn is not None and not push.is_aborted}


def note_removal(upstream: Change) -> None:
    """Write down that files are about to go which no row names, as those that an abandoned push has left.

    Parameters
    ----------
    upstream : Change
        A write transaction, ended before the first of them goes.
    """
    row = (_REMOVALS, f"{new_id().hex()} at {time.time_ns()}")
    upstream.insert_rows("repository", Columns.from_rows(("key", "value"), [row]), on_existing="replace")


def state_of_withdrawals(upstream: Snapshot) -> str:
    """Return a text that changes whenever files may be taken away upstream.

    Parameters
    ----------
    upstream : Snapshot
        Of the upstream registry.

    Returns
    -------
    str
        Equal at two moments if no push was taken back or given up in between, and nothing left over was removed.
    """
    removals = upstream.table("repository", key=_REMOVALS)["value"].tolist()
    found = withdrawing.pushes_with(upstream, _MARK).items()
    return digest_json([*removals, *([i.hex(), text] for i, text in found)])
