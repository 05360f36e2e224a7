"""What it costs to change a quantum graph instead of building it again.

    python benchmarks/bench_graph_changes.py [--n 10000 100000] [--json results.json]

The survey and the pipeline are those of `bench_graph`; the floor of every line is a full build of the same graph, side by side.
``graph-refresh`` finds the world as it was; ``graph-refresh-prune`` finds one raw in ten gone, and ``graph-trim`` half of the quanta
of the first task done in a run. ``graph-extend`` adds one half of the graph, by visit, to the other; ``graph-select`` takes the
quanta of one visit in ten with all that they rest on. ``graph-trim-bytes`` is what a quantum of a trimmed graph takes in its
file; its floor is the same for the graph as it was built. Times are CPU time (user and system), the least of several calls.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.bench_graph import UNIVERSE, cpu, nodes, row, survey
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.refs import new_id
from registry.registry import Registry
from stage.graph.building.build import build_from_view
from stage.graph.building.question import Question
from stage.graph.building.view import BuildView
from stage.graph.changing.extend import extend
from stage.graph.changing.refresh import Refreshed, refresh
from stage.graph.graph import QuantumGraph
from stage.graph.layout import Header
from sync.repo import Repo

RUN = "u/bench/run"


def finish_half(registry: Registry, graph: QuantumGraph) -> None:
    """Record the outputs of every other quantum of the first task."""
    done = graph.quanta_of("isr")[::2]
    with registry.write() as change:
        change.register_run(RUN)
        for name, rows in graph.by_type(np.unique(graph.outputs_of(done).dataset)).items():
            kind = graph.layout.types[graph.layout.type_index[name]]
            group = UNIVERSE.group(kind.dimensions)
            change.register_dataset_type(DatasetType(name, group, kind.storage_class))
            columns = graph.dataset_columns(name, rows)
            n = columns.n_rows
            stored: dict[str, Any] = {"uri": [f"{name}/{i}.json" for i in range(n)], "size": [1] * n}
            stored |= {"checksum": [""] * n, "formatter": [kind.formatter] * n}
            change.insert_datasets(name, RUN, Columns({**{k: columns[k] for k in columns.names}, **stored}))


def lose_some(registry: Registry, graph: QuantumGraph) -> None:
    """Delete one raw in ten."""
    kind = graph.layout.types[graph.layout.type_index["raw"]]
    rows = np.arange(kind.offset, kind.offset + kind.n_datasets, 10)
    with registry.write() as change:
        change.delete_datasets(graph.dataset_ids(rows))


def one_size(n_quanta: int, root: Path) -> list[dict[str, Any]]:
    """Measure one size."""
    survey(root, n_quanta).close()
    with Repo.open(root / "up", writable=True) as repo:
        view, header = BuildView(repo), Header(new_id(), input_collections=("raw/all",))

        def build() -> QuantumGraph:
            with view:
                return build_from_view(nodes(), view, Question(), header)

        def again(**options: Any) -> Refreshed:
            with view:
                return refresh(graph, view, input_collections=["raw/all"], skip_run=RUN, **options)

        build_s, graph = cpu(build)
        graph = graph.retarget(RUN)
        n, visits = graph.n_quanta, graph.data_ids("gather")["visit"]
        found: list[tuple[str, float]] = [("graph-refresh", cpu(again)[0])]
        finish_half(repo.registry, graph)
        trim_s, trimmed = cpu(lambda: again(trim_existing_in=[RUN]))
        found.append(("graph-trim", trim_s))
        lose_some(repo.registry, graph)
        found.append(("graph-refresh-prune", cpu(lambda: again(allow_pruning=True))[0]))
        gathers = graph.quanta_of("gather")
        found.append(("graph-select", cpu(lambda: graph.select(gathers[::10], ancestors=True))[0]))
        early = graph.data_ids("isr")["exposure"] <= visits[len(visits) // 2]
        one = graph.select(graph.quanta_of("isr")[early], descendants=True)
        two = graph.select(graph.quanta_of("isr")[~early], descendants=True)
        found.append(("graph-extend", cpu(lambda: extend(one, two))[0]))
    rows = [row(name, n, s / n * 1e6, build_s / n * 1e6, "µs/quantum") for name, s in found]
    part = trimmed.graph
    size, plain = (g.save(root / "g.qg") / g.n_quanta for g in (part, graph))
    return [*rows, row("graph-trim-bytes", part.n_quanta, size, plain, "B/quantum")]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    for n in options.n:
        with tempfile.TemporaryDirectory(prefix="bench-graph-") as folder:
            rows += one_size(n, Path(folder))
    for r in rows:
        print(f"{r['id']:20} {r['n']:8} {r['ours']:10.2f} {r['unit']:12} {r['ratio_floor']:6.2f} of a build")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
