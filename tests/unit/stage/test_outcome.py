"""Tests of `stage.execution.outcome`."""

from __future__ import annotations

import pytest

from registry.errors import IntegrityError
from stage.execution.outcome import QuantumOutcome, StoredArtifact

OUTCOME = QuantumOutcome(
    7,
    "succeeded",
    attempt=1,
    started_ns=10,
    finished_ns=20,
    cpu_ns=5,
    peak_bytes=1 << 20,
    host="näh",
    message="",
    artifacts=(StoredArtifact(3, "run/a/ä.json", 12, "blake3:00", "json"),),
    read=(1, 2),
)


def test_outcome_survives_both_of_its_forms() -> None:
    """A tuple and a JSON line each give back an equal outcome, artifacts and all."""
    assert QuantumOutcome.from_tuple(OUTCOME.to_tuple()) == OUTCOME
    assert QuantumOutcome.from_json(OUTCOME.to_json()) == OUTCOME
    assert isinstance(QuantumOutcome.from_json(OUTCOME.to_json()).artifacts[0], StoredArtifact)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{}",
        "[]",
        "[1,2]",
        "null",
        OUTCOME.to_json()[:-3],
        OUTCOME.to_json().replace("[7,", '["7",'),
        '"x"',
    ],
)
def test_line_that_is_no_outcome_is_refused(line: str) -> None:
    """Anything but the JSON of an outcome is an IntegrityError, not a half-filled one."""
    with pytest.raises(IntegrityError) as caught:
        QuantumOutcome.from_json(line)

    assert caught.value.code == "bad-record"


def test_complete_means_succeeded_or_no_work() -> None:
    """A quantum without work need not run again; one that failed or was blocked must."""
    complete = [s for s in ("succeeded", "no-work", "failed", "blocked") if QuantumOutcome(0, s).is_complete]

    assert complete == ["succeeded", "no-work"]
