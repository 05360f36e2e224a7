"""What it costs to build graphs of other shapes than a chain, and to look again for what a graph reads.

    python -m benchmarks.bench_graph_kinds [--n 1000 10000 100000] [--only graph-build-coadd] [--json results.json]

- ``graph-build-gather``: isr(exposure, detector) → a gather (visit) → one gather over all visits of an instrument.
- ``graph-build-coadd``: warp(patch, visit) from all detectors of a visit whose regions overlap a patch, → coadd(patch, band). Regions
  are real: visits of ten detectors in a field, twenty visits a field, patches of 0.1 degree under them.
- ``graph-refresh``: all inputs of the chain of ``bench_graph`` found anew; its floor is to build the graph.

The floor of the others is their tables and edges in bare SQLite, from data IDs that are at hand: of the coadds, not even the overlaps are in it.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.bench_graph import (
    IMAGE,
    RAW,
    UNIVERSE,
    VISIT,
    Replay,
    cpu,
    floor_sqlite,
    main,
    nodes,
    row,
    survey,
    task,
)
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.refs import new_id, new_ids
from registry.model.regions import encode_polygon
from stage.graph.building.build import build_from_view
from stage.graph.building.question import Question
from stage.graph.building.view import BuildView
from stage.graph.changing.refresh import refresh
from stage.graph.graph import QuantumGraph
from stage.graph.layout import Header
from stage.pipeline.node import ConnectionDef, TaskNode
from sync.repo import Repo

IDS = ("graph-build-gather", "graph-build-coadd", "graph-refresh")
WARP = ("instrument", "skymap", "tract", "patch", "visit")
COADD = ("skymap", "tract", "patch", "band")
BANDS = "gri"
VISITS_A_FIELD = 20
DETECTORS = [(0.2 * x, 0.2 * y) for x, y in product(range(5), range(2))]
PATCHES = [(0.05 + 0.1 * x, 0.05 + 0.1 * y) for x, y in product(range(11), range(5))]
QUANTA_A_FIELD = 621
"""Quanta that a field makes, about: a warp for each patch that a visit touches, a coadd for each patch and band."""


def gather_nodes() -> list[TaskNode]:
    """Make the pipeline of gathers."""
    return [
        task("isr", RAW, ConnectionDef("source", "input", "raw", "Json", RAW), "image"),
        task("gather", VISIT, ConnectionDef("source", "input", "image", "Json", RAW, multiple=True), "summary"),
        task(
            "all", ("instrument",), ConnectionDef("source", "input", "summary", "Json", VISIT, multiple=True), "total"
        ),
    ]  # fmt: skip


def coadd_nodes() -> list[TaskNode]:
    """Make the pipeline of warps and coadds."""
    return [
        task("warp", WARP, ConnectionDef("source", "input", "image", "Json", IMAGE, multiple=True), "warped"),
        task(
            "coadd", COADD, ConnectionDef("source", "input", "warped", "Json", WARP, multiple=True), "coadded"
        ),
    ]


def square(lon: float, lat: float, half: float) -> bytes:
    """Return a square around a place, degrees."""
    corners = ((-half, -half), (half, -half), (half, half), (-half, half))
    return encode_polygon([(lon + x, lat + y) for x, y in corners])


def sky(root: Path, n_quanta: int) -> Repo:
    """Make an upstream of fields that visits have covered, with an image of each detector of each visit."""
    n_fields = max(1, round(n_quanta / QUANTA_A_FIELD))
    repo = Repo.create(root / "up", UNIVERSE)
    visits = list(range(n_fields * VISITS_A_FIELD))
    place = [((v // VISITS_A_FIELD) % 150 * 2.0, (v // VISITS_A_FIELD) // 150 * 1.0 - 40.0) for v in visits]
    with repo.registry.write() as change:
        for name, table in _sky_records(n_fields, visits, place):
            change.insert_records(name, table)
        change.register_run("images")
        change.register_dataset_type(DatasetType("image", UNIVERSE.group(IMAGE), "Json"))
        visit, detector = np.repeat(visits, 10), np.tile(np.arange(10), len(visits))
        n = len(visit)
        columns = {"instrument": ["CAM"] * n, "detector": detector, "visit": visit, "id": new_ids(n)}
        columns |= {"uri": [f"images/{i}.json" for i in range(n)], "size": np.arange(n) + 1}
        change.insert_datasets(
            "image", "images", Columns(columns | {"checksum": [""] * n, "formatter": ["json"] * n})
        )
    return repo


def _sky_records(
    n_fields: int, visits: list[int], place: list[tuple[float, float]]
) -> Iterator[tuple[str, Columns]]:
    yield "instrument", Columns({"instrument": ["CAM"]})
    filters = {"instrument": ["CAM"] * 3, "physical_filter": list(BANDS), "band": list(BANDS)}
    yield "physical_filter", Columns(filters)
    yield "day_obs", Columns({"instrument": ["CAM"], "day_obs": [20260101]})
    names = [f"d{i}" for i in range(10)]
    yield (
        "detector",
        Columns({"instrument": ["CAM"] * 10, "detector": list(range(10)), "full_name": names}),
    )
    yield "skymap", Columns({"skymap": ["SKY"], "hash": [b"sky"]})
    fields = list(range(n_fields))
    middle = [place[f * VISITS_A_FIELD] for f in fields]
    tracts = {"skymap": ["SKY"] * n_fields, "tract": fields}
    yield "tract", Columns({**tracts, "region": [square(x + 0.5, y + 0.25, 0.9) for x, y in middle]})
    patches = [(f, p, middle[f][0] + a, middle[f][1] + b) for f in fields for p, (a, b) in enumerate(PATCHES)]
    n = len(patches)
    where = {"skymap": ["SKY"] * n, "tract": [p[0] for p in patches], "patch": [p[1] for p in patches]}
    cells = {"cell_x": [p[1] // 5 for p in patches], "cell_y": [p[1] % 5 for p in patches]}
    yield "patch", Columns({**where, **cells, "region": [square(x, y, 0.05) for _, _, x, y in patches]})
    n = len(visits)
    common = {"instrument": ["CAM"] * n, "visit": visits, "day_obs": [20260101] * n}
    common |= {"physical_filter": [BANDS[v % 3] for v in visits], "name": [f"v{v}" for v in visits]}
    yield "visit", Columns({**common, "region": [square(x + 0.4, y + 0.1, 0.6) for x, y in place]})
    pairs = [(v, d, place[v][0] + a, place[v][1] + b) for v in visits for d, (a, b) in enumerate(DETECTORS)]
    n = len(pairs)
    key = {"instrument": ["CAM"] * n, "detector": [p[1] for p in pairs], "visit": [p[0] for p in pairs]}
    yield (
        "visit_detector_region",
        Columns({**key, "region": [square(x, y, 0.095) for _, _, x, y in pairs]}),
    )


def _build(
    repo: Repo, pipeline: list[TaskNode], run: str
) -> tuple[Callable[[], QuantumGraph], BuildView, Header]:
    view, header = BuildView(repo), Header(new_id(), input_collections=(run,))

    def build() -> QuantumGraph:
        with view:
            return build_from_view(pipeline, view, Question(), header)

    return build, view, header


def _shape(
    name: str, repo: Repo, pipeline: list[TaskNode], run: str, tables: dict[str, tuple[str, ...]]
) -> dict[str, Any]:
    """Measure one pipeline against its tables in bare SQLite."""
    build, view, header = _build(repo, pipeline, run)
    build()
    ours, graph = cpu(build)
    replay = Replay(view)
    with view:
        build_from_view(pipeline, replay, Question(), header)  # type: ignore[arg-type]
    asked = [rows for key, rows in replay.known.items() if key[0] == "data_ids"]
    rows = max(asked, key=lambda r: (len(r.names), r.n_rows))
    columns = tuple(dict.fromkeys(d for dims in tables.values() for d in dims))
    tuples = rows.rows(columns)
    floor, _ = cpu(lambda: floor_sqlite(tuples, columns, tables))
    n = graph.n_quanta
    return row(name, n, ours / n * 1e6, floor / n * 1e6, "µs/quantum")


def _again(repo: Repo) -> dict[str, Any]:
    """Measure how all inputs of a graph are found anew."""
    build, view, _ = _build(repo, nodes(), "raw/all")
    graph = build().retarget("u/bench/run")

    def act() -> object:
        with view:
            return refresh(graph, view, input_collections=["raw/all"])

    act()
    ours, _ = cpu(act)
    build_s, _ = cpu(build)
    n = graph.n_quanta
    return row("graph-refresh", n, ours / n * 1e6, build_s / n * 1e6, "µs/quantum")


def one_size(n: int, only: set[str]) -> list[dict[str, Any]]:
    """Measure one size."""
    out = []
    gather = {"raw": RAW, "image": RAW, "summary": VISIT, "total": ("instrument",)}
    coadd = {"image": IMAGE, "warped": WARP, "coadded": COADD}
    with tempfile.TemporaryDirectory(prefix="bench-graph-") as folder:
        if not only or "graph-refresh" in only:
            with survey(Path(folder) / "chain", n) as repo:
                out.append(_again(repo))
        if not only or "graph-build-gather" in only:
            with survey(Path(folder) / "gather", 5 * n) as repo:
                out.append(_shape("graph-build-gather", repo, gather_nodes(), "raw/all", gather))
        if not only or "graph-build-coadd" in only:
            with sky(Path(folder) / "sky", n) as repo:
                out.append(_shape("graph-build-coadd", repo, coadd_nodes(), "images", coadd))
    return out


if __name__ == "__main__":
    sys.exit(main(program="bench_graph_kinds", ids=IDS, measure=one_size))
