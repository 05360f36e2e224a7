"""Merging record files into staging: any order, any number of times, nothing that is not there."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from registry.errors import ConflictError, IntegrityError, NotFoundError
from stage.execution.job import execute_job
from stage.execution.merge import merge_records
from stage.execution.outcome import QuantumOutcome, StoredArtifact
from stage.execution.prep import prepare_run
from stage.execution.record_file import RecordFile
from tests.execution_lab import Lab, chain, make_lab


def lab_with_record(tmp_path: Path) -> tuple[Lab, Path]:
    """Run everything in one job."""
    lab = make_lab(tmp_path)
    prepare_run(lab.staging, lab.graph)
    execute_job(lab.graph_uri, range(9), tmp_path / "all.jsonl", lab.store_root)
    return lab, tmp_path / "all.jsonl"


def everything(lab: Lab) -> list[object]:
    """Return all that the registry holds of the run."""
    with lab.staging.registry.read() as snapshot:
        run = [lab.graph.output_run]
        quanta = snapshot.quanta(run, latest=False).rows()
        return [
            lab.datasets,
            quanta,
            snapshot.quantum_inputs(run).rows(),
            snapshot.quantum_outputs(run).rows(),
        ][1:]


def test_merging_twice_changes_nothing(tmp_path: Path) -> None:
    """The second merge of the same record finds everything there."""
    lab, record = lab_with_record(tmp_path)
    first = merge_records(lab.staging, lab.graph, [record])
    before = everything(lab), lab.datasets()
    second = merge_records(lab.staging, lab.graph, [record, record])

    assert (first.n_merged, first.n_datasets, first.counts) == (9, 27, {"succeeded": 9})
    assert (second.n_merged, second.n_datasets) == (0, 0)
    assert before == (everything(lab), lab.datasets())


def test_records_of_attempts_merge_in_any_order(tmp_path: Path) -> None:
    """A failed attempt, a blocked job and the attempt that succeeded give one result in every order of merging."""
    results = []
    for n, order in enumerate(itertools.permutations(["failed", "blocked", "good", "rest"])):
        if n % 5:
            continue
        root = tmp_path / str(n)
        flag = root / "flag"
        lab = make_lab(root, chain(double={"behave": {"1": f"needs:{flag}"}}))
        prepare_run(lab.staging, lab.graph)
        execute_job(lab.graph_uri, range(4), root / "failed", lab.store_root)
        execute_job(lab.graph_uri, range(4, 9), root / "blocked", lab.store_root)
        flag.touch()
        execute_job(lab.graph_uri, [1], root / "good", lab.store_root, attempt=1)
        execute_job(lab.graph_uri, [5, 8], root / "rest", lab.store_root)
        for name in order:
            merge_records(lab.staging, lab.graph, [root / name])
        with lab.staging.registry.read() as snapshot:
            rows = snapshot.quanta([lab.graph.output_run], latest=False)
            links = snapshot.quantum_outputs([lab.graph.output_run]).n_rows
        found = sorted(rows.rows(("task", "data_id", "status", "attempt")))
        log = lab.get("double_log", batch=0, sample=1)
        outputs = {k: v for k, v in lab.checksums().items() if k != "double_config"}  # it names the directory
        results.append((found, outputs, links, "attempt 1" in str(log)))
        assert lab.status() == {"succeeded": 9}

    assert len(results) == 5
    for r in results:
        assert r == results[0]
    assert results[0][3]


def test_record_of_another_graph_is_refused(tmp_path: Path) -> None:
    """A record whose graph has another id is a conflict that names both, and nothing is merged."""
    lab, record = lab_with_record(tmp_path)
    other = lab.graph.retarget("u/me/other")
    with pytest.raises(ConflictError, match=r"all\.jsonl is of graph") as caught:
        merge_records(lab.staging, other, [record])

    assert caught.value.code == "record-of-other-graph"
    assert lab.status() == {}


def test_output_that_is_gone_or_of_another_size_is_refused(tmp_path: Path) -> None:
    """Nothing is merged as long as one output is missing or was changed."""
    lab, record = lab_with_record(tmp_path)
    path = Path(lab.store_root) / str(lab.graph.quantum(8).outputs["total"][0].uri)
    content = path.read_text()
    path.write_text(content + " ")
    with pytest.raises(
        IntegrityError, match=f"has {len(content) + 1} bytes, but {len(content)} were recorded"
    ):
        merge_records(lab.staging, lab.graph, [record])
    path.unlink()
    with pytest.raises(NotFoundError, match=r"total@\{batch=0\} recorded .* which is not there"):
        merge_records(lab.staging, lab.graph, [record])
    assert lab.status() == {}
    path.write_text(content)
    assert merge_records(lab.staging, lab.graph, [record]).n_merged == 9


def test_one_bad_record_file_keeps_all_out(tmp_path: Path) -> None:
    """Of several files one is cut off: nothing of the others is merged either."""
    lab, record = lab_with_record(tmp_path)
    (tmp_path / "cut").write_bytes(record.read_bytes()[:-3])
    with pytest.raises(IntegrityError, match="cut is refused"):
        merge_records(lab.staging, lab.graph, [record, tmp_path / "cut"])

    assert lab.status() == {}


@pytest.mark.parametrize(
    "outcome",
    [
        QuantumOutcome(99, "succeeded"),
        QuantumOutcome(0, "succeeded", artifacts=(StoredArtifact(10**6, "x", 1, "", "json"),)),
        QuantumOutcome(-1, "succeeded"),
    ],
)
def test_record_with_numbers_that_the_graph_lacks_is_refused(tmp_path: Path, outcome: QuantumOutcome) -> None:
    """A record that names no quantum or dataset of its graph is refused."""
    lab = make_lab(tmp_path)
    RecordFile(lab.graph.id, "u/me/run", "", (outcome,)).save(tmp_path / "r")
    with pytest.raises(IntegrityError, match="that the graph lacks"):
        merge_records(lab.staging, lab.graph, [tmp_path / "r"])
