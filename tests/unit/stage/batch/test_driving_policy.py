"""What is done about attempts that failed: `stage.batch.driving.policy`."""

from __future__ import annotations

import pytest

from stage.batch.driving.policy import Tally, cause_of, judge, memory_of
from stage.batch.engines.base import Cause, JobEvent, JobState
from stage.batch.workflow.model import JobSettings


def settings(**needs: object) -> JobSettings:
    return JobSettings("task", **needs)  # type: ignore[arg-type]


def ended(cause: Cause, code: int | None = 1) -> JobEvent:
    return JobEvent(0, 0, JobState.FAILED, cause, code)


def requests(needs: JobSettings, causes: list[Cause]) -> tuple[list[int | None], bool]:
    """Return what each attempt may have if they die of this, and whether there would be another."""
    asked, failures, memory, losses, again = [], 0, 0, 0, True
    for cause in causes:
        asked.append(memory_of(needs, memory))
        is_loss = cause in {Cause.NODE, Cause.PREEMPTED}
        failures, losses, memory = (
            failures + (not is_loss),
            losses + is_loss,
            memory + (cause == Cause.MEMORY),
        )
        again = judge(needs, Tally(failures, memory, losses), ended(cause), cause).again
        if not again:
            break
    return asked, again


@pytest.mark.parametrize(
    ("first", "most", "steps"),
    [(3072, 20480, [3072, 6144, 12288, 20480]), (32768, 65536, [32768, 65536])],
)
def test_worked_examples_of_memory(first: int, most: int, steps: list[int]) -> None:
    """The field's two examples: doubled up to the most, one attempt with that, then out, whatever retries are left."""
    needs = settings(
        request_memory=first, request_memory_max=most, memory_multiplier=2.0, number_of_retries=50
    )

    assert (steps, False) == requests(needs, [Cause.MEMORY] * 10)


def test_only_want_of_memory_makes_it_grow() -> None:
    """Other failures are repeated with the same memory, and count among the retries."""
    needs = settings(request_memory=100, request_memory_max=1000, memory_multiplier=2.0, number_of_retries=4)
    causes = [Cause.EXIT, Cause.MEMORY, Cause.TIME, Cause.MEMORY, Cause.START]

    assert ([100, 100, 200, 200, 400], False) == requests(needs, causes)


def test_lost_machines_neither_grow_memory_nor_use_up_retries() -> None:
    """A lost node or a preemption is repeated as it was, three times; then it is taken for the job's doing."""
    needs = settings(request_memory=100, memory_multiplier=2.0, number_of_retries=0)

    assert ([100] * 4, False) == requests(
        needs, [Cause.NODE, Cause.PREEMPTED, Cause.NODE, Cause.NODE, Cause.NODE]
    )


def test_want_of_memory_without_scaling_is_a_failure_as_any() -> None:
    """Without a multiplier above 1, a job that died for want of memory has the same again, as often as retries say."""
    needs = settings(request_memory=100, request_memory_max=1000, memory_multiplier=1.0, number_of_retries=1)

    assert ([100, 100], False) == requests(needs, [Cause.MEMORY] * 5)


@pytest.mark.parametrize(
    ("needs", "expected"),
    [
        ({}, 0),
        ({"number_of_retries": 3}, 3),
        ({"memory_multiplier": 2.0}, 5),
        ({"memory_multiplier": 1.0}, 0),
        ({"memory_multiplier": 2.0, "number_of_retries": 0}, 0),
    ],
)
def test_default_number_of_retries(needs: dict[str, float], expected: int) -> None:
    """None by default, five where memory grows, and what is said counts before that."""
    found = settings(request_memory=1, **needs)
    again = [judge(found, Tally(n), ended(Cause.EXIT), Cause.EXIT).again for n in range(1, 9)]

    assert [True] * expected + [False] * (8 - expected) == again


def test_program_may_say_itself_that_it_wanted_memory() -> None:
    """Exit code 14 is want of memory, unless the engine knows of another cause."""
    assert Cause.MEMORY == cause_of(ended(Cause.EXIT, 14))
    assert Cause.TIME == cause_of(ended(Cause.TIME, 14))
    assert Cause.EXIT == cause_of(ended(Cause.EXIT, 13))


def test_cancelled_job_is_not_tried_again() -> None:
    """A job that somebody has ended stays so, whatever retries are left."""
    event = JobEvent(0, 0, JobState.DELETED, Cause.CANCELLED)

    assert not judge(settings(number_of_retries=9), Tally(1), event, Cause.CANCELLED).again


def test_exit_code_may_say_that_it_makes_no_sense() -> None:
    """After some exit codes a job is not tried again, if its settings say so."""
    needs = settings(number_of_retries=9, retry_unless_exit=(2, 4))

    assert [True, False, True, False] == [
        judge(needs, Tally(1), ended(Cause.EXIT, code), Cause.EXIT).again for code in (1, 2, 3, 4)
    ]


def test_why_there_is_no_other_attempt_is_said() -> None:
    """The most that it may get, or the retries that were used, are named."""
    capped = settings(request_memory=100, request_memory_max=200, memory_multiplier=2.0)
    tried = settings(number_of_retries=2)

    assert "200 MB" in judge(capped, Tally(2, 2), ended(Cause.MEMORY), Cause.MEMORY).why
    assert "2 of 2" in judge(tried, Tally(3), ended(Cause.EXIT), Cause.EXIT).why
