"""A campaign, or some of its runs, as one file: what is in it, and writing it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from registry.errors import NotFoundError, UsageError, nearest
from registry.model.collections import CollectionType
from registry.model.refs import id_text
from stage.campaign.graph_reports import Document
from stage.campaign.repositories import open_staging

if TYPE_CHECKING:
    from stage.campaign.layout import Layout
    from stage.campaign.state import CampaignState

__all__ = ["DATA", "GRAPH", "PIPELINE", "STAGING", "STATE", "BundleReport", "export_bundle"]

STATE, STAGING, GRAPH, PIPELINE, DATA = (
    "campaign.json",
    "staging.sqlite3",
    "graph.qg",
    "pipeline.yaml",
    "data/",
)
"""Names in a bundle: the state, the registry, the graph, the campaign's own pipeline, and above all artifacts."""
_WITH_RUNS = ("logs", "submit")


@dataclass(frozen=True)
class BundleReport(Document):
    """What was written into a bundle, or brought from one.

    Parameters
    ----------
    file : str
        The bundle.
    campaign : str
        Name of the campaign.
    runs : tuple of str
        Runs whose files are in it, or were brought; newest first.
    n_files, size_bytes : int
        How many files went, and their bytes.
    n_elsewhere, elsewhere_bytes : int
        Datasets of the registry whose files lie elsewhere and did not go.
    is_new : bool
        Of an import: whether it made a campaign, rather than bring runs into one.
    notes : tuple of str
        What else should be known.
    """

    file: str
    campaign: str
    runs: tuple[str, ...]
    n_files: int
    size_bytes: int
    n_elsewhere: int = 0
    elsewhere_bytes: int = 0
    is_new: bool = False
    notes: tuple[str, ...] = ()


def export_bundle(
    layout: Layout,
    state: CampaignState,
    file: Path,
    runs: Sequence[str] = (),
    *,
    on_progress: Callable[[int], None] | None = None,
) -> BundleReport:
    """Write a campaign into one file.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    state : CampaignState
        Its state.
    file : Path
        The bundle; one that is there is replaced.
    runs : sequence of str, optional
        Runs whose files go; by default all of the campaign's. Rows go of all.
    on_progress : callable, optional
        Called with the number of files written.

    Returns
    -------
    BundleReport
        What is in it.

    Raises
    ------
    NotFoundError
        If the campaign has no such run or no staging yet, or an artifact is missing.
    UsageError
        If its outputs do not lie in its own directory.
    StorageError
        If the file cannot be written; nothing is left of it.
    """
    from registry.migrations.backup import copy_registry
    from sync.bundle import write_bundle

    chosen = _chosen(state, runs)
    if state.outputs_in is not None:
        raise UsageError(
            f"campaign '{state.name}' writes into upstream's storage, {state.outputs_in}: a bundle would lack its files",
            code="outputs-elsewhere",
            hint="Push its runs: 'stage push --dry-run' shows what would go.",
        )
    with (
        open_staging(layout) as staging,
        tempfile.TemporaryDirectory(prefix=".stage-bundle-", dir=_folder(file)) as scratch,
    ):
        copy = Path(scratch) / STAGING
        copy_registry(layout.staging, copy)
        artifacts = _artifacts(copy, staging.datastore.root, set(state.collections.runs) - set(chosen))
        facts = {
            "campaign": state.name, "id": id_text(staging.registry.repo_id), "runs": list(chosen),
            "upstream": state.repo, "state": state.to_document(),
        }  # fmt: skip
        sources = [(STAGING, str(copy)), *_own_files(layout, state, chosen), *artifacts.sources]
        members = write_bundle(file, sources, facts, on_progress=on_progress)
    return BundleReport(
        str(file), state.name, chosen, len(members), sum(m.size for m in members), artifacts.n_elsewhere,
        artifacts.elsewhere_bytes, notes=tuple(_notes(layout, state, artifacts)),
    )  # fmt: skip


def _folder(file: Path) -> Path:
    if not file.parent.is_dir():
        raise NotFoundError(
            f"there is no directory {file.parent}", code="no-such-directory", hint="Make it first."
        )
    return file.parent


def _chosen(state: CampaignState, runs: Sequence[str]) -> tuple[str, ...]:
    every = state.collections.runs
    for name in runs:
        if name not in every:
            raise NotFoundError(
                f"campaign '{state.name}' has no run '{name}'", code="no-such-run", hint=nearest(name, every)
            )
    return tuple(run for run in every if not runs or run in runs)


@dataclass(frozen=True)
class _Artifacts:
    """Files that the registry names: those that go, and how many lie elsewhere."""

    sources: list[tuple[str, str]]
    n_elsewhere: int
    elsewhere_bytes: int


def _artifacts(staging: Path, root: str, left_out: set[str]) -> _Artifacts:
    """Find the files of all datasets but those of some runs."""
    from registry.registry import Registry
    from sync.fetching.binding import BINDING
    from sync.filesystem import files
    from sync.pushing.outgoing import read_batches

    with Registry.open(f"sqlite:///{staging}") as registry, registry.read() as snapshot:
        runs = [c.name for c in snapshot.collections(types={CollectionType.RUN}) if c.name not in left_out]
        rows = [batch.rows for batch in read_batches(snapshot, runs, ())]
    named = [pair for part in rows for pair in part.rows(("uri", "size")) if pair[0] is not None]
    here = [uri for uri, _ in named if not files.is_absolute(uri)]
    elsewhere = [int(size) for uri, size in named if files.is_absolute(uri)]
    sources = [(DATA + uri, files.join(root, uri)) for uri in dict.fromkeys(here)]
    # The graph names upstream's files: this says that there are others to read in their place.
    said = files.join(root, BINDING)
    if files.exists(said):
        sources.append((DATA + BINDING, said))
    return _Artifacts(sources, len(elsewhere), sum(elsewhere))


def _own_files(layout: Layout, state: CampaignState, runs: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Find the graph, the pipeline if it is the campaign's own, and the logs and job files of runs."""
    if state.quantum_graph.uri is not None:
        yield GRAPH, layout.resolve(state.quantum_graph.uri)
    if layout.pipeline.is_file():
        yield PIPELINE, str(layout.pipeline)
    for kind in _WITH_RUNS:
        for run in runs:
            folder = layout.root / kind / run
            for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
                if path.is_file() and not path.is_symlink():
                    yield str(path.relative_to(layout.root)), str(path)


def _notes(layout: Layout, state: CampaignState, artifacts: _Artifacts) -> Iterator[str]:
    if artifacts.n_elsewhere:
        yield (
            f"{artifacts.n_elsewhere:,} inputs are not in it, since they lie elsewhere: "
            "'stage fetch --artifacts copy' brings them here, then export again"
        )
    pipeline = None if state.pipeline is None else layout.resolve(state.pipeline).partition("#")[0]
    if pipeline is not None and pipeline != str(layout.pipeline):
        yield f"the pipeline {pipeline} is not in it, the graph is; 'stage edit --write-pipeline' makes it the campaign's own"
