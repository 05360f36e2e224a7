"""Calibrations as prerequisites: found by the time of each quantum, collection by collection, on either side."""

from __future__ import annotations

from typing import Any

import pytest

from registry.errors import DataIdError, NotFoundError
from registry.model.collections import CollectionType
from registry.model.columns import Columns
from registry.model.refs import id_text, new_ids
from registry.registry import Change, Registry
from stage.graph.building.build import build_from_view
from stage.graph.building.question import Question
from stage.graph.building.view import BuildView
from stage.graph.graph import QuantumGraph
from stage.graph.layout import Header
from sync.fsspec_store import FsspecDatastore
from sync.repo import Repo
from tests.databases import Database, sent
from tests.graph_helpers import connection, node
from tests.registry_builders import add_camera, dataset_type

DAY = 86_400 * 10**9
EXPOSURES = {1: ("g1", 10), 2: ("r1", 20), 3: ("g1", 30)}
"""Filter of each exposure, and the day on which it is taken."""
RAW, BIAS = ("instrument", "exposure", "detector"), ("instrument", "detector")
FLAT = ("instrument", "detector", "physical_filter")
DETECTORS = (0, 1)


def records(change: Change) -> None:
    """Insert a camera and its exposures."""
    add_camera(change)
    filters, days = zip(*EXPOSURES.values(), strict=True)
    n = len(EXPOSURES)
    change.insert_records("group", Columns({"instrument": ["Cam"], "group": ["g"]}))
    exposures: dict[str, Any] = {
        "instrument": ["Cam"] * n, "exposure": list(EXPOSURES), "day_obs": [20240101] * n, "group": ["g"] * n,
        "physical_filter": list(filters), "obs_id": [f"e{i}" for i in EXPOSURES],
        "timespan_begin": [d * DAY for d in days], "timespan_end": [d * DAY + DAY // 24 for d in days],
    }  # fmt: skip
    change.insert_records("exposure", Columns(exposures))


def put(
    change: Change, name: str, run: str, dims: tuple[str, ...], rows: list[tuple[Any, ...]]
) -> list[bytes]:
    """Insert datasets of a type; return their ids."""
    change.register_dataset_type(dataset_type(name, *dims, is_calibration=name != "raw"))
    change.register_run(run)
    ids = new_ids(len(rows))
    stored = {"uri": [f"{run}/{i.hex()}.json" for i in ids], "size": [7] * len(ids)}
    stored |= {"checksum": ["blake3:00"] * len(ids), "formatter": ["json"] * len(ids)}
    given = Columns.from_rows(dims, rows)
    change.insert_datasets(name, run, Columns({**{k: given[k] for k in dims}, "id": ids, **stored}))
    return ids


def certify(change: Change, collection: str, ids: list[bytes], begin: int | None, end: int | None) -> None:
    """Let datasets be valid on some days."""
    change.register_collection(collection, CollectionType.CALIBRATION)
    change.certify(collection, ids, *(None if d is None else d * DAY for d in (begin, end)))


def bias(change: Change, run: str) -> list[bytes]:
    """Insert a bias for each detector."""
    return put(change, "bias", run, BIAS, [("Cam", d) for d in DETECTORS])


def repo_of(registry: Registry, name: str) -> Repo:
    """Return a repository that holds nothing but rows."""
    return Repo(f"/{name}", registry, FsspecDatastore(f"memory://{name}"))


@pytest.fixture
def upstream(database: Database) -> Repo:
    """Raws of two detectors in three exposures; one bias up to day 15, another one from then on."""
    registry = database.registry()
    with registry.write() as change:
        records(change)
        put(change, "raw", "in", RAW, [("Cam", e, d) for e in EXPOSURES for d in DETECTORS])
        certify(change, "calib", bias(change, "old"), None, 15)
        certify(change, "calib", bias(change, "new"), 15, None)
    return repo_of(registry, "up")


def build(
    view: BuildView, collections: tuple[str, ...], prerequisite: Any = None, dims: Any = RAW
) -> QuantumGraph:
    """Build one task that reads raws and a calibration."""
    task = node(
        "clean",
        dims,
        connection("raw", "input", RAW, multiple=True),
        prerequisite or connection("bias", "prerequisite", BIAS, is_calibration=True),
        connection("image", "output", dims),
    )
    with view:
        return build_from_view([task], view, Question(), Header(bytes(16), input_collections=collections))


def runs(graph: QuantumGraph, name: str = "bias") -> dict[int, list[str]]:
    """Return the runs of a calibration, exposure by exposure."""
    out: dict[int, list[str]] = {}
    for q in graph.quanta(range(graph.n_quanta)):
        out.setdefault(q.data_id["exposure"], []).extend(d.run for d in q.inputs[name])
    return out


def test_each_quantum_gets_what_is_valid_at_its_time(upstream):
    """Two biases of one data ID are in one graph: each once, and each with its artifact."""
    graph = build(BuildView(upstream), ("in", "calib"))
    assert runs(graph) == {1: ["old", "old"], 2: ["new", "new"], 3: ["new", "new"]}
    assert {t.name: t.n_datasets for t in graph.layout.types}["bias"] == 4
    q = graph.quantum(0)
    assert q.inputs["bias"][0].data_id == {"instrument": "Cam", "detector": q.data_id["detector"]}
    assert q.inputs["bias"][0].uri.startswith("memory://up/old/")


def test_a_graph_with_them_is_saved_and_loaded(upstream, tmp_path):
    """With two datasets of one data ID."""
    graph = build(BuildView(upstream), ("in", "calib"))
    graph.save(tmp_path / "g.qg")
    assert runs(QuantumGraph.load(tmp_path / "g.qg")) == runs(graph)


def test_the_first_collection_that_holds_one_decides(upstream):
    """In the order of the search path; what RUN collections hold is valid always."""
    with upstream.registry.write() as change:
        certify(change, "fixes", bias(change, "best"), 25, 35)
    view = BuildView(upstream)
    assert runs(build(view, ("in", "fixes", "calib")))[3] == ["best", "best"]
    assert runs(build(view, ("in", "calib", "fixes")))[3] == ["new", "new"]
    assert runs(build(view, ("old", "in", "calib"))) == {e: ["old", "old"] for e in EXPOSURES}


def test_dimensions_that_the_time_implies_count(upstream):
    """A flat is that of the filter of the exposure."""
    with upstream.registry.write() as change:
        rows = [("Cam", d, f) for d in DETECTORS for f in ("g1", "r1")]
        certify(change, "calib", put(change, "flat", "flats", FLAT, rows), None, None)
    flat = connection("flat", "prerequisite", FLAT, is_calibration=True)
    graph = build(BuildView(upstream), ("in", "calib"), flat)
    got = {
        (q.data_id["exposure"], q.inputs["flat"][0].data_id["physical_filter"])
        for q in graph.quanta(range(6))
    }
    assert got == {(e, f) for e, (f, _) in EXPOSURES.items()}


def test_what_is_valid_at_no_time_is_missing(upstream):
    """Unless it is optional; the message names the quanta."""
    with upstream.registry.write() as change:
        certify(change, "gap", bias(change, "short"), 0, 25)
    with pytest.raises(
        NotFoundError, match=r"2 of 6 quanta of 'clean' lack a prerequisite.*exposure=3"
    ) as caught:
        build(BuildView(upstream), ("in", "gap"))
    assert caught.value.code == "missing-prerequisite"
    optional = connection("bias", "prerequisite", BIAS, is_calibration=True, minimum=0)
    assert runs(build(BuildView(upstream), ("in", "gap"), optional))[3] == []


def test_two_that_are_valid_at_once_are_named(upstream):
    """An exposure over which the validity changes has no one bias."""
    with upstream.registry.write() as change:
        change.register_collection("torn", CollectionType.CALIBRATION)
        ids = [bias(change, "early"), bias(change, "late")]
        half = 20 * DAY + DAY // 48
        change.certify("torn", ids[0], None, half)
        change.certify("torn", ids[1], half, None)
    with pytest.raises(DataIdError, match="more than one bias") as caught:
        build(BuildView(upstream), ("in", "torn"))
    assert caught.value.code == "calibration-ambiguous"
    assert all(id_text(i[0]) in str(caught.value) for i in ids)


def test_both_sides_are_searched_in_the_order_of_the_path(upstream, database):
    """A collection of the campaign's own before one of upstream's, or after it."""
    registry = database.registry()
    with registry.write() as change:
        records(change)
        certify(change, "mine", bias(change, "own"), 15, 25)
    view = BuildView(upstream, repo_of(registry, "ours"))
    first = build(view, ("mine", "in", "calib"))
    assert runs(first) == {1: ["old", "old"], 2: ["own", "own"], 3: ["new", "new"]}
    assert {d.uri.partition("/")[0] for q in first.quanta(range(6)) for d in q.inputs["bias"]} == {
        "memory:",
        "own",
    }
    assert runs(build(view, ("in", "calib", "mine")))[2] == ["new", "new"]
    assert len(first.wanted().dataset_ids) == 6 + 4


def test_the_number_of_statements_does_not_grow(upstream):
    """However many quanta look for how many calibrations."""

    def count() -> int:
        with sent(upstream.registry) as log:
            build(BuildView(upstream), ("in", "calib"))
        return sum("SELECT" in text.upper() for text in log)

    before = count()
    with upstream.registry.write() as change:
        more = [("Cam", e, d) for e in EXPOSURES for d in (2, 3)]
        put(change, "raw", "in", RAW, more)
        certify(change, "calib", put(change, "bias", "old", BIAS, [("Cam", 2), ("Cam", 3)]), None, None)
    assert count() == before
