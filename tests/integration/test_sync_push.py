"""Pushing from a real staging registry into a real upstream: what arrives, and when nothing has to."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from registry.errors import IntegrityError, NotFoundError, UsageError
from registry.model.columns import Columns
from registry.model.records import QUANTUM_INPUT
from sync import journal
from sync.plan import PushPlan
from sync.push import PushResult, execute_push, plan_push
from sync.repo import Repo
from tests import sync_builders as made
from tests.databases import Database

RUN = "u/me/trial/1"


@pytest.fixture
def upstream(tmp_path: Path, database: Database) -> Iterator[Repo]:
    made.copy_world(tmp_path, database)
    with Repo.open(tmp_path / "up", writable=True) as repo:
        yield repo


@pytest.fixture
def staging(tmp_path: Path, upstream: Repo) -> Iterator[Repo]:
    with made.open_staging(tmp_path / "campaign") as repo:
        yield repo


def plan(staging: Repo, upstream: Repo, *runs: str, **options: object) -> PushPlan:
    options = {"campaign": made.CAMPAIGN, "register_dataset_types": True, **options}
    return plan_push(staging, upstream, list(runs or (RUN,)), **options)  # type: ignore[arg-type]


def push(staging: Repo, upstream: Repo, *runs: str, **options: object) -> PushResult:
    return execute_push(plan(staging, upstream, *runs, **options), staging, upstream)


def test_everything_of_a_run_arrives_upstream(upstream: Repo, staging: Repo, tmp_path: Path) -> None:
    """Datasets, files, quanta, their inputs and outputs, the campaign and a ledger row are upstream after a push."""
    run = made.make_run(staging, RUN, inputs=made.wanted(upstream).dataset_ids[:1])

    result = push(staging, upstream, chain="u/me/best")

    with upstream.registry.read() as theirs, staging.registry.read() as ours:
        for name in (made.CALEXP, "calexp_log"):
            a = ours.datasets(name, [RUN], artifacts=True).rows()
            assert a == theirs.datasets(name, [RUN], artifacts=True).rows()
        assert set(run.dataset_ids) == theirs.existing_ids(run.dataset_ids)
        assert ours.quanta([RUN]).rows() == theirs.quanta([RUN]).rows()
        assert ours.quantum_inputs([RUN]).rows() == theirs.quantum_inputs([RUN]).rows()
        assert ours.quantum_outputs([RUN]).rows() == theirs.quantum_outputs([RUN]).rows()
        assert theirs.collection("u/me/best").children == (RUN,)
        assert f"holds {RUN}" == theirs.collection(RUN).doc
        ledger, campaign = theirs.table("push_ledger").rows(), theirs.table("campaign").rows()
    assert [result.push_id] == [row[0] for row in ledger]
    assert json.loads(ledger[0][6]) == [RUN]
    assert [(made.CAMPAIGN.id, "trial", "a trial", made.CAMPAIGN.document)] == [row[:4] for row in campaign]
    assert made.dangling(tmp_path / "up") == []
    assert len(run.dataset_ids) == result.moved
    assert (
        upstream.get(made.CALEXP, {"instrument": "CAM", "visit": 1, "detector": 0}, ["u/me/best"])
        == b"calexp ('CAM', 1, 0) "
    )


def test_artifacts_keep_their_relative_uris(upstream: Repo, staging: Repo, tmp_path: Path) -> None:
    """An artifact lies upstream under the URI that it has in staging, as a link where that is possible."""
    made.make_run(staging, RUN)
    result = push(staging, upstream)

    with staging.registry.read() as snap:
        uris = snap.datasets(made.CALEXP, [RUN], artifacts=True)["uri"].tolist()
    assert result.linked
    for uri in uris:
        assert (tmp_path / "campaign/data" / uri).samefile(tmp_path / "up/data" / uri)


def test_copies_are_checked_and_are_files_of_their_own(upstream: Repo, staging: Repo, tmp_path: Path) -> None:
    """Mode "copy" leaves upstream independent of the campaign's directory."""
    made.make_run(staging, RUN)
    result = execute_push(plan(staging, upstream), staging, upstream, mode="copy")

    assert not result.linked
    assert made.dangling(tmp_path / "up") == []
    for path in (tmp_path / "up/data" / RUN).rglob("*.*"):
        assert path.stat().st_nlink == 1


def test_nothing_is_upstream_before_the_push(upstream: Repo, staging: Repo, tmp_path: Path) -> None:
    """Running, and planning a push, change not one byte upstream."""
    before = made.state(tmp_path / "up")
    made.make_run(staging, RUN)

    found = plan(staging, upstream, chain="u/me/best")

    assert not found.is_empty
    assert before == made.state(tmp_path / "up")


def test_the_plan_says_what_the_push_does(upstream: Repo, staging: Repo) -> None:
    """Counts and bytes of the dry run are those of the push."""
    made.make_run(staging, RUN)
    found = plan(staging, upstream, chain="u/me/best")

    result = execute_push(found, staging, upstream)

    document = json.loads(found.to_json())
    assert result.counts == document["counts"]
    assert result.size_bytes == document["size_bytes"]
    assert document["new_datasets"] == {made.CALEXP: 4, "calexp_log": 4}
    assert document["chain"] == {"name": "u/me/best", "before": None, "after": [RUN], "replaced": None}
    lines = found.lines()
    assert lines[0].startswith("new 4 calexp, 4 calexp_log (")
    assert lines[0].endswith("B), 1 run, 2 dataset types, 4 quanta")
    assert lines[-1] == "conflicts none"


def test_what_another_version_noted_of_a_push_is_looked_at_again(upstream: Repo, staging: Repo) -> None:
    """A note that lacks a fact settles nothing: both sides are compared, and the answer is the same."""
    made.make_run(staging, RUN)
    push(staging, upstream)
    with staging.registry.write() as tx:
        (entry,) = journal.entries(tx, "push")
        journal.note(tx, entry.operation, "push", entry.state, {"runs": [RUN]})

    again = plan(staging, upstream)

    assert again.is_empty
    assert again.counts["dataset"] == {"new": 0, "same": 8}


def test_a_second_push_writes_nothing(upstream: Repo, staging: Repo, tmp_path: Path) -> None:
    """Pushing what is there already changes not one byte upstream, and says so."""
    made.make_run(staging, RUN)
    push(staging, upstream, chain="u/me/best")
    before = made.state(tmp_path / "up")

    again = plan(staging, upstream, chain="u/me/best")
    result = execute_push(again, staging, upstream)

    assert again.is_empty
    assert "nothing to push: upstream has it all" in again.lines()
    assert result.push_id is None
    assert {k: again.counts["dataset"][k] for k in ("new", "same")} == {"new": 0, "same": 8}
    assert before == made.state(tmp_path / "up")


def test_a_settled_run_is_known_without_reading_it(
    upstream: Repo, staging: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a push neither the plan of the next one nor that one itself asks for rows of datasets or quanta."""
    made.make_run(staging, RUN)
    push(staging, upstream, chain="u/me/best")
    from registry.snapshot import Snapshot

    for name in ("datasets", "quanta", "quantum_inputs", "existing_ids", "records"):
        monkeypatch.setattr(Snapshot, name, lambda *_, **__: pytest.fail("rows were read"))

    assert execute_push(plan(staging, upstream, chain="u/me/best"), staging, upstream).push_id is None


@pytest.mark.parametrize(
    "change", ["deleted upstream", "unpushed", "other chain", "other types", "deleted here"]
)
def test_a_run_is_compared_again_when_anything_has_changed(
    upstream: Repo, staging: Repo, tmp_path: Path, change: str
) -> None:
    """What may have changed on either side since the push is looked at, and what is missing upstream goes again."""
    run = made.make_run(staging, RUN)
    push(staging, upstream, chain="u/me/best")
    options: dict[str, object] = {"chain": "u/me/best"}
    if change == "deleted upstream":
        with upstream.registry.write() as tx:
            tx.delete_datasets(run.dataset_ids[:1])
    elif change == "deleted here":
        with staging.registry.write() as tx:
            tx.delete_datasets(run.dataset_ids[:1])
    elif change == "unpushed":
        with upstream.registry.write() as tx:
            tx.set_chain("u/me/best", [])
            tx.remove_collection(RUN)
            tx.delete_rows("push_ledger")
    elif change == "other chain":
        options["chain"] = "u/me/second"
    else:
        options["dataset_types"] = ["*_log"]

    found = plan(staging, upstream, **options)
    execute_push(found, staging, upstream)

    new = {"deleted upstream": 1, "unpushed": 8}.get(change, 0)
    assert new == found.counts["dataset"]["new"]
    assert found.is_empty is (change in {"other types", "deleted here"})
    assert made.dangling(tmp_path / "up") == []


def test_an_increment_pushes_only_what_is_new(upstream: Repo, staging: Repo, tmp_path: Path) -> None:
    """More datasets in a run that was pushed before are one more push of just these."""
    made.make_run(staging, RUN, visits=(1,))
    push(staging, upstream, chain="u/me/best")
    made.put_datasets(staging, made.CALEXP, RUN, [("CAM", 2, 0)])

    found = plan(staging, upstream, chain="u/me/best")
    result = execute_push(found, staging, upstream)

    assert {k: found.counts["dataset"][k] for k in ("new", "same")} == {"new": 1, "same": 4}
    assert found.chain is None
    assert result.moved == 1
    with upstream.registry.read() as snap:
        assert snap.datasets(made.CALEXP, ["u/me/best"]).n_rows == 3
        assert snap.table("push_ledger").n_rows == 2
    assert made.dangling(tmp_path / "up") == []


def test_the_chain_is_what_was_pushed_before_what_it_had(upstream: Repo, staging: Repo) -> None:
    """Runs go in front, newest first; pushing an old one again leaves the order as it is."""
    for n in (1, 2, 3):
        made.make_run(staging, f"u/me/{n}", visits=(1,), detectors=(0,))
    push(staging, upstream, "u/me/1", chain="CAM/defaults")
    push(staging, upstream, "u/me/3", "u/me/2", chain="CAM/defaults")
    again = plan(staging, upstream, "u/me/1", chain="CAM/defaults")

    assert again.is_empty
    with upstream.registry.read() as snap:
        expected = ("u/me/3", "u/me/2", "u/me/1", "CAM/raw/none", "CAM/raw/all", "CAM/calib")
        assert expected == snap.collection("CAM/defaults").children


def test_a_pattern_that_matches_nothing_is_refused(upstream: Repo, staging: Repo, tmp_path: Path) -> None:
    """A misspelt dataset type pushes no empty RUN: it is an error that offers the nearest name."""
    made.make_run(staging, RUN)
    before = made.state(tmp_path / "up")
    with pytest.raises(NotFoundError, match="matches 'calexb'") as caught:
        plan(staging, upstream, dataset_types=["*_log", "calexb"])

    assert caught.value.hint == "Did you mean 'calexp'?"
    assert before == made.state(tmp_path / "up")


def test_only_chosen_dataset_types_go(upstream: Repo, staging: Repo) -> None:
    """With patterns only datasets of matching types are pushed; the provenance goes whole."""
    made.make_run(staging, RUN)
    push(staging, upstream, dataset_types=["*_log"])

    with upstream.registry.read() as snap:
        assert snap.count_datasets([RUN]).rows() == [("calexp_log", RUN, 4)]
        assert snap.quanta([RUN]).n_rows == 4


def test_the_plan_names_incomplete_runs_and_can_leave_them_out(upstream: Repo, staging: Repo) -> None:
    """A run with failed quanta is pushed with a warning, or left out with a note."""
    made.make_run(staging, "u/me/good")
    made.make_run(staging, "u/me/bad", failed=1)

    every = plan(staging, upstream, "u/me/bad", "u/me/good")
    complete = plan(staging, upstream, "u/me/bad", "u/me/good", only_complete=True)

    assert [note.code for note in every.warnings] == ["run-incomplete"]
    assert "1 of 4 quanta" in every.warnings[0].what
    assert [note.code for note in complete.warnings] == ["run-left-out"]
    assert complete.runs == ("u/me/good",)
    assert {"u/me/good"} == {batch.run for batch in complete.new_datasets}


def test_records_that_staging_made_go_with_the_datasets(upstream: Repo, staging: Repo) -> None:
    """A dimension record that only staging has, and that a dataset needs, is inserted; unrelated ones stay here."""
    new = {"instrument": ["CAM"] * 2, "visit": [50, 51], "day_obs": [20260101] * 2, "physical_filter": ["r-1"] * 2,
           "name": ["v50", "v51"]}  # fmt: skip
    with staging.registry.write() as tx:
        tx.insert_records("visit", Columns(new))
    made.make_run(staging, RUN, visits=(1, 50))

    found = plan(staging, upstream)
    execute_push(found, staging, upstream)

    assert found.new_records["visit"]["visit"].tolist() == [50]
    assert found.counts["record"]["new"] == 1
    with upstream.registry.read() as snap:
        assert snap.records("visit")["visit"].tolist() == [1, 2, 3, 50]


def test_a_record_changed_upstream_only_is_kept_there(upstream: Repo, staging: Repo, tmp_path: Path) -> None:
    """What is in staging as it was fetched does not conflict with a change upstream, and does not undo it."""
    made.make_run(staging, RUN)
    made.change(tmp_path / "up", "UPDATE dim_visit SET exposure_time = 99 WHERE visit = 1")

    found = plan(staging, upstream)
    execute_push(found, staging, upstream)

    assert found.counts["record"]["changed-upstream"] == 1
    assert any("changed upstream only, kept" in line for line in found.lines())
    with upstream.registry.read() as snap:
        assert snap.records("visit")["exposure_time"][0] == 99.0


def test_inputs_that_upstream_lost_are_a_warning(upstream: Repo, staging: Repo) -> None:
    """Provenance may name a dataset that was deleted upstream; the plan says so, and the push goes on."""
    lost = made.wanted(upstream).dataset_ids[:1]
    made.make_run(staging, RUN, inputs=lost)
    with upstream.registry.write() as tx:
        tx.delete_datasets(list(lost))

    found = plan(staging, upstream)
    execute_push(found, staging, upstream)

    assert [note.code for note in found.warnings] == ["input-gone"]
    with upstream.registry.read() as snap:
        assert set(lost) == set(snap.quantum_inputs([RUN])["dataset_id"].tolist())


def test_inputs_from_a_run_that_stays_here_are_a_warning(upstream: Repo, staging: Repo) -> None:
    """An input that is neither upstream nor pushed is named, unless its run is pushed too."""
    first = made.make_run(staging, "u/me/1")
    second = made.make_run(staging, "u/me/2", visits=(1,), detectors=(0,))
    links = [(second.quantum_ids[0], i, "image", True) for i in first.dataset_ids]
    with staging.registry.write() as tx:
        tx.insert_quantum_inputs(Columns.from_rows(QUANTUM_INPUT, links))

    assert [note.code for note in plan(staging, upstream, "u/me/2").warnings] == ["input-not-pushed"]
    assert plan(staging, upstream, "u/me/2", "u/me/1").warnings == ()


def test_a_later_attempt_at_a_quantum_is_an_increment(upstream: Repo, staging: Repo) -> None:
    """Quanta that were run again since the last push go with the next one."""
    run = made.make_run(staging, RUN, failed=1)
    push(staging, upstream)
    with staging.registry.read() as snap:
        last = snap.quanta([RUN]).take(Columns({"i": [3]})["i"])
    retried = last.with_column("attempt", [1]).with_column("status", ["succeeded"])
    with staging.registry.write() as tx:
        tx.insert_quanta(retried)

    found = plan(staging, upstream)
    execute_push(found, staging, upstream)

    assert found.counts["quantum"] == {"new": 1, "same": 4}
    with upstream.registry.read() as snap:
        assert snap.quanta([RUN])["status"].tolist() == ["succeeded"] * 4
        assert run.quantum_ids[3:] == snap.quanta([RUN], latest=False)["id"].tolist()[-1:]


def test_a_dataset_without_an_artifact_gets_it_later(upstream: Repo, staging: Repo, tmp_path: Path) -> None:
    """A dataset pushed as a row only (its bytes had been removed) gets its artifact when staging has it again."""
    run = made.make_run(staging, RUN)
    with sqlite3.connect(tmp_path / "campaign/staging.sqlite3") as database:
        row = database.execute("SELECT * FROM artifact WHERE id = ?", (run.dataset_ids[0],)).fetchone()
        database.execute("DELETE FROM artifact WHERE id = ?", (run.dataset_ids[0],))
    push(staging, upstream)
    with upstream.registry.read() as snap:
        assert snap.artifact(run.dataset_ids[0]) is None

    with sqlite3.connect(tmp_path / "campaign/staging.sqlite3") as database:
        database.execute("INSERT INTO artifact VALUES (?, ?, ?, ?, ?)", row)
        database.execute("UPDATE quantum SET finished_ns = finished_ns + 1 WHERE task = 'calibrate'")
    database.close()
    result = push(staging, upstream)

    assert result.moved == 1
    with upstream.registry.read() as snap:
        assert row[1] == snap.artifact(run.dataset_ids[0]).uri  # type: ignore[union-attr]
    assert plan(staging, upstream).is_empty


def test_a_run_whose_files_were_dropped_here_is_still_the_same(
    upstream: Repo, staging: Repo, tmp_path: Path
) -> None:
    """After a push, local artifact records may go: that is no difference to upstream."""
    made.make_run(staging, RUN)
    push(staging, upstream)
    with sqlite3.connect(tmp_path / "campaign/staging.sqlite3") as database:
        database.execute("DELETE FROM artifact WHERE uri NOT LIKE '/%'")
    database.close()

    assert plan(staging, upstream).is_empty


def test_a_missing_local_artifact_fails_the_push_and_names_it(
    upstream: Repo, staging: Repo, tmp_path: Path
) -> None:
    """Nothing is written upstream, not even a file, and the error has each artifact with its reason and place."""
    made.make_run(staging, RUN)
    before = made.dump(tmp_path / "up")
    victim = next((tmp_path / "campaign/data" / RUN).rglob("calexp_CAM_1_0_*"))
    files = sorted((tmp_path / "up").rglob("*"))
    victim.unlink()

    with pytest.raises(NotFoundError, match="of 8 artifacts 1 missing here") as caught:
        push(staging, upstream)

    assert caught.value.code == "artifact-missing"
    assert [str(victim) in note for note in caught.value.__notes__] == [True]
    assert before == made.dump(tmp_path / "up")
    assert files == sorted((tmp_path / "up").rglob("*"))


@pytest.mark.parametrize("mode", ["link", "copy"])
def test_a_damaged_local_artifact_is_not_pushed(
    upstream: Repo, staging: Repo, tmp_path: Path, mode: Any
) -> None:
    """Bytes that are not the recorded ones, though as many, fail the push, also where files are only linked."""
    made.make_run(staging, RUN)
    victim = next((tmp_path / "campaign/data" / RUN).rglob("calexp_CAM_1_0_*"))
    victim.write_bytes(b"X" * victim.stat().st_size)

    with pytest.raises(IntegrityError, match="of 8 artifacts 1 changed here"):
        execute_push(plan(staging, upstream), staging, upstream, mode=mode)

    with upstream.registry.read() as snap, pytest.raises(NotFoundError):
        snap.collection(RUN)


def test_what_is_not_a_run_cannot_be_pushed(upstream: Repo, staging: Repo) -> None:
    """A chain, and a name that staging does not know, are errors that say so."""
    with pytest.raises(UsageError, match="CHAINED"):
        plan(staging, upstream, "CAM/defaults")
    with pytest.raises(NotFoundError, match="u/nobody"):
        plan(staging, upstream, "u/nobody")


def test_no_runs_are_nothing_to_push(upstream: Repo, staging: Repo) -> None:
    """A plan over no runs is empty."""
    assert plan_push(staging, upstream, [], campaign=made.CAMPAIGN, chain="u/me/best").is_empty


def test_the_journal_says_how_far_a_push_came(upstream: Repo, staging: Repo) -> None:
    """One entry a push, under the id that upstream's ledger has, ends as done."""
    made.make_run(staging, RUN)
    states: list[str] = []

    def at(name: str) -> None:
        if name not in ("rows-written", "artifacts-moving"):
            with (
                Repo.attach(staging.registry.url, staging.datastore.root) as other,
                other.registry.read() as snap,
            ):
                states.append(f"{name} {journal.entries(snap, 'push')[0].state}")

    result = execute_push(plan(staging, upstream), staging, upstream, at=at)

    assert states == ["journal-begun begun", "artifacts-moved begun", "artifacts-durable begun", "journal-moved moved",
            "committed moved", "acknowledged done"]  # fmt: skip
    with staging.registry.read() as snap:
        assert [result.push_id] == [e.operation for e in journal.entries(snap, "push")]


def test_readers_see_nothing_before_the_commit_and_everything_after(
    upstream: Repo, staging: Repo, tmp_path: Path
) -> None:
    """Another process that reads upstream meets the whole push or nothing of it."""
    made.make_run(staging, RUN)
    seen: dict[str, int] = {}

    def at(name: str) -> None:
        with Repo.open(tmp_path / "up") as reader, reader.registry.read() as snap:
            seen[name] = sum(snap.count_datasets()["n"].tolist()) - 9

    execute_push(plan(staging, upstream, chain="u/me/best"), staging, upstream, at=at)

    after = {"committed", "acknowledged"}
    assert {name: 8 if name in after else 0 for name in seen} == seen
    assert "rows-written" in seen


def test_links_that_cannot_be_made_are_refused_by_the_plan(staging: Repo, tmp_path: Path) -> None:
    """A dry run says so too; staging notes no push as begun, and without files to move nothing is in the way."""
    made.make_run(staging, RUN)
    with Repo.create(tmp_path / "far", made.UNIVERSE, datastore_root="memory://unlinkable") as far:
        with pytest.raises(UsageError) as caught:
            plan(staging, far, mode="link")
        assert caught.value.code == "cannot-link"
        push(staging, far)
        assert plan(staging, far, mode="link").is_empty


def test_pushing_to_a_store_that_is_not_local(upstream: Repo, staging: Repo, tmp_path: Path) -> None:
    """An upstream whose datastore is elsewhere gets verified copies through the same plan."""
    with Repo.create(tmp_path / "far", made.UNIVERSE, datastore_root="memory://far-upstream") as far:
        made.make_run(staging, RUN)
        result = push(staging, far)
        again = plan(staging, far)
        got = far.get(made.CALEXP, {"instrument": "CAM", "visit": 1, "detector": 0}, [RUN])

    assert result.moved == 8
    assert got == b"calexp ('CAM', 1, 0) "
    assert again.is_empty
