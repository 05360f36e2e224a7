"""Tests of `stage.execution.scheduler`."""

from __future__ import annotations

import random
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage.execution.scheduler import Scheduler, reverse_csr


def csr(dependencies: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Write lists of dependencies as compressed rows."""
    indptr = np.concatenate(([0], np.cumsum([len(d) for d in dependencies]))).astype(np.int64)
    return indptr, np.array([i for d in dependencies for i in d], dtype=np.int64)


def drain(scheduler: Scheduler, failing: frozenset[int] = frozenset()) -> tuple[list[int], list[int]]:
    """Run everything in the order given out; return what ran and what was blocked."""
    ran, blocked = [], []
    while (number := scheduler.take()) is not None:
        ran.append(number)
        if number in failing:
            blocked += scheduler.fail(number).tolist()
        else:
            scheduler.finish(number)
    return ran, blocked


def test_chain_runs_in_order_and_depth_first() -> None:
    """Of two chains, one is followed to its end before the other is begun."""
    scheduler = Scheduler(*csr([[], [], [0], [1], [2], [3]]))

    assert drain(scheduler) == ([0, 2, 4, 1, 3, 5], [])
    assert scheduler.is_finished


def test_failure_blocks_descendants_and_names_the_first_cause() -> None:
    """Everything behind a failed quantum is blocked with it as the root; the rest runs."""
    scheduler = Scheduler(*csr([[], [], [0], [1], [2, 3], [4]]))

    ran, blocked = drain(scheduler, frozenset({0}))

    assert ran == [0, 1, 3]
    assert blocked == [2, 4, 5]
    assert [scheduler.root(i) for i in blocked] == [0, 0, 0]
    assert scheduler.is_finished


def test_second_failure_does_not_block_again() -> None:
    """A quantum that two failures would block is named once, with the first as its root."""
    scheduler = Scheduler(*csr([[], [], [0, 1]]))
    scheduler.take()
    scheduler.take()

    assert scheduler.fail(1).tolist() == [2]
    assert scheduler.fail(0).tolist() == []
    assert scheduler.root(2) == 1


def test_complete_quanta_are_never_given_out() -> None:
    """What is done already counts as done for those that wait for it."""
    scheduler = Scheduler(*csr([[], [0], [1], [0]]), complete=np.array([True, True, False, False]))

    assert drain(scheduler)[0] == [2, 3]


def test_given_back_quanta_come_first_again() -> None:
    """Quanta that were handed out and not run are handed out again, in their order."""
    scheduler = Scheduler(*csr([[], [], []]))
    taken = [scheduler.take(), scheduler.take()]
    scheduler.give_back([n for n in taken if n is not None])

    assert drain(scheduler)[0] == [0, 1, 2]


def test_quantum_that_does_not_run_cannot_finish() -> None:
    """Finishing something twice is an error and not a wrong count."""
    scheduler = Scheduler(*csr([[]]))
    with pytest.raises(ValueError, match="not running"):
        scheduler.finish(0)


@st.composite
def graphs(draw: st.DrawFn) -> list[list[int]]:
    """Draw the dependencies of up to 25 quanta."""
    n = draw(st.integers(1, 25))
    return [sorted(draw(st.sets(st.integers(0, i - 1), max_size=4))) if i else [] for i in range(n)]


@given(graphs(), st.randoms(use_true_random=False))
def test_any_order_of_events_runs_what_can_run(dependencies: list[list[int]], rng: random.Random) -> None:
    """With any failures in any order, exactly the descendants of failed ones do not run, and order is kept."""
    n = len(dependencies)
    failing = {i for i in range(n) if rng.random() < 0.15}
    complete = np.array([rng.random() < 0.2 for _ in range(n)])
    dead: set[int] = set()
    for i in range(n):
        if (not complete[i] and any(d in dead for d in dependencies[i])) or (
            i in failing and not complete[i]
        ):
            dead.add(i)
    expected = {
        i
        for i in range(n)
        if not complete[i] and not any(d in dead and not complete[d] for d in dependencies[i])
    }
    scheduler = Scheduler(*csr(dependencies), complete=complete)
    ran: set[int] = set()
    blocked: set[int] = set()
    running: list[int] = []
    while True:
        while rng.random() < 0.7 and (number := scheduler.take()) is not None:
            running.append(number)
        if not running and (number := scheduler.take()) is not None:
            running.append(number)
        if not running:
            break
        number = running.pop(rng.randrange(len(running)))
        if rng.random() < 0.1:
            scheduler.give_back([number])
            continue
        assert all(complete[d] or d in ran for d in dependencies[number])
        ran.add(number)
        if number in failing:
            blocked |= set(scheduler.fail(number).tolist())
        else:
            scheduler.finish(number)

    assert expected == ran
    assert scheduler.is_finished
    assert {i for i in range(n) if not complete[i]} == ran | blocked
    assert not ran & blocked


def test_reverse_csr_turns_each_edge_around() -> None:
    """Row i of the result holds the rows that led to i, in rising order."""
    indptr, indices = reverse_csr(*csr([[], [0], [0, 1]]), 3)

    assert indptr.tolist() == [0, 2, 3, 3]
    assert indices.tolist() == [1, 2, 2]


def test_fan_in_of_many_is_linear() -> None:
    """A gather of 100,000 quanta followed by a scatter of as many takes seconds, not minutes."""
    n = 100_000
    indptr = np.concatenate((np.zeros(n + 1), [n], n + np.arange(1, n + 1))).astype(np.int64)
    indices = np.concatenate((np.arange(n), np.full(n, n)))
    scheduler = Scheduler(indptr, indices)
    start = time.perf_counter()
    ran, _ = drain(scheduler)

    assert 2 * n + 1 == len(ran)
    assert time.perf_counter() - start < 20
