"""A real graph as jobs of a submission: the laboratory of execution, clustered, with a final job that merges."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stage.batch.clustering.clusters import cluster_quanta
from stage.batch.clustering.quanta import QuantaTable
from stage.batch.config.settings import Settings
from stage.batch.engines.base import EngineSettings
from stage.batch.engines.finding import save_engine
from stage.batch.layout import SubmitDir
from stage.batch.workflow.file import save_workflow
from stage.batch.workflow.making import make_workflow
from stage.batch.workflow.model import Workflow
from stage.execution.prep import prepare_run
from stage.pipeline.pipeline import Pipeline
from tests.execution_lab import Lab, make_lab

__all__ = ["BatchLab", "make_batch_lab"]

ROOT = Path(__file__).parents[1]
CLUSTERED = """
cluster:
  both: {pipetasks: "double, shift", dimensions: batch, partitionDimensions: sample, partitionMaxSize: 4}
clusterAlgorithm: dimension
"""
MERGE = """
from pathlib import Path
from stage.execution.merge import merge_records
from stage.graph.graph import QuantumGraph
from sync.repo import Repo
root = Path("..").resolve()
staging = Repo.attach(f"sqlite:///{root}/staging.sqlite3", root / "data", writable=True)
records = sorted(map(str, Path("records").rglob("*.jsonl")))
print(merge_records(staging, QuantumGraph.load("graph.qg"), records))
staging.close()
"""


@dataclass
class BatchLab:
    """A submission that is prepared, beside the staging repository of its laboratory."""

    lab: Lab
    where: SubmitDir
    workflow: Workflow


def make_batch_lab(
    root: Path,
    pipeline: Pipeline | None = None,
    *,
    batches: int = 3,
    samples: int = 10,
    engine: str = "local",
    yaml: str = CLUSTERED,
    **options: Any,
) -> BatchLab:
    """Make a laboratory, cut its graph into jobs, and prepare them for an engine."""
    lab = make_lab(root, pipeline, batches=batches, samples=samples)
    where = SubmitDir(root / "submit")
    where.root.mkdir()
    prepare_run(lab.staging, lab.graph)
    shutil.copy(lab.graph_uri, where.graph)
    text = f"""
submitPath: {where.root}
payload: {{butlerConfig: none, payloadName: lab, inCollection: inputs, dataQuery: "", outputRun: {lab.graph.output_run}}}
runQuantumCommand: >-
  {sys.executable} -m cli exec {{graphFile}} --workflow {{workflowFile}} --job {{jobNumber}} --attempt {{attempt}}
  --record {{recordFile}} --datastore {lab.store_root} -q
finalJob: {{whenRun: ALWAYS, command1: "{sys.executable} merge.py"}}
{yaml}"""
    (root / "batch.yaml").write_text(text)
    (where.root / "merge.py").write_text(MERGE)
    settings = Settings.read(root / "batch.yaml")
    table = QuantaTable.of(lab.graph)
    workflow = make_workflow(table, cluster_quanta(table, settings), settings)
    save_workflow(workflow, where.workflow)
    where.final_script.write_text(f"set -e\n{sys.executable} merge.py\n")
    environment = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    save_engine(where, engine, EngineSettings("here", options, "run", environment))
    return BatchLab(lab, where, workflow)
