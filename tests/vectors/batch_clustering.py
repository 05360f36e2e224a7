"""Vectors of clustering: quanta of a case as a table, the algorithm that it names, and the clusters compared."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import numpy as np

from registry.errors import StageError
from registry.model.columns import Columns
from stage.batch.clustering.clusters import Clusters, cluster_quanta
from stage.batch.clustering.quanta import QuantaTable
from stage.batch.config.settings import Settings
from stage.graph.table import Csr, Table
from tests.vectors.judging import judged

__all__ = ["cluster_case", "clusters_document", "is_quirk", "run_clustering", "settings_of", "table_of"]


def run_clustering(path: Path) -> Iterator[tuple[str, str, str]]:
    """Judge the cases of one file: id, text, what is wrong."""
    for case in json.loads(path.read_text(encoding="utf-8"))["cases"]:
        yield case["id"], case["algorithm"], judged(partial(_differs, case))


def _differs(case: dict[str, Any]) -> str:
    expected = case.get("expect_any") or [case["expect"]]
    try:
        answer = clusters_document(*cluster_case(case))
    except StageError as exc:
        wanted = any("error" in e or e["validate"] != "ok" for e in expected)
        return "" if wanted or is_quirk(case) else f"refused: {exc.message}"
    if is_quirk(case):
        return ""
    problems = [_compared(e, answer) for e in expected]
    return "" if "" in problems else problems[0]


def _compared(expected: dict[str, Any], answer: dict[str, Any]) -> str:
    if "error" in expected:
        return f"answered with {len(answer['clusters'])} clusters, expected a refusal ({expected['error']})"
    if expected["validate"] != "ok":
        return f"answered, expected the refusal {expected['validate']}"
    for wanted, found in zip(expected["clusters"], answer["clusters"], strict=False):
        if wanted != found:
            return f"expected {wanted}, found {found}"
    if len(expected["clusters"]) != len(answer["clusters"]):
        return f"expected {len(expected['clusters'])} clusters, found {len(answer['clusters'])}"
    return "" if expected["edges"] == answer["edges"] else f"expected edges {expected['edges']}, found {answer['edges']}"  # fmt: skip


def is_quirk(case: Mapping[str, Any]) -> bool:
    """Tell whether any answer of ours and any clean refusal will do."""
    return "quirk" in case.get("tags", ())


def cluster_case(case: Mapping[str, Any]) -> tuple[QuantaTable, Clusters]:
    """Return the quanta of a case and their clusters."""
    settings = settings_of(f"{case['config']}\nclusterAlgorithm: {case['algorithm']}\n")
    table = table_of(case["graph"])
    return table, cluster_quanta(table, settings)


def settings_of(text: str) -> Settings:
    """Return the settings that a text says, without those of the package."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "submit.yaml"
        path.write_text(text)
        return Settings.of_file(path)


def clusters_document(table: QuantaTable, clusters: Clusters) -> dict[str, Any]:
    """Return clusters as the vectors write them."""
    found, names = [], clusters.names
    for number, name in enumerate(names):
        label = clusters.labels[clusters.label_of[number]]
        quanta = clusters.quanta.of(number).astype(np.int64)
        tasks = [table.labels[t] for t in table.task_of(quanta).tolist()]
        tags = clusters.tags_of(number)
        if not clusters.sections[clusters.label_of[number]]:
            tags |= {"label": label, "node_number": table.names(quanta)[0]}
        counts = {t: tasks.count(t) for t in sorted(set(tasks))}
        found.append(
            {"name": name, "label": label, "quanta": sorted(table.names(quanta)), "counts": counts, "tags": tags}
        )  # fmt: skip
    pairs = zip(clusters.parents.indices.tolist(), clusters.parents.rows().tolist(), strict=True)
    return {
        "clusters": sorted(found, key=lambda c: c["name"]),
        "edges": sorted([names[a], names[b]] for a, b in pairs),
    }


def table_of(graph: Mapping[str, Any]) -> QuantaTable:
    """Return the quanta of a case, numbered as those of a graph are."""
    nodes = {n["id"]: n for n in graph["nodes"]}
    labels = list(dict.fromkeys([*graph.get("tasks", ()), *(n["label"] for n in graph["nodes"])]))
    edges = {(nodes[a]["label"], nodes[b]["label"]) for a, b in graph["edges"]}
    edges |= {(a, b) for a, b in graph.get("task_edges", ())}
    sorter: TopologicalSorter[str] = TopologicalSorter(dict.fromkeys(labels, ()))
    for a, b in edges:
        if a != b:
            sorter.add(b, a)
    ordered = tuple(sorter.static_order())
    of_task = [[n for n in graph["nodes"] if n["label"] == label] for label in ordered]
    ids = [n["id"] for of in of_task for n in of]
    place = {node: i for i, node in enumerate(ids)}
    pairs = sorted((place[b], place[a]) for a, b in graph["edges"])
    later, earlier = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    implied = [_columns(of, "implied") for of in of_task]
    return QuantaTable(
        ordered,
        np.cumsum([0, *map(len, of_task)]).astype(np.int64),
        tuple(_columns(of, "dataId") for of in of_task),
        Csr.from_pairs(len(ids), later, earlier),
        frozenset((ordered.index(a), ordered.index(b)) for a, b in edges if a != b),
        lambda task, name: implied[task].columns.get(name),
        ids,
    )


def _columns(nodes: list[dict[str, Any]], key: str) -> Table:
    names = list(nodes[0].get(key, {})) if nodes else []
    rows = [tuple(n[key][name] for name in names) for n in nodes]
    if not names:
        return Table({}, len(nodes))
    return Table.of(Columns.from_rows(names, rows))
