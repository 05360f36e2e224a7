"""Inputs that quanta have read as they are here, and that upstream has changed or removed since, as pulls have noted it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registry.snapshot import Snapshot

__all__ = ["CHANGED", "GONE", "moved_inputs_counts", "moved_on"]

CHANGED, GONE = "changed upstream since it was read", "gone upstream since it was read"


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
        `CHANGED` or `GONE`; empty where no pull has noted anything.
    """
    from sync import manifest

    found = snapshot.table("baseline", kind=manifest.MOVED_ON, key=wanted)["digest"].tolist()
    return "" if not found else GONE if found[0] == manifest.GONE else CHANGED


def moved_inputs_counts(snapshot: Snapshot) -> dict[str, int]:
    """Count the datasets that quanta have read or made here, and that are others upstream by now.

    Parameters
    ----------
    snapshot : Snapshot
        Of staging.

    Returns
    -------
    dict of str to int
        `CHANGED` and `GONE` to how many, as far as pulls have noted it; without those of which there are none.
    """
    from sync import manifest

    digests = snapshot.table("baseline", kind=manifest.MOVED_ON)["digest"].tolist()
    counts = {CHANGED: len(digests) - digests.count(manifest.GONE), GONE: digests.count(manifest.GONE)}
    return {what: n for what, n in counts.items() if n}
