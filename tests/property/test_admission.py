"""Admission of quanta by what they need: never more than the machine has, and every one runs in the end."""

from __future__ import annotations

import random

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from stage.execution.admission import Admission, Need
from stage.execution.allowance import Allowance
from stage.execution.executor import Assignment, Work
from stage.execution.needs import Needs
from stage.execution.outcome import QuantumOutcome

CPUS, MEMORY = 4, 1000
Quantum = tuple[int, int, frozenset[int]]
NONE: frozenset[int] = frozenset()


@st.composite
def quanta(draw: st.DrawFn) -> list[Quantum]:
    """Draw cores, memory and dependencies of up to 40 quanta, of which some take all there is."""
    n = draw(st.integers(1, 40))
    cpus = st.sampled_from([1, 1, 1, 2, 3, CPUS])
    memory = st.sampled_from([0, 1, 100, 333, 500, 501, MEMORY])
    return [
        (
            draw(cpus),
            draw(memory),
            draw(st.frozensets(st.integers(0, i - 1), max_size=2)) if i else NONE,
        )
        for i in range(n)
    ]


def work_of(drawn: list[Quantum], seen: list[QuantumOutcome], **options: object) -> Work:
    """Return the work of running them."""
    rows = [sorted(before) for _, _, before in drawn]
    indptr = np.concatenate(([0], np.cumsum([len(r) for r in rows]))).astype(np.int64)
    indices = np.array([p for r in rows for p in r], dtype=np.int64)
    cpus, memory = (np.array([q[i] for q in drawn], dtype=np.int64) for i in (0, 1))
    needs = Needs(cpus, memory, Admission(CPUS, MEMORY), Allowance(MEMORY, 2.0))
    return Work(indptr, indices, seen.append, needs=needs, **options)  # type: ignore[arg-type]


def check_room(work: Work, running: list[Assignment]) -> None:
    """Assert that what runs has no more than there is."""
    assert work.needs is not None
    given_out = [work.needs.given(a.number) for a in running]
    assert sum(need.cpus for need in given_out) <= CPUS
    assert sum(need.memory_mb for need in given_out) <= MEMORY


@given(quanta(), st.integers(0, 1 << 32))
@example([(CPUS, MEMORY, NONE)] * 3, 0)
def test_no_more_than_there_is_and_all_in_the_end(drawn: list[Quantum], seed: int) -> None:
    """In any order of events, with attempts that die of memory and some given back, all this holds."""
    rng = random.Random(seed)
    seen: list[QuantumOutcome] = []
    work = work_of(drawn, seen, retries=20)
    running: list[Assignment] = []
    while not work.is_finished:
        while rng.random() < 0.9 and (assignment := work.take()) is not None:
            running.append(assignment)
            check_room(work, running)
        if not running:
            assignment = work.take()
            assert assignment is not None, "nothing runs, and nothing may begin"
            running.append(assignment)
        ended = running.pop(rng.randrange(len(running)))
        event = rng.random()
        if event < 0.1:
            work.give_back([ended])
        elif event < 0.3:
            work.done(
                ended.number, QuantumOutcome(ended.ordinal, "failed", ended.attempt, out_of_memory=True)
            )
        else:
            work.done(ended.number, QuantumOutcome(ended.ordinal, "succeeded", ended.attempt))

    assert {o.ordinal for o in seen} == set(range(len(drawn)))
    assert work.needs is not None
    assert work.needs.fits(0), "all that was given came back"


@given(st.integers(1, 3), st.integers(200, 400))
def test_one_that_takes_all_is_not_starved(gap: int, n: int) -> None:
    """However many small ones keep coming, one that needs the whole machine begins after a few of them."""
    work = work_of([(1, 0, NONE)] * gap + [(CPUS, MEMORY, NONE)] + [(1, 0, NONE)] * n, [])
    running: list[Assignment] = []
    begun: list[int] = []
    while gap not in begun:
        while (assignment := work.take()) is not None:
            running.append(assignment)
            begun.append(assignment.number)
        ended = running.pop(0)
        work.done(ended.number, QuantumOutcome(ended.ordinal, "succeeded"))

    assert len(begun) < 50


def test_small_ones_fill_what_a_large_one_leaves() -> None:
    """While one that does not fit waits, those that do run beside what is running."""
    work = work_of([(3, 0, NONE), (3, 0, NONE), (1, 0, NONE), (1, 0, NONE)], [])
    taken = [work.take(), work.take(), work.take()]

    assert [a and a.number for a in taken] == [0, 2, None]
    assert work.n_active == 4


def test_memory_grows_only_for_want_of_it() -> None:
    """A failure of another kind is tried again with the same memory; one of memory with more, and says so."""
    told: list[QuantumOutcome] = []
    seen: list[QuantumOutcome] = []
    work = work_of([(1, 300, NONE)], seen, retries=20, on_retry=told.append)
    had = []
    for out_of_memory in (False, True, False, True, True):
        assignment = work.take()
        assert assignment is not None
        assert work.needs is not None
        had.append(work.needs.given(0))
        work.done(
            0, QuantumOutcome(0, "failed", assignment.attempt, message="no", out_of_memory=out_of_memory)
        )

    assert had == [Need(1, mb) for mb in (300, 300, 600, 600, 1000)]
    assert [o.message for o in told] == [
        "no",
        "out of memory with 300 MB (the next attempt gets 600 MB): no",
        "no",
        "out of memory with 600 MB (the next attempt gets 1,000 MB): no",
    ]
    assert seen[0].message == "out of memory with 1,000 MB (that is the most that it may have: 1,000 MB): no"
    assert work.is_finished
