"""Upstream's ledger: who pushed what, when, from which campaign, and which pushes were taken back.

One row a push, written with its rows. Its column ``summary`` is a JSON document: what the push counted, what it has
inserted (`sync.pushing.inserted`), and since when it is *withdrawn*: taken back by the repository's keeper, or given up
by its own campaign before its commit, which takes its id, so that it cannot be committed any more.
"""

from __future__ import annotations

import getpass
import json
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from registry.errors import ConflictError, IntegrityError, NotFoundError, UsageError
from registry.model.columns import Columns
from registry.model.refs import id_text
from registry.roles import database_user
from sync.plan import CampaignInfo

if TYPE_CHECKING:
    from registry.change import Change
    from registry.snapshot import Snapshot

__all__ = [
    "ABORTED", "WITHDRAWN", "Push", "find_push", "has_push", "insert_push", "known_as", "pushes", "record_push", "who",
]  # fmt: skip

_PUSH = ("id", "campaign_id", "campaign", "who", "host", "at_ns", "runs", "summary")
_CAMPAIGN = ("id", "name", "doc", "document", "at_ns")
WITHDRAWN = "withdrawn"
"""Key of a summary that says how a push came to be withdrawn."""
ABORTED = "aborted"
"""Said of a push that was given up before its commit."""


@dataclass(frozen=True)
class Push:
    """One row of the ledger.

    Parameters
    ----------
    id : bytes
        The push.
    campaign_id : bytes
        The campaign that made it.
    campaign : str
        Its name.
    who, host : str
        Who pushed, and on which machine.
    at_ns : int
        When, in UTC nanoseconds since 1970.
    runs : tuple of str
        The RUNs.
    summary : mapping
        ``counts`` (kind to class to number), ``inserted`` (see `sync.pushing.inserted`) and ``withdrawn``.
    """

    id: bytes
    campaign_id: bytes
    campaign: str
    who: str
    host: str
    at_ns: int
    runs: tuple[str, ...]
    summary: Mapping[str, Any] = field(repr=False)

    @property
    def counts(self) -> Mapping[str, Mapping[str, int]]:
        """Kind of thing to class to number, as the push's plan had it."""
        found: Mapping[str, Mapping[str, int]] = self.summary["counts"]
        return found

    @property
    def inserted(self) -> Mapping[str, Any] | None:
        """What it has inserted; None if that was not noted."""
        return self.summary.get("inserted")

    @property
    def withdrawn(self) -> Mapping[str, Any] | None:
        """How it came to be withdrawn (``how``, ``who``, ``host``, ``at_ns``); None for a push that stands."""
        return self.summary.get(WITHDRAWN)

    @property
    def chain(self) -> tuple[str, frozenset[str], bool] | None:
        """The chain that it has put RUNs into, those RUNs, and whether it has made the chain; None if there is none."""
        told = (self.inserted or {}).get("chain")
        return None if told is None else (told["name"], frozenset(told["added"]), bool(told["made"]))

    @property
    def replaced(self) -> str | None:
        """The RUN that gave up its place at the head of that chain to it; None if none did."""
        told = (self.inserted or {}).get("chain")
        return None if told is None else told.get("replaced")

    @property
    def adopted(self) -> str | None:
        """What the URIs of its artifacts begin with, where they are the campaign's own files; None where they are not."""
        found: str | None = (self.inserted or {}).get("adopted")
        return found

    @property
    def is_aborted(self) -> bool:
        """Whether it was given up before its commit."""
        return self.withdrawn is not None and self.withdrawn["how"] == ABORTED

    @property
    def size_bytes(self) -> int | None:
        """Bytes of the artifacts that it has brought; None if that was not noted."""
        return None if self.inserted is None else self.inserted["size_bytes"]

    def new(self, kind: str) -> int:
        """Return how many things it was the first to bring.

        Parameters
        ----------
        kind : str
            ``dataset``, ``quantum``, ``run``, …

        Returns
        -------
        int
            The number.
        """
        return int(self.counts.get(kind, {}).get("new", 0))

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON-like values.

        Returns
        -------
        dict
            Without what it inserted row by row.
        """
        withdrawn = self.withdrawn
        return {
            "id": id_text(self.id),
            "campaign": {"id": id_text(self.campaign_id), "name": self.campaign},
            "who": self.who,
            "host": self.host,
            "at_ns": self.at_ns,
            "runs": list(self.runs),
            "counts": {kind: dict(classes) for kind, classes in self.counts.items()},
            "size_bytes": self.size_bytes,
            "withdrawn": withdrawn and {k: withdrawn[k] for k in ("how", "who", "host", "at_ns")},
        }


def record_push(
    upstream: Change,
    push_id: bytes,
    campaign: CampaignInfo,
    runs: Sequence[str],
    counts: Mapping[str, Any],
    *,
    inserted: Mapping[str, Any] | None = None,
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
    counts : mapping
        Kind to class to number.
    inserted : mapping, optional
        What it inserts, JSON-like; without it the push cannot be taken back.

    Raises
    ------
    ConflictError
        If the push was given up (code ``push-aborted``).
    """
    if any(push.is_aborted for push in pushes(upstream, id=push_id)):
        raise ConflictError(
            f"push {id_text(push_id)} of campaign '{campaign.name}' was given up while it was going on",
            code="push-aborted",
            hint="Run 'stage push' again: it begins anew.",
        )
    summary = {"counts": counts, **({} if inserted is None else {"inserted": inserted})}
    now = insert_push(upstream, push_id, campaign, runs, summary)
    known = (campaign.id, campaign.name, campaign.doc, campaign.document, now)
    upstream.insert_rows("campaign", Columns.from_rows(_CAMPAIGN, [known]), on_existing="replace")


def insert_push(
    upstream: Change, push_id: bytes, campaign: CampaignInfo, runs: Sequence[str], summary: Mapping[str, Any]
) -> int:
    """Write one row.

    Parameters
    ----------
    upstream : Change
        A write transaction.
    push_id : bytes
        Its id.
    campaign : CampaignInfo
        Whose.
    runs : sequence of str
        What it is about.
    summary : mapping
        What is said of it; JSON-like.

    Returns
    -------
    int
        When that was.
    """
    now = time.time_ns()
    user, host = known_as(upstream)
    push = (push_id, campaign.id, campaign.name, user, host, now, json.dumps(list(runs)), json.dumps(summary))
    upstream.insert_rows("push_ledger", Columns.from_rows(_PUSH, [push]))
    return now


def known_as(upstream: Change) -> tuple[str, str]:
    """Return who writes, and where.

    Parameters
    ----------
    upstream : Change
        A write transaction.

    Returns
    -------
    user, host : str
        As `who`; but of a server's user its own name of them.
    """
    user, host = who()
    # A server knows whom it let in; what the pusher's own machine calls them is hearsay.
    return database_user(upstream) or user, host


def pushes(upstream: Snapshot, **equals: Any) -> list[Push]:
    """Return the ledger.

    Parameters
    ----------
    upstream : Snapshot
        Of the upstream registry.
    **equals
        Values that columns must have.

    Returns
    -------
    list of Push
        The latest first.

    Raises
    ------
    IntegrityError
        If a row cannot be read.
    """
    rows = upstream.table("push_ledger", **equals).rows(_PUSH)
    return sorted((_push(*row) for row in rows), key=lambda p: (p.at_ns, p.id), reverse=True)


def _push(push_id: bytes, campaign_id: bytes, *rest: Any) -> Push:
    campaign, user, host, at_ns, runs, text = rest
    try:
        summary = json.loads(text)
        # Before it was noted what a push inserts, all of this was what it counted.
        known = summary if "counts" in summary else {"counts": summary}
        return Push(push_id, campaign_id, campaign, user, host, at_ns, tuple(json.loads(runs)), known)
    except (ValueError, TypeError) as exc:
        raise IntegrityError(
            f"what the ledger says of push {id_text(push_id)} is damaged: {exc}",
            code="damaged-ledger",
            hint="Restore the registry from a copy.",
        ) from exc


def find_push(upstream: Snapshot, text: str) -> Push:
    """Return the push that somebody means.

    Parameters
    ----------
    upstream : Snapshot
        Of the upstream registry.
    text : str
        Its id, or the beginning of that; or a RUN, for the last push of it that stands.

    Returns
    -------
    Push
        It.

    Raises
    ------
    NotFoundError
        If there is none.
    UsageError
        If several ids begin so.
    """
    published = [push for push in pushes(upstream) if not push.is_aborted]
    of_run = [push for push in published if text in push.runs]
    if of_run:
        return next((push for push in of_run if push.withdrawn is None), of_run[0])
    found = [push for push in published if text and id_text(push.id).startswith(text.lower())]
    if len(found) > 1:
        ids = ", ".join(id_text(push.id) for push in found[:3])
        raise UsageError(
            f"{len(found)} pushes have ids that begin with '{text}': {ids}", code="ambiguous-push",
            hint="Give more of the id.",
        )  # fmt: skip
    if not found:
        raise NotFoundError(
            f"the ledger has no push '{text}', and none of a run of that name", code="no-such-push",
            hint="'stage repo pushes REPO' lists them.",
        )  # fmt: skip
    return found[0]


def has_push(upstream: Snapshot, push_id: bytes) -> bool:
    """Tell whether upstream has committed a push.

    Parameters
    ----------
    upstream : Snapshot
        Of the upstream registry.
    push_id : bytes
        The push's id.

    Returns
    -------
    bool
        Whether its ledger has it, taken back or not; one that was given up does not count.
    """
    return any(not push.is_aborted for push in pushes(upstream, id=push_id))


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
