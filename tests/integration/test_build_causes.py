"""Empty graphs for several reasons at once: each build names the one that can be acted on, and no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from registry.errors import NotFoundError, UsageError
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.refs import new_ids
from stage.graph.building.build import build_from_view
from stage.graph.building.question import Question
from stage.graph.building.view import BuildView
from stage.graph.changing.refresh import refresh
from stage.graph.layout import Header
from stage.pipeline.node import TaskNode
from sync.repo import Repo
from tests.graph_helpers import connection, node
from tests.regions import UNIVERSE, survey, visits

VISIT = ("instrument", "visit")
SHOT = ("instrument", "visit", "detector")


def _put(change: Any, name: str, run: str, rows: list[Any]) -> None:
    change.register_run(run)
    kind = "Text" if name.endswith("_log") else "Json"
    change.register_dataset_type(DatasetType(name, UNIVERSE.group(SHOT), kind))
    columns = Columns.from_rows(UNIVERSE.group(SHOT).required, rows)
    change.insert_datasets(name, run, columns.with_column("id", new_ids(len(rows))))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a repository of two instruments: raws of visits 1 and 2 of the first, masks of visit 3, of the second none.

    Visit 1 of detector 0 was cleaned already; what came of it is gone, but for its metadata.
    """
    root = tmp_path / "repo"
    with Repo.create(str(root), UNIVERSE) as repo, repo.registry.write() as change:
        for element, rows in survey().items():
            change.insert_records(element, rows)
        change.insert_records("visit", visits([None, None, None]))
        change.insert_records("instrument", Columns({"instrument": ["J"]}))
        change.insert_records(
            "physical_filter", Columns({"instrument": ["J"], "physical_filter": ["r2"], "band": ["r"]})
        )
        change.insert_records("day_obs", Columns({"instrument": ["J"], "day_obs": [20200101]}))
        change.insert_records("detector", Columns({"instrument": ["J"], "detector": [0], "full_name": ["a"]}))
        other = {"instrument": ["J"], "visit": [7], "day_obs": [20200101], "physical_filter": ["r2"]}
        change.insert_records("visit", Columns({**other, "name": ["v7"]}))
        _put(change, "raw", "in", [("I", d, v) for v in (1, 2) for d in (0, 1, 2)])
        _put(change, "mask", "in", [("I", d, 3) for d in (0, 1, 2)])
        _put(change, "lone", "in/lone", [("I", 0, 1)])
        _put(change, "clean_metadata", "past", [("I", 0, 1)])
    return root


def clean(*more: str) -> TaskNode:
    """Return a task that cleans raws."""
    inputs = [connection(name, "input", SHOT) for name in ("raw", *more)]
    return node("clean", SHOT, *inputs, connection("image", "output", SHOT))


STACK = node(
    "stack", VISIT, connection("image", "input", SHOT, multiple=True), connection("sum", "output", VISIT)
)


def causes(
    root: Path, nodes: list[TaskNode], where: str, path: tuple[str, ...] = ("in",), **more: Any
) -> Any:
    """Return the causes that the error about an empty graph names, as (code, tasks, text, hint)."""
    header = Header(bytes(16), input_collections=path)
    with Repo.open(str(root)) as repo, BuildView(repo) as view, pytest.raises(UsageError) as caught:
        build_from_view(nodes, view, Question(where), header, **more)
    assert caught.value.code == "empty-graph"
    found = caught.value.context["explanation"]["causes"]
    assert all(c["text"] in caught.value.message for c in found)
    return [(c["code"], c["tasks"], c["text"], c["hint"]) for c in found]


def test_a_condition_that_chooses_what_has_no_datasets(root: Path) -> None:
    """The visit is there, and chosen; what it lacks is told, and what there is instead."""
    ((code, tasks, text, hint),) = causes(root, [clean(), STACK], "instrument = 'I' AND visit = 3")

    assert ("other-data-ids", ["clean", "stack"]) == (code, tasks)
    assert "(as {instrument=I, detector=0, visit=3}" in text
    assert "as of {instrument=I, detector=0, visit=1}" in text
    assert hint.startswith("Choose other data IDs")


def test_another_instrument_than_that_of_the_datasets(root: Path) -> None:
    """It is known, and has visits; its datasets are not there, those of another one are."""
    ((code, _, text, _),) = causes(root, [clean()], "instrument = 'J' AND visit > 0")

    assert "other-data-ids" == code
    assert "{instrument=J, detector=0, visit=7}" in text
    assert "{instrument=I, detector=0, visit=1}" in text


def test_a_condition_on_one_instrument_and_a_value_of_another(root: Path) -> None:
    """The value is unknown where it is looked for."""
    ((code, _, text, hint),) = causes(root, [clean()], "instrument = 'J' AND visit = 1")

    assert ("unknown-value", "there is no visit 1") == (code, text)
    assert "7" in hint


def test_the_wrong_collection_beside_a_condition(root: Path) -> None:
    """The collection is what is wrong: with the right one the condition would do."""
    ((code, _, text, hint),) = causes(root, [clean()], "instrument = 'I' AND visit = 1", ("in/lone", "past"))

    assert "no-datasets" == code
    assert "there is no 'raw' in in/lone, past" in text
    assert "in" in hint


def test_inputs_that_are_there_for_different_data_ids(root: Path) -> None:
    """Each of them is; together they are for none."""
    ((code, _, text, _),) = causes(root, [clean("mask")], "instrument = 'I'")

    assert "no-inputs" == code
    assert "no 'mask' in in for the data IDs chosen that also have raw" in text


def test_conditions_that_exclude_each_other(root: Path) -> None:
    """The second is named, and that the first is what leaves nothing for it."""
    ((code, _, text, _),) = causes(root, [clean()], "instrument = 'I' AND visit < 2 AND visit > 2")

    assert "no-match" == code
    assert "none of those left by what comes before satisfies 'visit > 2'" in text


def test_what_is_skipped_and_what_lacks_that(root: Path) -> None:
    """A task is done, its output is gone, and the next has nothing to read: both are told."""
    found = causes(
        root, [clean(), STACK], "instrument = 'I' AND visit = 1 AND detector = 0", skip_existing_in=("past",)
    )

    assert [("done-already", ["clean"]), ("too-few-inputs", ["stack"])] == [c[:2] for c in found]
    assert "without a 'image' for 'image'" in found[1][2]


def test_causes_of_tasks_that_are_not_connected(root: Path) -> None:
    """Each has its own."""
    lone = node("lonely", SHOT, connection("lone", "input", SHOT), connection("lonelier", "output", SHOT))
    found = causes(root, [clean(), lone], "instrument = 'I' AND visit = 3")

    assert [("other-data-ids", ["clean"]), ("no-datasets", ["lonely"])] == [c[:2] for c in found]
    assert "in/lone" in found[1][3]


def test_an_unknown_dataset_type_is_refused_before_all_else(root: Path) -> None:
    """With the nearest name, whatever the condition; an optional one is no reason."""
    with Repo.open(str(root)) as repo, BuildView(repo) as view:
        header = Header(bytes(16), input_collections=("in",))
        for minimum, code in ((1, "dataset-type-not-registered"), (0, "")):
            wire = connection("rav", "input", SHOT, minimum=minimum)
            wires = [wire, connection("image", "output", SHOT)]
            task = node("clean", SHOT, *([connection("raw", "input", SHOT)] if not minimum else []), *wires)
            question = Question("instrument = 'I' AND visit = 1")
            if not code:
                assert build_from_view([task], view, question, header).n_quanta == 3
                continue
            with pytest.raises(NotFoundError, match="'rav', which clean reads") as caught:
                build_from_view([task], view, question, header)
            assert code == caught.value.code
            assert "raw" in caught.value.hint


def test_a_graph_that_is_trimmed_of_everything(root: Path) -> None:
    """A refresh says of each task what is done; where one has done everything and another lacks that, both."""
    with Repo.open(str(root), writable=True) as repo:
        with repo.registry.write() as change:
            rows = [("I", d, 1) for d in (0, 1, 2)]
            for name in ("image", "clean_log"):
                _put(change, name, "done", rows)
            _put(change, "clean_metadata", "done", rows)
        with BuildView(repo) as view:
            header = Header(bytes(16), input_collections=("in",))
            graph = build_from_view([clean()], view, Question("instrument = 'I' AND visit = 1"), header)
            with pytest.raises(UsageError, match="clean: 3 of 3 done already") as caught:
                refresh(graph, view, input_collections=("in",), trim_existing_in=("done",))
    assert "empty-graph" == caught.value.code
    assert {"clean": 3} == caught.value.context["trimmed"]


def test_a_refresh_fills_in_what_it_did(root: Path) -> None:
    """The explanation that a graph keeps has what was trimmed and found; so has that of a graph without one, if asked."""
    with Repo.open(str(root), writable=True) as repo:
        with repo.registry.write() as change:
            for name in ("image", "clean_log", "clean_metadata"):
                _put(change, name, "done", [("I", 0, 1)])
        with BuildView(repo) as view:
            header = Header(bytes(16), input_collections=("in",))
            question = Question("instrument = 'I' AND visit = 1")
            options: dict[str, Any] = {"input_collections": ("in",), "trim_existing_in": ("done",)}
            for explain in (True, False):
                graph = build_from_view([clean(), STACK], view, question, header, explain=explain)
                new = refresh(graph, view, **options, explain=not explain).graph
                told = new.header.metadata["explanation"]

                assert [(1, 0, 2), (0, 0, 1)] == [
                    (t["trimmed"], t["pruned"], t["quanta"]) for t in told["tasks"]
                ]
                assert {"resolved": 3, "replaced": 0, "unresolved": 0} == told["datasets"]["raw"]
                assert bool(told["groups"]) == explain
            assert "explanation" not in refresh(graph, view, **options).graph.header.metadata
