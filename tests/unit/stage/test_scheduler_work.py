"""Tests of `stage.execution.executor`: the work that executors share, and the way to stop them."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest

from stage.execution.executor import Interrupt, Work
from stage.execution.outcome import QuantumOutcome

INDPTR = np.array([0, 0, 0, 2, 3])
INDICES = np.array([0, 1, 2])
"""Quantum 2 needs 0 and 1, quantum 3 needs 2."""


def test_absent_datasets_are_told_to_direct_consumers() -> None:
    """What a quantum did not make is told to those that depend on it, and to nobody else."""
    seen: list[QuantumOutcome] = []
    work = Work(INDPTR, INDICES, seen.append)
    work.done(0, QuantumOutcome(0, "no-work", absent=(7,))) if work.take() else None
    work.done(1, QuantumOutcome(1, "succeeded", absent=(8, 9))) if work.take() else None
    third = work.take()

    assert third is not None
    assert (third.number, third.absent) == (2, (7, 8, 9))
    work.done(2, QuantumOutcome(2, "succeeded"))
    fourth = work.take()
    assert fourth is not None
    assert fourth.absent == ()


def test_absent_datasets_of_an_earlier_run_are_told_too() -> None:
    """Complete quanta hand on what they had not made."""
    complete = np.array([True, True, False, False])
    work = Work(INDPTR, INDICES, lambda _: None, complete=complete, absent={1: [5]})
    taken = work.take()

    assert taken is not None
    assert taken.absent == (5,)


def test_places_are_translated_to_ordinals_and_attempts_kept() -> None:
    """A part of a graph is handed out by its ordinals, with the number of the attempt."""
    work = Work(INDPTR, INDICES, lambda _: None, ordinals=[10, 20, 30, 40], attempts={1: 3})

    assert work.peek() == 10
    assert [work.take(), work.take()] == [(0, 10, 0, (), ()), (1, 20, 3, (), ())]
    assert work.take() is None
    assert work.n_active == 2


def test_blocked_quanta_are_reported_with_the_root_cause() -> None:
    """A failure reports all that it blocks, by name of the quantum that failed first."""
    seen: list[QuantumOutcome] = []
    work = Work(INDPTR, INDICES, seen.append, ordinals=[10, 20, 30, 40], describe=lambda o: f"q{o}")
    work.take()
    work.done(0, QuantumOutcome(10, "failed", message="no"))

    assert [(o.ordinal, o.status, o.root) for o in seen] == [
        (10, "failed", -1),
        (30, "blocked", 10),
        (40, "blocked", 10),
    ]
    assert seen[1].message == "blocked: q10 failed"


def test_fail_fast_hands_out_nothing_more() -> None:
    """After the first failure work is finished as soon as nothing runs."""
    work = Work(INDPTR, INDICES, lambda _: None, fail_fast=True)
    work.take()
    work.take()
    work.done(0, QuantumOutcome(0, "failed"))

    assert not work.is_finished
    work.done(1, QuantumOutcome(1, "succeeded"))
    assert work.is_finished
    assert work.take() is None
    assert work.peek() is None


def test_signals_are_counted_and_the_third_raises() -> None:
    """Ctrl-C makes the descriptor readable; whoever insists gets a KeyboardInterrupt; handlers come back after."""
    before = signal.getsignal(signal.SIGINT)
    with Interrupt() as interrupt:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        assert interrupt.count == 2
        assert os.read(interrupt.fileno(), 10) == b"xx"
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)

    assert signal.getsignal(signal.SIGINT) is before
