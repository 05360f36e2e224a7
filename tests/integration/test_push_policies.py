"""Policies of conflicts: what is left out by ``skip``, what goes nevertheless, and what upstream is told of it."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.errors import ConflictError, UsageError
from registry.model.refs import id_text
from sync.plan import CampaignInfo
from sync.push import execute_push
from sync.repo import Repo
from sync.wording import winner_text
from tests import sync_builders as made
from tests.push_worlds import RUN, held, make_steps, plan, provenance, push, quanta_rows, sql


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[Repo]:
    made.copy_world(tmp_path)
    with Repo.open(tmp_path / "up", writable=True) as repo:
        yield repo


@pytest.fixture
def staging(tmp_path: Path, upstream: Repo) -> Iterator[Repo]:
    with made.open_staging(tmp_path / "campaign") as repo:
        yield repo


def summary_of_last_push(upstream: Repo) -> dict[str, dict[str, int]]:
    with upstream.registry.read() as snap:
        counts: dict[str, dict[str, int]] = json.loads(snap.table("push_ledger")["summary"][-1])["counts"]
    return counts


def test_taken_data_ids_are_left_to_upstream(upstream: Repo, staging: Repo, tmp_path: Path) -> None:
    """``dataset-exists=skip`` keeps upstream's dataset under its id, pushes the rest, and says so everywhere."""
    run = made.make_run(staging, RUN)
    (theirs,) = made.put_datasets(upstream, made.CALEXP, RUN, [("CAM", 1, 1)])
    ours = run.dataset_ids[1]

    found = plan(staging, upstream, on_conflict=["dataset-exists=skip"])
    result = execute_push(found, staging, upstream)

    assert found.conflicts == ()
    assert found.counts["dataset"] == {"new": 7, "same": 0, "conflict": 0, "skipped": 1}
    assert found.counts["skipped"] == {"dataset-exists": 1} == summary_of_last_push(upstream)["skipped"]
    assert [(c.code, c.about["id"], c.about["upstream_id"]) for c in found.skipped] == [
        ("dataset-exists", id_text(ours), id_text(theirs))
    ]
    assert json.loads(found.to_json())["skipped"][0]["about"]["data_id"] == {
        "instrument": "CAM",
        "visit": 1,
        "detector": 1,
    }
    assert any(line.startswith("skipped 1 dataset-exists (first: calexp {") for line in found.lines())
    assert result.moved == 7
    with upstream.registry.read() as snap:
        assert {ours, theirs} & snap.existing_ids([ours, theirs]) == {theirs}
    assert made.dangling(tmp_path / "up") == []
    assert not list((tmp_path / "up/data" / RUN).rglob(f"*{id_text(ours)[-12:]}*"))


def test_provenance_says_what_was_used_and_not_what_is_there(upstream: Repo, staging: Repo) -> None:
    """What was made from a dataset that stays here goes, and names that one; its maker goes as its ancestor does."""
    steps = make_steps(staging)
    made.put_datasets(upstream, made.CALEXP, RUN, [("CAM", 1, 1)])

    result = push(staging, upstream, on_conflict=["dataset-exists=skip"])

    assert [note.code for note in result.warnings] == ["input-not-pushed"]
    assert "1 calexp of run" in result.warnings[0].what
    with upstream.registry.read() as snap:
        read = dict(
            zip(*(snap.quantum_inputs([RUN])[n].tolist() for n in ("quantum_id", "dataset_id")), strict=True)
        )
    assert steps.calexps[1, 1] == read[steps.measure[1, 1]]
    assert steps.calibrate[1, 1] in provenance(upstream, RUN)[0]


def test_a_quantum_of_which_nothing_goes_stays(upstream: Repo, staging: Repo) -> None:
    """Where all that a quantum made is left out and nothing came of it, upstream does not hear of it."""
    steps = make_steps(staging, summary=False)
    made.put_datasets(upstream, made.CALEXP, RUN, [("CAM", 1, 1)])
    made.put_datasets(upstream, "source", RUN, [("CAM", 1, 1)])

    result = push(staging, upstream, on_conflict=["all=skip"])

    quanta, said = provenance(upstream, RUN)
    assert {*steps.calibrate.values(), *steps.measure.values()} - quanta == {
        steps.calibrate[1, 1], steps.measure[1, 1]}  # fmt: skip
    assert not said & {steps.calexps[1, 1], steps.sources[1, 1]}
    assert result.counts["quantum"]["skipped"] == 2


def test_types_that_upstream_defines_otherwise_or_lacks_stay_here(upstream: Repo, staging: Repo) -> None:
    """``dataset-type-differs=skip`` and ``-unknown=skip`` push all datasets of other types, with what those need."""
    make_steps(staging, summary=False)
    with upstream.registry.write() as tx:
        tx.register_dataset_type(made.dataset_type(made.CALEXP, "Json"))
    options = {"register_dataset_types": False}

    with pytest.raises(ConflictError):
        push(staging, upstream, on_conflict=["dataset-type-differs=skip"], **options)
    with upstream.registry.write() as tx:
        tx.register_dataset_type(made.dataset_type("summary"))
    made.put_datasets(staging, "summary", RUN, [("CAM",)])
    words = ["dataset-type-differs=skip", "dataset-type-unknown=skip"]
    found = plan(staging, upstream, on_conflict=words, **options)
    execute_push(found, staging, upstream)

    assert held(upstream, RUN) == {"summary": 1}
    assert found.counts["skipped"] == {"dataset-type-differs": 1, "dataset-type-unknown": 1}
    assert found.counts["dataset"]["skipped"] == 8
    assert found.counts["record"]["same"] == 1, "of visits and detectors nothing is needed any more"


def test_records_that_differ_are_upstreams(upstream: Repo, staging: Repo, tmp_path: Path) -> None:
    """``record-differs=skip`` pushes datasets onto upstream's record, which keeps its values."""
    made.make_run(staging, RUN)
    sql(tmp_path / "campaign/staging.sqlite3", "UPDATE dim_visit SET exposure_time = 31 WHERE visit = 1")

    result = push(staging, upstream, on_conflict=["record-differs=skip"])

    assert result.counts["record"]["skipped"] == 1
    assert result.plan is not None
    assert result.plan.skipped[0].about["fields"] == {"exposure_time": [31.0, 30.0]}
    assert held(upstream, RUN) == {made.CALEXP: 4, "calexp_log": 4}
    with upstream.registry.read() as snap:
        assert set(snap.records("visit")["exposure_time"].tolist()) == {30.0}


def test_datasets_of_other_content_are_upstreams(upstream: Repo, staging: Repo, tmp_path: Path) -> None:
    """``dataset-differs=skip`` keeps upstream's bytes; what was made here from ours is told to have other inputs there."""
    steps = make_steps(staging, summary=False)
    push(staging, upstream, dataset_types=[made.CALEXP])
    path = tmp_path / "campaign/staging.sqlite3"
    sql(path, "UPDATE artifact SET checksum = 'blake3:0' WHERE id = ?", steps.calexps[1, 1])
    with staging.registry.write() as tx:
        tx.insert_quanta(quanta_rows([(steps.measure[1, 1], RUN, "measure", (1, 1), "succeeded")], attempt=1))

    found = plan(staging, upstream, on_conflict=["dataset-differs=skip"])

    assert found.conflicts == ()
    assert [n.code for n in found.warnings] == ["input-replaced"]
    execute_push(found, staging, upstream)
    with upstream.registry.read() as snap:
        assert snap.artifact(steps.calexps[1, 1]).checksum != "blake3:0"  # type: ignore[union-attr]
    strict = plan(staging, upstream, on_conflict=["dataset-differs=skip"], strict_inputs=True)
    assert strict.is_empty, "what was pushed is not judged again"


@pytest.mark.parametrize("when", ["before", "after"])
def test_other_files_stay_and_ours_too(upstream: Repo, staging: Repo, tmp_path: Path, when: str) -> None:
    """``artifact-differs=skip`` leaves the file, and our dataset out, whether it was there before the plan or after."""
    made.make_run(staging, RUN)
    ours = next((tmp_path / "campaign/data").rglob("calexp_CAM_1_0_*"))
    there = tmp_path / "up/data" / ours.relative_to(tmp_path / "campaign/data")
    options = {"on_conflict": ["artifact-differs=skip"]}
    found = plan(staging, upstream, **options)
    there.parent.mkdir(parents=True)
    there.write_bytes(b"something else")
    if when == "before":
        found = plan(staging, upstream, **options)
        assert found.counts["skipped"] == {"artifact-differs": 1}

    result = execute_push(found, staging, upstream)

    assert result.counts["skipped"] == {"artifact-differs": 1} == summary_of_last_push(upstream)["skipped"]
    assert result.counts["dataset"] == {"new": 7, "same": 0, "skipped": 1}
    assert there.read_bytes() == b"something else"
    assert held(upstream, RUN) == {made.CALEXP: 3, "calexp_log": 4}
    assert plan(staging, upstream, **options).is_empty


def test_a_conflict_that_appears_after_the_plan_is_left_out_too(
    upstream: Repo, staging: Repo, tmp_path: Path
) -> None:
    """What a policy leaves out is decided inside the transaction; its file, which had been moved, goes again."""
    made.make_run(staging, RUN)
    found = plan(staging, upstream, on_conflict=["dataset-exists=skip"])
    made.put_datasets(upstream, made.CALEXP, RUN, [("CAM", 1, 1)])

    result = execute_push(found, staging, upstream)

    assert "skipped" not in found.counts
    assert result.counts["skipped"] == {"dataset-exists": 1}
    assert len(list((tmp_path / "up/data" / RUN).rglob("calexp_CAM_1_1_*"))) == 1
    assert made.dangling(tmp_path / "up") == []


def test_a_chain_that_was_changed_is_left_as_it_is(upstream: Repo, staging: Repo) -> None:
    """``chain-changed=skip`` pushes the runs and leaves the chain; the next push puts them in front."""
    made.make_run(staging, RUN)
    options = {"chain": "CAM/calib", "on_conflict": ["chain-changed=skip"]}
    found = plan(staging, upstream, **options)
    with upstream.registry.write() as tx:
        tx.set_chain("CAM/calib", ["CAM/calib/old"])

    result = execute_push(found, staging, upstream)

    assert result.counts["skipped"] == {"chain-changed": 1}
    with upstream.registry.read() as snap:
        assert snap.collection("CAM/calib").children == ("CAM/calib/old",)
    push(staging, upstream, **options)
    with upstream.registry.read() as snap:
        assert snap.collection("CAM/calib").children == (RUN, "CAM/calib/old")


def test_a_policy_may_be_about_some_only(upstream: Repo, staging: Repo) -> None:
    """A pattern of what a conflict is about chooses; the last policy that matches decides."""
    made.make_run(staging, RUN)
    made.put_datasets(upstream, made.CALEXP, RUN, [("CAM", 1, 1), ("CAM", 2, 1)])

    some = plan(staging, upstream, on_conflict=["dataset-exists:*visit=2*=skip"])
    back = plan(staging, upstream, on_conflict=["all=skip", "dataset-exists:*visit=2*=fail"])

    assert ["visit=2" in c.what for c in some.skipped] == [True]
    assert [c.what for c in some.conflicts] == [c.what for c in back.skipped]
    assert [c.what for c in back.conflicts] == [c.what for c in some.skipped]


@pytest.mark.parametrize("code", ["universe-differs", "schema-version-differs", "name-not-allowed",
                                  "collection-type-differs", "record-deleted", "record-key-taken"])  # fmt: skip
def test_what_cannot_be_skipped_safely_is_refused_by_name(upstream: Repo, staging: Repo, code: str) -> None:
    """The policy is an error, and 'all' does not mean these."""
    made.make_run(staging, RUN)
    with pytest.raises(UsageError, match=f"{code} cannot be skipped") as caught:
        plan(staging, upstream, on_conflict=[f"{code}=skip"])
    assert caught.value.code == "unsafe-policy"
    assert caught.value.hint

    with upstream.registry.write() as tx:
        tx.set_chain(RUN, ["CAM/raw/all"])
    assert [c.code for c in plan(staging, upstream, on_conflict=["all=skip"]).conflicts] == [
        "collection-type-differs"
    ]


@pytest.mark.parametrize(
    ("text", "code"),
    [("dataset-exists=overwrite", "bad-policy"), ("dataset-exists", "bad-policy"), ("=skip", "bad-policy"),
     ("dataset-exist=skip", "no-such-conflict")],
)  # fmt: skip
def test_a_policy_that_is_none_is_refused(upstream: Repo, staging: Repo, text: str, code: str) -> None:
    """Neither another action nor an unknown kind is taken for something; the nearest kind is offered."""
    made.make_run(staging, RUN)
    with pytest.raises(UsageError) as caught:
        plan(staging, upstream, on_conflict=[text])

    assert caught.value.code == code
    assert "dataset-exists" in caught.value.hint


def test_the_same_push_again_is_settled_by_its_policies(
    upstream: Repo, staging: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under the same policies and choice no rows are read; without them the conflict is there again."""
    made.make_run(staging, RUN)
    made.put_datasets(upstream, made.CALEXP, RUN, [("CAM", 1, 1)])
    options = {"on_conflict": ["dataset-exists=skip"], "where": "instrument = 'CAM' AND visit < 3"}
    push(staging, upstream, **options)
    assert [c.code for c in plan(staging, upstream).conflicts] == ["dataset-exists"]
    assert plan(staging, upstream, on_conflict=["dataset-exists=skip"]).counts["dataset"]["same"] == 7
    assert not plan(staging, upstream, **options, chain="u/me").is_empty
    from registry.snapshot import Snapshot

    for name in ("datasets", "quanta", "quantum_inputs", "existing_ids", "records"):
        monkeypatch.setattr(Snapshot, name, lambda *_, **__: pytest.fail("rows were read"))

    again = plan(staging, upstream, **options)

    assert again.is_empty
    assert again.counts["dataset"] == {"new": 0, "same": 7, "skipped": 1}
    assert "nothing to push but what was left out" in again.lines()
    assert execute_push(again, staging, upstream).push_id is None


def test_many_conflicts_are_shown_in_part_and_told_whole(upstream: Repo, staging: Repo) -> None:
    """Of a kind a few are shown with the number of the others; the JSON form has every one."""
    visits = (1, 2)
    made.make_run(staging, RUN, visits=visits)
    made.put_datasets(upstream, made.CALEXP, RUN, [("CAM", v, d) for v in visits for d in (0, 1)])
    made.put_datasets(upstream, "calexp_log", RUN, [("CAM", v, d) for v in visits for d in (0, 1)])

    found = plan(staging, upstream)

    lines = found.lines()
    assert sum("dataset-exists: calexp" in line for line in lines) == 5
    assert "  dataset-exists: and 3 more" in lines
    assert sum("--on-conflict dataset-exists=skip" in line for line in lines) == 1
    assert len(json.loads(found.to_json())["conflicts"]) == 8


def test_who_was_first_is_named(upstream: Repo, staging: Repo, tmp_path: Path) -> None:
    """A conflict with what somebody pushed says who, from which campaign and when, from the ledger."""
    made.make_run(staging, RUN)
    with made.make_staging(tmp_path / "other") as other:
        with staging.registry.read() as ours, other.registry.write() as tx:
            for element in ("instrument", "physical_filter", "day_obs", "detector", "visit"):
                tx.insert_records(element, ours.records(element))
        made.make_run(other, RUN, visits=(1,))
        push(other, upstream)

    conflict = plan(staging, upstream).conflicts[0]

    assert conflict.code == "dataset-exists"
    assert " from campaign 'trial' at 20" in winner_text(conflict)
    assert sum(winner_text(conflict) in line for line in plan(staging, upstream).lines()) == 1
    assert conflict.about["pushed_by"]["campaign"] == "trial"


def test_who_brought_it_is_named_and_not_who_came_last(upstream: Repo, staging: Repo, tmp_path: Path) -> None:
    """A later push of the run that brought nothing of it, but put it into a chain, is not the one that is in the way."""
    made.make_run(staging, RUN)
    shutil.copytree(tmp_path / "campaign", tmp_path / "other")
    sql(tmp_path / "other/staging.sqlite3", "UPDATE artifact SET checksum = 'blake3:0'")
    push(staging, upstream, dataset_types=[made.CALEXP])
    push(staging, upstream, campaign=CampaignInfo(bytes(16), "logs"))
    info = CampaignInfo(bytes(16), "chains")
    push(staging, upstream, chain="u/me", campaign=info)

    with made.open_staging(tmp_path / "other") as other:
        conflicts = plan(other, upstream).conflicts

    told = {c.about["dataset_type"]: c.about["pushed_by"]["campaign"] for c in conflicts}
    assert told == {made.CALEXP: "trial", "calexp_log": "logs"}


@pytest.mark.parametrize(
    ("chain", "code"), [("best ever", "bad-name"), ("", "bad-name"), (RUN, "chain-is-run")]
)
def test_a_chain_that_cannot_be_is_refused_by_the_plan(
    upstream: Repo, staging: Repo, chain: str, code: str
) -> None:
    """A name that names no collection, or a run of the push, is refused before any file moves, in a dry run too."""
    made.make_run(staging, RUN)
    with pytest.raises(UsageError) as caught:
        plan(staging, upstream, chain=chain)
    assert caught.value.code == code


def test_a_race_for_a_chain_is_lost_to_nobody(upstream: Repo, staging: Repo) -> None:
    """Runs that others put in front of the chain meanwhile stay; ours go before them, as after one push and another."""
    made.make_run(staging, RUN)
    made.make_run(staging, "u/me/other")
    first = plan(staging, upstream, chain="CAM/calib")
    push(staging, upstream, "u/me/other", chain="CAM/calib")

    result = execute_push(first, staging, upstream)

    expected = (RUN, "u/me/other", "CAM/calib/new", "CAM/calib/old")
    assert result.plan is not None
    assert result.plan.chain is not None
    assert result.plan.chain.children == expected
    with upstream.registry.read() as snap:
        assert expected == snap.collection("CAM/calib").children


def test_who_changed_a_chain_is_named(upstream: Repo, staging: Repo) -> None:
    """If a chain was cut after somebody's push, the conflict names that push."""
    made.make_run(staging, RUN)
    made.make_run(staging, "u/me/other")
    found = plan(staging, upstream, chain="CAM/calib")
    push(staging, upstream, "u/me/other", chain="CAM/calib")
    with upstream.registry.write() as tx:
        tx.set_chain("CAM/calib", ["u/me/other", "CAM/calib/old"])

    with pytest.raises(ConflictError) as caught:
        execute_push(found, staging, upstream)

    (conflict,) = caught.value.conflicts
    assert conflict.upstream == "(u/me/other, CAM/calib/old)"
    assert f"({winner_text(conflict)})" in str(caught.value)


POINTS = ("journal-begun", "artifacts-moving", "artifacts-moved", "artifacts-durable", "journal-moved", "rows-written",
          "committed", "acknowledged")  # fmt: skip


def push_and_die(root: Path, point: str) -> int:
    """Push in a process of its own, which is killed at a fault point; return how it ended."""

    def at(name: str) -> None:
        if name == point:
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        with (
            Repo.open(root / "up", writable=True) as upstream,
            made.open_staging(root / "campaign") as staging,
        ):
            execute_push(plan(staging, upstream, on_conflict=["all=skip"]), staging, upstream, at=at)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_push_that_leaves_out_is_finished_after_a_kill(tmp_path: Path) -> None:
    """Killed between any two steps and run again, it leaves upstream as an undisturbed one does, with what was left out."""
    world = tmp_path / "world"
    made.copy_world(world)
    with Repo.open(world / "up", writable=True) as upstream, made.open_staging(world / "campaign") as staging:
        made.make_run(staging, RUN)
        made.put_datasets(upstream, made.CALEXP, RUN, [("CAM", 1, 1)])
    ours = next((world / "campaign/data").rglob("calexp_CAM_1_0_*"))
    (world / "up/data" / ours.relative_to(world / "campaign/data")).write_bytes(b"something else")
    outcomes = []
    for point in ("", *POINTS):
        shutil.copytree(world, root := tmp_path / f"at-{point}")
        assert push_and_die(root, point) == (-signal.SIGKILL if point else 0)
        assert push_and_die(root, "") == 0
        outcomes.append(made.outcome(root / "up"))

    assert all(outcome == outcomes[0] for outcome in outcomes)
