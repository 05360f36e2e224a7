"""What `stage plan` and `stage status` cost of a campaign whose run is half done.

    python -m benchmarks.bench_plan [--n 10000 100000] [--only plan] [--json results.json]

n quanta of two tasks; of the first all are done but one in a hundred, which failed. ``plan`` is `Campaign.plan` as it is called,
``plan-new-run`` the same for a new run, which looks at the earlier one besides; the floor is to load the run's graph and to read
what is recorded of its quanta. ``status-run`` is the command, CPU time; its floor is an interpreter that imports what any such
program needs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.bench_start import IMPORTS, Commands
from benchmarks.parts import Figures, run_program, timed
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.dimensions import DimensionUniverse
from registry.model.records import QuantumStatus
from registry.model.refs import new_ids
from stage.campaign.campaign import Campaign
from stage.campaign.repositories import open_staging
from stage.execution.outcome import QuantumOutcome, StoredArtifact
from stage.execution.record import record_outcomes
from stage.graph.graph import QuantumGraph
from sync.repo import Repo

UNIVERSE = "{name: bench/lab, version: 1, elements: {sample: {key: {name: id, type: int}}}}"
PIPELINE = """
tasks:
  first:
    class: stage.tasks.noop:NoOpTask
    config:
      dimensions: [sample]
      inputs: {number: {dataset_type: number, storage_class: Json}}
      outputs: {out: {dataset_type: one, storage_class: Json}}
  second:
    class: stage.tasks.noop:NoOpTask
    config:
      dimensions: [sample]
      inputs: {one: {dataset_type: one, storage_class: Json}}
      outputs: {out: {dataset_type: two, storage_class: Json}}
"""
_BATCH = 20_000


def campaign_of(root: Path, n: int) -> Campaign:
    """Make an upstream with n / 2 samples, and a campaign whose run is half recorded; no file is made."""
    samples = range(n // 2)
    with (
        Repo.create(str(root / "up"), DimensionUniverse.from_yaml(UNIVERSE)) as up,
        up.registry.write() as tx,
    ):
        tx.insert_records("sample", Columns({"sample": list(samples)}))
        tx.register_dataset_type(DatasetType("number", tx.universe.group(("sample",)), "Json"))
        tx.register_run("inputs")
        columns: dict[str, list[Any]] = {"sample": list(samples), "id": new_ids(len(samples))}
        columns |= {"uri": [f"in/{i}.json" for i in samples], "size": [2] * len(samples)}
        columns |= {"checksum": [""] * len(samples), "formatter": ["json"] * len(samples)}
        tx.insert_datasets("number", "inputs", Columns(columns))
    (root / "pipeline.yaml").write_text(PIPELINE)
    campaign, _ = Campaign.clone(
        str(root / "up"), root / "camp", pipeline=str(root / "pipeline.yaml"), input=["inputs"]
    )
    run = campaign.prep()
    graph = QuantumGraph.load(str(campaign.layout.run_graph(run)))
    outcomes = list(_outcomes(graph))
    with open_staging(campaign.layout, writable=True) as staging:
        for start in range(0, len(outcomes), _BATCH):
            with staging.registry.write() as change:
                record_outcomes(change, graph, outcomes[start : start + _BATCH])
    return campaign


def _outcomes(graph: QuantumGraph) -> Iterator[QuantumOutcome]:
    for quantum in graph.quanta(graph.quanta_of("first").tolist()):
        failed = quantum.ordinal % 100 == 7
        status = QuantumStatus.FAILED if failed else QuantumStatus.SUCCEEDED
        stored = (
            ()
            if failed
            else tuple(
                StoredArtifact(d.ordinal, str(d.uri), 2, "", d.formatter)
                for refs in quantum.outputs.values()
                for d in refs
            )
        )
        yield QuantumOutcome(
            quantum.ordinal, status, 0, 1, 2, message="ValueError: out of order" if failed else "", artifacts=stored
        )  # fmt: skip


def measure_plan(root: Path, n: int) -> Figures:
    """In this process, after a first call that imports what it needs."""
    campaign = campaign_of(root, n)
    layout, run = campaign.layout, str(campaign.state.collections.current_run)

    def floor() -> None:
        QuantumGraph.load(str(layout.run_graph(run)))
        with open_staging(layout) as staging, staging.registry.read() as snapshot:
            snapshot.quanta([run])

    for name, new_run in (("plan", False), ("plan-new-run", True)):
        campaign.plan(new_run=new_run, offline=True)
        ours, bare = (
            timed(partial(campaign.plan, new_run=new_run, offline=True))[0],
            timed(floor)[0],
        )
        yield name, ours * 1e3, bare * 1e3, "ms"


def measure_status(root: Path, n: int) -> Figures:
    """The command."""
    campaign = campaign_of(root, n)
    cpu, wall = Commands(root).beside(["-m", "cli", "status"], ["-c", IMPORTS], campaign.layout.root)
    yield "status-run", *cpu, "ms"
    yield "status-run-wall", *wall, "ms"


MEASURES = {
    "plan plan-new-run": measure_plan,
    "status-run status-run-wall": measure_status,
}


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line."""
    return run_program(MEASURES, str(__doc__), arguments)


if __name__ == "__main__":
    sys.exit(main())
