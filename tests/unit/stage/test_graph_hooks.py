"""Tasks' own code while a graph is built: adjusting quanta, dividing the work, looking up, finding units, resources."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import pytest

from registry.errors import NotFoundError, PipelineError, UsageError
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from stage.graph.building.build import build_from_view
from stage.graph.building.question import Question
from stage.graph.explaining.text import lines
from stage.graph.graph import QuantumGraph
from stage.graph.hooks.ask import Ask
from stage.graph.layout import Header
from stage.pipeline.config import Config
from stage.pipeline.connections import Connections, InitInput, Input, Output, PrerequisiteInput
from stage.pipeline.node import ConnectionDef, TaskNode
from stage.pipeline.quanta import Quanta
from stage.pipeline.resolve import make_node
from stage.pipeline.resources import Resources
from stage.pipeline.struct import NoWorkFound, Struct
from stage.pipeline.task import Task
from tests.graph_helpers import SHOT_CHIP, MemoryView, camera_universe, connection, found, node, product

UNIVERSE = camera_universe()
ROWS = product(4, 2)
SHOT, CHIP = ("camera", "shot"), ("camera", "chip")
CALLS: list[str] = []
"""Which hooks were called, in order."""


class CleanConnections(Connections, dimensions=SHOT_CHIP):
    """An image of one chip, with the flats of the camera."""

    raw = Input("raw", "Json")
    flats = PrerequisiteInput("flat", "Json", dimensions=CHIP, multiple=True, minimum=0)
    image = Output("image", "Json")
    preview = Output("preview", "Json", minimum=0)


class CleanConfig(Config):
    """What the hooks do."""

    skip_chip: int = -1
    flats: bool = True
    previews: bool = True
    how: str = ""


class CleanTask(Task):
    """Asks for nothing."""

    ConfigClass = CleanConfig
    ConnectionsClass = CleanConnections
    config: CleanConfig

    def run(self, raw: Any, flats: Any) -> Struct:
        """Clean."""
        return Struct(image=raw)


class AdjustingTask(CleanTask):
    """Drops what its config says."""

    def adjust_quantum(self, inputs: Any, outputs: Any, data_id: Mapping[str, Any]) -> Any:
        """Drop."""
        CALLS.append("adjust_quantum")
        if data_id["chip"] == self.config.skip_chip:
            raise NoWorkFound("the chip is dead")
        if self.config.how == "fail":
            raise ZeroDivisionError("by zero")
        if self.config.how == "more":
            inputs["raw"] = [*inputs["raw"], inputs["raw"][0]._replace(ordinal=99)]
        if self.config.how == "nothing":
            return None
        if self.config.how == "no-raw":
            del inputs["raw"]
        if not self.config.flats:
            inputs["flats"] = [f for f in inputs["flats"] if f.data_id["chip"] == data_id["chip"]]
        if not self.config.previews and data_id["shot"] > 100:
            outputs["preview"] = []
        return inputs, outputs


class LookConnections(Connections, dimensions=SHOT_CHIP):
    """Reads previews."""

    preview = Input("preview", "Json")
    page = Output("page", "Json")


class LookTask(Task):
    """Follows."""

    ConnectionsClass = LookConnections

    def run(self, preview: Any) -> Struct:
        """Look."""
        return Struct(page=preview)


def all_of(name: str, dims: tuple[str, ...], keep: Any = None) -> tuple[DatasetType, Columns]:
    """Return a dataset type with datasets for all its data IDs, or for those at rows `keep`."""
    data_ids = ROWS.unique(dims)
    chosen = data_ids if keep is None else data_ids.take(np.array(keep, dtype=np.int64))
    return DatasetType(name, UNIVERSE.group(dims), "Json"), found(chosen)


def view_of(**datasets: tuple[DatasetType, Columns]) -> MemoryView:
    """Return a repository with raws, flats and more."""
    return MemoryView(
        UNIVERSE, ROWS, {"raw": all_of("raw", SHOT_CHIP), "flat": all_of("flat", CHIP), **datasets}
    )


def build(*nodes: TaskNode, view: MemoryView | None = None, **options: Any) -> QuantumGraph:
    """Build."""
    header = Header(bytes(range(16)), input_collections=("in",), output_run=options.pop("run", ""))
    return build_from_view(list(nodes), view or view_of(), Question(), header, **options)


def made(label: str, task_class: type[Task], **settings: Any) -> TaskNode:
    """Return a node of a real task."""
    return make_node(label, task_class, task_class.ConfigClass(**settings))


LOOK = made("look", LookTask)


# -- adjust_quantum --------------------------------------------------------------------------------------------


def test_a_task_that_overrides_nothing_is_not_even_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its graph is built though its code is nowhere, and no Python of a hook runs for any quantum."""
    calls: list[str] = []
    for name in ("run", "adjust_quantum", "define_quanta"):
        monkeypatch.setattr(Task, name, lambda *_, name=name, **__: calls.append(name))
    monkeypatch.setattr(TaskNode, "build", lambda *_, **__: calls.append("build"))
    nowhere = node(
        "clean", SHOT_CHIP, connection("raw", "input", SHOT_CHIP), connection("image", "output", SHOT_CHIP)
    )

    graph = build(nowhere)
    assert (graph.counts(), calls) == ({"clean": 8}, [])
    assert graph.task_rows[0].hints is None


def test_the_hook_is_called_once_for_each_quantum_that_has_its_inputs() -> None:
    """And for no other."""
    CALLS.clear()
    graph = build(made("clean", AdjustingTask), view=view_of(raw=all_of("raw", SHOT_CHIP, [0, 1, 5])))
    assert graph.counts() == {"clean": 3}
    assert CALLS == ["adjust_quantum"] * 3


def test_quanta_that_a_task_refuses_are_dropped_with_its_reason_and_all_that_follows() -> None:
    """No work for a chip means none for what reads it; the header tells how many and why."""
    graph = build(made("clean", AdjustingTask, skip_chip=1), LOOK)
    assert graph.counts() == {"clean": 4, "look": 4}
    refused = graph.header.metadata["refused"]
    assert refused == [
        {"task": "clean", "hook": "adjust_quantum", "reason": "the chip is dead", "dropped": 4, "of": 8}
    ]
    assert {"task": "look", "dataset_type": "preview", "dropped": 4, "of": 8} in graph.header.metadata[
        "dropped"
    ]
    chips = {d.data_id["chip"] for q in graph.quanta(range(8)) for d in q.inputs.get("raw", ())}
    assert chips == {0}


def test_dropped_prerequisites_are_in_no_graph() -> None:
    """Flats that no quantum keeps are gone, and the others stay with their quanta."""
    graph = build(made("clean", AdjustingTask, flats=False, skip_chip=1))
    quanta = list(graph.quanta(range(4)))
    assert [[f.data_id["chip"] for f in q.inputs["flats"]] for q in quanta] == [[0]] * 4
    assert quanta[0].inputs["flats"][0].run == "in"
    assert graph.layout.types[graph.layout.type_index["flat"]].n_datasets == 1


def test_a_dropped_output_takes_its_readers_with_it() -> None:
    """The quantum itself stays."""
    graph = build(made("clean", AdjustingTask, previews=False), LOOK)
    assert graph.counts() == {"clean": 8, "look": 2}
    assert [len(q.outputs["preview"]) for q in graph.quanta(range(8))] == [1, 1, 0, 0, 0, 0, 0, 0]


def test_too_few_inputs_left_are_no_work() -> None:
    """A hook that leaves less than a connection's minimum has refused the quantum."""
    with pytest.raises(UsageError) as caught:
        build(made("clean", AdjustingTask, how="no-raw"))
    assert caught.value.code == "empty-graph"
    graph = build(made("clean", AdjustingTask, how="no-raw"), allow_empty=True)
    assert graph.header.metadata["refused"][0]["reason"] == "0 of at least 1 'raw' are left"


@pytest.mark.parametrize(
    ("how", "code", "said"),
    [
        (
            "fail",
            "hook-failed",
            "task 'clean': adjust_quantum() failed for {camera=cam, shot=100, chip=0}: ZeroDiv",
        ),
        (
            "more",
            "wrong-hook-answer",
            "returned a 'raw' for {camera=cam, shot=100, chip=0} that it was not given",
        ),
        ("nothing", "wrong-hook-answer", "did not return (inputs, outputs)"),
    ],
)
def test_a_hook_that_goes_wrong_is_named_with_the_quantum(how: str, code: str, said: str) -> None:
    """So its author knows where to look."""
    with pytest.raises(PipelineError) as caught:
        build(made("clean", AdjustingTask, how=how))
    assert (caught.value.code, said in caught.value.message) == (code, True)


# -- define_quanta ---------------------------------------------------------------------------------------------


class PairConnections(Connections, dimensions=SHOT):
    """Each shot and the one before it."""

    images = Input("raw", "Json", dimensions=SHOT_CHIP, multiple=True)
    difference = Output("difference", "Json")


Definer = Callable[[Columns, Mapping[str, Columns]], Any]


class PairTask(Task):
    """Compares each shot with the one before it."""

    ConnectionsClass = PairConnections
    answer: ClassVar[Definer | None] = None

    def define_quanta(self, data_ids: Columns, existing: Mapping[str, Columns]) -> Any:
        """Pair shots."""
        if type(self).answer is not None:
            return type(self).answer(data_ids, existing)
        return pairs(data_ids, existing)

    def run(self, images: Any) -> Struct:
        """Subtract."""
        return Struct(difference=len(images))


def pairs(data_ids: Columns, existing: Mapping[str, Columns]) -> Quanta:
    """Give each shot but the first its own images and those of the shot before."""
    shots = np.unique(data_ids["shot"])
    images = existing["images"]
    place = np.searchsorted(shots, images["shot"])
    # An image belongs to the quantum of its own shot (number - 1), and to the one after it (number).
    quantum = np.concatenate([place - 1, place])
    rows = np.concatenate([np.arange(images.n_rows)] * 2)
    good = (quantum >= 0) & (quantum < len(shots) - 1)
    edges = images.take(rows[good]).with_column("quantum", quantum[good])
    return Quanta({"camera": ["cam"] * (len(shots) - 1), "shot": shots[1:]}, {"images": edges})


def answered(answer: Definer | None) -> TaskNode:
    """Return the node of a task that answers so."""
    PairTask.answer = staticmethod(answer) if answer is not None else None
    return made("pair", PairTask)


def test_a_task_divides_its_work_by_hand() -> None:
    """Three quanta of four shots, each with the images of two; outputs follow by connections."""
    graph = build(answered(None))
    assert graph.data_ids("pair").rows() == [("cam", 101), ("cam", 102), ("cam", 103)]
    shots = [sorted({d.data_id["shot"] for d in q.inputs["images"]}) for q in graph.quanta(range(3))]
    assert shots == [[100, 101], [101, 102], [102, 103]]
    assert [q.outputs["difference"][0].data_id["shot"] for q in graph.quanta(range(3))] == [101, 102, 103]
    assert len(graph.records("shot")["shot"]) == 4  # also of the shot that is only read


def test_what_is_planned_counts_as_existing() -> None:
    """A task before it makes what it divides; images that are pruned there are not offered."""
    clean = made("clean", AdjustingTask, skip_chip=1)
    PairTask.answer = None
    pair = make_node("pair", PairTask, Config(connections={"images": "image"}))
    graph = build(clean, pair)
    assert graph.counts() == {"clean": 4, "pair": 3}
    assert {len(q.inputs["images"]) for q in graph.quanta(graph.quanta_of("pair").tolist())} == {2}
    assert graph.dependencies().of(4).tolist() == [0, 1]


def test_a_task_may_leave_it_to_connections() -> None:
    """None is the default division."""
    assert build(answered(lambda _, __: None)).counts() == {"pair": 4}


def one(shots: list[Any], **edges: Any) -> Quanta:
    """Return an answer for these shots."""
    return Quanta({"camera": ["cam"] * len(shots), "shot": shots}, edges)


def image(quantum: int, shot: int, chip: int) -> dict[str, list[Any]]:
    """Return one edge."""
    return {"quantum": [quantum], "camera": ["cam"], "shot": [shot], "chip": [chip]}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (one([100, 999]), "gave quanta whose row 1, {camera=cam, shot=999}, is no data ID that task 'pair'"),
        (one([100, 101, 100]), "gave quanta whose row 2, {camera=cam, shot=100}, is there twice"),
        (one([100, "x"]), "gave quanta whose row 1 has shot='x', which is no whole number"),
        (Quanta({"shot": [100]}), "gave quanta without a column 'camera' (it has shot)"),
        (Quanta({"camera": ["cam"], "shot": [100, 101]}), "gave quanta of unequal length: camera 1, shot 2"),
        (
            one([100], pictures=image(0, 100, 0)),
            "gave edges for 'pictures', which is no regular input or output",
        ),
        (
            one([100], images=image(1, 100, 0)),
            "gave quantum 1 in row 0 of the edges of 'images', and there are 1",
        ),
        (
            one([100], images=image(0, 100, 7)),
            "edges of 'images' whose row 0, {camera=cam, shot=100, chip=7}, is no",
        ),
        (
            one([100], images=image(0, 103, 1)),
            "edges of 'images' whose row 0, {camera=cam, shot=103, chip=1}, is a 'raw' that is neither there nor made",
        ),
        (
            one(
                [100, 101],
                difference={"quantum": [0, 1], "camera": ["cam"] * 2, "shot": [102, 102]},
            ),
            "lets several quanta write one 'difference' ('difference'): {camera=cam, shot=102}",
        ),
        ([1, 2], "returned a list, not Quanta"),
    ],
)
def test_a_wrong_division_names_the_task_and_the_first_wrong_row(answer: Any, said: str) -> None:
    """Data IDs must be candidates, outputs unique, inputs there or planned."""
    calibrate = node(
        "none",
        SHOT_CHIP,
        connection("raw", "input", SHOT_CHIP, minimum=0),
        connection("x", "output", SHOT_CHIP),
    )
    view = view_of(raw=all_of("raw", SHOT_CHIP, range(7)))
    with pytest.raises(PipelineError) as caught:
        build(calibrate, answered(lambda _, __: answer), view=view)
    assert caught.value.code == "wrong-hook-answer"
    assert caught.value.message.startswith("task 'pair': define_quanta() ")
    assert said in caught.value.message


def test_explain_tells_what_hooks_dropped() -> None:
    """How many quanta of which task, by which hook, for which reason, and the first of them."""
    clean = made("clean", AdjustingTask, skip_chip=1)
    PairTask.answer = None
    pair = make_node("pair", PairTask, Config(connections={"images": "image"}))
    graph = build(clean, pair, explain=True)
    told = {t["task"]: t for t in graph.header.metadata["explanation"]["tasks"]}
    assert (told["clean"]["adjusted"], told["clean"]["quanta"]) == (4, 4)
    assert told["clean"]["refused"][0]["first"][0] == {"camera": "cam", "shot": 100, "chip": 1}
    text = " ".join(" ".join(lines(graph.header.metadata["explanation"])).split())
    assert (
        "clean: 4 of 8 dropped by its own adjust_quantum(): the chip is dead: {camera=cam, shot=100" in text
    )
    assert "pair: 1 of 4 dropped by its own define_quanta(): no quanta in the task's own division" in text


def test_a_graph_that_a_hook_empties_says_so() -> None:
    """The reason is the task's."""
    with pytest.raises(UsageError) as caught:
        build(answered(lambda _, __: one([])))
    assert caught.value.code == "empty-graph"
    assert "pair: 4 of 4 quanta dropped by the task's own define_quanta()" in caught.value.message


# -- lookup functions ------------------------------------------------------------------------------------------


def nearest_reference(_connection: ConnectionDef, quanta: Columns, ask: Ask) -> Mapping[str, Any]:
    """Find for each shot the reference that was taken with the shot next to it."""
    CALLS.append("nearest_reference")
    there = ask.datasets()
    times = ask.records("shot", there)["seconds"]
    mine = ask.records("shot", quanta)["seconds"]
    nearest = np.abs(mine[:, None] - times[None, :]).argmin(axis=1)
    return {"quantum": np.arange(quanta.n_rows), "dataset": there["id"][nearest]}


class FollowConnections(Connections, dimensions=SHOT_CHIP):
    """Looks its reference up itself."""

    raw = Input("raw", "Json")
    reference = PrerequisiteInput("reference", "Json", dimensions=SHOT, lookup="nearest_reference")
    image = Output("image", "Json")


class FollowTask(Task):
    """Compares with a reference."""

    ConnectionsClass = FollowConnections
    answer: ClassVar[Any] = None

    def run(self, raw: Any, reference: Any) -> Struct:
        """Compare."""
        return Struct(image=raw)


class OwnFollowTask(FollowTask):
    """Its lookup is a static method."""

    @staticmethod
    def nearest_reference(_connection: ConnectionDef, quanta: Columns, ask: Ask) -> Any:
        """Give what the test wants."""
        ids = ask.datasets(every=True)["id"]
        return OwnFollowTask.answer(ids)


def test_a_function_looks_a_prerequisite_up_for_all_quanta_at_once() -> None:
    """One call; each quantum has the dataset of another data ID than its own."""
    CALLS.clear()
    view = view_of(reference=all_of("reference", SHOT, [0, 3]))
    graph = build(made("follow", FollowTask), view=view)
    assert CALLS == ["nearest_reference"]
    shots = [q.inputs["reference"][0].data_id["shot"] for q in graph.quanta(range(8))]
    assert shots == [100, 100, 100, 100, 103, 103, 103, 103]
    assert graph.layout.types[graph.layout.type_index["reference"]].n_datasets == 2
    assert set(graph.records("shot")["shot"].tolist()) == {100, 101, 102, 103}


def test_a_quantum_that_the_function_leaves_out_lacks_its_prerequisite() -> None:
    """It fails with count and first data IDs, as any prerequisite does."""
    OwnFollowTask.answer = lambda ids: {"quantum": [1, 1], "dataset": [ids[0], ids[0]]}
    with pytest.raises(NotFoundError, match=r"7 of 8 quanta of 'follow' lack a prerequisite") as caught:
        build(made("follow", OwnFollowTask), view=view_of(reference=all_of("reference", SHOT)))
    assert caught.value.code == "missing-prerequisite"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda ids: {"quantum": [0, 9], "dataset": ids[:2]}, "gave quantum 9 in row 1, and there are 8"),
        (lambda _: {"quantum": [0], "dataset": [b"x"]}, "gave b'x' in row 0 of 'reference', which is no id"),
        (lambda _: {"quantum": [0]}, "gave 'reference' without a column 'dataset' (it has quantum)"),
        (lambda _: None, "gave a NoneType for 'reference', not columns by name"),
        (lambda _: 1 / 0, "failed: ZeroDivisionError: division by zero"),
    ],
)
def test_a_wrong_answer_of_a_lookup_is_named(answer: Any, said: str) -> None:
    """With the function, the connection and the row."""
    OwnFollowTask.answer = answer
    with pytest.raises(PipelineError) as caught:
        build(made("follow", OwnFollowTask), view=view_of(reference=all_of("reference", SHOT)))
    assert said in caught.value.message
    assert "task 'follow': lookup function 'nearest_reference'" in caught.value.message


def test_a_lookup_that_is_not_there_is_refused_before_anything_is_built() -> None:
    """And the nearest name offered."""

    class Lost(FollowConnections):
        reference = PrerequisiteInput("reference", "Json", dimensions=SHOT, lookup="nearest_referenc")

    task_class = type("LostTask", (FollowTask,), {"ConnectionsClass": Lost, "__module__": __name__})
    with pytest.raises(PipelineError, match=r"neither a static method of LostTask nor a function") as caught:
        made("lost", task_class)
    assert "nearest_reference" in caught.value.hint

    class Given(FollowConnections):
        reference = PrerequisiteInput("reference", "Json", dimensions=SHOT, lookup=print)  # type: ignore[arg-type]

    task_class = type("GivenTask", (FollowTask,), {"ConnectionsClass": Given, "__module__": __name__})
    with pytest.raises(PipelineError, match=r"not by the name of a function") as caught:
        made("given", task_class)
    assert "lookup='nearest'" in caught.value.hint


# -- resources -------------------------------------------------------------------------------------------------


class HungryTask(CleanTask):
    """Needs more for one chip."""

    def resources(self, data_id: Mapping[str, Any]) -> Mapping[str, Any]:
        """Say what a quantum needs."""
        CALLS.append("resources")
        if self.config.how == "wrong":
            return {"memory": 3}
        return {"memory_mb": np.int64(4000)} if data_id["chip"] == 1 else {}


class HungrierTask(CleanTask):
    """Says it once for all."""

    resources = Resources(memory_mb=2000, cpus=2)


def test_resources_of_a_class_hold_for_all_its_quanta_and_take_no_room() -> None:
    """They are in the node, and nothing is kept per quantum."""
    graph = build(made("clean", HungrierTask))
    assert graph.quantum(3).resources == Resources(memory_mb=2000, cpus=2)
    assert graph.task_rows[0].hints is None


def test_resources_may_follow_from_the_data_id() -> None:
    """The method is called once a quantum that is kept; few distinct answers are stored once each."""
    CALLS.clear()
    graph = build(made("clean", HungryTask))
    assert CALLS == ["resources"] * 8
    assert [q.resources.memory_mb for q in graph.quanta(range(4))] == [None, 4000, None, 4000]
    hints = graph.task_rows[0].hints
    assert len(hints.columns["resources"].values) == 2
    assert json.loads(hints.row(1)[0]) == {"cpus": 1, "memory_mb": 4000, "walltime_s": None}


def test_a_graph_file_keeps_what_each_quantum_needs(tmp_path: Any) -> None:
    """Read back whole, and quantum by quantum."""
    build(made("clean", HungryTask)).retarget("out").save(tmp_path / "g.qg")
    with_all = QuantumGraph.load(tmp_path / "g.qg")
    assert [q.resources.memory_mb for q in with_all.quanta(range(4))] == [None, 4000, None, 4000]
    with_all.retarget("other").save(tmp_path / "h.qg")
    assert QuantumGraph.load(tmp_path / "h.qg").quantum(1).resources.memory_mb == 4000


def test_a_resource_that_there_is_not_is_named() -> None:
    """With the task, the quantum and the nearest name."""
    with pytest.raises(PipelineError) as caught:
        build(made("clean", HungryTask, how="wrong"))
    assert "task 'clean', resources() for {camera=cam, shot=100, chip=0}: resources have no 'memory'" in str(
        caught.value
    )
    assert "memory_mb" in caught.value.hint


# -- finding units ---------------------------------------------------------------------------------------------


def odd_shots(dimensions: Any, ask: Ask) -> Mapping[str, Any]:
    """Find only odd shots, and say nothing of the filter, which follows."""
    CALLS.append("odd_shots")
    rows = ask.data_ids(dimensions.required)
    return rows.take(rows["shot"] % 2 == 1).select(dimensions.required)


def unknown_shots(_dimensions: Any, _ask: Ask) -> Mapping[str, Any]:
    """Find shots as texts."""
    return {"camera": ["cam"], "shot": ["x"], "chip": [0]}


class OddTask(CleanTask):
    """Has its own way to find units."""

    units = f"{__name__}:odd_shots"


class UnknownTask(CleanTask):
    """Finds nonsense."""

    units = f"{__name__}:unknown_shots"


def test_units_can_be_found_by_a_function() -> None:
    """It stands in place of the default query, once for all tasks that are connected."""
    CALLS.clear()
    graph = build(made("clean", OddTask), LOOK)
    assert CALLS == ["odd_shots"]
    assert graph.counts() == {"clean": 4, "look": 4}
    assert set(graph.records("filter")["filter"]) == {"red"}
    assert made("clean", OddTask).fingerprint != made("clean", CleanTask).fingerprint


def test_units_of_the_wrong_type_are_refused() -> None:
    """With the finder and the value."""
    with pytest.raises(
        PipelineError, match=r"unknown_shots' gave data IDs with shot='x', which should be a whole"
    ):
        build(made("clean", UnknownTask))


def test_two_finders_for_connected_tasks_are_refused() -> None:
    """Both are named."""

    class Look(LookTask):
        units = f"{__name__}:unknown_shots"

    task_class = type("Look2", (LookTask,), {"units": Look.units, "__module__": __name__})
    with pytest.raises(PipelineError, match=r"'clean' and 'look' are connected, and name two finders"):
        build(made("clean", OddTask), made("look", task_class))


# -- construction ----------------------------------------------------------------------------------------------


class KnowingConnections(CleanConnections):
    """Is constructed with a list of dead chips."""

    dead = InitInput("dead_chips", "Json")


class KnowingTask(AdjustingTask):
    """Knows from its init input what is dead."""

    ConnectionsClass = KnowingConnections

    def adjust_quantum(self, inputs: Any, outputs: Any, data_id: Mapping[str, Any]) -> Any:
        """Drop dead chips."""
        if data_id["chip"] in self.init_inputs["dead"]:
            raise NoWorkFound("dead")
        return inputs, outputs


def test_a_hook_knows_the_init_inputs_of_its_task() -> None:
    """They are read from where the graph is built, as a worker would read them."""
    view = view_of(dead_chips=all_of("dead_chips", ()))
    view.objects[view.known["dead_chips"][1]["uri"][0]] = [0]
    graph = build(made("clean", KnowingTask), view=view)
    assert {q.data_id["chip"] for q in graph.quanta(range(4))} == {1}


def test_an_init_input_that_is_not_there_is_named() -> None:
    """A hook cannot be asked without it."""
    kind, rows = all_of("dead_chips", ())
    with pytest.raises(NotFoundError, match=r"cannot be constructed: there is no 'dead_chips' .* in in"):
        build(
            made("clean", KnowingTask),
            view=view_of(dead_chips=(kind, rows.take(np.zeros(0, dtype=np.int64)))),
        )


def test_a_part_of_a_graph_keeps_what_its_quanta_need() -> None:
    """Rows that are left out take their hints with them."""
    graph = build(made("clean", HungryTask))
    part = graph.select(graph.find("clean", {"chip": 1}))
    assert [q.resources.memory_mb for q in part.quanta(range(part.n_quanta))] == [4000] * 4
