"""Which jobs may begin: `stage.batch.driving.frontier`."""

from __future__ import annotations

import random

import numpy as np
import pytest

from stage.batch.driving.frontier import Frontier
from stage.graph.table import Csr


def frontier(parents: list[list[int]], *, priority: list[int] | None = None, **states: object) -> Frontier:
    n = len(parents)
    indptr = np.concatenate(([0], np.cumsum([len(p) for p in parents]))).astype(np.int64)
    csr = Csr(indptr, np.array([p for one in parents for p in one], dtype=np.int32))
    masks = [np.isin(np.arange(n), states.pop(name, [])) for name in ("done", "dead")]
    return Frontier(csr, np.array(priority or [0] * n, dtype=np.int64), *masks, **states)  # type: ignore[arg-type]


def test_job_may_begin_when_all_that_it_waits_for_has_succeeded() -> None:
    """A job with two parents is handed out after the second."""
    found = frontier([[], [], [0, 1]])

    assert [0, 1] == found.take(10)
    found.succeed(1)
    assert [] == found.take(10)
    found.succeed(0)
    assert [2] == found.take(10)


def test_higher_priority_goes_first_then_lower_numbers() -> None:
    """Of what may begin, the highest priority is first, and the order of the workflow within one."""
    assert [2, 4, 0, 1, 3] == frontier([[]] * 5, priority=[0, 0, 7, -1, 7]).take(10)


def test_no_more_than_asked_for() -> None:
    """The rest stays for the next time."""
    found = frontier([[]] * 5)

    assert [[0, 1], [2, 3], [4], []] == [found.take(2) for _ in range(4)]


def test_failure_takes_out_all_that_waits_for_it() -> None:
    """Children and theirs are out, others are not; nobody is named twice."""
    found = frontier([[], [], [0], [2], [1], [3, 4]])
    found.take(2)

    assert ([2, 3, 5], []) == found.fail(0)
    found.succeed(1)
    assert [4] == found.take(10)
    assert ([], []) == found.fail(4)


def test_job_that_comes_back_is_handed_out_again() -> None:
    """An attempt that failed and is repeated is ready at once."""
    found = frontier([[], [0]])
    found.take(1)
    found.back([0])

    assert [0] == found.take(10)


def test_what_was_done_and_dead_before_counts() -> None:
    """A new head begins where the journal ends, and takes out what the old one did not come to."""
    found = frontier([[], [], [0], [1], [3]], done=[0], dead=[1])

    assert ([3, 4], []) == found.sweep()
    assert [2] == found.take(10)


def test_looking_ahead_hands_out_children_with_what_they_wait_for() -> None:
    """An engine that looks ahead gets a whole chain at once, told what each waits for, and only while it has not ended."""
    found = frontier([[], [0], [0, 1]], looks_ahead=True)

    assert [0, 1, 2] == found.take(10)
    assert ((), (0,), (0, 1)) == tuple(map(found.after, range(3)))
    found.succeed(0)
    assert (1,) == found.after(2)
    assert found.is_released(1)
    assert not found.is_released(2)


def test_looking_ahead_holds_children_while_a_parent_is_not_with_the_engine() -> None:
    """When a parent is to begin again, children that came back wait until it has been handed out."""
    found = frontier([[], [0]], looks_ahead=True)
    found.take(10)
    found.back([0])
    found.back([1])

    assert [0] == found.take(1)
    assert [1] == found.take(1)


def test_looking_ahead_names_what_the_engine_has_of_a_failure() -> None:
    """Descendants that were handed out are to be ended there; those that were not are out."""
    found = frontier([[], [0], [1], [2]], looks_ahead=True)
    found.take(2)

    assert ([2, 3], [1]) == found.fail(0)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("looks_ahead", [False, True])
def test_any_order_of_events_ends_with_each_job_in_its_place(seed: int, looks_ahead: bool) -> None:
    """With random graphs, retries and failures, each job succeeds, fails, or is out for one that did; none before its time."""
    rng = random.Random(seed)
    n = 60
    parents = [sorted(rng.sample(range(i), min(i, rng.randrange(3)))) for i in range(n)]
    found = frontier(parents, looks_ahead=looks_ahead)
    given: list[int] = []
    done: set[int] = set()
    dead: set[int] = set()
    while True:
        given += found.take(rng.randrange(1, 4))
        ripe = [g for g in given if set(parents[g]) <= done]
        if not ripe:
            break
        number = rng.choice(ripe)
        given.remove(number)
        what = rng.random()
        if what < 0.75:
            found.succeed(number)
            done.add(number)
        elif what < 0.85:
            found.back([number])
        else:
            idle, theirs = found.fail(number)
            dead |= {number, *idle, *theirs}
            given = [g for g in given if g not in theirs]
            for one in theirs:
                dead |= {one, *found.fail(one)[0]}

    assert not given
    assert set(range(n)) == done | dead
    assert not done & dead
    assert all(set(parents[i]) <= done for i in done)
