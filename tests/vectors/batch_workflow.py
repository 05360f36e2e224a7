"""Vectors of workflows: clusters of a case made into jobs, and these compared."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from registry.errors import StageError
from stage.batch.clustering.clusters import cluster_quanta
from stage.batch.clustering.quanta import QuantaTable
from stage.batch.workflow.final import final_script
from stage.batch.workflow.making import make_workflow
from stage.batch.workflow.model import JobSettings, WhenRun, Workflow
from tests.vectors.batch_clustering import is_quirk, settings_of, table_of
from tests.vectors.judging import judged

__all__ = ["RESOURCES", "run_workflow", "workflow_case", "workflow_document"]

RESOURCES = (
    "request_memory", "request_memory_max", "memory_multiplier", "number_of_retries", "request_cpus", "request_disk",
    "request_walltime",
)  # fmt: skip
_PREFIX = "@PREFIX@"


def run_workflow(path: Path) -> Iterator[tuple[str, str, str]]:
    """Judge the cases of one file: id, text, what is wrong."""
    for case in json.loads(path.read_text(encoding="utf-8"))["cases"]:
        yield case["id"], case["algorithm"], judged(partial(_differs, case))


def _differs(case: dict[str, Any]) -> str:
    expected = case.get("expect_any") or [case["expect"]]
    try:
        answer = workflow_case(case)
    except StageError as exc:
        wanted = any("error" in e for e in expected)
        return "" if wanted or is_quirk(case) else f"refused: {exc.message}"
    if is_quirk(case):
        return ""
    problems = [_compared(e, answer) for e in expected]
    return "" if "" in problems else problems[0]


def _compared(expected: dict[str, Any], answer: dict[str, Any]) -> str:
    if "error" in expected:
        return f"answered, expected a refusal ({expected['error']})"
    for key, wanted in expected.items():
        found = answer.get(key)
        if key == "final_script_commands":
            wanted = [" ".join(line.split()) for line in wanted]  # noqa: PLW2901
        if isinstance(wanted, list) and isinstance(found, list):
            pairs = [(w, f) for w, f in zip(wanted, found, strict=False) if w != f]
            if pairs:
                return f"{key}: expected {pairs[0][0]}, found {pairs[0][1]}"
        if wanted != found:
            return f"{key}: expected {wanted}, found {found}"
    return ""


def workflow_case(case: dict[str, Any]) -> dict[str, Any]:
    """Return the jobs of a case as the vectors write them."""
    text = f"submitPath: '{_PREFIX}'\n{case['config']}\nclusterAlgorithm: {case['algorithm']}\n"
    settings = settings_of(text)
    table = table_of(case["graph"])
    files = {"qgraphFile": "<FILE:runQgraphFile>"}
    workflow = make_workflow(
        table, cluster_quanta(table, settings), settings, files=files, late_environment=True
    )
    document = workflow_document(table, workflow)
    if workflow.final is not None:
        lines = final_script(workflow, settings).splitlines()
        document["final_script_commands"] = [
            " ".join(line.split())
            for line in lines[3:]
            if not line.startswith(("qgraphFile=", "butlerConfig="))
        ]
    return document


def workflow_document(table: QuantaTable, workflow: Workflow) -> dict[str, Any]:
    """Return a workflow as the vectors write them: with SUCCESS the final job is one among others there."""
    jobs, edges, names = [], [], workflow.names
    for number, name in enumerate(names):
        quanta = workflow.quanta.of(number).astype(np.int64)
        tasks = [table.labels[t] for t in table.task_of(quanta).tolist()]
        settings = workflow.settings_for(number)
        named = {n for n in workflow.values if f"{{{n}}}" in settings.arguments}
        values = {n: workflow.values[n][number] for n in workflow.values if n in named}
        jobs.append(_job(name, settings, {t: tasks.count(t) for t in sorted(set(tasks))}, values))
        edges += [[names[p], name] for p in workflow.parents.of(number).tolist()]
    final = None if workflow.final is None else _job(workflow.final.label, workflow.final, {}, {})
    if final is not None and workflow.when_final is WhenRun.SUCCESS:
        parents = set(workflow.parents.indices.tolist())
        edges += [[name, final["name"]] for number, name in enumerate(names) if number not in parents]
        jobs.append(final)
        final = None
    return {"jobs": sorted(jobs, key=lambda j: j["name"]), "edges": sorted(edges), "final": final}


def _job(name: str, settings: JobSettings, counts: dict[str, int], values: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "label": settings.label,
        "executable": settings.executable,
        "arguments": settings.arguments,
        "quanta_counts": counts,
        **{r: getattr(settings, r) for r in RESOURCES},
        "cmdvals": values,
    }
