"""Vectors of graphs whose records and datasets are dealt to two registries: the graph must be that of one."""

from __future__ import annotations

import contextlib
import random
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from registry.registry import Change, Registry
from stage.graph.building.build import build_from_view
from stage.graph.building.question import Question
from stage.graph.building.view import BuildView
from stage.graph.graph import QuantumGraph
from stage.graph.layout import Header
from sync.fsspec_store import FsspecDatastore
from sync.repo import Repo
from tests.split import Dealer, Split
from tests.vectors.graphs import GraphVectors, Undo, judged_cases, nodes_of
from tests.vectors.load import World

__all__ = ["SplitGraphVectors", "run_split_graphs"]

_SPLITS = 4
"""Ways in which the records of one data set are split."""


def run_split_graphs(path: Path, world: World) -> Iterator[tuple[str, str, str]]:
    """Judge the cases of one file: id, text, what is wrong."""
    yield from judged_cases(SplitGraphVectors(path, world))


class _HeldView(BuildView):
    """A view on two changes that are not yet written."""

    def __init__(self, registries: tuple[Registry, Registry], changes: tuple[Change, Change]) -> None:
        store = FsspecDatastore("memory://vectors")
        super().__init__(*(Repo("/vectors", registry, store) for registry in registries))
        self._snapshots = dict(zip(("upstream", "staging"), changes, strict=True))


class SplitGraphVectors(GraphVectors):
    """The cases of one file; each builds on two registries, to which what is set up is dealt by its name.

    Parameters
    ----------
    path : Path
        The file of cases.
    world : World
        Registries that hold the data sets; upstream is of its kind, staging of SQLite.
    """

    def __init__(self, path: Path, world: World) -> None:
        super().__init__(path, world)
        self._pairs: dict[tuple[str, int], tuple[Split, Registry, Registry]] = {}

    def _pair(self, dataset: str, number: int) -> tuple[Split, Registry, Registry]:
        if (dataset, number) not in self._pairs:
            base = self.world.registry(dataset)
            with base.read() as merged:
                elements = [e.name for e in base.universe.elements.values() if e.has_table]
                records = {name: merged.records(name) for name in elements}
            split = Split(records, base.universe, random.Random(number), baselines=bool(number % 2))
            upstream, staging = self.world.empty(), self.world.empty("sqlite")
            with upstream.write() as change:
                split.write_upstream(change)
            with staging.write() as change:
                split.write_staging(change)
            self._pairs[dataset, number] = split, upstream, staging
        return self._pairs[dataset, number]

    def graph_of(self, case: dict[str, Any]) -> QuantumGraph:
        """Build the graph of a case; what is set up for it is undone again."""
        inputs, run = tuple(case["input_collections"]), case["output_run"]
        seed = zlib.crc32(case["id"].encode())
        split, up, ours = self._pair(case["dataset"], seed % _SPLITS)
        split.rng = random.Random(seed)
        graph, base = None, self.world.registry(case["dataset"])
        with contextlib.suppress(Undo), contextlib.ExitStack() as stack:
            change, upstream, staging = (stack.enter_context(r.write()) for r in (base, up, ours))
            self.set_up(change, case)
            Dealer(change, upstream, staging, split).deal()
            graph = build_from_view(
                nodes_of(self.document["pipelines"][case["pipeline_name"]]),
                _HeldView((up, ours), (upstream, staging)),
                Question(where=case["where"]),
                Header(bytes(range(16)), input_collections=inputs, output_run=run),
                skip_existing_in=case.get("skip_existing_in", ()), clobber=case.get("clobber", False), allow_empty=True,
            )  # fmt: skip
            raise Undo
        return cast("QuantumGraph", graph)
