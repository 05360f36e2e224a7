"""A push that replaces a run in a chain: pop and prepend as one step, refused where the run is not the campaign's."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from registry.errors import ConflictError, StageError, UsageError
from sync.faults import At, no_fault
from sync.plan import PushPlan
from sync.push import PushResult, execute_push, plan_push
from sync.repo import Repo
from tests import sync_builders as made
from tests.databases import DATABASES, Database, database_of
from tests.processes_killed import killed_at
from tests.taking_back import CHAIN, OTHER, World

ONE, TWO, THREE = (f"u/me/trial/{i}" for i in (1, 2, 3))
POINTS = ["journal-moved", "rows-written", "committed"]


def plan(world: World, *runs: str, **options: object) -> PushPlan:
    """Plan to push and replace."""
    options = {"campaign": made.CAMPAIGN, "chain": CHAIN, "register_dataset_types": True, **options}
    with world.opened() as (staging, upstream):
        return plan_push(staging, upstream, runs, replace_run=True, **options)  # type: ignore[arg-type]


def execute(world: World, planned: PushPlan, at: At = no_fault) -> PushResult:
    """Carry a plan out."""
    with world.opened() as (staging, upstream):
        return execute_push(planned, staging, upstream, at=at)


def push(world: World, *runs: str, at: At = no_fault, **options: object) -> PushResult:
    """Push and replace."""
    return execute(world, plan(world, *runs, **options), at)


def chain(world: World) -> list[str]:
    """What the chain upstream searches."""
    with Repo.open(world.root / "up") as upstream, upstream.registry.read() as snap:
        return list(snap.collection(CHAIN).children)


def set_chain(world: World, *children: str) -> None:
    """Somebody sets the chain by hand."""
    with Repo.open(world.root / "up", writable=True) as upstream, upstream.registry.write() as tx:
        tx.set_chain(CHAIN, children)


def make(root: Path, database: Database | None = None) -> World:
    """A campaign with three runs, the first pushed into a chain that had something."""
    world = World(root, database)
    for name in (ONE, TWO, THREE):
        world.run(name, visits=(1,), detectors=(0,))
    set_chain(world, "CAM/calib")
    world.push(ONE)
    assert chain(world) == [ONE, "CAM/calib"]
    return world


@pytest.fixture(params=DATABASES)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """On either database."""
    with database_of(request, tmp_path) as database:
        yield make(tmp_path, database)


@pytest.fixture
def local(tmp_path: Path) -> World:
    """On files alone."""
    return make(tmp_path)


def test_the_newest_takes_the_place_of_the_one_before(world: World) -> None:
    """The run that was first leaves the chain and stays upstream; given again the push does nothing, and so does its dry run."""
    planned = plan(world, TWO)
    assert planned.chain is not None
    assert (planned.chain.replaced, planned.chain.children) == (ONE, (TWO, "CAM/calib"))
    assert f"chain {CHAIN}: {TWO}, CAM/calib; {ONE} gives up its place" in planned.lines()
    assert planned.to_document()["chain"]["replaced"] == ONE
    before = {row for row in world.rows() if ONE in row and not row.startswith(CHAIN)}

    assert execute(world, planned).push_id is not None

    assert chain(world) == [TWO, "CAM/calib"]
    assert before <= set(world.rows())
    assert made.dangling(world.root / "up") == []
    assert plan(world, TWO).is_empty
    assert push(world, TWO).push_id is None
    assert chain(world) == [TWO, "CAM/calib"]


def test_taken_back_it_gives_the_place_back(world: World) -> None:
    """Unpush restores the chain as it was, tells so beforehand, and the run can be pushed so once more."""
    before = world.files(), world.rows()
    push(world, TWO)
    with Repo.open(world.root / "up") as upstream:
        from sync.unpush import plan_unpush

        planned = plan_unpush(upstream, TWO)
    assert (planned.chain, planned.restored) == (CHAIN, ONE)

    world.unpush(TWO)

    assert before == (world.files(), world.rows())
    push(world, TWO)
    assert chain(world) == [TWO, "CAM/calib"]


@pytest.mark.survives("kills", "push --replace-run", len(POINTS))
def test_killed_anywhere_it_is_completed_by_the_next(world: World) -> None:
    """One of the two is first at any time and never both; given again the chain is as after an undisturbed push."""
    for point in POINTS:
        assert killed_at(point, lambda at: push(world, TWO, at=at)), point
        assert chain(world) == [TWO if point == "committed" else ONE, "CAM/calib"], point
        push(world, TWO)
        assert chain(world) == [TWO, "CAM/calib"], point
        world.unpush(TWO)
        assert chain(world) == [ONE, "CAM/calib"], point
    assert made.dangling(world.root / "up") == []


@pytest.mark.survives("races", "pushes that replace one run", 2)
def test_of_two_that_replace_one_run_the_later_is_told_who_won(world: World) -> None:
    """Both planned to take the place of the same run: one has it, the other is refused by name, and takes nothing out."""
    planned = plan(world, THREE)

    def meanwhile(name: str) -> None:
        if name == "journal-moved":
            push(world, TWO)

    with pytest.raises(ConflictError, match="chain-changed") as caught:
        execute(world, planned, meanwhile)

    assert chain(world) == [TWO, "CAM/calib"]
    assert "pushed by" in str(caught.value)
    assert push(world, THREE).push_id is not None
    assert chain(world) == [THREE, "CAM/calib"]


@pytest.mark.survives("races", "pushes that replace one run", 2)
def test_two_at_once_end_as_one_after_the_other(world: World) -> None:
    """Each repeated until it is through, one run of the two is first in the chain, and nothing else was taken out."""
    done: list[str] = []
    refused: set[str] = set()

    def until_through(run: str) -> None:
        for _ in range(20):
            try:
                push(world, run)
            except StageError as error:
                refused.add(error.code)
            else:
                done.append(run)
                return

    threads = [threading.Thread(target=until_through, args=(run,)) for run in (TWO, THREE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)

    assert sorted(done) == [TWO, THREE]
    assert refused <= {"chain-changed", "busy", "upstream-changed"}
    assert chain(world) == [world.ledger()[0].runs[0], "CAM/calib"]
    assert made.dangling(world.root / "up") == []


@pytest.mark.parametrize(
    ("children", "told"),
    [(["CAM/raw/all", ONE], "upstream 'CAM/raw/all' first"), ([], "upstream nothing in it"), (None, "no such chain")],
)  # fmt: skip
def test_only_a_run_of_the_campaign_is_replaced(
    local: World, children: Sequence[str] | None, told: str
) -> None:
    """Another's head, an empty chain and none at all are refused, by the dry run too; left out, the run is put in front."""
    if children is not None:
        set_chain(local, *children)
    name = CHAIN if children is not None else "u/me/none"
    (found,) = plan(local, TWO, chain=name).conflicts

    assert (found.code, told in str(found)) == ("chain-head-not-ours", True)
    before = local.files(), local.rows()
    with pytest.raises(ConflictError, match="chain-head-not-ours"):
        push(local, TWO, chain=name)
    assert before == (local.files(), local.rows())

    push(local, TWO, chain=name, on_conflict=["chain-head-not-ours=skip"])
    with Repo.open(local.root / "up") as upstream, upstream.registry.read() as snap:
        assert list(snap.collection(name).children) == [TWO, *(children or ())]


def test_another_campaigns_run_is_named_with_its_owner(local: World) -> None:
    """What another campaign has put in front between plan and commit is not taken out: the refusal says whose it is."""
    planned = plan(local, TWO)

    def meanwhile(name: str) -> None:
        if name == "journal-moved":
            local.push(THREE, info=OTHER)

    with pytest.raises(ConflictError, match="chain-head-not-ours") as caught:
        execute(local, planned, meanwhile)

    assert f"from campaign '{OTHER.name}'" in str(caught.value)
    assert chain(local) == [THREE, ONE, "CAM/calib"]


def test_of_several_runs_the_newest_alone_goes_into_the_chain(local: World) -> None:
    """One comes for one; what is pushed with it stays out, so that the same push again changes nothing."""
    push(local, THREE, TWO, ONE)

    assert chain(local) == [THREE, "CAM/calib"]
    assert push(local, THREE, TWO, ONE).push_id is None
    assert chain(local) == [THREE, "CAM/calib"]


def test_without_a_chain_it_is_that_of_the_last_push(local: World) -> None:
    """The ledger knows where the campaign's runs go; where it has none, the way to name one is told."""
    push(local, TWO, chain=None)
    assert chain(local) == [TWO, "CAM/calib"]

    with pytest.raises(UsageError, match="into a chain") as caught:
        plan(local, THREE, chain=None, campaign=OTHER)
    assert "--chain NAME" in caught.value.hint


def test_the_place_goes_back_to_what_is_left(local: World) -> None:
    """Of three that replaced one another the middle one is taken back first: then the first gets the place of the last."""
    push(local, TWO)
    push(local, THREE)
    local.unpush(TWO)
    assert chain(local) == [THREE, "CAM/calib"]

    local.unpush(THREE)

    assert chain(local) == [ONE, "CAM/calib"]


def test_a_chain_that_was_changed_by_hand_stays_as_it_is(local: World) -> None:
    """Where ours was taken out, or the other put back, since: taking the push back puts nothing in."""
    push(local, TWO)
    set_chain(local, "CAM/calib", TWO, ONE)
    local.unpush(TWO)

    assert chain(local) == ["CAM/calib", ONE]
