"""After a fetch or a pull every lookup answers in staging as upstream, whatever has been done there between."""

from __future__ import annotations

import os
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync.clone import execute_fetch, plan_fetch
from sync.pull import plan_pull
from sync.repo import Repo
from tests import pull_world as made
from tests.databases import Database

LONG = os.environ.get("STAGE_FAULTS") == "long"


def check(
    upstream: Repo, staging: Repo, exposures: list[int], detectors: list[int], kept: set[bytes]
) -> None:
    """Hold the answers of the two sides against each other, but for those that something kept as used decides."""
    with upstream.registry.read() as theirs, staging.registry.read() as ours:
        expected = made.answers(theirs, exposures, detectors)
        found = made.answers(ours, exposures, detectors)
    known = {key for key, i in found.items() if i in kept}
    assert {k: v for k, v in expected.items() if k not in known} == {
        k: v for k, v in found.items() if k not in known
    }


def live(upstream: Repo, staging: Repo, seed: int, n_rounds: int) -> None:
    """Let upstream change and the campaign fetch and pull in turn, all drawn from a seed."""
    chance = random.Random(seed)
    is_behind, kept = False, set[bytes]()
    known: tuple[set[int], set[int]] = (set(), set())
    for _ in range(n_rounds):
        done = made.disturb(upstream, chance, chance.randrange(1, 8))
        is_behind = is_behind or "delete" in done
        exposures = sorted(chance.sample(made.EXPOSURES, chance.randrange(1, 4)))
        detectors = sorted(chance.sample(made.DETECTORS, chance.randrange(1, 4)))
        what = made.wanted(upstream, exposures, detectors)
        if chance.random() < 0.4:
            fetching = plan_fetch(upstream, staging, what)
            if (is_behind or kept) and fetching.conflicts:
                assert {c.code for c in fetching.conflicts} == {"dataset-replaced"}
            else:
                execute_fetch(fetching, staging)
                assert plan_fetch(upstream, staging, what).is_empty
            if not is_behind:  # a fetch removes nothing: that is what a pull is for
                check(upstream, staging, exposures, detectors, kept)
        known[0].update(exposures)
        known[1].update(detectors)
        everything = sorted(known[0]), sorted(known[1])
        what = made.wanted(upstream, *everything)
        plan = made.pull(upstream, staging, what)
        assert plan.conflicts == ()
        is_behind = False
        kept = set(plan.moved_on)
        check(upstream, staging, *everything, kept)
        again = plan_pull(upstream, staging, what)
        assert again.is_empty, again.to_document()
        if chance.random() < 0.3 and what.dataset_ids:
            made.read(staging, chance.sample(what.dataset_ids, 1))


@settings(max_examples=80 if LONG else 5, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_lookups_answer_as_upstream_after_each_pull(seed: int) -> None:
    """Datasets come, go and change, tags and ranges move, chains are put in another order; quanta read some."""
    with made.world() as (upstream, staging):
        live(upstream, staging, seed, n_rounds=6 if LONG else 3)


@pytest.mark.parametrize("seed", range(12 if LONG else 1))
def test_lookups_answer_as_upstream_of_either_database(database: Database, seed: int) -> None:
    """The same where upstream is a server's."""
    with made.world(database) as (upstream, staging):
        live(upstream, staging, seed, n_rounds=3)
