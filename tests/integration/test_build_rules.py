"""Rules of building that are easily got wrong: the only instrument, several where one is taken, pixels of the sky."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from registry.errors import PipelineError, QueryError
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.refs import new_ids
from stage.graph.building.build import build_from_view
from stage.graph.building.question import Question
from stage.graph.building.view import BuildView
from stage.graph.graph import QuantumGraph
from stage.graph.layout import Header
from stage.pipeline.node import TaskNode
from sync.repo import Repo
from tests.graph_helpers import connection, node
from tests.regions import UNIVERSE, square, survey, visits

VISIT = ("instrument", "visit")
SHOT = ("instrument", "visit", "detector")
TRACT = ("skymap", "tract")


def _put(change: Any, name: str, run: str, dims: tuple[str, ...], rows: list[Any]) -> None:
    change.register_run(run)
    change.register_dataset_type(DatasetType(name, UNIVERSE.group(dims), "Json"))
    columns = Columns.from_rows(UNIVERSE.group(dims).required, rows)
    change.insert_datasets(name, run, columns.with_column("id", new_ids(len(rows))))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository of two instruments, of which one has datasets; its three detectors stand apart on the sky.

    A tract covers detectors 0 and 1; a map of it is all that is in ``maps``.
    """
    root = tmp_path_factory.mktemp("rules") / "repo"
    with Repo.create(str(root), UNIVERSE) as repo, repo.registry.write() as change:
        for element, rows in survey().items():
            change.insert_records(element, rows)
        change.insert_records("instrument", Columns({"instrument": ["J"]}))
        change.insert_records("visit", visits([square(10, 0, 3), square(10, 0, 3)]))
        change.insert_records(
            "tract", Columns({"skymap": ["S"], "tract": [0], "region": [square(9, 0, 1.5)]})
        )
        regions = {0: square(8, 0, 0.2), 1: square(10, 0, 0.2), 2: square(12, 0, 0.2)}
        placed = [("I", d, v, region) for v in (1, 2) for d, region in regions.items()]
        change.insert_records(
            "visit_detector_region",
            Columns.from_rows(("instrument", "detector", "visit", "region"), placed),
        )
        _put(change, "raw", "raws", SHOT, [("I", d, v) for v in (1, 2) for d in (0, 1, 2)])
        _put(change, "map", "maps", TRACT, [("S", 0)])
        _put(change, "other", "others", ("instrument",), [("J",)])
    return root


def build(
    root: Path, tasks: list[TaskNode], path: tuple[str, ...], where: str = "", **more: Any
) -> QuantumGraph:
    """Build on the repository."""
    with Repo.open(str(root)) as repo, BuildView(repo) as view:
        header = Header(bytes(16), input_collections=path)
        return build_from_view(tasks, view, Question(where, **more), header, allow_empty=True)


# -- the only instrument --------------------------------------------------------------------------------------

EACH = node(
    "each",
    ("instrument", "skymap"),
    connection("map", "input", TRACT, multiple=True),
    connection("made", "output", ("instrument", "skymap")),
)


def instruments(graph: QuantumGraph) -> list[str]:
    """Return the instruments of the quanta."""
    return sorted(q.data_id["instrument"] for q in graph.quanta(range(graph.n_quanta)))


def test_an_instrument_that_nobody_names_is_that_of_the_inputs(root: Path) -> None:
    """If there is one: what else the registry knows has nothing to do with it."""
    assert ["I"] == instruments(build(root, [EACH], ("maps", "raws")))
    assert ["J"] == instruments(build(root, [EACH], ("maps", "others"), "skymap = 'S'"))


def test_where_inputs_tell_no_instrument_or_several_all_count(root: Path) -> None:
    """There is none that could be meant rather than another."""
    assert ["I", "J"] == instruments(build(root, [EACH], ("maps",)))
    assert ["I", "J"] == instruments(build(root, [EACH], ("maps", "raws", "others")))


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ({"where": "instrument = 'J'"}, ["J"]),
        ({"where": "instrument != 'K'"}, ["I", "J"]),
        ({"where": "instrument.detector_max = NULL OR instrument = 'I'"}, ["I", "J"]),
        ({"data_id": {"instrument": "J"}}, ["J"]),
        ({"table": Columns({"instrument": ["I", "J"], "skymap": ["S", "S"]})}, ["I", "J"]),
    ],
)
def test_an_instrument_that_is_spoken_of_is_not_replaced(
    root: Path, question: dict[str, Any], expected: list[str]
) -> None:
    """In the expression, the data ID or the table."""
    assert expected == instruments(build(root, [EACH], ("maps", "raws"), **question))


# -- several where one is taken -------------------------------------------------------------------------------


def test_several_prerequisites_where_one_is_taken_are_refused(root: Path) -> None:
    """None of them is picked; a task that says it takes several gets all."""
    one, several = (
        node(
            "sum",
            VISIT,
            connection("raw", "input", SHOT, "raw", multiple=True),
            connection("maps", "prerequisite", SHOT, "raw", multiple=multiple),
            connection("total", "output", VISIT),
        )
        for multiple in (False, True)
    )
    with pytest.raises(PipelineError, match="2 of 2 quanta of 'sum' find several datasets") as caught:
        build(root, [one], ("raws",))
    assert "several-inputs" == caught.value.code
    assert "multiple=True" in caught.value.hint
    graph = build(root, [several], ("raws",))

    assert [3, 3] == [len(q.inputs["maps"]) for q in graph.quanta(range(2))]


# -- pixels of the sky ----------------------------------------------------------------------------------------


def pairs(root: Path, *dims: str) -> set[tuple[Any, ...]]:
    """Return what records say of some dimensions, one pair of them after the other."""
    with Repo.open(str(root)) as repo, repo.registry.read() as snapshot:
        return set(snapshot.data_ids(UNIVERSE.group(dims)).rows(dims))


@pytest.mark.parametrize("pixel", ["htm7", "healpix5"])
@pytest.mark.parametrize("minimum", [0, 1])
def test_a_pixel_reads_what_lies_on_it(root: Path, pixel: str, minimum: int) -> None:
    """Detectors count where detectors take part: the pixels between them are nobody's, be the input required or not."""
    images = connection("raw", "input", SHOT, multiple=True, minimum=minimum)
    task = node("cut", (pixel, *VISIT), images, connection("piece", "output", (pixel, *VISIT)))
    graph = build(root, [task], ("raws",))
    on = pairs(root, pixel, "visit", "detector")
    got = {
        (q.data_id[pixel], q.data_id["visit"]): {d.data_id["detector"] for d in q.inputs["raw"]}
        for q in graph.quanta(range(graph.n_quanta))
    }

    assert got == {(p, v): {d for p2, v2, d in on if (p2, v2) == (p, v)} for p, v, _ in on}
    assert {(p, v) for p, v, _ in on} < pairs(root, pixel, "visit")


def test_a_pixel_of_a_tract_reads_what_lies_on_both(root: Path) -> None:
    """Not all that lies on the tract."""
    images = connection("raw", "input", SHOT, multiple=True)
    task = node("cut", ("htm7", *TRACT), images, connection("piece", "output", ("htm7", *TRACT)))
    graph = build(root, [task], ("raws",))
    on_pixel, on_tract = (
        pairs(root, "htm7", "visit", "detector"),
        pairs(root, "tract", "visit", "detector"),
    )
    of_tract = {p for p, _ in pairs(root, "htm7", "tract")}
    got = {
        (q.data_id["htm7"], d.data_id["visit"], d.data_id["detector"])
        for q in graph.quanta(range(graph.n_quanta))
        for d in q.inputs["raw"]
    }

    assert got == {(p, v, d) for p, v, d in on_pixel if p in of_tract and (0, v, d) in on_tract}
    assert {d for _, _, d in got} == {0, 1}


def test_pixels_beside_nothing_on_the_sky_are_refused(root: Path) -> None:
    """There is no saying which of them are meant."""
    task = node(
        "count", ("htm7", "band"), connection("other", "input", ("instrument",), multiple=True, minimum=0),
        connection("counted", "output", ("htm7", "band")),
    )  # fmt: skip
    with pytest.raises(QueryError, match="'htm7' needs something on the sky beside it") as caught:
        build(root, [task], ("others",))
    assert "query-unsupported" == caught.value.code
