"""Graphs that are refreshed, trimmed, extended and cut: whatever the world is, and with the ids that they had."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry.errors import StageError
from stage.graph.changing.extend import extend
from stage.graph.changing.refresh import refresh
from stage.graph.file.reader import GraphFile
from stage.graph.graph import QuantumGraph
from tests.graph_world import World, build, full_world, tasks, told

RAWS, FLATS = 6, 2
some_raws = st.sets(st.integers(0, RAWS - 1))
numbers = itertools.count()
quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def again(graph: QuantumGraph, world: World, **options: Any) -> QuantumGraph:
    """Refresh."""
    return refresh(graph, world, input_collections=["in"], **options).graph


def planned_ids(graph: QuantumGraph) -> dict[Any, bytes]:
    """Return the ids of quanta and planned datasets, by what they are."""
    ids: dict[Any, bytes] = {}
    for q in graph.quanta(range(graph.n_quanta)):
        ids[q.label, *q.data_id.values()] = q.id
        ids |= {(d.dataset_type, d.values): d.id for refs in q.outputs.values() for d in refs}
    return ids


def reloaded(graph: QuantumGraph) -> QuantumGraph:
    """Save and load, and read each quantum alone."""
    uri = f"memory://refresh/{next(numbers)}.qg"
    graph.save(uri)
    file = GraphFile.open(uri)
    whole = file.load()
    for ordinal in range(graph.n_quanta):
        assert graph.quantum(ordinal) == file.quantum(ordinal) == whole.quantum(ordinal)
    every = range(graph.n_datasets)
    assert graph.dataset_ids(every) == whole.dataset_ids(every)
    return whole


@given(raw=some_raws, mask=some_raws, flat=st.sets(st.integers(0, FLATS - 1)), parts=st.integers(1, 2))
@quick
def test_refreshing_after_inputs_went_is_building_anew(raw, mask, flat, parts):
    """The same quanta with the same edges, and of those that stay the same ids; again, nothing changes."""
    world = full_world()
    graph = build(world, tasks(parts))
    less = world.without(raw=raw, mask=mask, flat=flat)
    new = build(less, tasks(parts), allow_empty=True)
    found = again(graph, less, allow_pruning=True, allow_empty=True)
    assert told(new) == told(found)
    assert [t.n_datasets for t in new.layout.types] == [t.n_datasets for t in found.layout.types]
    assert planned_ids(found).items() <= planned_ids(graph).items()
    assert found is again(found, less, allow_empty=True)
    reloaded(found)


@given(raw=some_raws, flat=st.sets(st.integers(0, FLATS - 1)))
@quick
def test_pruning_that_is_not_allowed_changes_nothing(raw, flat):
    """Either no quantum goes, or there is an error and the graph is as it was."""
    world = full_world()
    graph = build(world, tasks(1, flat=1))
    before = told(graph, ids=True)
    less = world.without(raw=raw, flat=flat)
    n_left = again(graph, less, allow_pruning=True, allow_empty=True).n_quanta
    if n_left < graph.n_quanta:
        with pytest.raises(StageError) as caught:
            again(graph, less)
        assert caught.value.code == "refresh-would-prune"
    else:
        assert graph.n_quanta == again(graph, less).n_quanta
    assert before == told(graph, ids=True)


@given(done=st.sets(st.integers(0, 17)))
@quick
def test_trimming_leaves_out_just_what_is_done(done):
    """What is left reads what was made elsewhere; trimming again changes nothing, and ids stay."""
    world = full_world()
    graph = build(world, run="u/run")
    world.put_outputs(graph, done, "u/run")
    found = again(graph, world, skip_run="u/run", trim_existing_in=["u/run"], allow_empty=True)
    left = [o for o in range(graph.n_quanta) if o not in done]
    assert found.quantum_ids(range(found.n_quanta)) == graph.quantum_ids(left)
    for q, old in zip(found.quanta(range(found.n_quanta)), graph.quanta(left), strict=True):
        ids = {name: [d.id for d in refs] for name, refs in old.inputs.items()}
        assert ids == {name: [d.id for d in refs] for name, refs in q.inputs.items()}
    assert planned_ids(found).items() <= planned_ids(graph).items()
    twice = again(found, world, skip_run="u/run", trim_existing_in=["u/run"], allow_empty=True)
    assert twice is found
    reloaded(found)


@given(st.data())
@quick
def test_the_union_has_all_of_both(data):
    """And the first as it was; with itself, or with a part of itself, a graph is what it was."""
    world = full_world()
    graph, other = build(world), build(world).retarget("")
    ordinals = st.sets(st.integers(0, graph.n_quanta - 1))
    one, two = graph.select(sorted(data.draw(ordinals))), other.select(sorted(data.draw(ordinals)))
    union = extend(one, two)
    ours, theirs, both = told(one), told(two), told(union)
    assert both.keys() == ours.keys() | theirs.keys()
    ids = planned_ids(union)
    assert planned_ids(one).items() <= ids.items()
    only_second = {
        q.id for q in two.quanta(range(two.n_quanta)) if (q.label, *q.data_id.values()) not in ours
    }
    assert only_second <= set(union.quantum_ids(range(union.n_quanta)))
    assert len(set(ids.values())) == len(ids)
    assert extend(union, two) is union
    assert extend(one, one) is one
    assert extend(graph, one) is graph
    reloaded(union)


@given(st.data())
@quick
def test_ids_stay_through_all_changes(data):
    """Trimmed of what is done, pruned of what lost its input, extended again: what is there all along is the same."""
    world = full_world()
    graph = build(world, run="u/run")
    every = st.sets(st.integers(0, graph.n_quanta - 1))
    part = graph.select(sorted(data.draw(every)))
    world.put_outputs(part, [o for o in sorted(data.draw(every)) if o < part.n_quanta], "u/run")
    less = world.without(raw=data.draw(some_raws))
    options = {"trim_existing_in": ["u/run"], "allow_pruning": True, "allow_empty": True}
    left = again(part, less, **options)
    whole = extend(left, build(world).retarget("u/run"))
    ids = [planned_ids(g) for g in (part, left, whole)]

    assert ids[1].items() <= ids[0].items()
    assert ids[1].items() <= ids[2].items()
    assert planned_ids(graph).keys() == ids[2].keys()
    assert len(set(ids[2].values())) == len(ids[2])
    assert extend(whole, left) is whole
    assert planned_ids(again(whole, less, **options)).items() <= ids[2].items()
    reloaded(whole)


@given(st.data())
@quick
def test_a_part_of_a_graph_is_as_it_was_in_the_whole(data):
    """Quanta, datasets, edges and records; for another RUN it has ids of its own."""
    graph = build(full_world(), run="u/run")
    ordinals = sorted(data.draw(st.sets(st.integers(0, graph.n_quanta - 1))))
    part = graph.select(ordinals)
    assert {k: v for k, v in told(graph, ids=True).items() if k in told(part)} == told(part, ids=True)
    assert part.quantum_ids(range(part.n_quanta)) == graph.quantum_ids(ordinals)
    for q, old in zip(part.quanta(range(part.n_quanta)), graph.quanta(ordinals), strict=True):
        assert q.records == old.records
    moved = reloaded(reloaded(part).retarget("u/other"))
    assert part.n_quanta == moved.n_quanta
    assert not planned_ids(part).items() & planned_ids(moved).items()
    assert moved.header.origins == ()
