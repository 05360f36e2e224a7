"""Runs of several steps to push: what came of what, attempts, and how they are pushed in tests."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from registry.model.columns import Columns
from registry.model.records import QUANTUM, QUANTUM_INPUT, QUANTUM_OUTPUT
from registry.model.refs import new_id, new_ids
from sync.plan import PushPlan
from sync.push import PushResult, execute_push, plan_push
from sync.repo import Repo
from tests import sync_builders as made

RUN = "u/me/trial/1"


@dataclass
class Steps:
    """Ids of what `make_steps` made: by data ID, and of the one summary."""

    calexps: dict[tuple[int, int], bytes]
    sources: dict[tuple[int, int], bytes]
    summary: bytes | None
    calibrate: dict[tuple[int, int], bytes]
    measure: dict[tuple[int, int], bytes]
    summarise: bytes | None


def make_steps(
    staging: Repo, run: str = RUN, *, visits: Sequence[int] = (1, 2), detectors: Sequence[int] = (0, 1),
    inputs: Iterable[bytes] = (), summary: bool = True, summary_in: str | None = None,
) -> Steps:  # fmt: skip
    """Calibrate makes a calexp of the inputs, measure a source of that, summarise a summary of all sources."""
    keys, inputs = list(product(visits, detectors)), list(inputs)
    values = [("CAM", *key) for key in keys]
    calexps = dict(zip(keys, made.put_datasets(staging, made.CALEXP, run, values), strict=True))
    sources = dict(zip(keys, made.put_datasets(staging, "source", run, values), strict=True))
    calibrate = dict(zip(keys, new_ids(len(keys)), strict=True))
    measure = dict(zip(keys, new_ids(len(keys)), strict=True))
    last = made.put_datasets(staging, "summary", summary_in or run, [("CAM",)])[0] if summary else None
    summarise = new_id() if summary else None
    rows: list[tuple[Any, ...]] = [(q, run, "calibrate", key, "succeeded") for key, q in calibrate.items()]
    rows += [(q, run, "measure", key, "succeeded") for key, q in measure.items()]
    if summarise is not None:
        rows.append((summarise, summary_in or run, "summarise", None, "succeeded"))
    read: list[tuple[Any, ...]] = [(calibrate[k], i, "raw") for k in keys for i in inputs]
    read += [(measure[k], calexps[k], "image") for k in keys]
    read += [(summarise, sources[k], "sources") for k in keys if summarise is not None]
    wrote: list[tuple[Any, ...]] = [(calibrate[k], calexps[k], "image") for k in keys]
    wrote += [(measure[k], sources[k], "table") for k in keys]
    wrote += [(summarise, last, "summary")] if summarise is not None else []
    with staging.registry.write() as tx:
        tx.insert_quanta(quanta_rows(rows))
        tx.insert_quantum_inputs(Columns.from_rows(QUANTUM_INPUT, [(*r, True) for r in read]))
        tx.insert_quantum_outputs(Columns.from_rows(QUANTUM_OUTPUT, wrote))
    return Steps(calexps, sources, last, calibrate, measure, summarise)


def quanta_rows(rows: Sequence[tuple[Any, ...]], *, attempt: int = 0) -> Columns:
    """Rows of quanta from id, run, task, (visit, detector) or None, and status."""
    graph = new_id()
    full = []
    for i, (q, run, task, key, status) in enumerate(rows):
        data_id = {"instrument": "CAM"} | ({} if key is None else {"visit": key[0], "detector": key[1]})
        full.append(
            (
                q,
                run,
                task,
                json.dumps(data_id),
                status,
                attempt,
                10 + i,
                20 + i + attempt,
                5,
                1000,
                "here",
                "",
                graph,
            )
        )
    return Columns.from_rows(QUANTUM, full)


def plan(staging: Repo, upstream: Repo, *runs: str, **options: Any) -> PushPlan:
    options = {"campaign": made.CAMPAIGN, "register_dataset_types": True, **options}
    return plan_push(staging, upstream, list(runs or (RUN,)), **options)


def push(staging: Repo, upstream: Repo, *runs: str, **options: Any) -> PushResult:
    """Push; what was done has to be what was planned."""
    planned = plan(staging, upstream, *runs, **options)
    result = execute_push(planned, staging, upstream)
    assert planned.counts == result.counts
    return result


def provenance(repo: Repo, *runs: str) -> tuple[set[bytes], set[bytes]]:
    """Ids of the quanta of runs, and of the datasets that they are said to have made."""
    with repo.registry.read() as snap:
        quanta, made_by = snap.quanta(list(runs)), snap.quantum_outputs(list(runs))
    return set(quanta["id"].tolist()), set(made_by["dataset_id"].tolist())


def held(repo: Repo, *runs: str) -> dict[str, int]:
    """Number of datasets of runs by type."""
    out: dict[str, int] = {}
    with repo.registry.read() as snap:
        for name, _, n in snap.count_datasets(list(runs)).rows(("dataset_type", "run", "n")):
            out[name] = out.get(name, 0) + n
    return out


def sql(path: Path, statement: str, *values: object) -> None:
    """Change an SQLite database behind its back."""
    with sqlite3.connect(path) as database:
        database.execute(statement, values)
    database.close()
