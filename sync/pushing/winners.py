"""Who was first: what upstream's ledger says of the push that a conflict is with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from registry.model.refs import parse_id
from sync.ledger import Push, pushes
from sync.pushing.inserted import ids_of, unpack_ids

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
    ledger = _Ledger(upstream)
    return [_with_winner(c, ledger.winner(c.about)) if c.code in _RACED else c for c in out]


class _Ledger:
    """The pushes that stand, asked which of them has brought something."""

    def __init__(self, upstream: Snapshot) -> None:
        self.of_run: dict[str, list[Push]] = {}
        self.ids: dict[bytes, frozenset[bytes]] = {}
        for push in pushes(upstream):
            for run in push.runs if not push.withdrawn else ():
                self.of_run.setdefault(run, []).append(push)

    def winner(self, about: Mapping[str, Any]) -> Push | None:
        """Return the push that has brought upstream's side of a conflict; where none notes it, the last of its RUNs."""
        runs = _runs_of(about)
        found = [push for run in runs for push in self.of_run.get(run, ())]
        brought = [push for push in found if self._brought(push, about, runs)]
        return max(brought or found, key=lambda p: p.at_ns, default=None)

    def _brought(self, push: Push, about: Mapping[str, Any], runs: Sequence[str]) -> bool:
        if "children" in about:
            return (
                push.chain is not None
                and push.chain[0] == about["chain"]
                and not push.chain[1].isdisjoint(runs)
            )
        dataset = parse_id(about.get("upstream_id", about["id"]))
        if any(dataset in self._ids(other) for run in runs for other in self.of_run.get(run, ())):
            return dataset in self._ids(push)
        # Of a RUN that a push made all belongs to it, but for what other pushes note of theirs.
        told = (push.inserted or {}).get("runs", {})
        return any(told.get(run, {}).get("made") for run in runs)

    def _ids(self, push: Push) -> frozenset[bytes]:
        if push.id not in self.ids:
            noted = push.inserted
            self.ids[push.id] = frozenset(() if noted is None else unpack_ids(ids_of(noted, "datasets")))
        return self.ids[push.id]


def _with_winner(conflict: Conflict, push: Push | None) -> Conflict:
    if push is None:
        return conflict
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
