"""The files that a campaign's pipeline was made from: while none has changed, neither has the pipeline.

A build notes them, so that looking at a campaign need not import the tasks, which may take seconds. Whoever runs the graph
does not rely on it.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.model.digest import digest_json

if TYPE_CHECKING:
    from stage.campaign.layout import Layout
    from stage.campaign.state import CampaignState

__all__ = ["known_fingerprint", "sources_document"]


def sources_document(
    state: CampaignState, fingerprint: str, read: Iterable[str], moved: Mapping[str, str]
) -> bytes | None:
    """Return what to note of a pipeline that has just been loaded.

    Parameters
    ----------
    state : CampaignState
        Names the pipeline.
    fingerprint : str
        The pipeline's.
    read : iterable of str
        Files that it was read from; a URI or a variable of the environment among them cannot be looked at later.
    moved : mapping of str to str
        Files among them that will have another name, and that.

    Returns
    -------
    bytes or None
        Content of the file; None if it cannot be told whether the pipeline changes.
    """
    named = list(read)
    if any("://" in name or name.startswith("$") for name in named):
        return None
    listed = {moved.get(name, str(Path(name).absolute())): name for name in named}
    listed |= {path: path for path in _loaded()}
    state_now = _digest(listed)
    if state_now is None:
        return None
    document = {
        "pipeline": state.pipeline,
        "fingerprint": fingerprint,
        "files": _by_folder(listed),
        "state": state_now,
    }
    return json.dumps(document, separators=(",", ":")).encode()


def known_fingerprint(layout: Layout, state: CampaignState) -> str | None:
    """Return the fingerprint of a campaign's pipeline, if it can be told without loading it.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    state : CampaignState
        Names the pipeline.

    Returns
    -------
    str or None
        None if nothing was noted, or a file has changed since.
    """
    try:
        document = json.loads(layout.sources.read_bytes())
        if document["pipeline"] != state.pipeline:
            return None
        files = {f"{folder}/{name}" for folder, names in document["files"].items() for name in names}
        if _digest({path: path for path in files}) == document["state"]:
            return str(document["fingerprint"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass  # it is only a note: without it the pipeline is loaded
    return None


def _loaded() -> Iterable[str]:
    """Name the files of all modules of this process, and the directories in which packages are installed."""
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if isinstance(path, str) and os.path.isabs(path):  # noqa: PTH117 - some hundred of them
            yield path
    # An installed package gives tasks their version.
    yield from (p for p in sys.path if p.endswith("-packages"))


def _by_folder(files: Iterable[str]) -> dict[str, list[str]]:
    out: dict[str, list[str]] = {}
    for path in sorted(files):
        folder, _, name = path.rpartition("/")
        out.setdefault(folder, []).append(name)
    return out


def _digest(places: Mapping[str, str]) -> str | None:
    """Digest what files are by name, size and time of change; each is looked at where it is now."""
    facts: list[list[Any]] = []
    for path in sorted(places):
        try:
            found = os.stat(places[path])  # noqa: PTH116 - some hundred of them
        except OSError:
            return None
        facts.append([path, 0 if stat.S_ISDIR(found.st_mode) else found.st_size, found.st_mtime_ns])
    return digest_json([sys.version, facts])
