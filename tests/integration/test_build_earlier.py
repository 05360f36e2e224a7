"""What was made before: quanta that are skipped, and outputs that are in the way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from registry.errors import AlreadyExistsError, UsageError
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.records import QuantumStatus
from registry.model.refs import new_ids
from registry.registry import Registry
from stage.execution.trial import attempt_suffix
from stage.graph.building.build import build_from_view
from stage.graph.building.question import Question
from stage.graph.building.view import BuildView
from stage.graph.graph import QuantumGraph
from stage.graph.layout import Header
from sync.fsspec_store import FsspecDatastore
from sync.repo import Repo
from tests.databases import Database
from tests.graph_helpers import SHOT_CHIP, MemoryView, camera_universe, chain_nodes, product

UNIVERSE = camera_universe()
ROWS = product(2, 2)
ALL = range(4)


def put(registry: Registry, name: str, run: str, rows: Any, ending: str = "") -> list[bytes]:
    """Insert datasets of a type at some of the data IDs; return their ids."""
    data_ids = ROWS.unique(SHOT_CHIP).take(np.array(rows, dtype=np.int64))
    ids = new_ids(data_ids.n_rows)
    stored = {"uri": [f"{run}/{i.hex()}{ending}.json" for i in ids], "size": [7] * len(ids)}
    stored |= {"checksum": ["blake3:00"] * len(ids), "formatter": ["json"] * len(ids)}
    with registry.write() as change:
        change.register_run(run)
        change.register_dataset_type(DatasetType(name, UNIVERSE.group(SHOT_CHIP), "Json"))
        change.insert_datasets(
            name, run, Columns({**{k: data_ids[k] for k in SHOT_CHIP}, "id": ids, **stored})
        )
    return ids


def empty(database: Database) -> Registry:
    """Return a registry with records and nothing else."""
    registry, memory = database.registry(UNIVERSE), MemoryView(UNIVERSE, ROWS, {})
    with registry.write() as change:
        for element in UNIVERSE.elements.values():
            change.insert_records(element.name, memory.records(element.name, ROWS.unique(element.required)))
    return registry


def repo_of(registry: Registry, name: str) -> Repo:
    """Return a repository that holds nothing but rows."""
    return Repo(f"/{name}", registry, FsspecDatastore(f"memory://{name}"))


@pytest.fixture
def registry(database: Database) -> Registry:
    """A registry with four raws."""
    made = empty(database)
    put(made, "raw", "in", ALL)
    return made


def build(
    view: Repo | BuildView,
    skip: tuple[str, ...] = (),
    run: str = "",
    inputs: tuple[str, ...] = ("in",),
    **options: Any,
) -> QuantumGraph:
    """Build task0 → task1 → gather."""
    view = view if isinstance(view, BuildView) else BuildView(view)
    header = Header(bytes(range(16)), input_collections=inputs, output_run=run)
    with view:
        return build_from_view(chain_nodes(2), view, Question(), header, skip_existing_in=skip, **options)


def test_quanta_with_metadata_are_skipped(registry):
    """Their outputs are read from where they are; the rest is planned."""
    ids = put(registry, "stage0", "prev", [0, 1, 2])
    put(registry, "task0_metadata", "prev", [0, 1, 2])
    graph = build(repo_of(registry, "up"), ("prev",), "out")
    assert graph.counts() == {"task0": 1, "task1": 4, "gather": 2}
    read = [q.inputs["source"][0] for q in graph.quanta(graph.quanta_of("task1").tolist())]
    assert [d.run for d in read] == ["prev", "prev", "prev", "out"]
    assert [d.id for d in read[:3]] == ids
    assert read[0].uri.startswith("memory://up/prev/")
    assert read[3].id == graph.quantum(0).outputs["result"][0].id
    assert graph.dependencies().of(4).tolist() == [0]
    assert set(ids) <= set(graph.wanted().dataset_ids)
    assert graph.header.metadata["skipped"] == [{"task": "task0", "skipped": 3, "of": 4}]


def test_a_graph_that_reads_what_was_made_is_saved_and_loaded(registry, tmp_path):
    """Datasets of one type, some of them found and some planned."""
    put(registry, "stage0", "prev", [0, 2])
    put(registry, "task0_metadata", "prev", [0, 2])
    graph = build(repo_of(registry, "up"), ("prev",), "out")
    graph.save(tmp_path / "g.qg")
    loaded = QuantumGraph.load(tmp_path / "g.qg")
    every = range(graph.n_quanta)
    assert [q.inputs for q in loaded.quanta(every)] == [q.inputs for q in graph.quanta(every)]
    assert loaded.dataset_ids(range(graph.n_datasets)) == graph.dataset_ids(range(graph.n_datasets))


def test_outputs_that_a_skipped_quantum_lacks_prune_what_follows(registry):
    """It is done, and did not make them."""
    put(registry, "stage0", "prev", [0])
    put(registry, "task0_metadata", "prev", [0, 1])
    graph = build(repo_of(registry, "up"), ("prev",))
    assert graph.counts() == {"task0": 2, "task1": 3, "gather": 2}
    assert [len(q.inputs["parts"]) for q in graph.quanta([5, 6])] == [1, 2]
    assert graph.header.metadata["dropped"] == [
        {"task": "task1", "dataset_type": "stage0", "dropped": 1, "of": 4}
    ]


def test_outputs_without_metadata_are_made_again(registry):
    """Nobody knows whether their quantum ended well."""
    put(registry, "stage0", "prev", ALL)
    assert build(repo_of(registry, "up"), ("prev",)).counts() == {"task0": 4, "task1": 4, "gather": 2}


def test_quanta_that_failed_are_done_again(registry):
    """Their metadata exist too, under names that no complete quantum's have."""
    put(registry, "task0_metadata", "prev", [0, 1], attempt_suffix(QuantumStatus.FAILED, 2))
    put(registry, "task0_metadata", "prev", [2])
    put(registry, "stage0", "prev", [2])
    assert build(repo_of(registry, "up"), ("prev",)).counts() == {"task0": 3, "task1": 4, "gather": 2}


def test_a_quantum_is_skipped_whatever_its_inputs(registry):
    """What it has made is there, though what it read is not."""
    put(registry, "task0_metadata", "prev", ALL)
    put(registry, "task1_metadata", "prev", ALL)
    put(registry, "stage1", "prev", ALL)
    assert build(repo_of(registry, "up"), ("prev",)).counts() == {"task0": 0, "task1": 0, "gather": 2}


def test_nothing_left_to_do_is_said(registry):
    """With the number of quanta that are done."""
    for name in ("task0_metadata", "task1_metadata", "stage1"):
        put(registry, name, "prev", ALL)
    with registry.write() as change:
        shots = ROWS.unique(("camera", "shot"))
        change.register_dataset_type(DatasetType("gather_metadata", UNIVERSE.group(shots.names), "Json"))
        change.insert_datasets("gather_metadata", "prev", shots.with_column("id", new_ids(shots.n_rows)))
    with pytest.raises(UsageError, match="gather: 2 of 2 quanta skipped") as caught:
        build(repo_of(registry, "up"), ("prev",))
    assert caught.value.code == "empty-graph"
    assert build(repo_of(registry, "up"), ("prev",), allow_empty=True).n_quanta == 0


def test_the_first_collection_counts(registry):
    """Of several that hold an output; a pattern is as good as a name, and a name of nothing holds nothing."""
    for run in ("prev/a", "prev/b"):
        put(registry, "stage0", run, [0])
        put(registry, "task0_metadata", run, [0])
    repo = repo_of(registry, "up")
    for skip, run in (
        (("prev/b", "prev/a"), "prev/b"),
        (("prev/*",), "prev/a"),
        (("none", "prev/b"), "prev/b"),
    ):
        graph = build(repo, skip)
        assert graph.quantum(graph.quanta_of("task1")[0]).inputs["source"][0].run == run
    assert build(repo, ("none", "none/*")).counts()["task0"] == 4


def test_what_staging_holds_is_skipped_too(registry, database):
    """A past run of the campaign, beside inputs that are upstream."""
    staging = empty(database)
    ids = put(staging, "stage0", "u/past", [1])
    put(staging, "task0_metadata", "u/past", [1])
    graph = build(BuildView(repo_of(registry, "up"), repo_of(staging, "ours")), ("u/*",))
    assert graph.counts()["task0"] == 3
    read = graph.quantum(graph.quanta_of("task1")[1]).inputs["source"][0]
    assert (read.id, read.uri) == (ids[0], f"u/past/{ids[0].hex()}.json")
    assert ids[0] not in graph.wanted().dataset_ids


def test_outputs_in_the_way_are_refused(registry):
    """Says which is the first and how many there are, of all types; nothing is in the way of a new RUN."""
    put(registry, "stage1", "out", [1, 2])
    put(registry, "task1_metadata", "out", [1])
    repo = repo_of(registry, "up")
    with pytest.raises(
        AlreadyExistsError, match=r"'stage1' {camera=cam, shot=100, chip=1} and 2 more"
    ) as caught:
        build(repo, run="out")
    assert (caught.value.code, caught.value.context["n_outputs"]) == ("output-exists", 3)
    assert build(repo, run="out", clobber=True).counts()["task1"] == 4
    assert build(repo, run="other").output_run == "other"


def test_outputs_of_skipped_quanta_are_not_in_the_way(registry):
    """The same RUN is carried on; what was only half made there is."""
    put(registry, "stage0", "out", [0])
    put(registry, "task0_metadata", "out", [0])
    repo = repo_of(registry, "up")
    assert build(repo, ("out",), "out").counts() == {"task0": 3, "task1": 4, "gather": 2}
    put(registry, "stage0", "out", [1])
    with pytest.raises(AlreadyExistsError, match=r"'stage0' {camera=cam, shot=100, chip=1} is in"):
        build(repo, ("out",), "out")
    assert build(repo, ("out",), "out", clobber=True).counts()["task0"] == 3


def test_looking_for_what_was_made_costs_no_more_questions_with_more_data(registry, monkeypatch):
    """One a task, and one a type of outputs."""
    from registry.snapshot import Snapshot

    put(registry, "stage0", "prev", [0])
    put(registry, "task0_metadata", "prev", [0])
    repo, asked, plain = repo_of(registry, "up"), [], Snapshot.datasets

    def counted(self: Any, *args: Any, **options: Any) -> Any:
        asked.append(args[0])
        return plain(self, *args, **options)

    monkeypatch.setattr(Snapshot, "datasets", counted)
    build(repo, ("prev",), "prev", clobber=True)
    assert asked == ["raw", "task0_metadata", "stage0"]
