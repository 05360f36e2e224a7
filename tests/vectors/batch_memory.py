"""Vectors of memory: a job whose attempts die in a given way, its requests and its end by the rules that a head keeps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from stage.batch.clustering.clusters import cluster_quanta
from stage.batch.driving.policy import Tally, judge, memory_of
from stage.batch.engines.base import Cause, JobEvent, JobState
from stage.batch.workflow.making import make_workflow
from stage.batch.workflow.model import JobSettings, Workflow
from tests.vectors.batch_clustering import is_quirk, settings_of, table_of
from tests.vectors.judging import judged

__all__ = ["run_memory"]

_MOST = 60
_CAUSES = {"oom": Cause.MEMORY, "exit": Cause.EXIT}


def run_memory(path: Path) -> Iterator[tuple[str, str, str]]:
    """Judge the cases of one file: id, text, what is wrong."""
    for case in json.loads(path.read_text(encoding="utf-8"))["cases"]:
        yield case["id"], str(case["failures"]), judged(partial(_differs, case))


def _differs(case: dict[str, Any]) -> str:
    graph = {"nodes": [{"id": "n", "label": case["label"], "dataId": {"D": 1}}], "edges": []}
    expected = case["expect"]
    asked = _workflow(case, graph, within_limit=False).settings[0]
    job = {name: getattr(asked, name) for name in expected["job"]}
    requests, end = _lived(_workflow(case, graph, within_limit=True).settings[0], case["failures"])
    answer = {"job": job, "requests": requests, "end": end}
    wrong = {k: (expected[k], v) for k, v in answer.items() if expected[k] != v}
    if not wrong or is_quirk(case):
        return ""
    return "; ".join(f"{k}: expected {e}, found {f}" for k, (e, f) in wrong.items())


def _workflow(case: dict[str, Any], graph: dict[str, Any], *, within_limit: bool) -> Workflow:
    settings = settings_of(f"{case['config']}\nfinalJob:\n  whenRun: NEVER\n")
    table = table_of(graph)
    return make_workflow(table, cluster_quanta(table, settings), settings, within_limit=within_limit)


def _lived(settings: JobSettings, failures: list[Any] | None) -> tuple[list[int], str]:
    """Let attempts die, until there is none more: what each asked for, and how it ended."""
    requests: list[int] = []
    tally = Tally()
    for attempt in range(_MOST):
        requests.append(memory_of(settings, tally.memory_failures) or 0)
        given = "oom" if failures is None else failures[attempt] if attempt < len(failures) else "ok"
        what = given if isinstance(given, str) else given[0]
        if what == "ok":
            return requests, "success"
        cause = _CAUSES[what]
        tally = Tally(tally.failures + 1, tally.memory_failures + (cause is Cause.MEMORY), 0)
        event = JobEvent(0, attempt, JobState.FAILED, cause, 1)
        if not judge(settings, tally, event, cause).again:
            return requests, "removed" if cause is Cause.MEMORY else "failed"
    return requests, "endless"
