"""Pipelines with steps: what one step finds out, the next one works on, in one run and up to the push."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from registry.errors import StageError
from registry.model.columns import Columns
from stage.campaign.campaign import Campaign
from stage.campaign.steps import run_graphs
from sync.repo import Repo
from tests.integration.book_campaign import PIPELINE, chunks, counts, make_campaign, steps_of
from tests.integration.tiny_campaign import ROOT, call


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Campaign]:
    """Return a function that makes an upstream with texts and a campaign on it."""
    return functools.partial(make_campaign, tmp_path)


def test_one_run_goes_through_all_steps_and_is_pushed(make: Callable[..., Campaign], tmp_path: Path) -> None:
    """Chunks that a task finds out have quanta in the next step, are gathered in the last, and go upstream with the run."""
    campaign = make()
    report = campaign.run(processes=2)

    assert counts(report) == {
        "cut": {"succeeded": 2}, "shout": {"succeeded": 4}, "gather": {"succeeded": 2}, "length": {"succeeded": 2},
    }  # fmt: skip
    assert report.complete
    assert report.finished
    assert [{"cut": 2}, {"shout": 4}, {"gather": 2, "length": 2}] == steps_of(campaign, report.run)
    known = [("ants", 0, 2, "c0"), ("ants", 1, 2, "c1"), ("ants", 2, 1, "c2"), ("bees", 0, 2, "c0")]
    assert known == chunks(tmp_path / "c")
    assert [] == chunks(tmp_path / "up")

    pushed = campaign.push(register_dataset_types=True)
    assert pushed.pushed
    assert known == chunks(tmp_path / "up")
    with Repo.open(str(tmp_path / "up")) as repo:
        assert repo.get("whole", {"book": "ants"}, [report.run]) == "ONE TWO THREE FOUR FIVE"
        assert repo.get("length", {"book": "bees"}, [report.run]) == "2\n"
        found: Any = repo.get("found_chunks", {"book": "ants"}, [report.run])
        assert [("ants", 0), ("ants", 1), ("ants", 2)] == [(r["book"], r["chunk"]) for r in found]
    assert "nothing" in call("push", "--dry-run", cwd=tmp_path / "c").stdout.lower()


def test_a_failure_stops_the_steps_and_continue_goes_on_there(
    make: Callable[..., Campaign], tmp_path: Path
) -> None:
    """After a failure in the second step the third is not begun; going on runs what failed and what follows, once."""
    campaign = make()
    campaign.edit(config=["shout:fail=1"])
    campaign.build()
    report = campaign.run(processes=0)

    assert ("end",) == tuple(report.steps_left)
    assert counts(report)["shout"] == {"failed": 1, "succeeded": 3}
    assert not report.complete
    status = campaign.status().runs[0]
    assert ("end",) == tuple(status.steps_left)
    assert "end" in call("status", cwd=tmp_path / "c").stdout

    again = campaign.run(processes=0)
    assert (again.run, again.executed) == (report.run, 1)
    campaign.edit(config=["shout:fail=7"])
    with pytest.raises(StageError) as caught:
        campaign.run(processes=0)
    assert caught.value.code == "graph-discrepant"
    assert "shout:fail was 1, is 7" in str(caught.value)


def test_records_that_differ_fail_their_quantum(make: Callable[..., Campaign], tmp_path: Path) -> None:
    """A quantum whose records contradict those that are there fails with both values, and leaves nothing; same ones are fine."""
    campaign = make()
    campaign.run(processes=0)
    assert campaign.run(processes=0, new_run=True, rebuild=True).complete

    campaign.edit(config=["cut:label=d"])
    report = campaign.run(processes=0, new_run=True, rebuild=True)
    assert counts(report) == {"cut": {"failed": 2}}
    assert ("work", "end") == tuple(report.steps_left)
    said = report.failures[0].message
    assert "its dimension records are refused" in said
    assert "c0" in said
    assert "d0" in said
    assert ("ants", 0, 2, "c0") in chunks(tmp_path / "c")
    left = sorted(p.name for p in (tmp_path / "c/data" / report.run).rglob("*ants*"))
    assert ["cut_log"] == sorted({name.partition("_ants")[0] for name in left if name.startswith("cut")})


def test_records_that_are_none_fail_their_quantum(make: Callable[..., Campaign]) -> None:
    """A record with an unknown column fails the quantum that made it, by the column's name."""
    campaign = make()
    campaign.edit(config=["cut:odd=red"])
    report = campaign.run(processes=0, rebuild=True)

    assert "chunk has no column 'colour'" in report.failures[0].message


def test_a_step_for_which_nothing_was_found_is_empty(make: Callable[..., Campaign]) -> None:
    """Where no task found anything, the steps that follow have no quanta, and the run is complete."""
    campaign = make({"void": ""})
    report = campaign.run(processes=0)

    assert report.complete
    assert [{"cut": 1}, {"shout": 0}, {"gather": 0, "length": 0}] == steps_of(campaign, report.run)
    why = "has nothing to do: the steps before it have made nothing for it"
    assert [f"step 2 of 3 'work' {why}", f"step 3 of 3 'end' {why}"] == list(report.notes)


def test_a_step_that_finds_nothing_to_do_says_why(make: Callable[..., Campaign], tmp_path: Path) -> None:
    """A later step that is empty although chunks were found is an error that names the step, and what is done stays."""
    more = """
  extra:
    dimensions: [chunk]
    inputs: {missing: {dataset_type: missing, storage_class: Text, dimensions: [book]}, upper: {dataset_type: upper, storage_class: Json}}
    outputs: {out: {dataset_type: out, storage_class: Text}}
    shell: cat "$missing" > "$out"
"""
    steps = PIPELINE.index("steps:")
    text = PIPELINE[:steps].rstrip() + more + PIPELINE[steps:] + "  - {label: late, tasks: [extra]}\n"
    campaign = make(pipeline=text)
    call("repo", "register-dataset-type", "up", "missing", "Text", "book", cwd=tmp_path)
    with pytest.raises(StageError) as caught:
        campaign.run(processes=0)

    assert caught.value.code == "empty-graph"
    assert str(caught.value).startswith("step 4 of 4 'late' has nothing to do: the graph is empty")
    status = Campaign.load(tmp_path / "c").status().runs[0]
    assert ("late",) == tuple(status.steps_left)
    assert {"succeeded": 2} == dict(status.tasks["length"])


def test_the_first_step_is_built_and_the_others_are_named(
    make: Callable[..., Campaign], tmp_path: Path
) -> None:
    """A build plans the first step and says which follow; the graph shows which step it is."""
    make()
    said = call("build", cwd=tmp_path / "c").stdout

    assert "step 1 of 3 'split'" in said
    assert "work, end" in said
    assert "step 1 of 3 'split'" in call("qg", "show", cwd=tmp_path / "c").stdout


def test_a_killed_run_goes_on_in_the_step_it_was_in(make: Callable[..., Campaign], tmp_path: Path) -> None:
    """Killed in the second step, the run goes on there: nothing of the first is done again, and its graph is the same."""
    campaign = make()
    done = subprocess.run(
        [sys.executable, "-m", "cli", "run", "-j", "0"],
        cwd=tmp_path / "c",
        env={**os.environ, "PYTHONPATH": str(ROOT), "STAGE_TEST_DIE": "1"},
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 9
    state = Campaign.load(tmp_path / "c").state
    run = str(state.collections.current_run)
    graphs = [path.read_bytes() for path in run_graphs(campaign.layout, run)]
    assert len(graphs) == 2

    report = Campaign.load(tmp_path / "c").run(processes=0)
    assert (report.run, report.complete, report.executed) == (run, True, 8)
    assert graphs == [path.read_bytes() for path in run_graphs(campaign.layout, run)][:2]
    assert len(chunks(tmp_path / "c")) == 4


def test_jobs_find_records_that_the_merge_records(make: Callable[..., Campaign], tmp_path: Path) -> None:
    """What a job without a database found out is recorded by the merge, contradictions fail; then the next step is run."""
    campaign = make()
    run = campaign.prep()
    folder = campaign.layout.submit(run)
    call("exec", folder / "graph.qg", "--quanta", "all", "--record", folder / "a.jsonl", cwd=tmp_path)
    with (
        Repo.attach(
            f"sqlite:///{tmp_path}/c/staging.sqlite3", str(tmp_path / "c/data"), writable=True
        ) as repo,
        repo.registry.write() as change,
    ):
        rows = Columns.from_rows(("book", "chunk", "words", "label"), [("bees", 0, 7, "other")])
        change.insert_records("chunk", rows)
    report = campaign.merge(str(folder / "a.jsonl"))

    assert counts(report)["cut"] == {"failed": 1, "succeeded": 1}
    assert "its dimension records are refused" in report.failures[0].message
    assert [("ants", 0), ("ants", 1), ("ants", 2), ("bees", 0)] == [c[:2] for c in chunks(tmp_path / "c")]
    assert ("work", "end") == tuple(report.steps_left)
    # Merged once more, nothing changes.
    assert counts(campaign.merge(str(folder / "a.jsonl")))["cut"] == {"failed": 1, "succeeded": 1}


def test_steps_go_on_with_jobs_of_their_own(make: Callable[..., Campaign], tmp_path: Path) -> None:
    """The second step's graph can be executed by a job, too; the merge knows which step its records are of."""
    campaign = make()
    campaign.edit(config=["shout:fail=1"])
    campaign.build()
    run = campaign.run(processes=0).run
    folder = campaign.layout.submit(run)
    call(
        "exec",
        folder / "graph.step-2.qg",
        "--quanta",
        "all",
        "--record",
        folder / "b.jsonl",
        cwd=tmp_path,
        code=3,
    )

    assert counts(campaign.merge(str(folder / "b.jsonl")))["shout"] == {"failed": 1, "succeeded": 3}


def test_files_of_a_set_go_through_scripts_and_functions(
    make: Callable[..., Campaign], tmp_path: Path
) -> None:
    """A script fills a directory that is one dataset; another script and a function read it, and it is pushed and fetched."""
    pipeline = """
tasks:
  parts:
    dimensions: [book]
    inputs: {text: {dataset_type: text, storage_class: Text}}
    outputs: {files: {dataset_type: files, storage_class: FileSet}, empty: {dataset_type: empty, storage_class: FileSet, minimum: 0}}
    shell: |
      test -d "$files" && mkdir "$files/sub"
      for word in $(cat "$text"); do echo "$word" > "$files/sub/$word.txt"; done
  names:
    dimensions: [book]
    inputs: {files: {dataset_type: files, storage_class: FileSet}}
    outputs: {names: {dataset_type: names, storage_class: Text}}
    shell: cd "$files" && ls sub > "$names"
  spell: steps_tasks.spell
"""
    campaign = make(pipeline=pipeline)
    report = campaign.run(processes=0)
    assert report.complete, report.failures
    campaign.push(register_dataset_types=True)

    with Repo.open(str(tmp_path / "up")) as repo:
        files: Any = repo.get("files", {"book": "bees"}, [report.run])
        assert ["sub/seven.txt", "sub/six.txt"] == list(files)
        assert repo.get("names", {"book": "bees"}, [report.run]) == "seven.txt\nsix.txt\n"
        spelt: Any = repo.get("spelt", {"book": "bees"}, [report.run])
        assert spelt.text("seven") == "s e v e n"
        with repo.registry.read() as snapshot:
            assert "empty" not in snapshot.count_datasets([report.run])["dataset_type"].tolist()
    second, _ = Campaign.clone(
        str(tmp_path / "up"), tmp_path / "d", pipeline=f"{tmp_path}/p.yaml#names", input=[report.run]
    )
    assert second.run(processes=0).complete


def test_a_task_that_needs_what_is_found_in_its_own_step_is_refused(make: Callable[..., Campaign]) -> None:
    """Without the step in between, quanta by what a task finds out could never be made: the pipeline is refused."""
    with pytest.raises(StageError) as caught:
        make(pipeline=PIPELINE[: PIPELINE.index("steps:")])

    assert caught.value.code == "records-too-late"
    assert "'shout'" in str(caught.value)


def test_records_of_no_dimension_are_refused(make: Callable[..., Campaign]) -> None:
    """The universe must have the dimension whose records a task finds out."""
    with pytest.raises(StageError) as caught:
        make(
            pipeline="tasks: {a: {dimensions: [book], inputs: {t: {dataset_type: text, storage_class: Text}}, "
            "outputs: {c: {dataset_type: found, records: chunks}}, shell: 'true'}}"
        )

    assert caught.value.code == "unknown-dimension"
    assert caught.value.hint == "Did you mean 'chunk'?"


def test_later_steps_grow_with_the_first(make: Callable[..., Campaign], tmp_path: Path) -> None:
    """A first step that was extended is gone on with; the graphs of later steps get what it found, and no quantum runs twice."""
    campaign = make()
    campaign.build(data_query="book = 'ants'")
    run = campaign.run(processes=0, finish=False).run

    campaign.build(data_query="book = 'bees'", extend_qg=True)
    report = campaign.run(processes=0, continue_run=True)
    assert (report.run, report.executed, report.complete) == (run, 4, True)
    assert [{"cut": 2}, {"shout": 4}, {"gather": 2, "length": 2}] == steps_of(campaign, run)


def test_two_campaigns_that_found_out_otherwise_conflict_at_the_push(
    make: Callable[..., Campaign], tmp_path: Path
) -> None:
    """Records that another campaign has pushed with other values stop a push, and both values are named."""
    first = make()
    other, _ = Campaign.clone(
        str(tmp_path / "up"), tmp_path / "d", pipeline=str(tmp_path / "p.yaml"), input=["texts"],
        config=["cut:label=d"],
    )  # fmt: skip
    assert other.run(processes=0).complete
    first.run(processes=0)
    first.push(register_dataset_types=True)

    with pytest.raises(StageError) as caught:
        other.push(register_dataset_types=True)
    assert "chunk" in str(caught.value)
    assert {"c0", "c1", "c2"} == {c[3] for c in chunks(tmp_path / "up")}
