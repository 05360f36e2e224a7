"""Who was first: what upstream's ledger says of the push that a conflict is with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sync.ledger import Push, pushes

if TYPE_CHECKING:
    from registry.snapshot import Snapshot
    from sync.plan_parts import Conflict

__all__ = ["with_winners"]

_RACED = frozenset({"dataset-exists", "dataset-differs", "chain-changed", "chain-head-not-ours"})


def with_winners(conflicts: Iterable[Conflict], upstream: Snapshot) -> list[Conflict]:
    """Name the push that has brought what conflicts are with.

    Parameters
    ----------
    conflicts : iterable of Conflict
        Of any kind.
    upstream : Snapshot
        Of the upstream registry.

    Returns
    -------
    list of Conflict
        Those about RUNs that somebody pushed with who that was, from which campaign, and when.
    """
    out = list(conflicts)
    if not any(c.code in _RACED for c in out):
        return out
    last: dict[str, Push] = {}
    for push in pushes(upstream):
        for run in push.runs if not push.withdrawn else ():
            last.setdefault(run, push)
    return [_with_winner(c, last) if c.code in _RACED else c for c in out]


def _with_winner(conflict: Conflict, last: Mapping[str, Push]) -> Conflict:
    found = [last[run] for run in _runs_of(conflict.about) if run in last]
    if not found:
        return conflict
    push = max(found, key=lambda p: p.at_ns)
    at = datetime.fromtimestamp(push.at_ns // 1_000_000_000, UTC)
    text = (
        f"pushed by {push.who} on {push.host} from campaign '{push.campaign}' at {at:%Y-%m-%d %H:%M:%S} UTC"
    )
    winner = {"who": push.who, "host": push.host, "campaign": push.campaign, "at_ns": push.at_ns}
    return replace(conflict, about={**conflict.about, "pushed_by": {**winner, "text": text}})


def _runs_of(about: Mapping[str, Any]) -> list[str]:
    """Return the RUNs that a conflict is about: upstream's side of it."""
    if "children" in about:
        return list(about["children"])
    run = about.get("fields", {}).get("run", (None, about.get("run")))[1]
    return [] if run is None else [run]
