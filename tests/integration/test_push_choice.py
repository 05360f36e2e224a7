"""A part of runs is pushed: which datasets, whose provenance, what would dangle, and what comes later."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.errors import ConflictError, NotFoundError, QueryError
from registry.model.refs import id_text
from sync.pushing.asking import Asked
from sync.repo import Repo
from tests import sync_builders as made
from tests.databases import Database
from tests.push_worlds import RUN, held, make_steps, plan, provenance, push, quanta_rows

ONE = "instrument = 'CAM' AND visit = 1"


@pytest.fixture
def upstream(tmp_path: Path, database: Database) -> Iterator[Repo]:
    made.copy_world(tmp_path, database)
    with Repo.open(tmp_path / "up", writable=True) as repo:
        yield repo


@pytest.fixture
def staging(tmp_path: Path, upstream: Repo) -> Iterator[Repo]:
    with made.open_staging(tmp_path / "campaign") as repo:
        yield repo


def test_an_expression_chooses_datasets_and_what_they_came_from(
    upstream: Repo, staging: Repo, tmp_path: Path
) -> None:
    """The datasets go whose data IDs fulfil it, with the quanta behind them and no others; then the rest, and it is whole."""
    steps = make_steps(staging)

    found = plan(staging, upstream, where=ONE, dataset_types=[made.CALEXP, "source"])
    push(staging, upstream, where=ONE, dataset_types=[made.CALEXP, "source"], chain="u/me/best")

    assert found.counts["dataset"] == {"new": 4, "same": 0}
    assert found.warnings == ()
    assert held(upstream, RUN) == {made.CALEXP: 2, "source": 2}
    expected = {q for ids in (steps.calibrate, steps.measure) for (visit, _), q in ids.items() if visit == 1}
    assert provenance(upstream, RUN)[0] == expected
    rest = push(staging, upstream, chain="u/me/best")
    assert rest.counts["dataset"] == {"new": 5, "same": 4}
    assert provenance(upstream, RUN) == provenance(staging, RUN)
    assert plan(staging, upstream, chain="u/me/best").is_empty
    assert made.dangling(tmp_path / "up") == []


def test_what_is_left_of_the_way_is_provenance_too(upstream: Repo, staging: Repo) -> None:
    """Of a last product alone the quanta of all steps go; what they handed on is named as missing, with the command."""
    steps = make_steps(staging)
    asked = Asked((), ("--where", ONE, "--dataset-type", "summary"))

    result = push(staging, upstream, where=ONE, dataset_types=["summary"], asked=asked)

    assert held(upstream, RUN) == {"summary": 1}
    assert {*steps.calibrate.values(), *steps.measure.values(), steps.summarise} == provenance(upstream, RUN)[
        0
    ]
    (note,) = result.warnings
    assert note.code == "input-not-pushed"
    assert note.what.startswith(
        f"8 input datasets are not upstream and not pushed: 4 calexp of run '{RUN}' (first: {{"
    )
    assert note.hint == (
        "Bring them in: 'stage push --dataset-type summary --dataset-type calexp --dataset-type source'."
    )


def test_strict_inputs_make_it_a_conflict(upstream: Repo, staging: Repo, tmp_path: Path) -> None:
    """With ``--strict-inputs`` a part whose inputs would dangle is refused, and the command that is named resolves it."""
    make_steps(staging)
    before = made.state(tmp_path / "up")
    options = {"dataset_types": ["source", "summary"], "strict_inputs": True}

    with pytest.raises(ConflictError) as caught:
        push(staging, upstream, **options)

    (conflict,) = caught.value.conflicts
    assert (conflict.code, conflict.ours) == ("input-not-pushed", "read by 4 quanta that are pushed")
    assert conflict.about["groups"][0]["dataset_type"] == made.CALEXP
    assert "Bring them in: 'stage push --dataset-type calexp'. To leave" in conflict.hint
    assert before == made.state(tmp_path / "up")
    skipped = plan(staging, upstream, **options, on_conflict=["input-not-pushed=skip"])
    assert (skipped.conflicts, [n.code for n in skipped.warnings]) == ((), ["input-not-pushed"])
    options["dataset_types"] = ["source", "summary", made.CALEXP]
    assert push(staging, upstream, **options).counts["dataset"]["new"] == 9


def test_inputs_of_another_run_are_named_with_it(upstream: Repo, staging: Repo) -> None:
    """Inputs in a run that is not pushed are named with the command that pushes both."""
    make_steps(staging, "u/me/first", summary=False)
    steps = make_steps(staging, RUN, visits=(1,), inputs=provenance(staging, "u/me/first")[1])
    assert steps.summary is not None

    (note,) = plan(staging, upstream, RUN, asked=Asked((RUN,), ("--chain", "u/me"))).warnings

    assert "4 source of run 'u/me/first'" in note.what
    assert note.hint == f"Bring them in: 'stage push {RUN} u/me/first --chain u/me'."
    assert plan(staging, upstream, RUN, "u/me/first", strict_inputs=True).warnings == ()


@pytest.mark.parametrize("replaced", [False, True])
def test_inputs_that_upstream_lost_since(
    upstream: Repo, staging: Repo, tmp_path: Path, replaced: bool
) -> None:
    """What was deleted upstream, or replaced there, is told apart; strictly it refuses, also inside the transaction."""
    lost = made.wanted(upstream).dataset_ids[:1]
    make_steps(staging, inputs=lost)
    found = plan(staging, upstream, strict_inputs=True)
    assert found.conflicts == ()
    with upstream.registry.write() as tx:
        (rows,) = tx.datasets_by_id(lost).values()
        tx.delete_datasets(list(lost))
    if replaced:
        made.put_datasets(
            upstream, made.RAW, "CAM/raw/all", rows.rows(("instrument", "exposure", "detector")), content="2"
        )
    code = "input-replaced" if replaced else "input-gone"

    (note,) = plan(staging, upstream).warnings
    assert (code, "1 raw of run 'CAM/raw/all' (first: {instrument=CAM, ") == (
        note.code,
        note.what.partition(": ")[2][:52],
    )
    assert note.what.startswith(
        f"1 input dataset {'has been replaced' if replaced else 'is no longer'} upstream:"
    )
    before = made.dump(tmp_path / "up")
    from sync.push import execute_push

    with pytest.raises(ConflictError) as caught:
        execute_push(found, staging, upstream)

    assert [c.code for c in caught.value.conflicts] == [code]
    assert caught.value.conflicts == plan(staging, upstream, strict_inputs=True).conflicts
    assert before == made.dump(tmp_path / "up")
    assert push(staging, upstream, strict_inputs=True, on_conflict=[f"{code}=skip"]).push_id is not None
    assert id_text(lost[0]) in str(caught.value.conflicts[0].about)


def test_an_expression_that_chooses_nothing_pushes_no_empty_run(
    upstream: Repo, staging: Repo, tmp_path: Path
) -> None:
    """Neither a run of which nothing is chosen goes, nor is a misspelt value taken for nothing to do."""
    make_steps(staging)
    make_steps(staging, "u/me/second", visits=(2,))
    before = made.state(tmp_path / "up")
    with pytest.raises(
        NotFoundError, match=r"no dataset of u/me/trial/1 fulfils instrument = 'CAM' AND visit = 7"
    ):
        plan(staging, upstream, where="instrument = 'CAM' AND visit = 7")
    with pytest.raises(QueryError):
        plan(staging, upstream, where="visit =")

    found = plan(staging, upstream, "u/me/second", RUN, where=ONE, dataset_types=[made.CALEXP])

    assert found.runs == (RUN,)
    assert [n.code for n in found.warnings] == ["run-left-out"]
    assert before == made.state(tmp_path / "up")


def test_a_run_that_goes_on_is_pushed_in_increments(upstream: Repo, staging: Repo, tmp_path: Path) -> None:
    """Types first, then retried quanta and more data, then the rest: each push is one, and the end is all of it."""
    first = made.make_run(staging, RUN, visits=(1,), failed=1)
    push(staging, upstream, dataset_types=["*_log"], chain="u/me/best")
    assert held(upstream, RUN) == {"calexp_log": 2}
    retried = quanta_rows([(first.quantum_ids[1], RUN, "calibrate", (1, 1), "succeeded")], attempt=1)
    with staging.registry.write() as tx:
        tx.insert_quanta(retried)
    made.put_datasets(staging, made.CALEXP, RUN, [("CAM", 1, 1)])
    steps = make_steps(staging, visits=(2,))

    logs = plan(staging, upstream, dataset_types=["*_log"])
    assert logs.counts["dataset"] == {"new": 0, "same": 2}
    assert logs.counts["quantum"]["new"] == 1 + 2 + 2 + 1
    second = push(staging, upstream, where="instrument = 'CAM' AND visit = 2", dataset_types=[made.CALEXP])
    assert (second.counts["dataset"]["new"], provenance(upstream, RUN)[0]) == (
        2, {*first.quantum_ids, *steps.calibrate.values()})  # fmt: skip
    last = push(staging, upstream, chain="u/me/best")

    assert last.counts["dataset"]["same"] == 4
    assert held(upstream, RUN) == held(staging, RUN)
    with upstream.registry.read() as theirs, staging.registry.read() as ours:
        assert ours.quanta([RUN], latest=False).rows() == theirs.quanta([RUN], latest=False).rows()
        assert theirs.collection("u/me/best").children == (RUN,)
        assert theirs.table("push_ledger").n_rows == 3
    assert plan(staging, upstream, chain="u/me/best").is_empty
    assert made.dangling(tmp_path / "up") == []
