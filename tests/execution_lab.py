"""A small laboratory to run quanta in: a staging repository with numbers, and a graph over them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.dimensions import DimensionUniverse
from registry.model.refs import new_ids
from registry.registry import Registry
from stage.graph.building.build import build
from stage.graph.building.view import BuildView
from stage.graph.graph import QuantumGraph
from stage.pipeline.pipeline import Pipeline
from sync.paths import artifact_stem
from sync.repo import Repo
from tests.execution_tasks import SAMPLE

UNIVERSE = DimensionUniverse.from_yaml(
    """
name: test/lab
version: 1
elements:
  batch:
    key: {name: id, type: int}
  sample:
    requires: [batch]
    key: {name: id, type: int}
"""
)


@dataclass
class Lab:
    """A staging repository with numbers in it, and a graph to run over them."""

    root: Path
    staging: Repo
    graph: QuantumGraph
    graph_uri: str

    @property
    def store_root(self) -> str:
        """Root of the staging datastore."""
        return self.staging.datastore.root

    def again(self) -> Lab:
        """Return the same with the registry opened anew."""
        self.staging.close()
        return self.reopen()

    def reopen(self) -> Lab:
        """Open the registry anew."""
        staging = Repo.attach(f"sqlite:///{self.root}/staging.sqlite3", self.root / "data", writable=True)
        return Lab(self.root, staging, self.graph, self.graph_uri)

    def datasets(self) -> dict[str, dict[tuple[Any, ...], tuple[bytes, str]]]:
        """Return id and checksum of all datasets of the run, by type and data ID."""
        out: dict[str, dict[tuple[Any, ...], tuple[bytes, str]]] = {}
        with self.staging.registry.read() as snapshot:
            for kind in snapshot.dataset_types():
                rows = snapshot.datasets(kind.name, [self.graph.output_run], artifacts=True)
                dims = kind.dimensions.required
                out[kind.name] = {
                    tuple(r[: len(dims)]): (r[-2], r[-1]) for r in rows.rows((*dims, "id", "checksum"))
                }
        return {name: found for name, found in out.items() if found}

    def checksums(self) -> dict[str, dict[tuple[Any, ...], str]]:
        """Return checksums of data outputs (no logs, no metadata) by type and data ID."""
        return {
            name: {k: c for k, (_, c) in rows.items()}
            for name, rows in self.datasets().items()
            if not name.endswith(("_log", "_metadata")) and name != "packages"
        }

    def quanta(self) -> dict[tuple[str, str], tuple[str, int, str]]:
        """Return status, attempt and message of each quantum, by task and data ID."""
        with self.staging.registry.read() as snapshot:
            rows = snapshot.quanta([self.graph.output_run])
        return {
            (t, d): (s, a, m)
            for t, d, s, a, m in rows.rows(("task", "data_id", "status", "attempt", "message"))
        }

    def status(self) -> dict[str, int]:
        """Return the number of quanta of each status."""
        found = [s for s, _, _ in self.quanta().values()]
        return {s: found.count(s) for s in sorted(set(found))}

    def get(self, dataset_type: str, **data_id: Any) -> Any:
        """Read one dataset of the run."""
        return self.staging.get(dataset_type, data_id, [self.graph.output_run])


def chain(**settings: Any) -> Pipeline:
    """Return double → shift → total, with other settings for the first two."""
    return Pipeline.of(
        double=("tests.execution_tasks.StepTask", settings.get("double", {})),
        shift=("tests.execution_tasks.UnitTask", settings.get("shift", {})),
        total=("tests.execution_tasks.TotalTask", {"connections": {"values": "shifted"}}),
    )


def make_lab(
    root: Path, pipeline: Pipeline | None = None, *, batches: int = 1, samples: int = 4, run: str = "u/me/run"
) -> Lab:
    """Make a staging repository with numbers, build a graph on it and give it a RUN."""
    root.mkdir(parents=True, exist_ok=True)
    Registry.create(f"sqlite:///{root}/staging.sqlite3", UNIVERSE, wal=True).close()
    staging = Repo.attach(f"sqlite:///{root}/staging.sqlite3", root / "data", writable=True)
    keys = [(b, s) for b in range(batches) for s in range(samples)]
    kind = DatasetType("number", UNIVERSE.group(SAMPLE), "Json")
    with staging.registry.write() as change:
        change.insert_records("batch", Columns({"batch": list(range(batches))}))
        change.insert_records("sample", Columns.from_rows(SAMPLE, keys))
        change.register_dataset_type(kind)
        change.register_run("inputs")
    rows = []
    for (b, s), i in zip(keys, new_ids(len(keys)), strict=True):
        stem = artifact_stem("inputs", "number", SAMPLE, (b, s), i)
        rows.append((b, s, i, *staging.datastore.put({"x": 10 * b + s}, "Json", stem)))
    with staging.registry.write() as change:
        names = (*SAMPLE, "id", "uri", "size", "checksum", "formatter")
        change.insert_datasets("number", "inputs", Columns.from_rows(names, rows))
    graph = build(pipeline or chain(), BuildView(None, staging), input_collections=["inputs"])
    graph = graph.retarget(run)
    uri = str(root / "graph.qg")
    graph.save(uri)
    return Lab(root, staging, graph, uri)
