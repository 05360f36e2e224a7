"""Inputs that quanta have read, and that upstream has changed or removed since, as pulls have noted it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registry.snapshot import Snapshot

__all__ = ["CHANGED", "GONE", "KEPT", "moved_inputs_counts", "moved_on"]

CHANGED, GONE = "changed upstream since it was read", "gone upstream since it was read"
CHANGED_TAKEN, GONE_TAKEN = f"{CHANGED}; upstream's was taken", f"{GONE}; removed here too"
KEPT = (CHANGED, GONE)
"""Said of those that are here as they were read."""


def moved_on(snapshot: Snapshot, wanted: bytes) -> str:
    """Say what has become upstream of a dataset that quanta have read or made here.

    Parameters
    ----------
    snapshot : Snapshot
        Of staging, or of any registry.
    wanted : bytes
        The dataset.

    Returns
    -------
    str
        `CHANGED` or `GONE`, or that upstream's way was taken here; empty where no pull has noted anything.
    """
    from sync import manifest

    found, fetched = (
        snapshot.table("baseline", kind=kind, key=wanted)["digest"].tolist()
        for kind in (manifest.MOVED_ON, manifest.DATASET)
    )
    return _what(found[0], fetched[0] if fetched else manifest.GONE, manifest.GONE) if found else ""


def moved_inputs_counts(snapshot: Snapshot) -> dict[str, int]:
    """Count the datasets that quanta have read or made here, and that are others upstream by now.

    Parameters
    ----------
    snapshot : Snapshot
        Of staging.

    Returns
    -------
    dict of str to int
        What `moved_on` says to how many, as far as pulls have noted it; without those of which there are none.
    """
    from sync import manifest

    flagged = manifest.read_baselines(snapshot, manifest.MOVED_ON)
    if not flagged:
        return {}
    fetched, gone = manifest.read_baselines(snapshot, manifest.DATASET), manifest.GONE
    counts = Counter(_what(now, fetched.get(key, gone), gone) for key, now in flagged.items())
    return {what: counts[what] for what in (CHANGED, GONE, CHANGED_TAKEN, GONE_TAKEN) if counts[what]}


def _what(now: bytes, fetched: bytes, gone: bytes) -> str:
    """Say it by what upstream has now and what was fetched last: these are the same once upstream's way was taken."""
    if now == fetched:
        return GONE_TAKEN if now == gone else CHANGED_TAKEN
    return GONE if now == gone else CHANGED
