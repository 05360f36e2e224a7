"""Pulling into a staging that has fetched: what upstream changed is taken, what was changed here stays, both is a conflict."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_campaign import database_dump

from registry.errors import ConflictError, UsageError
from registry.model.collections import CollectionType
from registry.model.columns import Columns
from registry.model.refs import id_text
from stage.campaign.moved_on import CHANGED, CHANGED_TAKEN, GONE_TAKEN, moved_inputs_counts, moved_on
from stage.campaign.moved_on import GONE as GONE_UPSTREAM
from sync.clone import execute_fetch, plan_fetch
from sync.manifest import GONE, MOVED_ON
from sync.plan import Wanted
from sync.pull import execute_pull, plan_pull
from sync.pulling.plan import PullPlan
from sync.repo import Repo
from tests import pull_world
from tests import sync_builders as made
from tests.databases import sent

SAME = {"same", "kept"}


@pytest.fixture
def sides(tmp_path: Path) -> Iterator[tuple[Repo, Repo]]:
    """An upstream, and a staging that has fetched raws of two visits and biases from it."""
    made.copy_world(tmp_path)
    with (
        Repo.open(tmp_path / "up", writable=True) as upstream,
        made.open_staging(tmp_path / "campaign") as staging,
    ):
        yield upstream, staging


def pull(sides: tuple[Repo, Repo], *policies: str, wanted: Wanted | None = None) -> PullPlan:
    """Pull; return the plan."""
    upstream, staging = sides
    plan = plan_pull(upstream, staging, wanted or Wanted(collections=["CAM/defaults"]), policies=policies)
    execute_pull(plan, staging)
    return plan


def moved(plan: PullPlan) -> dict[str, dict[str, int]]:
    """Return what a plan counts, but for what stays."""
    found = {
        kind: {c: n for c, n in classes.items() if n and c != "same"} for kind, classes in plan.counts.items()
    }
    return {kind: classes for kind, classes in found.items() if classes}


def change(repo: Repo, statement: str) -> None:
    """Change a database behind its back."""
    from tests.databases import ask

    ask(repo.registry, statement)


def rows_of(folder: Path) -> set[str]:
    """Return all rows of the staging in a folder."""
    with sqlite3.connect(folder / "campaign/staging.sqlite3") as database:
        lines = {line for line in database.iterdump() if line.startswith("INSERT")}
    database.close()
    return lines


def raws(repo: Repo) -> list[bytes]:
    """Return the raws of a repository."""
    with repo.registry.read() as snap:
        found: list[bytes] = snap.datasets(made.RAW, ["CAM/raw/all"], order_by=["exposure", "detector"])[
            "id"
        ].tolist()
    return found


def test_an_empty_pull_reads_and_writes_nothing_more(sides: tuple[Repo, Repo]) -> None:
    """Where nothing has moved the plan is empty, and the statements do not grow with the rows."""
    upstream, staging = sides
    counts = []
    for visits in ((1, 2), (1, 2, 3)):
        execute_fetch(plan_fetch(upstream, staging, made.wanted(upstream, visits=visits)), staging)
        with sent(upstream.registry) as theirs, sent(staging.registry) as ours:
            plan = pull(sides)
        assert plan.is_empty
        assert moved(plan) == {}
        assert not any("baseline" in text.lower() and not text.startswith("SELECT") for text in ours)
        counts.append(sum(text.startswith("SELECT") for text in (*theirs, *ours)))

    assert counts[0] == counts[1] < 100


def test_a_later_fetch_writes_what_is_new_and_no_more(sides: tuple[Repo, Repo], tmp_path: Path) -> None:
    """Into a staging that is not empty as many rows are written as are missing; what has moved is counted apart."""
    upstream, staging = sides
    change(upstream, "UPDATE dim_visit SET exposure_time = 99 WHERE visit = 1")
    plan = plan_fetch(upstream, staging, made.wanted(upstream, visits=(1, 2, 3)))
    before = rows_of(tmp_path)
    execute_fetch(plan, staging)
    after = rows_of(tmp_path)

    assert before <= after
    tables = [re.match(r'INSERT INTO "(\w+)"', line)[1] for line in after - before]  # type: ignore[index]
    kept = {
        name: tables.count(name)
        for name in ("dataset", "artifact", "dim_visit", "dim_exposure", "dim_detector")
    }
    assert kept == {"dataset": 2, "artifact": 2, "dim_visit": 1, "dim_exposure": 1, "dim_detector": 0}
    assert plan.counts["dataset"] == {"new": 2, "same": 6, "changed-upstream": 0, "conflict": 0}
    assert plan.counts["record"]["changed-upstream"] == 1
    assert (
        tables.count("baseline")
        == plan.baselines.n_rows
        == sum(c.get("new", 0) for c in plan.counts.values())
    )


def test_what_only_upstream_changed_is_taken(sides: tuple[Repo, Repo]) -> None:
    """Records, chains, content of datasets: staging has upstream's afterwards, and the next pull finds nothing."""
    upstream, staging = sides
    first = raws(upstream)[0]
    change(upstream, "UPDATE dim_visit SET exposure_time = 99 WHERE visit = 1")
    with upstream.registry.write() as tx:
        tx.set_chain("CAM/calib", ["CAM/calib/old", "CAM/calib/new"])
        tx.insert_artifacts(
            Columns.from_rows(
                ("id", "uri", "size", "checksum", "formatter"),
                [(first, "elsewhere/x", 5, "blake3:1", "bytes")],
            )
        )
    plan = pull(sides, wanted=made.wanted(upstream))

    assert moved(plan) == {
        "record": {"taken": 1},
        "dataset": {"taken": 1, "new": 1},
        "collection": {"taken": 1},
    }
    told = {(d.kind, d.ours, d.upstream) for d in plan.differences if d.kind != "dataset"}
    assert ("record", "exposure_time=30.0", "exposure_time=99.0") in told
    assert ("collection", "CAM/calib/new, CAM/calib/old", "CAM/calib/old, CAM/calib/new") in told
    with staging.registry.read() as snap:
        assert snap.records("visit")["exposure_time"].tolist() == [99.0, 30.0]
        assert snap.collection("CAM/calib").children == ("CAM/calib/old", "CAM/calib/new")
        artifact = snap.artifact(first)
        assert artifact is not None
        assert (artifact.uri, artifact.size) == (upstream.datastore.locate("elsewhere/x"), 5)
    assert plan_pull(upstream, staging, made.wanted(upstream)).is_empty
    assert plan_fetch(upstream, staging, made.wanted(upstream)).is_empty


def test_what_upstream_removed_goes_with_its_collections(sides: tuple[Repo, Repo]) -> None:
    """A dataset that no quantum has read is removed here too, and a RUN or chain that upstream has no longer."""
    upstream, staging = sides
    with upstream.registry.write() as tx:
        tx.set_chain("CAM/calib", ["CAM/calib/old"])
        tx.remove_collection("CAM/calib/new", purge=True)
    plan = pull(sides)

    assert moved(plan)["dataset"] == {"removed": 1}
    assert moved(plan)["collection"] == {"taken": 1, "removed": 1}
    with staging.registry.read() as snap:
        assert snap.search_path(["CAM/calib"]) == ["CAM/calib/old"]
        assert "CAM/calib/new" not in {c.name for c in snap.collections()}
    assert plan_pull(upstream, staging, Wanted(collections=["CAM/defaults"])).is_empty


def test_what_a_quantum_has_read_is_kept_and_flagged(sides: tuple[Repo, Repo]) -> None:
    """Changed or deleted upstream, it stays as it was read; the flag goes when upstream has it again as it was."""
    upstream, staging = sides
    gone, changed, free = raws(upstream)[:3]
    made.make_run(staging, "u/me/1", inputs=[gone, changed])
    with upstream.registry.write() as tx:
        before = tx.datasets_by_id([changed], artifacts=True)[made.RAW]
        tx.delete_datasets([gone, free])
        row = (changed, "elsewhere/x", 5, "blake3:1", "bytes")
        tx.insert_artifacts(Columns.from_rows(("id", "uri", "size", "checksum", "formatter"), [row]))
    plan = pull(sides)

    assert moved(plan)["dataset"] == {"removed": 1, "kept as used": 2}
    assert sorted([gone, changed]) == list(plan.moved_on)
    with staging.registry.read() as snap:
        assert moved_inputs_counts(snap) == {CHANGED: 1, GONE_UPSTREAM: 1}
        assert snap.existing_ids([gone, changed, free]) == {gone, changed}
        flags = dict(snap.table("baseline", kind=MOVED_ON).rows(("key", "digest")))
        artifact = snap.artifact(changed)
        assert artifact is not None
        assert artifact.size != 5
    assert flags[gone] == GONE
    assert flags[changed] != GONE
    again = pull(sides)
    assert again.rows.is_empty
    assert moved(again)["dataset"] == {"kept as used": 2}

    with upstream.registry.write() as tx:
        tx.insert_artifacts(before.select(("id", "uri", "size", "checksum", "formatter")))
    assert [gone] == list(pull(sides).moved_on)


def test_what_was_read_and_taken_is_not_told_as_kept(sides: tuple[Repo, Repo]) -> None:
    """Once upstream's was taken it remains on record that quanta have read another, and that it is not here any more."""
    upstream, staging = sides
    gone, changed = raws(upstream)[:2]
    made.make_run(staging, "u/me/1", inputs=[gone, changed])
    with upstream.registry.write() as tx:
        tx.delete_datasets([gone])
        row = (changed, "elsewhere/x", 5, "blake3:1", "bytes")
        tx.insert_artifacts(Columns.from_rows(("id", "uri", "size", "checksum", "formatter"), [row]))
    for _ in range(2):
        pull(sides, "input-moved=take")
        with staging.registry.read() as snap:
            assert moved_inputs_counts(snap) == {CHANGED_TAKEN: 1, GONE_TAKEN: 1}
            assert [moved_on(snap, i) for i in (changed, gone)] == [CHANGED_TAKEN, GONE_TAKEN]


def test_what_was_read_can_be_given_up(sides: tuple[Repo, Repo]) -> None:
    """With input-moved=take upstream's takes its place, and it remains on record that quanta have read another."""
    upstream, staging = sides
    old = raws(upstream)[0]
    made.make_run(staging, "u/me/1", inputs=[old])
    with upstream.registry.write() as tx:
        tx.delete_datasets([old])
    (new,) = made.put_datasets(upstream, made.RAW, "CAM/raw/all", [("CAM", 1, 0)], content="again")
    wanted = Wanted([new], collections=["CAM/defaults"])
    with pytest.raises(ConflictError, match="dataset-replaced") as caught:
        execute_fetch(plan_fetch(upstream, staging, wanted), staging)
    assert "stage pull" in caught.value.hint
    plan = pull(sides, wanted=wanted)
    assert {note.code for note in plan.notes} == {"newer-kept-out"}
    assert new not in raws(staging)

    pull(sides, "input-moved=take", wanted=wanted)
    assert new in raws(staging)
    assert old not in raws(staging)
    with staging.registry.read() as snap:
        assert snap.quantum_inputs(["u/me/1"])["dataset_id"].tolist()[0] == old
        assert snap.table("baseline", kind=MOVED_ON)["key"].tolist() == [old]
    execute_fetch(plan_fetch(upstream, staging, wanted), staging)


def test_what_was_changed_here_stays(sides: tuple[Repo, Repo]) -> None:
    """Records, chains and datasets that only staging has changed are as they were after a pull."""
    _, staging = sides
    change(staging, "UPDATE dim_visit SET exposure_time = 7 WHERE visit = 2")
    with staging.registry.write() as tx:
        tx.set_chain("CAM/calib", ["CAM/calib/old"])
    plan = pull(sides)

    assert moved(plan) == {"record": {"kept": 1}, "collection": {"kept": 1}}
    with staging.registry.read() as snap:
        assert snap.records("visit")["exposure_time"].tolist() == [30.0, 7.0]
        assert snap.collection("CAM/calib").children == ("CAM/calib/old",)


@pytest.fixture
def torn(sides: tuple[Repo, Repo]) -> tuple[Repo, Repo]:
    """A record, a chain, a tag and the content of a dataset that both sides have changed, differently."""
    upstream, staging = sides
    first = raws(upstream)[0]
    with upstream.registry.write() as tx:
        ids = [
            tx.datasets(made.BIAS, [f"CAM/calib/{run}"], order_by=["detector"])["id"].tolist()[0]
            for run in ("old", "new")
        ]
        tx.associate("CAM/best", ids[:1])
        tx.set_chain("CAM/defaults", ["CAM/best", "CAM/raw/all", "CAM/calib"])
    execute_fetch(plan_fetch(upstream, staging, made.wanted(upstream)), staging)
    third = made.put_datasets(staging, made.BIAS, "u/me/bias", [("CAM", 0)])
    for repo, tagged, seconds, children in (
        (upstream, ids[1], 99, ["old", "new"]),
        (staging, third[0], 7, ["old"]),
    ):
        change(repo, f"UPDATE dim_visit SET exposure_time = {seconds} WHERE visit = 1")
        with repo.registry.write() as tx:
            tx.set_chain("CAM/calib", [f"CAM/calib/{name}" for name in children])
            tx.associate("CAM/best", [tagged], replace=True)
            row = (first, f"x/{seconds}", seconds, f"blake3:{seconds}", "bytes")
            tx.insert_artifacts(Columns.from_rows(("id", "uri", "size", "checksum", "formatter"), [row]))
    return sides


def test_what_both_have_changed_refuses_the_pull_with_the_ways_on(
    torn: tuple[Repo, Repo], tmp_path: Path
) -> None:
    """Each conflict has its code, both values and the commands; nothing is written, by pull or by fetch."""
    upstream, staging = torn
    before = database_dump(tmp_path / "campaign/staging.sqlite3")
    plan = plan_pull(upstream, staging, made.wanted(upstream))
    with pytest.raises(ConflictError, match="4 conflicts"):
        execute_pull(plan, staging)

    assert {c.code for c in plan.conflicts} == {
        "record-differs",
        "chain-differs",
        "member-differs",
        "dataset-differs",
    }
    by_code = {c.code: c for c in plan.conflicts}
    assert ("exposure_time=7.0", "exposure_time=99.0") == (
        by_code["record-differs"].ours,
        by_code["record-differs"].upstream,
    )
    assert all(f"stage pull --on-conflict {c.code}=keep" in c.hint for c in plan.conflicts)
    assert all(f"{c.code}=take" in c.hint for c in plan.conflicts)
    with pytest.raises(ConflictError):
        execute_fetch(plan_fetch(upstream, staging, made.wanted(upstream)), staging)
    assert before == database_dump(tmp_path / "campaign/staging.sqlite3")


@pytest.mark.parametrize("policy", ["keep", "take"])
def test_each_conflict_can_be_kept_or_taken(torn: tuple[Repo, Repo], policy: str) -> None:
    """With a policy the pull goes through, staging has the chosen side, and later pulls and fetches ask no more."""
    upstream, staging = torn
    pull(torn, f"all={policy}", wanted=made.wanted(upstream))

    kept = policy == "keep"
    with staging.registry.read() as snap:
        assert snap.records("visit")["exposure_time"].tolist()[0] == (7.0 if kept else 99.0)
        assert snap.collection("CAM/calib").children[0] == "CAM/calib/old"
        assert len(snap.collection("CAM/calib").children) == (1 if kept else 2)
        tagged = snap.datasets(made.BIAS, ["CAM/best"])
        assert tagged["run"].tolist() == ["u/me/bias" if kept else "CAM/calib/new"]
        artifact = snap.artifact(raws(upstream)[0])
        assert artifact is not None
        assert artifact.size == (7 if kept else 99)
    assert plan_pull(upstream, staging, made.wanted(upstream)).is_empty
    assert not plan_fetch(upstream, staging, made.wanted(upstream)).conflicts


def test_what_was_kept_is_told_where_upstreams_is_to_be_taken_later(torn: tuple[Repo, Repo]) -> None:
    """There is no conflict any more, and ours stays: the plan says so and names the way to upstream's."""
    upstream, staging = torn
    pull(torn, "all=keep", wanted=made.wanted(upstream))
    assert not plan_pull(upstream, staging, made.wanted(upstream)).notes

    plan = pull(torn, "record-differs=take", "dataset-differs=take", wanted=made.wanted(upstream))
    assert [(n.code, n.what.partition(":")[0]) for n in plan.notes] == [
        ("kept-earlier", "1 record kept or changed here earlier stays"),
        ("kept-earlier", "1 dataset kept or changed here earlier stays"),
    ]
    assert all("stage clone" in n.hint for n in plan.notes)
    assert plan.is_empty


@pytest.mark.parametrize("verb", ["fetch", "pull"])
def test_what_upstream_took_out_of_collections_answers_no_more(verb: str) -> None:
    """A tag that was taken away, a child that left a chain, a range that was cut: lookups find here what they find there."""
    day = pull_world.DAY
    with pull_world.world() as (upstream, staging):
        with upstream.registry.write() as tx:
            tagged = dict(tx.datasets(pull_world.BIAS, ["CAM/run/2"]).rows(("detector", "id")))[0]
            first = pull_world.put(tx, pull_world.BIAS, "CAM/run/0", 1)
            tx.disassociate("CAM/tag", tx.datasets(pull_world.BIAS, ["CAM/tag"])["id"].tolist())
            tx.associate("CAM/tag", [tagged])
            tx.certify(
                "CAM/calib/a", [pull_world.put(tx, pull_world.DARK, "CAM/run/2", 0)], 10 * day, 20 * day
            )
        everything = (pull_world.EXPOSURES, pull_world.DETECTORS)
        pull_world.fetch(upstream, staging, pull_world.wanted(upstream, *everything))
        with staging.registry.read() as ours:
            found = pull_world.answers(ours, *everything)
        assert (found[pull_world.BIAS, 0], found[pull_world.BIAS, 1]) == (tagged, first)
        with upstream.registry.write() as tx:
            tx.disassociate("CAM/tag", [tagged])
            tx.set_chain("CAM/inner", ["CAM/calib/a"])
            tx.decertify("CAM/calib/a", pull_world.DARK, 12 * day, 14 * day)

        getattr(pull_world, verb)(upstream, staging, pull_world.wanted(upstream, *everything))
        with upstream.registry.read() as theirs, staging.registry.read() as ours:
            expected = pull_world.answers(theirs, *everything)
            assert expected != found
            assert expected == pull_world.answers(ours, *everything)


def test_validity_changed_on_both_sides_is_a_conflict_of_its_own(tmp_path: Path) -> None:
    """What was certified here for a time for which upstream has certified another since is told with both ranges."""
    day = pull_world.DAY
    with pull_world.world() as (upstream, staging):
        wanted = pull_world.wanted(upstream, [12], [0])
        pull_world.fetch(upstream, staging, wanted)
        for repo, days in ((upstream, (11, 14)), (staging, (12, 15))):
            with repo.registry.write() as tx:
                tx.register_run("CAM/run/0")
                new = pull_world.put(tx, pull_world.DARK, "CAM/run/0", 0)
                tx.register_collection("CAM/calib/a", CollectionType.CALIBRATION)
                tx.certify("CAM/calib/a", [new], days[0] * day, days[1] * day)
        wanted = pull_world.wanted(upstream, [12], [0])
        plan = plan_pull(upstream, staging, wanted)
        assert sorted(c.code for c in plan.conflicts) == ["dataset-exists", "member-differs"]
        assert "1970-01-13" in next(c.ours for c in plan.conflicts if c.code == "member-differs")

        pull_world.pull(upstream, staging, wanted, policies=["all=take"])
        with upstream.registry.read() as theirs, staging.registry.read() as ours:
            assert pull_world.answers(theirs, [12], [0]) == pull_world.answers(ours, [12], [0])


def test_own_copies_of_what_goes_are_removed_and_nothing_else(sides: tuple[Repo, Repo]) -> None:
    """A file in the campaign's own root goes with its row; upstream's file stays where it is."""
    upstream, staging = sides
    first, second = raws(upstream)[:2]
    root = Path(staging.datastore.root)
    with staging.registry.write() as tx:
        rows = tx.datasets_by_id([first], artifacts=True)[made.RAW].select(
            ("id", "uri", "size", "checksum", "formatter")
        )
        tx.insert_artifacts(rows.with_column("uri", ["own/copy.bin"]))
        there = tx.artifact(second)
    assert there is not None
    (root / "own").mkdir(parents=True)
    (root / "own/copy.bin").write_bytes(b"x")
    with upstream.registry.write() as tx:
        tx.delete_datasets([first, second])
    plan = plan_pull(upstream, staging, Wanted(collections=["CAM/defaults"]))
    done = execute_pull(plan, staging)

    assert done.n_removed == 1
    assert not (root / "own/copy.bin").exists()
    assert Path(there.uri).is_file()
    with staging.registry.read() as snap:
        assert snap.table("journal").n_rows == 0


def test_policies_that_cannot_be_are_refused(sides: tuple[Repo, Repo]) -> None:
    """A code or action that there is not, or upstream's definition of a dataset type, is an error that offers others."""
    for policy, told in (
        ("record-difers=keep", "record-differs"),
        ("all=skip", "keep"),
        ("dataset-type-differs=take", "clone"),
    ):
        with pytest.raises(UsageError) as caught:
            pull(sides, policy)
        assert told in caught.value.hint


def test_a_dataset_type_defined_anew_upstream_is_a_conflict(sides: tuple[Repo, Repo]) -> None:
    """Its definition here stays with dataset-type-differs=keep, and is never replaced."""
    upstream, _ = sides
    change(upstream, f"UPDATE dataset_type SET storage_class = 'Json' WHERE name = '{made.RAW}'")
    with pytest.raises(ConflictError, match="dataset-type-differs"):
        pull(sides)
    pull(sides, "dataset-type-differs=keep")
    assert pull(sides).is_empty


def test_ids_are_told_as_they_are_asked_for(sides: tuple[Repo, Repo]) -> None:
    """The document of a plan names what moved on by the ids that 'stage why' takes."""
    upstream, staging = sides
    old = raws(upstream)[0]
    made.make_run(staging, "u/me/1", inputs=[old])
    with upstream.registry.write() as tx:
        tx.delete_datasets([old])
    document = pull(sides).to_document()

    assert document["moved_on"] == [id_text(old)]
    assert [d["action"] for d in document["differences"] if d["kind"] == "dataset"] == ["kept as used"]
