"""transfer-from-graph: upstream is as after merge and push, from a graph file and records, or from files alone."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import pytest

import stage
from registry.errors import ConflictError, NotFoundError, UsageError
from stage.campaign.reports import PushReport
from stage.execution.record_file import RecordFile
from sync.repo import Repo
from tests import sync_builders as made
from tests.integration.tiny_campaign import call, make_upstream, template_folder
from tests.processes_killed import killed_at

LONG = os.environ.get("STAGE_FAULTS") == "long"
MASKED = ["push_ledger", "campaign", "repository"]
Outcome = tuple[dict[str, str], list[str]]


def outcome(root: Path) -> Outcome:
    """Files and rows of an upstream, but for the ledger."""
    files = {n: d for n, d in made.tree(root / "data").items() if d != "directory"}
    return files, made.dump(root, masked=MASKED)


class Jobs:
    """A campaign whose jobs have run, nothing of them merged; and an upstream (``other``) as it was cloned."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (self.graph,) = (folder / "camp").glob("submit/*/*/graph.qg")
        self.other, self.records = folder / "other", folder / "camp" / "records"

    @cached_property
    def run(self) -> str:
        """The RUN."""
        return RecordFile.load(self.records / "a.jsonl").run

    def copy(self, folder: Path) -> Jobs:
        """The same elsewhere."""
        for name in ("camp", "other"):
            shutil.copytree(self.folder / name, folder / name, symlinks=True)
        return Jobs(folder)

    def transfer(self, **options: object) -> PushReport:
        """Transfer to ``other``."""
        chosen = {"register_dataset_types": True, "update_output_chain": True, **options}
        return stage.transfer_from_graph(str(self.graph), str(self.other), **chosen)  # type: ignore[arg-type]

    def output(self, pattern: str) -> Path:
        """One file of the run's outputs."""
        return min(p for p in (self.folder / "camp" / "data").rglob(pattern) if p.is_file())


def run_jobs(folder: Path, *options: str, code: int = 0) -> Jobs:
    """Clone, and run all quanta in two jobs that leave records."""
    make_upstream(folder)
    shutil.copytree(folder / "upstream", folder / "other")
    env, camp = {"PYTHONPATH": str(folder)}, folder / "camp"
    call("clone", "upstream", "camp", "-p", "pipeline.yaml", "-i", "net/raw", *options, cwd=folder, env=env)
    call("prep", cwd=camp, env=env)
    jobs = Jobs(folder)
    jobs.records.mkdir()
    for name, quanta in (("a.jsonl", "0-6"), ("b.jsonl.zst", "7-9")):
        call(
            "exec",
            jobs.graph,
            "--quanta",
            quanta,
            "--record",
            f"records/{name}",
            cwd=camp,
            env=env,
            code=code,
        )
    return jobs


@pytest.fixture(scope="module")
def done() -> tuple[Jobs, Outcome]:
    """Jobs that are done, and the upstream that a merge and a push of their campaign leave."""
    jobs = run_jobs(template_folder("from-graph"))
    env, camp = {"PYTHONPATH": str(jobs.folder)}, jobs.folder / "merged"
    shutil.copytree(jobs.folder / "camp", camp, symlinks=True)
    call("merge", *sorted(jobs.records.iterdir()), cwd=camp, env=env)
    chain = jobs.run.rpartition("/")[0]
    call("push", "--register-dataset-types", "--chain", chain, cwd=camp, env=env)
    return jobs, outcome(jobs.folder / "upstream")


@pytest.fixture
def jobs(done: tuple[Jobs, Outcome], tmp_path: Path) -> Jobs:
    """A copy of the jobs."""
    return done[0].copy(tmp_path)


def test_upstream_is_as_after_merge_and_push(jobs: Jobs, done: tuple[Jobs, Outcome]) -> None:
    """Files, datasets, quanta, links, types, chain: the databases are equal row by row; repeated, nothing is left to do."""
    assert jobs.transfer(records=str(jobs.records)).pushed

    assert done[1] == outcome(jobs.other)
    assert not jobs.transfer(records=str(jobs.records)).pushed
    assert not jobs.transfer().pushed
    assert done[1] == outcome(jobs.other)


def test_lost_records_are_made_up_for_by_what_is_there(jobs: Jobs, done: tuple[Jobs, Outcome]) -> None:
    """Without records the same arrives; only times are as metadata have them, to a microsecond."""
    assert jobs.transfer().pushed

    files, rows = outcome(jobs.other)
    assert done[1][0] == files
    kept = [line for line in done[1][1] if '"quantum" VALUES' not in line]
    assert kept == [line for line in rows if '"quantum" VALUES' not in line]
    with Repo.open(jobs.other) as upstream, upstream.registry.read() as snap:
        assert {"succeeded"} == set(snap.quanta([jobs.run])["status"].tolist())
    assert not jobs.transfer(records=str(jobs.records)).pushed


def test_nothing_but_the_graph_and_the_files_is_read(jobs: Jobs, done: tuple[Jobs, Outcome]) -> None:
    """The campaign's state and registry are gone; the files are elsewhere, and the datastore is named."""
    shutil.move(jobs.graph, jobs.folder / "graph.qg")
    shutil.move(jobs.folder / "camp" / "data", jobs.folder / "outputs")
    shutil.move(jobs.records, jobs.folder / "records")
    shutil.rmtree(jobs.folder / "camp")
    jobs.graph = jobs.folder / "graph.qg"
    with pytest.raises(UsageError, match="does not say where outputs go"):
        jobs.transfer()
    assert jobs.transfer(datastore=str(jobs.folder / "outputs"), records=str(jobs.folder / "records")).pushed

    assert done[1] == outcome(jobs.other)


@pytest.mark.parametrize(
    "point", ["artifacts-moved", "rows-written", "committed"] if LONG else ["rows-written", "committed"]
)
def test_killed_and_run_again_it_completes(jobs: Jobs, done: tuple[Jobs, Outcome], point: str) -> None:
    """Upstream has nothing or all of it; a second run ends as if the first had never been."""
    records = str(jobs.records)
    before = outcome(jobs.other)[1]
    assert killed_at(point, lambda at: jobs.transfer(records=records, at=at))

    assert outcome(jobs.other)[1] == (done[1][1] if point == "committed" else before)
    jobs.transfer(records=records)
    assert done[1] == outcome(jobs.other)


def test_a_dry_run_writes_nothing(jobs: Jobs) -> None:
    """Its plan has all that would go; upstream and the datastore are as before."""
    before = made.state(jobs.other), made.tree(jobs.folder / "camp")
    report = jobs.transfer(dry_run=True, records=str(jobs.records))

    assert (report.pushed, report.plan.datasets_by_type["clean"]) == (False, 6)
    assert before == (made.state(jobs.other), made.tree(jobs.folder / "camp"))


def test_what_is_missing_is_an_error(jobs: Jobs) -> None:
    """An output that a record names, a quantum without record, one without metadata, a config: nothing is written."""
    before = outcome(jobs.other)
    records = str(jobs.records)
    for pattern, code in (("summary_bex*", "artifact-gone"), ("clean_config*", "artifact-gone")):
        path = jobs.output(pattern)
        content = path.read_bytes()
        path.unlink()
        for options in ({"records": records}, {}):
            with pytest.raises(NotFoundError, match=path.name) as caught:
                jobs.transfer(**options)
            assert caught.value.code == code
        path.write_bytes(content)
    with pytest.raises(NotFoundError, match="no record of 3 of 10 quanta") as caught:
        jobs.transfer(records=str(jobs.records / "a.jsonl"))
    assert caught.value.code == "quanta-missing"
    jobs.output("clean_metadata_chur_202601*").unlink()
    with pytest.raises(NotFoundError, match=r"1 of 10 quanta have left no metadata.*clean@"):
        jobs.transfer()

    assert before == outcome(jobs.other)


def test_records_of_another_graph_are_not_taken(jobs: Jobs) -> None:
    """In a directory they are left aside; a file that is named has to be of this graph."""
    record = RecordFile.load(jobs.records / "a.jsonl")
    replace(record, graph_id=bytes(16)).save(jobs.records / "of-another.jsonl")
    assert jobs.transfer(records=str(jobs.records), dry_run=True).plan.conflicts == ()

    with pytest.raises(ConflictError, match=r"of-another\.jsonl is of graph"):
        jobs.transfer(records=str(jobs.records / "of-another.jsonl"))
    with pytest.raises(NotFoundError, match="has no records of this graph") as caught:
        jobs.transfer(records=str(jobs.folder / "other"))
    assert caught.value.code == "no-records"


def test_only_some_dataset_types_and_the_rest_later(jobs: Jobs, done: tuple[Jobs, Outcome]) -> None:
    """What was chosen goes with all provenance; a second transfer brings the rest."""
    records = str(jobs.records)
    first = jobs.transfer(records=records, dataset_type=("summary", "total"))
    assert {"summary": 3, "total": 1} == dict(first.plan.datasets_by_type)
    jobs.transfer(records=records)

    assert done[1][0] == outcome(jobs.other)[0]


def test_conflicts_name_the_command_that_goes_on(jobs: Jobs) -> None:
    """Typed as it stands, the way on from unknown dataset types is this command with one option more."""
    report = jobs.transfer(register_dataset_types=False, records=str(jobs.records), dry_run=True)

    hints = {conflict.hint for conflict in report.plan.conflicts}
    command = f"stage transfer-from-graph {jobs.graph} {jobs.other} --records {jobs.records}"
    assert all(
        f"'{command} --chain {jobs.run.rpartition('/')[0]} --register-dataset-types'" in h for h in hints
    )


def test_what_records_say_has_failed_is_no_error(tmp_path: Path) -> None:
    """Nor is what rests on it and never ran; of a quantum that could have run a record is wanted all the same."""
    jobs = run_jobs(tmp_path, "-c", "clean:fail_on=bex", code=3)
    kept = {7: "summarise of bex", 9: "total"}
    rest = RecordFile.load(jobs.records / "b.jsonl.zst")
    (jobs.records / "b.jsonl.zst").unlink()
    with pytest.raises(
        NotFoundError, match=r"no record of 1 of 10 quanta \(first: summarise@\{station=chur\}"
    ):
        jobs.transfer(records=str(jobs.records))
    outcomes = tuple(o for o in rest.outcomes if o.ordinal not in kept)
    replace(rest, outcomes=outcomes).save(jobs.records / "c.jsonl")
    report = jobs.transfer(records=str(jobs.records))

    assert report.pushed
    assert ["run-incomplete"] == [warning.code for warning in report.plan.warnings]
    assert 2 == report.plan.datasets_by_type["summary"]
    with pytest.raises(NotFoundError, match="quanta have left no metadata"):
        jobs.transfer()


def test_the_ledger_says_where_it_came_from_and_it_can_be_taken_back(jobs: Jobs) -> None:
    """The row names the graph; taking it back leaves the datasets of nobody."""
    jobs.transfer(records=str(jobs.records))
    (push,) = stage.repo_pushes(str(jobs.other))
    assert (push.campaign, push.runs, push.new("dataset")) == (f"graph of {jobs.run}", (jobs.run,), 34)
    plan = stage.plan_unpush(str(jobs.other), jobs.run)
    result = stage.unpush_repo(str(jobs.other), plan)

    assert (result.datasets, result.quanta, result.files) == (34, 10, 34)
    assert not (jobs.other / "data" / jobs.run).exists()
    assert jobs.transfer(records=str(jobs.records)).pushed


def test_the_command_says_what_it_did(jobs: Jobs) -> None:
    """It prints the plan and that it was pushed; ``--json`` prints one document."""
    words = (
        "transfer-from-graph",
        jobs.graph,
        jobs.other,
        "--records",
        jobs.records,
        "--register-dataset-types",
    )
    told = json.loads(call(*words, "--dry-run", "--json", cwd=jobs.folder).stdout)
    said = call(*words, cwd=jobs.folder).stdout

    assert (told["pushed"], told["new_datasets"]["total"]) == (False, 1)
    assert f"pushed  {jobs.run}" in said
    assert "nothing to push: upstream has it all" in call(*words, cwd=jobs.folder).stdout
