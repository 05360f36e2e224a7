"""What a campaign is at one moment: its state, and which files go with it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.errors import StageError
from stage.campaign.kept_files import KeptFiles

if TYPE_CHECKING:
    from stage.campaign.layout import Layout
    from stage.campaign.state import CampaignState

__all__ = ["Snapshot", "digest_outside", "look", "store"]


@dataclass(frozen=True)
class Snapshot:
    """A campaign at one moment.

    Parameters
    ----------
    state : mapping
        Its state, as `CampaignState.to_document` gives it.
    files : mapping of str to str
        Files below its directory that it consists of (pipeline, what that imports, graph), to what they hold: digests.
    outside : mapping of str to str
        The same of files and URIs elsewhere; empty text where that is not known.
    quanta : mapping of str to int
        Labels of the graph's tasks to numbers of quanta.
    marks : mapping of str to sequence of int
        Size and time of change of local files: while these stay, so does the digest.
    """

    state: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    outside: Mapping[str, str] = field(default_factory=dict)
    quanta: Mapping[str, int] = field(default_factory=dict)
    marks: Mapping[str, Sequence[int]] = field(default_factory=dict)

    @property
    def graph(self) -> str:
        """URI of the graph, relative if it is below the campaign; empty if there is none."""
        return self.state.get("quantum_graph", {}).get("uri") or ""

    @property
    def graph_digest(self) -> str:
        """Which graph that is; empty if there is none, or that is not known."""
        return self.files.get(self.graph) or self.outside.get(self.graph) or ""

    @property
    def is_kept(self) -> bool:
        """Whether there is something to go back to."""
        return bool(self.state)

    def is_same(self, other: Snapshot) -> bool:
        """Tell whether going from one to the other would change nothing.

        Parameters
        ----------
        other : Snapshot
            The other.

        Returns
        -------
        bool
            By state and files; who touched a file does not count.
        """
        return (self.state, self.files) == (other.state, other.files)

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON values.

        Returns
        -------
        dict
            One key a field.
        """
        return asdict(self)


def look(layout: Layout, state: CampaignState, last: Snapshot) -> Snapshot:
    """Say what a campaign is now; nothing is written.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    state : CampaignState
        Its state; the files are those that are in their places.
    last : Snapshot
        When it was looked at last: a file that was not touched since is not read again.

    Returns
    -------
    Snapshot
        As it is.
    """
    document = json.loads(json.dumps(state.to_document()))
    known = {**last.files, **last.outside}
    files: dict[str, str] = {}
    outside: dict[str, str] = {}
    marks: dict[str, Sequence[int]] = {}
    for name in filter(None, (*_pipeline_files(layout, state, last), state.quantum_graph.uri)):
        if "://" in name:
            is_graph = name == state.quantum_graph.uri
            is_new = is_graph and document.get("quantum_graph") != last.state.get("quantum_graph")
            outside[name] = (
                known[name] if name in known and not is_new else digest_outside(name, is_graph=is_graph)
            )
        elif (mark := _mark(Path(layout.resolve(name)))) is not None:
            marks[name] = mark
            is_known = name in known and list(last.marks.get(name, ())) == mark
            digest = known[name] if is_known else _digest(Path(layout.resolve(name)))
            (outside if name.startswith("/") else files)[name] = digest
    now = Snapshot(document, files, outside, {}, marks)
    return replace(now, quanta=_quanta(layout, now, last))


def store(layout: Layout, snapshot: Snapshot, noting: Callable[[Path], None] | None = None) -> None:
    """Keep the files that a campaign consists of now.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    snapshot : Snapshot
        As `look` found it just now.
    noting : callable, optional
        Called with the path of each file before it is made.

    Raises
    ------
    StorageError
        If they cannot be kept.
    """
    kept = KeptFiles(layout.history / "files")
    for name, digest in snapshot.files.items():
        if noting is not None:
            noting(kept.path(digest))
        kept.keep(layout.root / name, digest, as_copy=name != snapshot.graph)


def _pipeline_files(layout: Layout, state: CampaignState, last: Snapshot) -> Iterable[str]:
    """Name the pipeline's file and those that it is made from, relative if they are below the campaign."""
    if state.pipeline is None:
        return ()
    own = state.pipeline.partition("#")[0]
    known = [name for name in (*last.files, *last.outside) if name != last.graph]
    if own == str(last.state.get("pipeline", "")).partition("#")[0] and all(
        "://" in name or _mark(Path(layout.resolve(name))) == list(last.marks.get(name, ())) for name in known
    ):
        return known
    from stage.pipeline.load import load_definition
    from stage.pipeline.overrides import noting_files

    # A pipeline that is broken is kept all the same.
    with noting_files() as read, suppress(StageError, OSError):
        load_definition(layout.resolve(own))
    found = (name if "://" in name else os.path.normpath(name) for name in read if not name.startswith("$"))
    return dict.fromkeys([own, *(layout.relative(name) for name in found)])


def _mark(path: Path) -> list[int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns]


def _digest(path: str | Path) -> str:
    from sync.filesystem.files import checksum

    return checksum(path)[1]


def digest_outside(uri: str, *, is_graph: bool) -> str:
    """Return what tells the content of a file elsewhere from another.

    Parameters
    ----------
    uri : str
        An absolute path or a URI.
    is_graph : bool
        Whether it is a graph: of one that is far away not all is read.

    Returns
    -------
    str
        Empty if it cannot be read.
    """
    try:
        if not is_graph or "://" not in uri:
            return _digest(uri)
        from registry.model.refs import id_text
        from stage.graph.file.reader import GraphFile

        with GraphFile.open(uri) as graph:
            return f"id:{id_text(graph.header.id)}"
    except (StageError, OSError):
        return ""


def _quanta(layout: Layout, now: Snapshot, last: Snapshot) -> Mapping[str, int]:
    if not now.graph_digest:
        return {}
    if now.graph_digest == last.graph_digest:
        return last.quanta
    from stage.graph.file.reader import GraphFile

    try:
        with GraphFile.open(layout.resolve(now.graph)) as graph:
            return {task.label: task.n_quanta for task in graph.layout.tasks}
    except (StageError, OSError):
        return {}
