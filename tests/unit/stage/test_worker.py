"""Tests of `stage.execution.worker`: one quantum at a time, in this process."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from stage.execution.prep import prepare_run
from stage.execution.settings import RunnerSettings
from stage.execution.worker import QuantumRunner
from stage.pipeline.node import LOG, METADATA
from tests.execution_lab import Lab, chain, make_lab


def runner_of(lab: Lab, **settings: object) -> QuantumRunner:
    """Prepare the run and make a runner."""
    prepare_run(lab.staging, lab.graph)
    return QuantumRunner(RunnerSettings(lab.graph_uri, lab.store_root, **settings))  # type: ignore[arg-type]


def text(lab: Lab, uri: str) -> str:
    """Read a file of the datastore."""
    return (Path(lab.store_root) / uri).read_text()


def test_worker_imports_no_database() -> None:
    """Importing the worker, and the main loop of its process, loads neither SQLAlchemy nor sqlite3."""
    code = (
        "import sys, stage.execution.worker, stage.execution.process;"
        "bad = {'sqlalchemy', 'sqlite3', 'alembic', 'fsspec', 'pydantic', 'pyarrow', 'astropy'};"
        "print(sorted(bad & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_running_quanta_needs_no_database(tmp_path: Path) -> None:
    """A runner that has run a class task still has no database in its process."""
    lab = make_lab(tmp_path)
    prepare_run(lab.staging, lab.graph)
    code = (
        "import sys; from stage.execution.worker import *; from stage.execution.settings import RunnerSettings;"
        f"sys.path.append({str(Path(__file__).parents[3])!r});"
        f"r = QuantumRunner(RunnerSettings({lab.graph_uri!r}, {lab.store_root!r})).run(0);"
        "print(r.status, r.message, sorted({'sqlalchemy', 'sqlite3'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "succeeded  []"


def test_success_leaves_output_log_and_metadata(tmp_path: Path) -> None:
    """A quantum that succeeds leaves three artifacts where the graph planned them, and says what it read."""
    lab = make_lab(tmp_path)
    outcome = runner_of(lab).run(1)
    quantum = lab.graph.quantum(1)

    assert (outcome.status, outcome.message) == ("succeeded", "")
    planned = {d.ordinal: d.uri for refs in quantum.outputs.values() for d in refs}
    assert planned == {a.dataset: a.uri for a in outcome.artifacts}
    assert outcome.read == (quantum.inputs["value"][0].ordinal,)
    assert all((Path(lab.store_root) / a.uri).stat().st_size == a.size for a in outcome.artifacts)
    assert json.loads(text(lab, planned[quantum.outputs["result"][0].ordinal])) == {"x": 2.0}
    assert "INFO" in text(lab, planned[quantum.outputs[LOG][0].ordinal])
    metadata = json.loads(text(lab, planned[quantum.outputs[METADATA][0].ordinal]))
    assert metadata["status"] == "succeeded"
    assert metadata["notes"] == {"x": 1}
    assert metadata["data_id"] == {"batch": 0, "sample": 1}
    assert metadata["peak_bytes"] > 1_000_000
    assert outcome.finished_ns > outcome.started_ns > 0


def test_failure_leaves_log_with_traceback_and_no_output(tmp_path: Path) -> None:
    """A task that raises fails its quantum; log and metadata say why, under names of the attempt."""
    lab = make_lab(tmp_path, chain(double={"behave": {"1": "raise:no good"}}))
    outcome = runner_of(lab).run(1, attempt=2)

    assert (outcome.status, outcome.message) == ("failed", "ValueError: no good")
    assert len(outcome.artifacts) == 2
    assert all("_failed-2." in a.uri for a in outcome.artifacts)
    log = next(text(lab, a.uri) for a in outcome.artifacts if a.formatter == "text")
    assert "Traceback" in log
    assert "in _fail" in log


def test_system_exit_in_a_task_is_a_failure(tmp_path: Path) -> None:
    """A task that calls sys.exit fails its quantum and not the worker."""
    lab = make_lab(tmp_path, chain(double={"behave": {"0": "sys-exit"}}))

    assert runner_of(lab).run(0).message == "SystemExit: 7"


def test_no_work_is_complete_without_outputs(tmp_path: Path) -> None:
    """NoWorkFound ends a quantum well: its output is absent, log and metadata are where they were planned."""
    lab = make_lab(tmp_path, chain(double={"behave": {"0": "no-work"}}))
    outcome = runner_of(lab).run(0)
    quantum = lab.graph.quantum(0)

    assert outcome.status == "no-work"
    assert outcome.is_complete
    assert outcome.absent == (quantum.outputs["result"][0].ordinal,)
    assert {a.uri for a in outcome.artifacts} == {quantum.outputs[n][0].uri for n in (LOG, METADATA)}


def test_quantum_with_too_few_inputs_has_no_work(tmp_path: Path) -> None:
    """With an absent input a gather runs on what is left down to its minimum, and below it has no work."""
    lab = make_lab(tmp_path, samples=3)
    runner = runner_of(lab)
    for ordinal in range(6):
        assert runner.run(ordinal).status == "succeeded"
    inputs = [d.ordinal for d in lab.graph.quantum(6).inputs["values"]]
    enough = runner.run(6, absent=inputs[:1])

    assert enough.status == "succeeded"
    assert enough.read == tuple(inputs[1:])
    too_few = runner.run(6, absent=inputs[:2])
    assert too_few.status == "no-work"
    assert "1 of at least 2 'values'" in too_few.message


def test_partial_output_of_a_failed_quantum_is_removed(tmp_path: Path) -> None:
    """What a quantum wrote before it failed is not left where a complete one's would be."""
    lab = make_lab(tmp_path)
    runner = runner_of(lab)
    target = Path(lab.store_root) / str(lab.graph.quantum(0).outputs["result"][0].uri)
    target.parent.mkdir(parents=True)
    target.write_text("{}")
    (Path(lab.store_root) / str(lab.graph.quantum(0).inputs["value"][0].uri)).unlink()
    outcome = runner.run(0)

    assert outcome.status == "failed"
    assert "NotFoundError" in outcome.message
    assert not target.exists()


def test_task_that_cannot_be_constructed_fails_each_quantum(tmp_path: Path) -> None:
    """An init input that is gone fails the quanta of that task with the reason, and no other's."""
    lab = make_lab(tmp_path)
    runner = runner_of(lab)
    (Path(lab.store_root) / str(lab.graph.init_inputs("total")["unit"].uri)).unlink()

    assert runner.run(0).status == "succeeded"
    assert runner.run(8).status == "failed"
    assert "unit" in runner.run(8).message


def test_log_can_be_followed_while_a_quantum_runs(tmp_path: Path) -> None:
    """With a logs directory the same lines are in a file by label from the start."""
    lab = make_lab(tmp_path)
    runner_of(lab, logs_dir=str(tmp_path / "logs")).run(2)
    found = list((tmp_path / "logs" / "double").iterdir())

    assert len(found) == 1
    assert "sample 2 has x = 2" in found[0].read_text()


def test_logging_of_the_caller_is_left_as_it_was(tmp_path: Path) -> None:
    """Running a quantum in this process leaves no handler and no level behind."""
    lab = make_lab(tmp_path)
    root = logging.getLogger()
    before = (root.level, list(root.handlers))
    runner_of(lab).run(0)

    assert before == (root.level, list(root.handlers))


def test_log_level_is_kept(tmp_path: Path) -> None:
    """With level WARNING what a task tells at INFO is not in its log."""
    lab = make_lab(tmp_path)
    outcome = runner_of(lab, log_level="WARNING").run(0)
    log = next(text(lab, a.uri) for a in outcome.artifacts if a.formatter == "text")

    assert "has x" not in log


def test_log_that_cannot_be_written_fails_the_quantum(tmp_path: Path) -> None:
    """A quantum whose log has no place to go is failed, not lost."""
    lab = make_lab(tmp_path)
    runner = runner_of(lab)
    folder = Path(lab.store_root) / "u/me/run/double_log"
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("a file where a directory should be")
    outcome = runner.run(0)

    assert outcome.status == "failed"
    assert "could not be written" in outcome.message or "could its log be written" in outcome.message


def test_interrupt_goes_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A KeyboardInterrupt in a task is not taken for the task's failure."""
    lab = make_lab(tmp_path)
    runner = runner_of(lab)
    task = runner.task("double")

    def interrupted(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(task, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        runner.run(0)
