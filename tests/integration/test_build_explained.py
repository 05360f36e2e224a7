"""Builds that explain themselves: the cause of an empty graph, and where the quanta of a healthy one come from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from registry.errors import IntegrityError, UsageError
from registry.model.collections import CollectionType
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.refs import new_ids
from stage.graph.building.build import build_from_view
from stage.graph.building.question import Question
from stage.graph.building.view import BuildView
from stage.graph.explaining.explain import lines
from stage.graph.graph import QuantumGraph
from stage.graph.layout import Header
from stage.pipeline.node import TaskNode
from sync.repo import Repo
from tests.graph_helpers import connection, node
from tests.regions import UNIVERSE, patches, square, survey, visits

VISIT = ("instrument", "visit")
SHOT = ("instrument", "visit", "detector")
PATCH = ("skymap", "tract", "patch")


def clean() -> TaskNode:
    """Return a task that cleans the raw of each detector of a visit."""
    return node("clean", SHOT, connection("raw", "input", SHOT), connection("image", "output", SHOT))


def detect(minimum: int = 1) -> TaskNode:
    """Return a task over the detectors of a visit."""
    parts = connection("images", "input", SHOT, "image", multiple=True, minimum=minimum)
    return node("detect", VISIT, parts, connection("stars", "output", VISIT))


def coadd(source: str = "image") -> TaskNode:
    """Return a task over all that overlaps a patch."""
    parts = connection("parts", "input", SHOT, source, multiple=True)
    return node("coadd", PATCH, parts, connection("sum", "output", PATCH))


def insert(repo: Repo, name: str, run: str, dims: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    """Insert datasets without files, registering what they need."""
    with repo.registry.write() as change:
        change.register_run(run)
        change.register_dataset_type(DatasetType(name, UNIVERSE.group(dims), "Json"))
        columns = Columns.from_rows(UNIVERSE.group(dims).required, rows)
        change.insert_datasets(name, run, columns.with_column("id", new_ids(len(rows))))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository of three visits: the first two over patch 0, the third over none; patch 1 is far off.

    Raws of visits 1 and 3 are in ``in/raw``; flats only in ``old/flat``; an exposure belongs to no visit.
    """
    root = tmp_path_factory.mktemp("explained") / "repo"
    with Repo.create(str(root), UNIVERSE) as repo:
        with repo.registry.write() as change:
            for element, rows in survey().items():
                change.insert_records(element, rows)
            change.insert_records("visit", visits([square(10, 0), square(10, 0), square(200, 0)]))
            change.insert_records(
                "tract", Columns({"skymap": ["S"], "tract": [0], "region": [square(10, 0, 2)]})
            )
            change.insert_records("patch", patches([square(10, 0), square(60, 0)]))
            regions = {1: square(10, 0), 2: square(10, 0), 3: square(200, 0)}
            rows = [("I", d, v, region) for v, region in regions.items() for d in (0, 1, 2)]
            change.insert_records(
                "visit_detector_region",
                Columns.from_rows(("instrument", "detector", "visit", "region"), rows),
            )
            change.insert_records("group", Columns({"instrument": ["I"], "group": ["g"]}))
            change.insert_records(
                "exposure",
                Columns(
                    {
                        "instrument": ["I"], "exposure": [7], "day_obs": [20200101], "group": ["g"],
                        "physical_filter": ["r1"], "obs_id": ["e7"],
                    }
                ),
            )  # fmt: skip
        insert(repo, "raw", "in/raw", SHOT, [("I", d, v) for v in (1, 3) for d in (0, 1, 2)])
        insert(repo, "flat", "old/flat", ("instrument", "detector"), [("I", 0)])
        insert(repo, "far", "in/far", SHOT, [("I", 0, 3)])
        insert(repo, "made", "in/made", ("instrument", "exposure"), [("I", 7)])
        with repo.registry.write() as change:
            change.register_run("in/empty")
            bias = DatasetType(
                "bias", UNIVERSE.group(("instrument", "detector")), "Json", is_calibration=True
            )
            change.register_dataset_type(bias)
            change.register_run("in/bias")
            rows = Columns({"instrument": ["I"], "detector": [0], "id": new_ids(1)})
            change.insert_datasets("bias", "in/bias", rows)
            change.register_collection("in/calib", CollectionType.CALIBRATION)
            change.certify("in/calib", rows["id"].tolist())
            change.set_chain("in", ["in/raw", "in/far", "in/made"])
    return root


def build(
    root: Path,
    nodes: list[TaskNode],
    where: str = "instrument = 'I'",
    collections: tuple[str, ...] = ("in",),
    options: dict[str, Any] | None = None,
    **more: Any,
) -> QuantumGraph:
    """Build on the repository."""
    with Repo.open(str(root)) as repo, BuildView(repo) as view:
        header = Header(bytes(range(16)), input_collections=collections)
        return build_from_view(nodes, view, Question(where, **more), header, **(options or {}))


FLAT = node(
    "flatten",
    ("instrument", "detector"),
    connection("flat", "input", ("instrument", "detector")),
    connection("flatter", "output", ("instrument", "detector")),
)
DEFINED = node(
    "define",
    ("instrument", "exposure", "visit"),
    connection("made", "input", ("instrument", "exposure")),
    connection("defined", "output", VISIT, multiple=True),
)
STARS = node(
    "stars",
    ("healpix9", *VISIT),
    connection("raw", "input", SHOT, multiple=True),
    connection("pixels", "output", ("healpix9", *VISIT)),
)

CAUSES: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "expression, mistyped value": (
        {"nodes": [clean()], "where": "instrument = 'I' AND visit IN (33)"},
        "unknown-value", "clean: there is no visit 33", "Did you mean '3'?",
    ),
    "expression, mistyped instrument": (
        {"nodes": [clean()], "where": "instrument = 'II' AND visit = 1"},
        "unknown-value", "there is no instrument 'II'", "Did you mean 'I'?",
    ),
    "expression, condition": (
        {"nodes": [clean()], "where": "instrument = 'I' AND visit > 1 AND visit.exposure_time > 4.5"},
        "no-match", "satisfies 'visit.exposure_time > 4.5'", "",
    ),
    "data ID": (
        {"nodes": [clean()], "data_id": {"instrument": "I", "visit": 5}},
        "unknown-value", "there is no visit 5", "There are: 1, 2, 3.",
    ),
    "table of other values": (
        {"nodes": [clean()], "table": Columns({"visit": [30, 31]})},
        "not-in-table", "is among the 2 of the table: there is no visit 30, 31", "Did you mean '3'?",
    ),
    "table and expression": (
        {"nodes": [clean()], "where": "instrument = 'I' AND visit = 1", "table": Columns({"instrument": ["I"], "visit": [3]})},
        "not-in-table", "that the expression or the data ID chooses is among the 1 of the table", "Leave one of the two out",
    ),
    "table without rows": (
        {"nodes": [clean()], "table": Columns({"visit": []})},
        "not-in-table", "the table has no data IDs", "Put some into it",
    ),
    "dataset type in another collection": (
        {"nodes": [FLAT]},
        "no-datasets", "there is no 'flat' in in/raw, in/far, in/made", "There are some in: old/flat.",
    ),
    "empty collection": (
        {"nodes": [clean()], "collections": ("in/empty",)},
        "no-datasets", "there is no 'raw' in in/empty, which holds no dataset at all", "in/raw",
    ),
    "calibrations only": (
        {"nodes": [clean()], "collections": ("in/calib",)},
        "no-datasets", "there is no 'raw' in in/calib, which holds calibrations only", "in/raw",
    ),
    "no collection": (
        {"nodes": [clean()], "collections": ()},
        "no-datasets", "there is no 'raw' in no collection", "in/raw",
    ),
    "no visit definition": (
        {"nodes": [DEFINED]},
        "no-join", "there are no records of 'visit_definition'", "",
    ),
    "no overlap": (
        {"nodes": [clean(), coadd()], "where": "instrument = 'I' AND skymap = 'S' AND tract = 0 AND visit = 3"},
        "no-join", "no regions of visit_detector_region and tract of those chosen overlap on the sky", "",
    ),
    "datasets that overlap nothing": (
        {"nodes": [coadd("far")], "where": "instrument = 'I' AND skymap = 'S'"},
        "no-join", "there are 'far' for data IDs chosen ({instrument=I, detector=0, visit=3})", "",
    ),
    "other data IDs": (
        {"nodes": [clean()], "where": "instrument = 'I' AND visit = 2"},
        "other-data-ids", "chosen (as {instrument=I, detector=0, visit=2}", "add the collection that has these",
    ),
    "minimum": (
        {"nodes": [clean(), detect(4)]},
        "too-few-inputs", "detect: 2 of 2 quanta dropped, without 4 'image' for 'images'", "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CAUSES)
def test_the_cause_of_an_empty_graph_is_named(root, name):
    """What was asked for and is not there; its nearest neighbour or its place, where there is one."""
    given, code, text, hint = CAUSES[name]
    given = dict(given)
    nodes = given.pop("nodes")
    if name == "minimum":
        found = build(root, nodes, options={"explain": True}, **given).header.metadata["explanation"][
            "causes"
        ]
    else:
        with pytest.raises(UsageError) as caught:
            build(root, nodes, **given)

        assert caught.value.code == "empty-graph"
        assert text in caught.value.message
        found = caught.value.context["explanation"]["causes"]

    assert [c["code"] for c in found] == [code]
    assert text in f"{', '.join(found[0]['tasks'])}: {found[0]['text']}"
    assert hint in found[0]["hint"]


def explanation(root: Path, nodes: list[TaskNode], where: str = "instrument = 'I'", **options: Any) -> Any:
    """Return the document that a build leaves in the graph's header."""
    graph = build(root, nodes, where, options={"explain": True, **options})
    return graph.header.metadata["explanation"]


def test_a_healthy_graph_tells_where_its_quanta_come_from(root):
    """What the records allow, and what each condition and each overall input leaves of it, task by task."""
    found = explanation(root, [clean(), detect(3)], "instrument = 'I' AND visit > 1")
    steps = [(s["kind"], s["data_ids"], s["tasks"]["detect"], s["more"]) for s in found["groups"][0]["steps"]]

    assert [
        ("records", 9, 3, False), ("expression", 9, 3, False), ("expression", 6, 2, False), ("dataset-type", 3, 1, False),
    ] == steps  # fmt: skip
    assert [("clean", 3, 3), ("detect", 1, 1)] == [
        (t["task"], t["data_ids"], t["quanta"]) for t in found["tasks"]
    ]
    assert ["in/raw", "in/far", "in/made"] == found["collections"]
    assert [] == found["causes"]


def test_quanta_that_pruning_drops_are_told_with_their_first_data_ids(root):
    """For want of which input, how many, of how many."""
    found = explanation(root, [clean(), detect(4)])
    dropped = found["tasks"][1]["dropped"]

    assert [("images", "image", 4, 2, 2)] == [
        (d["connection"], d["dataset_type"], d["minimum"], d["dropped"], d["of"]) for d in dropped
    ]
    assert [{"instrument": "I", "visit": 1}, {"instrument": "I", "visit": 3}] == dropped[0]["first"]
    assert "{instrument=I, visit=1}, {instrument=I, visit=3}" in " ".join(" ".join(lines(found)).split())


def test_quanta_done_already_are_the_cause(tmp_path):
    """Where all are skipped, that is said, and nothing else."""
    with Repo.create(str(tmp_path / "repo"), UNIVERSE) as repo:
        with repo.registry.write() as change:
            for element, rows in survey().items():
                change.insert_records(element, rows)
            change.insert_records("visit", visits([None]))
        for name in ("raw", "image", "clean_metadata"):
            insert(repo, name, "run", SHOT, [("I", 0, 1)])
    with pytest.raises(UsageError) as caught:
        build(tmp_path / "repo", [clean()], collections=("run",), options={"skip_existing_in": ("run",)})

    assert ["done-already"] == [c["code"] for c in caught.value.context["explanation"]["causes"]]
    assert "clean: 1 of 1 quanta skipped, done already" in caught.value.message


def test_a_task_without_quanta_beside_others_is_explained(root):
    """One group of tasks may be empty while another one is not."""
    found = explanation(root, [clean(), FLAT])

    assert [(["flatten"], "no-datasets")] == [(c["tasks"], c["code"]) for c in found["causes"]]
    assert [6, 0] == [t["quanta"] for t in found["tasks"]]


def test_a_pipeline_without_tasks_is_the_cause(root):
    """There is nothing to build."""
    with pytest.raises(UsageError, match="it has no tasks"):
        build(root, [])


def test_only_the_first_of_several_losses_is_a_cause(root):
    """What the tasks after it lack follows from it."""
    last = node("last", VISIT, connection("stars", "input", VISIT), connection("end", "output", VISIT))
    found = explanation(root, [clean(), detect(4), last])

    assert [["detect"]] == [c["tasks"] for c in found["causes"]]
    assert ["stars"] == [d["dataset_type"] for d in found["tasks"][2]["dropped"]]


def test_an_explanation_fits_a_terminal(root):
    """All lines of it, as a graph file keeps it; nothing in it drives the terminal."""
    where = "instrument = 'I'\n AND visit > 0 AND skymap = 'S'"
    document = json.loads(json.dumps(explanation(root, [clean(), detect(), coadd()], where)))
    found = lines(document)

    assert all(len(line) <= 80 and line.isprintable() for line in found)
    assert "data IDs of clean, detect, coadd" == found[0]
    assert any(line.endswith("that satisfy visit > 0") for line in found)
    assert any(line.split() == ["clean", "3", "0", "3"] for line in found)


def test_the_number_of_questions_follows_constraints_and_types(root):
    """And not the data: one for each step, whatever it leaves."""

    def asked(where: str) -> int:
        with Repo.open(str(root)) as repo, BuildView(repo) as view:
            questions: list[Any] = []
            ask = view.data_ids
            view.data_ids = lambda *a, **k: questions.append(a) or ask(*a, **k)  # type: ignore[method-assign]
            header = Header(bytes(range(16)), input_collections=("in",))
            build_from_view([clean(), detect()], view, Question(where), header, explain=True)
        return len(questions)

    assert asked("instrument = 'I'") == asked("instrument = 'I'  ")
    assert asked("instrument = 'I' AND visit = 1") == asked("instrument = 'I'") + 1
    assert asked("instrument = 'I'") <= 1 + 3


@pytest.mark.parametrize(
    "document", [{}, {"groups": 1}, {"groups": [{"tasks": []}]}, [], {"groups": [], "tasks": [{}]}]
)
def test_what_is_no_explanation_is_refused(document):
    """A graph file may be anybody's."""
    with pytest.raises(IntegrityError) as caught:
        lines(document)

    assert "not-an-explanation" == caught.value.code
