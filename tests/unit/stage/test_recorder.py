"""Tests of `stage.execution.record` and `stage.execution.resume`."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import numpy as np
import pytest

from registry import keeping
from registry.errors import StageError
from stage.execution.outcome import QuantumOutcome
from stage.execution.prep import prepare_run
from stage.execution.record import Recorder, record_outcomes
from stage.execution.resume import completed
from stage.execution.settings import RunnerSettings
from stage.execution.worker import QuantumRunner
from tests.execution_lab import Lab, chain, make_lab


def outcomes_of(lab: Lab) -> list[QuantumOutcome]:
    """Prepare the run and run everything, recording nothing."""
    prepare_run(lab.staging, lab.graph)
    runner = QuantumRunner(RunnerSettings(lab.graph_uri, lab.store_root))
    return [runner.run(ordinal) for ordinal in range(lab.graph.n_quanta)]


def test_outcomes_become_datasets_artifacts_and_links(tmp_path: Path) -> None:
    """One batch of outcomes registers all outputs with their artifacts, what was read, and what was made."""
    lab = make_lab(tmp_path)
    outcomes = outcomes_of(lab)
    with lab.staging.registry.write() as change:
        record_outcomes(change, lab.graph, outcomes)
    datasets = lab.datasets()

    assert len(datasets["doubled"]) == len(datasets["double_log"]) == len(datasets["shift_metadata"]) == 4
    recorded = {i: c for rows in datasets.values() for i, c in rows.values()}
    written = {lab.graph.dataset_ids([a.dataset])[0]: a.checksum for o in outcomes for a in o.artifacts}
    assert written.items() <= recorded.items()
    with lab.staging.registry.read() as snapshot:
        inputs = snapshot.quantum_inputs([lab.graph.output_run])
        outputs = snapshot.quantum_outputs([lab.graph.output_run])
    assert (inputs.n_rows, outputs.n_rows) == (4 + 4 + 4, 27)
    assert all(inputs["was_read"])
    assert sorted(set(outputs["connection"])) == ["_log", "_metadata", "result", "total"]


def test_recording_twice_changes_nothing(tmp_path: Path) -> None:
    """The same outcomes again leave the same rows."""
    lab = make_lab(tmp_path)
    outcomes = outcomes_of(lab)
    states = []
    for _ in range(2):
        with lab.staging.registry.write() as change:
            record_outcomes(change, lab.graph, outcomes)
        states.append((lab.datasets(), lab.quanta()))

    assert states[0] == states[1]


def test_number_of_statements_does_not_grow_with_outcomes(tmp_path: Path) -> None:
    """Recording ten times as many outcomes takes the same number of statements."""
    counts = []
    for n in (4, 40):
        lab = make_lab(tmp_path / str(n), samples=n)
        outcomes = outcomes_of(lab)
        seen: list[str] = []
        with lab.staging.registry.write() as change:
            driver = _driver(change)
            driver.set_trace_callback(seen.append)
            record_outcomes(change, lab.graph, outcomes)
            driver.set_trace_callback(None)
        # A statement run for many rows is traced once a row: count different ones.
        counts.append(len({s.split(" VALUES", 1)[0].split(" WHERE", 1)[0] for s in seen}))

    assert counts[0] == counts[1]


def _driver(change: object) -> sqlite3.Connection:
    session = change._session  # type: ignore[attr-defined]
    found = session.database.driver
    assert isinstance(found, sqlite3.Connection)
    return found


def test_input_that_was_not_read_says_so(tmp_path: Path) -> None:
    """A quantum that failed before it read has its inputs recorded as not read; absent ones are left out."""
    lab = make_lab(tmp_path, chain(double={"behave": {"0": "no-work"}}))
    outcomes = outcomes_of(lab)
    with lab.staging.registry.write() as change:
        record_outcomes(change, lab.graph, [o._replace(read=()) for o in outcomes[:5]])
        rows = change.quantum_inputs([lab.graph.output_run])

    assert rows.n_rows == 4
    assert not any(rows["was_read"])


def test_recorder_records_everything_by_its_end(tmp_path: Path) -> None:
    """Outcomes handed over one by one are all there when the block ends, in the thread's own batches."""
    lab = make_lab(tmp_path)
    outcomes = outcomes_of(lab)
    with Recorder(lab.staging, lab.graph, period_s=0.01, batch=2) as recorder:
        for outcome in outcomes:
            recorder.add(outcome)
            time.sleep(0.002)

    assert lab.status() == {"succeeded": 9}


def test_recorder_raises_what_went_wrong(tmp_path: Path) -> None:
    """An outcome that cannot be recorded ends the block with its error."""
    lab = make_lab(tmp_path)
    outcomes = outcomes_of(lab)
    with lab.staging.registry.write() as change:
        change.remove_collection(lab.graph.output_run)
    with pytest.raises(StageError, match="u/me/run"), Recorder(lab.staging, lab.graph) as recorder:
        recorder.add(outcomes[0])


def test_completed_tells_attempts_and_absent_datasets(tmp_path: Path) -> None:
    """Succeeded and no-work quanta are complete; failed ones have another attempt before them, blocked ones do not."""
    lab = make_lab(tmp_path, chain(double={"behave": {"0": "no-work", "1": "raise"}}))
    outcomes = outcomes_of(lab)
    blocked = QuantumOutcome(5, "blocked", message="blocked", root=1)
    with lab.staging.registry.write() as change:
        record_outcomes(change, lab.graph, [*outcomes[:5], blocked])
    found = completed(lab.staging, lab.graph)

    assert found.mask.tolist() == [True, False, True, True, False, False, False, False, False]
    assert found.attempts == {1: 1, 4: 1, 5: 0}
    assert found.absent == {0: [lab.graph.quantum(0).outputs["result"][0].ordinal]}


def test_a_quantum_whose_output_is_known_no_more_is_not_complete(tmp_path: Path) -> None:
    """It alone has another attempt before it, in the whole graph and in a part of it, whose rows remember their ids."""
    lab = make_lab(tmp_path)
    outcomes = outcomes_of(lab)
    with lab.staging.registry.write() as change:
        record_outcomes(change, lab.graph, outcomes)
    with lab.staging.registry.write() as change:
        change.delete_datasets([lab.graph.quantum(2).outputs["result"][0].id])
    part = lab.graph.select([1, 2])

    assert np.flatnonzero(~completed(lab.staging, lab.graph).mask).tolist() == [2]
    assert completed(lab.staging, lab.graph).attempts == {2: 1}
    found = completed(lab.staging, part)
    assert (found.mask.tolist(), found.attempts, found.absent) == ([True, False], {1: 1}, {})


def test_of_a_complete_run_no_quantum_is_odd(tmp_path: Path) -> None:
    """Of a complete run all quanta have made as much as others of their task, so that no output is read."""
    lab = make_lab(tmp_path, samples=20)
    outcomes = outcomes_of(lab)
    with lab.staging.registry.write() as change:
        record_outcomes(change, lab.graph, outcomes)
    with lab.staging.registry.read() as snapshot:
        assert keeping.odd_quanta(snapshot, lab.graph.output_run, {"double": 3, "shift": 3, "total": 3}) == []
    found = completed(lab.staging, lab.graph)

    assert found.mask.all()
    assert (found.attempts, found.absent, found.standing) == ({}, {}, {})


def test_nothing_is_complete_in_a_run_that_is_not_there(tmp_path: Path) -> None:
    """A graph whose run was never made has everything still to do."""
    lab = make_lab(tmp_path)

    assert not completed(lab.staging, lab.graph).mask.any()
