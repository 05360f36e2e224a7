"""Upstream's ledger: who pushed what, when, from which campaign. One row a push, written with its rows."""

from __future__ import annotations

import getpass
import json
import socket
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from registry.model.columns import Columns
from registry.roles import database_user
from sync.plan import CampaignInfo

if TYPE_CHECKING:
    from registry.change import Change
    from registry.snapshot import Snapshot

__all__ = ["has_push", "record_push", "who"]

_PUSH = ("id", "campaign_id", "campaign", "who", "host", "at_ns", "runs", "summary")
_CAMPAIGN = ("id", "name", "doc", "document", "at_ns")


def record_push(
    upstream: Change, push_id: bytes, campaign: CampaignInfo, runs: Sequence[str], summary: Mapping[str, Any]
) -> None:
    """Write the ledger row of a push and the campaign that made it.

    Parameters
    ----------
    upstream : Change
        The push's own transaction.
    push_id : bytes
        Its id.
    campaign : CampaignInfo
        Who pushes.
    runs : sequence of str
        What.
    summary : mapping
        Counts; JSON-like.
    """
    now = time.time_ns()
    user, host = who()
    # A server knows whom it let in; what the pusher's own machine calls them is hearsay.
    user = database_user(upstream) or user
    push = (push_id, campaign.id, campaign.name, user, host, now, json.dumps(list(runs)), json.dumps(summary))
    upstream.insert_rows("push_ledger", Columns.from_rows(_PUSH, [push]))
    known = (campaign.id, campaign.name, campaign.doc, campaign.document, now)
    upstream.insert_rows("campaign", Columns.from_rows(_CAMPAIGN, [known]), on_existing="replace")


def has_push(upstream: Snapshot, push_id: bytes) -> bool:
    """Tell whether upstream holds a push.

    Parameters
    ----------
    upstream : Snapshot
        Of the upstream registry.
    push_id : bytes
        The push's id.

    Returns
    -------
    bool
        Whether its ledger has it.
    """
    return upstream.table("push_ledger", id=push_id).n_rows == 1


def who() -> tuple[str, str]:
    """Return user and host names.

    Returns
    -------
    user, host : str
        ``unknown`` where the system has no name for the user.
    """
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number that has no name
        user = "unknown"
    return user, socket.gethostname()
