"""Executing quanta again: what is complete is skipped, and what is there is not replaced unless that is asked for."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from registry.errors import UsageError
from stage.execution.job import execute_job
from stage.execution.merge import merge_records
from stage.execution.outcome import QuantumOutcome
from stage.execution.prep import prepare_run
from stage.execution.progress import RunSummary
from stage.execution.record_file import RecordFile
from stage.execution.run import run_graph
from tests.execution_lab import Lab, chain, make_lab


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A prepared run whose first task gives something else each time."""
    lab = make_lab(tmp_path, chain(double={"is_random": True}))
    prepare_run(lab.staging, lab.graph)
    return lab


def execute(lab: Lab, ordinals: Any = range(9), record: str = "r.jsonl", **options: Any) -> RunSummary:
    return execute_job(lab.graph_uri, ordinals, lab.root / record, lab.store_root, **options)


def outcomes(lab: Lab, record: str = "r.jsonl") -> tuple[QuantumOutcome, ...]:
    return RecordFile.load(lab.root / record).outcomes


def tree(lab: Lab) -> dict[str, bytes]:
    """Return every file of the datastore."""
    root = Path(lab.store_root)
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def first_output(lab: Lab, task: str = "doubled") -> Path:
    return next(iter(sorted((Path(lab.store_root) / "u/me/run" / task).rglob("*.json"))))


def without_times(outcome: QuantumOutcome) -> QuantumOutcome:
    """Return an outcome with its times as metadata has them, to the microsecond."""
    return outcome._replace(
        started_ns=outcome.started_ns // 1000, finished_ns=outcome.finished_ns // 1000, cpu_ns=0
    )


@pytest.mark.parametrize("processes", [0, 2])
def test_complete_quanta_are_skipped_and_no_byte_changes(lab: Lab, processes: int) -> None:
    """The same job again runs nothing, counts all as skipped, and its record says what the first one said."""
    execute(lab, processes=processes)
    before, first = tree(lab), outcomes(lab)
    again = execute(lab, processes=processes)

    assert (again.total.skipped, again.total.succeeded, again.is_complete) == (9, 0, True)
    assert before == tree(lab)
    assert sorted(first) == sorted(outcomes(lab))


def test_the_datastore_alone_tells_what_is_complete(lab: Lab) -> None:
    """With the first record lost, another job skips all and records all, so that a merge is as by the first."""
    execute(lab)
    first = outcomes(lab)
    again = execute(lab, record="other.jsonl.zst")

    assert again.total.skipped == 9
    assert sorted(map(without_times, first)) == sorted(map(without_times, outcomes(lab, "other.jsonl.zst")))
    assert merge_records(lab.staging, lab.graph, [lab.root / "other.jsonl.zst"]).n_merged == 9
    assert lab.status() == {"succeeded": 9}
    assert merge_records(lab.staging, lab.graph, [lab.root / "r.jsonl"]).n_quanta == 9


def test_merging_what_was_skipped_changes_nothing(lab: Lab) -> None:
    """Records of the first job and of those that skipped can be merged in any number and order."""
    execute(lab)
    merge_records(lab.staging, lab.graph, [lab.root / "r.jsonl"])
    before = lab.datasets()
    execute(lab, record="again.jsonl")
    result = merge_records(lab.staging, lab.graph, [lab.root / "again.jsonl", lab.root / "r.jsonl"])

    assert result.n_merged == 0
    assert before == lab.datasets()


def test_what_a_run_has_made_is_skipped_too(lab: Lab) -> None:
    """Quanta that `run_graph` completed are complete for a job that can open no database."""
    run_graph(lab.staging, lab.graph_uri, processes=0)
    before = tree(lab)

    assert execute(lab).total.skipped == 9
    assert before == tree(lab)
    assert merge_records(lab.staging, lab.graph, [lab.root / "r.jsonl"]).n_merged == 0


def test_force_replaces_as_the_next_attempt(lab: Lab) -> None:
    """When it is asked for, complete quanta run again; the merge then takes the newer attempt for each."""
    execute(lab)
    merge_records(lab.staging, lab.graph, [lab.root / "r.jsonl"])
    before = tree(lab)
    forced = execute(lab, force=True)
    merged = merge_records(lab.staging, lab.graph, [lab.root / "r.jsonl"])

    assert (forced.total.skipped, forced.total.succeeded) == (0, 9)
    assert {o.attempt for o in outcomes(lab)} == {0, 1}
    assert merged.n_merged == 9
    assert {a for _, a, _ in lab.quanta().values()} == {1}
    assert [k for k in before if "doubled/" in k and before[k] == tree(lab)[k]] == []
    assert before.keys() == tree(lab).keys()


def test_a_forced_attempt_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    """When the task raises, outputs, log and metadata of the complete attempt come back."""
    counter = tmp_path / "counter"
    lab = make_lab(tmp_path, chain(double={"behave": {"0": f"fail-second:{counter}"}}), samples=1)
    prepare_run(lab.staging, lab.graph)
    execute(lab, [0])
    before = tree(lab)
    failed = execute(lab, [0], force=True)
    now = tree(lab)

    assert failed.total.failed == 1
    assert {k: now[k] for k in before} == before
    assert [k for k in now.keys() - before.keys() if "_failed-1" not in k] == []
    assert execute(lab, [0]).total.skipped == 1


def test_a_forced_attempt_that_is_killed_is_as_if_it_had_not_been(tmp_path: Path) -> None:
    """A worker that dies in the middle of replacing leaves the complete attempt, also for the next look."""
    counter = tmp_path / "counter"
    behave = {"0": f"die-second:{counter}"}
    lab = make_lab(tmp_path, chain(double={"behave": behave}), samples=1)
    prepare_run(lab.staging, lab.graph)
    execute(lab, [0], processes=1)
    before = tree(lab)
    killed = execute(lab, [0], processes=1, force=True)
    now = tree(lab)

    assert [f.message for f in killed.failures] == [f"worker process died: signal 9 ({signal.SIGKILL.name})"]
    assert {k: now[k] for k in before} == before
    assert [k for k in now if ".stage-" in k] == []
    assert execute(lab, [0], processes=1).total.skipped == 1


def test_a_lost_output_is_made_again_beside_those_that_stand(lab: Lab) -> None:
    """The quantum alone runs again; where it gives the same bytes, its record stays what it was."""
    run_graph(lab.staging, lab.graph_uri, processes=0)
    before = tree(lab)
    victim = first_output(lab, "shifted")
    victim.unlink()
    again = execute(lab)

    assert (again.total.skipped, again.total.succeeded) == (8, 1)
    assert before == tree(lab)
    assert merge_records(lab.staging, lab.graph, [lab.root / "r.jsonl"]).n_merged == 0


def test_an_output_that_stands_is_not_replaced_by_other_bytes(lab: Lab) -> None:
    """An output that is there is not overwritten with other bytes: the quantum fails and names it, and it stands."""
    execute(lab, [0])
    before = tree(lab)
    log = next(k for k in before if "double_log" in k)
    (Path(lab.store_root) / log).unlink()
    again = execute(lab, [0])
    (failure,) = again.failures

    assert "doubled {'batch': 0, 'sample': 0} is there already with other bytes" in failure.message
    assert before.items() - tree(lab).items() == {(log, before[log])}
    assert outcomes(lab)[-1].attempt == 1
    assert execute(lab, [0], force=True).total.succeeded == 1


def test_a_truncated_output_is_not_whole(lab: Lab) -> None:
    """A file of another size than was recorded is made again; damage may be replaced."""
    execute(lab)
    victim = first_output(lab)
    victim.write_bytes(b"{}")
    again = execute(lab)

    assert (again.total.skipped, again.total.succeeded) == (8, 1)
    assert "seed" in json.loads(victim.read_text())


def test_a_record_keeps_what_it_says_of_other_quanta(lab: Lab) -> None:
    """Slices of a graph may go to one record file, one after another."""
    execute(lab, range(4))
    execute(lab, range(4, 9))

    assert sorted(o.ordinal for o in outcomes(lab)) == list(range(9))
    assert merge_records(lab.staging, lab.graph, [lab.root / "r.jsonl"]).n_merged == 9


def test_limits_that_cannot_be_kept_are_refused(lab: Lab) -> None:
    """A time limit needs worker processes; a negative number of retries is no number."""
    with pytest.raises(UsageError, match="in this process"):
        execute(lab, timeout_s=3.0)
    with pytest.raises(UsageError, match="-1 times"):
        execute(lab, retries=-1)

    assert not (lab.root / "r.jsonl").exists()
