"""Builds that fail for want of a prerequisite: which quanta lack it, why, and the whole explanation beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from registry.errors import NotFoundError
from registry.model.collections import CollectionType
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.refs import new_ids
from stage.graph.building.build import build_from_view
from stage.graph.building.question import Question
from stage.graph.building.view import BuildView
from stage.graph.explaining.explain import lines
from stage.graph.layout import Header
from stage.pipeline.node import ConnectionDef, TaskNode
from sync.repo import Repo
from tests.graph_helpers import connection, node
from tests.regions import UNIVERSE, square, survey, visits

DAY = 86_400 * 10**9
VISIT = ("instrument", "visit")
SHOT = ("instrument", "visit", "detector")
CHIP = ("instrument", "detector")
INPUTS = ("in", "calib", "refcat")


def _put(change: Any, name: str, run: str, dims: tuple[str, ...], rows: list[Any], **more: Any) -> Any:
    change.register_run(run)
    change.register_dataset_type(DatasetType(name, UNIVERSE.group(dims), "Json", **more))
    ids = new_ids(len(rows))
    columns = Columns.from_rows(UNIVERSE.group(dims).required, rows).with_column("id", ids)
    change.insert_datasets(name, run, columns)
    return columns["id"].tolist()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository of three visits of three detectors, on days 10, 20 and 30 and at three places of the sky.

    A bias of detectors 0 and 1 is valid to day 15, and again from day 25; there are flats of detector 0, darks in a run
    that nobody searches, and a piece of a catalogue where visit 1 is.
    """
    root = tmp_path_factory.mktemp("lacking") / "repo"
    with Repo.create(str(root), UNIVERSE) as repo, repo.registry.write() as change:
        for element, rows in survey().items():
            change.insert_records(element, rows)
        seen = visits([square(10, 0), square(100, 0), square(200, 0)])
        begin = [10 * DAY, 20 * DAY, 30 * DAY]
        seen = seen.with_column("timespan_begin", begin).with_column("timespan_end", [b + DAY for b in begin])
        change.insert_records("visit", seen)
        shots = [("I", v, d) for v in (1, 2, 3) for d in (0, 1, 2)]
        regions = {1: square(10, 0), 2: square(100, 0), 3: square(200, 0)}
        placed = [("I", d, v, regions[v]) for _, v, d in shots]
        change.insert_records(
            "visit_detector_region",
            Columns.from_rows(("instrument", "detector", "visit", "region"), placed),
        )
        _put(change, "raw", "in", SHOT, [("I", d, v) for _, v, d in shots])
        biases = _put(change, "bias", "biases", CHIP, [("I", 0), ("I", 1)], is_calibration=True)
        change.register_collection("calib", CollectionType.CALIBRATION)
        change.certify("calib", biases, None, 15 * DAY)
        change.certify("calib", biases, 25 * DAY, None)
        _put(change, "flat", "in", CHIP, [("I", 0)])
        _put(change, "dark", "old", CHIP, [("I", 0)])
        pixels = change.data_ids(UNIVERSE.group(["htm7", *VISIT]), where="instrument = 'I' AND visit = 1")
        _put(change, "stars", "refcat", ("htm7",), sorted({(p,) for p in pixels["htm7"].tolist()}))
    return root


def task(label: str, dims: tuple[str, ...], *prerequisites: ConnectionDef) -> TaskNode:
    """Return a task that reads raws and prerequisites."""
    raw = connection("raw", "input", SHOT, multiple=True)
    return node(label, dims, raw, *prerequisites, connection(f"{label}_out", "output", dims))


def refused(root: Path, *nodes: TaskNode, where: str = "instrument = 'I'", explain: bool = True) -> Any:
    """Return the error with which a build fails."""
    with Repo.open(str(root)) as repo, BuildView(repo) as view, pytest.raises(NotFoundError) as caught:
        build_from_view(
            list(nodes), view, Question(where), Header(bytes(16), input_collections=INPUTS), explain=explain
        )
    assert caught.value.code == "missing-prerequisite"
    return caught.value


BIAS = connection("bias", "prerequisite", CHIP, is_calibration=True)
CAUSES: dict[str, tuple[TaskNode, str, str, str, str]] = {
    "dataset type unknown": (
        task("clean", SHOT, connection("biass", "prerequisite", CHIP)),
        "not-registered", "9 of 9 quanta lack a 'biass' for 'biass'", "is not registered", "Did you mean 'bias'?",
    ),
    "wrong collection": (
        task("clean", SHOT, connection("dark", "prerequisite", CHIP)),
        "no-datasets", "9 of 9", "there is no 'dark' in in, calib, refcat", "There are some in: old.",
    ),
    "other data IDs": (
        task("clean", SHOT, connection("flat", "prerequisite", CHIP)),
        "other-data-ids", "6 of 9", "there are some, as of {instrument=I, detector=0}, but for none of these", "",
    ),
    "not valid at the time": (
        task("clean", SHOT, BIAS),
        "not-valid", "5 of 9",
        "and not at the time of its visit, 1970-01-21T00:00:00 to 1970-01-22T00:00:00", "Certify one",
    ),
    "no overlap on the sky": (
        task("match", VISIT, connection("stars", "prerequisite", ("htm7",), multiple=True)),
        "no-overlap", "2 of 3", "but none that go with these", "",
    ),
    "too few": (
        task("match", VISIT, connection("flat", "prerequisite", CHIP, multiple=True, minimum=2)),
        "too-few-found", "3 of 3 quanta lack 2 'flat'", "at most 1 were found", "minimum",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CAUSES)
def test_why_a_prerequisite_is_lacking_is_told(root: Path, name: str) -> None:
    """By name, with the number of quanta, and with one next step where there is one."""
    lacking, code, counts, why, hint = CAUSES[name]
    error = refused(root, lacking)
    (cause,) = error.context["causes"]

    assert code == cause["code"]
    assert counts in cause["text"]
    assert why in cause["text"]
    assert why in error.message
    assert hint in error.hint
    assert [lacking.label] == cause["tasks"]


def test_a_condition_beside_a_lacking_prerequisite(root: Path) -> None:
    """Only of the quanta that were chosen is it told what they lack."""
    error = refused(root, task("clean", SHOT, BIAS), where="instrument = 'I' AND visit = 1")

    assert "1 of 3 quanta of 'clean' lack a prerequisite: no 'bias' in in, calib, refcat" in error.message
    assert "there are some, as of {instrument=I, detector=0}, {instrument=I, detector=1}" in error.message


def test_all_that_is_lacking_is_told_at_once(root: Path) -> None:
    """Each prerequisite of each task, as text and as JSON, with the first data IDs and all other counts."""
    flat = connection("flat", "prerequisite", CHIP)
    last = node(
        "last", VISIT, connection("clean_out", "input", SHOT, multiple=True),
        connection("flat", "prerequisite", CHIP, multiple=True, minimum=2),
        connection("end", "output", VISIT),
    )  # fmt: skip
    error = refused(root, task("clean", SHOT, BIAS, flat), last)
    found = json.loads(json.dumps(error.context))
    told = found["explanation"]

    assert [("clean", "bias", 5), ("clean", "flat", 6), ("last", "flat", 3)] == [
        (n["task"], n["dataset_type"], n["lacking"]) for n in found["lacking"]
    ]
    assert [
        {"instrument": "I", "detector": 0, "visit": 2},
        {"instrument": "I", "detector": 1, "visit": 2},
        {"instrument": "I", "detector": 2, "visit": 1},
    ] == sorted(found["lacking"][0]["first"], key=lambda i: (i["detector"], i["visit"]))
    assert ["not-valid", "other-data-ids", "too-few-found"] == [c["code"] for c in told["causes"]]
    assert [(9, 9), (3, 3)] == [(t["data_ids"], t["quanta"]) for t in told["tasks"]]
    assert [[5, 6], [3]] == [[n["lacking"] for n in t["lacking"]] for t in told["tasks"]]
    assert "6 of 9 quanta lack a 'flat'" in error.message
    assert "3 of 3 quanta lack 2 'flat'" in error.message


def test_the_explanation_has_a_column_and_a_line_for_it(root: Path) -> None:
    """The lines fit a terminal; what the error says itself is left out."""
    document = refused(root, task("clean", SHOT, BIAS)).context["explanation"]
    found, whole = lines(document, causes=False), lines(document)

    assert all(len(line) <= 80 for line in whole)
    assert any(line.split() == ["clean", "9", "0", "9", "5"] for line in found)
    assert "clean: 5 of 9 have no 'bias' for 'bias': {instrument=I," in "\n".join(found)
    assert not any("valid always" in line for line in found)
    assert any("valid always" in line for line in whole)


def test_without_being_asked_for_only_the_first_counts_are_taken(root: Path) -> None:
    """The causes are there all the same."""
    document = refused(root, task("clean", SHOT, BIAS), explain=False).context["explanation"]

    assert ["not-valid"] == [c["code"] for c in document["causes"]]
    assert document["groups"][0]["steps"][0]["more"]
