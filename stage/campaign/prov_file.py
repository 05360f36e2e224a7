"""A lineage in a file, for other programs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from stage.campaign.files import write_atomically
from stage.report.prov import prov_document

if TYPE_CHECKING:
    from pathlib import Path

    from registry.model.records import Walk
    from registry.registry import Snapshot

__all__ = ["write_prov"]


def write_prov(path: Path, snapshot: Snapshot, walks: Iterable[Walk]) -> None:
    """Write lineages to a file as W3C PROV-JSON.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    snapshot : Snapshot
        Of the registry that was asked.
    walks : iterable of Walk
        The lineages.
    """
    text = json.dumps(prov_document(snapshot, walks), indent=1, ensure_ascii=False)
    write_atomically(path, f"{text}\n".encode())
