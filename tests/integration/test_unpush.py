"""Taking pushes back: exactly what one has inserted, unless somebody depends on it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from registry.errors import ConflictError, NotFoundError, StorageError, UsageError
from registry.model.collections import CollectionType
from registry.model.columns import Columns
from registry.model.records import QUANTUM
from registry.model.refs import derived_ids, id_text, new_id
from sync.fsck.plan import plan_fsck
from sync.push import execute_push
from sync.pushing.inserted import pack_ids, unpack_ids
from sync.repo import Repo
from sync.unpush import execute_unpush, plan_unpush
from tests import sync_builders as made
from tests.databases import DATABASES, database_of
from tests.push_worlds import make_steps
from tests.push_worlds import plan as plan_steps
from tests.taking_back import CHAIN, OTHER, RUN, World, read_by


@pytest.fixture(params=DATABASES)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A campaign with a run, on either database."""
    with database_of(request, tmp_path) as database:
        yield World(tmp_path, database)


@pytest.fixture
def local(tmp_path: Path) -> World:
    """The same on SQLite, with a run that is pushed."""
    world = World(tmp_path)
    world.run()
    world.push()
    return world


def made_ids(staging: Repo, run: str) -> Iterator[bytes]:
    """Ids of the images that a run has made."""
    with staging.registry.read() as snap:
        yield from snap.datasets(made.CALEXP, [run])["id"].tolist()


def kinds(world: World, what: str = RUN) -> dict[str, str]:
    """What depends on a push: kind to which."""
    with Repo.open(world.root / "up") as upstream:
        return {d.kind: d.what for d in plan_unpush(upstream, what).dependents}


def test_all_that_a_push_inserted_goes_and_nothing_else(world: World) -> None:
    """Rows and files are as before; types, records and the ledger's row stay; the campaign's next push is whole."""
    world.run()
    before = world.files(), world.rows()
    world.push()
    published = world.rows()
    plan, result = world.unpush()

    assert (plan.datasets, plan.quanta, plan.runs) == ({"calexp": 4, "calexp_log": 4}, 4, (RUN,))
    assert (result.datasets, result.quanta, result.files) == (8, 4, 8)
    assert before == (world.files(), world.rows())
    with Repo.open(world.root / "up") as upstream, upstream.registry.read() as snap:
        assert snap.dataset_type("calexp").storage_class == "Bytes"
    (row,) = world.ledger()
    assert row.withdrawn is not None
    report = plan_fsck("up", partial(Repo.open, world.root / "up"), depth="fast")
    assert "ledger-run-missing" not in {finding.code for finding in report.findings}
    assert (row.withdrawn["how"], row.withdrawn["who"]) == ("taken-back", row.who)
    assert not world.plan().is_empty
    assert world.push().push_id is not None
    assert published == world.rows()


def test_an_increment_goes_and_what_was_there_before_stays(world: World) -> None:
    """Of a run that was pushed twice the second push goes alone, quanta tried again among what it brought."""
    first = world.run(detectors=(0,), failed=1)
    world.push()
    before = world.files(), world.rows()
    with world.opened() as (staging, _):
        made.put_datasets(staging, made.CALEXP, RUN, [("CAM", 2, 0), ("CAM", 1, 1), ("CAM", 2, 1)])
        again = (
            first.quantum_ids[1],
            RUN,
            "calibrate",
            "{}",
            "succeeded",
            1,
            30,
            40,
            5,
            1,
            "here",
            "",
            new_id(),
        )
        new = (new_id(), RUN, "calibrate", "{}", "succeeded", 0, 30, 40, 5, 1, "here", "", new_id())
        with staging.registry.write() as tx:
            ids = tx.datasets(made.CALEXP, [RUN])["id"].tolist()
            tx.insert_quanta(Columns.from_rows(QUANTUM, [again, new]))
            names = ("quantum_id", "dataset_id", "connection")
            tx.insert_quantum_outputs(
                Columns.from_rows(names, [(again[0], ids[-1], "image"), (new[0], ids[-2], "image")])
            )
    second = world.push()
    plan, result = world.unpush()

    assert second.push_id == plan.push.id
    assert (plan.datasets, plan.quanta, plan.runs) == ({"calexp": 3}, 2, ())
    assert (result.datasets, result.files) == (3, 3)
    assert before == (world.files(), world.rows())
    assert world.push().push_id is not None
    assert [True, False, True] == [p.withdrawn is None for p in world.ledger()]


def test_pushes_are_taken_back_in_turn(local: World) -> None:
    """A push to whose run a later one has added stays until that is gone; the message says which."""
    with local.opened() as (staging, _):
        made.put_datasets(staging, "packages", RUN, [()])
    local.push(info=OTHER)
    second, first = local.ledger()
    with pytest.raises(ConflictError) as caught:
        local.unpush(id_text(first.id))

    assert caught.value.code == "push-in-use"
    assert f"push {id_text(second.id)} has added to 1 of its runs; campaign 'other' by" in str(caught.value)
    assert (
        f"stage repo unpush {local.root / 'up'} {id_text(second.id)}" == caught.value.hint.partition(": ")[2]
    )
    local.unpush(id_text(second.id))
    local.unpush(id_text(first.id))
    assert [True, True] == [p.withdrawn is not None for p in local.ledger()]


def test_quanta_of_others_that_read_it_are_named(tmp_path: Path) -> None:
    """Another run's quanta have read its datasets: the refusal has run, campaign, user and push."""
    world = World(tmp_path)
    run = world.run()
    world.push()
    with world.opened() as (staging, _):
        read_by(staging, "u/you/look", run.dataset_ids[:2])
    world.push("u/you/look", info=OTHER, chain=None)
    before = world.files(), world.rows()
    with pytest.raises(ConflictError) as caught:
        world.unpush()

    later = world.ledger()[0]
    assert (
        f"1 quanta of run 'u/you/look' read its datasets; push {id_text(later.id)} of campaign 'other' by {later.who}"
        in str(caught.value)
    )
    assert caught.value.context["dependents"][0]["kind"] == "quanta"
    assert before == (world.files(), world.rows())
    world.unpush("u/you/look")
    world.unpush()


def test_what_was_pushed_before_its_inputs_does_not_hold_them(tmp_path: Path) -> None:
    """Products first, what they were made from later: the second push goes alone, and then the first."""
    world = World(tmp_path)
    with world.opened() as (staging, upstream):
        make_steps(staging, RUN)
        make_steps(staging, "u/me/trial/2", inputs=list(made_ids(staging, RUN)))
        for globs in (["summary"], ["source"]):
            runs = [RUN] if globs == ["source"] else [RUN, "u/me/trial/2"]
            execute_push(plan_steps(staging, upstream, *runs, dataset_types=globs), staging, upstream)
    before = world.ledger()[1]

    assert kinds(world, id_text(before.id)) == {"push": id_text(world.ledger()[0].id)}
    assert kinds(world) == {}
    plan, _ = world.unpush()
    assert plan.datasets == {"source": 4}
    world.unpush(id_text(before.id))
    assert all(push.withdrawn for push in world.ledger())


def test_what_was_added_later_to_a_run_that_was_there_counts(tmp_path: Path) -> None:
    """Quanta that a third push has added to another run of the first, and that read what the second brought, hold it."""
    world = World(tmp_path)
    with world.opened() as (staging, upstream):
        make_steps(staging, RUN)
        make_steps(staging, "u/me/trial/2", visits=(1,))
        runs = (RUN, "u/me/trial/2")
        execute_push(plan_steps(staging, upstream, *runs, dataset_types=["summary"]), staging, upstream)
        execute_push(plan_steps(staging, upstream, RUN), staging, upstream)
        made.put_datasets(staging, "packages", runs[1], [()])
        read_by(staging, runs[1], list(made_ids(staging, RUN))[:1])
        execute_push(plan_steps(staging, upstream, runs[1]), staging, upstream)
    third, second, _ = world.ledger()

    assert kinds(world, id_text(second.id)) == {"quanta": "u/me/trial/2"}
    with pytest.raises(ConflictError) as caught:
        world.unpush(id_text(second.id))
    assert id_text(third.id) in caught.value.hint


def test_files_that_cannot_be_removed_are_told_to_be_left(local: World) -> None:
    """The rows have gone by then; the error says so, and the same again goes on with the files."""
    victim = next((local.root / "up/data").rglob("calexp_CAM_1_0_*"))
    victim.unlink()
    (victim / "in the way").mkdir(parents=True)
    with pytest.raises(StorageError) as caught:
        local.unpush()

    assert "the same command again goes on" in caught.value.__notes__[0]
    (victim / "in the way").rmdir()
    victim.rmdir()
    plan, _ = local.unpush()
    assert plan.taken_back
    assert not list((local.root / "up/data").rglob("calexp_CAM_*"))


def test_quanta_of_its_own_do_not_count(local: World) -> None:
    """A run whose quanta read one another's outputs depends on nobody but itself."""
    with local.opened() as (staging, _):
        read_by(
            staging, "u/me/chained", made.put_datasets(staging, made.CALEXP, "u/me/chained", [("CAM", 1, 0)])
        )
    local.push("u/me/chained")

    assert kinds(local, "u/me/chained") == {}


def test_collections_that_hold_or_search_it_are_named(local: World) -> None:
    """A TAGGED collection, a chain other than the one it moved, datasets that no push brought."""
    with Repo.open(local.root / "up", writable=True) as upstream:
        with upstream.registry.write() as tx:
            tx.register_collection("CAM/chosen", CollectionType.TAGGED)
            tx.associate("CAM/chosen", tx.datasets(made.CALEXP, [RUN])["id"].tolist()[:3])
            tx.set_chain("CAM/everything", [RUN, "CAM/raw/all"])
        made.put_datasets(upstream, "packages", RUN, [()])

    assert kinds(local) == {"collection": "CAM/chosen", "chain": "CAM/everything", "datasets": RUN}


def test_a_chain_keeps_what_others_put_there(local: World) -> None:
    """Only the runs of the push leave it; one that it made goes when nothing is left."""
    local.run("u/me/trial/2")
    local.push("u/me/trial/2")
    local.unpush(RUN)
    with Repo.open(local.root / "up") as upstream, upstream.registry.read() as snap:
        assert snap.collection(CHAIN).children == ("u/me/trial/2",)
    local.unpush("u/me/trial/2")
    with Repo.open(local.root / "up") as upstream, upstream.registry.read() as snap:
        assert snap.collection(CHAIN).children == ()


def test_a_push_is_named_by_its_id_its_beginning_or_a_run(local: World) -> None:
    """What is no push of the ledger is told; two beginnings alike are not guessed."""
    (push,) = local.ledger()
    with Repo.open(local.root / "up") as upstream:
        for text in (id_text(push.id), id_text(push.id)[:13], RUN):
            assert plan_unpush(upstream, text).push.id == push.id
        with pytest.raises(NotFoundError, match="no push 'u/nobody'") as caught:
            plan_unpush(upstream, "u/nobody")
    assert "repo pushes" in caught.value.hint
    local.run("u/me/trial/2")
    local.push("u/me/trial/2")
    same = id_text(push.id)[:2]
    with Repo.open(local.root / "up") as upstream, pytest.raises(UsageError, match="2 pushes have ids"):
        plan_unpush(upstream, same)


def test_a_push_of_an_older_version_is_refused(local: World) -> None:
    """Nobody noted what it inserted; the message says what can be done instead."""
    with Repo.open(local.root / "up", writable=True) as upstream, upstream.registry.write() as tx:
        (row,) = tx.table("push_ledger").rows()
        old = Columns.from_rows(
            tx.table("push_ledger").names, [(*row[:-1], json.dumps({"dataset": {"new": 8}}))]
        )
        tx.insert_rows("push_ledger", old, on_existing="replace")
    with Repo.open(local.root / "up") as upstream, pytest.raises(ConflictError) as caught:
        plan_unpush(upstream, RUN)

    assert caught.value.code == "push-not-noted"
    assert local.ledger()[0].new("dataset") == 8


def test_a_plan_that_is_outdated_is_refused(local: World) -> None:
    """Somebody comes to depend on it between plan and execution: nothing goes."""
    with Repo.open(local.root / "up", writable=True) as upstream:
        plan = plan_unpush(upstream, RUN)
        with upstream.registry.write() as tx:
            tx.set_chain("CAM/everything", [RUN])
        before = local.files(), local.rows()
        with pytest.raises(ConflictError, match="chain 'CAM/everything'"):
            execute_unpush(plan, upstream)

    assert before == (local.files(), local.rows())


def test_files_elsewhere_are_not_touched(local: World) -> None:
    """What lies outside the run's own directory was adopted where it is; its rows go, it stays."""
    with Repo.open(local.root / "up", writable=True) as upstream, upstream.registry.write() as tx:
        rows = tx.datasets(made.CALEXP, [RUN], artifacts=True)
        names = ("id", "uri", "size", "checksum", "formatter")
        moved = [(i, f"adopted/{n}", *rest) for n, (i, _, *rest) in enumerate(rows.rows(names))]
        tx.insert_artifacts(Columns.from_rows(names, moved))
    own = local.root / "up" / "data" / "adopted"
    own.mkdir()
    for n in range(4):
        (own / str(n)).write_text("the campaign's")
    plan, result = local.unpush()

    assert (plan.n_outside, result.files) == (4, 4)
    assert len(list(own.iterdir())) == 4


def test_what_a_push_notes_is_short(tmp_path: Path) -> None:
    """Of a run that it makes, numbers; of one that was there, ids of one graph in less than a byte each."""
    world = World(tmp_path)
    world.run(detectors=(0,))
    world.push()
    world.run("u/me/trial/2")
    world.push("u/me/trial/2")
    small, large = (len(json.dumps(push.summary)) for push in world.ledger()[::-1])

    assert abs(small - large) < 10
    ids = derived_ids(bytes(range(16)), np.arange(10_000))
    assert len(pack_ids(ids)) < 6_000
    assert sorted(ids) == unpack_ids(pack_ids(ids))
