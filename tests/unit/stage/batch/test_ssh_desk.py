"""The jobs of an engine whose jobs are far away, by how far each is."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from stage.batch.engines.base import Cause, JobEvent, JobRequest, JobState
from stage.batch.engines.ssh.desk import Desk
from stage.batch.workflow.model import JobSettings

GO_ON = threading.Event()


@pytest.fixture
def desk() -> Desk:
    """A desk for two threads, with four jobs that are to be sent."""
    made = Desk(threading.Condition(), 2)
    requests = [
        JobRequest(n, f"job_{n}", 0, ("true",), Path(f"{n}.out"), JobSettings("job")) for n in range(4)
    ]
    made.take(requests, [f"{n}.out" for n in range(4)])
    return made


def sent(desk: Desk) -> list[JobRequest]:
    """Take a piece of what is to be sent, and bring it there."""
    piece = desk.next(0.0, GO_ON)
    assert piece is not None
    chosen = desk.to_begin(piece.requests)
    assert not desk.begun(chosen)
    return chosen


def test_work_is_shared(desk: Desk) -> None:
    """Each thread gets its part, and nothing twice; then there is nothing."""
    numbers = [[r.number for r in sent(desk)] for _ in range(3)]

    assert [[0, 1], [2], [3]] == numbers
    assert desk.next(0.0, GO_ON) is None
    assert {0, 1, 2, 3} == set(desk.in_flight())


def test_what_cannot_be_done_is_given_back(desk: Desk) -> None:
    """It is the first that is tried again."""
    piece = desk.next(0.0, GO_ON)
    assert piece is not None
    desk.give_back(piece)
    again = desk.next(0.0, GO_ON)

    assert again is not None
    assert [0, 1] == [r.number for r in again.requests]


def test_ends_are_said_once_and_when_all_is_home(desk: Desk) -> None:
    """An end that is said again, or of a job that nobody asked for, changes nothing."""
    sent(desk)
    end = JobEvent(0, 0, JobState.SUCCEEDED, exit_code=0)
    desk.hear([JobEvent(0, 0, JobState.RUNNING), end, end, JobEvent(9, 0, JobState.FAILED)])
    before = [e.state for e in desk.told()]
    piece = desk.next(0.0, GO_ON)
    assert piece is not None
    desk.say([event for _, event in piece.ended])
    desk.hear([end])

    assert [JobState.RUNNING] == before
    assert [("0.out", end)] == [(job.log, event) for job, event in piece.ended]
    assert [end] == desk.told()
    assert {1, 2, 3} == set(desk.in_flight())


def test_cancelled_jobs_end_wherever_they_are(desk: Desk) -> None:
    """One that waits is dropped; one on its way is not begun; one that is there is ended by the agent."""
    there = sent(desk)
    way = desk.next(0.0, GO_ON)
    assert way is not None
    told = desk.cancel([0, 2, 3])
    begun = desk.to_begin(way.requests)
    deleted = desk.told()

    assert 0 in {r.number for r in there}
    assert [0] == told
    assert [2] == [r.number for r in way.requests]
    assert not begun
    assert {(2, JobState.DELETED, Cause.CANCELLED), (3, JobState.DELETED, Cause.CANCELLED)} == {
        (e.number, e.state, e.cause) for e in deleted
    }
    assert {0, 1} == set(desk.in_flight())


def test_a_cancel_in_the_moment_of_beginning_is_not_lost(desk: Desk) -> None:
    """The agent was just told to begin it: it is told to end it too."""
    piece = desk.next(0.0, GO_ON)
    assert piece is not None
    chosen = desk.to_begin(piece.requests)
    desk.cancel([1])

    assert [1] == desk.begun(chosen)
