"""Quanta that fail are tried again as often as was asked for, and those that take too long are ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.errors import UsageError
from stage.campaign.reading import read_logs
from stage.execution.job import execute_job
from stage.execution.merge import merge_records
from stage.execution.prep import prepare_run
from stage.execution.record_file import RecordFile
from stage.execution.run import run_graph
from tests.execution_lab import Lab, chain, make_lab


def flaky_lab(root: Path, times: int) -> Lab:
    """A graph of which one quantum fails some times before it succeeds."""
    return make_lab(root, chain(double={"behave": {"1": f"flaky:{times},{root}/counter"}}), samples=3)


def attempts(lab: Lab) -> list[tuple[str, int]]:
    """Return what became of each attempt at the quantum that is flaky."""
    with lab.staging.registry.read() as snapshot:
        rows = snapshot.quanta([lab.graph.output_run], task="double", latest=False)
    found = rows.rows(("data_id", "status", "attempt"))
    return sorted((status, attempt) for data_id, status, attempt in found if '"sample":1' in data_id)


@pytest.mark.parametrize("processes", [0, 2])
def test_a_quantum_is_tried_again_until_it_succeeds(tmp_path: Path, processes: int) -> None:
    """Every attempt is recorded with its number; the last one counts, and what depends on it runs."""
    lab = flaky_lab(tmp_path, 2)
    summary = run_graph(lab.staging, lab.graph_uri, processes=processes, retries=2)

    assert (summary.is_complete, summary.total.failed, summary.failures) == (True, 0, [])
    assert attempts(lab) == [("failed", 0), ("failed", 1), ("succeeded", 2)]
    assert lab.get("total", batch=0)["n"] == 3


def test_after_the_last_try_it_has_failed(tmp_path: Path) -> None:
    """A quantum that never succeeds fails once, with its last message, and blocks what needs it."""
    lab = flaky_lab(tmp_path, 9)
    summary = run_graph(lab.staging, lab.graph_uri, processes=0, retries=2)

    assert [f.message for f in summary.failures] == ["ValueError: attempt 3 fails"]
    assert lab.status() == {"blocked": 2, "failed": 1, "succeeded": 4}
    assert attempts(lab) == [("failed", 0), ("failed", 1), ("failed", 2)]


def test_logs_of_earlier_attempts_are_kept(tmp_path: Path) -> None:
    """Each attempt has a log of its own, which can be read after later ones."""
    lab = flaky_lab(tmp_path, 2)
    run_graph(lab.staging, lab.graph_uri, processes=0, retries=5)
    words = ("double", "sample=1")
    latest = read_logs(lab.staging, lab.graph.output_run, *words)
    every = read_logs(lab.staging, lab.graph.output_run, *words, attempts=True)

    assert [(e.status, e.attempt) for e in latest] == [("succeeded", 2)]
    assert [(e.status, e.attempt) for e in every] == [("failed", 0), ("failed", 1), ("succeeded", 2)]
    assert [f"attempt {n + 1} fails" in e.text for n, e in enumerate(every)] == [True, True, False]


def test_a_quantum_that_takes_too_long_is_tried_again_in_another_worker(tmp_path: Path) -> None:
    """The worker is ended, the attempt failed as timed out, and the run goes on."""
    lab = make_lab(tmp_path, chain(double={"behave": {"0": "sleep:60"}}))
    summary = run_graph(lab.staging, lab.graph_uri, processes=2, timeout_s=6.0, retries=1)

    assert [f.message for f in summary.failures] == [
        "timed out: it ran for more than 6 s, the timeout of this run"
    ]
    with lab.staging.registry.read() as snapshot:
        rows = snapshot.quanta([lab.graph.output_run], status=["failed"], latest=False)
    assert sorted(rows["attempt"].tolist()) == [0, 1]
    assert summary.total.succeeded == 6


def test_fail_fast_waits_for_the_last_try(tmp_path: Path) -> None:
    """With both, a quantum that succeeds in the end ends nothing; one that does not ends all."""
    lab = flaky_lab(tmp_path / "heals", 1)
    assert run_graph(lab.staging, lab.graph_uri, processes=0, retries=1, fail_fast=True).is_complete
    lab = flaky_lab(tmp_path / "fails", 9)
    summary = run_graph(lab.staging, lab.graph_uri, processes=0, retries=1, fail_fast=True)

    assert summary.total.failed == 1
    assert summary.total.left > 0


def test_jobs_try_again_too(tmp_path: Path) -> None:
    """A job's record has every attempt, and the merge records all of them."""
    lab = flaky_lab(tmp_path, 1)
    prepare_run(lab.staging, lab.graph)
    execute_job(lab.graph_uri, range(7), tmp_path / "r.jsonl", lab.store_root, retries=3)

    assert len(RecordFile.load(tmp_path / "r.jsonl").outcomes) == 8
    merge_records(lab.staging, lab.graph, [tmp_path / "r.jsonl"])
    assert attempts(lab) == [("failed", 0), ("succeeded", 1)]


def test_a_time_limit_needs_workers(tmp_path: Path) -> None:
    """What runs in this process cannot be ended, and that is said before anything is done."""
    lab = make_lab(tmp_path)
    with pytest.raises(UsageError, match="in this process"):
        run_graph(lab.staging, lab.graph_uri, processes=0, timeout_s=1.0)
    with pytest.raises(UsageError, match="within 0 s"):
        run_graph(lab.staging, lab.graph_uri, processes=1, timeout_s=0.0)

    with lab.staging.registry.read() as snapshot:
        assert [c.name for c in snapshot.collections()] == ["inputs"]
