"""What became of a submission in one word: by its jobs, its final job, and whether anybody drives it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stage.batch.driving.board import STATES
from stage.batch.driving.states import RunStates
from stage.batch.engines.base import JobState
from stage.batch.reporting.whole import whole_of
from stage.campaign.lock import Holder

HEAD = Holder("host", 1, "head", 0)


def _states(*jobs: str, final: str = "UNREADY", **more: Any) -> RunStates:
    """Return a submission with jobs in some states; the first letter of each is enough."""
    codes = [STATES.index(JobState(name)) for name in (*jobs, final)]
    numbers = {
        name: np.zeros(len(codes), dtype=np.int64)
        for name in ("exit_code", "memory_mb", "begun_ns", "ended_ns")
    }
    known: dict[str, Any] = {
        "n_jobs": len(jobs), "state": np.array(codes, dtype=np.int8), "attempts": np.ones(len(codes), dtype=np.int32),
        "cause": np.zeros(len(codes), dtype=np.int8), "messages": {}, "hosts": {}, "history": (), "changes": (),
        "is_cancelled": False, "is_ended": True, "head": None,
    }  # fmt: skip
    return RunStates(**{**numbers, **known, **more})


@pytest.mark.parametrize(
    ("states", "word", "flag", "percent", "said"),
    [
        (_states("SUCCEEDED", "SUCCEEDED", final="SUCCEEDED"), "SUCCEEDED", "", 100, ""),
        (_states("SUCCEEDED", "FAILED", "PRUNED"), "FAILED", "F", 33, "1 failed, and 1 that wait for such never began"),
        (_states("SUCCEEDED", final="FAILED", messages={-1: "disk full"}), "FAILED", "F", 100, "disk full; see final_job.out"),
        (_states("DELETED", is_cancelled=True), "DELETED", "D", 0, "it was cancelled"),
        (_states("RUNNING", is_ended=False), "UNKNOWN", "!", 0, "stage batch restart --id 7"),
        (_states("RUNNING", "HELD", is_ended=False, head=HEAD), "RUNNING", "H", 0, ""),
        (_states("HELD", "UNREADY", is_ended=False, head=HEAD, messages={0: "too big"}), "HELD", "H", 0, "1 held: too big"),
        (_states("PENDING", "FAILED", is_ended=False, head=HEAD), "RUNNING", "F", 0, ""),
        (_states("PENDING", is_ended=False, head=HEAD, attempts=np.zeros(2)), "PENDING", "", 0, ""),
    ],
)  # fmt: skip
def test_one_word(states: RunStates, word: str, flag: str, percent: int, said: str) -> None:
    """The word, the flag before it, how much is done, and what there is to do, as a command."""
    found = whole_of(states, "7")

    assert (found.state, found.flag, found.percent) == (word, flag, percent)
    assert said in found.note


def test_an_engine_that_needs_no_head_is_not_missed_one() -> None:
    """Jobs that walk through by themselves are on their way, whoever looks."""
    assert whole_of(_states("RUNNING", is_ended=False), "7", needs_head=False).state == "RUNNING"
