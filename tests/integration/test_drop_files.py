"""What a drop removes, and what it never does: files that only the campaign has, and anything outside its own root."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.errors import UsageError
from sync.clone import execute_fetch, plan_fetch
from sync.drop import DropPlan, execute_drop, plan_drop
from sync.fetching.artifacts import plan_artifacts
from sync.push import execute_push, plan_push
from sync.repo import Repo
from tests import sync_builders as made
from tests.databases import ask

RUN, LATER = "u/me/trial/1", "u/me/trial/2"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An upstream and a campaign with copies of its inputs, a run that was pushed and one that was not."""
    root = tmp_path_factory.mktemp("source")
    made.copy_world(root)
    with Repo.open(root / "up", writable=True) as upstream, made.open_staging(root / "campaign") as staging:
        made.make_run(staging, RUN)
        plan = plan_push(staging, upstream, [RUN], campaign=made.CAMPAIGN, register_dataset_types=True)
        execute_push(plan, staging, upstream, mode="link")
        made.make_run(staging, LATER)
        fetched = plan_fetch(upstream, staging, made.wanted(upstream))
        files = plan_artifacts(fetched.datasets, upstream, staging, "copy", held=None)
        execute_fetch(fetched, staging, files)
    return root


@pytest.fixture
def world(source: Path, tmp_path: Path) -> Iterator[tuple[Repo, Repo]]:
    """A copy of both."""
    for name in ("up", "campaign"):
        shutil.copytree(source / name, tmp_path / name)
    with Repo.open(tmp_path / "up") as upstream, made.open_staging(tmp_path / "campaign") as staging:
        yield upstream, staging


def plan_all(world: tuple[Repo, Repo], *, verify: bool = False) -> DropPlan:
    upstream, staging = world
    return plan_drop(staging, upstream, [RUN, LATER], inputs_beside=[RUN, LATER], verify=verify)


def reasons(plan: DropPlan) -> dict[str, int]:
    return {kept.code: kept.n for kept in plan.kept}


def one_of(repo: Repo, run: str) -> str:
    """Return the first URI of a run's images."""
    with repo.registry.read() as snapshot:
        found: str = snapshot.datasets("calexp", [run], artifacts=True)["uri"][0]
    return found


def test_only_what_upstream_holds_goes(world: tuple[Repo, Repo]) -> None:
    """Copies of inputs and outputs of the pushed run go; the other run's stay, and the plan says why."""
    upstream, staging = world
    before = made.tree(Path(upstream.root))
    plan = plan_all(world)
    result = execute_drop(plan, staging)

    assert (result.files, reasons(plan)) == (14, {"not-upstream": 8})
    assert LATER in plan.kept[0].first
    left = [p for p in Path(staging.datastore.root).rglob("*.*") if p.is_file() and LATER in str(p)]
    assert len(left) == 8
    assert not Path(staging.datastore.root, RUN).exists()
    assert before == made.tree(Path(upstream.root))


def test_records_refer_to_upstream_afterwards(world: tuple[Repo, Repo]) -> None:
    """What was dropped is read from upstream, checksums unchanged; a second drop finds nothing to do."""
    upstream, staging = world
    execute_drop(plan_all(world), staging)
    with staging.registry.read() as snapshot:
        rows = snapshot.datasets("calexp", [RUN], artifacts=True)

    assert all(uri.startswith(upstream.datastore.root + "/") for uri in rows["uri"].tolist())
    assert staging.get(rows["id"][0], verify=True)
    assert plan_all(world).is_empty


@pytest.mark.parametrize(
    ("damage", "code", "verify"),
    [
        ("missing", "missing-upstream", False),
        ("shorter", "changed-upstream", False),
        ("other bytes", "changed-upstream", True),
        ("other record", "differs-upstream", False),
        ("no checksum", "no-checksum", False),
    ],
)
def test_a_file_stays_unless_upstream_has_it_as_recorded(
    world: tuple[Repo, Repo], damage: str, code: str, verify: bool
) -> None:
    """Upstream's file is looked at, with --verify read: missing, shorter or other ones keep ours."""
    upstream, staging = world
    uri = one_of(upstream, RUN)
    theirs, ours = Path(upstream.datastore.root, uri), Path(staging.datastore.root, uri)
    data = theirs.read_bytes()
    if damage == "missing":
        theirs.unlink()
    elif damage == "shorter":
        theirs.unlink()
        theirs.write_bytes(data[:-1])
    elif damage == "other bytes":
        theirs.unlink()
        theirs.write_bytes(b"x" * len(data))
    elif damage == "other record":
        made.change(Path(upstream.root), f"UPDATE artifact SET checksum = 'blake3:00' WHERE uri = '{uri}'")
    else:
        for root in (Path(upstream.root), Path(staging.datastore.root).parent):
            database = staging.registry if root.name == "campaign" else None
            statement = f"UPDATE artifact SET checksum = '' WHERE uri = '{uri}'"
            if database is None:
                made.change(root, statement)
            else:
                ask(database, statement)
    plan = plan_all(world, verify=verify)
    execute_drop(plan, staging)

    assert reasons(plan) == {"not-upstream": 8, code: 1}
    assert ours.read_bytes() == data


def test_files_that_a_push_needs_stay(world: tuple[Repo, Repo]) -> None:
    """A run of which a push was broken off keeps all its files."""
    upstream, staging = world
    plan = plan_drop(staging, upstream, [RUN], unfinished={RUN: "a push was broken off"})

    assert (plan.is_empty, reasons(plan), plan.kept[0].why) == (
        True,
        {"push-unfinished": 8},
        "a push was broken off",
    )


def test_links_are_removed_and_never_followed(world: tuple[Repo, Repo]) -> None:
    """Of a symbolic and of a hard link to upstream's file only our name goes."""
    upstream, staging = world
    uri = one_of(upstream, RUN)
    ours, theirs = Path(staging.datastore.root, uri), Path(upstream.datastore.root, uri)
    others = [p for p in ours.parent.iterdir() if p != ours]
    ours.unlink()
    ours.symlink_to(theirs)
    second = theirs.with_name(others[0].name)
    others[0].unlink()
    os.link(second, others[0])
    before = made.tree(Path(upstream.root))
    plan = plan_all(world)
    execute_drop(plan, staging)

    assert not ours.is_symlink()
    assert not others[0].exists()
    assert plan.shared_bytes == second.stat().st_size
    assert before == made.tree(Path(upstream.root))


def test_a_directory_that_leads_to_upstream_keeps_its_files(world: tuple[Repo, Repo]) -> None:
    """Where the campaign's directory of a run is a symbolic link to upstream's, nothing below it goes."""
    upstream, staging = world
    ours, theirs = Path(staging.datastore.root, RUN), Path(upstream.datastore.root, RUN)
    shutil.rmtree(ours)
    ours.symlink_to(theirs)
    before = made.tree(Path(upstream.root))
    plan = plan_all(world)
    execute_drop(plan, staging)

    assert reasons(plan)["not-below-root"] == 8
    assert before == made.tree(Path(upstream.root))
    assert ours.is_symlink()


def test_a_directory_that_was_turned_after_the_plan_refuses_the_drop(world: tuple[Repo, Repo]) -> None:
    """What leads out when the files are about to go refuses all of it, before a record has changed."""
    upstream, staging = world
    plan = plan_all(world)
    ours = Path(staging.datastore.root, RUN)
    shutil.rmtree(ours)
    ours.symlink_to(Path(upstream.datastore.root, RUN))
    before = made.tree(Path(upstream.root))
    with pytest.raises(UsageError, match="leads out"):
        execute_drop(plan, staging)

    assert before == made.tree(Path(upstream.root))
    assert one_of(staging, RUN).startswith(RUN)


@pytest.mark.parametrize("planted", ["../up/data/{uri}", "/{up}/{uri}", "CAM/../../../up/data/{uri}", "."])
def test_a_record_that_leads_out_keeps_its_file(world: tuple[Repo, Repo], planted: str) -> None:
    """A path with ``..``, or an absolute one, written into a record by hand removes nothing."""
    upstream, staging = world
    uri = one_of(upstream, RUN)
    text = planted.format(uri=uri, up=upstream.datastore.root.lstrip("/"))
    ask(staging.registry, f"UPDATE artifact SET uri = '{text}' WHERE uri = '{uri}'")
    Path(staging.datastore.root, uri).unlink()
    before = made.tree(Path(upstream.root))
    plan = plan_all(world)
    execute_drop(plan, staging)

    assert before == made.tree(Path(upstream.root))
    assert reasons(plan).get("not-below-root", 0) == (0 if text.startswith("/") else 1)


def test_the_file_that_upstream_names_stays(world: tuple[Repo, Repo]) -> None:
    """Where upstream's record leads to this very file, by its path or by a link, it is no second copy."""
    upstream, staging = world
    uri = one_of(upstream, RUN)
    ours, theirs = Path(staging.datastore.root, uri), Path(upstream.datastore.root, uri)
    made.change(Path(upstream.root), f"UPDATE artifact SET uri = '{ours}' WHERE uri = '{uri}'")
    other = next(p for p in ours.parent.iterdir() if p != ours)
    linked = theirs.with_name(other.name)
    linked.unlink()
    linked.symlink_to(other)
    plan = plan_all(world)
    execute_drop(plan, staging)

    assert reasons(plan)["same-file"] == 2
    assert ours.is_file()
    assert other.is_file()


def test_chosen_types_go_alone(world: tuple[Repo, Repo]) -> None:
    """Patterns choose dataset types; without them all go."""
    upstream, staging = world
    plan = plan_drop(staging, upstream, [RUN], dataset_types=["*_log"])

    assert [(kind, n) for kind, _, n, _ in plan.counts] == [("calexp_log", 4)]
    assert plan.to_document()["files"] == 4


def test_a_mount_of_upstream_is_no_second_copy(world: tuple[Repo, Repo]) -> None:
    """Where upstream's directory is mounted below the campaign's own root, its files have one name, and stay."""
    upstream, staging = world
    ours, theirs = Path(staging.datastore.root, RUN), Path(upstream.datastore.root, RUN)
    for path in [p for p in ours.rglob("*") if p.is_file()]:  # the push had linked them
        path.unlink()
    if subprocess.run(["mount", "--bind", theirs, ours], check=False, capture_output=True).returncode:
        pytest.skip("cannot mount a directory in two places")
    try:
        before = made.tree(Path(upstream.root))
        plan = plan_all(world)
        execute_drop(plan, staging)

        assert reasons(plan)["same-file"] == 8
        assert before == made.tree(Path(upstream.root))
    finally:
        subprocess.run(["umount", ours], check=True)
