"""Pruning by columns keeps what a plain reading of the rule keeps."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stage.graph.building.prune import DraftConnection, DraftTask, prune, surviving
from stage.graph.table import Csr

N = 6


@st.composite
def pipelines(draw: Any) -> tuple[list[dict[str, Any]], set[int]]:
    """Return tasks in order, each reading anything made before, and which overall inputs exist."""
    types, tasks = ["raw"], []
    for number in range(draw(st.integers(1, 4))):
        inputs = {}
        for kind in draw(st.lists(st.sampled_from(types), min_size=1, max_size=2, unique=True)):
            lists = draw(st.lists(st.sets(st.integers(0, N - 1), max_size=4), min_size=N, max_size=N))
            inputs[kind] = (draw(st.integers(0, 3)), [sorted(row) for row in lists])
        tasks.append({"label": f"t{number}", "inputs": inputs, "output": f"d{number}"})
        types.append(f"d{number}")
    return tasks, draw(st.sets(st.integers(0, N - 1)))


def oracle(tasks: list[dict[str, Any]], raw: set[int]) -> tuple[dict[str, set[int]], dict[str, set[int]]]:
    """Drop quanta one at a time until none has too few inputs."""
    quanta = {t["label"]: set(range(N)) for t in tasks}
    while True:
        there = {"raw": set(raw)} | {t["output"]: set(quanta[t["label"]]) for t in tasks}
        bad = [
            (t["label"], q)
            for t in tasks
            for q in quanta[t["label"]]
            for kind, (minimum, lists) in t["inputs"].items()
            if len(there[kind] & set(lists[q])) < minimum
        ]
        if not bad:
            break
        quanta[bad[0][0]].discard(bad[0][1])
    read = {d for t in tasks for q in quanta[t["label"]] for d in t["inputs"].get("raw", (0, [[]] * N))[1][q]}
    return quanta, there | {"raw": there["raw"] & read}


def csr(lists: list[list[int]]) -> Csr:
    """Return edges from lists."""
    owner = np.array([i for i, row in enumerate(lists) for _ in row], dtype=np.int64)
    return Csr.from_pairs(len(lists), owner, np.array([d for row in lists for d in row], dtype=np.int64))


@given(pipelines())
@settings(max_examples=100)
def test_pruning_keeps_what_the_rule_keeps(case):
    """Quanta, datasets and edges, for any pipeline and any inputs."""
    tasks, raw = case
    drafts = []
    for t in tasks:
        connections = [
            DraftConnection(k, k, is_input=True, minimum=m, edges=csr(lists))
            for k, (m, lists) in t["inputs"].items()
        ]
        connections.append(
            DraftConnection("out", t["output"], is_input=False, minimum=1, edges=Csr.one_each(N))
        )
        drafts.append(DraftTask(t["label"], N, connections))
    exists = np.isin(np.arange(N), sorted(raw))
    sizes = {"raw": N, **{t["output"]: N for t in tasks}}
    found = prune(drafts, {"raw": exists}, sizes)
    quanta, datasets = oracle(tasks, raw)
    assert quanta == {k: set(np.flatnonzero(v).tolist()) for k, v in found.quanta.items()}
    assert datasets == {k: set(np.flatnonzero(v).tolist()) for k, v in found.datasets.items()}
    for t, draft in zip(tasks, drafts, strict=True):
        for c in draft.connections[:-1]:
            kept = sorted(quanta[t["label"]])
            place = {d: i for i, d in enumerate(sorted(datasets[c.dataset_type]))}
            expected = [[place[d] for d in t["inputs"][c.name][1][q] if d in place] for q in kept]
            edges = surviving(c.edges, found.quanta[t["label"]], found.datasets[c.dataset_type])
            assert expected == [edges.of(i).tolist() for i in range(len(kept))]
