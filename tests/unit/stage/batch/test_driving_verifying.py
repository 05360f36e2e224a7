"""Whether a job that says it is done has recorded so: `stage.batch.driving.verifying`."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.model.records import QuantumStatus
from stage.batch.driving.verifying import has_record, lacks
from stage.batch.workflow.model import JobSettings
from stage.execution.outcome import QuantumOutcome
from stage.execution.record_file import RecordFile


def save(path: Path, *outcomes: tuple[int, str]) -> None:
    RecordFile(b"g" * 16, "u/me/run", "job", tuple(QuantumOutcome(o, s) for o, s in outcomes)).save(path)


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.zst"])
def test_record_of_all_quanta_is_enough(tmp_path: Path, ending: str) -> None:
    """A job of which each quantum is complete, in whatever attempt, lacks nothing."""
    path = tmp_path / f"0.{ending}"
    save(path, (3, QuantumStatus.FAILED), (3, QuantumStatus.SUCCEEDED), (41, QuantumStatus.NO_WORK))

    assert not lacks(path, [3, 41])


@pytest.mark.parametrize("status", [QuantumStatus.FAILED, QuantumStatus.BLOCKED])
def test_quantum_that_is_not_complete_is_named(tmp_path: Path, status: str) -> None:
    """One that failed, was blocked, or is not in the record at all."""
    save(tmp_path / "0.jsonl", (3, QuantumStatus.SUCCEEDED), (4, status))

    assert "2 of 3 quanta are not complete (4, 5)" in lacks(tmp_path / "0.jsonl", [3, 4, 5])


def test_no_record_and_a_cut_one_are_none(tmp_path: Path) -> None:
    """A job that left nothing, or half of it, has shown nothing."""
    path = tmp_path / "0.jsonl"

    assert "no record that can be read" in lacks(path, [0])
    save(path, (0, QuantumStatus.SUCCEEDED))
    path.write_bytes(path.read_bytes()[:-20])
    assert "no record that can be read" in lacks(path, [0])


def test_command_that_is_told_of_no_record_leaves_none() -> None:
    """Of a user's own command there is only its exit code."""
    assert has_record(JobSettings("a", arguments="exec --record {recordFile}"))
    assert not has_record(JobSettings("a", arguments="run {qgraphFile}"))
