"""Two registries, one question: a build on upstream and staging equals the build on one that holds all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry.errors import NotFoundError, UsageError
from registry.model.dataset_type import DatasetType
from registry.registry import Registry
from stage.graph.building.build import build_from_view
from stage.graph.building.question import Question
from stage.graph.building.view import BuildView
from stage.graph.graph import QuantumGraph
from stage.graph.layout import Header
from sync.repo import Repo
from tests.graph_helpers import SHOT_CHIP, MemoryView, camera_universe, connection, found, node, product

UNIVERSE = camera_universe()
ROWS = product(3, 2)
SHOT = ("camera", "shot")
TYPES = {"raw": SHOT_CHIP, "mask": SHOT_CHIP, "atlas": ("camera", "filter")}
FOUND = {
    name: found(ROWS.unique(dims)).select([*dims, "id", "uri", "size", "checksum", "formatter"])
    for name, dims in TYPES.items()
}
OTHER = {name: FOUND[name].with_column("id", found(ROWS.unique(dims))["id"]) for name, dims in TYPES.items()}

NODES = [
    node(
        "clean",
        SHOT_CHIP,
        connection("raw", "input", SHOT_CHIP),
        connection("mask", "input", SHOT_CHIP),
        connection("image", "output", SHOT_CHIP),
    ),
    node(
        "sum",
        SHOT,
        connection("image", "input", SHOT_CHIP, multiple=True),
        connection("atlas", "input", ("camera", "filter")),
        connection("whole", "output", SHOT),
    ),
    node(
        "plain",
        ("camera", "filter"),
        connection("atlas", "input", ("camera", "filter")),
        connection("map", "output", ("camera", "filter")),
    ),
]


def with_records(registry: Registry) -> None:
    """Insert all records and dataset types."""
    memory = MemoryView(UNIVERSE, ROWS, {})
    with registry.write() as change:
        for element in UNIVERSE.elements.values():
            change.insert_records(element.name, memory.records(element.name, ROWS.unique(element.required)))
        for name, dims in TYPES.items():
            change.register_dataset_type(DatasetType(name, UNIVERSE.group(dims), "Json"))


def fill(registry: Registry, held: dict[str, dict[str, Any]], again: int = 0) -> None:
    """Insert datasets by RUN and type: rows, and which ids they have."""
    with registry.write() as change:
        for run, types in held.items():
            change.register_run(run)
            for name, (pool, rows) in types.items():
                if rows:
                    taken = pool[name].take(np.array(sorted(rows), dtype=np.int64))
                    # Each trial has RUNs of its own, so datasets of its own too.
                    ids = [again.to_bytes(2, "big") + i[2:] for i in taken["id"].tolist()]
                    change.insert_datasets(name, run, taken.with_column("id", ids if again else taken["id"]))


def campaign(room: Path, name: str, universe: Any = UNIVERSE) -> Repo:
    """Make a registry and datastore as a campaign has them."""
    place = room / name
    place.mkdir()
    url = f"sqlite:///{place}/staging.sqlite3"
    Registry.create(url, universe).close()
    return Repo.attach(url, str(place / "data"), writable=True)


def build(view: BuildView, collections: tuple[str, ...], where: str = "") -> QuantumGraph:
    """Build, also if nothing comes of it."""
    with view:
        return build_from_view(
            NODES,
            view,
            Question(where),
            Header(bytes(range(16)), input_collections=collections),
            allow_empty=True,
        )


def told(graph: QuantumGraph) -> Any:
    """Return quanta with what they read: data ID, RUN and artifact."""
    return [
        (q.label, q.data_id, {k: [(d.values, d.run, d.uri) for d in v] for k, v in q.inputs.items()})
        for q in graph.quanta(range(graph.n_quanta))
    ]


def subsets(name: str) -> Any:
    """Return any rows of a dataset type, mostly many."""
    n = ROWS.unique(TYPES[name]).n_rows
    return st.sets(st.integers(0, n - 1), max_size=n) | st.just(set(range(n)))


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Return upstream, staging, and a repository that holds what both hold; and a list to count trials with."""
    room = tmp_path_factory.mktemp("staging")
    with (
        Repo.create(str(room / "up"), UNIVERSE) as upstream,
        campaign(room, "ours") as staging,
        Repo.create(str(room / "one"), UNIVERSE) as merged,
    ):
        for repo in (upstream, staging, merged):
            with_records(repo.registry)
        yield upstream, staging, merged, []


@given(
    past=st.fixed_dictionaries({n: subsets(n) for n in TYPES}),
    inputs=st.fixed_dictionaries({n: subsets(n) for n in TYPES}),
    where=st.sampled_from(["", "camera = 'cam' AND shot IN (100, 101)", "camera = 'cam' AND chip = 1"]),
)
@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_two_registries_give_the_graph_that_one_would(three, past, inputs, where):
    """Whatever past runs in staging and inputs upstream hold, and whichever hides the other."""
    upstream, staging, merged, trial = three
    trial.append(0)
    mine, shared = f"u/past{len(trial)}", f"in{len(trial)}"
    ours = {mine: {n: (OTHER, rows) for n, rows in past.items()}}
    theirs = {shared: {n: (FOUND, rows) for n, rows in inputs.items()}}
    fill(upstream.registry, theirs, len(trial))
    fill(staging.registry, ours, len(trial))
    fill(merged.registry, {**ours, **theirs}, len(trial))
    apart = build(BuildView(upstream, staging), (mine, shared), where)
    together = build(BuildView(merged), (mine, shared), where)
    assert told(together) == told(apart)
    assert together.records("shot").rows() == apart.records("shot").rows()


@pytest.fixture
def pair(tmp_path: Path) -> Any:
    """Return upstream with all inputs, and staging with a past run of two masks."""
    with Repo.create(str(tmp_path / "up"), UNIVERSE) as upstream, campaign(tmp_path, "ours") as staging:
        with_records(upstream.registry)
        with_records(staging.registry)
        fill(
            upstream.registry,
            {"in": {n: (FOUND, range(FOUND[n].n_rows)) for n in TYPES}, "shared": {"mask": (FOUND, [])}},
        )
        fill(staging.registry, {"u/past": {"mask": (OTHER, [0, 3])}, "shared": {"mask": (OTHER, [1])}})
        yield upstream, staging


def test_past_runs_go_before_inputs(pair):
    """Their datasets are relative to the campaign's datastore; those from upstream are absolute."""
    upstream, staging = pair
    graph = build(BuildView(upstream, staging), ("u/past", "in"))
    masks = [graph.quantum(i).inputs["mask"][0] for i in range(6)]
    assert [m.run for m in masks] == ["u/past", "in", "in", "u/past", "in", "in"]
    assert masks[0].uri == OTHER["mask"]["uri"][0]


def test_only_what_upstream_holds_is_fetched(pair):
    """Datasets of past runs are in staging already."""
    upstream, staging = pair
    wanted = build(BuildView(upstream, staging), ("u/past", "in")).wanted()
    assert len(wanted.dataset_ids) == 6 + 4 + 2
    assert OTHER["mask"]["id"][0] not in wanted.dataset_ids


def test_a_run_that_was_pushed_can_still_be_searched_in_staging(pair):
    """Upstream may hold less of it."""
    upstream, staging = pair
    plain = build(BuildView(upstream, staging), ("shared", "in"))
    local = build(BuildView(upstream, staging, local=("shared",)), ("shared", "in"))
    assert plain.quantum(1).inputs["mask"][0].run == "in"
    assert local.quantum(1).inputs["mask"][0].run == "shared"


def test_a_chain_of_staging_is_searched_where_each_of_its_children_lives(pair):
    """The campaign's own chain names past runs and inputs."""
    upstream, staging = pair
    with staging.registry.write() as change:
        change.register_run("in")
        change.set_chain("mine", ["u/past", "in"])
    graph = build(BuildView(upstream, staging), ("mine",))
    assert graph.counts() == {"clean": 6, "sum": 3, "plain": 2}


def test_staging_alone_can_be_asked(pair):
    """Without upstream only what was fetched is there."""
    _, staging = pair
    assert build(BuildView(None, staging), ("u/past",)).n_quanta == 0


def test_a_collection_that_neither_side_has_is_named(pair):
    """With the nearest of both."""
    upstream, staging = pair
    with pytest.raises(NotFoundError, match="u/pats") as caught:
        build(BuildView(upstream, staging), ("u/pats",))
    assert "u/past" in caught.value.hint


def test_a_view_of_nothing_is_refused():
    """A graph rests on a repository."""
    with pytest.raises(UsageError):
        BuildView(None)
